"""Cross-exchange arbitrage: fills by hand, what missing bars do, causality, and real spreads."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backtest.costs import Costs
from engine.backtest.pair import Fill, PairResult, PairSettings, backtest_pair
from engine.errors import DataError, UsageError
from engine.market.store import MarketStore
from engine.types import Bars, FloatArray, SeriesKey

STEP_MS = 300_000
FREE = Costs(0.0, 0.0)
CHEAP_COSTS = Costs(0.001, 0.0005)
DEAR_COSTS = Costs(0.002, 0.001)


def series(opens: list[float], closes: list[float], at: list[int] | None = None) -> Bars:
    """Return bars with these opens and closes, at these places of the 5-minute grid."""
    first, last = np.array(opens, dtype=np.float64), np.array(closes, dtype=np.float64)
    places = np.arange(len(opens)) if at is None else np.array(at)
    return Bars(
        timestamp=places.astype(np.int64) * STEP_MS,
        open=first,
        high=np.maximum(first, last),
        low=np.minimum(first, last),
        close=last,
        volume=np.ones(len(opens)),
    )


def free(**values: object) -> PairSettings:
    """Return settings without costs whose quantities are round: 20 base at a dear close of 101."""
    known = {"first_costs": FREE, "second_costs": FREE, "initial_capital_quote": 10_100.0}
    return PairSettings(**{**known, **values})  # type: ignore[arg-type]


def closes(first: list[float], second: list[float], **values: object) -> PairResult:
    """Run without costs over closes that are also the opens of their bars."""
    return backtest_pair(series(first, first), series(second, second), "5m", free(**values))


def test_a_round_trip_pays_each_exchange_its_own_costs_to_the_cent() -> None:
    cheap = series([100.0, 100.0, 100.4], [100.0, 100.5, 100.4])
    dear = series([101.0, 101.0, 100.6], [101.0, 100.5, 100.6])
    result = backtest_pair(
        cheap,
        dear,
        "5m",
        PairSettings(
            first_costs=CHEAP_COSTS, second_costs=DEAR_COSTS, initial_capital_quote=10_100.0
        ),
    )
    (trade,) = result.trades
    assert trade.qty_base == pytest.approx(20.0)
    assert (trade.side, trade.entry_bar, trade.exit_bar, trade.reason) == (1, 1, 2, "closed")
    assert trade.first.signed_qty_base == -trade.second.signed_qty_base > 0
    by_hand = {
        # bar, open, price with slippage, commission, slippage
        "first entry": (trade.first.entry, Fill(1, 100.0, 100.05, 2.001, 1.0)),
        "second entry": (trade.second.entry, Fill(1, 101.0, 100.899, 4.03596, 2.02)),
        "first exit": (trade.first.exit, Fill(2, 100.4, 100.3498, 2.006996, 1.004)),
        "second exit": (trade.second.exit, Fill(2, 100.6, 100.7006, 4.028024, 2.012)),
    }
    for name, (fill, expected) in by_hand.items():
        assert fill is not None, name
        assert fill.bar == expected.bar, name
        for field in ("open_quote", "price_quote", "commission_quote", "slippage_quote"):
            got = getattr(fill, field)
            assert got == pytest.approx(getattr(expected, field), rel=1e-12), (name, field)
    assert trade.before_costs_quote == pytest.approx(16.0)
    assert trade.pnl_quote == pytest.approx(-2.10798)
    assert trade.net_return == pytest.approx(-2.10798 / 4_040.0)
    assert result.equity.tolist() == pytest.approx([10_100.0, 10_100.0, 10_110.94304, 10_097.89202])
    assert result.metrics["commission_quote"] == pytest.approx(12.07198)
    assert result.metrics["slippage_quote"] == pytest.approx(6.036)
    assert result.metrics["final_equity_quote"] == pytest.approx(10_097.89202)
    assert result.metrics["exposure"] == pytest.approx(1 / 3)
    assert result.metrics["max_drawdown"] == pytest.approx(13.05102 / 10_110.94304)
    assert result.metrics["turnover_per_day"] == pytest.approx(
        20 * ((100.05 + 100.899) / 10_100.0 + (100.3498 + 100.7006) / 10_110.94304) * 96
    )


def test_the_dear_exchange_is_sold_whichever_it_is() -> None:
    low, high = [100.0, 100.0, 100.5, 100.5], [101.0, 101.0, 100.5, 100.5]
    one, other = closes(low, high), closes(high, low)
    assert (one.trades[0].side, other.trades[0].side) == (1, -1)
    assert other.trades[0].second.signed_qty_base > 0 > other.trades[0].first.signed_qty_base
    assert one.equity.tolist() == other.equity.tolist() == [10_100, 10_100, 10_100, 10_120, 10_120]
    assert one.spread_frac[0] == -other.spread_frac[0] == pytest.approx(0.01)


@pytest.mark.parametrize(("cheap", "dear"), [(100.0, 100.1), (0.1, 0.1001), (1234.0, 1235.234)])
def test_a_spread_exactly_at_the_threshold_is_traded(cheap: float, dear: float) -> None:
    result = closes([cheap] * 3, [dear] * 3)
    assert result.n_spreads == 3
    assert result.open_trade is not None
    below = closes([cheap] * 3, [dear * (1 - 1e-6)] * 3)
    assert (below.n_spreads, below.trades, below.open_trade) == (0, (), None)


def test_entry_after_costs_asks_for_the_round_trip_on_top() -> None:
    asked = free(entry_after_costs=True, first_costs=CHEAP_COSTS, second_costs=DEAR_COSTS)
    assert asked.round_trip_cost_frac == pytest.approx(0.009)
    assert asked.threshold_frac == pytest.approx(0.010)
    flat = series([100.0] * 4, [100.0] * 4)
    for dear, is_traded in ((100.99, False), (101.01, True)):
        other = series([dear] * 4, [dear] * 4)
        result = backtest_pair(flat, other, "5m", asked)
        assert (result.open_trade is not None) == is_traded
        assert result.n_spreads == 4, "a spread counts as seen by the bare threshold"


def test_gap_between_close_and_open_is_what_the_fill_gets() -> None:
    cheap = series([100.0, 100.9, 100.0], [100.0, 100.0, 100.0])
    dear = series([101.0, 100.9, 100.0], [101.0, 100.0, 100.0])
    (trade,) = backtest_pair(cheap, dear, "5m", free()).trades
    assert trade.pnl_quote == pytest.approx(0.0), "the spread was gone at the open"


def test_nothing_is_entered_when_the_next_bar_is_missing_on_one_side() -> None:
    low, high = [100.0, 100.0, 100.0], [101.0, 101.0, 101.0]
    whole = series(low, low, [0, 1, 2])
    result = backtest_pair(whole, series(high[:2], high[:2], [0, 2]), "5m", free())
    assert result.timestamp.tolist() == [0, 2 * STEP_MS]
    assert result.open_trade is None
    assert result.equity.tolist() == [10_100.0] * 3
    there = backtest_pair(whole, series(high, high, [0, 1, 2]), "5m", free())
    assert there.open_trade is not None


def test_bars_of_one_side_only_never_decide() -> None:
    first = series([100.0] * 3, [100.0] * 3, [0, 1, 2])
    second = series([100.0, 101.0, 101.0], [100.0, 101.0, 101.0], [2, 10, 11])
    result = backtest_pair(first, second, "5m", free())
    assert result.timestamp.tolist() == [2 * STEP_MS]
    assert (result.n_spreads, result.all_trades) == (0, ())


def test_an_exit_waits_for_the_next_open_that_both_have() -> None:
    first = series([100.0] * 5, [100.0] * 5, [0, 1, 2, 3, 4])
    second = series([101.0, 101.0, 100.2, 100.1], [101.0, 100.0, 100.0, 100.0], [0, 1, 3, 4])
    (trade,) = backtest_pair(first, second, "5m", free()).trades
    assert (trade.entry_bar, trade.exit_bar) == (1, 2)
    assert trade.second.exit is not None
    assert trade.second.exit.open_quote == 100.2
    assert trade.pnl_quote == pytest.approx(20 * 0.8)


def test_time_stop_exits_at_the_open_of_entry_bar_plus_n() -> None:
    result = closes([100.0] * 9, [101.0] * 9, max_bars=3)
    # The second is decided on at the close of the first one's exit bar.
    expected = [(1, 4, "time"), (5, 8, "time")]
    assert [(t.entry_bar, t.exit_bar, t.reason) for t in result.trades] == expected


def test_without_a_time_stop_the_pair_is_marked_to_the_last_close() -> None:
    result = closes([100.0] * 9, [101.0] * 8 + [100.5], max_bars=None)
    assert result.trades == ()
    assert result.open_trade is not None
    assert result.open_trade.reason is None
    assert result.net_quote == pytest.approx(20 * 0.5)
    assert result.metrics["n_trades"] == 0
    assert math.isnan(result.metrics["win_rate"])
    assert result.metrics["exposure"] == pytest.approx(8 / 9)


def test_stop_ends_a_pair_whose_spread_widens() -> None:
    second = [101.0, 101.0, 101.9, 102.1, 102.1, 100.0]
    result = closes([100.0] * 6, second, stop_frac=0.01)
    trade = result.trades[0]
    assert (trade.entry_bar, trade.exit_bar, trade.reason) == (1, 4, "stop")
    assert trade.pnl_quote == pytest.approx(-20 * 1.1)
    endless = closes([100.0] * 6, second, stop_frac=None)
    assert endless.open_trade is not None


def test_exit_frac_leaves_before_the_spread_is_gone() -> None:
    second = [101.0, 101.0, 100.5, 100.2, 100.1, 100.0]
    (trade,) = closes([100.0] * 6, second, entry_frac=0.008, exit_frac=0.005).trades
    assert (trade.exit_bar, trade.reason) == (3, "closed")


def test_late_leg_fills_one_bar_after_the_first() -> None:
    first = series([100.0, 100.0, 100.0, 100.0, 100.4, 100.0], [100.0] * 6)
    second = series([101.0, 101.0, 100.7, 100.0, 100.0, 100.3], [101.0] * 3 + [100.0] * 3)
    (trade,) = backtest_pair(first, second, "5m", free(leg_delay_bars=1)).trades
    assert trade.first.entry is not None
    assert trade.second.entry is not None
    assert trade.first.exit is not None
    assert trade.second.exit is not None
    assert (trade.first.entry.bar, trade.second.entry.bar) == (1, 2)
    assert (trade.first.exit.bar, trade.second.exit.bar) == (4, 5)
    assert (trade.entry_bar, trade.exit_bar) == (1, 5)
    assert trade.pnl_quote == pytest.approx(20 * (0.4 + 0.4))
    at_once = backtest_pair(first, second, "5m", free()).trades[0]
    assert at_once.second.entry is not None
    assert at_once.second.entry.open_quote == 101.0


def test_between_two_fills_one_leg_stands_alone() -> None:
    first = series([100.0] * 3, [100.0, 90.0, 90.0])
    second = series([101.0, 101.0, 91.0], [101.0, 91.0, 91.0])
    result = backtest_pair(first, second, "5m", free(leg_delay_bars=1))
    assert result.open_trade is not None
    assert result.equity.tolist() == [10_100.0, 10_100.0, 9_900.0, 9_900.0]
    together = backtest_pair(first, second, "5m", free())
    assert together.equity.tolist() == [10_100.0, 10_100.0, 10_100.0, 10_100.0]


def test_late_leg_beyond_the_last_bar_is_not_filled() -> None:
    result = closes([100.0, 100.0], [101.0, 101.0], leg_delay_bars=1)
    assert result.open_trade is not None
    assert result.open_trade.second.entry is None
    assert len(result.open_trade.first.fills) == 1


def test_ruin_ends_the_run_at_zero() -> None:
    dear = [101.0, 101.0, 101.0, 700.0, 101.0, 101.0, 101.0]
    result = closes(dear, [100.0] * 7, max_bars=None, stop_frac=None)
    (trade,) = result.trades
    assert (trade.exit_bar, trade.reason) == (3, "ruin")
    assert trade.first.exit is None
    assert result.equity.tolist() == [10_100.0] * 4 + [0.0] * 4
    assert result.metrics["total_return"] == -1.0


def test_no_spread_no_trade() -> None:
    rng = np.random.default_rng(3)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 500)))
    bars = series(price.tolist(), np.roll(price, -1).tolist())
    result = backtest_pair(bars, bars, "5m")
    assert (result.n_spreads, result.all_trades) == (0, ())
    assert np.all(result.equity == 10_000.0)
    assert result.before_costs_quote == result.net_quote == 0.0


def test_costs_larger_than_the_spread_lose() -> None:
    low = series([100.0] * 40, [100.0] * 40)
    alternating = [100.5, 100.5, 100.0, 100.0] * 10
    high = series(alternating, alternating)
    result = backtest_pair(low, high, "5m")
    assert len(result.trades) == 10
    assert result.before_costs_quote > 0 > result.net_quote
    assert all(trade.before_costs_quote > 0 > trade.pnl_quote for trade in result.trades)
    assert result.metrics["win_rate"] == 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("entry_frac", 0.0),
        ("entry_frac", math.nan),
        ("exit_frac", 0.001),
        ("exit_frac", -0.002),
        ("stop_frac", 0.0),
        ("max_bars", 0),
        ("leg_frac", 0.3),
        ("leg_delay_bars", 2),
        ("initial_capital_quote", math.inf),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"^{name} = "):
        PairSettings(**{name: value})  # type: ignore[arg-type]


def test_series_without_a_common_bar_are_refused() -> None:
    with pytest.raises(DataError, match="no bar in common"):
        backtest_pair(series([1.0], [1.0], [0]), series([1.0], [1.0], [1]), "5m")


# Two random series around one price, each with bars missing, and settings that use every rule.
STEPS = st.lists(
    st.tuples(*[st.integers(-30, 30)] * 4, st.booleans(), st.booleans(), st.booleans()),
    min_size=2,
    max_size=60,
)
SETTINGS = st.builds(
    PairSettings,
    entry_frac=st.sampled_from((0.001, 0.003)),
    entry_after_costs=st.booleans(),
    exit_frac=st.sampled_from((-0.0005, 0.0, 0.0005)),
    stop_frac=st.sampled_from((None, 0.0007, 0.01)),
    max_bars=st.sampled_from((None, 1, 2, 5)),
    leg_delay_bars=st.sampled_from((0, 1)),
    first_costs=st.sampled_from((FREE, CHEAP_COSTS)),
    second_costs=st.sampled_from((FREE, DEAR_COSTS)),
)


def two_series(steps: list[tuple[int, int, int, int, bool, bool, bool]]) -> tuple[Bars, Bars]:
    """Return bars whose prices lie within 0.3 % of 100; a bar is missing where all say so."""
    prices = np.array([[100.0 + tick / 100 for tick in step[:4]] for step in steps])
    missing = np.array([[step[4] and step[5], step[5] and step[6]] for step in steps])
    missing[0] = False
    made = []
    for k in (0, 1):
        keep = np.flatnonzero(~missing[:, k])
        made.append(series(prices[keep, k].tolist(), prices[keep, k + 2].tolist(), keep.tolist()))
    return made[0], made[1]


def ledger_equity(first: Bars, second: Bars, run: PairSettings) -> list[float]:
    """Return the equity by the rules, bar by bar, from cash and holdings on each exchange."""
    sides = (
        {int(t): (o, c) for t, o, c in zip(b.timestamp, b.open, b.close, strict=True)}
        for b in (first, second)
    )
    one, two = sides
    stamps = sorted(one.keys() & two.keys())
    costs = (run.first_costs, run.second_costs)
    cash, held = run.initial_capital_quote, [0.0, 0.0]
    orders: list[tuple[int, int, float]] = []  # bar it is due at, exchange, signed quantity
    qty = both_at = 0.0
    side, level, is_leaving = 0, 0.0, False
    equity = [cash]
    for i, at in enumerate(stamps):
        for order in [o for o in orders if o[0] == i]:
            _, k, signed = order
            slip = costs[k].slippage_frac * (1 if signed > 0 else -1)
            price = (one, two)[k][at][0] * (1 + slip)
            cash -= signed * price + abs(signed) * price * costs[k].commission_frac
            held[k] += signed
            orders.remove(order)
        if is_leaving and not orders:
            side, is_leaving, held = 0, False, [0.0, 0.0]
        a, b = one[at][1], two[at][1]
        equity.append(cash + held[0] * a + held[1] * b)
        spread = max(a, b) / min(a, b) - 1
        signed_spread = spread if b >= a else -spread
        if side == 0:
            is_next = i + 1 < len(stamps) and stamps[i + 1] - at == STEP_MS
            if spread >= run.threshold_frac - 1e-12 and is_next:
                side = 1 if b > a else -1
                qty = run.leg_frac * cash / max(a, b)
                both_at = i + 1 + run.leg_delay_bars
                level = spread + (math.inf if run.stop_frac is None else run.stop_frac)
                orders = [(i + 1, 0, side * qty), (int(both_at), 1, -side * qty)]
        elif i >= both_at and not is_leaving:
            now = side * signed_spread
            is_late = run.max_bars is not None and i + 1 >= both_at + run.max_bars
            if now <= run.exit_frac + 1e-12 or now >= level - 1e-12 or is_late:
                orders = [(i + 1, 0, -side * qty), (i + 1 + run.leg_delay_bars, 1, side * qty)]
                is_leaving = True
    return equity


@settings(max_examples=150)
@given(STEPS, SETTINGS)
def test_equity_is_cash_and_holdings_bar_by_bar(
    steps: list[tuple[int, int, int, int, bool, bool, bool]], run: PairSettings
) -> None:
    first, second = two_series(steps)
    result = backtest_pair(first, second, "5m", run)
    assert result.equity.shape == (result.timestamp.shape[0] + 1,)
    np.testing.assert_allclose(result.equity, ledger_equity(first, second, run), rtol=1e-11)
    paid = result.metrics["commission_quote"] + result.metrics["slippage_quote"]
    assert result.before_costs_quote - paid == pytest.approx(result.net_quote, abs=1e-7)
    assert sum(t.pnl_quote for t in result.all_trades) == pytest.approx(result.net_quote, abs=1e-7)


@settings(max_examples=100)
@given(STEPS, SETTINGS, st.data())
def test_the_future_leaves_the_past_alone(
    steps: list[tuple[int, int, int, int, bool, bool, bool]], run: PairSettings, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(steps) - 1))
    other = data.draw(st.lists(st.tuples(*[st.integers(-30, 30)] * 4), min_size=60, max_size=60))
    changed = [*steps[:cut], *((*o, *s[4:]) for o, s in zip(other, steps[cut:], strict=False))]
    before, after = (backtest_pair(*two_series(each), "5m", run) for each in (steps, changed))
    n_past = int(np.searchsorted(before.timestamp, cut * STEP_MS))
    assert before.equity[: n_past + 1].tolist() == after.equity[: n_past + 1].tolist()
    assert past_fills(before, n_past) == past_fills(after, n_past)
    first, second = (upto(bars, cut * STEP_MS) for bars in two_series(steps))
    truncated = backtest_pair(first, second, "5m", run)
    assert before.equity[: n_past + 1].tolist() == truncated.equity.tolist()
    assert past_fills(before, n_past) == past_fills(truncated, n_past)


def past_fills(result: PairResult, n_past: int) -> list[Fill]:
    legs = [leg for trade in result.all_trades for leg in (trade.first, trade.second)]
    return [fill for leg in legs for fill in leg.fills if fill.bar < n_past]


def upto(bars: Bars, at: int) -> Bars:
    return bars.slice(0, int(np.searchsorted(bars.timestamp, at)))


@pytest.fixture(scope="module")
def real_pairs(shared_market: Path) -> dict[str, tuple[Bars, Bars]]:
    store = MarketStore(shared_market / "spot-5m")
    return {
        base: (
            store.read(SeriesKey("binance", f"{base}/USDT", "5m")),
            store.read(SeriesKey("bybit", f"{base}/USDT", "5m")),
        )
        for base in ("BTC", "ETH", "SOL")
    }


@pytest.mark.parametrize(
    ("base", "n_spreads", "before_quote", "net_quote"),
    [("BTC", 1, 3.81, -8.16), ("ETH", 2, 6.88, -17.01), ("SOL", 0, 0.0, 0.0)],
)
def test_real_spreads_of_a_tenth_of_a_percent_are_rare_and_lose_after_costs(
    real_pairs: dict[str, tuple[Bars, Bars]],
    base: str,
    n_spreads: int,
    before_quote: float,
    net_quote: float,
) -> None:
    result = backtest_pair(*real_pairs[base], "5m")
    assert len(result.timestamp) == 34_745
    assert (result.n_spreads, len(result.trades)) == (n_spreads, n_spreads)
    assert result.before_costs_quote == pytest.approx(before_quote, abs=0.005)
    assert result.net_quote == pytest.approx(net_quote, abs=0.005)
    careful = backtest_pair(*real_pairs[base], "5m", PairSettings(entry_after_costs=True))
    assert careful.all_trades == (), "no spread ever paid for its own costs"


@pytest.mark.parametrize(("base", "before_quote"), [("BTC", -11.14), ("ETH", -37.45)])
def test_a_late_leg_costs_more_than_the_real_spread_gives(
    real_pairs: dict[str, tuple[Bars, Bars]], base: str, before_quote: float
) -> None:
    late = backtest_pair(*real_pairs[base], "5m", PairSettings(leg_delay_bars=1))
    assert late.before_costs_quote == pytest.approx(before_quote, abs=0.005)


@pytest.mark.parametrize("base", ["BTC", "ETH", "SOL"])
def test_small_real_spreads_close_but_not_by_what_they_cost(
    real_pairs: dict[str, tuple[Bars, Bars]], base: str
) -> None:
    result = backtest_pair(*real_pairs[base], "5m", PairSettings(entry_frac=0.0003))
    assert len(result.trades) >= 40
    assert result.before_costs_quote > 0.0
    assert result.net_quote < -10.0 * result.before_costs_quote
    profits: FloatArray = np.array([trade.pnl_quote for trade in result.trades])
    assert np.all(profits < 0.0), "not one trade earned its costs"
