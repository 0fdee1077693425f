"""`paddock reduce | halt | cancel | flatten`: the kill switch, with the runtime up or dead.

The latch comes first, before anything that takes time is imported; the exchange comes after, in a
step of its own, so that a dead one delays nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.kill_words import is_worth_a_line, step_line, step_values
from console.session import Session, operator
from console.talk import EXIT_FAILED, emit_json, one_line, say
from engine.errors import PaddockError, UsageError
from engine.risk.latch import HALT_FILE, LatchOutcome, TradingState
from engine.trade.accounts import ALL, account_latch, chosen_accounts
from engine.trade.kill_step import State, Step

if TYPE_CHECKING:
    from engine.trade.kill import Act

FLATTEN_WORD = "flatten"

AccountOption = Annotated[str, typer.Option("--account", help="paper, live or all.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the record.")]
StepsOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a step.")]


def reduce(
    context: typer.Context,
    account: AccountOption = ALL,
    reason: ReasonOption = "asked from the shell",
    as_json: StepsOption = False,
) -> None:
    """Allow no new exposure until armed again; exits and stops go on."""
    call = KillCall(context.obj(), reason, as_json)
    for name in call.chosen(account):
        call.reduce(name)
    call.record("latch.reduce", f"reducing: {reason}")
    call.end()


def halt(
    context: typer.Context,
    account: AccountOption = ALL,
    reason: ReasonOption = "asked from the shell",
    as_json: StepsOption = False,
) -> None:
    """Halt: strategies send nothing until armed again, and what would add exposure is cancelled."""
    call = KillCall(context.obj(), reason, as_json)
    accounts = call.halt_all(account)

    from engine.trade.kill import Act

    call.act(Act(), accounts)
    call.record("latch.halt", f"trading halted: {reason}")
    call.end()


def cancel(
    context: typer.Context,
    account: AccountOption = ALL,
    reason: ReasonOption = "asked from the shell",
    everything: Annotated[
        bool, typer.Option("--all", "--stops", help="Protective stops and targets too.")
    ] = False,
    as_json: StepsOption = False,
) -> None:
    """Halt, and cancel the orders that add exposure, or all of them."""
    call = KillCall(context.obj(), reason, as_json)
    accounts = call.halt_all(account)

    from engine.trade.kill import Act

    call.act(Act(stops_too=everything), accounts)
    call.record("kill.cancel", f"{'all' if everything else 'exposure-adding'} orders: {reason}")
    call.end()


def flatten(
    context: typer.Context,
    account: AccountOption = ALL,
    reason: ReasonOption = "asked from the shell",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    everything: Annotated[
        bool,
        typer.Option("--everything", help="On spot, sell what the journal does not call ours too."),
    ] = False,
    as_json: StepsOption = False,
) -> None:
    """Halt, cancel all orders and close every position at market; look twice that it is flat."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("flatten asks before it sells: use --yes where nobody can answer")
    call = KillCall(context.obj(), reason, as_json)
    accounts = call.halt_all(account)
    if not yes and not call.is_confirmed(accounts):
        say("nothing was sold; HALTED all the same")
        raise typer.Exit(EXIT_FAILED)

    from engine.trade.kill import Act

    call.act(Act(flattens=True, takes_everything=everything), accounts)
    call.record("kill.flatten", f"flattened: {reason}")
    call.end()


