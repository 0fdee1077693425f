"""`paddock rearm` and `paddock drill`: leaving a halt, and proving that one works."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.kill import KillCall, StepsOption
from console.session import Session
from console.talk import EXIT_FAILED, say
from engine.errors import DataError, PaddockError, UsageError
from engine.risk.latch import TradingState
from engine.trade.accounts import PAPER, account_folder, account_latch
from engine.trade.kill_step import Step

if TYPE_CHECKING:
    from engine.trade.rearm import Check, RearmFacts

_GREEN_WITHIN_S = 60.0
_LOOK_S = 1.0
_MIN_REASON = 3


def rearm(
    context: typer.Context,
    account: Annotated[str, typer.Option("--account", help="paper or live.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it may trade again.")] = "",
    confirm: Annotated[
        str, typer.Option("--confirm", help="The account's name once more, instead of typing it.")
    ] = "",
    as_json: StepsOption = False,
) -> None:
    """Allow trading again, when every check is green and the account's name is typed."""
    call = KillCall(context.obj(), reason, as_json)
    (name,) = _one_account(call, account)
    _check_asked(name, reason, confirm)
    checks = asyncio.run(_checks(call.session, name))
    for check in checks:
        call.tell(Step(name, check.name, "ok" if check.passed else "failed", check.words))
    if not all(check.passed for check in checks):
        state = account_latch(call.session.home, name).read().state
        call.tell(Step(name, "rearm", "failed", f"stays {state}: not every check is green"))
        call.record("latch.rearm", f"{name} was not re-armed: {call.reason}")
        raise typer.Exit(EXIT_FAILED)
    call.reason = reason or _typed("why may it trade again?")
    if not confirm and _typed(f"type {name} to arm it") != name:
        say(f"that is not {name}: nothing was changed")
        raise typer.Exit(EXIT_FAILED)
    _arm(call, name)
    call.record("latch.rearm", f"{name} is armed again: {call.reason}")
    call.end()


def drill(context: typer.Context, as_json: StepsOption = False) -> None:
    """Halt the paper account end to end, measure it, and arm it again when all is green."""
    call = KillCall(context.obj(), "drill", as_json)
    was_active = account_latch(call.session.home, PAPER).read().state is TradingState.ACTIVE
    began_at = call.session.clock.now_at()
    began_s = call.session.clock.monotonic_s()
    call.halt_all(PAPER)

    from engine.trade.drills import Drill, save_drill
    from engine.trade.kill import Act

    call.act(Act(flattens=True, starts_exchange=True), (PAPER,))
    is_rearmed = was_active and not call.failed and _armed_when_green(call)
    latched = call.last(PAPER, "latch")
    latch_ms = 0.0 if latched is None else latched.spent_ms
    ended = {name: call.ended_s(PAPER, name) for name in ("cancel", "flat")}
    cancel_s, flat_s = (None if at is None else at - began_s for at in ended.values())
    words = f"latch {latch_ms:.1f} ms, cancel {_s(cancel_s)}, flat {_s(flat_s)}"
    words += ", armed again" if is_rearmed else ", stays halted"
    passed = not call.failed and (is_rearmed or not was_active)
    record = Drill(
        at=began_at,
        who=call.who,
        passed=passed,
        words=words,
        latch_ms=latch_ms,
        cancel_s=cancel_s,
        flat_s=flat_s,
        is_rearmed=is_rearmed,
    )
    save_drill(account_folder(call.session.home, PAPER), record)
    call.tell(Step(PAPER, "drill", "ok" if passed else "failed", words))
    call.record("kill.drill", f"drill: {words}", passed=passed)
    call.end()


def _armed_when_green(call: KillCall) -> bool:
    """Arm the paper account once every check is green; False when they do not become so."""
    session = call.session
    until_s = session.clock.monotonic_s() + _GREEN_WITHIN_S
    while True:
        checks = asyncio.run(_checks(session, PAPER))
        red = [f"{check.name} ({check.words})" for check in checks if not check.passed]
        if not red:
            break
        is_hopeless = not checks[0].passed
        if is_hopeless or session.clock.monotonic_s() > until_s:
            words = f"stays HALTED: {'; '.join(red)}; `paddock rearm --account {PAPER}` arms it"
            call.tell(Step(PAPER, "rearm", "failed", words))
            return False
        call.tell(Step(PAPER, "rearm", "moving", f"waiting for {'; '.join(red)}"))
        asyncio.run(asyncio.sleep(_LOOK_S))
    _arm(call, PAPER)
    return True


def _arm(call: KillCall, account: str) -> None:
    clock = call.session.clock
    began_s = clock.monotonic_s()
    latch = account_latch(call.session.home, account)
    reading = latch.arm(call.who, call.reason, clock.now_at())
    spent_ms = (clock.monotonic_s() - began_s) * 1000
    words = f"{reading.state}: {call.reason}"
    call.tell(Step(account, "rearm", "ok", words, spent_ms=spent_ms))


def _one_account(call: KillCall, account: str) -> tuple[str, ...]:
    chosen = call.chosen(account)
    if len(chosen) != 1 or account not in chosen:
        raise UsageError(f"rearm arms one account: name it, one of {' '.join(chosen)}")
    return chosen


def _check_asked(account: str, reason: str, confirm: str) -> None:
    """Refuse a call that nobody can complete, before anything is looked at."""
    if confirm and confirm != account:
        raise UsageError(f"--confirm {confirm} is not the account {account}: nothing was changed")
    if reason and len(reason.strip()) < _MIN_REASON:
        raise UsageError("--reason is too short to say anything")
    if not sys.stdin.isatty() and not (confirm and reason):
        raise UsageError(
            f"rearm asks for the account's name and a reason: use --confirm {account} --reason "
            "TEXT where nobody can answer"
        )


def _typed(question: str) -> str:
    text: str = typer.prompt(question, err=True)
    return text.strip()


async def _checks(session: Session, account: str) -> tuple[Check, ...]:
    from engine.trade.rearm import rearm_checks

    return rearm_checks(await _facts(session, account))


async def _facts(session: Session, account: str) -> RearmFacts:
    """Ask the store, the runtime's process and the journal; what fails is told as not known."""
    from console.feed import conductor_beat_at
    from console.runtime_process import view_runtime
    from engine.store.accounts import accounts
    from engine.store.heartbeats import heartbeats
    from engine.trade.journal import JOURNAL_FILE, verify_journal
    from engine.trade.rearm import RearmFacts

    row, beat_at, store_problem = None, None, ""
    try:
        store = await session.open_store(read_only=True)
        try:
            rows = {row.name: row for row in await accounts(store)}
            beat_at = conductor_beat_at(tuple(await heartbeats(store)))
            row = rows.get(account)
        finally:
            await store.close()
    except PaddockError as exc:
        store_problem = exc.message
    report, journal_problem = None, ""
    try:
        path = account_folder(session.home, account) / JOURNAL_FILE
        report = await asyncio.to_thread(verify_journal, path)
    except DataError as exc:
        journal_problem = exc.message
    now_at = session.clock.now_at()
    return RearmFacts(
        account=account,
        now_at=now_at,
        runtime=view_runtime(session.home, beat_at, now_at).word,
        beat_at=beat_at,
        row=row,
        journal=report,
        journal_problem=journal_problem,
        store_problem=store_problem,
    )


def _s(seconds: float | None) -> str:
    return "not reached" if seconds is None else f"{seconds:.2f} s"
