"""The kernel against the plain loop and the metric definitions, over random runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.backtest import layout, metrics
from engine.backtest.costs import Costs
from engine.backtest.plain import simulate_plain_nb
from engine.backtest.rules import N_EXIT_RULES, N_RULES, NEVER, ExitReason, Rules
from engine.backtest.run import BacktestResult, BacktestSettings, Evaluator, prepare_series
from engine.strategy.bits import pack
from engine.strategy.decisions import Decisions
from engine.types import Bars, FloatArray

N_BARS = 700
PER_YEAR = 105_120.0
NO_EXIT_RULES = np.empty((0, N_EXIT_RULES))


def random_bars(rng: np.random.Generator, n_bars: int, volatility: float) -> Bars:
    close = 100.0 * np.exp(np.cumsum(rng.standard_t(3, n_bars) * volatility))
    gap = np.exp(rng.standard_normal(n_bars) * volatility * 0.5)
    open_ = np.concatenate(([100.0], close[:-1])) * gap
    spread = 1.0 + np.abs(rng.standard_normal((2, n_bars))) * volatility
    high = np.maximum(open_, close) * spread[0]
    low = np.minimum(open_, close) / spread[1]
    volume = rng.exponential(10.0, n_bars) * (rng.random(n_bars) > 0.05)
    stamp = np.arange(n_bars, dtype=np.int64) * 300_000 + 1_700_000_100_000 // 300_000 * 300_000
    return Bars(stamp, open_, high, low, close, volume)


def run_both(
    bars: Bars,
    marks: dict[str, np.ndarray],
    size: FloatArray,
    rules: Rules,
    span: tuple[int, int],
    exit_rules: FloatArray = NO_EXIT_RULES,
) -> tuple[BacktestResult, FloatArray, FloatArray, int, int]:
    costs = Costs(0.001, 0.0005)
    conflict = marks["long"] & marks["short"]
    long, short = marks["long"] & ~conflict, marks["short"] & ~conflict
    decisions = Decisions(
        pack(long),
        pack(short),
        pack(marks["leave_long"]),
        pack(marks["leave_short"]),
        size,
        exit_rules,
    )
    prepared = prepare_series("X/Y", "case", "5m", "perp", bars, ())
    result = Evaluator(prepared, BacktestSettings(costs=costs)).backtest_decisions(
        decisions, rules, *span
    )
    n_bars = span[1] - span[0]
    log = np.full((n_bars + 1, layout.N_TRADE), np.nan)
    equity = np.empty(n_bars + 1)
    vector = np.empty(N_RULES)
    rules.write(vector, costs, 10_000.0)
    closed, is_open = simulate_plain_nb(
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        long,
        short,
        marks["leave_long"],
        marks["leave_short"],
        size,
        exit_rules,
        *span,
        vector,
        log,
        equity,
    )
    return result, log, equity, closed, is_open


def assert_equal_runs(
    result: BacktestResult, log: FloatArray, equity: FloatArray, closed: int, is_open: int
) -> None:
    assert len(result.trades) == closed
    assert (result.open_trade is not None) == bool(is_open)
    for trade, row in zip(result.trades, log[:closed], strict=True):
        assert trade.side == row[layout.T_SIDE]
        assert trade.entry_bar == row[layout.T_ENTRY_BAR]
        assert trade.exit_bar == row[layout.T_EXIT_BAR]
        assert trade.reason == ExitReason(int(row[layout.T_REASON])).name.lower()
        assert trade.entry == pytest.approx(row[layout.T_ENTRY], rel=1e-12)
        assert trade.exit == pytest.approx(row[layout.T_EXIT], rel=1e-12)
        assert trade.pnl_quote == pytest.approx(row[layout.T_PNL], rel=1e-9, abs=1e-7)
    np.testing.assert_allclose(result.equity, equity, rtol=1e-9, atol=1e-7)
    assert_metrics(result, log[:closed], equity)


def assert_metrics(result: BacktestResult, log: FloatArray, equity: FloatArray) -> None:
    got = result.metrics
    returns = metrics.bar_returns(equity)
    pnl = log[:, layout.T_PNL]
    daily = metrics.daily_returns(equity, result.timestamp)
    want = {
        "total_return": metrics.total_return(equity),
        "annual_log_growth": metrics.annual_log_growth(equity, PER_YEAR),
        "annual_return": metrics.annual_return(equity, PER_YEAR),
        "sharpe": metrics.sharpe(returns, PER_YEAR),
        "sortino": metrics.sortino(returns, PER_YEAR),
        "calmar": metrics.calmar(equity, PER_YEAR),
        "max_drawdown": metrics.max_drawdown(equity),
        "max_drawdown_bars": metrics.max_drawdown_bars(equity),
        "n_trades": len(pnl),
        "win_rate": metrics.win_rate(pnl),
        "profit_factor": metrics.profit_factor(pnl),
        "expectancy_quote": float(np.mean(pnl)) if len(pnl) else math.nan,
        "average_trade_return": float(np.mean(log[:, layout.T_RETURN])) if len(pnl) else math.nan,
        "win_streak": metrics.longest_streak(pnl, wins=True),
        "loss_streak": metrics.longest_streak(pnl, wins=False),
        "value_at_risk": metrics.value_at_risk(daily),
        "expected_shortfall": metrics.expected_shortfall(daily),
        "return_mean": float(np.mean(returns)),
        "return_skewness": metrics.skewness(returns),
        "return_kurtosis": metrics.kurtosis(returns),
        "final_equity_quote": equity[-1],
    }
    for name, value in want.items():
        assert got[name] == pytest.approx(value, rel=1e-7, abs=1e-9, nan_ok=True), name
    centred = returns - returns.mean()
    if np.any(centred):
        lagged = float(np.sum(returns[1:] * returns[:-1])) / len(returns) - returns.mean() ** 2
        auto = lagged / float(np.mean(centred**2))
        assert got["return_autocorrelation"] == pytest.approx(auto, rel=1e-6, abs=1e-9)


fractions = st.one_of(st.none(), st.sampled_from([0.001, 0.003, 0.01, 0.02, 0.06, 0.2]))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    volatility=st.sampled_from([0.0005, 0.003, 0.02, 0.15]),
    density=st.sampled_from([0.002, 0.02, 0.2, 0.9]),
    stop=fractions,
    target=fractions,
    trailing=fractions,
    max_bars=st.one_of(st.none(), st.integers(1, 60)),
    size_frac=st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.0]),
    kelly=st.booleans(),
    on_opposite=st.booleans(),
    sized=st.booleans(),
    is_each_its_own=st.booleans(),
    span=st.sampled_from([(0, N_BARS), (100, 400), (0, 2), (333, 334), (64, 128)]),
)
def test_kernel_equals_the_plain_loop(
    seed: int,
    volatility: float,
    density: float,
    stop: float | None,
    target: float | None,
    trailing: float | None,
    max_bars: int | None,
    size_frac: float,
    kelly: bool,
    on_opposite: bool,
    sized: bool,
    is_each_its_own: bool,
    span: tuple[int, int],
) -> None:
    rng = np.random.default_rng(seed)
    bars = random_bars(rng, N_BARS, volatility)
    names = ("long", "short", "leave_long", "leave_short")
    marks = {name: rng.random(N_BARS) < density for name in names}
    size = np.empty(0)
    if sized:
        size = rng.random(N_BARS) * size_frac
        size[rng.random(N_BARS) < 0.3] = np.nan
    rules = Rules(stop, target, trailing, max_bars, size_frac, kelly, on_opposite)
    exit_rules = random_exit_rules(rng) if is_each_its_own else NO_EXIT_RULES
    assert_equal_runs(*run_both(bars, marks, size, rules, span, exit_rules))


def random_exit_rules(rng: np.random.Generator) -> FloatArray:
    """Return exits that differ from bar to bar, each of them sometimes absent."""
    fractions = rng.choice([0.001, 0.01, 0.06, 0.2, np.nan], (N_BARS, 3))
    most = rng.choice([1.0, 5.0, 60.0, NEVER], (N_BARS, 1))
    return np.ascontiguousarray(np.hstack((fractions, most)))


def test_exits_of_each_entry_hold_for_that_entry_only() -> None:
    bars = random_bars(np.random.default_rng(3), N_BARS, 0.003)
    marks = {name: np.zeros(N_BARS, dtype=bool) for name in ("short", "leave_long", "leave_short")}
    marks["long"] = np.zeros(N_BARS, dtype=bool)
    marks["long"][[10, 200]] = True
    exit_rules = np.full((N_BARS, N_EXIT_RULES), np.nan)
    exit_rules[10, 3], exit_rules[200, 3] = 4.0, 7.0
    result, *rest = run_both(bars, marks, np.empty(0), Rules(max_bars=1), (0, N_BARS), exit_rules)
    assert_equal_runs(result, *rest)
    assert [(trade.entry_bar, trade.exit_bar) for trade in result.trades] == [(11, 15), (201, 208)]


def test_exits_equal_for_all_entries_are_the_rules_themselves() -> None:
    rng = np.random.default_rng(4)
    bars = random_bars(rng, N_BARS, 0.003)
    names = ("long", "short", "leave_long", "leave_short")
    marks = {name: rng.random(N_BARS) < 0.1 for name in names}
    rules = Rules(0.01, 0.06, 0.02, 20)
    exit_rules = np.tile([0.01, 0.06, 0.02, 20.0], (N_BARS, 1))
    one, *_ = run_both(bars, marks, np.empty(0), rules, (0, N_BARS))
    each, *_ = run_both(bars, marks, np.empty(0), Rules(), (0, N_BARS), exit_rules)
    assert each.trades == one.trades
    assert each.metrics == pytest.approx(one.metrics, rel=0, abs=0, nan_ok=True)


def test_ruin_ends_the_run_at_minus_one() -> None:
    rng = np.random.default_rng(5)
    bars = random_bars(rng, N_BARS, 0.15)
    marks = {name: rng.random(N_BARS) < 0.5 for name in ("long", "short")}
    marks |= {name: np.zeros(N_BARS, dtype=bool) for name in ("leave_long", "leave_short")}
    rules = Rules(size_frac=3.0)
    result, *rest = run_both(bars, marks, np.empty(0), rules, (0, N_BARS))
    assert_equal_runs(result, *rest)
    assert result.metrics["total_return"] == -1.0
    assert result.metrics["annual_return"] == -1.0
    assert result.metrics["max_drawdown"] == 1.0
    assert result.trades[-1].reason == "ruin"


def test_a_reversal_that_ruins_opens_nothing() -> None:
    rng = np.random.default_rng(419)
    bars = random_bars(rng, N_BARS, 0.15)
    names = ("long", "short", "leave_long", "leave_short")
    marks = {name: rng.random(N_BARS) < 0.2 for name in names}
    rules = Rules(max_bars=1, size_frac=2.0)
    result, *rest = run_both(bars, marks, np.empty(0), rules, (0, N_BARS))
    assert_equal_runs(result, *rest)
    assert result.trades[-1].reason == "ruin"
    assert result.trades[-1].side == -1
