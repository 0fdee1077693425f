"""What an operator asks of deployments, checked: a new version, a share, a rollback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actors.ports import Peer
from engine.deploy.cloudflare import MOST_VERSIONS
from engine.deploy.rollout import STEPS_FRAC
from engine.deploy.targets import CLOUDFLARE, TARGETS
from engine.deploy_settings import Deploy
from engine.errors import UsageError
from engine.store.commands import CommandRow
from engine.store.deployments import DeploymentRow
from engine.store.strategies import StrategyRow
from engine.trade.accounts import LIVE, PAPER
from engine.types import Status

COMMANDS = ("deployment.start", "deployment.rollout", "deployment.rollback")
_CALL_S = 30.0
_ACCOUNTS = {Status.PAPER.value: PAPER, Status.LIVE.value: LIVE}


async def pass_on(deployer: Peer | None, row: CommandRow) -> Any:
    """Let the deployer do one of `COMMANDS`.

    Parameters
    ----------
    deployer : None where nothing is traded

    Raises
    ------
    UsageError : refused.
    PeerLost : the deployer is down.
    """
    if deployer is None:
        raise UsageError("this runtime trades nothing, so it deploys nothing: [trading] enabled")
    arguments = dict(row.arguments)
    if row.name == "deployment.start":
        ticket = f"command {row.id} {row.created_at}"
        return await deployer.call("deploy", arguments, row.who, ticket, timeout_s=_CALL_S)
    method = "set_share" if row.name == "deployment.rollout" else "roll_back"
    return await deployer.call(method, arguments, row.who, timeout_s=_CALL_S)


def new_version(
    strategy: StrategyRow,
    rows: Sequence[DeploymentRow],
    arguments: Mapping[str, Any],
    settings: Deploy,
    *,
    who: str,
    ticket: str,
    now_at: int,
) -> DeploymentRow:
    """Return the row of a version that is asked for.

    Parameters
    ----------
    rows : every version of every strategy

    Raises
    ------
    UsageError : it cannot be deployed, or not with so much.
    """
    short = strategy.id[:12]
    target = asked_target(arguments, settings)
    account = _ACCOUNTS.get(strategy.status)
    if account is None:
        raise UsageError(f"strategy {short} is {strategy.status}: promote it to paper first")
    own = [row for row in rows if row.strategy_id == strategy.id]
    busy = next((row for row in own if row.state in ("checking", "rolling")), None)
    if busy is not None:
        raise UsageError(
            f"version {busy.version} of strategy {short} is {busy.state}: let it finish, or "
            "roll it back"
        )
    served = [row for row in own if row.target == target and row.state in ("live", "draining")]
    if target == CLOUDFLARE and len(served) >= MOST_VERSIONS:
        oldest = min(served, key=lambda row: row.version)
        raise UsageError(
            f"Cloudflare serves {MOST_VERSIONS} versions of a strategy at a time, and version "
            f"{oldest.version} of {short} still holds a position: wait until it is closed"
        )
    allocation = _fraction(arguments, "allocation", settings.allocation_frac, 1.0)
    others = {
        row.strategy_id: row.allocation_frac
        for row in rows
        if row.state != "ended" and row.account == account and row.strategy_id != strategy.id
    }
    taken = sum(others.values())
    if taken + allocation > settings.allocation_total_frac + 1e-12:
        raise UsageError(
            f"deployments of account {account} hold {taken:.1%} of it: {allocation:.1%} more would "
            f"be over {settings.allocation_total_frac:.1%}"
        )
    return DeploymentRow(
        strategy_id=strategy.id,
        version=max((row.version for row in own), default=0) + 1,
        ticket=ticket,
        account=account,
        target=target,
        state="checking",
        share_frac=0.0,
        allocation_frac=allocation,
        position_frac=_fraction(
            arguments, "position", settings.position_frac, settings.position_frac
        ),
        stop_frac=_fraction(arguments, "stop", settings.stop_frac, settings.stop_frac),
        who=who,
        reason="asked for",
        created_at=now_at,
        step_at=now_at,
        changed_at=now_at,
    )


def asked_target(arguments: Mapping[str, Any], settings: Deploy) -> str:
    """Return where a version is to run: as asked, else by the settings.

    Raises
    ------
    UsageError : no such target.
    """
    target = arguments.get("target") or settings.target
    if target not in TARGETS:
        raise UsageError(f"target {target!r}: use {' or '.join(TARGETS)}")
    return str(target)


def asked_share_frac(arguments: Mapping[str, Any]) -> float:
    """Return the share that a rollout is asked to have.

    Raises
    ------
    UsageError : none of the steps.
    """
    share = arguments.get("share")
    if share not in STEPS_FRAC:
        steps = ", ".join(f"{step * 100:g}" for step in STEPS_FRAC)
        raise UsageError(f"a rollout has the steps {steps} %: use one of them")
    return float(share)


def _fraction(arguments: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = arguments.get(name)
    if value is None:
        return min(default, most)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.0 < value <= most:
        raise UsageError(f"{name} {value!r}: use a fraction above 0, at most {most:g}")
    return float(value)
