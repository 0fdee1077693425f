"""Planned misfortune: which message is lost, late, doubled or refused, drawn from a seed.

A plan is a value. What happens to the n-th message, or in a stretch of time, follows from the seed
and n alone, so the same plan gives the same run whatever else is drawn.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class FaultKind(StrEnum):
    """What may go wrong."""

    DROP_REQUEST = "drop_request"
    """The request never arrives."""
    DROP_ANSWER = "drop_answer"
    """The venue acts, and nobody hears of it."""
    DELAY = "delay"
    """The request arrives late, after its sender gave up on it."""
    DUPLICATE_REQUEST = "duplicate_request"
    """The request arrives twice."""
    REJECT = "reject"
    """The venue says no."""
    SERVER_ERROR = "server_error"
    """The venue fails in the middle: it may have acted, or not."""
    RATE_LIMIT = "rate_limit"
    """The venue says: too many requests. Nothing has happened."""
    DUPLICATE_NEWS = "duplicate_news"
    """News comes twice."""
    REORDER_NEWS = "reorder_news"
    """News comes after the one that follows it."""
    OUTAGE = "outage"
    """For a while nobody answers."""
    CLOCK_SKEW = "clock_skew"
    """For a while the venue's clock is wrong."""
    BAD_TICK = "bad_tick"
    """A quote is absurd."""


REQUEST_FAULTS = (
    FaultKind.DROP_REQUEST,
    FaultKind.DROP_ANSWER,
    FaultKind.DELAY,
    FaultKind.DUPLICATE_REQUEST,
    FaultKind.REJECT,
    FaultKind.SERVER_ERROR,
    FaultKind.RATE_LIMIT,
)
NEWS_FAULTS = (FaultKind.DUPLICATE_NEWS, FaultKind.REORDER_NEWS)

_FACTORS = (Decimal("0.01"), Decimal("0.5"), Decimal(2), Decimal(100))


@dataclass(frozen=True, slots=True)
class Fault:
    """One misfortune.

    Attributes
    ----------
    delay_ms : of a DELAY, >= 0
    retry_after_s : of a RATE_LIMIT, >= 0
    acts : of a SERVER_ERROR: it happened nevertheless
    hangs : of a lost answer: the connection stays open instead of breaking
    """

    kind: FaultKind
    delay_ms: int = 0
    retry_after_s: float = 0.0
    acts: bool = False
    hangs: bool = False


class Faults(Protocol):
    """What decides on misfortune; `FaultPlan` does by a seed."""

    def of_request(self, n: int) -> Fault | None:
        """Return what happens to the n-th request."""
        ...

    def of_news(self, n: int) -> Fault | None:
        """Return what happens to the n-th piece of news."""
        ...

    def is_out(self, at: int) -> bool:
        """Return whether the venue is out at an instant."""
        ...

    def skew_ms(self, at: int) -> int:
        """Return the error of the venue's clock at an instant."""
        ...

    def price_factor(self, n: int) -> Decimal:
        """Return what the n-th quote is multiplied by: 1, but for a bad tick."""
        ...


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """All misfortunes of one run.

    Attributes
    ----------
    seed : int, >= 0
    chance : probability in [0, 1] that a message meets one of the `kinds` that befall messages
    kinds : what may happen
    delay_max_ms : longest delay
    slot_ms : each stretch of this length has an outage (and, apart from it, a skewed clock) with
        probability `window_chance`
    outage_max_ms, skew_max_ms : longest outage, largest error of the clock
    """

    seed: int = 1
    chance: float = 0.0
    kinds: frozenset[FaultKind] = frozenset(FaultKind)
    delay_max_ms: int = 8_000
    slot_ms: int = 600_000
    window_chance: float | None = None
    outage_max_ms: int = 60_000
    skew_max_ms: int = 60_000

    def of_request(self, n: int) -> Fault | None:
        """Return what happens to the n-th request."""
        return self._drawn("request", n, REQUEST_FAULTS)

    def of_news(self, n: int) -> Fault | None:
        """Return what happens to the n-th piece of news."""
        return self._drawn("news", n, NEWS_FAULTS)

    def is_out(self, at: int) -> bool:
        """Return whether the venue is out at an instant."""
        if FaultKind.OUTAGE not in self.kinds:
            return False
        window = self._window("outage", at, self.outage_max_ms)
        return window is not None and window[0] <= at < window[1]

    def skew_ms(self, at: int) -> int:
        """Return the error of the venue's clock at an instant."""
        if FaultKind.CLOCK_SKEW not in self.kinds:
            return 0
        window = self._window("skew", at, self.slot_ms // 2)
        if window is None or not window[0] <= at < window[1]:
            return 0
        size = 1 + int(self._unit("skew size", at // self.slot_ms) * (self.skew_max_ms - 1))
        return size if self._unit("skew sign", at // self.slot_ms) < 0.5 else -size

    def price_factor(self, n: int) -> Decimal:
        """Return what the n-th quote is multiplied by: 1, but for a bad tick."""
        if FaultKind.BAD_TICK not in self.kinds or self._unit("tick", n) >= self.chance:
            return Decimal(1)
        return _FACTORS[int(self._unit("tick size", n) * len(_FACTORS))]

    def _drawn(self, stream: str, n: int, possible: tuple[FaultKind, ...]) -> Fault | None:
        kinds = [kind for kind in possible if kind in self.kinds]
        if not kinds or self._unit(stream, n) >= self.chance:
            return None
        kind = kinds[int(self._unit(f"{stream} kind", n) * len(kinds))]
        size = self._unit(f"{stream} size", n)
        if kind is FaultKind.DELAY:
            return Fault(kind, delay_ms=1 + int(size * (self.delay_max_ms - 1)))
        if kind is FaultKind.RATE_LIMIT:
            return Fault(kind, retry_after_s=1.0 + int(size * 5))
        return Fault(kind, acts=size < 0.5, hangs=size >= 0.75)

    def _window(self, stream: str, at: int, longest_ms: int) -> tuple[int, int] | None:
        slot = at // self.slot_ms
        chance = self.chance if self.window_chance is None else self.window_chance
        if self._unit(stream, slot) >= chance:
            return None
        length = 1 + int(self._unit(f"{stream} length", slot) * (longest_ms - 1))
        room = max(0, self.slot_ms - length)
        start = slot * self.slot_ms + int(self._unit(f"{stream} start", slot) * room)
        return start, start + length

    def _unit(self, stream: str, n: int) -> float:
        # Uniform in [0, 1), the same on every machine.
        word = hashlib.sha256(f"{self.seed} {stream} {n}".encode()).digest()
        return int.from_bytes(word[:6]) / 2**48


NO_FAULTS = FaultPlan()
