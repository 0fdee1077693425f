from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import text

from engine.errors import NonFiniteError
from engine.store import accounts, alerts, events, fills, orders, paper_trades, positions
from engine.store.account_detail import AccountDetail, LimitUse
from engine.store.accounts import MARK_MS
from engine.store.database import Store
from engine.store.trading import replace_account_projection, save_trading
from engine.trade.orders import OrderState
from tests.trading_rows import a_fill, a_position, a_trade, an_account, an_order

pytest_plugins = ["tests.store_backends"]


async def test_every_digit_and_every_field_comes_back(store: Store) -> None:
    account, order, position, trade = an_account(), an_order(), a_position(), a_trade()
    await save_trading(
        store, account, orders=[order], fills=[a_fill()], positions=[position], trades=[trade]
    )
    assert await accounts.accounts(store) == [account]
    assert await orders.open_orders(store, "paper") == [order]
    assert await positions.positions(store, "paper") == [position]
    assert await paper_trades.paper_trades_of(store, "s1") == [trade]
    [fill] = await fills.recent_fills(store, "paper")
    assert fill == replace(a_fill(), reference_price=Decimal("100"))
    assert fill.slippage_frac == pytest.approx(0.01)


async def test_saving_twice_is_saving_once(store: Store) -> None:
    for _ in range(2):
        await save_trading(
            store,
            an_account(),
            orders=[an_order(), an_order()],
            fills=[a_fill(), a_fill()],
            positions=[a_position(), a_position()],
            trades=[a_trade(), a_trade()],
        )
    assert len(await orders.recent_orders(store, "paper")) == 1
    assert len(await fills.recent_fills(store, "paper")) == 1
    assert len(await positions.positions(store, "paper")) == 1
    assert len(await paper_trades.paper_trades_of(store, "s1")) == 1
    assert await fills.save_fills(store, [a_fill(), a_fill("2")]) == 1


async def test_a_late_repetition_of_an_older_word_undoes_nothing(store: Store) -> None:
    done = an_order(state=OrderState.FILLED, at=20)
    await orders.save_orders(store, [done])
    await orders.save_orders(store, [an_order(state=OrderState.ACCEPTED, at=19)])
    assert await orders.get_order(store, "paper", "pk-1") == done
    await accounts.save_accounts(store, [an_account(at=2_000)])
    await accounts.save_accounts(store, [an_account(at=1_999, equity="1")])
    assert (await accounts.accounts(store))[0].updated_at == 2_000


async def test_positions_that_are_not_named_or_flat_are_gone(store: Store) -> None:
    await positions.save_positions(store, "paper", [a_position("A/B"), a_position("C/D")])
    await positions.save_positions(
        store, "paper", [a_position("C/D"), a_position("E/F", Decimal("0E-8"))]
    )
    assert [row.symbol for row in await positions.positions(store, "paper")] == ["C/D"]
    assert await positions.count_positions(store, "paper") == 1


async def test_open_orders_are_those_that_have_not_ended_newest_first(store: Store) -> None:
    rows = [an_order(f"pk-{state}", state=state, at=i) for i, state in enumerate(OrderState)]
    await orders.save_orders(store, rows)
    states = [row.state for row in await orders.open_orders(store, "paper")]
    assert states == [s for s in reversed(OrderState) if not s.is_final]
    assert await orders.count_open_orders(store, "paper") == len(states)
    assert len(await orders.recent_orders(store, "paper", limit=4)) == 4
    assert await orders.recent_orders(store, "paper", symbol="X/Y") == []
    assert await orders.open_orders(store, "live") == []


async def test_replacing_an_account_leaves_the_others_and_its_equity_line(store: Store) -> None:
    other = an_order("pk-2", account="live")
    await save_trading(
        store, an_account(), orders=[an_order("old")], fills=[a_fill()], trades=[a_trade()]
    )
    await save_trading(store, an_account("live"), orders=[other])
    again = an_account(at=999, equity="5")
    for _ in range(2):
        await replace_account_projection(
            store, again, orders=[an_order("new")], fills=[], positions=[a_position()]
        )
    assert [row.client_id for row in await orders.recent_orders(store, "paper")] == ["new"]
    assert await fills.recent_fills(store, "paper") == []
    assert await paper_trades.paper_trades_of(store, "s1") == [a_trade()]
    assert await orders.recent_orders(store, "live") == [other]
    assert [row.name for row in await accounts.accounts(store)] == ["paper", "live"]
    assert (await accounts.accounts(store))[0] == again
    await replace_account_projection(
        store, again, orders=[], fills=[], positions=[], trades=[a_trade(30)]
    )
    assert await paper_trades.paper_trades_of(store, "s1") == [a_trade(30)]


