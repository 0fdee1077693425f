"""What an act on orders, positions or strategies will do, in lines for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from console.format import number, percent, short_id
from console.money import price, qty, quote

if TYPE_CHECKING:
    from engine.store.positions import PositionRow
    from engine.store.strategies import StrategyRow
    from engine.trade.orders import Order

IN_FLIGHT = ("intent", "submitted", "canceling", "unknown")
# Of what is done to many at once, as many are named as fit the smallest screen.
MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class FlattenCost:
    """What flattening would send, and about what it would cost.

    Attributes
    ----------
    n_orders : reduce-only market orders, one for each symbol of each account
    notional_quote : unsigned, at the last marks
    cost_quote : commission and slippage of it
    cost_bp : the same, hundredths of a percent of the notional
    n_unmarked : positions whose price is not known, left out of the notional
    """

    n_orders: int
    notional_quote: Decimal
    cost_quote: Decimal
    cost_bp: float
    n_unmarked: int


def flatten_cost(positions: Sequence[PositionRow], cost_frac: float) -> FlattenCost:
    """Return what flattening these would cost.

    Parameters
    ----------
    cost_frac : commission and slippage that backtests assume, fraction of notional
    """
    symbols = {(row.account, row.symbol) for row in positions}
    marked = [row.notional_quote for row in positions if row.notional_quote is not None]
    notional = sum((abs(value) for value in marked), Decimal(0))
    return FlattenCost(
        n_orders=len(symbols),
        notional_quote=notional,
        cost_quote=notional * Decimal(str(cost_frac)),
        cost_bp=cost_frac * 1e4,
        n_unmarked=len(positions) - len(marked),
    )


def unit_of(symbol: str) -> str:
    """Return the quote currency of BASE/QUOTE."""
    return symbol.partition("/")[2].partition(":")[0]


def position_words(row: PositionRow) -> str:
    """Return a position in a few words (`BTC/USDT long 0.41`)."""
    side = "long" if row.signed_base > 0 else "short"
    return f"{row.symbol} {side} {qty(row.signed_base)}"


def order_words(order: Order) -> str:
    """Return an order in a few words (`SOL/USDT buy 8 limit`)."""
    request = order.request
    size = (
        qty(request.qty_base)
        if request.qty_base is not None
        else f"{quote(request.notional_quote)} {unit_of(request.symbol)}"
    )
    return f"{request.symbol} {request.side} {size} {request.type}"


def named(lines: Sequence[str]) -> list[str]:
    """Return the first of many lines, and how many more there are."""
    rest = len(lines) - MOST_NAMED
    return list(lines) if rest <= 0 else [*lines[:MOST_NAMED], f"and {rest} more"]


def cancel_lines(orders: Sequence[Order]) -> list[str]:
    """Return what cancelling these orders does."""
    if len(orders) == 1:
        lines = [order_words(orders[0])]
        if orders[0].request.purpose.is_protective:
            lines.append("▲ It protects a position: what it covers is unprotected without it.")
        return lines
    # Those that protect are named first: they are what cancelling may be wrong for.
    ranked = sorted(orders, key=lambda order: not order.request.purpose.is_protective)
    lines = named(
        [
            f"{'▲ ' if order.request.purpose.is_protective else ''}{order_words(order)}"
            for order in ranked
        ]
    )
    n_protective = sum(order.request.purpose.is_protective for order in orders)
    if n_protective:
        lines.append(
            f"▲ {n_protective} of them protect positions: what they cover is unprotected then."
        )
    return lines


def retire_lines(rows: Sequence[StrategyRow]) -> list[str]:
    """Return what retiring these strategies does."""
    if len(rows) == 1:
        return [
            f"{short_id(rows[0].id)} is {rows[0].status}. It stops for good; its record stays.",
            "What it holds is closed at the next bar's open.",
        ]
    return [
        *named([f"{short_id(row.id)} is {row.status}" for row in rows]),
        "They stop for good; their records stay.",
        "What they hold is closed at the next bar's open.",
    ]


def flatten_symbol_lines(
    symbol: str, positions: Sequence[PositionRow], orders: Sequence[Order], cost_frac: float
) -> list[str]:
    """Return exactly what flattening one symbol does."""
    unit, base = unit_of(symbol), symbol.partition("/")[0]
    lines = []
    for row in positions:
        side = "sell" if row.signed_base > 0 else "buy"
        lines.append(
            f"{side} {qty(row.signed_base)} {base} at market, reduce-only"
            f"  (strategy {short_id(row.strategy_id)}, mark {price(row.mark_price)} {unit})"
        )
    cost = flatten_cost(positions, cost_frac)
    lines.append(
        f"notional {quote(cost.notional_quote)} {unit}, estimated cost "
        f"{number(cost.cost_bp, 0)} bp = {quote(cost.cost_quote)} {unit}"
    )
    if cost.n_unmarked:
        lines.append(f"▲ {cost.n_unmarked} of them have no known price: the cost is more")
    if orders:
        lines.append(f"its {len(orders)} open orders are cancelled first, protective stops too")
    lines.append("Strategies may enter again: {reduce} on screen 7 forbids new exposure.")
    return lines


def promote_lines(row: StrategyRow, target: str, allocation_frac: float) -> list[str]:
    """Return what promoting a strategy means."""
    lines = [
        f"{short_id(row.id)} {row.type.replace('_', ' ')} on {row.timeframe} bars, {row.direction}",
        f"validation: Sharpe {number(row.sharpe)} a year, {number(row.n_trades, 0)} trades, "
        f"drawdown {percent(row.max_drawdown)}, best on {row.best_symbol or '–'}",
        f"It trades on {target} from the next closed bar on, with {percent(allocation_frac)} of "
        "equity for each symbol.",
    ]
    if target == "live":
        lines.append("▲ This is real money. Without a passed live gate it is marked as by hand.")
    return lines
