"""Orders and engines for the tests of the simulated exchange, said briefly."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import count
from typing import Any

from engine.trade.instrument import Instrument, MarketType
from engine.trade.orders import OrderRequest, OrderType, Purpose, Side
from engine.trade.simulated.book_order import NewOrder
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.rules import VenueRules

BTC = "BTC/USDT"
ETH = "ETH/USDT"
FREE = VenueRules(commission_frac=Decimal(0), slippage_frac=Decimal(0))
_numbers = count(1)


def number(value: str | float | Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def instrument(symbol: str = BTC, market_type: MarketType = "perp", **given: Any) -> Instrument:
    values = {
        "tick": Decimal("0.01"),
        "lot": Decimal("0.001"),
        "min_qty_base": Decimal("0.001"),
        "min_notional_quote": Decimal(5),
    }
    return Instrument(symbol, market_type, **(values | given))


def engine_of(
    market_type: MarketType = "perp",
    rules: VenueRules = FREE,
    balances: Mapping[str, Any] | None = None,
    symbols: tuple[str, ...] = (BTC,),
    seed: int = 0,
) -> MatchingEngine:
    listed = {symbol: instrument(symbol, market_type) for symbol in symbols}
    opening = {"USDT": 10_000} if balances is None else balances
    return MatchingEngine(
        listed, rules, {asset: Decimal(str(value)) for asset, value in opening.items()}, seed
    )


def order(
    side: str,
    kind: str = "market",
    qty: str | float | Decimal | None = "1",
    *,
    symbol: str = BTC,
    price: str | float | Decimal | None = None,
    stop: str | float | Decimal | None = None,
    notional: str | float | Decimal | None = None,
    client_id: str = "",
    **given: Any,
) -> NewOrder:
    return NewOrder(
        client_id=client_id or f"t-{next(_numbers)}",
        symbol=symbol,
        side=Side(side),
        type=OrderType(kind),
        qty_base=None if notional is not None else number(qty),
        notional_quote=number(notional),
        price=number(price),
        stop_price=number(stop),
        **given,
    )


def request(
    side: str,
    kind: str = "market",
    qty: str | float | Decimal | None = "1",
    *,
    purpose: Purpose = Purpose.ENTRY,
    price: str | float | Decimal | None = None,
    stop: str | float | Decimal | None = None,
    notional: str | float | Decimal | None = None,
    client_id: str = "",
    symbol: str = BTC,
) -> OrderRequest:
    return OrderRequest(
        client_id=client_id or f"t-{next(_numbers)}",
        account="paper",
        strategy_id="s",
        symbol=symbol,
        side=Side(side),
        type=OrderType(kind),
        purpose=purpose,
        qty_base=None if notional is not None else number(qty),
        reduce_only=not purpose.adds_exposure,
        bar_at=0,
        created_at=0,
        reference_price=Decimal(100),
        notional_quote=number(notional),
        price=number(price),
        stop_price=number(stop),
    )
