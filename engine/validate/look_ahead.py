"""Does a strategy read what it cannot know? Change the future, compare the past.

Two promises are tested. At the close of a bar a strategy knows that bar and those before it:
whatever comes later is removed, or replaced by other valid bars, and every decision and completed
fill up to the bar must stay what it was. Where an order fills inside a bar, its price was fixed
before the bar began: the bar's extremes and close are moved so that the same order is touched
again, and the fill must stay what it was.

The checker sees a function from bars to behaviour, so that one test serves genomes, other kinds of
strategy and deliberate leaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.backtest.rules import Rules
from engine.backtest.run import BacktestSettings, Evaluator, Trade, prepare_series
from engine.errors import StrategyError
from engine.market.bars import utc_text
from engine.strategy.bits import unpack
from engine.strategy.decisions import ConditionBank, Decisions
from engine.strategy.genome import Genome
from engine.types import TIMEFRAME_MS, Bars, IntArray, timeframe_ms
from engine.validate.findings import Finding, Severity
from engine.validate.futures import MIXED_FUTURES, STEADY_FUTURES, with_future, with_inside
from engine.validate.genome_check import genome_warmup_bars

TESTED_BARS = 576
"""Bars on which a genome is tested after its warm-up: two days of 5m."""

LEAST_BARS = 64
"""Bars after the warm-up below which a test would show nothing."""

MAX_INSIDE = 5
"""Trades whose bars are changed inside: room for stop, trailing, target, signal and time."""

_FUTURE_SHARE = 8  # the last eighth is never cut, so that there is a future to change
# Everything that a fill settles, its bar first.
_entry_of = attrgetter("entry_bar", "side", "entry", "qty_base")
_exit_of = attrgetter("exit_bar", "exit", "reason", "pnl_quote", "net_return", "equity_after_quote")

Column = npt.NDArray[Any]
Fill = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Behaviour:
    """What a strategy does on a series of bars.

    Attributes
    ----------
    columns : by name, ndarray of shape (n_bars,): what it decides, or reads, at each bar's close;
        boolean ones are decisions to act, and cuts are made where they are true
    trades : round trips in the order of their entries, an open one last
    """

    columns: Mapping[str, Column]
    trades: tuple[Trade, ...] = ()


Behave = Callable[[Bars], Behaviour]


def look_ahead_findings(
    genome: Genome, bars: Bars, timeframe: str, *, seed: int = 0, n_cuts: int = 6
) -> list[Finding]:
    """Return what shows that `genome` knows the future on `bars`; empty if nothing does.

    Parameters
    ----------
    genome : for bars of `timeframe`
    bars : the genome's warm-up and `TESTED_BARS` more are looked at, the last ones there are
    seed : int >= 0, of the cut points and of the bars put in place of the future
    n_cuts : int > 0

    Returns
    -------
    list of Finding : as `behaviour_findings`, or one warning `look_ahead.too_few_bars` when the
        warm-up leaves nothing to test.

    Raises
    ------
    StrategyError : the genome is for another timeframe, or an operand cannot be computed.
    """
    warmup = genome_warmup_bars(genome)
    if len(bars) < warmup + LEAST_BARS:
        return [
            Finding(
                code="look_ahead.too_few_bars",
                severity=Severity.WARNING,
                message=f"look-ahead was not tested: {len(bars)} bars are too few after a warm-up "
                f"of {warmup}; give at least {warmup + LEAST_BARS}",
                place="conditions",
            )
        ]
    part = bars.slice(max(0, len(bars) - warmup - TESTED_BARS), len(bars))
    behave = partial(genome_behaviour, genome, timeframe)
    return behaviour_findings(behave, part, timeframe, first=warmup, seed=seed, n_cuts=n_cuts)


def genome_behaviour(genome: Genome, timeframe: str, bars: Bars) -> Behaviour:
    """Return decisions, operand columns and trades of `genome`, computed by the engine's own code.

    Raises
    ------
    StrategyError : the genome is for another timeframe, or an operand cannot be computed.
    """
    if genome.timeframe != timeframe:
        raise StrategyError(
            f"strategy {genome.id[:12]} is for {genome.timeframe} bars, these are {timeframe}",
            strategy=genome.id,
        )
    prepared = prepare_series("", "", timeframe, "", bars, (), (genome,))
    decisions = ConditionBank(bars, timeframe, prepared.columns).decisions(genome)
    evaluator = Evaluator(prepared, BacktestSettings())
    result = evaluator.backtest_decisions(decisions, Rules.of(genome))
    operands = {key: prepared.columns.matrix[row] for key, row in prepared.columns.index.items()}
    still_open = () if result.open_trade is None else (result.open_trade,)
    return Behaviour(
        {**decision_columns(decisions, len(bars)), **operands}, (*result.trades, *still_open)
    )


def decision_columns(decisions: Decisions, n_bars: int) -> dict[str, Column]:
    """Return decisions as columns of shape (n_bars,), `size_frac` only when it has values."""
    names = ("long_entry", "short_entry", "long_exit", "short_exit")
    columns: dict[str, Column] = {name: unpack(getattr(decisions, name), n_bars) for name in names}
    if decisions.size_frac.shape[0]:
        columns["size_frac"] = decisions.size_frac
    return columns


def behaviour_findings(
    behave: Behave,
    bars: Bars,
    timeframe: str,
    *,
    first: int = 0,
    seed: int = 0,
    n_cuts: int = 6,
) -> list[Finding]:
    """Return what shows that a strategy knows the future; empty if nothing does.

    Parameters
    ----------
    behave : pure function of the bars, with the same columns for any; it must take a series that
        ends at any bar from `first` on
    bars : at least `LEAST_BARS` after `first`
    first : bar before which nothing is cut, such as the warm-up
    seed : int >= 0, of the cut points and of the bars put in place of the future
    n_cuts : int > 0

    Returns
    -------
    list of Finding : errors, at most one for each code and column; the place of a
        `look_ahead.decision` is a column, that of a `look_ahead.fill` entry or exit, and the UTC
        open of the bar.

    Raises
    ------
    StrategyError : too few bars, or a column that has not one value for each bar.
    """
    rng = np.random.default_rng(seed)
    stop = len(bars) - max(1, (len(bars) - first) // _FUTURE_SHARE)
    if first >= stop:
        raise StrategyError(
            f"{len(bars)} bars are too few to test for look-ahead after the first {first}: give "
            f"at least {first + LEAST_BARS}"
        )
    truth = _observed(behave, bars)
    if not (_decided(truth, first, stop) or _filled(truth, first, stop)):
        # What never acts here shows little: let it see livelier bars.
        bars = with_future(bars, first, MIXED_FUTURES[-1], rng)
        truth = _observed(behave, bars)
    report = _Report(bars)
    for i, cut in enumerate(
        _cuts(truth, _between_closes(bars, timeframe), first, stop, n_cuts, rng)
    ):
        after = utc_text(bars.timestamp[cut])
        for kind in (*STEADY_FUTURES, MIXED_FUTURES[i % len(MIXED_FUTURES)]):
            seen = _observed(behave, with_future(bars, cut, kind, rng))
            why = f"when only the bars after {after} were {kind}: it reads bars not closed by then"
            report.compare_columns(truth, seen, cut, why)
            report.compare_fills(truth.trades, seen.trades, cut, why)
    for k in _sampled_trades(truth.trades, rng):
        _compare_inside(behave, bars, truth, k, report, rng)
    return list(report.found.values())


@dataclass(slots=True)
class _Report:
    """The findings so far, the first one met for each code and column."""

    bars: Bars
    found: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def compare_columns(self, truth: Behaviour, seen: Behaviour, last: int, why: str) -> None:
        """Note every column that differs at a bar up to `last`."""
        for name, column in truth.columns.items():
            known, now = column[: last + 1], seen.columns[name][: last + 1]
            # NaN is the one value that differs from itself.
            differs = (known != now) & ((known == known) | (now == now))
            if differs.any():
                self._add("look_ahead.decision", name, int(np.argmax(differs)), why)

    def compare_fills(
        self, truth: Sequence[Trade], seen: Sequence[Trade], last: int, why: str
    ) -> None:
        """Note the first entry and the first exit up to bar `last` that differ."""
        for name, was, now in (
            ("entry", _entries(truth, last), _entries(seen, last)),
            ("exit", _exits(truth, last), _exits(seen, last)),
        ):
            bar = _first_difference(was, now)
            if bar is not None:
                self._add("look_ahead.fill", name, bar, why)

    def _add(self, code: str, name: str, bar: int, why: str) -> None:
        if (code, name) not in self.found:
            place = f"{name} at {utc_text(self.bars.timestamp[bar])}"
            self.found[code, name] = Finding(code, Severity.ERROR, f"{place} changed {why}", place)


def _observed(behave: Behave, bars: Bars) -> Behaviour:
    behaviour = behave(bars)
    for name, column in behaviour.columns.items():
        if column.shape != (len(bars),):
            raise StrategyError(
                f"column {name} has shape {column.shape} on {len(bars)} bars: return one value "
                "for each bar",
                column=name,
            )
    return behaviour


def _entries(trades: Sequence[Trade], last: int) -> list[Fill]:
    return [_entry_of(trade) for trade in trades if trade.entry_bar <= last]


def _exits(trades: Sequence[Trade], last: int) -> list[Fill]:
    return [
        _exit_of(trade) for trade in trades if trade.exit_bar is not None and trade.exit_bar <= last
    ]


def _first_difference(was: list[Fill], now: list[Fill]) -> int | None:
    """Return the bar of the first fill that differs, None when all are the same."""
    if was == now:
        return None
    for old, new in zip(was, now, strict=False):
        # The text of a float is exact, and that of NaN equals itself.
        if repr(old) != repr(new):
            return int(min(old[0], new[0]))
    shared = min(len(was), len(now))
    longer = max(was, now, key=len)
    return int(longer[shared][0]) if len(longer) > shared else None


def _cuts(
    truth: Behaviour,
    between: IntArray,
    first: int,
    stop: int,
    n_cuts: int,
    rng: np.random.Generator,
) -> list[int]:
    """Return bars to cut after: where it decides, where it fills, and between long bars' closes."""
    decided = _decided(truth, first, stop)
    filled = _filled(truth, first, stop)
    edges = np.linspace(first, stop, n_cuts + 1).astype(np.int64)
    cuts = []
    for i in range(n_cuts):
        low, high = edges[i], max(edges[i] + 1, edges[i + 1])
        choices = between[(between >= low) & (between < high)]
        # A strategy that seldom acts is cut wherever it does, the others evenly.
        if i % 3 == 0 and decided:
            choices = decided[i // 3 % len(decided)]
        elif i % 3 == 1 and filled:
            choices = filled[i // 3 % len(filled)]
        cuts.append(int(rng.choice(choices if choices.shape[0] else np.arange(low, high))))
    return cuts


def _decided(truth: Behaviour, first: int, stop: int) -> list[IntArray]:
    """Return the bars first <= i < stop at which each decision is taken, if it ever is."""
    decisions = (column for column in truth.columns.values() if column.dtype == np.bool_)
    taken = (np.flatnonzero(column[first:stop]) + first for column in decisions)
    return [bars for bars in taken if bars.shape[0]]


def _filled(truth: Behaviour, first: int, stop: int) -> list[IntArray]:
    """Return the bars first <= i < stop of exits and of entries, without empty ones."""
    exits = [trade.exit_bar for trade in truth.trades if trade.exit_bar is not None]
    entries = [trade.entry_bar for trade in truth.trades]
    fills = (np.array(bars, dtype=np.int64) for bars in (exits, entries))
    inside = (bars[(bars >= first) & (bars < stop)] for bars in fills)
    return [bars for bars in inside if bars.shape[0]]


def _between_closes(bars: Bars, timeframe: str) -> IntArray:
    """Return the bars at whose close no bar of a longer timeframe closes."""
    step_ms = timeframe_ms(timeframe)
    closes = np.zeros(len(bars), dtype=np.bool_)
    for longer_ms in TIMEFRAME_MS.values():
        if longer_ms > step_ms and longer_ms % step_ms == 0:
            closes |= (bars.timestamp + step_ms) % longer_ms == 0
    return np.flatnonzero(~closes)


def _sampled_trades(trades: Sequence[Trade], rng: np.random.Generator) -> list[int]:
    """Return up to `MAX_INSIDE` indices into `trades`: one of each reason, then a second, ..."""
    n_seen: Counter[str | None] = Counter()
    ranked = []
    for k in rng.permutation(len(trades)).tolist():
        reason = trades[k].reason
        # An open trade shows only its entry, which the others show as well.
        ranked.append((n_seen[reason], reason is None, k))
        n_seen[reason] += 1
    return [k for _, _, k in sorted(ranked)[:MAX_INSIDE]]


def _compare_inside(
    behave: Behave,
    bars: Bars,
    truth: Behaviour,
    k: int,
    report: _Report,
    rng: np.random.Generator,
) -> None:
    """Change the bars in which trade `k` was filled; what the open fixed must stay."""
    trade = truth.trades[k]
    # One trade at a time is held, so those before it ended by the open of its entry bar.
    seen = _observed(behave, with_inside(bars, trade.entry_bar, True, True, rng))
    why = "when only the high, low and close of its bar did: its price must be fixed before"
    report.compare_columns(truth, seen, trade.entry_bar - 1, why)
    report.compare_fills(
        [*truth.trades[:k], _without_exit(trade)],
        [*seen.trades[:k], *map(_without_exit, seen.trades[k : k + 1])],
        trade.entry_bar,
        why,
    )
    # A ruined account is closed at the bar's close, which no order fixed.
    if trade.exit_bar is None or trade.reason == "ruin":
        return
    # A target is touched only while the stop is not: the bar may reach further on one side.
    is_target = trade.reason == "target"
    up, down = (not is_target or trade.side > 0), (not is_target or trade.side < 0)
    seen = _observed(behave, with_inside(bars, trade.exit_bar, up, down, rng))
    report.compare_columns(truth, seen, trade.exit_bar - 1, why)
    report.compare_fills(truth.trades[: k + 1], seen.trades[: k + 1], trade.exit_bar, why)


def _without_exit(trade: Trade) -> Trade:
    return replace(trade, exit_bar=None)
