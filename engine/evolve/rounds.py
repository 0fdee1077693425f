"""Evolving one strategy, round after round: what a round gained, and whether another follows.

Improvement is (new - old) / max(|old|, 1) in annual Sharpe on validation, mean over symbols. A
strategy without a Sharpe ratio, because it did not trade, counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from engine.errors import UsageError

Ending = Literal["replaced", "converged", "rounds"]
_MOST_TRIED = 60


@dataclass(frozen=True, slots=True)
class Trial:
    """One version that was tried.

    Attributes
    ----------
    sharpe : annual, on validation, mean over symbols; None when it traded too little, was refused
        or failed
    """

    id: str
    round: int
    sharpe: float | None


@dataclass(frozen=True, slots=True)
class Evolution:
    """Where the evolution of one strategy stands at the start of a round.

    Attributes
    ----------
    root : the strategy that is to be improved
    parent : the best version so far, which this round starts from
    round, rounds : this round from 1, and the last one allowed
    root_sharpe : None before the first round has measured it
    tried : versions of earlier rounds, oldest first
    """

    root: str
    parent: str
    rounds: int
    round: int = 1
    root_sharpe: float | None = None
    tried: tuple[Trial, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the evolution as plain values."""
        return asdict(self) | {"tried": [asdict(trial) for trial in self.tried]}


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """What a round came to.

    Attributes
    ----------
    best : the best version so far, the parent when no child beat it
    gain : of the round, over its parent
    total_gain : over the root
    ending : why no round follows, None when one does
    """

    round: int
    parent_sharpe: float
    best: str
    best_sharpe: float
    gain: float
    total_gain: float
    ending: Ending | None

    def in_words(self) -> str:
        """Return the outcome for people."""
        words = (
            f"round {self.round}: Sharpe {self.parent_sharpe:.2f} → {self.best_sharpe:.2f},"
            f" {self.gain:+.1%} in the round, {self.total_gain:+.1%} in all"
        )
        endings: Mapping[Ending, str] = {
            "replaced": "the better version takes its place",
            "converged": "converged",
            "rounds": "the last round allowed",
        }
        return words if self.ending is None else f"{words}; {endings[self.ending]}"


def improvement(new: float, old: float) -> float:
    """Return how much better `new` is, as a fraction; Sharpe ratios, finite."""
    return (new - old) / max(abs(old), 1.0)


def round_outcome(
    evolution: Evolution,
    parent_sharpe: float | None,
    children: Sequence[Trial],
    *,
    converged_frac: float,
    replace_frac: float,
) -> RoundOutcome:
    """Return what a round gained and whether the evolution ends.

    Parameters
    ----------
    parent_sharpe : of this round's parent in this round's window
    children : in the order of the candidates; of equal ones the first counts
    """
    old = _defined(parent_sharpe)
    root = old if evolution.root_sharpe is None else evolution.root_sharpe
    best, best_sharpe = evolution.parent, old
    for child in children:
        if child.sharpe is not None and child.sharpe > best_sharpe:
            best, best_sharpe = child.id, child.sharpe
    gain = improvement(best_sharpe, old)
    total = improvement(best_sharpe, root)
    ending: Ending | None = None
    if best != evolution.root and total >= replace_frac:
        ending = "replaced"
    elif gain < converged_frac:
        ending = "converged"
    elif evolution.round >= evolution.rounds:
        ending = "rounds"
    return RoundOutcome(evolution.round, old, best, best_sharpe, gain, total, ending)


def next_round(evolution: Evolution, outcome: RoundOutcome, children: Sequence[Trial]) -> Evolution:
    """Return where the next round starts."""
    root = evolution.root_sharpe
    tried = (*evolution.tried, *children)[-_MOST_TRIED:]
    return replace(
        evolution,
        parent=outcome.best,
        round=evolution.round + 1,
        root_sharpe=outcome.parent_sharpe if root is None else root,
        tried=tried,
    )


def read_evolution(given: object) -> Evolution:
    """Read what `Evolution.as_json` wrote; the outcome that a round's cycle adds is left out.

    Raises
    ------
    UsageError : it is nothing of the kind.
    """
    try:
        values = dict(given)  # type: ignore[call-overload]
        values.pop("outcome", None)
        tried = tuple(Trial(**dict(row)) for row in values.pop("tried", ()))
        found = Evolution(**values, tried=tried)
    except (TypeError, ValueError) as exc:
        raise UsageError(f"evolve {given!r} does not say what to evolve: {exc}") from exc
    texts = isinstance(found.root, str) and isinstance(found.parent, str)
    whole = all(isinstance(n, int) and n >= 1 for n in (found.round, found.rounds))
    if not texts or not whole:
        raise UsageError("evolve needs a root, a parent and rounds of 1 or more")
    return found


def _defined(sharpe: float | None) -> float:
    return sharpe if sharpe is not None and math.isfinite(sharpe) else 0.0
