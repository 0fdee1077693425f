"""Why two strategies may not hold two sides of one perpetual in one account, and what if they do.

The exchange keeps one position a symbol. Against another strategy's position an entry would close
it there while both still count it here, and neither could be protected or closed by an order that
only reduces: there would be nothing to reduce. Entries that would lead there are refused. News out
of order may lead there all the same (a stop that overshot, before the entry it ran into was heard
of); then the two are crossed with each other, as the exchange has done.
"""

from __future__ import annotations

from decimal import Decimal

from engine.trade.account_book import AccountBook
from engine.trade.adoption import held_of
from engine.trade.instrument import Instrument
from engine.trade.orders import OrderRequest
from engine.trade.positions import EXACT
from engine.trade.records import AdoptRecord

_WHO = "gateway"
_CROSSED = "crossed: the exchange keeps one position a symbol"


def why_netted(request: OrderRequest, book: AccountBook, instrument: Instrument) -> str:
    """Say which position or entry of another strategy an entry would be netted with, or nothing."""
    if not request.adds_exposure or instrument.market_type != "perp":
        return ""
    for position in book.open_positions():
        is_other = position.symbol == request.symbol and position.strategy_id != request.strategy_id
        if is_other and (position.signed_base > 0) != (request.side.sign > 0):
            return _words(request, position.strategy_id, "holds")
    for order in book.active_orders():
        other = order.request
        is_other = other.symbol == request.symbol and other.strategy_id != request.strategy_id
        if is_other and other.adds_exposure and other.side is not request.side:
            return _words(request, other.strategy_id, "is entering")
    return ""


def crossings(book: AccountBook, symbol: str, price: Decimal) -> tuple[AdoptRecord, ...]:
    """Return what crosses the long and the short positions of a symbol; none when there are none.

    They come in pairs that add up to nothing, in quantity and in money.

    Parameters
    ----------
    price : of now, quote currency
    """
    held = sorted(held_of(book, symbol).items(), key=lambda item: (-abs(item[1]), item[0]))
    longs = [(name, base) for name, base in held if base > 0]
    shorts = [(name, -base) for name, base in held if base < 0]
    records: list[AdoptRecord] = []
    while longs and shorts:
        (long, long_base), (short, short_base) = longs[0], shorts[0]
        part = min(long_base, short_base)
        for name, signed in ((long, EXACT.minus(part)), (short, part)):
            records.append(AdoptRecord(name, symbol, signed, price, _WHO, _CROSSED))
        longs[:1] = [(long, EXACT.subtract(long_base, part))] if long_base > part else []
        shorts[:1] = [(short, EXACT.subtract(short_base, part))] if short_base > part else []
    return tuple(records)


def _words(request: OrderRequest, strategy_id: str, does: str) -> str:
    return (
        f"netting: strategy {strategy_id[:12]} {does} the other side of {request.symbol} in this"
        " account, and the exchange keeps one position a symbol"
    )
