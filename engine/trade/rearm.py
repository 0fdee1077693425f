"""What must be proved before an account may trade again. Pure: facts in, checks out.

What is not known is not green.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.risk.breakers import Breaker
from engine.store.accounts import AccountRow
from engine.trade.accounts import PAPER
from engine.trade.journal_file import JournalReport

REPORT_LIFE_S = 10.0
SKEW_MAX_MS = 1_000
_CLEAN = "clean"
_BREAKERS = frozenset(breaker.value for breaker in Breaker)


@dataclass(frozen=True, slots=True)
class RearmFacts:
    """What is known of an account and its home.

    Attributes
    ----------
    account : str
    now_at : UTC ms
    runtime : alive, silent, dead or down; empty when not known
    beat_at : UTC ms of the conductor's last beat, None without one
    row : what the gateway told last, None when it has told nothing
    journal : what verifying it found, None when it could not be verified
    journal_problem : why it could not be, in words
    store_problem : why the store could not be read, empty when it could
    """

    account: str
    now_at: int
    runtime: str = ""
    beat_at: int | None = None
    row: AccountRow | None = None
    journal: JournalReport | None = None
    journal_problem: str = ""
    store_problem: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: whether it holds, and by which number."""

    name: str
    passed: bool
    words: str


def rearm_checks(facts: RearmFacts) -> tuple[Check, ...]:
    """Return every condition of re-arming, in the order they are shown."""
    return (
        _runtime(facts),
        _gateway(facts),
        _reconciled(facts),
        _limits(facts),
        _journal(facts),
        _clock(facts),
    )


def _runtime(facts: RearmFacts) -> Check:
    if facts.store_problem:
        return Check("runtime is up", False, f"not known: {facts.store_problem}")
    beat = "no sign of life"
    if facts.beat_at is not None:
        beat = f"last sign of life {(facts.now_at - facts.beat_at) / 1000:.1f} s ago"
    return Check("runtime is up", facts.runtime == "alive", f"{facts.runtime or 'down'}, {beat}")


def _gateway(facts: RearmFacts) -> Check:
    name = "gateway reports"
    if facts.row is None:
        return Check(name, False, "it has told nothing of this account")
    age_s = (facts.now_at - facts.row.updated_at) / 1000
    return Check(name, age_s <= REPORT_LIFE_S, f"{age_s:.1f} s ago, at most {REPORT_LIFE_S:g} s")


def _reconciled(facts: RearmFacts) -> Check:
    name = "positions reconciled"
    if facts.row is None:
        return Check(name, False, "not known")
    n_unknown = facts.row.detail.n_unknown
    words = facts.row.reconcile_words or facts.row.reconcile_state
    is_clean = facts.row.reconcile_state == _CLEAN and not n_unknown
    return Check(name, is_clean, f"{words}; {n_unknown} orders unknown")


def _limits(facts: RearmFacts) -> Check:
    name = "no limit breached"
    if facts.row is None or not facts.row.detail.limits:
        return Check(name, False, "not known: no limits were told")
    # Re-arming lets go of the breakers, all but the one that holds until the next day.
    limits = (use for use in facts.row.detail.limits if use.rule not in _BREAKERS)
    hard = [use for use in limits if use.is_hard]
    unknown = [use.rule for use in hard if use.value is None]
    breached = [
        f"{use.rule} {use.value:.4g} over {use.limit:.4g} {use.unit}"
        for use in hard
        if use.value is not None and not use.value <= use.limit
    ]
    breached += [
        f"{breaker.words or breaker.name}, which re-arming does not end"
        for breaker in facts.row.detail.breakers
        if breaker.is_tripped and f"{breaker.name}_frac" == Breaker.DAILY_LOSS
    ]
    if breached:
        return Check(name, False, "; ".join(breached))
    if unknown:
        return Check(name, False, f"not known: {', '.join(unknown)}")
    return Check(name, True, f"{len(hard)} of {len(hard)} hold")


def _journal(facts: RearmFacts) -> Check:
    name = "journal whole"
    if facts.journal is None:
        return Check(name, False, facts.journal_problem or "not known")
    words = f"{facts.journal.n_lines} lines"
    if not facts.journal.is_whole:
        words += f"; line {facts.journal.line}: {facts.journal.problem}"
    return Check(name, facts.journal.is_whole, words)


def _clock(facts: RearmFacts) -> Check:
    name = "clock agrees"
    if facts.account == PAPER:
        return Check(name, True, "the simulated exchange has a time of its own")
    skew_ms = None if facts.row is None else facts.row.clock_skew_ms
    if skew_ms is None:
        return Check(name, False, "not known")
    words = f"the exchange's is {skew_ms / 1000:+.2f} s from ours, at most {SKEW_MAX_MS / 1000:g} s"
    return Check(name, abs(skew_ms) <= SKEW_MAX_MS, words)
