"""A journal that grows, of which each line is read once."""

from __future__ import annotations

from pathlib import Path

from engine.trade.account_book import AccountBook
from engine.trade.journal_file import START, lines_from
from engine.trade.journal_line import JournalLine
from engine.trade.orders import OrderState

_ON_ITS_WAY = frozenset(
    {OrderState.INTENT, OrderState.SUBMITTED, OrderState.CANCELING, OrderState.UNKNOWN}
)


class JournalTail:
    """Follow a journal beside its writer, and after its death.

    A line that was read and is gone later breaks the chain of hashes: `read` raises DataError.

    Parameters
    ----------
    path : of the journal, which may not exist yet
    """

    def __init__(self, path: Path, account: str, quote_asset: str) -> None:
        self._path = path
        self._account = account
        self._quote_asset = quote_asset
        self._lines: list[JournalLine] = []
        self._place = START
        self._now = AccountBook(account, quote_asset)

    def read(self) -> list[JournalLine]:
        """Return every line that is whole by now."""
        if self._path.exists():
            for line, after in lines_from(self._path, self._place):
                self._place = after
                self._lines.append(line)
                self._now.apply(line.record, line.at)
        return list(self._lines)

    def book(self) -> AccountBook:
        """Return the account as its journal tells it now; what comes later does not change it."""
        return AccountBook.of(self.read(), self._account, self._quote_asset)

    def n_on_way(self) -> int:
        """Return how many orders are being sent or cancelled, or are of unknown fate, now."""
        self.read()
        return sum(order.state in _ON_ITS_WAY for order in self._now.active_orders())

    def n_active(self) -> int:
        """Return how many orders may still fill."""
        self.read()
        return len(self._now.active_orders())
