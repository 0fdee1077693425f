"""The strategy trader alone: every wish answered by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.backtest.rules import Rules
from engine.errors import InvariantError
from engine.trade.decision import ClosedBar, Decision
from engine.trade.exchange import Capabilities, Fill
from engine.trade.instrument import Instrument
from engine.trade.orders import (
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
    client_id_of,
)
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.trader_spec import TraderSpec
from engine.trade.wishes import Cancel, Submit, Wish

D = Decimal
BAR_MS = 300_000
S = OrderState
BOTH = Capabilities(holds_stops=True, rests_both=True, notional_orders=True, dead_man=False)
LOCKS = replace(BOTH, rests_both=False)
HOLDS_NOTHING = replace(BOTH, holds_stops=False, rests_both=False)
PERP = Instrument("BTC/USDT", "perp", D("0.01"), D("0.001"), D("0.001"))
SPOT = Instrument("BTC/USDT", "spot", D("0.01"), D("0.001"), D("0.001"), D(5))
RULES = Rules(stop_frac=0.02, target_frac=0.06)


def spec(rules: Rules = RULES, **changes: Any) -> TraderSpec:
    base = TraderSpec(
        account="paper",
        strategy_id="s",
        symbol="BTC/USDT",
        bar_ms=BAR_MS,
        rules=rules,
        capital_quote=D(1000),
        commission_frac=0.001,
        instrument=PERP,
        capabilities=BOTH,
    )
    return replace(base, **changes)


class Table:
    """A trader, its clock, and somebody who answers its wishes."""

    def __init__(self, made_for: TraderSpec | None = None) -> None:
        self.trader = StrategyTrader(made_for or spec())
        self.now_at = 0
        self.sent: dict[str, OrderRequest] = {}
        self.states: dict[str, Order] = {}
        self.n_fills = 0

    def bar(
        self,
        side: int = 0,
        *,
        leaves: bool = False,
        close: float = 100.0,
        high: float = 0.0,
        low: float = 0.0,
        late_ms: int = 0,
        skip: int = 0,
        **more: Any,
    ) -> list[Wish]:
        """Let the bar close that is open now (`skip` more before it unseen), and the next begin."""
        self.now_at = (self.now_at // BAR_MS + 1 + skip) * BAR_MS
        bar = ClosedBar(self.now_at - BAR_MS, close, high or close, low or close, close)
        decision = Decision(bar.at, side, leaves, leaves, **more)
        return self.take(self.trader.on_bar(bar, decision, self.now_at + late_ms))

    def take(self, wishes: tuple[Wish, ...]) -> list[Wish]:
        for wish in wishes:
            if isinstance(wish, Submit):
                self.sent[wish.request.client_id] = wish.request
                self.states[wish.request.client_id] = Order(wish.request)
        return list(wishes)

    def news(
        self, client_id: str, state: OrderState, *fills: tuple[str, str], reason: str = ""
    ) -> list[Wish]:
        """Tell of an order; each fill is (quantity, price)."""
        known = self.states[client_id]
        order = replace(known, state=state, reason=reason, updated_at=self.now_at)
        told = []
        for qty, price in fills:
            self.n_fills += 1
            request = order.request
            told.append(
                Fill(
                    str(self.n_fills),
                    client_id,
                    request.symbol,
                    request.side,
                    D(qty),
                    D(price),
                    D(qty) * D(price) / 1000,
                    "USDT",
                    self.now_at,
                )
            )
            order = order.filled(D(qty), D(price), self.now_at)
        self.states[client_id] = order
        return self.take(self.trader.on_news(order, told, self.now_at))

    def only(self, purpose: Purpose) -> str:
        """Return the id of the one order of a purpose that may still live."""
        (client_id,) = self.alive(purpose)
        return client_id

    def alive(self, purpose: Purpose) -> list[str]:
        return [
            name
            for name, request in self.sent.items()
            if request.purpose is purpose and not self.states[name].state.is_final
        ]

    def enter(self, side: int = 1, price: str = "100", qty: str = "9.99") -> list[Wish]:
        """Enter whole, at the open of the next bar; stop and target are confirmed."""
        self.bar(side)
        wishes = self.news(self.only(Purpose.ENTRY), S.FILLED, (qty, price))
        for purpose in (Purpose.STOP, Purpose.TARGET):
            for name in self.alive(purpose):
                self.news(name, S.ACCEPTED)
        return wishes


def requests(wishes: list[Wish]) -> list[OrderRequest]:
    return [wish.request for wish in wishes if isinstance(wish, Submit)]


def cancels(wishes: list[Wish]) -> list[str]:
    return [wish.client_id for wish in wishes if isinstance(wish, Cancel)]


# Entries


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


# Exits


def test_an_exit_condition_closes_at_market_and_the_stop_rests_until_then() -> None:
    table = Table()
    table.enter()
    wishes = table.bar(leaves=True)
    (exit_,) = requests(wishes)
    assert (exit_.purpose, exit_.side, exit_.qty_base) == (Purpose.EXIT, Side.SELL, D("9.990"))
    assert cancels(wishes) == []
    stop, target = table.only(Purpose.STOP), table.only(Purpose.TARGET)
    after = table.news(exit_.client_id, S.FILLED, ("9.99", "103"))
    assert cancels(after) == [stop, target]
    assert table.trader.trips.closed[0].reason == "signal"


def test_the_decision_that_entered_does_not_leave() -> None:
    table = Table()
    table.bar(1, leaves=True)
    table.news(table.only(Purpose.ENTRY), S.FILLED, ("9.99", "100"))
    assert table.alive(Purpose.EXIT) == []


def test_a_time_stop_closes_at_the_open_of_entry_bar_plus_n() -> None:
    table = Table(spec(replace(RULES, max_bars=3)))
    table.enter()
    assert table.bar() == []
    assert table.bar() == []
    (exit_,) = requests(table.bar())
    table.news(exit_.client_id, S.FILLED, ("9.99", "100"))
    assert table.trader.trips.closed[0].reason == "time"


def test_a_reversal_opens_the_other_side_once_the_exit_has_filled() -> None:
    table = Table()
    table.enter()
    (exit_,) = requests(table.bar(-1))
    assert exit_.purpose is Purpose.EXIT
    (entry,) = requests(table.news(exit_.client_id, S.FILLED, ("9.99", "110")))
    assert (entry.purpose, entry.side) == (Purpose.ENTRY, Side.SELL)
    # Sized by what is left after the first trade, at the very same bar.
    cash = 1000 + 9.99 * 10 - 9.99 * 0.1 - 9.99 * 0.11
    assert float(entry.notional_quote or 0) == pytest.approx(cash / 1.001)
    assert entry.bar_at == exit_.bar_at


def test_after_a_gap_through_the_stop_the_entry_waits() -> None:
    table = Table()
    table.enter()
    (exit_,) = requests(table.bar(-1))
    wishes = table.news(table.only(Purpose.STOP), S.FILLED, ("9.99", "90"))
    assert requests(wishes) == []
    table.news(exit_.client_id, S.EXPIRED)
    assert table.trader.trips.closed[0].reason == "stop"
    # At the close of the bar it ended in, the side is free again.
    assert [wish.purpose for wish in requests(table.bar(-1))] == [Purpose.ENTRY]


def test_no_new_entry_at_the_open_that_closed_whatever_the_venue_s_clock_says() -> None:
    table = Table()
    table.enter()
    (exit_,) = requests(table.bar(1, leaves=True))
    # Its clock is a second behind: the fill looks as if it had come before the close.
    table.now_at -= 1_000
    assert requests(table.news(exit_.client_id, S.FILLED, ("9.99", "100"))) == []
    for purpose in (Purpose.STOP, Purpose.TARGET):
        table.news(table.only(purpose), S.CANCELED)
    table.now_at += 1_000
    assert requests(list(table.trader.on_tick(table.now_at))) == []
    assert [wish.purpose for wish in requests(table.bar(1))] == [Purpose.ENTRY]


def test_without_reversals_an_opposite_entry_is_not_listened_to() -> None:
    table = Table(spec(replace(RULES, on_opposite=False)))
    table.enter()
    assert table.bar(-1) == []


def test_a_failed_exit_is_tried_again_until_the_position_is_closed() -> None:
    table = Table()
    table.enter()
    (exit_,) = requests(table.bar(leaves=True))
    table.news(exit_.client_id, S.REJECTED, reason="no")
    assert requests(list(table.trader.on_tick(table.now_at + 999))) == []
    (again,) = requests(table.take(table.trader.on_tick(table.now_at + 1_000)))
    assert again.client_id != exit_.client_id
    # Also when the next bar says nothing of leaving, and when it fills in parts.
    table.now_at += 1_000
    table.news(again.client_id, S.PARTIAL, ("4", "100"))
    (rest, *_) = requests(table.news(again.client_id, S.CANCELED, reason="expired at the venue"))
    assert (rest.purpose, rest.qty_base) == (Purpose.EXIT, D("5.990"))
    table.news(rest.client_id, S.FILLED, ("5.99", "100"))
    assert table.trader.trips.closed[0].reason == "signal"


def test_an_exit_whose_fate_is_unknown_is_not_sent_twice() -> None:
    table = Table()
    table.enter()
    (exit_,) = requests(table.bar(leaves=True))
    assert requests(table.news(exit_.client_id, S.UNKNOWN)) == []
    assert requests(list(table.trader.on_tick(table.now_at + 60_000))) == []


def test_dust_blocks_neither_exit_nor_the_next_entry() -> None:
    table = Table(spec(instrument=replace(PERP, lot=D("0.01"), min_qty_base=D("0.01"))))
    table.enter(qty="9.995")
    (exit_,) = requests(table.bar(leaves=True))
    assert exit_.qty_base == D("9.99")
    table.news(exit_.client_id, S.FILLED, ("9.99", "100"))
    assert table.trader.open_trade is None
    assert table.trader.trips.signed_base == D("0.005")
    for purpose in (Purpose.STOP, Purpose.TARGET):
        table.news(table.only(purpose), S.CANCELED)
    assert [wish.purpose for wish in requests(table.bar(1))] == [Purpose.ENTRY]


def test_a_position_that_a_monitor_closed_leaves_nothing_behind() -> None:
    table = Table()
    table.enter()
    stop, target = table.only(Purpose.STOP), table.only(Purpose.TARGET)
    risk = replace(
        table.sent[stop],
        client_id="risk-1",
        purpose=Purpose.RISK,
        type=OrderType.MARKET,
        stop_price=None,
    )
    table.sent["risk-1"] = risk
    table.states["risk-1"] = Order(risk, S.SUBMITTED)
    # While somebody else closes it, nothing of our own is sent.
    table.news("risk-1", S.SUBMITTED)
    assert requests(table.bar(leaves=True)) == []
    after = table.news("risk-1", S.FILLED, ("9.99", "95"))
    assert cancels(after) == [stop, target]
    assert table.trader.trips.closed[0].reason == "risk"


def test_what_rests_from_an_earlier_trade_ends_before_the_next_entry() -> None:
    table = Table()
    table.enter()
    target = table.only(Purpose.TARGET)
    table.now_at += BAR_MS // 2
    table.news(table.only(Purpose.STOP), S.FILLED, ("9.99", "98"))
    # The target is still being cancelled: it would close a new long.
    assert requests(table.bar(1)) == []
    assert [wish.purpose for wish in requests(table.news(target, S.CANCELED))] == [Purpose.ENTRY]


def test_a_lost_capital_ends_it() -> None:
    table = Table(spec(replace(RULES, size_frac=3.0, stop_frac=0.5)))
    table.enter(qty="29.9")
    (exit_,) = requests(table.bar(close=60.0))
    table.news(exit_.client_id, S.FILLED, ("29.9", "60"))
    assert table.trader.trips.closed[0].reason == "ruin"
    assert table.trader.cash_quote < 0
    table.news(table.only(Purpose.STOP), S.CANCELED)
    table.news(table.only(Purpose.TARGET), S.CANCELED)
    assert table.bar(1) == []


# What nobody expected


def test_a_late_fill_of_a_cancelled_entry_is_protected_and_closed() -> None:
    table = Table()
    table.bar(1)
    entry = table.only(Purpose.ENTRY)
    table.news(entry, S.CANCELED, reason="not filled within 30 s")
    table.now_at += 40_000
    wishes = requests(table.news(entry, S.FILLED, ("9.99", "100")))
    assert [wish.purpose for wish in wishes] == [Purpose.EXIT, Purpose.STOP, Purpose.TARGET]
    table.news(wishes[0].client_id, S.FILLED, ("9.99", "100"))
    assert table.trader.trips.closed[0].reason == "unexpected"


def test_a_second_entry_in_one_position_closes_it_all() -> None:
    table = Table()
    table.bar(1)
    first = table.only(Purpose.ENTRY)
    table.news(first, S.REJECTED, reason="lost on the way")
    table.bar(1)
    second = table.only(Purpose.ENTRY)
    table.news(second, S.FILLED, ("5", "100"))
    wishes = requests(table.news(first, S.FILLED, ("5", "101")))
    assert (wishes[0].purpose, wishes[0].qty_base) == (Purpose.EXIT, D("10.000"))


def test_what_the_operator_took_over_is_protected_and_kept() -> None:
    table = Table()
    table.bar()
    fill = Fill("adopted-7", "", "BTC/USDT", Side.BUY, D(3), D(50), D(0), "USDT", table.now_at)
    stop, target = requests(list(table.trader.on_adopted(fill, table.now_at)))
    assert (stop.stop_price, target.stop_price, stop.qty_base) == (D("49.00"), D("53.00"), D(3))
    assert [wish.purpose for wish in requests(table.bar(leaves=True))] == [Purpose.EXIT]


def test_a_fill_of_an_order_nobody_knows_is_protected_and_closed() -> None:
    table = Table()
    table.bar()
    fill = Fill("9", "who?", "BTC/USDT", Side.SELL, D(3), D(50), D(0), "USDT", table.now_at)
    wishes = requests(list(table.trader.on_adopted(fill, table.now_at)))
    assert [wish.purpose for wish in wishes] == [Purpose.EXIT, Purpose.STOP, Purpose.TARGET]


def test_a_wish_that_could_not_be_written_down_is_forgotten() -> None:
    table = Table()
    table.bar(1)
    entry = table.only(Purpose.ENTRY)
    assert table.trader.on_refused(entry, "disk full", table.now_at) == ()
    assert len(requests(table.bar(1))) == 1


# Each entry with exits of its own


def test_an_entry_that_names_its_own_exits_is_held_by_them() -> None:
    own = Rules(stop_frac=0.01, target_frac=0.02, max_bars=1, size_frac=0.5)
    table = Table()
    (entry,) = requests(table.bar(1, rules=own))
    assert float(entry.notional_quote or 0) == 500 / 1.001
    stop, target = requests(table.news(entry.client_id, S.FILLED, ("5", "100")))
    assert (stop.stop_price, target.stop_price) == (D("99.00"), D("102.00"))
    assert [wish.purpose for wish in requests(table.bar())] == [Purpose.EXIT]


def test_a_strategy_without_a_stop_or_capital_does_not_trade() -> None:
    with pytest.raises(InvariantError):
        spec(Rules())
    with pytest.raises(InvariantError):
        spec(capital_quote=D(0))
