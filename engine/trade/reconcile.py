"""Reconciliation: what the journal says an account is, held against what the exchange says.

Pure. Nothing that adds exposure leaves while they differ; a difference ends by more news, or by
the operator, who adopts it (the exchange is right, and it is ours) or disowns it (the exchange is
right, and it is not ours). What is too small to be traded is dust: named, and no difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from engine.errors import UsageError
from engine.trade.account_book import AccountBook
from engine.trade.exchange import AccountView, Fill, VenueOrder
from engine.trade.instrument import ZERO, Instrument, why_too_small
from engine.trade.positions import base_of
from engine.trade.records import NoteRecord

REPORT = "reconcile.report"
_SLACK = Decimal("1e-8")
"""What one fill may differ by: venues keep eight decimals of money."""
_FUNDING_MAX = Decimal("0.01")
"""What holding may cost or bring between two comparisons, fraction of notional."""
_ENTRY_SLACK = Decimal("1e-6")
"""What an average entry price may be rounded by, fraction of it."""


class DifferenceKind(StrEnum):
    """In what journal and exchange differ."""

    UNKNOWN_STATE = "unknown state"
    """An order whose fate nobody knows yet."""
    FOREIGN_ORDER = "foreign order"
    """An open order at the exchange that the journal does not know."""
    LIVING_ORDER = "living order"
    """An open order at the exchange that has ended in the journal."""
    QUANTITY = "quantity differs"
    BALANCE = "balance differs"


@dataclass(frozen=True, slots=True)
class Difference:
    """One point on which they do not agree.

    Attributes
    ----------
    subject : a client id, the symbol of a position, or a currency
    symbol : of the order or position, empty for a currency
    book, venue : what either has, base currency or the currency itself; None for an order
    words : the difference, for the operator
    adopt, disown : what either would do, empty where it cannot be done
    """

    kind: DifferenceKind
    subject: str
    words: str
    symbol: str = ""
    book: Decimal | None = None
    venue: Decimal | None = None
    adopt: str = ""
    disown: str = ""

    @property
    def is_order(self) -> bool:
        """Return whether it is about an order that rests at the exchange."""
        return self.kind in (DifferenceKind.FOREIGN_ORDER, DifferenceKind.LIVING_ORDER)

    @property
    def beyond(self) -> Decimal:
        """Return what the exchange has beyond the book."""
        return (self.venue or ZERO) - (self.book or ZERO)


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What a comparison found.

    Attributes
    ----------
    account : str
    at : UTC ms of the exchange's clock
    differences : nothing that adds exposure is sent while there are any
    dust : what is held or differs under the venue's minimum, in words
    foreign_fills : how many fills in the account are not of our orders
    """

    account: str
    at: int
    differences: tuple[Difference, ...]
    dust: tuple[str, ...] = ()
    foreign_fills: int = 0

    @property
    def is_clean(self) -> bool:
        """Return whether journal and exchange agree."""
        return not self.differences

    @property
    def words(self) -> str:
        """Say how it stands in one sentence."""
        if self.is_clean:
            return "journal and exchange agree"
        first = self.differences[0].words
        more = f" (and {len(self.differences) - 1} more)" if len(self.differences) > 1 else ""
        return f"journal and exchange differ: {first}{more}"

    def is_same(self, other: ReconcileReport | None) -> bool:
        """Return whether it says what another one said, whenever that was."""
        return other is not None and (self.differences, self.dust) == (
            other.differences,
            other.dust,
        )

    def note(self) -> NoteRecord:
        """Return the report as a line of the journal."""
        fields = {
            "venue_at": self.at,
            "differences": [f"{d.kind}: {d.words}" for d in self.differences],
            "dust": list(self.dust),
        }
        return NoteRecord(REPORT, self.words, fields)


