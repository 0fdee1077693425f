"""Each limit of the risk officer from both sides, and what it does when a number is missing."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from engine.risk.groups import Groups
from engine.risk.limits import (
    account_leverage,
    equity_known,
    group_concentration,
    position_size,
    risk_per_trade,
    stop_attached,
    strategy_concentration,
)
from engine.risk.market_limits import book_value_at_risk, correlation
from engine.risk.proposal import Proposal
from engine.risk.risk_model import LIFE_MS, RiskModel
from engine.risk.view import RiskView, TradePlan
from engine.trade.orders import OrderRequest, Side
from engine.trading_settings import Limits
from tests.risk_values import (
    LIMITS,
    NOW_AT,
    PLAN,
    PRICES,
    SYMBOLS,
    entry_of,
    held,
    quiet_model,
    view_with,
    waiting,
)


def ask(request: OrderRequest, view: RiskView, limits: Limits = LIMITS) -> Proposal:
    return Proposal.of(request, view, limits)


# Equity and stop


@pytest.mark.parametrize("equity", [None, Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Inf")])
def test_an_account_that_is_worth_nothing_or_nobody_knows_what_gets_nothing(
    equity: Decimal | None,
) -> None:
    proposal = ask(entry_of(100), view_with(equity_quote=equity))
    assert not equity_known(proposal).passed
    for rule in (position_size, strategy_concentration, group_concentration, account_leverage):
        result = rule(proposal)
        assert not result.passed
        assert math.isnan(result.value)
        assert "equity is" in result.message
    assert not book_value_at_risk(proposal).passed
    assert risk_per_trade(proposal)[1] is None


def test_an_account_that_is_worth_something_may_ask() -> None:
    assert equity_known(ask(entry_of(1), view_with(equity_quote=Decimal("0.01")))).passed


@pytest.mark.parametrize("stop_frac", [None, 0.0, -0.1, 1.0, math.nan, math.inf])
def test_an_entry_without_a_sound_stop_is_refused(stop_frac: float | None) -> None:
    proposal = ask(entry_of(100), view_with(plans={"a": TradePlan(stop_frac)}))
    assert not stop_attached(proposal).passed
    risk, smaller = risk_per_trade(proposal)
    assert not risk.passed
    assert math.isnan(risk.value)
    assert smaller is None


def test_an_entry_of_a_strategy_that_declares_nothing_is_refused() -> None:
    result = stop_attached(ask(entry_of(100), view_with(plans={})))
    assert not result.passed
    assert "strategy a" in result.message


def test_an_entry_with_a_stop_passes_and_names_stop_and_target() -> None:
    result = stop_attached(ask(entry_of(100), view_with()))
    assert result.passed
    assert result.message == "stop 2 % of the entry price, target 6 %"


# Risk per trade


def test_risk_per_trade_at_the_limit_passes_as_asked() -> None:
    view = view_with(plans={"a": TradePlan(0.5)})
    result, sized = risk_per_trade(ask(entry_of(400), view))
    assert (result.passed, result.value, result.limit) == (True, 0.02, 0.02)
    assert sized is not None
    assert sized.request.qty_base == 4


def test_risk_per_trade_above_the_limit_is_sized_down_to_it() -> None:
    view = view_with(plans={"a": TradePlan(0.5)})
    result, sized = risk_per_trade(ask(entry_of(1_000), view))
    assert not result.passed
    assert result.value == 0.05
    assert sized is not None
    assert sized.request.qty_base == 4
    assert sized.notional_quote == 400
    assert "500.00 USDT" in result.message
    assert "from 1,000.00 USDT to 400.00 USDT" in result.message


def test_an_order_sized_by_notional_is_sized_down_by_notional() -> None:
    view = view_with(plans={"a": TradePlan(0.5)})
    _, sized = risk_per_trade(ask(entry_of(1_000, by_notional=True), view))
    assert sized is not None
    assert (sized.request.qty_base, sized.request.notional_quote) == (None, Decimal(400))


def test_what_is_held_and_ordered_takes_its_share_of_the_risk() -> None:
    view = view_with(plans={"a": TradePlan(0.5)}, holdings=[held(200)], pending=[waiting(100)])
    result, sized = risk_per_trade(ask(entry_of(300), view))
    assert result.value == 0.03
    assert sized is not None
    assert sized.notional_quote == 100


def test_a_position_that_takes_all_of_the_risk_leaves_nothing() -> None:
    view = view_with(plans={"a": TradePlan(0.5)}, holdings=[held(400)])
    result, sized = risk_per_trade(ask(entry_of(1), view))
    assert sized is None
    assert "takes all of it already" in result.message


def test_a_reversal_is_measured_by_what_it_becomes() -> None:
    view = view_with(plans={"a": TradePlan(0.5)}, holdings=[held(400)])
    result, sized = risk_per_trade(ask(entry_of(400, side=Side.SELL), view))
    assert result.passed
    assert sized is not None


# Position size, strategy, group


def test_position_size_at_the_limit_passes_and_above_is_refused() -> None:
    view = view_with(holdings=[held(400), held(-300, strategy_id="b")])
    at = position_size(ask(entry_of(300, strategy_id="c"), view))
    assert (at.passed, at.value, at.limit) == (True, 0.1, 0.1)
    above = position_size(ask(entry_of("300.01", strategy_id="c"), view))
    assert not above.passed
    assert above.value > 0.1
    assert above.message == (
        "BTC/USDT: 10.0001 % of equity (1,000.01 USDT of 10,000.00 USDT), limit 10 %"
    )


def test_position_size_counts_other_symbols_not() -> None:
    view = view_with(holdings=[held(1_000, "ETH/USDT")])
    assert position_size(ask(entry_of(1_000), view)).passed


def test_a_limit_order_counts_at_its_own_price_when_that_is_dearer() -> None:
    cheap = entry_of(1_000, limit_price=Decimal(90))
    dear = entry_of(1_000, limit_price=Decimal(101))
    assert position_size(ask(cheap, view_with())).value == 0.1
    assert position_size(ask(dear, view_with())).value == 0.101


def test_open_orders_count_as_filled() -> None:
    view = view_with(pending=[waiting(600), waiting(300, strategy_id="b")])
    assert position_size(ask(entry_of(100), view)).passed
    assert not position_size(ask(entry_of(101), view)).passed


def test_strategy_concentration_at_the_limit_passes_and_above_is_refused() -> None:
    view = view_with(holdings=[held(200), held(-200, "ETH/USDT")])
    at = strategy_concentration(ask(entry_of(100, "SOL/USDT"), view))
    assert (at.passed, at.value) == (True, 0.05)
    assert not strategy_concentration(ask(entry_of("100.01", "SOL/USDT"), view)).passed
    assert strategy_concentration(ask(entry_of(500, strategy_id="b"), view)).passed


def test_group_concentration_at_the_limit_passes_and_above_is_refused() -> None:
    groups = Groups.of(["large=BTC,ETH"])
    view = view_with(holdings=[held(1_500), held(1_000, "ETH/USDT")], groups=groups)
    at = group_concentration(ask(entry_of(500, strategy_id="b"), view))
    assert (at.passed, at.value) == (True, 0.3)
    assert at.message.startswith("group large: 30 % of equity")
    assert not group_concentration(ask(entry_of("500.01", strategy_id="b"), view)).passed
    assert group_concentration(ask(entry_of(3_000, "SOL/USDT"), view)).passed


def test_a_base_currency_is_its_own_group_over_all_quote_currencies() -> None:
    prices = {**PRICES, "BTC/USDC": Decimal(100)}
    view = view_with(holdings=[held(2_000), held(900, "BTC/USDC")], prices=prices)
    assert group_concentration(ask(entry_of(100), view)).passed
    assert not group_concentration(ask(entry_of(101), view)).passed


# Leverage


def test_leverage_at_the_limit_passes_and_above_is_refused() -> None:
    view = view_with(holdings=[held(20_000), held(-9_000, "ETH/USDT")])
    at = account_leverage(ask(entry_of(1_000, "SOL/USDT"), view))
    assert (at.passed, at.value) == (True, 3.0)
    assert at.message == "leverage 3x (30,000.00 USDT on 10,000.00 USDT), limit 3x"
    assert not account_leverage(ask(entry_of("1000.01", "SOL/USDT"), view)).passed


def test_shorts_add_to_leverage_as_longs_do() -> None:
    view = view_with(holdings=[held(-15_000), held(15_000, strategy_id="b")])
    assert not account_leverage(ask(entry_of(1, strategy_id="c"), view)).passed
    # Bought by the one that is short, it can only make that smaller.
    assert account_leverage(ask(entry_of(1), view)).passed


# Correlation


def together(between: float) -> RiskModel:
    return quiet_model(
        correlation=np.array([[1.0, between, 0.0], [between, 1.0, 0.0], [0.0, 0.0, 1.0]])
    )


def test_correlation_at_the_limit_passes_and_above_is_refused() -> None:
    view = view_with(holdings=[held(100)], model=together(0.7))
    at = correlation(ask(entry_of(100, "ETH/USDT"), view))
    assert (at.passed, at.value) == (True, 0.7)
    view = view_with(holdings=[held(100)], model=together(0.7001))
    above = correlation(ask(entry_of(100, "ETH/USDT"), view))
    assert not above.passed
    assert "ETH/USDT and BTC/USDT as held correlate at 0.7001, limit 0.7" in above.message


def test_a_hedge_is_not_a_correlation_and_a_mirrored_one_is() -> None:
    view = view_with(holdings=[held(100)], model=together(0.9))
    assert correlation(ask(entry_of(100, "ETH/USDT", side=Side.SELL), view)).passed
    view = view_with(holdings=[held(100)], model=together(-0.9))
    assert correlation(ask(entry_of(100, "ETH/USDT"), view)).passed
    assert not correlation(ask(entry_of(100, "ETH/USDT", side=Side.SELL), view)).passed


def test_an_open_order_correlates_as_a_position_does() -> None:
    view = view_with(pending=[waiting(100)], model=together(0.9))
    assert not correlation(ask(entry_of(100, "ETH/USDT", "b"), view)).passed


def test_two_strategies_in_one_symbol_are_one_position() -> None:
    view = view_with(holdings=[held(100)])
    assert correlation(ask(entry_of(100, strategy_id="b"), view)).passed


def test_a_symbol_held_both_ways_correlates_both_ways() -> None:
    view = view_with(holdings=[held(100), held(-100, strategy_id="b")], model=together(0.9))
    assert not correlation(ask(entry_of(100, "ETH/USDT", "c"), view)).passed
    assert not correlation(ask(entry_of(100, "ETH/USDT", "c", Side.SELL), view)).passed


def test_an_unknown_correlation_refuses() -> None:
    view = view_with(holdings=[held(100)], model=together(math.nan))
    result = correlation(ask(entry_of(100, "ETH/USDT"), view))
    assert not result.passed
    assert math.isnan(result.value)
    assert "too few returns in common" in result.message


# Value at risk


def one_in_ten(loss: float) -> RiskModel:
    """Return a model in which BTC loses `loss` on one day of ten, and stands still otherwise."""
    moves = np.zeros((100, 3))
    moves[::10, 0] = -loss
    return RiskModel(SYMBOLS, NOW_AT, moves, moves, np.eye(3))


def test_value_at_risk_at_the_limit_passes_and_above_is_refused() -> None:
    # A loss of a quarter on a tenth of the days: the 5 % quantile is that loss.
    view = view_with(holdings=[held(500)], model=one_in_ten(0.25))
    at = book_value_at_risk(ask(entry_of(300, strategy_id="b"), view))
    assert (at.passed, at.value, at.limit) == (True, 0.02, 0.02)
    above = book_value_at_risk(ask(entry_of("300.1", strategy_id="b"), view))
    assert not above.passed
    assert "200.03 USDT" in above.message


def test_the_worse_of_past_and_drawn_days_counts() -> None:
    calm, wild = one_in_ten(0.0), one_in_ten(0.5)
    for history, drawn in ((calm, wild), (wild, calm)):
        model = RiskModel(SYMBOLS, NOW_AT, history.history, drawn.history, np.eye(3))
        assert not book_value_at_risk(ask(entry_of(500), view_with(model=model))).passed


def test_an_order_counts_where_it_loses_and_not_where_it_hedges() -> None:
    view = view_with(holdings=[held(800)], model=one_in_ten(0.25))
    hedge = ask(entry_of(800, strategy_id="b", side=Side.SELL), view)
    assert book_value_at_risk(hedge).value == 0.02


def test_a_held_hedge_counts() -> None:
    view = view_with(holdings=[held(800), held(-400, strategy_id="b")], model=one_in_ten(0.25))
    assert book_value_at_risk(ask(entry_of(400), view)).value == 0.02


def test_a_model_that_is_missing_or_too_old_refuses_increases() -> None:
    blind = RiskView("paper", "USDT", NOW_AT, Decimal(10_000), prices=PRICES, plans={"a": PLAN})
    assert "no history of returns" in book_value_at_risk(ask(entry_of(1), blind)).message
    old = view_with(at=NOW_AT + LIFE_MS + 1)
    assert "the newest return is of 2025-03-10 12:00 UTC" in (
        book_value_at_risk(ask(entry_of(1), old)).message
    )
    assert book_value_at_risk(ask(entry_of(1), view_with(at=NOW_AT + LIFE_MS))).passed


def test_a_symbol_without_history_refuses_and_says_so() -> None:
    view = view_with(model=quiet_model(SYMBOLS[:1]), holdings=[held(1, "ETH/USDT")])
    result = book_value_at_risk(ask(entry_of(1), view))
    assert not result.passed
    assert result.message == "value at risk is unknown: no bars of ETH/USDT were read"


def test_a_notional_beyond_numbers_refuses() -> None:
    view = view_with(holdings=[held("1e400")])
    assert not book_value_at_risk(ask(entry_of(1), view)).passed


# Missing prices


@pytest.mark.parametrize("price", [None, Decimal("NaN"), Decimal("sNaN"), Decimal(0), Decimal(-1)])
def test_a_symbol_without_a_price_is_not_bought(price: Decimal | None) -> None:
    prices = {s: p for s, p in PRICES.items() if s != "BTC/USDT"}
    if price is not None:
        prices["BTC/USDT"] = price
    proposal = ask(entry_of(1), view_with(prices=prices))
    for rule in (
        position_size,
        strategy_concentration,
        group_concentration,
        account_leverage,
        book_value_at_risk,
    ):
        result = rule(proposal)
        assert not result.passed
        assert "no price of BTC/USDT" in result.message
    assert risk_per_trade(proposal)[1] is None


def test_a_held_symbol_without_a_price_refuses_what_needs_it() -> None:
    prices = {s: p for s, p in PRICES.items() if s != "ETH/USDT"}
    view = view_with(holdings=[held(100, "ETH/USDT", "b")], prices=prices)
    proposal = ask(entry_of(1), view)
    assert position_size(proposal).passed
    assert strategy_concentration(proposal).passed
    assert group_concentration(proposal).passed
    assert not account_leverage(proposal).passed
    assert not correlation(proposal).passed
    assert not book_value_at_risk(proposal).passed
    own = ask(entry_of(1, strategy_id="b"), view)
    assert not strategy_concentration(own).passed


def test_an_order_sized_by_notional_still_needs_a_price() -> None:
    view = view_with(prices={})
    assert math.isnan(position_size(ask(entry_of(1, by_notional=True), view)).value)
