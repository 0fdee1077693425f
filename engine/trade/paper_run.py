"""A paper run: a replay, its backtest on the same bars, and how the two compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.backtest.run import BacktestResult, BacktestSettings, Evaluator, prepare_series
from engine.trade.comparison import compare
from engine.trade.differences import Comparison, PaperRecord, logged_trades
from engine.trade.paper_account import AccountEnd
from engine.trade.paper_metrics import paper_metrics
from engine.trade.replay import EntrantEnd, OnStep, Replay
from engine.trade.replay_terms import Entrant, ReplayTerms
from engine.trade.simulated.faults import NO_FAULTS
from engine.types import Bars, timeframe_ms


@dataclass(frozen=True, slots=True, eq=False)
class PaperResult:
    """One entrant's paper run.

    Attributes
    ----------
    metrics : of the paper trading, by name
    backtest : of the same strategy on the same bars, with the same capital
    """

    end: EntrantEnd
    metrics: Mapping[str, float]
    backtest: BacktestResult
    comparison: Comparison


@dataclass(frozen=True, slots=True, eq=False)
class PaperRun:
    """All of a paper run."""

    results: tuple[PaperResult, ...]
    accounts: tuple[AccountEnd, ...]

    @property
    def n_unexplained(self) -> int:
        """Return how many trades differ from the backtest's and nothing says why."""
        return sum(result.comparison.n_unexplained for result in self.results)

    @property
    def is_sound(self) -> bool:
        """Return whether journals verify and agree with their venues."""
        return all(end.is_agreed and end.is_journal_whole for end in self.accounts)


async def paper_run(
    series: Mapping[str, Bars],
    starts: Mapping[str, int],
    timeframe: str,
    entrants: Sequence[Entrant],
    terms: ReplayTerms,
    settings: BacktestSettings,
    folder: Path,
    on_step: OnStep | None = None,
) -> PaperRun:
    """Trade entrants on stored bars, and compare with their backtests.

    Parameters
    ----------
    series : bars by symbol; those before `starts` are history for decisions
    settings : of the backtests; their capital and costs are those of `terms`
    folder : for journals and latches, empty

    Raises
    ------
    UsageError, DataError, StrategyError : as `Replay` and `Evaluator`.
    """
    replay = Replay(series, starts, timeframe, entrants, terms, folder)
    ended = await replay.run(on_step)
    own = BacktestSettings(
        initial_capital_quote=float(terms.capital_quote),
        costs=terms.costs,
        min_trades_fitness=settings.min_trades_fitness,
        drawdown_weight=settings.drawdown_weight,
    )
    evaluators = {
        symbol: Evaluator(
            prepare_series(symbol, "", timeframe, terms.market_type, bars, (), ()), own
        )
        for symbol, bars in series.items()
    }
    verdicts = {name: v for account in ended.accounts for name, v in account.verdicts.items()}
    results = []
    for end in ended.entrants:
        symbol = end.entrant.symbol
        backtest = evaluators[symbol].backtest(end.entrant.genome, starts.get(symbol, 0))
        record = PaperRecord(
            trips=end.trips,
            open_trade=end.open_trade,
            orders=end.orders,
            instrument=end.instrument,
            bar_ms=timeframe_ms(timeframe),
            verdicts=verdicts,
            missed_bars=end.missed_bars,
            latency_ms=terms.latency_ms,
            has_faults=terms.faults != NO_FAULTS,
            fee_in_base=terms.commission_in == "received",
        )
        measured = paper_metrics(
            end.equity,
            end.is_held,
            end.timestamp,
            end.trips,
            end.fills,
            end.orders,
            timeframe,
            min_trades_fitness=settings.min_trades_fitness,
            drawdown_weight=settings.drawdown_weight,
        )
        comparison = compare(logged_trades(backtest, series[symbol].timestamp), record)
        results.append(PaperResult(end, measured, backtest, comparison))
    return PaperRun(tuple(results), ended.accounts)
