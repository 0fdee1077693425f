"""Decisions at the newest closed bar: the backtest's own, worked out for that bar alone.

Indicators that look through a window are computed over the newest bars only, those that remember
everything over the whole history; both give the very bits that the backtest's columns have there.
Truth columns and operands are shared by all strategies of the series.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from engine.errors import DataError, StrategyError
from engine.market.resampling import last_closed_index, resample
from engine.strategy.columns import (
    Columns,
    SeriesOperandValue,
    compute_columns,
    required_operands,
    spread_over,
)
from engine.strategy.decisions import MAX_BATCH, VOLATILITY_BARS, ConditionBank
from engine.strategy.genome import Condition, Genome, IndicatorOperand
from engine.strategy.indicators import warmup_bars
from engine.trade.decision import ClosedBar, Decision
from engine.types import Bars, FloatArray, IntArray, timeframe_ms

WINDOWED = frozenset(
    {
        "sma",
        "bollinger",
        "stochastic",
        "aroon",
        "mfi",
        "cci",
        "donchian",
        "roc",
        "williams_r",
        "volume_ratio",
        "volume_sma",
    }
)
"""Indicators whose value depends on the bars of its window and on nothing before."""

_SPARE_BARS = 4
_GROWTH = 1024


def history_start_at(bar_at: int, history_bars: int, bar_ms: int) -> int:
    """Return where the history begins that a bar is decided from, UTC ms.

    The beginning stands still for `history_bars` bars and then moves on by as many, so that the
    history is one to two times as long, and a restart finds the same one: what remembers everything
    (an exponential average) depends on where it began.
    """
    block_ms = history_bars * bar_ms
    return (bar_at // block_ms - 1) * block_ms


class Decider:
    """Decide for the strategies of one symbol and timeframe; a `DecisionSource`.

    Parameters
    ----------
    timeframe : of the bars and of every strategy
    history : closed bars, oldest first; more are taken one by one
    genomes : by strategy id
    history_bars : keep one to two times so many, see `history_start_at`; None keeps all, so that
        decisions are those of a backtest from the first bar of `history`

    Raises
    ------
    StrategyError : a strategy is for another timeframe.
    """

    def __init__(
        self,
        timeframe: str,
        history: Bars,
        genomes: Mapping[str, Genome],
        history_bars: int | None = None,
    ) -> None:
        self.timeframe = timeframe
        self._bar_ms = timeframe_ms(timeframe)
        self._history_bars = history_bars
        self._series = _GrowingBars(history)
        self._forget()
        self._genomes: dict[str, Genome] = {}
        self._whole: list[SeriesOperandValue] = []
        self._windowed: list[SeriesOperandValue] = []
        self._higher: list[_HigherColumns] = []
        self._tail_bars = 0
        self._newest: dict[str, Decision] = {}
        self.trade_for(genomes)

    @property
    def bars(self) -> Bars:
        """Return the bars that decisions come from, as views that the next bar may replace."""
        return self._series.bars

    def trade_for(self, genomes: Mapping[str, Genome]) -> None:
        """Decide for these strategies from now on.

        Raises
        ------
        StrategyError : one is for another timeframe; nothing has changed then.
        """
        for name, genome in genomes.items():
            if genome.timeframe != self.timeframe:
                raise StrategyError(
                    f"strategy {name[:12]} is for {genome.timeframe} bars, these are "
                    f"{self.timeframe}",
                    strategy=name,
                )
        self._genomes = dict(genomes)
        operands = required_operands(self._genomes.values())
        own = [operand for operand in operands if operand.timeframe in (None, self.timeframe)]
        self._windowed = [operand for operand in own if _is_windowed(operand)]
        self._whole = [operand for operand in own if not _is_windowed(operand)]
        higher: dict[str, list[SeriesOperandValue]] = {}
        for operand in operands:
            if operand.timeframe not in (None, self.timeframe):
                higher.setdefault(operand.timeframe, []).append(operand)
        self._higher = [_HigherColumns(self.timeframe, *of) for of in higher.items()]
        self._tail_bars = _tail_bars(self._genomes.values())
        self._newest = {}

    async def decide(self, bar: ClosedBar) -> Mapping[str, Decision]:
        """Take the bar that closed and return each strategy's decision, by id.

        Raises
        ------
        DataError : the bar is older than the newest one known.
        """
        return self.take(bar)

    def take(self, bar: ClosedBar) -> Mapping[str, Decision]:
        """Do what `decide` does, at once; the newest bar may be told again."""
        newest_at = self._series.newest_at
        if newest_at is not None and bar.at < newest_at:
            raise DataError(
                f"bar {bar.at} came after bar {newest_at}: decisions need bars in order",
                bar_at=bar.at,
            )
        if newest_at != bar.at:
            self._series.add(bar)
            self._forget()
        return self.newest()

    def newest(self) -> Mapping[str, Decision]:
        """Return each strategy's decision at the newest bar; empty without bars."""
        newest_at = self._series.newest_at
        if newest_at is None:
            return {}
        held = next(iter(self._newest.values()), None)
        if held is None or held.bar_at != newest_at:
            self._newest = self._decisions(newest_at)
        return self._newest

    def _decisions(self, bar_at: int) -> dict[str, Decision]:
        if not self._genomes:
            return {}
        tail, columns = self._columns()
        bank = ConditionBank(tail, self.timeframe, columns)
        last = len(tail) - 1
        word, bit = last >> 6, np.uint64(last & 63)
        named = list(self._genomes.items())
        found: dict[str, Decision] = {}
        for first in range(0, len(named), MAX_BATCH):
            batch = named[first : first + MAX_BATCH]
            truths = bank.truths([genome for _, genome in batch])
            held = ((truths[:, :, word] >> bit) & np.uint64(1)).tolist()
            for (name, genome), (long, short, leaves_long, leaves_short) in zip(
                batch, held, strict=True
            ):
                target = genome.risk.volatility_target
                found[name] = Decision(
                    bar_at=bar_at,
                    side=long - short,
                    leaves_long=bool(leaves_long),
                    leaves_short=bool(leaves_short),
                    size_frac=(
                        None if target is None else float(bank.size_frac(genome, target)[last])
                    ),
                )
        return found

    def _columns(self) -> tuple[Bars, Columns]:
        """Return the newest bars and every operand's column over them."""
        bars = self._series.bars
        n_bars = len(bars)
        tail = bars.slice(max(0, n_bars - self._tail_bars), n_bars)
        near = compute_columns(tail, self.timeframe, self._windowed)
        far = compute_columns(bars, self.timeframe, self._whole)
        parts = [near.matrix, far.matrix[:, n_bars - len(tail) :]]
        parts += [higher.over(tail, bars) for higher in self._higher]
        operands = [*self._windowed, *self._whole]
        for higher in self._higher:
            operands += higher.operands
        return tail, Columns(np.concatenate(parts), {o.key: row for row, o in enumerate(operands)})

    def _forget(self) -> None:
        newest_at = self._series.newest_at
        if self._history_bars is not None and newest_at is not None:
            self._series.drop_before(history_start_at(newest_at, self._history_bars, self._bar_ms))


