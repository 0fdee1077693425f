"""Parameters of a request, read as Binance reads them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from engine.trade.instrument import Instrument
from engine.trade.orders import OrderType, Side
from engine.trade.simulated.book_order import NewOrder, TimeInForce
from engine.trade.simulated.rest.api_error import ApiError, malformed, missing
from engine.types import TIMEFRAME_MS

_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_CLIENT_ID = re.compile(r"[\.A-Z:/a-z0-9_-]{1,36}")

_SPOT_TYPES = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "STOP_LOSS": OrderType.STOP,
    "TAKE_PROFIT": OrderType.TARGET,
}
_PERP_TYPES = {"MARKET": OrderType.MARKET, "LIMIT": OrderType.LIMIT}
_ALGO_TYPES = {"STOP_MARKET": OrderType.STOP, "TAKE_PROFIT_MARKET": OrderType.TARGET}
_OTHER_TYPES = {
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT_LIMIT",
    "STOP",
    "TAKE_PROFIT",
    "STOP_MARKET",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
}


class Parameters:
    """Parameters by name, read one by one.

    Parameters
    ----------
    given : as sent
    instruments : what is listed, by our symbol
    """

    def __init__(self, given: Mapping[str, str], instruments: Mapping[str, Instrument]) -> None:
        self._given = given
        self._symbols = {symbol.replace("/", ""): symbol for symbol in instruments}
        self._instruments = instruments

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; without a default it must be there.

        Raises
        ------
        ApiError : -1102 when it is missing.
        """
        value = self._given.get(name, "")
        if value:
            return value
        if default is None:
            raise missing(name)
        return default

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a whole number >= 0; without a default it must be there.

        Raises
        ------
        ApiError : -1102 when it is missing, -1100 when it is none.
        """
        text = self.text(name, None if default is None else str(default))
        if not text.isdigit():
            raise malformed(name)
        return int(text)

    def number(self, name: str) -> Decimal | None:
        """Return a positive number, None when it was not sent.

        Raises
        ------
        ApiError : -1100 when it is none, negative ones included.
        """
        text = self._given.get(name, "")
        if not text:
            return None
        if not _NUMBER.fullmatch(text):
            raise malformed(name)
        return Decimal(text)

    def symbol(self, name: str = "symbol") -> str:
        """Return our symbol of the one that was sent.

        Raises
        ------
        ApiError : -1102 when it is missing, -1121 when it is not listed.
        """
        text = self.text(name)
        if text not in self._symbols:
            raise ApiError(-1121, "Invalid symbol.")
        return self._symbols[text]

    def symbol_or_all(self) -> str | None:
        """Return our symbol of the one that was sent, None when none was."""
        return self.symbol() if self._given.get("symbol") else None

    def interval(self) -> str:
        """Return the timeframe of a klines request.

        Raises
        ------
        ApiError : -1120 for one that does not exist.
        """
        text = self.text("interval")
        if text not in TIMEFRAME_MS:
            raise ApiError(-1120, "Invalid interval.")
        return text

    def limit(self, default: int, most: int) -> int:
        """Return how many rows are wanted, at most `most`."""
        return max(1, min(self.whole("limit", default), most))

    def flag(self, name: str) -> bool:
        """Return a true or false."""
        return self._given.get(name, "false").lower() == "true"

    def spot_order(self, generated_id: str) -> NewOrder:
        """Return the order of a POST /api/v3/order.

        Raises
        ------
        ApiError : as Binance answers a malformed one.
        """
        name = self.text("type")
        kind = self._kind(name, _SPOT_TYPES)
        qty, notional = self.number("quantity"), self.number("quoteOrderQty")
        if (qty is None) == (notional is None) or (notional and kind is not OrderType.MARKET):
            raise missing("quantity") if qty is None else malformed("quoteOrderQty")
        new = self._order(kind, qty, notional, self.number("stopPrice"), generated_id, "newClient")
        if name == "LIMIT_MAKER":
            return _with(new, TimeInForce.POST_ONLY)
        return _with(new, self._time_in_force()) if kind is OrderType.LIMIT else new

    def perp_order(self, generated_id: str) -> NewOrder:
        """Return the order of a POST /fapi/v1/order; conditional ones have their own endpoint.

        Raises
        ------
        ApiError : as Binance answers a malformed one.
        """
        name = self.text("type")
        if name in _OTHER_TYPES:
            raise ApiError(
                -4120,
                "Order type not supported for this endpoint. Please use the Algo Order API "
                "endpoints instead.",
            )
        kind = self._kind(name, _PERP_TYPES)
        self._check_one_way()
        qty = self.number("quantity")
        if qty is None:
            raise missing("quantity")
        new = self._order(kind, qty, None, None, generated_id, "newClient")
        return _with(new, self._time_in_force()) if kind is OrderType.LIMIT else new

    def algo_order(self, generated_id: str) -> NewOrder:
        """Return the order of a POST /fapi/v1/algoOrder.

        Raises
        ------
        ApiError : as Binance answers a malformed one.
        """
        if self.text("algoType") != "CONDITIONAL":
            raise malformed("algoType")
        kind = self._kind(self.text("type"), _ALGO_TYPES)
        self._check_one_way()
        qty = self.number("quantity")
        if qty is None:
            raise missing("quantity")
        return self._order(kind, qty, None, self.number("triggerPrice"), generated_id, "clientAlgo")

    def _order(
        self,
        kind: OrderType,
        qty: Decimal | None,
        notional: Decimal | None,
        stop_price: Decimal | None,
        generated_id: str,
        id_name: str,
    ) -> NewOrder:
        name = "clientAlgoId" if id_name == "clientAlgo" else "newClientOrderId"
        client_id = self.text(name, generated_id)
        if not _CLIENT_ID.fullmatch(client_id):
            raise ApiError(-4015, "Client order id length should be less than 36 chars")
        price = self.number("price") if kind is OrderType.LIMIT else None
        if kind is OrderType.LIMIT and price is None:
            raise missing("price")
        if kind in (OrderType.STOP, OrderType.TARGET) and stop_price is None:
            raise missing("triggerPrice" if id_name == "clientAlgo" else "stopPrice")
        symbol = self.symbol()
        for value in (qty, price, stop_price):
            _check_precision(value, self._instruments[symbol])
        side = self.text("side")
        if side not in ("BUY", "SELL"):
            raise ApiError(-1117, "Invalid side.")
        return NewOrder(
            client_id=client_id,
            symbol=symbol,
            side=Side(side.lower()),
            type=kind,
            qty_base=qty,
            notional_quote=notional,
            price=price,
            stop_price=stop_price,
            reduce_only=self.flag("reduceOnly"),
        )

    def _kind(self, name: str, known: Mapping[str, OrderType]) -> OrderType:
        if name not in known:
            raise ApiError(-1116, "Invalid orderType.")
        return known[name]

    def _time_in_force(self) -> TimeInForce:
        text = self.text("timeInForce")
        try:
            return TimeInForce(text)
        except ValueError:
            raise ApiError(-1115, "Invalid timeInForce.") from None

    def _check_one_way(self) -> None:
        if self.text("positionSide", "BOTH") != "BOTH":
            raise ApiError(-4061, "Order's position side does not match user's setting.")
        if self.flag("closePosition"):
            raise ApiError(-4136, "Target strategy invalid for orderType closePosition true")


def _with(new: NewOrder, time_in_force: TimeInForce) -> NewOrder:
    return NewOrder(
        client_id=new.client_id,
        symbol=new.symbol,
        side=new.side,
        type=new.type,
        qty_base=new.qty_base,
        price=new.price,
        reduce_only=new.reduce_only,
        time_in_force=time_in_force,
    )


def _check_precision(value: Decimal | None, instrument: Instrument) -> None:
    # More digits than any price or quantity here can have is another error than a wrong step.
    if value is None:
        return
    exponent = value.normalize().as_tuple().exponent
    finest = 8
    if instrument.market_type == "perp":
        steps = (instrument.tick, instrument.lot)
        finest = max(-int(step.normalize().as_tuple().exponent) for step in steps)
    if -int(exponent) > finest:
        raise ApiError(-1111, "Precision is over the maximum defined for this asset.")