def reconcile(
    book: AccountBook,
    resting: Sequence[VenueOrder],
    view: AccountView,
    instruments: Mapping[str, Instrument],
    *,
    foreign_fills: Sequence[Fill] = (),
    sending: Collection[str] = (),
) -> ReconcileReport:
    """Compare the book of an account with what its exchange says.

    Parameters
    ----------
    resting : every open order of the account
    view : balances and positions
    instruments : what the exchange lists; all of one market type
    sending : orders on their way right now; what they change is not known yet
    """
    differences = [*_unknown(book, sending), *_orders(book, resting)]
    dust: list[str] = []
    for found in (*_quantities(book, view, instruments), *_balances(book, view, instruments)):
        small = _why_dust(found, book, instruments)
        if small:
            dust.append(small)
        elif not _is_moving(found, book, sending):
            differences.append(found)
    dust.extend(_dust_held(book, instruments))
    return ReconcileReport(
        book.account, view.at, tuple(differences), tuple(dust), len(foreign_fills)
    )


def funding_of(report: ReconcileReport, view: AccountView, quote_asset: str) -> Decimal | None:
    """Return what a perpetual's venue has paid or taken for holding positions, None for nothing.

    It shows in the balance alone. Only a difference that is all there is, and no larger than a
    share of what is held, is believed to be that.
    """
    cost = _cost_of(view)
    if cost is None or len(report.differences) != 1:
        return None
    found = report.differences[0]
    if found.kind is not DifferenceKind.BALANCE or found.subject != quote_asset:
        return None
    return found.beyond if abs(found.beyond) <= _FUNDING_MAX * cost.gross else None


def chosen_of(report: ReconcileReport, subject: str | None) -> tuple[Difference, ...]:
    """Return the differences that an operator means: one by its subject, or all.

    Raises
    ------
    UsageError : there is none, or it ends by itself as soon as the exchange answers.
    """
    found = tuple(d for d in report.differences if subject in (None, d.subject))
    if not found:
        what = "journal and exchange agree" if report.is_clean else report.words
        named = f" on {subject}" if subject else ""
        raise UsageError(f"account {report.account}: there is no difference{named}: {what}")
    chosen = tuple(d for d in found if d.adopt)
    if not chosen:
        raise UsageError(
            f"{found[0].words}: the exchange is asked until it says, nothing to decide"
        )
    return chosen


def is_perpetual(instruments: Mapping[str, Instrument]) -> bool:
    """Return whether the account trades perpetuals; an account holds one market type only."""
    return any(instrument.market_type == "perp" for instrument in instruments.values())


def price_of(book: AccountBook, symbol: str) -> Decimal | None:
    """Return a recent price of a symbol as the book knows it, None when it never traded it."""
    for order in reversed(book.orders.values()):
        if order.request.symbol == symbol:
            return order.average_price or order.request.reference_price
    return None


def _unknown(book: AccountBook, sending: Collection[str]) -> list[Difference]:
    return [
        Difference(
            DifferenceKind.UNKNOWN_STATE,
            order.client_id,
            f"order {order.client_id} for {order.request.symbol} is unknown: {order.reason}",
            symbol=order.request.symbol,
        )
        for order in book.unknown_orders()
        if order.client_id not in sending
    ]


def _orders(book: AccountBook, resting: Sequence[VenueOrder]) -> list[Difference]:
    found: list[Difference] = []
    for seen in resting:
        known = book.orders.get(seen.client_id)
        name = seen.client_id or seen.venue_id
        what = f"{seen.side} {seen.qty_base} {seen.symbol}"
        if known is None:
            if seen.venue_id in book.disowned or seen.client_id in book.disowned:
                continue
            found.append(
                Difference(
                    DifferenceKind.FOREIGN_ORDER,
                    name,
                    f"order {name} ({what}) rests at the exchange and is not Paddock's",
                    symbol=seen.symbol,
                    adopt="cancels it",
                    disown="leaves it where it is, as somebody else's",
                )
            )
        elif known.state.is_final:
            found.append(
                Difference(
                    DifferenceKind.LIVING_ORDER,
                    name,
                    f"order {name} ({what}) rests at the exchange and is {known.state} here",
                    symbol=seen.symbol,
                    adopt="cancels it",
                )
            )
    return found


def _quantities(
    book: AccountBook, view: AccountView, instruments: Mapping[str, Instrument]
) -> list[Difference]:
    if not is_perpetual(instruments):
        return []
    symbols = {symbol for _, symbol in book.positions} | set(view.positions)
    found = []
    for symbol in sorted(symbols):
        held = view.positions.get(symbol)
        ours = book.net_base(symbol) + book.disowned.get(symbol, ZERO)
        venue = held.signed_base if held is not None else ZERO
        if ours != venue:
            found.append(_quantity(symbol, symbol, ours, venue))
    return found


