"""What an operator asks of the kill switch: safer at once, riskier after a typed name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from console.halting import HaltFacts, halt_event
from console.kill_port import KillSwitch, Verb
from console.kill_runs import KillRun, KillRuns
from console.rearm_facts import rearm_facts
from console.screens.halt import HaltScreen
from console.screens.typed import TypedQuestion
from console.session import operator
from engine.risk.latch import LatchCause, LatchOutcome
from engine.trade.accounts import PAPER

if TYPE_CHECKING:
    from console.app import PaddockApp

_REASON = "key in the console"
_AGAIN_MS = 10_000
"""A cancel that went well is not repeated sooner, however long the halt key is held."""


class KillDesk:
    """Start the kill switch's acts, show how far they are, and record what was asked.

    Parameters
    ----------
    app : PaddockApp
    switch : KillSwitch
    """

    def __init__(self, app: PaddockApp, switch: KillSwitch) -> None:
        self._app = app
        self.runs = KillRuns(switch, app.session.clock, self._show_progress)

    def follow_halt(self, facts: HaltFacts) -> None:
        """Cancel what would add exposure, whatever the latch did; record the halt."""
        if self._is_cancel_due():
            names = tuple(item.account for item in facts.accounts)
            self._begin_run("cancel", names, _REASON)
        self._app.run_worker(self._record_halt(facts))

    def flatten_all(self) -> None:
        """Flatten every account; the two keys were the confirmation."""
        self._begin_run("flatten", self._app.session.accounts, "F then Y in the console")

    def cancel_stops(self, question: TypedQuestion) -> None:
        """Cancel protective stops too, once its word is typed."""
        self._app.questions.begin(self._cancel_stops(question))

    def reduce(self) -> None:
        """Allow no new exposure in the account that is shown: safer, so at once."""
        if not self._app.is_allowed("reduce"):
            return
        account = self._app.account
        now_at = self._app.clock.now_at()
        outcome = self._app.session.latch_of(account).reduce(operator(), _REASON, now_at)
        problems = f" ({'; '.join(outcome.problems)})" if outcome.problems else ""
        self._app.say(
            f"account {account} is {outcome.reading.state}: no new exposure{problems}; "
            "{rearm} re-arms",
            "warn" if outcome.problems else "ok",
        )
        self._app.look_now()
        self._app.run_worker(self._record_reduce(account, outcome, now_at))

    def drill(self) -> None:
        """Test the switch on the paper account, and say how long it took."""
        if not self.runs.may_start("drill"):
            self._app.say("the drill is under way", "warn")
            return
        self._app.say("drill: the paper account is halted, cancelled, and armed again…")
        self._begin_run("drill", (PAPER,), "drill from the console")

    def rearm(self) -> None:
        """Allow trading again in the account that is shown, if every check is green."""
        if self._app.is_allowed("rearm"):
            self._app.questions.begin(self._rearm())

    def arm(self) -> None:
        """Allow trading in the account that is shown, if every check is green."""
        self._app.questions.begin(self._rearm())

    def _is_cancel_due(self) -> bool:
        run = self.runs.runs.get("cancel")
        if run is None:
            return True
        if run.is_moving:
            return False
        spent_ms = self._app.clock.now_at() - (run.ended_at or 0)
        return run.has_failed or spent_ms >= _AGAIN_MS

    async def _rearm(self) -> None:
        snapshot = self._app.snapshot
        if snapshot is None:
            return
        from engine.trade.rearm import rearm_checks

        account = snapshot.account
        facts = await rearm_facts(self._app.session, snapshot, self._app.clock.now_at())
        checks = rearm_checks(facts)
        lines = [
            Content.assemble(
                ("✓ ", "$success") if check.passed else ("✗ ", "$error"),
                f"{check.name:<22} ",
                (self._app.session.shown(check.words), "" if check.passed else "$error"),
            )
            for check in checks
        ]
        detail = self._app.session.shown(snapshot.latch.detail)
        n_passed = sum(1 for check in checks if check.passed)
        verb = "Arm" if snapshot.latch.cause is LatchCause.NOT_ARMED else "Re-arm"
        red = ", ".join(check.name for check in checks if not check.passed)
        question = TypedQuestion(
            title=f"{verb} account {account}? checks {n_passed}/{len(checks)}",
            effects=[Content(f"It is {snapshot.latch.state}: {detail}"), *lines],
            verb=verb,
            name=account,
            asks_reason=True,
            why_not=f"not green: {red}" if red else "",
        )
        answer = await self._app.questions.typed(question)
        if answer is not None:
            await self._run("rearm", (account,), answer.reason)

    async def _cancel_stops(self, question: TypedQuestion) -> None:
        if await self._app.questions.typed(question) is not None:
            await self._run("cancel stops", self._app.session.accounts, _REASON)

    def _begin_run(self, verb: Verb, accounts: tuple[str, ...], reason: str) -> None:
        self._app.run_worker(self._run(verb, accounts, reason))

    async def _run(self, verb: Verb, accounts: tuple[str, ...], reason: str) -> None:
        if verb != "cancel" and self._app.read_only:
            self._app.say(f"{verb}: this console only looks: {self._app.read_only}", "warn")
            return
        run = await self.runs.run(verb, accounts, reason)
        if run is not None:
            self._app.say(*_told(run))
            self._app.look_now()

    async def _record_halt(self, facts: HaltFacts) -> None:
        if problem := await self._app.tell(halt_event(facts)):
            words = f"the halt stands, but could not be recorded as an event: {problem}"
            self._app.say(words, "warn")

    async def _record_reduce(self, account: str, outcome: LatchOutcome, now_at: int) -> None:
        from engine.store.events import Event

        words = f"account {account} {outcome.reading.state} by {operator()} with a key"
        fields = {"who": operator(), "account": account, "is_new": outcome.is_new}
        await self._app.tell(Event(now_at, "warn", "latch.reduce", words, account, fields=fields))

    def _show_progress(self) -> None:
        for screen in self._app.screen_stack:
            if isinstance(screen, HaltScreen):
                screen.show()
        self._app.refresh_shown()


def _told(run: KillRun) -> tuple[str, str]:
    failed = [step for step in run.steps if step.state == "failed"]
    if failed:
        return f"{run.verb}: {failed[0].account} {failed[0].words}", "error"
    last = run.steps[-1].words if run.steps else ""
    return f"{run.verb}: done{f', {last}' if last else ''}", "ok"
