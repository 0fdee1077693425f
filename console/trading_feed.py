"""Read the projection of trading; never writes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from console.trading_view import OrderHistory, TradingView, TradingWatch

if TYPE_CHECKING:
    from engine.store.database import Store
    from engine.store.events import EventRow

AUDIT_KINDS = (
    "account",
    "breaker",
    "dead_man",
    "journal",
    "kill",
    "latch",
    "position",
    "reconcile",
    "risk",
    "trader",
)
N_AUDIT = 200
N_OTHERS = 200
EQUITY_DAYS = 30
_EQUITY_EVERY_MS = 10_000
_EQUITY_POINTS = 120
_MS_PER_DAY = 86_400_000


class TradingFeed:
    """Build trading views.

    Parameters
    ----------
    rows_max : most rows of a table
    """

    def __init__(self, rows_max: int) -> None:
        self._rows_max = rows_max
        self._equity: tuple[tuple[int, Decimal], ...] = ()
        self._equity_of: tuple[str, int] | None = None

    async def view(self, store: Store, watch: TradingWatch, now_at: int) -> TradingView:
        """Return what the store holds for `watch`."""
        from engine.store.accounts import accounts
        from engine.store.alerts import active_alerts
        from engine.store.fills import recent_fills
        from engine.store.orders import count_open_orders, open_orders
        from engine.store.positions import count_positions, positions

        name, most = watch.account, self._rows_max
        held = tuple(await positions(store, limit=most))
        resting = tuple(await open_orders(store, limit=most))
        return TradingView(
            watch=watch,
            accounts=tuple(await accounts(store)),
            every_position=held,
            every_order=resting,
            n_positions=sum(1 for row in held if row.account == name)
            if len(held) < most
            else await count_positions(store, name),
            n_orders=sum(1 for row in resting if row.request.account == name)
            if len(resting) < most
            else await count_open_orders(store, name),
            fills=tuple(await recent_fills(store, name, limit=most)) if watch.fills else (),
            audit=await _audit(store) if watch.audit else (),
            equity=await self._line(store, name, now_at) if watch.equity else (),
            alerts=tuple(await active_alerts(store)),
            history=None if watch.order_id is None else await _history(store, watch),
        )

    async def _line(
        self, store: Store, account: str, now_at: int
    ) -> tuple[tuple[int, Decimal], ...]:
        # A scan of a month: not with every look.
        known = self._equity_of
        if known is None or known[0] != account or now_at - known[1] >= _EQUITY_EVERY_MS:
            from engine.store.accounts import equity_line

            since_at = now_at - EQUITY_DAYS * _MS_PER_DAY
            self._equity = tuple(await equity_line(store, account, since_at, _EQUITY_POINTS))
            self._equity_of = (account, now_at)
        return self._equity


async def _audit(store: Store) -> tuple[EventRow, ...]:
    from engine.store.events import events_page

    return tuple(await events_page(store, kind=AUDIT_KINDS, limit=N_AUDIT))


async def _history(store: Store, watch: TradingWatch) -> OrderHistory:
    from engine.store.events import events_page
    from engine.store.fills import recent_fills
    from engine.store.orders import get_order, recent_orders

    account, client_id = watch.account, str(watch.order_id)
    order = await get_order(store, account, client_id)
    if order is None:
        return OrderHistory(client_id, None)
    return OrderHistory(
        client_id=client_id,
        order=order,
        events=tuple(await events_page(store, subject=client_id, limit=N_AUDIT)),
        fills=tuple(await recent_fills(store, account, client_id=client_id, limit=N_OTHERS)),
        others=tuple(
            await recent_orders(store, account, symbol=order.request.symbol, limit=N_OTHERS)
        ),
    )
