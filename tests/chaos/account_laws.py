"""What must hold of an account whatever happened to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from engine.trade.account_book import AccountBook
from engine.trade.exchange import AccountView, Fill, VenueOrder
from engine.trade.instrument import ZERO
from engine.trade.journal import JOURNAL_FILE, verify_journal
from engine.trade.journal_file import START, lines_from
from engine.trade.journal_line import JournalLine
from engine.trade.orders import Order, OrderState, Purpose
from engine.trade.positions import EXACT, base_of, signed_base_of
from engine.trade.records import FillRecord

_TAKEN = frozenset({OrderState.ACCEPTED, OrderState.PARTIAL, OrderState.FILLED, OrderState.EXPIRED})


def broken_laws(
    book: AccountBook,
    resting: Sequence[VenueOrder],
    venue_fills: Sequence[Fill],
    view: AccountView,
    folder: Path,
    *,
    is_perp: bool,
    is_quiet: bool = True,
) -> list[str]:
    """Return in words every law that does not hold; none when all is well.

    Parameters
    ----------
    venue_fills : every fill of the account that the venue ever made
    folder : of the account's journal
    is_quiet : nothing is on its way any more
    """
    return [
        *_journal(book, folder),
        *_fills(book, venue_fills),
        *misheld(book, view, is_perp=is_perp),
        *_orders(book, resting, is_quiet=is_quiet),
        *doubles(book),
    ]


def _journal(book: AccountBook, folder: Path) -> list[str]:
    report = verify_journal(folder / JOURNAL_FILE)
    if not report.is_whole:
        return [f"the journal is not whole: {report.problem}"]
    lines = (line for line, _ in lines_from(folder / JOURNAL_FILE, START))
    again = AccountBook.of(lines, book.account, book.quote_asset)
    found = []
    for name in ("orders", "positions", "cash", "disowned"):
        if getattr(again, name) != getattr(book, name):
            found.append(f"the journal tells other {name} than the book")
    return found


def _fills(book: AccountBook, venue_fills: Sequence[Fill]) -> list[str]:
    found = []
    by_symbol: dict[str, set[str]] = {}
    net: dict[str, Decimal] = {}
    by_order: dict[str, Decimal] = {}
    for fill in venue_fills:
        by_symbol.setdefault(fill.symbol, set()).add(fill.id)
        fee_base = fill.fee if fill.fee_asset == base_of(fill.symbol) else ZERO
        signed = EXACT.subtract(signed_base_of(fill), fee_base)
        net[fill.symbol] = EXACT.add(net.get(fill.symbol, ZERO), signed)
        by_order[fill.client_id] = EXACT.add(by_order.get(fill.client_id, ZERO), fill.qty_base)
    for symbol, ids in by_symbol.items():
        counted = {name for name in book.fill_ids(symbol) if "/" not in name}
        if counted != ids:
            found.append(
                f"{symbol}: {len(ids - counted)} fills were not counted,"
                f" {len(counted - ids)} were invented"
            )
        if book.net_base(symbol) != net[symbol]:
            found.append(f"{symbol}: fills add up to {net[symbol]}, not {book.net_base(symbol)}")
    for client_id, filled in by_order.items():
        order = book.orders.get(client_id)
        if order is not None and order.filled_base != filled:
            found.append(f"order {client_id} has {order.filled_base} of {filled} filled")
    return found


def book_over(
    lines: Iterable[JournalLine], fills: Iterable[Fill], account: str, quote_asset: str
) -> AccountBook:
    """Return the book that a journal tells when these fills count and no later ones do.

    What the exchange held after exactly these fills can be compared with it, while trading goes on.
    """
    known = {(fill.symbol, fill.id) for fill in fills}
    counted = (
        line
        for line in lines
        if not isinstance(line.record, FillRecord) or _number_of(line.record.fill) in known
    )
    return AccountBook.of(counted, account, quote_asset)


def _number_of(fill: Fill) -> tuple[str, str]:
    # One that closed the positions of several strategies has a part for each: 7, 7/2, 7/3.
    return fill.symbol, fill.id.partition("/")[0]


def misheld(book: AccountBook, view: AccountView, *, is_perp: bool) -> list[str]:
    """Return the currencies and symbols of which the venue holds another amount than the book.

    On spot a position is what is owned of its base currency.

    Parameters
    ----------
    book, view : over the same fills
    """
    found = []
    assets = set(view.balances) | set(book.cash)
    for asset in sorted(assets):
        ours = book.cash.get(asset, ZERO) if is_perp else book.balance_of(asset)
        theirs, slack = view.balances.get(asset, ZERO), ZERO
        if is_perp and asset == book.quote_asset:
            # The venue nets strategies: only the wallet without open positions is comparable, and
            # its average entry prices are quotients.
            costs = [p.signed_base * (p.entry_price or ZERO) for p in view.positions.values()]
            theirs -= sum(costs, ZERO)
            slack = sum((abs(cost) for cost in costs), ZERO) * Decimal("1e-20")
        if abs(ours - theirs) > slack:
            found.append(f"{asset}: {ours} here, {theirs} at the venue")
    if is_perp:
        for symbol in {symbol for _, symbol in book.positions} | set(view.positions):
            held = view.positions.get(symbol)
            theirs = held.signed_base if held is not None else ZERO
            if theirs != book.net_base(symbol):
                found.append(f"{symbol}: {book.net_base(symbol)} here, {theirs} at the venue")
    return found


def _orders(book: AccountBook, resting: Sequence[VenueOrder], *, is_quiet: bool) -> list[str]:
    found = [f"order {order.client_id} is UNKNOWN" for order in book.unknown_orders()]
    counts = Counter(order.client_id for order in resting)
    found += [f"order {name} rests {n} times" for name, n in counts.items() if n > 1]
    if not is_quiet:
        return found
    ours = {order.client_id for order in book.active_orders()}
    if ours != set(counts):
        found.append(
            f"orders {sorted(ours - set(counts))} rest only here,"
            f" {sorted(set(counts) - ours)} only at the venue"
        )
    on_way = (OrderState.INTENT, OrderState.SUBMITTED)
    found += [
        f"order {order.client_id} is {order.state} for ever"
        for order in book.active_orders()
        if order.state in on_way
    ]
    return found


def unconserved(book: AccountBook, venue_fills: Sequence[Fill], began_quote: Decimal) -> list[str]:
    """Return what cash differs from what every fill, counted anew, leaves of the beginning.

    Parameters
    ----------
    venue_fills : every fill of the account that the venue ever made
    began_quote : what the account began with: that much, and nothing else
    """
    cash = {book.quote_asset: began_quote}
    for fill in venue_fills:
        paid = EXACT.multiply(signed_base_of(fill), fill.price)
        cash[book.quote_asset] = EXACT.subtract(cash[book.quote_asset], paid)
        # A fee in base makes a position smaller, and is counted there.
        if fill.fee_asset != base_of(fill.symbol):
            cash[fill.fee_asset] = EXACT.subtract(cash.get(fill.fee_asset, ZERO), fill.fee)
    return [
        f"{asset}: {book.cash.get(asset, ZERO)} here, but the fills leave {cash.get(asset, ZERO)}"
        for asset in sorted(cash.keys() | book.cash.keys())
        if book.cash.get(asset, ZERO) != cash.get(asset, ZERO)
    ]


def misplaced(
    before: AccountBook, after: AccountBook, at_venue: Sequence[tuple[str, str]]
) -> list[str]:
    """Return the orders that the venue has twice, or that only one of journal and venue knows.

    Parameters
    ----------
    before : by the journal before the venue was asked: what was accepted by then must be there
    after : by the journal since: whatever the venue was sent had been written down first
    at_venue : (client id, number) of every order that the venue ever took, ended ones included
    """
    counts = Counter(name for name, _ in at_venue)
    found = [f"order {name} stands {n} times at the venue" for name, n in counts.items() if n > 1]
    numbers = dict(at_venue)
    for order in before.orders.values():
        name = order.client_id
        if name not in numbers and _was_taken(order):
            found.append(f"order {name} was accepted, and is not at the venue")
        elif order.venue_id and order.venue_id != numbers[name]:
            found.append(f"order {name} is {order.venue_id} here, {numbers[name]} at the venue")
    found += [
        f"order {name} is at the venue, and was never written down"
        for name in counts
        if name not in after.orders
    ]
    return found


def _was_taken(order: Order) -> bool:
    return bool(order.venue_id or order.filled_base) or order.state in _TAKEN


def doubles(book: AccountBook) -> list[str]:
    """Return what was entered twice for one decision: a lost answer that was sent again."""
    entered: Counter[tuple[str, str, int]] = Counter()
    for order in book.orders.values():
        request = order.request
        if request.purpose is Purpose.ENTRY and order.filled_base:
            entered[request.strategy_id, request.symbol, request.bar_at] += 1
    return [f"{key} was entered {n} times" for key, n in entered.items() if n > 1]


def oversized(book: AccountBook, most_base: Mapping[str, Decimal]) -> list[str]:
    """Return positions that are larger than any one entry could make them."""
    return [
        f"{position.strategy_id} holds {position.signed_base} of {position.symbol}"
        for position in book.open_positions()
        if abs(position.signed_base) > most_base.get(position.symbol, ZERO)
    ]


def overprotected(book: AccountBook) -> list[str]:
    """Return what more is resting to close than is held: a stop or a target that exists twice."""
    resting: dict[tuple[str, str, Purpose], Decimal] = {}
    for order in book.active_orders():
        request = order.request
        if request.purpose.is_protective:
            key = (request.strategy_id, request.symbol, request.purpose)
            resting[key] = resting.get(key, ZERO) + (order.left_base or ZERO)
    return [
        f"{strategy_id} has {purpose} orders for {left} of {symbol}, and holds {held}"
        for (strategy_id, symbol, purpose), left in resting.items()
        if left > abs(held := book.position(strategy_id, symbol).signed_base)
    ]


def unprotected(book: AccountBook, dust: Collection[tuple[str, str]] = ()) -> list[str]:
    """Return positions that no resting stop covers."""
    covered: dict[tuple[str, str], Decimal] = {}
    for order in book.active_orders():
        request = order.request
        if request.purpose is Purpose.STOP:
            key = (request.strategy_id, request.symbol)
            covered[key] = covered.get(key, ZERO) + (order.left_base or ZERO)
    return [
        f"{position.strategy_id} holds {position.signed_base} of {position.symbol} without a stop"
        for position in book.open_positions()
        if (key := (position.strategy_id, position.symbol)) not in dust
        and covered.get(key, ZERO) < abs(position.signed_base)
    ]