async def test_the_equity_line_is_thinned_and_keeps_its_newest_mark(store: Store) -> None:
    for i in range(50):
        await accounts.save_accounts(store, [an_account(at=i * MARK_MS + 7, equity=str(i))])
    whole = await accounts.equity_line(store, "paper", 0)
    assert whole == [(i * MARK_MS, Decimal(i)) for i in range(50)]
    thin = await accounts.equity_line(store, "paper", 0, max_points=10)
    assert len(thin) == 10
    assert thin[-1] == whole[-1]
    assert await accounts.equity_line(store, "paper", 49 * MARK_MS) == whole[-1:]
    assert await accounts.equity_line(store, "nobody", 0) == []


async def test_many_orders_are_read_a_page_at_a_time(store: Store) -> None:
    rows = [an_order(f"pk-{i:06}", state=OrderState.FILLED, at=i) for i in range(3_000)]
    await orders.save_orders(store, rows)
    page = await orders.recent_orders(store, "paper", limit=500)
    assert [row.request.created_at for row in page] == list(range(2_999, 2_499, -1))


async def test_what_is_not_a_number_is_refused_and_nothing_is_kept(store: Store) -> None:
    broken = replace(an_account(), equity_quote=Decimal("NaN"))
    with pytest.raises(NonFiniteError):
        await save_trading(store, broken, orders=[an_order()])
    assert await orders.recent_orders(store, "paper") == []


async def test_details_of_an_older_or_newer_paddock_are_read(store: Store) -> None:
    await accounts.save_accounts(store, [an_account()])
    async with store.write() as connection:
        words = '{"limits":[{"rule":"x","value":null,"limit":1.0,"unit":"u","new":1}],"later":2}'
        statement = text("UPDATE accounts SET detail = :words")
        await connection.execute(statement, {"words": words})
    [row] = await accounts.accounts(store)
    assert row.detail == AccountDetail(limits=(LimitUse("x", None, 1.0, "u"),))


async def raised(store: Store, at: int, key: str = "k", **changes: str) -> alerts.AlertRow:
    words = {"level": "warn", "title": "t", "message": "m", **changes}
    return await alerts.raise_alert(store, key=key, at=at, **words)


async def test_an_alert_told_again_is_counted_and_told_twice_at_once_is_not(store: Store) -> None:
    await raised(store, 1)
    row = await raised(store, 5, message="worse", level="error")
    assert (row.count, row.raised_at, row.last_at) == (2, 1, 5)
    assert (row.message, row.level) == ("worse", "error")
    assert await raised(store, 5) == row
    assert await raised(store, 4) == row


async def test_an_alert_is_acknowledged_once_with_an_event_and_stays_so(store: Store) -> None:
    await raised(store, 1)
    assert await alerts.acknowledge_alert(store, "k", "ana", 2)
    assert not await alerts.acknowledge_alert(store, "k", "bob", 3)
    assert not await alerts.acknowledge_alert(store, "unknown", "bob", 3)
    row = await raised(store, 4)
    assert (row.acknowledged_by, row.acknowledged_at, row.count) == ("ana", 2, 2)
    [event] = await events.events_page(store, kind="alert")
    assert (event.kind, event.subject, event.fields) == ("alert.acknowledged", "k", {"who": "ana"})


async def test_an_alert_that_was_over_begins_anew(store: Store) -> None:
    await raised(store, 1)
    await alerts.mark_alert_sent(store, "k", 2)
    await alerts.acknowledge_alert(store, "k", "ana", 2)
    assert await alerts.resolve_alert(store, "k", 3)
    assert not await alerts.resolve_alert(store, "k", 4)
    assert await alerts.active_alerts(store) == []
    assert (await raised(store, 3)).resolved_at == 3
    row = await raised(store, 9)
    assert row == alerts.AlertRow("k", "warn", "t", "m", "", 9, 9, 1, "", None, None, None)
    assert not await alerts.resolve_alert(store, "k", 8)


async def test_unseen_alerts_come_first_and_the_newest_of_them_first(store: Store) -> None:
    for at, key in ((1, "a"), (2, "b"), (3, "c")):
        await raised(store, at, key=key)
    await alerts.acknowledge_alert(store, "c", "ana", 4)
    assert [row.key for row in await alerts.active_alerts(store)] == ["b", "a", "c"]
    assert [row.key for row in await alerts.active_alerts(store, limit=1)] == ["b"]
    assert await alerts.get_alert(store, "zzz") is None
