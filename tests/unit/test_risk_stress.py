"""Past crashes on the open book: losses by hand, stops, gaps, trips, and what stored bars show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from engine.errors import NonFiniteError, UsageError
from engine.market.store import MarketStore
from engine.risk.past_crashes import past_crashes
from engine.risk.scenario import AssetClass, PricePath, Scenario, asset_class_of
from engine.risk.stored_crashes import stored_crashes
from engine.risk.stress import StressResult, stress_test
from engine.risk.view import Holding
from engine.types import MS_PER_DAY, Bars, SeriesKey
from tests.risk_values import LIMITS, OPEN, held, view_with

HOUR_MS = 3_600_000
CRASHES = {scenario.name: scenario for scenario in past_crashes()}


def scenario(*steps: tuple[float, float, float, float], symbol: str = "BTC/USDT") -> Scenario:
    return Scenario("made-up", "made up", "test", {symbol: PricePath.of_steps(*steps)})


def stopped(notional: str, stop: str, stop_notional: str | None = None) -> Holding:
    base = abs(Decimal(stop_notional or notional)) / 100
    return replace(held(notional), stop_base=base, stop_price=Decimal(stop))


def replayed(
    holdings: Sequence[Holding], path: Scenario, slippage_frac: float = 0.0
) -> StressResult:
    [result] = stress_test(view_with(holdings=holdings), [path], LIMITS, slippage_frac)
    return result


FALL = scenario((1.0, 0.9, 1.0, 0.92), (0.92, 0.7, 0.92, 0.8))


# By hand


def test_a_long_without_a_stop_loses_what_the_price_loses() -> None:
    result = replayed([held(1_000)], FALL)
    assert result.loss_quote == pytest.approx(200.0)
    assert result.trough_loss_quote == pytest.approx(300.0)
    assert result.loss_without_stops_quote == pytest.approx(200.0)
    assert result.equity_after_quote == pytest.approx(9_800.0)


def test_a_short_gains_by_a_fall_and_loses_by_a_rise() -> None:
    assert replayed([held(-1_000)], FALL).loss_quote == pytest.approx(-200.0)
    rise = scenario((1.0, 1.0, 1.3, 1.1))
    result = replayed([held(-1_000)], rise)
    assert result.loss_quote == pytest.approx(100.0)
    assert result.trough_loss_quote == pytest.approx(300.0)


def test_a_stop_that_is_traded_through_fills_at_its_level() -> None:
    result = replayed([stopped("1000", "95")], FALL)
    assert result.loss_quote == pytest.approx(50.0)
    assert result.trough_loss_quote == pytest.approx(50.0)
    assert result.loss_without_stops_quote == pytest.approx(200.0)
    assert result.gapped == ()


def test_slippage_is_against_whoever_is_stopped() -> None:
    assert replayed([stopped("1000", "95")], FALL, 0.01).loss_quote == pytest.approx(59.5)
    rise = scenario((1.0, 1.0, 1.3, 1.1))
    assert replayed([stopped("-1000", "105")], rise, 0.01).loss_quote == pytest.approx(60.5)


def test_a_stop_that_is_jumped_over_fills_at_the_next_price_and_is_named() -> None:
    gap = scenario((1.0, 0.97, 1.0, 0.98), (0.85, 0.8, 0.9, 0.9))
    result = replayed([stopped("1000", "95")], gap)
    assert result.loss_quote == pytest.approx(150.0)
    [gapped] = result.gapped
    assert (gapped.strategy_id, gapped.symbol) == ("a", "BTC/USDT")
    assert (gapped.stop_price, gapped.fill_price) == (95.0, pytest.approx(85.0))


def test_a_shorts_stop_is_jumped_over_upwards() -> None:
    gap = scenario((1.2, 1.1, 1.25, 1.15))
    result = replayed([stopped("-1000", "105")], gap)
    assert result.loss_quote == pytest.approx(200.0)
    assert result.loss_without_stops_quote == pytest.approx(150.0)
    assert len(result.gapped) == 1


def test_what_a_stop_does_not_cover_rides_on() -> None:
    result = replayed([stopped("1000", "95", "400")], FALL)
    assert result.loss_quote == pytest.approx(0.4 * 50 + 0.6 * 200)
    assert result.trough_loss_quote == pytest.approx(0.4 * 50 + 0.6 * 300)


def test_a_stop_that_is_not_reached_does_nothing() -> None:
    result = replayed([stopped("1000", "60")], FALL)
    assert result.loss_quote == pytest.approx(200.0)


def test_positions_add_up_step_by_step() -> None:
    both = Scenario(
        "x",
        "x",
        "test",
        {
            "BTC/USDT": PricePath.of_steps((1.0, 0.5, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0)),
            "ETH/USDT": PricePath.of_steps((1.0, 1.0, 1.0, 1.0), (1.0, 0.5, 1.0, 0.9)),
        },
    )
    result = replayed([held(100), held(100, "ETH/USDT")], both)
    assert result.trough_loss_quote == pytest.approx(50.0)
    assert result.loss_quote == pytest.approx(10.0)


def test_an_empty_book_loses_nothing_in_any_scenario() -> None:
    for result in stress_test(view_with(), past_crashes(), LIMITS):
        assert (result.loss_quote, result.trough_loss_quote) == (0.0, 0.0)
        assert result.equity_after_quote == 10_000.0
        assert (result.trips, result.gapped) == ((), ())


# Trips


def test_the_limits_that_would_be_reached_are_named() -> None:
    result = replayed([held(5_000)], FALL)
    assert result.trough_loss_quote == pytest.approx(1_500.0)
    assert result.trips == (
        "daily_loss_frac",
        "weekly_loss_frac",
        "monthly_loss_frac",
        "drawdown_reduce_frac",
        "drawdown_stop_frac",
        "position_loss_frac",
    )


def test_a_small_fall_trips_nothing() -> None:
    assert replayed([held(1_000)], scenario((1.0, 0.96, 1.0, 0.97))).trips == ()


def test_leverage_grows_as_equity_melts() -> None:
    view = view_with(holdings=[held(20_000)])
    [result] = stress_test(view, [scenario((1.0, 0.7, 1.0, 0.7))], LIMITS)
    assert "leverage_max" in result.trips
    [ruined] = stress_test(view, [scenario((1.0, 0.4, 1.0, 0.4))], OPEN)
    assert ruined.equity_after_quote == pytest.approx(-2_000.0)
    assert "leverage_max" in ruined.trips


# What is not known


def test_a_held_symbol_without_a_price_makes_the_result_unknown_and_is_named() -> None:
    view = view_with(holdings=[held(100), held(100, "ETH/USDT")], prices={"BTC/USDT": Decimal(1)})
    [result] = stress_test(view, [FALL], LIMITS)
    assert result.unpriced == ("ETH/USDT",)
    assert math.isnan(result.loss_quote)
    assert math.isnan(result.equity_after_quote)


@pytest.mark.parametrize("equity", [None, Decimal("NaN")])
def test_an_account_of_unknown_worth_still_knows_its_loss(equity: Decimal | None) -> None:
    view = view_with(holdings=[held(1_000)], equity_quote=equity)
    [result] = stress_test(view, [FALL], LIMITS)
    assert result.loss_quote == pytest.approx(200.0)
    assert math.isnan(result.equity_after_quote)


def test_a_symbol_without_a_path_goes_the_way_that_is_worst_for_who_holds_it() -> None:
    paths = {
        "ETH/USDT": PricePath.of_steps((1.0, 0.6, 1.0, 0.6)),
        "SOL/USDT": PricePath.of_steps((1.0, 1.0, 1.5, 1.5)),
    }
    made = Scenario("x", "x", "test", paths)
    assert replayed([held(100)], made).loss_quote == pytest.approx(40.0)
    assert replayed([held(-100)], made).loss_quote == pytest.approx(50.0)
    assert replayed([held(-100)], made).assumed == ("BTC/USDT",)


# Scenarios


@pytest.mark.parametrize(
    "columns",
    [
        ((1.0, math.nan, 1.0, 1.0),),
        ((1.0, 0.0, 1.0, 1.0),),
        ((1.0, -0.5, 1.0, 1.0),),
    ],
)
def test_a_path_that_is_no_price_is_refused(columns: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(NonFiniteError):
        PricePath.of_steps(*columns)  # type: ignore[arg-type]


def test_a_path_outside_its_lows_and_highs_or_of_another_length_is_refused() -> None:
    for step in ((1.0, 1.1, 1.2, 1.15), (1.0, 0.9, 1.0, 1.2), (1.0, 0.9, 1.0, 0.8)):
        with pytest.raises(UsageError):
            PricePath.of_steps(step)
    one = PricePath.of_steps((1.0, 1.0, 1.0, 1.0))
    two = PricePath.of_steps(*[(1.0, 1.0, 1.0, 1.0)] * 2)
    with pytest.raises(UsageError):
        Scenario("x", "x", "test", {"a": one, "b": two})


def test_past_crashes_are_named_once_and_cover_every_class() -> None:
    assert len(CRASHES) == len(past_crashes()) == 8
    for crash in CRASHES.values():
        assert set(crash.paths) == set(AssetClass)
        assert crash.title
        assert crash.source


@pytest.mark.parametrize(
    ("name", "symbol", "low", "end"),
    [
        ("2020-03-12", "BTC/USDT", 0.49, 0.61),
        ("2020-03-12", "ETH/USDT", 0.46, 0.57),
        ("2021-05-19", "BTC/USDT", 0.70, 0.86),
        ("2021-05-19", "BNB/USDT", 0.50, 0.70),
        ("2022-06-10", "BTC/USDT", 0.58, 0.63),
        ("2022-11-07", "BTC/USDT", 0.73, 0.75),
        ("2025-10-10", "DOGE/USDT", 0.50, 0.82),
        ("gap-down", "SOL/USDT", 0.80, 0.80),
    ],
)
def test_a_long_rides_each_crash_to_its_published_low_and_close(
    name: str, symbol: str, low: float, end: float
) -> None:
    view = view_with(holdings=[held(1_000, symbol)], prices={symbol: Decimal(100)})
    [result] = stress_test(view, [CRASHES[name]], LIMITS)
    assert result.trough_loss_quote == pytest.approx(1_000 * (1 - low))
    assert result.loss_quote == pytest.approx(1_000 * (1 - end))


def test_the_flash_crash_jumps_over_the_stops_of_altcoins_and_of_bitcoin() -> None:
    view = view_with(
        holdings=[
            replace(held(1_000, "SOL/USDT"), stop_base=Decimal(10), stop_price=Decimal(88)),
            replace(held(1_000), stop_base=Decimal(10), stop_price=Decimal(94)),
        ]
    )
    [result] = stress_test(view, [CRASHES["2025-10-10"]], LIMITS)
    fills = {g.symbol: g.fill_price for g in result.gapped}
    assert fills == {"SOL/USDT": pytest.approx(75.0), "BTC/USDT": pytest.approx(92.0)}
    assert result.loss_quote == pytest.approx(250.0 + 80.0)


def test_a_squeeze_hurts_shorts() -> None:
    [result] = stress_test(view_with(holdings=[held(-1_000)]), [CRASHES["2019-10-25"]], LIMITS)
    assert result.trough_loss_quote == pytest.approx(420.0)


def test_assets_are_known_by_their_base() -> None:
    assert asset_class_of("BTC/USDT") is AssetClass.BITCOIN
    assert asset_class_of("ETH/USDC:USDC") is AssetClass.ETHER
    assert asset_class_of("USDC/USDT") is AssetClass.STABLECOIN
    assert asset_class_of("NEVERHEARDOF/USDT") is AssetClass.ALTCOIN


# Stored bars


def hourly(close: np.ndarray, first_at: int = 0) -> Bars:
    at = first_at + HOUR_MS * np.arange(len(close), dtype=np.int64)
    opened = np.concatenate((close[:1], close[:-1]))
    low, high = np.minimum(opened, close), np.maximum(opened, close)
    return Bars(at, opened, high, low, close, np.ones(len(close)))


def crashing(n_bars: int, at: int, factor: float) -> np.ndarray:
    close = np.full(n_bars, 100.0)
    close[at:] *= factor
    return close


def test_the_worst_day_of_a_long_is_found_and_replayed() -> None:
    bars = {"BTC/USDT": hourly(crashing(100, 50, 0.8))}
    [day] = stored_crashes(bars, {"BTC/USDT": 1_000.0}, HOUR_MS, {"day": MS_PER_DAY})
    assert day.name == "worst-day"
    assert len(day.paths["BTC/USDT"]) == 24
    assert "BTC/USDT -20 %" in day.title
    assert replayed([held(1_000)], day).loss_quote == pytest.approx(200.0)


def test_the_worst_day_is_that_of_the_book_and_not_of_one_symbol() -> None:
    bars = {
        "BTC/USDT": hourly(crashing(200, 50, 0.8)),
        "ETH/USDT": hourly(crashing(200, 50, 0.7) * crashing(200, 150, 0.9) / 100),
    }
    long_both = {"BTC/USDT": 1_000.0, "ETH/USDT": 1_000.0}
    hedged = {"BTC/USDT": 1_500.0, "ETH/USDT": -1_000.0}
    lone = {"BTC/USDT": -100.0, "ETH/USDT": 1_000.0}
    for book, expected in ((long_both, 500.0), (lone, 280.0)):
        [day] = stored_crashes(bars, book, HOUR_MS, {"day": MS_PER_DAY})
        holdings = [held(str(quote), symbol) for symbol, quote in book.items()]
        assert replayed(holdings, day).loss_quote == pytest.approx(expected)
    # Long and short together, both falls gain: even the worst day costs nothing.
    [day] = stored_crashes(bars, hedged, HOUR_MS, {"day": MS_PER_DAY})
    holdings = [held(str(quote), symbol) for symbol, quote in hedged.items()]
    assert replayed(holdings, day).loss_quote == pytest.approx(0.0)


def test_a_short_has_another_worst_day() -> None:
    close = crashing(200, 50, 0.8) * crashing(200, 150, 1.5) / 100
    [day] = stored_crashes(
        {"BTC/USDT": hourly(close)}, {"BTC/USDT": -1.0}, HOUR_MS, {"d": 86400000}
    )
    assert replayed([held(-1_000)], day).loss_quote == pytest.approx(500.0)


def test_a_stretch_with_a_gap_in_it_is_no_day() -> None:
    before, after = (
        hourly(np.full(30, 100.0)),
        hourly(np.full(30, 50.0), 10**10 // HOUR_MS * HOUR_MS),
    )
    gapped = Bars(
        *(
            np.concatenate((getattr(before, name), getattr(after, name)))
            for name in Bars.__dataclass_fields__
        )
    )
    [day] = stored_crashes({"BTC/USDT": gapped}, {"BTC/USDT": 1.0}, HOUR_MS, {"d": MS_PER_DAY})
    assert replayed([held(1_000)], day).loss_quote == pytest.approx(0.0)


def test_only_instants_that_all_symbols_have_are_joint() -> None:
    bars = {
        "BTC/USDT": hourly(crashing(100, 10, 0.5)),
        "ETH/USDT": hourly(np.full(70, 100.0), 30 * HOUR_MS),
    }
    book = {"BTC/USDT": 1_000.0, "ETH/USDT": 1_000.0}
    [day] = stored_crashes(bars, book, HOUR_MS, {"d": MS_PER_DAY})
    assert replayed([held(1_000), held(1_000, "ETH/USDT")], day).loss_quote == 0.0


def test_too_short_a_history_has_no_worst_week() -> None:
    bars = {"BTC/USDT": hourly(crashing(100, 50, 0.8))}
    assert [s.name for s in stored_crashes(bars, {"BTC/USDT": 1.0}, HOUR_MS)] == ["worst-day"]
    assert stored_crashes({}, {"BTC/USDT": 1.0}, HOUR_MS) == ()
    assert stored_crashes(bars, {}, HOUR_MS) == ()
    assert stored_crashes(bars, {"BTC/USDT": 0.0}, HOUR_MS) == ()
    with pytest.raises(UsageError):
        stored_crashes(bars, {"BTC/USDT": 1.0}, HOUR_MS, {"odd": HOUR_MS + 1})


def test_a_symbol_without_bars_goes_the_worst_way_of_the_others() -> None:
    bars = {"BTC/USDT": hourly(crashing(100, 50, 0.8))}
    book = {"BTC/USDT": 1_000.0, "ETH/USDT": 1_000.0}
    [day] = stored_crashes(bars, book, HOUR_MS, {"d": MS_PER_DAY})
    result = replayed([held(1_000), held(1_000, "ETH/USDT")], day)
    assert result.loss_quote == pytest.approx(400.0)
    assert result.assumed == ("ETH/USDT",)


def test_real_bars_show_their_worst_day_and_week(shared_market: Path) -> None:
    store = MarketStore(shared_market / "perp-1h")
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    bars = {s: store.read(SeriesKey("binance-perp", s, "1h")) for s in symbols}
    book = dict.fromkeys(symbols, 1_000.0)
    day, week = stored_crashes(bars, book, HOUR_MS)
    results = stress_test(
        view_with(holdings=[held(1_000, s) for s in symbols]), (day, week), LIMITS
    )
    losses = [result.loss_quote for result in results]
    closes = np.array([bars[s].close for s in symbols])
    for found, n_bars in zip(losses, (24, 168), strict=True):
        sums = np.sum(closes[:, n_bars:] / closes[:, :-n_bars] - 1.0, axis=0)
        assert found == pytest.approx(-1_000 * float(np.min(sums)))
        assert found > 200.0
