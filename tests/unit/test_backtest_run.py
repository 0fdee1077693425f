"""Running a genome over segments: separation, defined results, errors in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backtest.costs import Costs
from engine.backtest.metric_names import METRIC_INDEX, N_METRICS
from engine.backtest.run import BacktestSettings, Evaluator, backtest, prepare_series
from engine.errors import ConfigError, DataError, StrategyError
from engine.strategy.genome import BarOperand, Condition, ConstantOperand, Exits, Genome, Risk
from engine.strategy.genome import IndicatorOperand as Indicator
from engine.types import Bars, Segment
from tests.property.test_kernel_oracle import random_bars

OFTEN = Genome(
    type="momentum",
    timeframe="5m",
    direction="long",
    long_entry=(Condition(left=BarOperand(field="close"), op="rising", bars=1),),
    exits=Exits(stop_frac=0.01, target_frac=0.01, max_bars=5),
)
NEVER = OFTEN.with_changes(
    long_entry=(Condition(left=Indicator(name="rsi"), op=">", right=ConstantOperand(value=1000.0)),)
)


def segments(n_bars: int) -> tuple[tuple[Segment, int, int], ...]:
    cut = n_bars * 2 // 3
    return ((Segment.FIT, 0, cut), (Segment.VALIDATION, cut, n_bars))


def bars(n_bars: int = 900, seed: int = 1) -> Bars:
    return random_bars(np.random.default_rng(seed), n_bars, 0.004)


def test_segments_are_measured_apart() -> None:
    series = bars()
    prepared = prepare_series("X/Y", "case", "5m", "perp", series, segments(900), (OFTEN,))
    both = Evaluator(prepared, BacktestSettings()).evaluate(OFTEN)
    assert both.shape == (2, N_METRICS)
    for row, (_, start, stop) in zip(both, prepared.segments, strict=True):
        alone = backtest(OFTEN, series, "5m", BacktestSettings(), start, stop)
        np.testing.assert_array_equal(row, list(alone.metrics.values()))
        assert row[METRIC_INDEX["n_bars"]] == stop - start
        assert all(start < trade.entry_bar < stop for trade in alone.trades)


def test_validation_does_not_see_what_fit_traded() -> None:
    series = bars()
    prepared = prepare_series("X/Y", "case", "5m", "perp", series, segments(900), (OFTEN,))
    before = Evaluator(prepared, BacktestSettings()).evaluate(OFTEN)[1]
    alone = prepare_series("X/Y", "case", "5m", "perp", series, segments(900)[1:], (OFTEN,))
    np.testing.assert_array_equal(Evaluator(alone, BacktestSettings()).evaluate(OFTEN)[0], before)


def test_a_strategy_without_trades_has_defined_results() -> None:
    result = backtest(NEVER, bars(), "5m", BacktestSettings())
    got = result.metrics
    assert got["n_trades"] == 0
    assert got["total_return"] == 0.0
    assert got["max_drawdown"] == 0.0
    for name in ("sharpe", "sortino", "profit_factor", "win_rate", "fitness", "calmar"):
        assert math.isnan(got[name]), name
    assert result.equity.shape == (901,)


def test_constant_prices_and_one_bar_do_not_crash() -> None:
    flat = np.full(50, 7.0)
    series = Bars(np.arange(50) * 300_000, flat, flat, flat, flat, np.zeros(50))
    assert backtest(OFTEN, series, "5m", BacktestSettings()).metrics["n_trades"] == 0
    one = backtest(OFTEN, series.slice(0, 1), "5m", BacktestSettings())
    assert one.metrics["total_return"] == 0.0
    assert math.isnan(one.metrics["sharpe"])


def test_fitness_is_log_growth_less_twice_the_drawdown() -> None:
    got = backtest(OFTEN, bars(), "5m", BacktestSettings()).metrics
    assert got["n_trades"] >= 10
    want = got["annual_log_growth"] - 2.0 * got["max_drawdown"]
    assert got["fitness"] == pytest.approx(want, rel=1e-12)


def test_costs_are_paid_on_every_fill() -> None:
    free = backtest(OFTEN, bars(), "5m", BacktestSettings(costs=Costs(0.0, 0.0)))
    paid = backtest(OFTEN, bars(), "5m", BacktestSettings(costs=Costs(0.001, 0.0005)))
    assert free.metrics["commission_quote"] == 0.0
    assert free.metrics["slippage_quote"] == 0.0
    fills = sum(trade.qty_base * (trade.entry + (trade.exit or 0.0)) for trade in paid.trades) + (
        paid.open_trade.qty_base * paid.open_trade.entry if paid.open_trade else 0.0
    )
    assert paid.metrics["commission_quote"] == pytest.approx(0.001 * fills, rel=1e-9)


def test_an_empty_range_and_a_wrong_timeframe_are_refused_in_words() -> None:
    with pytest.raises(DataError, match="widen the window"):
        backtest(OFTEN, bars(), "5m", BacktestSettings(), 10, 10)
    prepared = prepare_series("X/Y", "case", "15m", "perp", bars(), segments(900))
    with pytest.raises(StrategyError, match="is for 5m bars"):
        Evaluator(prepared, BacktestSettings()).evaluate(OFTEN)
    with pytest.raises(ConfigError, match="commission_frac"):
        Costs(commission_frac=-0.1)


def test_results_do_not_depend_on_what_ran_before() -> None:
    prepared = prepare_series("X/Y", "case", "5m", "perp", bars(), segments(900), (OFTEN,))
    evaluator = Evaluator(prepared, BacktestSettings())
    first = evaluator.evaluate(OFTEN)
    evaluator.evaluate(NEVER)
    np.testing.assert_array_equal(evaluator.evaluate(OFTEN), first)


def test_a_strategy_gives_the_same_bits_however_it_is_run() -> None:
    small = [
        OFTEN.with_changes(risk=Risk(size_frac=size), exits=Exits(stop_frac=stop, max_bars=n))
        for size in (0.1, 0.37, 1.0)
        for stop in (0.01, 0.05)
        for n in (3, 40)
    ]
    series = bars(2_000)
    prepared = prepare_series("X/Y", "case", "5m", "perp", series, segments(2_000), small)
    evaluator = Evaluator(prepared, BacktestSettings())
    together = evaluator.evaluate_many(small)
    for genome, rows in zip(small, together, strict=True):
        np.testing.assert_array_equal(rows, evaluator.evaluate(genome))
        for row, (_, start, stop) in zip(rows, prepared.segments, strict=True):
            alone = evaluator.backtest(genome, start, stop)
            np.testing.assert_array_equal(row, list(alone.metrics.values()))
