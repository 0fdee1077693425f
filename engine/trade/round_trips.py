"""Round trips: what the fills of one strategy on one symbol add up to, trade by trade.

A trade is flat to flat. What is too little to be traded away is dust: it ends the trade and is
carried, at its cost, into the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal

from engine.trade.entry_size import TradeReturns
from engine.trade.exchange import Fill
from engine.trade.instrument import ZERO
from engine.trade.orders import Side
from engine.trade.positions import EXACT, base_of, quote_of

_QUOTIENT = Context(prec=40, rounding=ROUND_HALF_EVEN)

IsDust = Callable[[Decimal, Decimal], bool]
"""Whether a signed quantity is too little to be traded at a price."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One closed trade.

    Attributes
    ----------
    side : of the entry: buy for a long
    entry_at, exit_at : UTC ms of the first entry and the last exit fill, the venue's clock
    entry, exit : mean fill prices, quote currency
    reason : what closed it: stop, trailing, target, signal, time, or what nobody planned
    qty_base : entered, unsigned
    pnl_quote : after fees
    net_return : pnl over what was committed at entry, fees included; fraction
    entry_id, exit_id : client ids of the orders that opened and closed it, empty for what an
        operator took over
    """

    account: str
    strategy_id: str
    symbol: str
    side: Side
    entry_at: int
    entry: Decimal
    exit_at: int
    exit: Decimal
    reason: str
    qty_base: Decimal
    pnl_quote: Decimal
    net_return: float
    entry_id: str = ""
    exit_id: str = ""


@dataclass(frozen=True, slots=True)
class OpenTrade:
    """A trade that has not ended.

    Attributes
    ----------
    side : 1 long, -1 short
    signed_base : what is held, base currency; carried dust and fees taken in base are in it
    entry_base, entry_quote : sums over entry fills, unsigned
    entry_fees_quote : fees of entry fills; those taken in base at the fill's price
    exit_base, exit_quote : sums over exit fills so far, unsigned
    flow_quote : cash it has brought so far, fees taken in quote off, carried dust paid for
    entry_at, exit_at : UTC ms of the first entry and the last exit fill
    entry_ids : client ids of the orders that opened or enlarged it; more than one is an accident
    """

    side: int
    signed_base: Decimal
    flow_quote: Decimal
    entry_at: int
    entry_ids: tuple[str, ...]
    entry_base: Decimal = ZERO
    entry_quote: Decimal = ZERO
    entry_fees_quote: Decimal = ZERO
    exit_base: Decimal = ZERO
    exit_quote: Decimal = ZERO
    exit_at: int = 0

    @property
    def entry(self) -> Decimal:
        """Return the mean price of its entry fills, quote currency."""
        return _QUOTIENT.divide(self.entry_quote, self.entry_base)

    def equity_quote(self, price: Decimal) -> Decimal:
        """Return what it has brought and would bring, marked at `price`; quote currency."""
        return EXACT.add(self.flow_quote, EXACT.multiply(self.signed_base, price))


class RoundTrips:
    """Fold fills into trades.

    Parameters
    ----------
    account, strategy_id, symbol : whose trades they are
    is_dust : asked of what a closing fill leaves

    Attributes
    ----------
    open : the trade that has not ended, None while flat
    closed : in order
    realized_quote : over all closed trades, fees off
    returns : of the closed trades, summed for Kelly sizing
    """

    def __init__(self, account: str, strategy_id: str, symbol: str, is_dust: IsDust) -> None:
        self.open: OpenTrade | None = None
        self.closed: list[RoundTrip] = []
        self.realized_quote = ZERO
        self.returns = TradeReturns()
        self._account = account
        self._strategy_id = strategy_id
        self._symbol = symbol
        self._is_dust = is_dust
        self._dust_base = ZERO
        self._dust_quote = ZERO

    @property
    def signed_base(self) -> Decimal:
        """Return what is held, dust included, base currency."""
        return self._dust_base if self.open is None else self.open.signed_base

    def count(self, fill: Fill, reason: str) -> None:
        """Count one fill, told once.

        Parameters
        ----------
        reason : of the trade's end, should this fill end it
        """
        held = self.open
        if held is not None and fill.client_id not in held.entry_ids:
            is_entry = fill.side.sign == held.side
            if is_entry and self._is_dust(held.signed_base, fill.price):
                # A crumb of an earlier entry is no trade: the new one takes it along.
                self._dust_base, self._dust_quote = held.signed_base, EXACT.minus(held.flow_quote)
                held = self.open = None
        if held is None:
            self._begin(fill)
        elif fill.side.sign == held.side:
            self.open = self._entered(held, fill)
        elif fill.qty_base <= held.signed_base.copy_abs():
            self._leave(held, fill, reason)
        else:
            self._turn(held, fill, reason)

    def _begin(self, fill: Fill) -> None:
        flat = OpenTrade(
            side=fill.side.sign,
            signed_base=self._dust_base,
            flow_quote=EXACT.minus(self._dust_quote),
            entry_at=fill.at,
            entry_ids=(),
        )
        self._dust_base = self._dust_quote = ZERO
        self.open = self._entered(flat, fill)

    def _entered(self, trade: OpenTrade, fill: Fill) -> OpenTrade:
        value = EXACT.multiply(fill.qty_base, fill.price)
        base_fee, quote_fee = self._fees(fill)
        signed = _signed(fill.qty_base, fill.side)
        is_new = fill.client_id not in trade.entry_ids
        return replace(
            trade,
            signed_base=EXACT.subtract(EXACT.add(trade.signed_base, signed), base_fee),
            flow_quote=_after(trade.flow_quote, _signed(value, fill.side), quote_fee),
            entry_base=EXACT.add(trade.entry_base, fill.qty_base),
            entry_quote=EXACT.add(trade.entry_quote, value),
            entry_fees_quote=EXACT.add(
                EXACT.add(trade.entry_fees_quote, quote_fee), EXACT.multiply(base_fee, fill.price)
            ),
            entry_ids=(*trade.entry_ids, fill.client_id) if is_new else trade.entry_ids,
        )

    def _leave(self, trade: OpenTrade, fill: Fill, reason: str) -> None:
        value = EXACT.multiply(fill.qty_base, fill.price)
        base_fee, quote_fee = self._fees(fill)
        signed = _signed(fill.qty_base, fill.side)
        trade = replace(
            trade,
            signed_base=EXACT.subtract(EXACT.add(trade.signed_base, signed), base_fee),
            flow_quote=_after(trade.flow_quote, _signed(value, fill.side), quote_fee),
            exit_base=EXACT.add(trade.exit_base, fill.qty_base),
            exit_quote=EXACT.add(trade.exit_quote, value),
            exit_at=fill.at,
        )
        self.open = trade
        if not trade.signed_base or self._is_dust(trade.signed_base, fill.price):
            self._end(trade, reason, fill.client_id)

    def _turn(self, trade: OpenTrade, fill: Fill, reason: str) -> None:
        """Close what is held and open the rest the other way: nobody planned that."""
        closing = trade.signed_base.copy_abs()
        fee = _QUOTIENT.divide(EXACT.multiply(fill.fee, closing), fill.qty_base)
        rest = EXACT.subtract(fill.qty_base, closing)
        self._leave(trade, replace(fill, qty_base=closing, fee=fee), reason)
        self.count(replace(fill, qty_base=rest, fee=EXACT.subtract(fill.fee, fee)), reason)

    def _end(self, trade: OpenTrade, reason: str, exit_id: str) -> None:
        self._dust_base = trade.signed_base
        self._dust_quote = EXACT.multiply(trade.signed_base, trade.entry)
        pnl = EXACT.add(trade.flow_quote, self._dust_quote)
        committed = EXACT.add(trade.entry_quote, trade.entry_fees_quote)
        done = RoundTrip(
            account=self._account,
            strategy_id=self._strategy_id,
            symbol=self._symbol,
            side=Side.BUY if trade.side > 0 else Side.SELL,
            entry_at=trade.entry_at,
            entry=trade.entry,
            exit_at=trade.exit_at,
            exit=_exit_price(trade),
            reason=reason,
            qty_base=trade.entry_base,
            pnl_quote=pnl,
            net_return=float(pnl) / float(committed),
            entry_id=trade.entry_ids[0],
            exit_id=exit_id,
        )
        self.open = None
        self.closed.append(done)
        self.realized_quote = EXACT.add(self.realized_quote, pnl)
        self.returns.count(done.net_return)

    def _fees(self, fill: Fill) -> tuple[Decimal, Decimal]:
        """Return the fee in base and in quote; one in a third currency is the account's alone."""
        if fill.fee_asset == base_of(self._symbol):
            return fill.fee, ZERO
        return ZERO, fill.fee if fill.fee_asset == quote_of(self._symbol) else ZERO


def _exit_price(trade: OpenTrade) -> Decimal:
    if not trade.exit_base:
        # The other way's dust, carried in, had closed it before anything was sold.
        return trade.entry
    return _QUOTIENT.divide(trade.exit_quote, trade.exit_base)


def _signed(value: Decimal, side: Side) -> Decimal:
    return value if side.sign > 0 else EXACT.minus(value)


def _after(flow_quote: Decimal, paid_quote: Decimal, fee_quote: Decimal) -> Decimal:
    return EXACT.subtract(EXACT.subtract(flow_quote, paid_quote), fee_quote)
