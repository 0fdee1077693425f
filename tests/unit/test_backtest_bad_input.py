"""Bars, capital and strategies at the edge: defined results, and all ways to run agree on them.

Undefined is nan, ruin is a total return of -1, and an infinity stands only where SPEC section 10
puts one. Every scenario runs through `Evaluator.backtest`, `evaluate_many` and the plain loop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.backtest import layout
from engine.backtest.costs import Costs
from engine.backtest.metric_names import METRIC_INDEX, METRIC_NAMES
from engine.backtest.plain import simulate_plain_nb
from engine.backtest.rules import N_RULES, ExitReason, Rules
from engine.backtest.run import BacktestResult, BacktestSettings, Evaluator, prepare_series
from engine.errors import ConfigError, NonFiniteError
from engine.market.bars import check_bars
from engine.market.store import MarketStore
from engine.strategy.bits import unpack
from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Direction,
    Exits,
    Genome,
    Risk,
    Sizing,
    StrategyType,
)
from engine.types import Bars, FloatArray, Segment, SeriesKey
from tests.property.test_kernel_oracle import assert_metrics

MIDNIGHT_AT = 1_704_067_200_000
STEP_MS = 300_000
FREE = Costs(0.0, 0.0)
KEY = SeriesKey("binance", "BTC/USDT", "5m")
CLOSE = BarOperand(field="close")
ALWAYS = Condition(left=CLOSE, op=">", right=ConstantOperand(value=0.0))
NEVER = Condition(left=CLOSE, op="<", right=ConstantOperand(value=0.0))
RISING = Condition(left=CLOSE, op="rising", bars=1)
FALLING = Condition(left=CLOSE, op="falling", bars=1)

# What may be nan, and what may be infinite and on which side; everything else is always a number.
UNDEFINED = {
    "fitness",
    "sharpe",
    "sortino",
    "calmar",
    "win_rate",
    "profit_factor",
    "expectancy_quote",
    "average_trade_return",
    "average_trade_bars",
    "return_std",
    "return_skewness",
    "return_kurtosis",
    "return_autocorrelation",
}
INFINITE = {
    "annual_return": math.inf,
    "calmar": math.inf,
    "profit_factor": math.inf,
    "annual_log_growth": -math.inf,
    "fitness": -math.inf,
}
IN_QUOTE = {name for name in METRIC_NAMES if name.endswith("_quote")}


def strategy(
    long: Condition | None = None,
    short: Condition | None = None,
    *,
    exits: Exits | None = None,
    risk: Risk | None = None,
) -> Genome:
    direction = Direction.BOTH if long and short else Direction.LONG if long else Direction.SHORT
    return Genome(
        type=StrategyType.MOMENTUM,
        timeframe="5m",
        direction=direction,
        long_entry=(long,) if long else (),
        short_entry=(short,) if short else (),
        exits=exits or Exits(stop_frac=0.005, max_bars=7),
        risk=risk or Risk(leverage=3.0),
    )


def series(close: npt.ArrayLike, open_: npt.ArrayLike | None = None) -> Bars:
    """Bars without volume that open where the last one closed, or as given."""
    closes = np.asarray(close, dtype=np.float64)
    opens = np.concatenate((closes[:1], closes[:-1]))
    if open_ is not None:
        opens = np.asarray(open_, dtype=np.float64)
    n_bars = closes.shape[0]
    stamp = MIDNIGHT_AT + STEP_MS * np.arange(n_bars, dtype=np.int64)
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    return Bars(stamp, opens, high, low, closes, np.zeros(n_bars))


def walk(n_bars: int = 900, scale: float = 1.0) -> Bars:
    rng = np.random.default_rng(11)
    close = 100.0 * np.exp(np.cumsum(rng.standard_normal(n_bars) * 0.01))
    bars = series(close)
    wide = 1.0 + np.abs(rng.standard_normal((2, n_bars))) * 0.004
    return Bars(
        bars.timestamp,
        bars.open * scale,
        bars.high * wide[0] * scale,
        bars.low / wide[1] * scale,
        bars.close * scale,
        bars.volume,
    )


def flat(n_bars: int, price: float = 7.0) -> Bars:
    return series(np.full(n_bars, price))


BUSY = strategy(RISING, FALLING, exits=Exits(stop_frac=0.01, target_frac=0.02, max_bars=20))
CALM = strategy(RISING, exits=Exits(stop_frac=0.02, max_bars=20), risk=Risk(size_frac=0.5))
HELD = strategy(ALWAYS, exits=Exits(stop_frac=0.005), risk=Risk(leverage=3.0))
SOLD = strategy(short=ALWAYS, exits=Exits(stop_frac=0.005), risk=Risk(leverage=3.0))
KELLY = BUSY.with_changes(risk=Risk(sizing=Sizing.KELLY, leverage=3.0))
BY_VOLATILITY = BUSY.with_changes(risk=Risk(sizing=Sizing.VOLATILITY, volatility_target=0.5))

# Equity is gone at a gap through the stop: at the third bar, and long before the last.
CRASH = series([100, 100, 100, 50, 50, 60, 70, 80, 90, 99], [100, 100, 100, 50, *[50] * 6])
SPIKE = series([100, 100, 100, 150, 140, 130, 120, 110, 100, 99], [100, 100, 100, 150, *[140] * 6])


@dataclass(frozen=True)
class Scenario:
    bars: Bars
    genome: Genome
    capital_quote: float = 10_000.0
    costs: Costs = Costs()  # noqa: RUF009 - frozen

    @property
    def settings(self) -> BacktestSettings:
        return BacktestSettings(initial_capital_quote=self.capital_quote, costs=self.costs)

    def evaluator(self) -> Evaluator:
        segments = ((Segment.FIT, 0, len(self.bars)),)
        prepared = prepare_series("X/Y", "case", "5m", "perp", self.bars, segments, (self.genome,))
        return Evaluator(prepared, self.settings)

    def run(self) -> BacktestResult:
        return self.evaluator().backtest(self.genome)


SCENARIOS = {
    "no trades": Scenario(walk(), strategy(NEVER)),
    "no trades on one bar": Scenario(flat(1), strategy(NEVER)),
    "one bar": Scenario(flat(1), HELD),
    "two bars": Scenario(series([100.0, 101.0]), HELD),
    "two bars, free": Scenario(flat(2), HELD, costs=FREE),
    "constant prices": Scenario(flat(700), HELD),
    "constant prices, in and out": Scenario(
        flat(700), HELD.with_changes(exits=Exits(stop_frac=0.5, max_bars=3))
    ),
    "constant prices, free": Scenario(
        flat(700), HELD.with_changes(exits=Exits(stop_frac=0.5, max_bars=3)), costs=FREE
    ),
    "constant prices, by volatility": Scenario(
        flat(700),
        strategy(
            ALWAYS,
            exits=Exits(stop_frac=0.01, max_bars=20),
            risk=Risk(sizing=Sizing.VOLATILITY, volatility_target=0.5),
        ),
    ),
    "constant prices, short": Scenario(flat(700), SOLD),
    "no volume": Scenario(walk(), BUSY),
    "no volume, by volatility": Scenario(walk(), BY_VOLATILITY),
    "no volume, kelly": Scenario(walk(), KELLY),
    "rising only": Scenario(series(100.0 * 1.01 ** np.arange(300)), CALM),
    "falling only": Scenario(series(100.0 * 0.99 ** np.arange(300)), HELD),
    "falling only, short": Scenario(series(100.0 * 0.99 ** np.arange(300)), SOLD),
    "ruin, long": Scenario(CRASH, HELD),
    "ruin, short": Scenario(SPIKE, SOLD),
    "ruin at the last bar": Scenario(CRASH.slice(0, 4), HELD),
    "almost all lost to costs": Scenario(
        flat(90),
        HELD.with_changes(exits=Exits(stop_frac=0.006, max_bars=1)),
        costs=Costs(0.1, 0.1),
    ),
    "capital of a cent": Scenario(walk(), BUSY, 0.01),
    "capital of 1e-29": Scenario(walk(), BUSY, 1e-29),
    "capital of 1e29": Scenario(walk(), BUSY, 1e29),
    "prices of 1e-8": Scenario(walk(scale=1e-10), BUSY),
    "prices of 1e-29": Scenario(walk(scale=1e-31), BUSY),
    "prices of 1e29": Scenario(walk(scale=1e27), BUSY),
}


def plain(scenario: Scenario, evaluator: Evaluator) -> tuple[FloatArray, FloatArray, bool]:
    """Return the closed trades, the equity, and whether one is open, of the plain loop."""
    bars, n_bars = scenario.bars, len(scenario.bars)
    decisions = evaluator.decisions(scenario.genome)
    vector = np.empty(N_RULES)
    Rules.of(scenario.genome).write(vector, scenario.costs, scenario.capital_quote)
    log = np.full((n_bars + 1, layout.N_TRADE), np.nan)
    equity = np.empty(n_bars + 1)
    closed, is_open = simulate_plain_nb(
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        unpack(decisions.long_entry, n_bars),
        unpack(decisions.short_entry, n_bars),
        unpack(decisions.long_exit, n_bars),
        unpack(decisions.short_exit, n_bars),
        decisions.size_frac,
        decisions.exit_rules,
        0,
        n_bars,
        vector,
        log,
        equity,
    )
    return log[:closed], equity, bool(is_open)


def assert_all_agree(scenario: Scenario) -> None:
    evaluator = scenario.evaluator()
    result = evaluator.backtest(scenario.genome)
    log, equity, is_open = plain(scenario, evaluator)
    assert len(result.trades) == log.shape[0]
    assert (result.open_trade is not None) == is_open
    for trade, row in zip(result.trades, log, strict=True):
        assert (trade.side, trade.entry_bar, trade.exit_bar) == (
            row[layout.T_SIDE],
            row[layout.T_ENTRY_BAR],
            row[layout.T_EXIT_BAR],
        )
        assert trade.reason == ExitReason(int(row[layout.T_REASON])).name.lower()
        least = 1e-12 * scenario.capital_quote
        assert trade.pnl_quote == pytest.approx(row[layout.T_PNL], rel=1e-9, abs=least)
    np.testing.assert_allclose(result.equity, equity, rtol=1e-9)
    assert_metrics(result, log, equity)
    (row,) = evaluator.evaluate_many([scenario.genome])[0]
    np.testing.assert_array_equal(row, list(result.metrics.values()))


@pytest.mark.parametrize("name", SCENARIOS)
def test_kernel_batch_and_plain_loop_agree(name: str) -> None:
    assert_all_agree(SCENARIOS[name])


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_not_a_number_is_undefined_by_definition(name: str) -> None:
    result = SCENARIOS[name].run()
    assert np.all(np.isfinite(result.equity))
    assert np.all(result.equity >= 0.0)
    for metric, value in result.metrics.items():
        if math.isnan(value):
            assert metric in UNDEFINED, metric
        elif math.isinf(value):
            assert INFINITE.get(metric) == value, metric


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name.startswith("no trades")])
def test_without_trades_nothing_is_gained_lost_or_judged(name: str) -> None:
    got = SCENARIOS[name].run().metrics
    for metric in ("total_return", "annual_return", "max_drawdown", "exposure", "turnover_per_day"):
        assert got[metric] == 0.0, metric
    for metric in UNDEFINED - {"return_std"}:
        assert math.isnan(got[metric]), metric
    assert got["final_equity_quote"] == 10_000.0


def test_constant_prices_cost_what_the_fills_cost() -> None:
    paid = SCENARIOS["constant prices, in and out"].run()
    assert len(paid.trades) > 100
    got = paid.metrics
    assert got["win_rate"] == 0.0
    assert got["profit_factor"] == 0.0
    assert got["loss_streak"] == len(paid.trades)
    assert paid.trades[-1].equity_after_quote == pytest.approx(10_000.0 - got["gross_loss_quote"])
    free = SCENARIOS["constant prices, free"].run().metrics
    assert free["n_trades"] == got["n_trades"]
    assert free["total_return"] == 0.0
    # Trades that neither gain nor lose: a rate, but no factor.
    assert free["win_rate"] == 0.0
    for metric in ("profit_factor", "sharpe", "sortino", "calmar", "return_kurtosis"):
        assert math.isnan(free[metric]), metric


def test_prices_without_any_range_leave_volatility_sizes_at_their_limit() -> None:
    scenario = SCENARIOS["constant prices, by volatility"]
    first, *_ = scenario.run().trades
    committed = first.qty_base * first.entry * (1.0 + Costs().commission_frac)
    assert committed == pytest.approx(scenario.genome.notional_frac() * 10_000.0)


def test_one_bar_can_decide_but_not_fill() -> None:
    result = SCENARIOS["one bar"].run()
    assert result.trades == ()
    assert result.open_trade is None
    assert result.equity.tolist() == [10_000.0, 10_000.0]
    assert math.isnan(result.metrics["sharpe"])
    assert math.isnan(result.metrics["return_std"])


def test_two_bars_fill_once_and_stay_open() -> None:
    result = SCENARIOS["two bars"].run()
    assert result.trades == ()
    assert result.open_trade is not None
    assert result.open_trade.entry_bar == 1
    assert result.metrics["n_trades"] == 0
    assert math.isnan(result.metrics["win_rate"])


def test_without_a_losing_trade_the_profit_factor_is_infinite() -> None:
    got = SCENARIOS["rising only"].run().metrics
    assert got["n_trades"] > 0
    assert got["win_rate"] == 1.0
    assert got["profit_factor"] == math.inf
    assert got["gross_loss_quote"] == 0.0
    assert got["loss_streak"] == 0


def test_without_a_winning_trade_the_profit_factor_is_zero() -> None:
    got = SCENARIOS["falling only"].run().metrics
    assert got["n_trades"] > 0
    assert got["win_rate"] == 0.0
    assert got["profit_factor"] == 0.0


def test_a_curve_that_never_falls_has_no_sortino_and_no_calmar() -> None:
    held = strategy(ALWAYS, exits=Exits(stop_frac=0.02), risk=Risk())
    got = Scenario(series(2.0 ** np.arange(20)), held, costs=FREE).run().metrics
    assert got["max_drawdown"] == 0.0
    assert got["sharpe"] > 0.0
    assert math.isnan(got["sortino"])
    assert math.isnan(got["calmar"])


def test_what_costs_leave_is_little_but_not_ruin() -> None:
    result = SCENARIOS["almost all lost to costs"].run()
    assert 0.0 < result.metrics["final_equity_quote"] < 1e-30
    assert math.isfinite(result.metrics["annual_log_growth"])
    assert all(trade.reason != "ruin" for trade in result.trades)


def test_growth_beyond_any_float_is_infinite_a_year_and_finite_in_sum() -> None:
    scenario = Scenario(
        series(100.0 * 1.05 ** np.arange(60)),
        strategy(ALWAYS, exits=Exits(stop_frac=0.006), risk=Risk(leverage=3.0)),
    )
    got = scenario.run().metrics
    assert math.isfinite(got["total_return"])
    assert got["annual_log_growth"] > 700.0
    assert got["annual_return"] == math.inf


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name.startswith("ruin")])
def test_ruin_loses_everything_once_and_trades_no_more(name: str) -> None:
    result = SCENARIOS[name].run()
    got = result.metrics
    assert got["total_return"] == -1.0
    assert got["annual_return"] == -1.0
    assert got["annual_log_growth"] == -math.inf
    assert got["max_drawdown"] == 1.0
    assert got["final_equity_quote"] == 0.0
    assert got["calmar"] == -1.0
    assert result.open_trade is None
    assert result.trades[-1].reason == "ruin"
    assert result.trades[-1].equity_after_quote == 0.0
    assert sum(trade.pnl_quote for trade in result.trades) == pytest.approx(-10_000.0)
    gone = result.trades[-1].exit_bar
    assert gone is not None
    assert np.all(result.equity[gone + 1 :] == 0.0)
    assert np.all(result.equity[: gone + 1] > 0.0)


def test_equity_of_exactly_zero_is_ruin() -> None:
    # Three times 10,000 at 96 is 312.5 units, worth the 20,000 borrowed at 64.
    bars = series([96, 96, 96, 64, 70, 80], [96, 96, 96, 64, 64, 70])
    held = strategy(ALWAYS, exits=Exits(stop_frac=0.005), risk=Risk(leverage=3.0))
    result = Scenario(bars, held, costs=FREE).run()
    assert [trade.reason for trade in result.trades] == ["ruin"]
    assert result.metrics["total_return"] == -1.0


def test_ruin_with_trades_enough_to_judge_is_the_worst_fitness() -> None:
    calm = np.full(120, 100.0)
    bars = series(np.concatenate((calm, np.full(20, 50.0))), [100.0] * 120 + [50.0] * 20)
    held = strategy(ALWAYS, exits=Exits(stop_frac=0.006, max_bars=5), risk=Risk(leverage=3.0))
    got = Scenario(bars, held, costs=FREE).run().metrics
    assert got["n_trades"] >= 10
    assert got["total_return"] == -1.0
    assert got["fitness"] == -math.inf


def test_ruin_in_one_segment_leaves_the_next_its_capital() -> None:
    bars = series([*CRASH.close, *[100.0] * 40], [*CRASH.open, *[100.0] * 40])
    cut = len(CRASH)
    segments = ((Segment.FIT, 0, cut), (Segment.VALIDATION, cut, len(bars)))
    prepared = prepare_series("X/Y", "case", "5m", "perp", bars, segments, (HELD,))
    fit, validation = Evaluator(prepared, BacktestSettings()).evaluate(HELD)
    assert fit[METRIC_INDEX["total_return"]] == -1.0
    assert -0.1 < validation[METRIC_INDEX["total_return"]] < 0.0


@pytest.mark.parametrize("power", [-100, -30, 30, 80])
def test_ratios_do_not_depend_on_the_capital(power: int) -> None:
    base = SCENARIOS["no volume"]
    scaled = replace(base, capital_quote=base.capital_quote * 2.0**power)
    # A power of two changes exponents only: the same bits in every ratio.
    for name, value in base.run().metrics.items():
        want = value * 2.0**power if name in IN_QUOTE else value
        assert scaled.run().metrics[name] == want, name


@pytest.mark.parametrize("power", [-90, -30, 30, 90])
def test_ratios_do_not_depend_on_the_unit_of_price(power: int) -> None:
    base = SCENARIOS["no volume"]
    want = base.run()
    got = replace(base, bars=walk(scale=2.0**power)).run()
    assert got.metrics == want.metrics
    np.testing.assert_array_equal(got.equity, want.equity)


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_never_leaves_the_store(
    tmp_path: Path, column: str, bad: float
) -> None:
    store = MarketStore(tmp_path)
    good = walk(50)
    values = getattr(good, column).copy()
    values[17] = bad
    broken = replace(good, **{column: values})
    with pytest.raises(NonFiniteError, match=rf"{column} is NaN or infinite at row 17"):
        store.write(KEY, broken)
    store.write(KEY, good)
    (path,) = tmp_path.rglob("*.parquet")
    table = pq.read_table(path)
    place = table.column_names.index(column)
    path.unlink()
    pq.write_table(table.set_column(place, column, pa.array(values)), path)
    with pytest.raises(NonFiniteError, match=rf"{column} is NaN or infinite at row 17"):
        store.read(KEY)


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_a_price_that_is_not_positive_is_refused(bad: float) -> None:
    values = walk(50).close.copy()
    values[3] = bad
    with pytest.raises(NonFiniteError, match="close price is zero or negative at row 3"):
        check_bars(replace(walk(50), close=values), KEY, "a file")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1, 0.2])
def test_costs_that_make_no_sense_are_refused(bad: float) -> None:
    with pytest.raises(ConfigError, match="commission_frac"):
        Costs(commission_frac=bad)
    with pytest.raises(ConfigError, match="slippage_frac"):
        Costs(slippage_frac=bad)


@pytest.mark.parametrize("capital_quote", [0.0, -5.0, math.nan, math.inf, 1e300, 1e-300])
def test_capital_that_makes_no_sense_is_refused(capital_quote: float) -> None:
    with pytest.raises(ConfigError, match="initial_capital_quote"):
        BacktestSettings(initial_capital_quote=capital_quote)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0, 1e100, 1e-310])
def test_bars_that_break_their_promise_do_not_reach_the_kernel(bad: float) -> None:
    close = walk().close.copy()
    close[50] = bad
    with pytest.raises(NonFiniteError, match="the close of bar 50"):
        Scenario(replace(walk(), close=close), BUSY).run()


# What does not hold yet. Each of these passes once its reason is mended, and then says so.


@pytest.mark.xfail(
    reason="a drawdown of one rounding, 1e-16, makes Calmar and Sortino defined and enormous"
)
def test_a_loss_of_one_rounding_is_no_loss() -> None:
    got = replace(SCENARIOS["rising only"], costs=FREE).run().metrics
    assert math.isnan(got["calmar"])
    assert math.isnan(got["sortino"])


@pytest.mark.xfail(
    reason="equity that rounds to the smallest float is never gone for the kernel, which goes on "
    "to enter with nothing; the plain loop calls it ruin"
)
def test_equity_too_small_for_a_float_ends_alike_everywhere() -> None:
    assert_all_agree(replace(SCENARIOS["almost all lost to costs"], bars=flat(700)))
