"""The strategy trader alone: how it leaves, and what nobody expected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.backtest.rules import Rules
from engine.errors import InvariantError
from engine.trade.exchange import Fill
from engine.trade.orders import (
    Order,
    OrderType,
    Purpose,
    Side,
)
from tests.unit.trader_table import (
    BAR_MS,
    PERP,
    RULES,
    D,
    S,
    Table,
    cancels,
    requests,
    spec,
)


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
