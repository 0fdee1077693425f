"""Halting from the console: every account's latch, at once, in the caller's own thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.session import Session
from engine.risk.latch import LatchOutcome
from engine.trade.accounts import LIVE

if TYPE_CHECKING:
    from engine.store.events import Event

REASON = "key in the console"


@dataclass(frozen=True, slots=True)
class AccountHalt:
    """What halting one account did; `place` is the file that says so."""

    account: str
    outcome: LatchOutcome
    place: str


@dataclass(frozen=True, slots=True)
class HaltFacts:
    """What halting did.

    Attributes
    ----------
    accounts : real money first
    spent_ms : what all latches took
    now_at : UTC ms of the key
    """

    accounts: tuple[AccountHalt, ...]
    spent_ms: float
    who: str
    now_at: int

    @property
    def is_halted(self) -> bool:
        """Return whether every account is."""
        return all(item.outcome.is_halted for item in self.accounts)

    @property
    def is_new(self) -> bool:
        """Return whether it changed anything."""
        return any(item.outcome.is_new for item in self.accounts)

    @property
    def problems(self) -> tuple[str, ...]:
        """Return each step that failed, in words."""
        return tuple(
            f"{item.account}: {problem}"
            for item in self.accounts
            for problem in item.outcome.problems
        )


def halt_all(session: Session, who: str) -> HaltFacts:
    """Halt every account, the one with real money first. Idempotent; never raises."""
    began_s = session.clock.monotonic_s()
    now_at = session.clock.now_at()
    halted = []
    for name in sorted(session.accounts, key=lambda name: name != LIVE):
        latch = session.latch_of(name)
        outcome = latch.halt(who, REASON, now_at)
        halted.append(AccountHalt(name, outcome, f"{latch.folder.name}/HALT"))
    spent_ms = (session.clock.monotonic_s() - began_s) * 1000
    return HaltFacts(tuple(halted), spent_ms, who, now_at)


def halt_event(facts: HaltFacts) -> Event:
    """Return the record of a halt, for the audit."""
    # Late: the store's libraries are not needed to halt.
    from engine.store.events import Event

    word = "trading halted" if facts.is_halted else "halting FAILED"
    names = ", ".join(item.account for item in facts.accounts)
    return Event(
        at=facts.now_at,
        level="warn" if facts.is_halted else "error",
        kind="latch.halt",
        message=f"{word} by {facts.who} with a key in the console ({names})",
        subject="latch",
        fields={
            "who": facts.who,
            "is_new": facts.is_new,
            "problems": list(facts.problems),
            "spent_ms": facts.spent_ms,
        },
    )