class KillCall:
    """One call of the kill switch: says each step, and remembers whether one failed.

    Parameters
    ----------
    session : Session
    reason : why, for the record
    as_json : steps as JSON lines on stdout, otherwise as lines of talk
    """

    def __init__(self, session: Session, reason: str, as_json: bool) -> None:
        self.session = session
        self.reason = reason
        self.who = operator()
        self._as_json = as_json
        self._last: dict[tuple[str, str], Step] = {}
        self._ended_s: dict[tuple[str, str], float] = {}
        self._accounts: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Step, ...]:
        """Return the last step of each name that failed."""
        return tuple(step for step in self._last.values() if step.state == "failed")

    def chosen(self, account: str) -> tuple[str, ...]:
        """Return the accounts that are meant.

        Raises
        ------
        UsageError : no such account.
        """
        session = self.session
        self._accounts = chosen_accounts(
            account, session.home, session.config.trading.live_exchange
        )
        return self._accounts

    def halt_all(self, account: str) -> tuple[str, ...]:
        """Latch every account that is meant, and say so; the exchange is not asked."""
        accounts = self.chosen(account)
        clock = self.session.clock
        outcomes = []
        for name in accounts:
            began_s = clock.monotonic_s()
            outcome = account_latch(self.session.home, name).halt(
                self.who, self.reason, clock.now_at()
            )
            outcomes.append((name, outcome, (clock.monotonic_s() - began_s) * 1000))
        for name, outcome, spent_ms in outcomes:
            self._tell_latch(name, outcome, spent_ms, is_done=outcome.is_halted)
        return accounts

    def reduce(self, account: str) -> None:
        """Latch one account into REDUCING, and say so."""
        clock = self.session.clock
        began_s = clock.monotonic_s()
        outcome = account_latch(self.session.home, account).reduce(
            self.who, self.reason, clock.now_at()
        )
        spent_ms = (clock.monotonic_s() - began_s) * 1000
        is_done = outcome.reading.state is not TradingState.ACTIVE
        self._tell_latch(account, outcome, spent_ms, is_done=is_done)

    def act(self, act: Act, accounts: Sequence[str]) -> None:
        """Do it at the exchanges, and say each step."""
        asyncio.run(self._act(act, accounts))

    def tell(self, step: Step) -> None:
        """Say a step."""
        before = self._last.get((step.account, step.name))
        self._last[step.account, step.name] = step
        if step.state != "moving":
            now_s = self.session.clock.monotonic_s()
            self._ended_s.setdefault((step.account, step.name), now_s)
        if self._as_json:
            emit_json(step_values(step, self.session.clock.now_at()))
        elif is_worth_a_line(step, before):
            say(step_line(step))

    def ended_s(self, account: str, name: str) -> float | None:
        """Return when a step first ended, by the monotonic clock; None when it never did."""
        return self._ended_s.get((account, name))

    def last(self, account: str, name: str) -> Step | None:
        """Return the last step of a name."""
        return self._last.get((account, name))

    def is_confirmed(self, accounts: Sequence[str]) -> bool:
        """Ask at the terminal, after saying what the journals hold."""
        from engine.trade.accounts import account_folder
        from engine.trade.ours import read_ours

        for name in accounts:
            ours = read_ours(account_folder(self.session.home, name), name, "")
            if ours.book is None:
                say(f"{name}: {one_line(ours.problem)}")
                continue
            held = ", ".join(f"{p.symbol} {p.signed_base:+}" for p in ours.book.open_positions())
            say(f"{name}: {held or 'no position in its journal'}")
        typed = typer.prompt(
            f"type {FLATTEN_WORD} to close every position of {', '.join(accounts)}", err=True
        )
        return bool(typed.strip().lower() == FLATTEN_WORD)

    def record(self, kind: str, message: str, **fields: Any) -> None:
        """Tell the store what was done, when there is one; nothing waits for that for long."""
        if not self.session.has_database():
            return
        try:
            asyncio.run(self._record(kind, message, fields))
        except (PaddockError, TimeoutError) as exc:
            say(f"paddock: done, and not recorded as an event: {one_line(str(exc)) or 'no answer'}")

    def end(self) -> None:
        """End the command: with an error when a step failed."""
        if self.failed:
            raise typer.Exit(EXIT_FAILED)

    async def _act(self, act: Act, accounts: Sequence[str]) -> None:
        from engine.trade.kill import Kill

        session = self.session
        kill = Kill(session.config, session.clock, config_path=session.config_path)
        async for step in kill.run(act, accounts):
            self.tell(step)

    async def _record(self, kind: str, message: str, fields: dict[str, Any]) -> None:
        from engine.store.events import Event, add_events

        failed = [f"{step.account} {step.name}: {step.words}" for step in self.failed]
        event = Event(
            at=self.session.clock.now_at(),
            level="error" if failed else "warn",
            kind=kind,
            message=f"{message} (by {self.who}, {', '.join(self._accounts)})",
            subject=self._accounts[0] if len(self._accounts) == 1 else "latch",
            fields={"who": self.who, "reason": self.reason, "failed": failed, **fields},
        )
        async with asyncio.timeout(5.0):
            store = await self.session.open_store(read_only=False)
            try:
                await add_events(store, [event])
            finally:
                await store.close()

    def _tell_latch(
        self, account: str, outcome: LatchOutcome, spent_ms: float, *, is_done: bool
    ) -> None:
        reading = outcome.reading
        words = f"{reading.state.value}: latch written and synced"
        if not outcome.is_new:
            words = f"{reading.state.value} already"
            words += f", by {reading.who}: {reading.reason}" if reading.who else ""
        if not is_done:
            words = (
                "NOT HALTED: neither file could be changed; stop the trading process or the machine"
            )
        if outcome.problems:
            words += f" ({'; '.join(outcome.problems)})"
        path = account_latch(self.session.home, account).folder / HALT_FILE
        fields = {
            "halted": outcome.is_halted,
            "new": outcome.is_new,
            "latch": reading.state.value,
            "detail": reading.detail,
            "problems": list(outcome.problems),
            "path": str(path),
        }
        state: State = "ok" if is_done else "failed"
        self.tell(Step(account, "latch", state, words, spent_ms=spent_ms, fields=fields))
