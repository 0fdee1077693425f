"""`paddock deploy`, `rollout`, `rollback` and `deployments`: strategies as Workers."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.asking import ask
from console.commands.choices import JsonOption
from console.commands.lifecycle import ReasonOption, StrategyArgument
from console.commands.strategies import with_store
from console.session import Session
from console.talk import emit, emit_json, say
from engine.errors import StrategyError, UsageError

if TYPE_CHECKING:
    from engine.store.database import Store
    from engine.store.deployments import DeploymentRow

_CHECK_S = 180.0
_POLL_S = 0.2


def deploy(
    context: typer.Context,
    strategy: StrategyArgument,
    target: Annotated[
        str | None,
        typer.Option("--target", help="Where it runs: workerd, cloudflare; else [deploy] target."),
    ] = None,
    allocation: Annotated[
        float | None, typer.Option(help="Capital, fraction of the account's equity.")
    ] = None,
    position: Annotated[
        float | None, typer.Option(help="Largest position, fraction of the account's equity.")
    ] = None,
    stop: Annotated[
        float | None, typer.Option(help="Loss that rolls it back, fraction of its capital.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a strategy out as a Worker: checked, compared, then 5, 25, 50 and 100 % of capital."""
    session: Session = context.obj()
    given = {"target": target, "allocation": allocation, "position": position, "stop": stop}
    arguments = {name: value for name, value in given.items() if value is not None}
    wish = {"strategy_id": strategy, **arguments}
    asked = asyncio.run(ask(session, "deployment.start", wish))
    say(f"version {asked['version']} of strategy {asked['strategy_id'][:12]} is being checked")
    row = asyncio.run(_checked(session, asked["strategy_id"], asked["version"]))
    if row.outcome == "refused":
        raise StrategyError(f"version {row.version} is refused: {row.reason}")
    if as_json:
        emit_json(asdict(row))
    else:
        say(f"version {row.version} is {row.state}: {row.reason}")


def rollout(
    context: typer.Context,
    strategy: StrategyArgument,
    to: Annotated[float, typer.Option("--to", help="Share of the capital: 5, 25, 50 or 100.")],
    as_json: JsonOption = False,
) -> None:
    """Give the version that is being rolled out another share of the capital."""
    session: Session = context.obj()
    wish = {"strategy_id": strategy, "share": to / 100}
    _tell(asyncio.run(ask(session, "deployment.rollout", wish)), as_json)


def rollback(
    context: typer.Context,
    strategy: StrategyArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take back the version that is being rolled out, or else the live one."""
    session: Session = context.obj()
    if not reason.strip():
        raise UsageError("to take a version back, say why: --reason WORDS")
    wish = {"strategy_id": strategy, "reason": reason.strip()}
    _tell(asyncio.run(ask(session, "deployment.rollback", wish)), as_json)


def deployments(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List versions of strategies that run as Workers, and how they do."""
    from engine.store.deployments import deployments_of, newest_deployments

    session: Session = context.obj()

    async def read(store: Store) -> list[DeploymentRow]:
        return await (deployments_of(store) if every else newest_deployments(store))

    rows: list[DeploymentRow] = asyncio.run(with_store(session, read))
    if as_json:
        emit_json({"deployments": [asdict(row) for row in rows]})
        return
    if not rows:
        say("nothing is deployed: `paddock deploy ID` brings a promoted strategy out")
        return
    emit(
        f"{'strategy':<13}{'version':>8}  {'target':<11}{'state':<9}{'share':>6}{'capital':>9}"
        f"{'p99 ms':>8}{'failed':>8}{'equal':>10}{'gain':>11}  reason"
    )
    for row in rows:
        emit(_line(row))


def _line(row: DeploymentRow) -> str:
    facts = row.facts
    latency_ms = facts.get("latency_ms")
    slowest = "–" if latency_ms is None else f"{latency_ms:.1f}"
    failed = f"{facts.get('n_failed', 0)}/{facts.get('n_requests', 0)}"
    n_compared = facts.get("n_compared", 0)
    equal = f"{n_compared - facts.get('n_differing', 0)}/{n_compared}"
    return (
        f"{row.strategy_id[:12]:<13}{row.version:>8}  {row.target:<11}{row.state:<9}"
        f"{row.share_frac:>6.0%}{row.allocation_frac:>9.1%}{slowest:>8}{failed:>8}"
        f"{equal:>10}{facts.get('pnl_quote', 0.0):>+11.2f}  {row.reason}"
    )


def _tell(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json(told)
        return
    name = f"version {told['version']} of strategy {told['strategy_id'][:12]}"
    say(f"{name}: {told['state']}, {told['share_frac']:.0%} of the capital: {told['reason']}")


async def _checked(session: Session, strategy_id: str, version: int) -> DeploymentRow:
    """Wait until a version is no longer being checked; what takes longer goes on without us."""
    from engine.store.deployments import deployments_of

    async def read(store: Store) -> DeploymentRow:
        limit_s = session.clock.monotonic_s() + _CHECK_S
        while True:
            rows = await deployments_of(store, strategy_id=strategy_id)
            row = next(one for one in rows if one.version == version)
            if row.state != "checking" or session.clock.monotonic_s() > limit_s:
                return row
            await asyncio.sleep(_POLL_S)

    row: DeploymentRow = await with_store(session, read)
    return row
