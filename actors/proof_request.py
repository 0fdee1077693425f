"""What a worker is asked to prove, and what it answers; small values that travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.types import FloatArray


@dataclass(frozen=True, slots=True)
class Listed:
    """A strategy that stands for paper.

    Attributes
    ----------
    symbol : the one it is judged on
    earliest_read_at : UTC ms of the earliest bar that it, an ancestor or a learned state has read
    """

    strategy_id: str
    genome: str
    symbol: str
    earliest_read_at: int


@dataclass(frozen=True, slots=True, eq=False)
class KnownTrial:
    """A strategy scored on a symbol's unseen bars before.

    Attributes
    ----------
    first_day : UTC days since 1970, the day of the first return
    daily : ndarray of shape (n_days,), fraction
    """

    strategy_id: str
    first_day: int
    daily: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ProofRequest:
    """Judge these strategies by the paper gate, and run the negative controls.

    Attributes
    ----------
    listed : in the order of the leaderboard
    sample : (id, genome) of strategies that the cycle tried, a fair sample: what the choice was
        made among, and what the controls are made from
    known : by symbol, a sample of those scored on its unseen bars in other cycles
    n_scored_holdout : by symbol, strategies ever scored on unseen bars, those listed left out
    n_scored_validation : by symbol, strategies ever scored on validation bars
    """

    listed: tuple[Listed, ...]
    sample: tuple[tuple[str, str], ...]
    known: Mapping[str, tuple[KnownTrial, ...]]
    n_scored_holdout: Mapping[str, int]
    n_scored_validation: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the paper gate said of one strategy."""

    strategy_id: str
    symbol: str
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What came of a request.

    Attributes
    ----------
    unseen_days : days of unseen bars that were there
    """

    judged: tuple[Judged, ...]
    unseen_days: float
