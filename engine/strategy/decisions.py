"""From genome to decisions: at which bars to enter, on which side, how large, and to leave.

Each condition becomes one truth column (64 bars a word), computed once for a series and shared by
all candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.strategy.bits import (
    compare_nb,
    cross_nb,
    decide_each_nb,
    moves_nb,
    word_count,
)
from engine.strategy.columns import Columns, SeriesOperandValue, compute_columns
from engine.strategy.compiled import read_only
from engine.strategy.genome import (
    MAX_CONDITIONS,
    BarOperand,
    Condition,
    ConstantOperand,
    Genome,
)
from engine.types import Bars, FloatArray, IntArray, WordArray, bars_per_year

MAX_BANK_BYTES = 96 * 2**20
MAX_EXTRA_COLUMNS = 256
MAX_PAIRS = 64
N_GROUPS = 5
MAX_BATCH = 32
MIN_BANK_ROWS = 2 * MAX_BATCH * N_GROUPS * MAX_CONDITIONS
VOLATILITY_BARS = 100


def _no_exit_rules() -> FloatArray:
    return np.empty((0, 4))


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """What a strategy wants at the close of each bar.

    Attributes
    ----------
    long_entry, short_entry, long_exit, short_exit : ndarray of shape (n_words,), uint64 truth
        columns; no bar has
        both entries
    size_frac : ndarray of shape (n_bars,), notional as a fraction of equity, NaN forbids the entry;
        empty when the
        size does not depend on the bar
    exit_rules : ndarray of shape (n_bars, 4): stop, target and trailing fractions and the most bars
        of an entry decided there, NaN for none; empty when they do not depend on the bar
    """

    long_entry: WordArray
    short_entry: WordArray
    long_exit: WordArray
    short_exit: WordArray
    size_frac: FloatArray
    exit_rules: FloatArray = field(default_factory=_no_exit_rules)


@dataclass(frozen=True, slots=True, eq=False)
class Picks:
    """Which truth columns each of some strategies reads.

    Attributes
    ----------
    picked : ndarray of shape (n, N_GROUPS x MAX_CONDITIONS), int64: rows of the bank
    ends : ndarray of shape (n, N_GROUPS + 1), int64: where each group ends in `picked`
    needed : ndarray of shape (n, 2), int64: how many long and short entry conditions must hold
    """

    picked: IntArray
    ends: IntArray
    needed: IntArray

    @classmethod
    def empty(cls, n: int) -> Picks:
        """Return room for `n` strategies."""
        return cls(
            np.zeros((n, N_GROUPS * MAX_CONDITIONS), dtype=np.int64),
            np.zeros((n, N_GROUPS + 1), dtype=np.int64),
            np.zeros((n, 2), dtype=np.int64),
        )


class ConditionBank:
    """Truth columns of one series, computed when first asked for and kept while memory allows.

    Parameters
    ----------
    bars : the series
    timeframe : of the series
    columns : shared operand columns; those missing are computed here
    """

    def __init__(self, bars: Bars, timeframe: str, columns: Columns) -> None:
        self.bars = bars
        self._timeframe = timeframe
        # Read-only like those from an object store: one type of array, one compilation.
        self._columns = Columns(read_only(columns.matrix), columns.index)
        self._fields = {
            name: read_only(getattr(bars, name))
            for name in ("open", "high", "low", "close", "volume")
        }
        self._extra: dict[str, FloatArray] = {}
        self._n_words = word_count(len(bars))
        self._rows: dict[str, int] = {}
        self._capacity = max(MIN_BANK_ROWS, MAX_BANK_BYTES // max(1, self._n_words * 8))
        self.words = np.zeros((min(256, self._capacity), self._n_words), dtype=np.uint64)
        self._pairs: dict[tuple[str, str], WordArray] = {}
        self._volatility: FloatArray | None = None

    def decisions(self, genome: Genome) -> Decisions:
        """Return what `genome` decides at the close of each bar.

        Raises
        ------
        StrategyError : an operand that cannot be computed from this series.
        """
        out = self.truths([genome])[0]
        size_frac = np.empty(0)
        if genome.risk.volatility_target is not None:
            size_frac = self.size_frac(genome, genome.risk.volatility_target)
        return Decisions(out[0], out[1], out[2], out[3], size_frac)

    def truths(self, genomes: Sequence[Genome]) -> WordArray:
        """Return where each genome (at most MAX_BATCH) enters and leaves.

        Returns
        -------
        ndarray of shape (n, 4, n_words), uint64: long entry, short entry, long exit, short exit

        Raises
        ------
        StrategyError : an operand that cannot be computed from this series.
        """
        picks = Picks.empty(len(genomes))
        self.pick(genomes, picks)
        out = np.empty((len(genomes), 4, self._n_words), dtype=np.uint64)
        decide_each_nb(self.words, picks.ends, picks.picked, picks.needed, out)
        return out

    def size_frac(self, genome: Genome, volatility_target: float) -> FloatArray:
        """Return notional as a fraction of equity for a risk that aims at a volatility.

        Returns
        -------
        ndarray of shape (n_bars,), NaN while the volatility is not known.
        """
        with np.errstate(divide="ignore"):
            sized = volatility_target / self.volatility()
        return np.minimum(genome.notional_frac(), sized)

    def pick(self, genomes: Sequence[Genome], picks: Picks) -> None:
        """Write which truth columns the genomes (at most MAX_BATCH) read; good until called again.

        Raises
        ------
        StrategyError : an operand that cannot be computed from this series.
        """
        if len(self._rows) + len(genomes) * N_GROUPS * MAX_CONDITIONS > self._capacity:
            # Forgetting all at once keeps the bank simple; what is needed again is computed again.
            self._rows.clear()
        for i, genome in enumerate(genomes):
            exits = genome.exits
            row = picks.picked[i]
            n_picked = 0
            groups = (
                genome.long_entry,
                genome.short_entry,
                genome.filters,
                exits.long_conditions,
                exits.short_conditions,
            )
            for g, group in enumerate(groups):
                for condition in group:
                    row[n_picked] = self._row(condition)
                    n_picked += 1
                picks.ends[i, g + 1] = n_picked
            picks.needed[i, 0] = genome.needed(len(genome.long_entry))
            picks.needed[i, 1] = genome.needed(len(genome.short_entry))

    def volatility(self) -> FloatArray:
        """Return the series' realised volatility, shape (n_bars,), annual, NaN at first."""
        if self._volatility is None:
            self._volatility = realised_volatility(self.bars.close, self._timeframe)
        return self._volatility

    def _row(self, condition: Condition) -> int:
        row = self._rows.get(condition.key)
        if row is None:
            row = len(self._rows)
            if row == self.words.shape[0]:
                grown = np.zeros((min(2 * row, self._capacity), self._n_words), dtype=np.uint64)
                grown[:row] = self.words
                self.words = grown
            self._write_truth(condition, self.words[row])
            self._rows[condition.key] = row
        return row

    def _write_truth(self, condition: Condition, out: WordArray) -> None:
        left = self.column(condition.left)
        if condition.right is None:
            moves_nb(left, condition.bars or 1, condition.op == "rising", out)
            return
        above, below, equal = self._compared(condition, left)
        if condition.op == ">":
            out[:] = above
        elif condition.op == "<":
            out[:] = below
        elif condition.op == "crosses_above":
            cross_nb(above, below, equal, out)
        else:
            cross_nb(below, above, equal, out)

    def _compared(self, condition: Condition, left: FloatArray) -> WordArray:
        """Return above, below and equal, shape (3, n_words); the last few pairs are kept.

        A crossing one way and its opposite stand in the same genome more often than not.
        """
        other = condition.right
        key = (condition.left.key, "" if other is None else other.key)
        held = self._pairs.get(key)
        if held is None:
            if len(self._pairs) >= MAX_PAIRS:
                self._pairs.clear()
            held = np.empty((3, self._n_words), dtype=np.uint64)
            if isinstance(other, ConstantOperand):
                right = np.full(left.shape[0], other.value)
            else:
                right = left if other is None else self.column(other)
            compare_nb(left, read_only(right), held)
            self._pairs[key] = held
        return held

    def column(self, operand: SeriesOperandValue) -> FloatArray:
        """Return the values of `operand`, shape (n_bars,), NaN where undefined."""
        shared = self._columns.get(operand.key)
        if shared is not None:
            return shared
        if isinstance(operand, BarOperand) and operand.timeframe in (None, self._timeframe):
            return self._fields[operand.field]
        extra = self._extra.get(operand.key)
        if extra is None:
            if len(self._extra) >= MAX_EXTRA_COLUMNS:
                self._extra.clear()
            extra = read_only(compute_columns(self.bars, self._timeframe, [operand]).matrix[0])
            self._extra[operand.key] = extra
        return extra


def realised_volatility(close_quote: FloatArray, timeframe: str) -> FloatArray:
    """Return the annualised standard deviation of the last 100 simple returns.

    Parameters
    ----------
    close_quote : ndarray of shape (n_bars,), quote currency, > 0

    Returns
    -------
    ndarray of shape (n_bars,), fraction a year, population deviation; NaN in the first 100 bars.
    """
    n_bars = close_quote.shape[0]
    out = np.full(n_bars, np.nan)
    if n_bars <= VOLATILITY_BARS:
        return out
    returns = close_quote[1:] / close_quote[:-1] - 1.0
    n_out = returns.shape[0] - VOLATILITY_BARS + 1
    total = np.zeros(n_out)
    for k in range(VOLATILITY_BARS):
        total += returns[k : k + n_out]
    mean = total / VOLATILITY_BARS
    squares = np.zeros(n_out)
    for k in range(VOLATILITY_BARS):
        squares += (returns[k : k + n_out] - mean) ** 2
    out[VOLATILITY_BARS:] = np.sqrt(squares / VOLATILITY_BARS * bars_per_year(timeframe))
    return out
