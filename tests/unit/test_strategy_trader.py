"""The strategy trader alone: what it enters and how that is protected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.backtest.rules import Rules
from engine.errors import InvariantError
from engine.trade.decision import ClosedBar, Decision
from engine.trade.exchange import Fill
from engine.trade.orders import (
    OrderType,
    Purpose,
    Side,
    client_id_of,
)
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.wishes import Submit
from tests.unit.trader_table import (
    BAR_MS,
    BOTH,
    HOLDS_NOTHING,
    LOCKS,
    PERP,
    RULES,
    SPOT,
    D,
    S,
    Table,
    cancels,
    requests,
    spec,
)


def test_an_entry_is_sized_by_what_its_capital_buys_after_commission() -> None:
    (wish,) = requests(Table().bar(1))
    assert (wish.type, wish.purpose, wish.side) == (OrderType.MARKET, Purpose.ENTRY, Side.BUY)
    assert float(wish.notional_quote or 0) == 1000 / 1.001
    assert (wish.qty_base, wish.reduce_only, wish.bar_at) == (None, False, 0)
    assert wish.client_id == client_id_of("paper", "s", "BTC/USDT", 0, Purpose.ENTRY, 0)


def test_a_venue_without_notional_orders_gets_a_quantity_at_the_last_price() -> None:
    table = Table(spec(capabilities=replace(BOTH, notional_orders=False)))
    (wish,) = requests(table.bar(-1, close=300.0))
    assert (wish.notional_quote, wish.qty_base, wish.side) == (None, D("3.330"), Side.SELL)


def test_an_entry_under_the_venue_s_minimum_is_not_wished_for() -> None:
    small = replace(PERP, min_qty_base=D(1000))
    can = replace(BOTH, notional_orders=False)
    assert Table(spec(capabilities=can, instrument=small)).bar(1) == []


def test_no_entry_is_larger_than_the_venue_s_largest_market_order() -> None:
    table = Table(spec(instrument=replace(PERP, max_market_base=D(2))))
    assert requests(table.bar(1))[0].notional_quote == D(200)


def test_spot_is_long_only_and_without_leverage() -> None:
    table = Table(spec(replace(RULES, size_frac=3.0), instrument=SPOT))
    assert table.bar(-1) == []
    assert float(requests(table.bar(1))[0].notional_quote or 0) == 1000 / 1.001


def test_a_size_that_is_not_a_number_forbids_the_entry() -> None:
    assert Table().bar(1, size_frac=float("nan")) == []
    (wish,) = requests(Table().bar(1, size_frac=0.25))
    assert float(wish.notional_quote or 0) == 250 / 1.001


def test_after_a_gap_in_the_bars_nothing_is_entered_before_the_next_one_follows() -> None:
    table = Table()
    table.bar()
    assert table.bar(1, skip=1) == []
    assert len(requests(table.bar(1))) == 1


def test_a_decision_that_comes_too_late_enters_nothing() -> None:
    assert Table().bar(1, late_ms=60_001) == []
    assert len(Table().bar(1, late_ms=60_000)) == 1


def test_without_a_decision_nothing_is_entered() -> None:
    trader = StrategyTrader(spec())
    assert trader.on_bar(ClosedBar(0, 1.0, 1.0, 1.0, 1.0), None, BAR_MS) == ()


def test_a_refused_entry_is_not_tried_again_at_its_bar() -> None:
    table = Table()
    table.bar(1)
    assert table.news(table.only(Purpose.ENTRY), S.REJECTED, reason="risk: too large") == []
    assert table.take(table.trader.on_tick(table.now_at)) == []
    assert len(requests(table.bar(1))) == 1


def test_an_entry_whose_fate_is_unknown_blocks_the_next_one() -> None:
    table = Table()
    table.bar(1)
    table.news(table.only(Purpose.ENTRY), S.UNKNOWN)
    assert requests(table.bar(1)) == []


def test_what_is_left_of_an_entry_is_cancelled_after_its_time() -> None:
    table = Table()
    table.bar(1)
    entry = table.only(Purpose.ENTRY)
    table.news(entry, S.PARTIAL, ("2", "100"))
    assert cancels(list(table.trader.on_tick(table.now_at + 29_999))) == []
    assert cancels(list(table.trader.on_tick(table.now_at + 30_000))) == [entry]
    # Once asked for, it is not asked for at every tick.
    assert cancels(list(table.trader.on_tick(table.now_at + 30_250))) == []


def test_a_bar_told_twice_and_news_told_twice_change_nothing() -> None:
    table = Table()
    table.bar(1)
    entry = table.only(Purpose.ENTRY)
    bar = ClosedBar(0, 100.0, 100.0, 100.0, 100.0)
    assert table.trader.on_bar(bar, Decision(0, 1), table.now_at) == ()
    table.news(entry, S.FILLED, ("9.99", "100"))
    fill = Fill("1", entry, "BTC/USDT", Side.BUY, D("9.99"), D(100), D(0), "USDT", 1)
    assert table.trader.on_news(table.states[entry], (fill,), table.now_at) == ()
    assert table.trader.trips.signed_base == D("9.99")


def test_news_of_another_strategy_is_a_bug() -> None:
    table = Table()
    table.bar(1)
    order = table.states[table.only(Purpose.ENTRY)]
    foreign = replace(order, request=replace(order.request, strategy_id="other"))
    with pytest.raises(InvariantError):
        table.trader.on_news(foreign, (), 0)
    with pytest.raises(InvariantError):
        table.trader.on_bar(ClosedBar(BAR_MS, 1.0, 1.0, 1.0, 1.0), Decision(0), 0)


# Protection


def test_what_is_filled_is_protected_at_once_at_levels_from_the_fill() -> None:
    stop, target = requests(Table().enter(price="200"))
    assert (stop.type, stop.side, stop.reduce_only) == (OrderType.STOP, Side.SELL, True)
    assert (stop.stop_price, stop.qty_base) == (D("196.00"), D("9.990"))
    assert (target.type, target.stop_price) == (OrderType.TARGET, D("212.00"))


def test_a_stop_price_is_rounded_towards_triggering_sooner() -> None:
    long = requests(Table().enter(1, price="100.003"))[0]
    assert long.stop_price == D("98.01")
    short = requests(Table().enter(-1, price="100.003"))[0]
    assert short.stop_price == D("102.00")


def test_parts_are_protected_as_they_come() -> None:
    table = Table()
    table.bar(1)
    entry = table.only(Purpose.ENTRY)
    first = requests(table.news(entry, S.PARTIAL, ("2", "100")))
    assert [wish.qty_base for wish in first] == [D(2), D(2)]
    old_stop = first[0].client_id
    table.news(old_stop, S.ACCEPTED)
    more = requests(table.news(entry, S.FILLED, ("3", "110")))
    assert [wish.qty_base for wish in more] == [D(5), D(5)]
    # From the mean price of both, towards triggering sooner.
    assert more[0].stop_price == D("103.88")
    # The old stop stays until the new one is known to rest.
    assert cancels(table.news(more[0].client_id, S.SUBMITTED)) == []
    assert cancels(table.news(more[0].client_id, S.ACCEPTED)) == [old_stop]


def test_exposure_counts_as_unprotected_until_its_stop_is_confirmed() -> None:
    table = Table()
    table.bar(1)
    table.news(table.only(Purpose.ENTRY), S.FILLED, ("9.99", "100"))
    assert table.trader.unprotected_base() == D("9.99")
    stop = table.only(Purpose.STOP)
    table.news(stop, S.ACCEPTED)
    assert table.trader.unprotected_base() == 0
    table.news(stop, S.UNKNOWN)
    assert table.trader.unprotected_base() == D("9.99")


def test_a_trailing_stop_is_replaced_at_closes_new_one_first() -> None:
    table = Table(spec(Rules(stop_frac=0.02, trailing_frac=0.01)))
    table.enter()
    old = table.only(Purpose.STOP)
    assert table.sent[old].stop_price == D("99.00")
    (wish,) = table.bar(close=105.0, high=110.0)
    assert isinstance(wish, Submit)
    assert wish.request.stop_price == D("108.90")
    assert cancels(table.news(wish.request.client_id, S.ACCEPTED)) == [old]
    # It never goes back.
    table.news(old, S.CANCELED)
    assert table.bar(close=100.0, high=101.0) == []
    table.news(wish.request.client_id, S.FILLED, ("9.99", "108.8"))
    assert table.trader.trips.closed[0].reason == "trailing"


def test_a_refused_stop_is_placed_again_later_and_later_and_in_the_end_the_position_is_closed() -> (
    None
):
    table = Table()
    table.bar(1)
    table.news(table.only(Purpose.ENTRY), S.FILLED, ("9.99", "100"))
    table.news(table.only(Purpose.TARGET), S.ACCEPTED)
    for wait_ms in (1_000, 2_000):
        table.news(table.only(Purpose.STOP), S.REJECTED, reason="no")
        assert table.trader.unprotected_base() == D("9.99")
        assert table.take(table.trader.on_tick(table.now_at + wait_ms - 1)) == []
        table.now_at += wait_ms
        (again,) = requests(table.take(table.trader.on_tick(table.now_at)))
        assert again.purpose is Purpose.STOP
    wishes = requests(table.news(table.only(Purpose.STOP), S.REJECTED, reason="no"))
    assert [wish.purpose for wish in wishes] == [Purpose.EXIT]
    table.news(wishes[0].client_id, S.FILLED, ("9.99", "99"))
    assert table.trader.trips.closed[0].reason == "unprotected"


def test_a_stop_that_somebody_else_cancelled_is_placed_again() -> None:
    table = Table()
    table.enter()
    stop = table.only(Purpose.STOP)
    assert table.news(stop, S.CANCELED, reason="cancelled by the operator") == []
    assert table.trader.unprotected_base() == D("9.99")
    (again,) = requests(list(table.trader.on_tick(table.now_at + 1_000)))
    assert (again.purpose, again.stop_price) == (Purpose.STOP, D("98.00"))
    assert again.client_id != stop


def test_where_a_stop_locks_the_balance_only_the_stop_rests_and_the_target_is_watched() -> None:
    table = Table(spec(instrument=SPOT, capabilities=LOCKS))
    wishes = requests(table.enter())
    assert [wish.purpose for wish in wishes] == [Purpose.STOP]
    stop = wishes[0].client_id
    assert table.trader.on_price(D("105.99"), table.now_at) == ()
    # The stop must go before the balance can be sold.
    first = table.take(table.trader.on_price(D(106), table.now_at))
    assert (cancels(first), requests(first)) == ([stop], [])
    (exit_,) = requests(table.news(stop, S.CANCELED))
    assert (exit_.purpose, exit_.type, exit_.qty_base) == (
        Purpose.EXIT,
        OrderType.MARKET,
        D("9.990"),
    )
    table.news(exit_.client_id, S.FILLED, ("9.99", "106"))
    assert table.trader.trips.closed[0].reason == "target"


def test_where_a_stop_locks_the_balance_it_is_cancelled_before_the_new_one_is_placed() -> None:
    rules = Rules(stop_frac=0.02, trailing_frac=0.01)
    table = Table(spec(rules, instrument=SPOT, capabilities=LOCKS))
    table.enter()
    stop = table.only(Purpose.STOP)
    wishes = table.bar(close=105.0, high=110.0)
    assert (cancels(wishes), requests(wishes)) == ([stop], [])
    (new,) = requests(table.news(stop, S.CANCELED, reason=wishes[0].reason))  # type: ignore[union-attr]
    assert new.stop_price == D("108.90")


def test_where_nothing_rests_the_stop_is_watched_as_well() -> None:
    table = Table(spec(capabilities=HOLDS_NOTHING))
    assert table.enter() == []
    assert table.trader.unprotected_base() == D("9.99")
    (exit_,) = requests(table.take(table.trader.on_price(D(98), table.now_at)))
    table.news(exit_.client_id, S.FILLED, ("9.99", "97.9"))
    assert table.trader.trips.closed[0].reason == "stop"