def _balances(
    book: AccountBook, view: AccountView, instruments: Mapping[str, Instrument]
) -> list[Difference]:
    perpetual = is_perpetual(instruments)
    bought = {base_of(symbol): symbol for _, symbol in book.positions}
    assets = set(view.balances) | set(book.cash) | (set() if perpetual else set(bought))
    n_fills = 1 + sum(len(book.fill_ids(symbol)) for symbol in bought.values())
    found = []
    for asset in sorted(assets):
        ours = book.cash.get(asset, ZERO) if perpetual else book.balance_of(asset)
        ours += book.disowned.get(asset, ZERO)
        venue, slack = view.balances.get(asset, ZERO), _SLACK * n_fills
        if perpetual and asset == book.quote_asset:
            cost = _cost_of(view)
            if cost is None:
                continue
            # The wallet as if each position had been paid for, as the journal counts: how the venue
            # nets positions of several strategies does not show in it.
            venue, slack = venue - cost.signed, slack + cost.gross * _ENTRY_SLACK
        if abs(venue - ours) <= slack:
            continue
        if not perpetual and asset in bought and asset != book.quote_asset:
            found.append(_quantity(asset, bought[asset], ours, venue))
        else:
            found.append(
                Difference(
                    DifferenceKind.BALANCE,
                    asset,
                    f"{asset}: the journal has {ours:f}, the exchange has {venue:f}",
                    book=ours,
                    venue=venue,
                    adopt=f"counts {venue - ours:+f} {asset} as paid in or out",
                    disown=f"leaves {venue - ours:+f} {asset} out of the account",
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class _Cost:
    signed: Decimal
    gross: Decimal


def _cost_of(view: AccountView) -> _Cost | None:
    """Return what the venue's positions were entered for, None when it does not say of one."""
    signed = gross = ZERO
    for position in view.positions.values():
        if position.entry_price is None:
            return None
        signed += position.signed_base * position.entry_price
        gross += abs(position.signed_base * position.entry_price)
    return _Cost(signed, gross)


def _quantity(subject: str, symbol: str, ours: Decimal, venue: Decimal) -> Difference:
    beyond = venue - ours
    is_lack = abs(venue) < abs(ours) or (venue > 0) != (ours > 0)
    return Difference(
        DifferenceKind.QUANTITY,
        subject,
        f"{symbol}: the journal holds {ours:f}, the exchange holds {venue:f}",
        symbol=symbol,
        book=ours,
        venue=venue,
        adopt=f"takes {beyond:+f} {base_of(symbol)} into the positions",
        # What is not there cannot be left to somebody else.
        disown="" if ours and is_lack else f"leaves {beyond:+f} {base_of(symbol)} out",
    )


def _why_dust(found: Difference, book: AccountBook, instruments: Mapping[str, Instrument]) -> str:
    instrument = instruments.get(found.symbol)
    if found.kind is not DifferenceKind.QUANTITY or instrument is None:
        return ""
    beyond = abs(found.beyond)
    price = price_of(book, found.symbol)
    if beyond >= instrument.lot and (price is None or not why_too_small(beyond, price, instrument)):
        return ""
    return f"{found.words}: {found.beyond:+f} is under the venue's minimum"


def _is_moving(found: Difference, book: AccountBook, sending: Collection[str]) -> bool:
    """Return whether an order on its way may explain it."""
    if not sending:
        return False
    if not found.symbol:
        return True
    return any(book.orders[name].request.symbol == found.symbol for name in sending)


def _dust_held(book: AccountBook, instruments: Mapping[str, Instrument]) -> list[str]:
    found = []
    for position in book.open_positions():
        instrument = instruments.get(position.symbol)
        price = position.entry_price
        if instrument is None or price is None:
            continue
        if why_too_small(abs(position.signed_base), abs(price), instrument):
            found.append(
                f"{position.symbol}: {position.signed_base:f} {instrument.base} of strategy"
                f" {position.strategy_id[:12]} is dust, under the venue's minimum"
            )
    return found
