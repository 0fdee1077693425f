"""Exposure at the worst of open orders, and what is left without a stop."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from engine.risk.exposure import (
    Exposure,
    Reach,
    concentration,
    exposure_of,
    leverage,
    liquidation_distance,
    unprotected_quote,
    venue_liquidation_distance,
)
from engine.risk.view import Holding, PendingOrder
from engine.trade.orders import Side
from tests.risk_values import PRICES, held, view_with, waiting


def test_an_order_against_a_position_does_not_add_to_it() -> None:
    reach = Reach(held_quote=Decimal(400), buys_quote=Decimal(100), sells_quote=Decimal(450))
    assert (reach.long_quote, reach.short_quote, reach.worst_quote) == (500, 450, 500)
    short = Reach(held_quote=Decimal(-400), buys_quote=Decimal(100), sells_quote=Decimal(50))
    assert (short.long_quote, short.short_quote, short.worst_quote) == (100, 450, 450)


def test_strategies_on_both_sides_of_a_symbol_do_not_cancel_out() -> None:
    exposure = exposure_of(view_with(holdings=[held(300), held(-200, strategy_id="b")]))
    assert exposure.by_symbol == {"BTC/USDT": 500}
    assert exposure.by_strategy == {"a": 300, "b": 200}
    assert exposure.gross_quote == 500


def test_adding_an_order_keeps_the_sums_right() -> None:
    view = view_with(holdings=[held(300), held(-200, "ETH/USDT", "b")], pending=[waiting(50)])
    exposure = exposure_of(view)
    for key, side, notional in (
        (("a", "BTC/USDT"), Side.SELL, 500),
        (("b", "ETH/USDT"), Side.BUY, 100),
        (("c", "SOL/USDT"), Side.SELL, 70),
    ):
        exposure = exposure.with_order(key, side, Decimal(notional))
        assert exposure == Exposure.of(exposure.reaches)
    assert exposure.by_symbol == {"BTC/USDT": 500, "ETH/USDT": 200, "SOL/USDT": 70}


def test_an_open_order_counts_at_the_dearer_of_mark_and_its_own_price() -> None:
    dear = PendingOrder("a", "BTC/USDT", Side.BUY, Decimal(2), own_price=Decimal(110))
    cheap = PendingOrder("a", "BTC/USDT", Side.BUY, Decimal(2), own_price=Decimal(90))
    money = PendingOrder("a", "BTC/USDT", Side.BUY, None, left_quote=Decimal(33))
    assert exposure_of(view_with(pending=[dear, cheap, money])).gross_quote == 220 + 200 + 33


def test_what_has_no_price_is_named() -> None:
    prices = {"BTC/USDT": Decimal(100), "ETH/USDT": Decimal("NaN")}
    view = view_with(
        holdings=[held(100), held(100, "ETH/USDT")],
        pending=[waiting(100, "SOL/USDT")],
        prices=prices,
    )
    exposure = exposure_of(view)
    assert exposure.unpriced == {"ETH/USDT", "SOL/USDT"}
    assert math.isnan(leverage(exposure, Decimal(100)))
    assert math.isnan(concentration(exposure))


def test_leverage_of_an_account_that_is_worth_nothing_is_unknown() -> None:
    exposure = exposure_of(view_with(holdings=[held(300)]))
    assert leverage(exposure, Decimal(100)) == 3.0
    for equity in (Decimal(0), Decimal(-5)):
        assert math.isnan(leverage(exposure, equity))


def test_concentration_is_one_for_one_symbol_and_a_third_for_three() -> None:
    assert concentration(exposure_of(view_with(holdings=[held(-500)]))) == 1.0
    spread = [held(100, symbol) for symbol in PRICES]
    assert concentration(exposure_of(view_with(holdings=spread))) == pytest.approx(1 / 3)
    assert math.isnan(concentration(exposure_of(view_with())))


# Unprotected exposure


def protected(stop_base: str, signed_base: str = "10") -> Holding:
    return Holding("a", "BTC/USDT", Decimal(signed_base), stop_base=Decimal(stop_base))


@pytest.mark.parametrize(
    ("holding", "expected"),
    [
        (protected("10"), 0),
        (protected("0"), 1_000),
        (protected("4"), 600),
        (protected("4", "-10"), 600),
        (protected("11"), 0),
    ],
)
def test_what_no_resting_stop_covers_is_unprotected(holding: Holding, expected: int) -> None:
    assert unprotected_quote(view_with(holdings=[holding])) == expected


def test_an_empty_book_leaves_nothing_unprotected() -> None:
    assert unprotected_quote(view_with()) == 0


def test_an_unprotected_position_without_a_price_is_unknown_and_a_protected_one_is_not() -> None:
    assert unprotected_quote(view_with(holdings=[protected("9")], prices={})) is None
    assert unprotected_quote(view_with(holdings=[protected("10")], prices={})) == 0


# Liquidation


def test_liquidation_distance_by_hand() -> None:
    # 1,000 of equity under 3,000 of notional: a third against, less 0.4 % of margin.
    assert liquidation_distance(Decimal(1_000), Decimal(3_000), 0.004) == pytest.approx(
        1 / 3 - 0.004
    )
    assert liquidation_distance(Decimal(5), Decimal(1_000), 0.01) < 0.0
    assert liquidation_distance(Decimal(5), Decimal(0), 0.01) == math.inf
    assert math.isnan(liquidation_distance(Decimal("NaN"), Decimal(1), 0.01))


def test_the_venues_own_liquidation_price_is_measured_from_the_mark() -> None:
    long, short = Decimal(1), Decimal(-1)
    assert venue_liquidation_distance(Decimal(100), Decimal(80), long) == pytest.approx(0.2)
    assert venue_liquidation_distance(Decimal(100), Decimal(80), short) == pytest.approx(-0.2)
    assert venue_liquidation_distance(Decimal(100), Decimal(120), short) == pytest.approx(0.2)
    assert venue_liquidation_distance(Decimal(100), None, long) == math.inf
    assert math.isnan(venue_liquidation_distance(Decimal("NaN"), Decimal(80), long))
    assert math.isnan(venue_liquidation_distance(Decimal(100), Decimal(0), long))
