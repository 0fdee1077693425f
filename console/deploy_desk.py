"""What an operator asks of deployments: less is one key, more is a typed id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from console.bindings import Place
from console.effects import named
from console.format import duration, percent, short_id
from console.screens.deployment_text import rollout_gates, step_after, step_before
from console.screens.typed import TypedQuestion

if TYPE_CHECKING:
    from console.app import PaddockApp
    from engine.store.deployments import DeploymentRow
    from engine.store.strategies import StrategyRow

# Words of engine.types.Status, whose import brings numpy, which the first picture does not need.
_TRADES = ("paper", "live")
_WAITS = "▲ The runtime does not answer: the request waits until it does."


class DeployDesk:
    """Questions about versions as Workers, and the commands that follow.

    Parameters
    ----------
    app : PaddockApp
    """

    def __init__(self, app: PaddockApp) -> None:
        self._app = app

    def deploy(self, row: StrategyRow) -> None:
        """Ask for a strategy to be brought out as a Worker, after a yes."""
        if row.status not in _TRADES:
            words = f"deploy: {short_id(row.id)} is {row.status}: only what trades is deployed"
            is_here = self._app.place is Place.DEPLOYMENTS
            hint = "{strategies.strategy.promote} on screen 2 promotes it first"
            if row.status == "paused":
                hint = f"{'{entries.pause}' if is_here else '{strategy.pause}'} resumes it"
            self._app.say(f"{words}, {hint}", "warn")
            return
        self._app.questions.begin(self._deploy(row))

    def raise_share(self, row: DeploymentRow) -> None:
        """Ask for the next step of a rollout, after the strategy's id is typed."""
        share_frac = step_after(row.share_frac)
        if row.state != "rolling" or share_frac is None:
            self._app.say(f"raise: {_why_not_moved(row)}", "warn")
            return
        self._app.questions.begin(self._raise_share(row, share_frac))

    def lower_share(self, row: DeploymentRow) -> None:
        """Ask for the step before, after a yes."""
        share_frac = step_before(row.share_frac)
        if row.state != "rolling" or share_frac is None:
            self._app.say(f"lower: {_why_not_moved(row)}", "warn")
            return
        self._app.questions.begin(self._lower_share(row, share_frac))

    def roll_back(
        self, chosen: Sequence[DeploymentRow], on_yes: Callable[[], None] | None = None
    ) -> None:
        """Ask for versions to be taken back, all after one yes."""
        rows = [row for row in chosen if row.state in ("checking", "rolling", "live")]
        if rows:
            self._app.questions.begin(self._roll_back(rows, on_yes))
            return
        for row in chosen:
            self._app.say(f"rollback: {_named(row)} is {row.state} already", "warn")

    def pause_entries(self, chosen: Sequence[StrategyRow]) -> None:
        """Ask at once for no new entries; entering again needs a yes, one by one."""
        rows = [row for row in chosen if row.status in _TRADES]
        if rows:
            wishes = ({"strategy_id": row.id} for row in rows)
            self._app.run_worker(self._app.send("strategy.pause", *wishes))
        elif chosen:
            self._app.desk.pause_or_resume(chosen[0])

    async def _deploy(self, row: StrategyRow) -> None:
        deploy = self._app.session.config.deploy
        account = "paper" if row.status == "paper" else "live"
        lines = [
            f"{short_id(row.id)} in account {account}: packaged for {deploy.target}, validated,",
            f"and used only if it decides like the engine on {deploy.parity_bars} bars.",
            f"It gets 5% of its capital, which is {percent(deploy.allocation_frac)} of equity, and",
            "goes on to 25, 50 and 100% by itself: each step takes at least "
            f"{duration(deploy.step_s * 1000)} and",
            f"{deploy.step_decisions} decisions that are the engine's.",
            f"A loss of {percent(deploy.stop_frac)} of its capital takes it back.",
        ]
        if account == "live":
            lines.append("▲ This is real money.")
        title = f"Deploy {short_id(row.id)} as a Worker?"
        if await self._is_confirmed(title, lines, "Deploy"):
            wish = {"strategy_id": row.id, "target": deploy.target}
            await self._app.send("deployment.start", wish)

    async def _raise_share(self, row: DeploymentRow, share_frac: float) -> None:
        gates = rollout_gates(row, self._app.session.config.deploy, self._app.clock.now_at())
        unmet = [f"{gate.name} {gate.now}, needs {gate.need}" for gate in gates if not gate.passed]
        capital = percent(row.allocation_frac * share_frac, 2)
        effects = [
            Content(
                f"{_named(row)} in account {row.account}: {row.share_frac:.0%} to {share_frac:.0%}"
            ),
            Content(f"of its capital, which is {capital} of equity, from its next entry on."),
        ]
        if row.account == "live":
            effects.append(Content.styled("▲ This is real money.", "$warning"))
        if unmet:
            effects.append(Content.styled("▲ The gate to this step is not passed:", "$warning"))
            effects += [Content(f"  ✗ {words}") for words in unmet]
        effects += [Content.styled(words, "$warning") for words in self._warnings()]
        question = TypedQuestion(
            title=f"Raise {_named(row)} to {share_frac:.0%}?",
            effects=effects,
            verb=f"Raise to {share_frac:.0%}",
            name=short_id(row.strategy_id),
        )
        if await self._app.questions.typed(question) is not None:
            await self._set_share(row, share_frac)

    async def _lower_share(self, row: DeploymentRow, share_frac: float) -> None:
        lines = [
            f"{_named(row)}: {row.share_frac:.0%} to {share_frac:.0%} of its capital.",
            "New entries are smaller; what it holds stays, with its stops.",
        ]
        title = f"Lower {_named(row)} to {share_frac:.0%}?"
        if await self._is_confirmed(title, lines, "Lower"):
            await self._set_share(row, share_frac)

    async def _roll_back(
        self, rows: Sequence[DeploymentRow], on_yes: Callable[[], None] | None
    ) -> None:
        is_one = len(rows) == 1
        states = [f"{_named(row)} ({row.state}, {row.share_frac:.0%})" for row in rows]
        lines = (
            [
                f"{states[0]} opens nothing more.",
                "It looks after what it holds until that is closed.",
            ]
            if is_one
            else [
                *named(states),
                "They open nothing more, and look after what they hold until that is closed.",
            ]
        )
        if any(row.state == "live" for row in rows):
            whose = "that it" if is_one else "that a live one"
            lines.append(f"The version {whose} replaced, if there is one, takes its place.")
        title = f"Roll back {_named(rows[0]) if is_one else f'{len(rows)} versions'}?"
        if await self._is_confirmed(title, lines, "Roll back"):
            if on_yes is not None:
                on_yes()
            strategy_ids = dict.fromkeys(row.strategy_id for row in rows)
            wishes = (
                {"strategy_id": strategy_id, "reason": "key in the console"}
                for strategy_id in strategy_ids
            )
            await self._app.send("deployment.rollback", *wishes)

    async def _set_share(self, row: DeploymentRow, share_frac: float) -> None:
        wish = {"strategy_id": row.strategy_id, "share": share_frac}
        await self._app.send("deployment.rollout", wish)

    async def _is_confirmed(self, title: str, lines: list[str], verb: str) -> bool:
        return await self._app.questions.is_confirmed(title, [*lines, *self._warnings()], verb)

    def _warnings(self) -> list[str]:
        snapshot = self._app.snapshot
        return [] if snapshot is None or snapshot.runtime.is_alive else [_WAITS]


def _named(row: DeploymentRow) -> str:
    return f"version {row.version} of {short_id(row.strategy_id)}"


def _why_not_moved(row: DeploymentRow) -> str:
    if row.state == "live":
        return f"{_named(row)} is live with all of its capital; {{rollback}} takes it back"
    if row.state == "checking":
        return f"{_named(row)} is still being checked"
    if row.state != "rolling":
        return f"{_named(row)} is {row.outcome or row.state}"
    if step_after(row.share_frac) is None:
        return f"{_named(row)} has all of its capital"
    return f"{row.share_frac:.0%} is the first step; {{rollback}} takes {_named(row)} back"