def _is_windowed(operand: SeriesOperandValue) -> bool:
    is_own = operand.timeframe is None
    return is_own and isinstance(operand, IndicatorOperand) and operand.name in WINDOWED


def _tail_bars(genomes: Iterable[Genome]) -> int:
    """Return how many of the newest bars hold everything that the newest decision reads."""
    longest = 1
    for genome in genomes:
        if genome.risk.volatility_target is not None:
            longest = max(longest, VOLATILITY_BARS + 1)
        for condition in genome.conditions():
            longest = max(longest, _reach(condition))
    return longest + _SPARE_BARS


def _reach(condition: Condition) -> int:
    warmups = [
        warmup_bars(operand.name, operand.params)
        for operand in condition.operands()
        if isinstance(operand, IndicatorOperand) and _is_windowed(operand)
    ]
    return max(warmups, default=0) + (condition.bars or 1) + 1


class _HigherColumns:
    """Columns of one higher timeframe, computed when one of its bars has closed."""

    def __init__(
        self, base_timeframe: str, timeframe: str, operands: Sequence[SeriesOperandValue]
    ) -> None:
        self.operands = operands
        self._base_timeframe = base_timeframe
        self._timeframe = timeframe
        self._computed_for: tuple[int, int] | None = None
        self._opens: IntArray = np.zeros(0, dtype=np.int64)
        self._matrix: FloatArray = np.zeros((len(operands), 0))

    def over(self, tail: Bars, bars: Bars) -> FloatArray:
        """Return the columns at the newest bars, shape (n_operands, n_tail)."""
        # A bucket is kept once time has passed its end, and no later bar changes it.
        n_passed = (int(bars.timestamp[-1]) + timeframe_ms(self._base_timeframe)) // timeframe_ms(
            self._timeframe
        )
        computed_for = (int(bars.timestamp[0]), n_passed)
        if computed_for != self._computed_for:
            higher = resample(bars, self._base_timeframe, self._timeframe)
            self._matrix = compute_columns(higher, self._timeframe, self.operands).matrix
            self._opens = higher.timestamp
            self._computed_for = computed_for
        closed = last_closed_index(
            tail.timestamp, self._base_timeframe, self._opens, self._timeframe
        )
        return spread_over(self._matrix, closed)


class _GrowingBars:
    """Bars in arrays with room at the end."""

    def __init__(self, bars: Bars) -> None:
        self._hold(bars)

    @property
    def bars(self) -> Bars:
        part = slice(self._start, self._stop)
        return Bars(self._timestamp[part], *(row[part] for row in self._values))

    @property
    def newest_at(self) -> int | None:
        return int(self._timestamp[self._stop - 1]) if self._stop > self._start else None

    def add(self, bar: ClosedBar) -> None:
        if self._stop == self._timestamp.shape[0]:
            self._hold(self.bars)
        self._timestamp[self._stop] = bar.at
        self._values[:, self._stop] = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        self._stop += 1

    def drop_before(self, start_at: int) -> None:
        kept = self._timestamp[self._start : self._stop]
        self._start += int(np.searchsorted(kept, start_at))

    def _hold(self, bars: Bars) -> None:
        self._start, self._stop = 0, len(bars)
        room = self._stop + _GROWTH
        timestamp: IntArray = np.zeros(room, dtype=np.int64)
        values: FloatArray = np.zeros((5, room))
        timestamp[: self._stop] = bars.timestamp
        columns: Sequence[FloatArray] = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        for row, column in zip(values, columns, strict=True):
            row[: self._stop] = column
        self._timestamp, self._values = timestamp, values
