"""What of an account is ours, by its journal, read beside the gateway or after its death.

Read-only, without a lock. A journal that is missing or damaged takes no part: then everything at
the exchange is ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from engine.errors import PaddockError
from engine.trade.account_book import AccountBook
from engine.trade.exchange import Fill
from engine.trade.flat_ids import is_flat_id
from engine.trade.instrument import ZERO
from engine.trade.journal import JOURNAL_FILE
from engine.trade.journal_file import lines_from
from engine.trade.orders import Order, OrderState
from engine.trade.records import NoteRecord

STARTED = "gateway.started"
"""Topic of the note that a gateway writes when it begins, with the exchange's clock."""

_DOUBTFUL = frozenset(
    {OrderState.INTENT, OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.CANCELING}
)


@dataclass(frozen=True, slots=True)
class Ours:
    """What a journal says.

    Attributes
    ----------
    book : None when there is no journal that can be believed
    problem : why, in words; empty with a book
    since_at : UTC ms of the exchange's clock, before which no fill can be missing from the book
    """

    book: AccountBook | None
    problem: str = ""
    since_at: int = 0

    @property
    def in_flight(self) -> tuple[Order, ...]:
        """Return the orders whose fate the journal does not tell, oldest first."""
        orders = () if self.book is None else self.book.active_orders()
        return tuple(order for order in orders if order.state in _DOUBTFUL)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return every symbol the account ever traded, sorted."""
        if self.book is None:
            return ()
        traded = {order.request.symbol for order in self.book.orders.values()}
        return tuple(sorted(traded | {symbol for _, symbol in self.book.positions}))

    def is_ours(self, client_id: str) -> bool:
        """Return whether an order is of this account's gateway, or was sent to flatten it."""
        if self.book is None:
            return True
        return client_id in self.book.orders or is_flat_id(client_id)

    def held_base(self, symbol: str, fills: Iterable[Fill]) -> Decimal:
        """Return what is ours of a symbol: the book, and the fills it has not counted yet.

        Parameters
        ----------
        fills : of the symbol, since `since_at`; a stop may have filled after the gateway died, and
            an earlier attempt to flatten is not in the journal at all

        Returns
        -------
        Decimal, base currency, signed; fees in base currency taken off.
        """
        if self.book is None:
            return ZERO
        held = self.book.net_base(symbol)
        base = symbol.partition("/")[0]
        for fill in fills:
            if self.book.has_fill(symbol, fill.id) or not self.is_ours(fill.client_id):
                continue
            held += fill.side.sign * fill.qty_base
            held -= fill.fee if fill.fee_asset == base else ZERO
        return held


def read_ours(folder: Path, account: str, quote_asset: str) -> Ours:
    """Return what the journal of an account says; never raises.

    Parameters
    ----------
    folder : the account's
    """
    path = folder / JOURNAL_FILE
    book = AccountBook(account, quote_asset)
    since_at = 0
    try:
        for line, _ in lines_from(path):
            book.apply(line.record, line.at)
            if isinstance(line.record, NoteRecord) and line.record.topic == STARTED:
                since_at = int(line.record.fields["venue_at"])
    except (PaddockError, OSError, KeyError, TypeError, ValueError) as exc:
        words = exc.message if isinstance(exc, PaddockError) else f"{type(exc).__name__}: {exc}"
        return Ours(None, f"everything at the exchange is taken for ours: {words}")
    return Ours(book, since_at=since_at)
