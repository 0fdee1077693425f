"""Say results: one JSON line a workload on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.backtest.metric_names import METRIC_INDEX
from engine.types import FloatArray

COMPARED = ("total_return", "sharpe", "max_drawdown", "win_rate", "profit_factor", "n_trades")
"""The six metrics of the workloads, in the order of every (n_runs, 6) array here."""

PICKED = np.array([METRIC_INDEX[name] for name in COMPARED])
"""Where they stand in a metrics row."""

TOLERANCE = 1e-9
_SIGNIFICANT_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two tools differ over the same runs.

    Attributes
    ----------
    mismatched_trades : runs whose numbers of closed trades differ
    differences : by metric, the largest |a - b| / max(1, |a|, |b|); both undefined counts as equal
    """

    mismatched_trades: int
    differences: dict[str, float]

    @property
    def is_equal(self) -> bool:
        """Return whether all trade counts are equal and every metric agrees to `TOLERANCE`."""
        return self.mismatched_trades == 0 and max(self.differences.values()) <= TOLERANCE

    def as_dict(self) -> dict[str, Any]:
        """Return what the report says of it."""
        return {
            "equal": self.is_equal,
            "mismatched_trades": self.mismatched_trades,
            "max_difference": max(self.differences.values()),
            "by_metric": self.differences,
        }


def agreement(ours: FloatArray, theirs: FloatArray) -> Agreement:
    """Compare two results, shape (n_runs, 6), columns as `COMPARED`.

    Raises
    ------
    ValueError : different shapes.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"results of shape {ours.shape} and {theirs.shape} cannot be compared")
    # A profit factor without losses is undefined here, infinite or absent elsewhere.
    a = np.where(np.isfinite(ours), ours, np.nan)
    b = np.where(np.isfinite(theirs), theirs, np.nan)
    scale = np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    apart = np.abs(a - b) / scale
    apart[np.isnan(a) & np.isnan(b)] = 0.0
    apart[np.isnan(apart)] = np.inf
    trades = COMPARED.index("n_trades")
    return Agreement(
        mismatched_trades=int(np.count_nonzero(apart[:, trades])),
        differences=dict(zip(COMPARED, apart.max(axis=0).tolist(), strict=True)),
    )


def rounded(value: Any) -> Any:
    """Return a JSON value: floats to five significant digits, undefined and infinite as None."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float | np.floating):
        number = float(value)
        return float(f"{number:.{_SIGNIFICANT_DIGITS}g}") if np.isfinite(number) else None
    return int(value) if isinstance(value, np.integer) else value


def line(workload: str, **fields: Any) -> str:
    """Return the JSON line of one workload."""
    return json.dumps({"workload": workload, **rounded(fields)})


def say(text: str) -> None:
    """Tell the person watching how far it is."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
