"""The matching engine: what it refuses, how it fills on bars, moves and ticks."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.errors import UsageError, VenueRejected
from engine.trade.exchange import Fill
from engine.trade.orders import OrderState, Side
from engine.trade.simulated.book_order import NewOrder, TimeInForce
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.perp_account import PerpAccount
from engine.trade.simulated.refusals import Refusal
from engine.trade.simulated.rules import VenueRules
from tests.venues.simulated_desk import BTC, ETH, FREE, engine_of, instrument, order


def refusal_of(engine: MatchingEngine, new: NewOrder) -> object:
    with pytest.raises(VenueRejected) as caught:
        engine.place(new, 0)
    return caught.value.fields["refusal"]


def placed(engine: MatchingEngine, new: NewOrder, at: int = 0) -> list[Fill]:
    engine.place(new, at)
    return [event.fill for event in engine.settle(new.symbol) if event.fill is not None]


def state(engine: MatchingEngine, new: NewOrder) -> OrderState:
    found = engine.order(new.client_id)
    assert found is not None
    return found.state


def opened(engine: MatchingEngine, price: float, symbol: str = BTC, at: int = 0) -> MatchingEngine:
    engine.on_bar_open(symbol, Decimal(str(price)), at)
    return engine


# Refusals


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (order("buy", symbol="XRP/USDT"), Refusal.UNKNOWN_SYMBOL),
        (order("buy", "limit", price="99.999"), Refusal.PRICE_STEP),
        (order("sell", "stop", stop="90.001"), Refusal.PRICE_STEP),
        (order("buy", qty="0.0015"), Refusal.QTY_STEP),
        (order("buy", qty="-1"), Refusal.QTY_STEP),
        (order("buy", qty="0"), Refusal.QTY_STEP),
        (order("buy", notional="-5"), Refusal.QTY_STEP),
        (order("buy", "limit", qty="0.04", price="100"), Refusal.NOTIONAL_MIN),
        (order("buy", notional="4.99"), Refusal.NOTIONAL_MIN),
        (order("buy", qty="100000"), Refusal.MARGIN),
        (order("sell", reduce_only=True), Refusal.NOTHING_TO_REDUCE),
        (
            order("buy", "limit", price="101", time_in_force=TimeInForce.POST_ONLY),
            Refusal.IMMEDIATE_MATCH,
        ),
    ],
)
def test_each_bad_order_is_refused_with_its_reason(new: NewOrder, reason: Refusal) -> None:
    assert refusal_of(opened(engine_of(), 100), new) is reason


def test_a_quantity_under_the_minimum_is_refused() -> None:
    engine = MatchingEngine(
        {BTC: instrument(min_qty_base=Decimal("0.5"))}, FREE, {"USDT": Decimal(1000)}
    )
    assert refusal_of(opened(engine, 100), order("buy", qty="0.4")) is Refusal.QTY_MIN


def test_a_market_order_over_the_largest_is_refused_and_a_limit_order_is_not() -> None:
    listed = {BTC: instrument(max_market_base=Decimal(2))}
    engine = opened(MatchingEngine(listed, FREE, {"USDT": Decimal(10_000)}), 100)
    assert refusal_of(engine, order("buy", qty="2.001")) is Refusal.QTY_MAX
    assert refusal_of(engine, order("sell", "stop", "3", stop="90")) is Refusal.QTY_MAX
    placed(engine, order("buy", "limit", qty="3", price="90"))


def test_an_id_that_was_used_is_refused_for_ever() -> None:
    engine = opened(engine_of(), 100)
    placed(engine, order("buy", client_id="once"))
    assert refusal_of(engine, order("buy", client_id="once")) is Refusal.DUPLICATE_ID


def test_more_resting_orders_than_allowed_are_refused() -> None:
    engine = opened(engine_of(rules=replace(FREE, orders_max=2)), 100)
    for price in ("90", "91"):
        placed(engine, order("buy", "limit", price=price))
    assert refusal_of(engine, order("buy", "limit", price="92")) is Refusal.TOO_MANY_ORDERS


def test_a_stop_that_would_trigger_at_once_is_refused_where_real_venues_refuse_it() -> None:
    strict = opened(engine_of(rules=replace(FREE, refuses_immediate_triggers=True)), 100)
    assert refusal_of(strict, order("sell", "stop", stop="100")) is Refusal.IMMEDIATE_TRIGGER
    lenient = opened(engine_of(), 100)
    placed(lenient, order("buy"))
    (fill,) = placed(lenient, order("sell", "stop", stop="101", reduce_only=True))
    assert fill.price == 100


def test_spot_and_perpetuals_together_are_refused() -> None:
    listed = {BTC: instrument(BTC, "spot"), ETH: instrument(ETH, "perp")}
    with pytest.raises(UsageError, match="not both"):
        MatchingEngine(listed, FREE, {})


def test_cancelling_what_does_not_exist_is_refused_and_what_ended_changes_nothing() -> None:
    engine = opened(engine_of(), 100)
    with pytest.raises(VenueRejected) as caught:
        engine.cancel(BTC, "nobody", 0)
    assert caught.value.fields["refusal"] is Refusal.UNKNOWN_ORDER
    done = order("buy")
    placed(engine, done)
    assert engine.cancel(BTC, done.client_id, 0) == []
    assert state(engine, done) is OrderState.FILLED


# Market orders, costs, sizes


def test_a_market_order_at_a_close_fills_at_the_next_open_with_slippage_and_commission() -> None:
    rules = VenueRules(commission_frac=Decimal("0.001"), slippage_frac=Decimal("0.0005"))
    engine = engine_of(rules=rules)
    engine.on_bar_close(BTC, Decimal(100), 1)
    new = order("buy", qty="2")
    assert placed(engine, new, 1) == []
    (fill,) = (e.fill for e in engine.on_bar_open(BTC, Decimal(110), 2) if e.fill)
    assert fill.price == Decimal("110.06")  # 110.055, on the tick and against the trader
    assert fill.fee == Decimal("0.22012")
    assert fill.at == 2
    assert engine.view(2).balances == {"USDT": Decimal("10000") - Decimal("0.22012")}


def test_a_notional_buys_whole_lots_of_the_fill_price() -> None:
    engine = opened(engine_of(), 100)
    new = order("buy", notional="250.05")
    (fill,) = placed(engine, new)
    assert (fill.qty_base, state(engine, new)) == (Decimal("2.500"), OrderState.FILLED)


def test_a_notional_of_less_than_a_lot_ends_without_a_fill() -> None:
    free = instrument(min_notional_quote=Decimal(0))
    engine = opened(MatchingEngine({BTC: free}, FREE, {"USDT": Decimal(1000)}), 100)
    new = order("buy", notional="0.05")
    assert placed(engine, new) == []
    told = engine.order(new.client_id)
    assert told is not None
    assert (told.state, told.reason) == (
        OrderState.EXPIRED,
        "the notional buys less than one lot",
    )


# Reduce-only


def test_a_reduce_only_order_is_capped_to_the_position_and_ends() -> None:
    engine = opened(engine_of(), 100)
    placed(engine, order("buy", qty="1"))
    exit_ = order("sell", qty="3", reduce_only=True)
    (fill,) = placed(engine, exit_)
    assert fill.qty_base == 1
    assert state(engine, exit_) is OrderState.EXPIRED
    assert engine.view(0).positions == {}


def test_the_other_protective_order_has_nothing_to_reduce_once_one_has_filled() -> None:
    engine = opened(engine_of(), 100)
    placed(engine, order("buy"))
    stop = order("sell", "stop", stop="98", reduce_only=True)
    target = order("sell", "target", stop="106", reduce_only=True)
    placed(engine, stop)
    placed(engine, target)
    events = engine.on_bar_inside(BTC, Decimal(97), Decimal(107), 5)
    assert [(e.order.client_id, e.fill.price) for e in events if e.fill] == [
        (stop.client_id, Decimal(98))
    ]
    assert state(engine, target) is OrderState.EXPIRED


# Bars


def test_at_one_open_stops_come_first_then_markets_then_targets() -> None:
    engine = engine_of(symbols=(BTC,))
    opened(engine, 100)
    placed(engine, order("buy", qty="3"))
    engine.on_bar_close(BTC, Decimal(100), 1)
    target = order("sell", "target", stop="90", reduce_only=True)
    market = order("sell", reduce_only=True)
    stop = order("sell", "stop", stop="99", reduce_only=True)
    for new in (target, market, stop):
        placed(engine, new, 1)
    events = [e for e in engine.on_bar_open(BTC, Decimal(95), 2) if e.fill]
    assert [e.order.client_id for e in events] == [
        stop.client_id,
        market.client_id,
        target.client_id,
    ]
    assert {e.fill.price for e in events if e.fill} == {Decimal(95)}


def test_inside_a_bar_the_stop_fills_at_its_level_before_the_target() -> None:
    engine = opened(engine_of(), 100)
    placed(engine, order("sell"))
    stop = order("buy", "stop", stop="102", reduce_only=True)
    target = order("buy", "target", stop="98", reduce_only=True)
    placed(engine, target)
    placed(engine, stop)
    events = engine.on_bar_inside(BTC, Decimal(97), Decimal(103), 5)
    assert [e.fill.price for e in events if e.fill] == [Decimal(102)]


def test_a_market_order_sent_inside_a_bar_waits_for_the_next_open() -> None:
    engine = opened(engine_of(), 100)
    engine.on_bar_inside(BTC, Decimal(90), Decimal(110), 5)
    new = order("buy")
    assert placed(engine, new, 5) == []
    engine.on_bar_close(BTC, Decimal(105), 9)
    assert [e.fill.price for e in engine.on_bar_open(BTC, Decimal(107), 10) if e.fill] == [107]


def test_a_target_sent_inside_a_bar_does_not_see_that_bars_extremes() -> None:
    engine = opened(engine_of(), 100)
    placed(engine, order("buy"))
    engine.on_bar_inside(BTC, Decimal(90), Decimal(110), 5)
    new = order("sell", "target", stop="105", reduce_only=True)
    assert placed(engine, new, 5) == []
    assert state(engine, new) is OrderState.ACCEPTED


@pytest.mark.parametrize(
    ("low", "on_touch", "fills"),
    [("99.00", False, 0), ("98.99", False, 1), ("99.00", True, 1), ("99.01", True, 0)],
)
def test_a_resting_limit_fills_at_its_price_when_the_bar_goes_through(
    low: str, on_touch: bool, fills: int
) -> None:
    engine = opened(engine_of(rules=replace(FREE, fills_on_touch=on_touch)), 100)
    new = order("buy", "limit", price="99")
    assert placed(engine, new) == []
    events = [e for e in engine.on_bar_inside(BTC, Decimal(low), Decimal(101), 5) if e.fill]
    assert [e.fill.price for e in events if e.fill] == [Decimal(99)] * fills


def test_a_limit_beyond_the_market_fills_at_the_market_at_once() -> None:
    engine = opened(engine_of(), 100)
    (fill,) = placed(engine, order("buy", "limit", price="105"))
    assert fill.price == 100


def test_a_limit_order_may_fill_in_parts_and_the_seed_decides() -> None:
    rules = replace(FREE, partial_fill_chance=1.0)

    def run(seed: int) -> list[Decimal]:
        engine = opened(engine_of(rules=rules, seed=seed), 100)
        placed(engine, order("buy", "limit", qty="10", price="99", client_id="l"))
        found = []
        for at in range(1, 40):
            events = engine.on_bar_inside(BTC, Decimal(95), Decimal(101), at)
            found += [e.fill.qty_base for e in events if e.fill]
        return found

    parts = run(7)
    assert len(parts) > 3
    assert all(part >= Decimal("0.001") for part in parts)
    assert run(7) == parts
    assert run(8) != parts


@pytest.mark.parametrize(("kind", "left"), [("IOC", 0), ("FOK", 0), ("GTC", 1)])
def test_time_in_force_decides_what_rests(kind: str, left: int) -> None:
    engine = opened(engine_of(), 100)
    new = order("buy", "limit", price="99", time_in_force=TimeInForce(kind))
    assert placed(engine, new) == []
    assert len(engine.open_orders(BTC)) == left


# Moves


def test_a_move_touches_what_lies_between_in_the_order_of_the_path() -> None:
    engine = engine_of()
    engine.on_move(BTC, Decimal(100), 0)
    placed(engine, order("buy", qty="2"))
    near = order("sell", "stop", stop="98", reduce_only=True)
    far = order("sell", "stop", stop="96", reduce_only=True)
    placed(engine, far)
    placed(engine, near)
    events = [e for e in engine.on_move(BTC, Decimal(95), 1) if e.fill]
    assert [(e.order.client_id, e.fill.price) for e in events if e.fill] == [
        (near.client_id, Decimal(98)),
        (far.client_id, Decimal(96)),
    ]


def test_a_jump_fills_a_stop_where_the_price_landed() -> None:
    engine = engine_of()
    engine.on_move(BTC, Decimal(100), 0)
    placed(engine, order("buy"))
    placed(engine, order("sell", "stop", stop="98", reduce_only=True))
    events = [e for e in engine.on_trade(BTC, Decimal(90), 1) if e.fill]
    assert [e.fill.price for e in events if e.fill] == [Decimal(90)]


# Ticks


def quoted(engine: MatchingEngine, bid: float, ask: float, **given: Any) -> MatchingEngine:
    engine.on_quote(BTC, Decimal(str(bid)), Decimal(str(ask)), 0, **given)
    return engine


def test_a_market_order_meets_the_quote_of_its_side() -> None:
    engine = quoted(engine_of(), 99, 101)
    assert [f.price for f in placed(engine, order("buy"))] == [101]
    assert [f.price for f in placed(engine, order("sell"))] == [99]


def test_a_market_order_walks_the_depth_and_beyond_it_at_a_worse_price() -> None:
    rules = replace(FREE, slippage_frac=Decimal("0.01"))
    engine = quoted(engine_of(rules=rules), 99, 101, bid_qty=Decimal(1), ask_qty=Decimal(1))
    engine.on_depth(BTC, Side.SELL, Decimal(102), Decimal(2))
    fills = placed(engine, order("buy", qty="5"))
    assert [(f.price, f.qty_base) for f in fills] == [
        (Decimal(101), Decimal(1)),
        (Decimal(102), Decimal(2)),
        (Decimal("103.02"), Decimal(2)),
    ]


def test_an_offer_is_not_used_twice_until_it_is_told_again() -> None:
    engine = quoted(engine_of(), 99, 101, bid_qty=Decimal(1), ask_qty=Decimal(1))
    engine.on_depth(BTC, Side.SELL, Decimal(102), Decimal(5))
    assert [f.price for f in placed(engine, order("buy"))] == [101]
    assert [f.price for f in placed(engine, order("buy"))] == [102]
    quoted(engine, 99, 101, bid_qty=Decimal(1), ask_qty=Decimal(2))
    assert [f.price for f in placed(engine, order("buy"))] == [101]


def test_stops_trigger_on_trades_and_not_on_quotes_and_fill_at_the_quote() -> None:
    engine = quoted(engine_of(), 99, 101)
    placed(engine, order("buy"))
    engine.on_trade(BTC, Decimal(100), 1)
    stop = order("sell", "stop", stop="98", reduce_only=True)
    placed(engine, stop)
    assert [e for e in engine.on_quote(BTC, Decimal(97), Decimal(98), 2) if e.fill] == []
    events = [e for e in engine.on_trade(BTC, Decimal(98), 3) if e.fill]
    assert [e.fill.price for e in events if e.fill] == [Decimal(97)]


def test_a_resting_limit_is_filled_by_a_trade_through_it_or_a_crossing_quote() -> None:
    engine = quoted(engine_of(), 99, 101)
    through, crossed = (
        order("buy", "limit", price="98"),
        order("buy", "limit", price="97"),
    )
    placed(engine, through)
    placed(engine, crossed)
    assert [e for e in engine.on_trade(BTC, Decimal(98), 1) if e.fill] == []
    first = [e for e in engine.on_trade(BTC, Decimal("97.99"), 2) if e.fill]
    assert [e.fill.price for e in first if e.fill] == [Decimal(98)]
    second = [e for e in engine.on_quote(BTC, Decimal(96), Decimal(97), 3) if e.fill]
    assert [e.fill.price for e in second if e.fill] == [Decimal(97)]


def test_the_ticker_tells_quotes_or_the_slippage_around_the_last_price() -> None:
    told = quoted(engine_of(), 99, 101).ticker(BTC)
    assert (told.bid, told.ask) == (Decimal(99), Decimal(101))
    rules = replace(FREE, slippage_frac=Decimal("0.01"))
    told = opened(engine_of(rules=rules), 100).ticker(BTC)
    assert (told.bid, told.last, told.ask) == (Decimal(99), Decimal(100), Decimal(101))
    with pytest.raises(VenueRejected, match="no price yet"):
        engine_of().ticker(BTC)


# Accounts


def test_spot_sells_only_what_is_there() -> None:
    engine = opened(engine_of("spot"), 100)
    assert refusal_of(engine, order("sell")) is Refusal.BALANCE
    placed(engine, order("buy", qty="1"))
    assert refusal_of(engine, order("sell", qty="1.001")) is Refusal.BALANCE
    placed(engine, order("sell", qty="1"))
    assert engine.view(0).balances == {"USDT": Decimal(10_000)}


def test_spot_pays_the_commission_in_what_the_fill_brings_when_told_so() -> None:
    rules = replace(FREE, commission_frac=Decimal("0.001"), commission_in="received")
    engine = opened(engine_of("spot", rules), 100)
    (fill,) = placed(engine, order("buy", qty="2"))
    assert (fill.fee, fill.fee_asset) == (Decimal("0.002"), "BTC")
    assert engine.view(0).balances == {"USDT": Decimal(9_800), "BTC": Decimal("1.998")}
    (fill,) = placed(engine, order("sell", qty="1.998"))
    assert fill.fee_asset == "USDT"
    assert engine.view(0).balances == {"USDT": Decimal("9800") + Decimal("199.8") * 999 / 1000}


def test_a_resting_spot_order_locks_what_it_needs_and_gives_it_back() -> None:
    engine = opened(engine_of("spot"), 100)
    buy = order("buy", "limit", qty="50", price="99")
    placed(engine, buy)
    assert refusal_of(engine, order("buy", qty="51")) is Refusal.BALANCE
    engine.cancel(BTC, buy.client_id, 1)
    placed(engine, order("buy", qty="100"))
    assert engine.view(0).balances == {"BTC": Decimal(100)}


def test_on_spot_a_stop_locks_the_base_so_that_no_target_can_rest_beside_it() -> None:
    engine = opened(engine_of("spot", replace(FREE, stops_lock=True)), 100)
    placed(engine, order("buy"))
    stop = order("sell", "stop", stop="90")
    placed(engine, stop)
    assert refusal_of(engine, order("sell", "target", stop="110")) is Refusal.BALANCE
    engine.cancel(BTC, stop.client_id, 1)
    placed(engine, order("sell", "target", stop="110"))
    assert len(engine.open_orders(BTC)) == 1


def test_a_spot_market_buy_is_cut_to_what_the_balance_pays_for_when_the_open_is_higher() -> None:
    engine = engine_of("spot")
    engine.on_bar_close(BTC, Decimal(100), 0)
    new = order("buy", qty="100")
    placed(engine, new)
    engine.on_bar_open(BTC, Decimal(125), 1)
    told = engine.order(new.client_id)
    assert told is not None
    assert (told.filled_base, told.state) == (Decimal(80), OrderState.EXPIRED)
    assert engine.view(0).balances == {"BTC": Decimal(80)}


def test_a_perpetual_nets_and_realizes_by_the_mean_entry() -> None:
    engine = opened(engine_of(), 100)
    placed(engine, order("buy", qty="1"))
    opened(engine, 110, at=1)
    placed(engine, order("buy", qty="1"))
    held = engine.view(1).positions[BTC]
    assert (held.signed_base, held.entry_price) == (Decimal(2), Decimal(105))
    opened(engine, 120, at=2)
    placed(engine, order("sell", qty="3"))
    held = engine.view(2).positions[BTC]
    assert (held.signed_base, held.entry_price) == (Decimal(-1), Decimal(120))
    assert engine.view(2).balances == {"USDT": Decimal(10_030)}


def test_closing_a_part_leaves_no_remainder_of_the_mean_entry_behind() -> None:
    engine = opened(engine_of(), 100)
    placed(engine, order("buy", qty="1"))
    opened(engine, 110.01, at=1)
    placed(engine, order("buy", qty="2"))
    placed(engine, order("sell", qty="1"))
    account = engine.account
    assert isinstance(account, PerpAccount)
    # 320.02 was paid for 3; a third of that cannot be written down, the sum must be right.
    assert account.wallet - account.held[BTC].cost_quote == Decimal(10_000) - Decimal("320.02") + (
        Decimal("110.01")
    )
    placed(engine, order("sell", qty="2"))
    assert account.wallet == Decimal(10_000) - Decimal("320.02") + 3 * Decimal("110.01")


def test_a_market_buy_leaves_room_for_a_commission_that_is_rounded_up() -> None:
    rules = replace(FREE, commission_frac=Decimal("0.00006"), fee_step=Decimal("0.01"))
    engine = opened(engine_of("spot", rules, {"USDT": "100.006"}), 100)
    (fill,) = placed(engine, order("buy", notional="100"))
    assert (fill.qty_base, fill.fee) == (Decimal("0.999"), Decimal("0.01"))
    assert engine.view(0).balances["USDT"] == Decimal("0.096")


def test_margin_follows_leverage_and_closing_needs_none() -> None:
    engine = opened(engine_of(rules=replace(FREE, leverage=Decimal(2))), 100)
    placed(engine, order("buy", qty="200"))
    assert refusal_of(engine, order("buy", qty="1")) is Refusal.MARGIN
    assert len(placed(engine, order("sell", qty="400"))) == 1


def test_resting_orders_count_towards_margin() -> None:
    engine = opened(engine_of(rules=replace(FREE, leverage=Decimal(1))), 100)
    placed(engine, order("buy", "limit", qty="60", price="90"))
    assert refusal_of(engine, order("buy", "limit", qty="60", price="90")) is Refusal.MARGIN


def test_a_position_is_liquidated_at_its_liquidation_price_and_the_venue_bears_the_rest() -> None:
    rules = replace(FREE, leverage=Decimal(10), maintenance_frac=Decimal("0.01"))
    engine = engine_of(rules=rules, balances={"USDT": 100})
    engine.on_move(BTC, Decimal(100), 0)
    placed(engine, order("buy", qty="10"))
    price = engine.view(0).positions[BTC].liquidation_price
    assert price is not None
    assert abs(price - Decimal("90.90909")) < Decimal("0.001")
    assert [e for e in engine.on_move(BTC, Decimal(91), 1) if e.fill] == []
    events = [e for e in engine.on_trade(BTC, Decimal(85), 2) if e.fill]
    assert [e.order.client_id[:10] for e in events] == ["autoclose-"]
    assert events[0].order.state is OrderState.FILLED
    account = engine.account
    assert isinstance(account, PerpAccount)
    assert (account.wallet, account.insured_quote) == (Decimal(0), Decimal(50))
    assert account.held == {}


@pytest.mark.parametrize("how", ["inside", "move"])
def test_a_price_that_goes_through_the_liquidation_price_liquidates_there(how: str) -> None:
    rules = replace(FREE, leverage=Decimal(10), maintenance_frac=Decimal("0.01"))
    engine = engine_of(rules=rules, balances={"USDT": 100}, symbols=(BTC, ETH))
    engine.on_bar_open(BTC, Decimal(100), 0)
    engine.on_bar_open(ETH, Decimal(10), 0)
    placed(engine, order("buy", qty="9"))
    placed(engine, order("buy", symbol=ETH, qty="5"))
    resting = order("buy", "limit", symbol=ETH, price="5")
    placed(engine, resting)
    level = engine.view(0).positions[BTC].liquidation_price
    assert level is not None
    assert 89 < level < 90
    if how == "inside":
        events = engine.on_bar_inside(BTC, Decimal(85), Decimal(101), 1)
    else:
        events = engine.on_move(BTC, Decimal(85), 1)
    closed = {e.fill.symbol: e.fill.price for e in events if e.fill}
    assert closed == {BTC: level, ETH: Decimal(10)}
    assert state(engine, resting) is OrderState.CANCELED
    assert engine.view(1).positions == {}
    (left,) = engine.view(1).balances.values()
    # What is left is the maintenance: 1 % of what was held.
    assert abs(left - (9 * level + 50) / 100) < Decimal("1e-9")


def test_without_maintenance_an_account_is_ruined_at_a_close_only_as_in_the_backtest() -> None:
    engine = opened(engine_of(balances={"USDT": 100}), 100)
    placed(engine, order("buy", qty="10"))
    assert [e for e in engine.on_bar_inside(BTC, Decimal(50), Decimal(101), 1) if e.fill] == []
    assert engine.on_bar_close(BTC, Decimal(95), 2) == []
    events = [e for e in engine.on_bar_close(BTC, Decimal(90), 3) if e.fill]
    assert [e.fill.price for e in events if e.fill] == [Decimal(90)]
    assert engine.view(3).balances == {"USDT": Decimal(0)}
