"""What screen 5 lists, as pure functions of a trading view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from console.format import (
    UNDEFINED,
    age,
    clipped,
    clock_time,
    number,
    short_id,
    signed,
    signed_percent,
)
from console.money import basis_points, price, qty, quote, signed_quote
from console.states import state_style
from console.widgets.live_table import LiveCell, LiveColumn, Row

if TYPE_CHECKING:
    from console.trading_view import TradingView
    from engine.store.fills import FillRow
    from engine.store.positions import PositionRow
    from engine.trade.orders import Order

POSITION_COLUMNS = (
    LiveColumn("symbol", "symbol", 10),
    LiveColumn("side", "side", 5),
    LiveColumn("qty", "qty", 9, is_number=True),
    LiveColumn("entry", "avg", 9, is_number=True, min_screen=100),
    LiveColumn("mark", "mark", 9, is_number=True),
    LiveColumn("notional", "notional", 10, is_number=True),
    LiveColumn("gain", "uPnL", 9, is_number=True),
    LiveColumn("gain_frac", "uPnL%", 7, is_number=True, min_screen=110),
    LiveColumn("liquidation", "liq-dist", 8, is_number=True, min_screen=140),
    LiveColumn("stop", "stop", 9, is_number=True),
    LiveColumn("place", "held by", 8, min_screen=160),
    LiveColumn("strategy", "strategy", 8, min_screen=100),
    LiveColumn("reconciled", "checked", 7, min_screen=114),
)
ORDER_COLUMNS = (
    LiveColumn("time", "time", 9, min_screen=100),
    LiveColumn("id", "id", 8),
    LiveColumn("symbol", "symbol", 10),
    LiveColumn("side", "side", 4),
    LiveColumn("type", "type", 6),
    LiveColumn("purpose", "for", 7, min_screen=114),
    LiveColumn("qty", "qty", 8, is_number=True),
    LiveColumn("price", "price", 9, is_number=True, min_screen=84),
    LiveColumn("filled", "filled", 7, is_number=True),
    LiveColumn("reduce", "reduce", 6, min_screen=124),
    LiveColumn("age", "age", 6, is_number=True),
    LiveColumn("venue", "venue id", 10, min_screen=150),
    LiveColumn("state", "state", 11),
)
FILL_COLUMNS = (
    LiveColumn("time", "time", 9),
    LiveColumn("symbol", "symbol", 10),
    LiveColumn("side", "side", 4),
    LiveColumn("qty", "qty", 10, is_number=True),
    LiveColumn("price", "price", 9, is_number=True),
    LiveColumn("fee", "fee", 14, is_number=True, min_screen=100),
    LiveColumn("arrival", "arrival", 9, is_number=True, min_screen=100),
    LiveColumn("slip", "slip", 8, is_number=True),
    LiveColumn("order", "order", 8),
    LiveColumn("strategy", "strategy", 8, min_screen=114),
)
_MS_PER_DAY = 86_400_000
# What the tables are sorted by; the first is how their rows come.
POSITION_KEYS: Mapping[str, Any] = {
    "symbol": None,
    "notional": lambda row: row.notional_quote,
    "uPnL": lambda row: row.unrealized_quote,
    "uPnL%": lambda row: gain_frac(row),
    "strategy": lambda row: row.strategy_id,
}
ORDER_KEYS: Mapping[str, Any] = {
    "newest": None,
    "symbol": lambda order: order.request.symbol,
    "side": lambda order: order.request.side.value,
    "for": lambda order: order.request.purpose.value,
    "qty": lambda order: order.request.qty_base,
    "price": lambda order: order.request.price or order.request.stop_price,
    "state": lambda order: order.state.value,
}
FILL_KEYS: Mapping[str, Any] = {
    "newest": None,
    "slip": lambda row: row.slippage_frac,
    "symbol": lambda row: row.fill.symbol,
    "qty": lambda row: row.fill.qty_base,
    "fee": lambda row: row.fill.fee,
    "strategy": lambda row: row.strategy_id,
}


def position_key(row: PositionRow) -> str:
    """Return the key of a position's row."""
    return f"{row.symbol}\n{row.strategy_id}"


def fill_key(row: FillRow) -> str:
    """Return the key of a fill's row."""
    return f"{row.fill.symbol}\n{row.fill.id}"


def order_name(client_id: str) -> str:
    """Return the part of an order's id that people need to tell it from others."""
    return client_id.removeprefix("pk-")[:8] or UNDEFINED


def position_cells(row: PositionRow, now_at: int, colours: Mapping[str, str]) -> Row:
    """Return the cells of one position."""
    is_long = row.signed_base > 0
    gain = row.unrealized_quote
    sign = "" if not gain else colours["success" if gain > 0 else "error"]
    glyph, colour = ("✓", "success") if row.is_reconciled else ("✗", "error")
    has_stop = row.stop_price is not None
    return {
        "symbol": LiveCell(row.symbol),
        "side": LiveCell("long" if is_long else "short"),
        "qty": LiveCell(qty(row.signed_base)),
        "entry": LiveCell(price(row.entry_price)),
        "mark": LiveCell(price(row.mark_price)),
        "notional": LiveCell(quote(row.notional_quote, 1)),
        "gain": LiveCell(signed_quote(gain), sign),
        "gain_frac": LiveCell(signed_percent(gain_frac(row), 2), sign),
        "liquidation": LiveCell(_liquidation(row)),
        "stop": LiveCell(
            price(row.stop_price) if has_stop else "▲ none", "" if has_stop else colours["warning"]
        ),
        "place": LiveCell(row.stop_place or UNDEFINED),
        "strategy": LiveCell(short_id(row.strategy_id)),
        "reconciled": LiveCell(f"{glyph} {age(row.reconciled_at, now_at)}", colours[colour]),
    }


