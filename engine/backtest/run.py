"""Backtests through the kernel: a series prepared once, any number of strategies run over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.backtest import layout
from engine.backtest.accounting import running_sums_nb
from engine.backtest.batch import evaluate_batch_nb
from engine.backtest.costs import Costs
from engine.backtest.finish import finish_nb
from engine.backtest.kernel import simulate_nb
from engine.backtest.metric_names import METRIC_NAMES, N_METRICS
from engine.backtest.rules import N_RULES, ExitReason, Rules
from engine.errors import ConfigError, DataError, NonFiniteError, StrategyError
from engine.strategy.columns import Columns, compute_columns, required_operands
from engine.strategy.compiled import read_only
from engine.strategy.decisions import MAX_BATCH, ConditionBank, Decisions, Picks
from engine.strategy.genome import Genome
from engine.types import MS_PER_DAY, Bars, FloatArray, IntArray, Segment, bars_per_year

ENGINE_VERSION = "1"
"""Part of the ledger's key: raise it whenever a result could change."""

SMALLEST, LARGEST = 1e-30, 1e30
"""Prices and capital between these: products and powers of four stay far from where floats end."""


@dataclass(frozen=True, slots=True)
class BacktestSettings:
    """What a run needs besides strategy and bars.

    Attributes
    ----------
    initial_capital_quote : > 0, the deployment's allocation
    costs : commission and slippage of every fill
    min_trades_fitness : below it fitness is undefined
    drawdown_weight : of the maximum drawdown in the fitness
    """

    initial_capital_quote: float = 10_000.0
    costs: Costs = field(default_factory=Costs)
    min_trades_fitness: int = 10
    drawdown_weight: float = 2.0

    def __post_init__(self) -> None:
        if not SMALLEST <= self.initial_capital_quote <= LARGEST:
            raise ConfigError(
                f"initial_capital_quote = {self.initial_capital_quote} cannot be traded with: use "
                f"a number from {SMALLEST:g} to {LARGEST:g}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSeries:
    """One symbol's bars, segments and shared columns; picklable, arrays travel uncopied.

    Attributes
    ----------
    segments : (segment, start, stop) with bar indices start <= i < stop
    """

    symbol: str
    exchange: str
    timeframe: str
    market_type: str
    bars: Bars
    series_hash: str
    segments: tuple[tuple[Segment, int, int], ...]
    columns: Columns


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip.

    Attributes
    ----------
    side : 1 long, -1 short
    entry_bar, exit_bar : bar indices of the fills; exit_bar is None while open
    entry, exit : fill prices, slippage included, quote currency
    net_return : profit over the equity committed, commission included, fraction
    """

    side: int
    entry_bar: int
    entry: float
    exit_bar: int | None
    exit: float | None
    reason: str | None
    qty_base: float
    pnl_quote: float
    net_return: float
    equity_after_quote: float


@dataclass(frozen=True, slots=True, eq=False)
class BacktestResult:
    """Everything one run shows.

    Attributes
    ----------
    metrics : by name, see METRIC_NAMES
    trades : closed trades in order; open_trade is not among them
    equity : ndarray of shape (n_bars + 1,), quote currency; the first point is the initial capital
    timestamp : ndarray of shape (n_bars,), UTC ms of each bar's open
    """

    metrics: dict[str, float]
    trades: tuple[Trade, ...]
    open_trade: Trade | None
    equity: FloatArray
    timestamp: IntArray


class Evaluator:
    """Run strategies over one prepared series, sharing indicator and condition columns.

    Not safe for two threads at once: it owns scratch arrays. Survives a bad strategy unharmed.

    Raises
    ------
    NonFiniteError : a price that is not a number from SMALLEST to LARGEST.
    """

    def __init__(self, prepared: PreparedSeries, settings: BacktestSettings) -> None:
        bars = prepared.bars
        _check_prices(prepared)
        self.prepared = prepared
        self._settings = settings
        self._bank = ConditionBank(bars, prepared.timeframe, prepared.columns)
        self._per_year = bars_per_year(prepared.timeframe)
        self._arrays = tuple(read_only(a) for a in (bars.open, bars.high, bars.low, bars.close))
        self._blocks = (
            _blocks(bars.low, np.minimum, np.inf),
            _blocks(bars.high, np.maximum, -np.inf),
            _blocks(bars.close, np.minimum, np.inf),
            _blocks(bars.close, np.maximum, -np.inf),
        )
        self._sums = running_sums_nb(self._arrays[3])
        self._scratch = np.empty(len(bars) + 1)
        self._lanes = np.empty((layout.N_LANE_SUMS, layout.N_LANES))
        self._acc = np.empty(layout.N_ACC)
        self._at = np.empty(4, dtype=np.int64)
        self._trade = np.empty(layout.N_TRADE)
        self._no_trades = np.empty((0, layout.N_TRADE))
        self._picks = Picks.empty(MAX_BATCH)
        ends = [day_ends(bars.timestamp, a, b) for _, a, b in prepared.segments]
        edges = np.cumsum([0, *(len(days) for days in ends)])
        self._day_ends = np.concatenate(ends) if ends else np.empty(0, dtype=np.int64)
        self._day_spans = np.stack((edges[:-1], edges[1:]), axis=1).astype(np.int64)
        self._spans = np.array(
            [(start, stop) for _, start, stop in prepared.segments], dtype=np.int64
        ).reshape(-1, 2)

    def evaluate(self, genome: Genome) -> FloatArray:
        """Return the metrics of `genome` on every segment, shape (n_segments, N_METRICS).

        Raises
        ------
        StrategyError : the genome is for another timeframe, or an operand cannot be computed.
        """
        row: FloatArray = self.evaluate_many([genome])[0]
        return row

    def evaluate_many(
        self, genomes: Sequence[Genome], rules: Sequence[Rules] | None = None
    ) -> FloatArray:
        """Return the metrics of many strategies on every segment.

        Parameters
        ----------
        genomes : any number of them
        rules : exits and sizes to use instead of the genomes' own, one each

        Returns
        -------
        ndarray of shape (n_genomes, n_segments, N_METRICS), float64, columns as METRIC_NAMES.

        Raises
        ------
        StrategyError : a genome is for another timeframe, or an operand cannot be computed.
        DataError : a segment without bars.
        """
        self._check_segments()
        out = np.empty((len(genomes), len(self._spans), N_METRICS))
        for first in range(0, len(genomes), MAX_BATCH):
            part = genomes[first : first + MAX_BATCH]
            given = None if rules is None else rules[first : first + MAX_BATCH]
            self._evaluate_batch(part, given, out[first : first + MAX_BATCH])
        return out

    def _evaluate_batch(
        self, genomes: Sequence[Genome], rules: Sequence[Rules] | None, out: FloatArray
    ) -> None:
        for genome in genomes:
            self._check_timeframe(genome)
        settings = self._settings
        self._bank.pick(genomes, self._picks)
        vectors = np.empty((len(genomes), N_RULES))
        targets = np.full(len(genomes), np.nan)
        for i, genome in enumerate(genomes):
            own = Rules.of(genome) if rules is None else rules[i]
            own.write(vectors[i], settings.costs, settings.initial_capital_quote)
            if genome.risk.volatility_target is not None:
                targets[i] = genome.risk.volatility_target
        is_sized = bool(np.any(targets > 0.0))
        evaluate_batch_nb(
            *self._arrays,
            *self._blocks,
            self._sums,
            self._scratch,
            self._lanes,
            self._bank.words,
            self._picks.ends,
            self._picks.picked,
            self._picks.needed,
            vectors,
            self._bank.volatility() if is_sized else self._scratch,
            targets,
            self._spans,
            self._day_ends,
            self._day_spans,
            self._per_year,
            settings.min_trades_fitness,
            settings.drawdown_weight,
            self._acc,
            self._at,
            self._trade,
            self._no_trades,
            out,
        )

    def _check_timeframe(self, genome: Genome) -> None:
        if genome.timeframe != self.prepared.timeframe:
            raise StrategyError(
                f"strategy {genome.id[:12]} is for {genome.timeframe} bars, the series has "
                f"{self.prepared.timeframe}",
                strategy=genome.id,
            )

    def _check_segments(self) -> None:
        for segment, start, stop in self.prepared.segments:
            if stop <= start:
                raise DataError(
                    f"the {segment} segment of {self.prepared.symbol} holds no bars: widen the "
                    "window"
                )

    def backtest(self, genome: Genome, start: int = 0, stop: int | None = None) -> BacktestResult:
        """Return metrics, trades and equity over bars start <= i < stop, flat at first."""
        return self.backtest_decisions(self.decisions(genome), Rules.of(genome), start, stop)

    def measure(self, genome: Genome, start: int, stop: int) -> FloatArray:
        """Return the metrics of one strategy over bars start <= i < stop, shape (N_METRICS,).

        The same as those of `backtest`, without trades and equity.
        """
        vector, out = np.empty(N_RULES), np.empty(N_METRICS)
        settings = self._settings
        Rules.of(genome).write(vector, settings.costs, settings.initial_capital_quote)
        ends = day_ends(self.prepared.bars.timestamp, start, stop)
        decisions = self.decisions(genome)
        self._simulate(decisions, vector, start, stop, ends, self._no_trades, out)
        return out

    def decisions(self, genome: Genome) -> Decisions:
        """Return what `genome` wants at the close of each bar."""
        return self._bank.decisions(genome)

    def backtest_decisions(
        self, decisions: Decisions, rules: Rules, start: int = 0, stop: int | None = None
    ) -> BacktestResult:
        """Return metrics, trades and equity of given decisions over bars start <= i < stop."""
        bars = self.prepared.bars
        stop = len(bars) if stop is None else stop
        if not 0 <= start < stop <= len(bars):
            raise DataError(f"no bars between {start} and {stop} of {len(bars)}: widen the window")
        vector = np.empty(N_RULES)
        rules.write(vector, self._settings.costs, self._settings.initial_capital_quote)
        log = np.full((stop - start + 1, layout.N_TRADE), np.nan)
        out = np.empty(N_METRICS)
        ends = day_ends(bars.timestamp, start, stop)
        n_closed = self._simulate(decisions, vector, start, stop, ends, log, out)
        n_logged = n_closed + int(self._acc[layout.A_OPEN])
        equity = _equity(
            log[:n_logged], bars.close, start, stop, self._settings.initial_capital_quote
        )
        trades = [_trade(row) for row in log[:n_logged]]
        return BacktestResult(
            metrics=dict(zip(METRIC_NAMES, out.tolist(), strict=True)),
            trades=tuple(trades[:n_closed]),
            open_trade=trades[n_closed] if n_logged > n_closed else None,
            equity=equity,
            timestamp=bars.timestamp[start:stop],
        )

    def _simulate(
        self,
        decisions: Decisions,
        vector: FloatArray,
        start: int,
        stop: int,
        ends: IntArray,
        log: FloatArray,
        out: FloatArray,
    ) -> int:
        day_equity = np.empty(ends.shape[0])
        n_closed = simulate_nb(
            *self._arrays,
            *self._blocks,
            self._sums,
            self._scratch,
            self._lanes,
            decisions.long_entry,
            decisions.short_entry,
            decisions.long_exit,
            decisions.short_exit,
            decisions.size_frac,
            decisions.exit_rules,
            start,
            stop,
            vector,
            ends,
            day_equity,
            self._acc,
            self._at,
            self._trade,
            log,
        )
        finish_nb(
            self._acc,
            stop - start,
            self._per_year,
            self._per_year / 365.0,
            self._settings.initial_capital_quote,
            day_equity,
            self._settings.min_trades_fitness,
            self._settings.drawdown_weight,
            out,
        )
        return int(n_closed)


def evaluate(genome: Genome, prepared: PreparedSeries, settings: BacktestSettings) -> FloatArray:
    """Return one strategy's metrics, (n_segments, N_METRICS); many share an `Evaluator`."""
    return Evaluator(prepared, settings).evaluate(genome)


def prepare_series(
    symbol: str,
    exchange: str,
    timeframe: str,
    market_type: str,
    bars: Bars,
    segments: Sequence[tuple[Segment, int, int]],
    genomes: Sequence[Genome] = (),
) -> PreparedSeries:
    """Return a series with the columns that `genomes` need computed once."""
    columns = compute_columns(bars, timeframe, required_operands(genomes))
    return PreparedSeries(
        symbol=symbol,
        exchange=exchange,
        timeframe=timeframe,
        market_type=market_type,
        bars=bars,
        series_hash=bars.content_hash(),
        segments=tuple(segments),
        columns=columns,
    )


def backtest(
    genome: Genome,
    bars: Bars,
    timeframe: str,
    settings: BacktestSettings,
    start: int = 0,
    stop: int | None = None,
) -> BacktestResult:
    """Return metrics, trades and equity of one strategy over bars start <= i < stop.

    Raises
    ------
    DataError : no bars in that range.
    StrategyError : an operand cannot be computed from these bars.
    """
    prepared = prepare_series("", "", timeframe, "", bars, (), (genome,))
    return Evaluator(prepared, settings).backtest(genome, start, stop)


def day_ends(timestamp: IntArray, start: int, stop: int) -> IntArray:
    """Return the indices in start <= i < stop of the last bar of each UTC day."""
    days = timestamp[start:stop] // MS_PER_DAY
    last = np.flatnonzero(np.diff(days)) + start
    return np.append(last, stop - 1).astype(np.int64) if stop > start else last.astype(np.int64)


def metrics_by_name(row: FloatArray) -> Mapping[str, float]:
    """Return a metrics row as name → value."""
    return dict(zip(METRIC_NAMES, row.tolist(), strict=True))


def _check_prices(prepared: PreparedSeries) -> None:
    bars = prepared.bars
    for name in ("open", "high", "low", "close"):
        values: FloatArray = getattr(bars, name)
        is_fine = (values >= SMALLEST) & (values <= LARGEST)
        if not np.all(is_fine):
            bar = int(np.argmin(is_fine))
            raise NonFiniteError(
                f"{prepared.symbol or 'the series'}: the {name} of bar {bar} is {values[bar]}, "
                f"prices must be numbers from {SMALLEST:g} to {LARGEST:g}",
                bar=bar,
            )


def _blocks(values: FloatArray, extreme: np.ufunc, fill: float) -> FloatArray:
    n_blocks = -(-values.shape[0] // layout.BLOCK)
    padded = np.full(n_blocks * layout.BLOCK, fill)
    padded[: values.shape[0]] = values
    reduced: FloatArray = extreme.reduce(padded.reshape(n_blocks, layout.BLOCK), axis=1)
    return reduced


def _equity(
    log: FloatArray, close: FloatArray, start: int, stop: int, initial: float
) -> FloatArray:
    """Rebuild the equity curve from the trade records."""
    equity = np.full(stop - start + 1, initial)
    for row in log:
        entry_bar, exit_bar = int(row[layout.T_ENTRY_BAR]), int(row[layout.T_EXIT_BAR])
        held = close[entry_bar:exit_bar]
        equity[entry_bar - start + 1 : exit_bar - start + 1] = (
            row[layout.T_BASE] + row[layout.T_SIGNED_QTY] * held
        )
        equity[exit_bar - start + 1 :] = row[layout.T_EQUITY_AFTER]
    return equity


def _trade(row: FloatArray) -> Trade:
    is_open = row[layout.T_REASON] < 0
    return Trade(
        side=int(row[layout.T_SIDE]),
        entry_bar=int(row[layout.T_ENTRY_BAR]),
        entry=float(row[layout.T_ENTRY]),
        exit_bar=None if is_open else int(row[layout.T_EXIT_BAR]),
        exit=None if is_open else float(row[layout.T_EXIT]),
        reason=None if is_open else ExitReason(int(row[layout.T_REASON])).name.lower(),
        qty_base=abs(float(row[layout.T_SIGNED_QTY])),
        pnl_quote=float(row[layout.T_PNL]),
        net_return=float(row[layout.T_RETURN]),
        equity_after_quote=float(row[layout.T_EQUITY_AFTER]),
    )
