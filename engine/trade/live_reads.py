"""Longer reads from ccxt: fills page by page, quotes, closed bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from engine.market.bars import check_bars
from engine.market.ccxt_source import bar_columns
from engine.trade.exchange import Ticker
from engine.trade.listing import Listing, exact
from engine.types import MS_PER_DAY, Bars, SeriesKey, timeframe_ms

LOOKBACK_DAYS = 90
"""Fills older than this are not asked for; exchanges keep them for months at best."""

# Where a spot symbol's fills are told by the day or, without a time, the newest there are.
_NEWEST_OF_ALL = frozenset({"binance", "binanceus"})
# Where a perpetual's ticker has no quotes.
_QUOTES_APART = frozenset({"binance", "binanceusdm"})
_PAGES_MAX = 1000
_BARS_PAGE = 1000


async def fill_pages(
    client: Any, listing: Listing, since_at: int, now_at: int, features: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Return ccxt's trade structures of our own fills at or after an instant, oldest first.

    Parameters
    ----------
    features : what ccxt says of fetchMyTrades: how many a page has, how many days it may span

    Raises
    ------
    ValueError : the exchange does not get on with its pages.
    """
    limit = int(features.get("limit") or 0) or None
    span_ms = int(features.get("untilDays") or 0) * MS_PER_DAY
    cursor = max(since_at, now_at - LOOKBACK_DAYS * MS_PER_DAY)
    is_spot = listing.instrument.market_type == "spot"
    tells_newest = is_spot and client.id in _NEWEST_OF_ALL and limit is not None
    if limit is not None and tells_newest and now_at - cursor >= span_ms > 0:
        # One request instead of one a day.
        page = await client.fetch_my_trades(listing.venue_symbol, None, limit)
        if len(page) < limit or min(int(trade["timestamp"]) for trade in page) < since_at:
            return _in_order(page, since_at)
    found: dict[str, Mapping[str, Any]] = {}
    for _ in range(_PAGES_MAX):
        is_last_span = not span_ms or now_at - cursor < span_ms
        params = {} if is_last_span else {"until": cursor + span_ms}
        page = await client.fetch_my_trades(listing.venue_symbol, cursor, limit, params)
        fresh = [trade for trade in page if str(trade["id"]) not in found]
        found |= {str(trade["id"]): trade for trade in fresh}
        is_full = limit is not None and len(page) >= limit
        if is_full and fresh:
            cursor = max(cursor, max(int(trade["timestamp"]) for trade in page))
        elif is_full:
            raise ValueError(f"more than {limit} fills in one instant")
        elif is_last_span:
            return _in_order(found.values(), since_at)
        else:
            cursor += span_ms
    raise ValueError(f"more than {_PAGES_MAX} pages of fills")


async def ticker(client: Any, listing: Listing, now_at: int) -> Ticker:
    """Return best quotes and last trade; their middle where one request does not tell both.

    Parameters
    ----------
    now_at : UTC ms, where the exchange gives no time

    Raises
    ------
    ValueError : there are no quotes.
    """
    name = listing.venue_symbol
    if listing.instrument.market_type == "perp" and client.id in _QUOTES_APART:
        told = (await client.fetch_bids_asks([name]))[name]
    else:
        told = await client.fetch_ticker(name)
    bid, ask, last = (exact(told.get(key)) for key in ("bid", "ask", "last"))
    if not bid or not ask:
        book = await client.fetch_order_book(name, 5)
        bid, ask = _top(book, "bids"), _top(book, "asks")
    if not bid or not ask:
        raise ValueError(f"{name} has no quotes")
    return Ticker(
        symbol=listing.instrument.symbol,
        bid=bid,
        ask=ask,
        last=last or (bid + ask) / 2,
        at=int(told.get("timestamp") or now_at),
    )


async def closed_bars(
    client: Any, exchange_name: str, listing: Listing, timeframe: str, since_at: int, end_at: int
) -> Bars:
    """Return the bars that open at or after `since_at` and are closed by `end_at`, oldest first.

    Raises
    ------
    ValueError : the page is not made of bars.
    NonFiniteError, DataError : the bars are broken.
    """
    step_ms = timeframe_ms(timeframe)
    closed_at = end_at // step_ms * step_ms
    cursor = -(-since_at // step_ms) * step_ms
    rows: dict[int, Any] = {}
    while cursor < closed_at:
        page = await client.fetch_ohlcv(listing.venue_symbol, timeframe, cursor, _BARS_PAGE)
        fresh = {int(row[0]): row for row in page if cursor <= int(row[0]) < closed_at}
        if not fresh:
            break
        rows |= fresh
        cursor = max(fresh) + step_ms
    stamps, values = bar_columns([rows[at] for at in sorted(rows)])
    bars = Bars(stamps, *(values[:, i].copy() for i in range(5)))
    key = SeriesKey(exchange_name, listing.instrument.symbol, timeframe)
    check_bars(bars, key, "the exchange's answer")
    return bars


def _in_order(trades: Iterable[Mapping[str, Any]], since_at: int) -> list[Mapping[str, Any]]:
    kept = [trade for trade in trades if int(trade["timestamp"]) >= since_at]
    return sorted(kept, key=lambda trade: (int(trade["timestamp"]), _number(trade)))


def _top(book: Mapping[str, Any], side: str) -> Decimal | None:
    levels = book.get(side) or []
    return exact(levels[0][0]) if levels else None


def _number(trade: Mapping[str, Any]) -> tuple[int, str]:
    text = str(trade["id"])
    return (int(text) if text.isdigit() else 0, text)