def order_cells(order: Order, now_at: int, colours: Mapping[str, str]) -> Row:
    """Return the cells of one order."""
    request = order.request
    style = state_style(order.state.value)
    wanted = request.qty_base
    return {
        "time": LiveCell(clock_time(request.created_at), colours["muted"]),
        "id": LiveCell(order_name(order.client_id)),
        "symbol": LiveCell(request.symbol),
        "side": LiveCell(request.side.value),
        "type": LiveCell(request.type.value),
        "purpose": LiveCell(request.purpose.value),
        "qty": LiveCell(qty(wanted) if wanted else f"{quote(request.notional_quote, 0)} q"),
        "price": LiveCell(price(request.price or request.stop_price)),
        "filled": LiveCell(qty(order.filled_base) if order.filled_base else UNDEFINED),
        "reduce": LiveCell("yes" if request.reduce_only else "no"),
        "age": LiveCell(age(request.created_at, now_at)),
        "venue": LiveCell(order.venue_id or UNDEFINED),
        "state": LiveCell(f"{style.glyph} {order.state.value}", colours[style.colour]),
    }


def fill_cells(row: FillRow, model_frac: float, colours: Mapping[str, str]) -> Row:
    """Return the cells of one fill; slippage beyond the model's is marked."""
    fill, slip = row.fill, row.slippage_frac
    is_worse = slip is not None and slip > model_frac
    return {
        "time": LiveCell(clock_time(fill.at), colours["muted"]),
        "symbol": LiveCell(fill.symbol),
        "side": LiveCell(fill.side.value),
        "qty": LiveCell(qty(fill.qty_base)),
        "price": LiveCell(price(fill.price)),
        "fee": LiveCell(f"{number(float(fill.fee), 4)} {clipped(fill.fee_asset, 5)}"),
        "arrival": LiveCell(price(row.reference_price)),
        "slip": LiveCell(basis_points(slip), colours["warning"] if is_worse else ""),
        "order": LiveCell(order_name(fill.client_id)),
        "strategy": LiveCell(short_id(row.strategy_id)),
    }


def gain_frac(row: PositionRow) -> float | None:
    """Return a position's unrealized gain as a fraction of what it was entered for."""
    if row.unrealized_quote is None or not row.entry_price:
        return None
    return float(row.unrealized_quote / (abs(row.signed_base) * row.entry_price))


def slippage_frac(fills: Iterable[FillRow]) -> float | None:
    """Return the mean slippage of fills, weighted by notional; None when none can be measured."""
    measured = [
        (row.slippage_frac, float(row.fill.qty_base * row.fill.price))
        for row in fills
        if row.slippage_frac is not None
    ]
    weight = sum(notional for _, notional in measured)
    return sum(frac * notional for frac, notional in measured) / weight if weight else None


def positions_title(view: TradingView) -> str:
    """Return the title of the positions with what they add up to."""
    account = view.account
    if account is None:
        return f"Positions {view.n_positions:,}"
    unit = account.quote_asset
    return (
        f"Positions {view.n_positions:,} · gross {quote(account.gross_quote, 0)} {unit} · "
        f"net {signed_quote(account.net_quote, 0)} {unit} · "
        f"unprotected {quote(account.unprotected_quote, 0)} {unit}"
    )


def orders_title(view: TradingView) -> str:
    """Return the title of the open orders, with how many are left out of the table."""
    shown = len(view.orders)
    of = f" ({shown:,} shown)" if shown < view.n_orders else ""
    unknown = sum(1 for order in view.orders if order.state.value == "unknown")
    return f"Open orders {view.n_orders:,}{of}{f' · ▲ {unknown} unknown' if unknown else ''}"


def fills_title(view: TradingView, model_frac: float, now_at: int, rows_max: int) -> str:
    """Return the title of the fills: today's number, fees, and slippage against the model.

    Parameters
    ----------
    model_frac : slippage that backtests assume, fraction of price
    now_at : UTC ms, the account's clock
    rows_max : how many fills were read at most
    """
    day_at = now_at - now_at % _MS_PER_DAY
    today = [row for row in view.fills if row.fill.at >= day_at]
    fees: dict[str, float] = {}
    for row in today:
        fees[row.fill.fee_asset] = fees.get(row.fill.fee_asset, 0.0) + float(row.fill.fee)
    # Every fill that was read is of today: there may be more than were read.
    more = "≥" if len(today) >= rows_max else ""
    paid = ", ".join(f"{number(fee)} {asset}" for asset, fee in sorted(fees.items())[:2]) or "0"
    slip = slippage_frac(today)
    measured = f"{signed(slip * 1e4, 1)} bp" if slip is not None else UNDEFINED
    return (
        f"Fills (today {more}{len(today):,} · fees {paid} · "
        f"slippage {measured} vs model {number(model_frac * 1e4, 1)} bp)"
    )


def _liquidation(row: PositionRow) -> str:
    if row.liquidation_price is None or not row.mark_price:
        return UNDEFINED
    return f"{number(abs(float(row.liquidation_price / row.mark_price) - 1) * 100, 1)}%"
