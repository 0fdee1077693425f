"""The account book: orders, positions and cash of one account, a fold over its journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import DataError, InvariantError
from engine.trade.instrument import ZERO
from engine.trade.orders import Order, OrderState
from engine.trade.positions import EXACT, Position, base_of, cash_changes, quote_of
from engine.trade.records import (
    AdoptRecord,
    CashRecord,
    DisownRecord,
    FillRecord,
    GenesisRecord,
    IntentRecord,
    LatchRecord,
    MarkRecord,
    OrderRecord,
    Record,
)

if TYPE_CHECKING:
    from engine.trade.journal import JournalLine


class AccountBook:
    """What the journal says an account is.

    Applying a record twice is harmless for intents, states and fills (a fill is known by its symbol
    and number); cash, adopted and disowned differences are sums and are applied once per line.

    Parameters
    ----------
    account : str
    quote_asset : str
        The currency that the account is valued in.

    Attributes
    ----------
    orders : by client id, oldest first, ended ones included
    positions : by (strategy, symbol), flat ones included
    cash : by currency, what is owned beside positions; a spot account's base currency that was
        bought is a position and not cash, and on a perpetual the notional counts as paid: the
        wallet is `wallet_quote`
    disowned : by symbol, currency or foreign order, what the exchange has and is not ours
    marks : the account's worth at the ends of days and at peaks, as written
    latch : the last change of the latch that was noticed, None before the first
    """

    def __init__(self, account: str, quote_asset: str) -> None:
        self.account = account
        self.quote_asset = quote_asset
        self.orders: dict[str, Order] = {}
        self.positions: dict[tuple[str, str], Position] = {}
        self.cash: dict[str, Decimal] = {}
        self.disowned: dict[str, Decimal] = {}
        self.marks: list[MarkRecord] = []
        self.latch: LatchRecord | None = None
        self._fill_ids: dict[str, set[str]] = {}
        # Insertion order is kept, and looking at open orders costs nothing for the ended ones.
        self._active: dict[str, None] = {}

    @classmethod
    def of(cls, lines: Iterable[JournalLine], account: str, quote_asset: str) -> AccountBook:
        """Return the book of a whole journal.

        Raises
        ------
        DataError : the journal is another account's.
        InvariantError : a line cannot follow from those before it.
        """
        book = cls(account, quote_asset)
        for line in lines:
            book.apply(line.record, line.at)
        return book

    def apply(self, record: Record, at: int) -> None:
        """Count one record.

        Parameters
        ----------
        at : UTC ms of its line

        Raises
        ------
        InvariantError : a state for an order that was never written down, or one that the table of
            transitions does not allow.
        """
        match record:
            case IntentRecord():
                self._intend(record, at)
            case OrderRecord():
                self._move(record, at)
            case FillRecord():
                self._fill(record)
            case CashRecord():
                self._pay(record.asset, record.amount)
            case AdoptRecord():
                self._adopt(record, at)
            case DisownRecord():
                known = self.disowned.get(record.subject, ZERO)
                self.disowned[record.subject] = EXACT.add(known, record.amount)
            case MarkRecord():
                self.marks.append(record)
            case LatchRecord():
                self.latch = record
            case GenesisRecord():
                self._begin(record)

    def active_orders(self) -> tuple[Order, ...]:
        """Return the orders that may still fill, unknown ones included, oldest first."""
        return tuple(self.orders[client_id] for client_id in self._active)

    def unknown_orders(self) -> tuple[Order, ...]:
        """Return the orders whose fate only the exchange knows, oldest first."""
        return tuple(o for o in self.active_orders() if o.state is OrderState.UNKNOWN)

    def position(self, strategy_id: str, symbol: str) -> Position:
        """Return a position, a flat one when there was none."""
        known = self.positions.get((strategy_id, symbol))
        return known if known is not None else Position(strategy_id, symbol)

    def open_positions(self) -> tuple[Position, ...]:
        """Return the positions that are not flat."""
        return tuple(position for position in self.positions.values() if not position.is_flat)

    def net_base(self, symbol: str) -> Decimal:
        """Return what all strategies together hold of a symbol, base currency, signed."""
        total = ZERO
        for (_, held), position in self.positions.items():
            if held == symbol:
                total = EXACT.add(total, position.signed_base)
        return total

    def balance_of(self, asset: str) -> Decimal:
        """Return what a spot account owns of a currency: its cash and the positions in it."""
        total = self.cash.get(asset, ZERO)
        for (_, symbol), position in self.positions.items():
            if base_of(symbol) == asset:
                total = EXACT.add(total, position.signed_base)
        return total

    def wallet_quote(self) -> Decimal:
        """Return the wallet of a perpetual account, quote currency: cash without open notional."""
        total = self.cash.get(self.quote_asset, ZERO)
        for (_, symbol), position in self.positions.items():
            if quote_of(symbol) == self.quote_asset:
                total = EXACT.add(total, position.cost_quote)
        return total

    def fill_ids(self, symbol: str) -> Set[str]:
        """Return the numbers of the fills that were counted."""
        return frozenset(self._fill_ids.get(symbol, ()))

    def has_fill(self, symbol: str, fill_id: str) -> bool:
        """Return whether a fill was counted."""
        return fill_id in self._fill_ids.get(symbol, ())

    def equity_quote(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Return what the account is worth, in its quote currency.

        Parameters
        ----------
        prices : by symbol, quote currency, > 0; of every open position, and of every currency
            that cash is held in (as CURRENCY/QUOTE)

        Raises
        ------
        DataError : a price is missing.
        """
        total = ZERO
        for asset, amount in self.cash.items():
            total = EXACT.add(total, self._value(asset, amount, prices))
        for position in self.open_positions():
            price = _price(prices, position.symbol)
            worth = EXACT.multiply(position.signed_base, price)
            total = EXACT.add(total, self._value(quote_of(position.symbol), worth, prices))
        return total

    def _value(self, asset: str, amount: Decimal, prices: Mapping[str, Decimal]) -> Decimal:
        if asset == self.quote_asset or not amount:
            return amount
        return EXACT.multiply(amount, _price(prices, f"{asset}/{self.quote_asset}"))

    def _begin(self, record: GenesisRecord) -> None:
        if record.account != self.account:
            raise DataError(
                f"the journal is of account {record.account}, not of {self.account}",
                account=record.account,
            )

    def _intend(self, record: IntentRecord, at: int) -> None:
        client_id = record.request.client_id
        if client_id not in self.orders:
            self.orders[client_id] = Order(record.request, updated_at=at)
            self._active[client_id] = None

    def _move(self, record: OrderRecord, at: int) -> None:
        known = self.orders.get(record.client_id)
        if known is None:
            raise InvariantError(
                f"order {record.client_id} is {record.state} and was never written down",
                client_id=record.client_id,
            )
        order = known.moved(record.state, at, reason=record.reason, venue_id=record.venue_id)
        self.orders[record.client_id] = order
        if order.state.is_final:
            self._active.pop(record.client_id, None)
        else:
            self._active.setdefault(record.client_id)

    def _fill(self, record: FillRecord) -> None:
        fill = record.fill
        counted = self._fill_ids.setdefault(fill.symbol, set())
        if fill.id in counted:
            return
        counted.add(fill.id)
        key = (record.strategy_id, fill.symbol)
        self.positions[key] = self.position(*key).filled(fill)
        for asset, change in cash_changes(fill).items():
            self._pay(asset, change)
        order = self.orders.get(fill.client_id)
        if order is not None:
            self.orders[fill.client_id] = order.filled(fill.qty_base, fill.price, fill.at)

    def _adopt(self, record: AdoptRecord, at: int) -> None:
        key = (record.strategy_id, record.symbol)
        self.positions[key] = self.position(*key).traded(record.signed_base, record.price, at)
        value = EXACT.multiply(record.signed_base, record.price)
        self._pay(quote_of(record.symbol), EXACT.minus(value))

    def _pay(self, asset: str, change: Decimal) -> None:
        self.cash[asset] = EXACT.add(self.cash.get(asset, ZERO), change)


def _price(prices: Mapping[str, Decimal], symbol: str) -> Decimal:
    price = prices.get(symbol)
    if price is None:
        raise DataError(f"{symbol} has no price: the account cannot be valued", symbol=symbol)
    return price
