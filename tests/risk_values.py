"""Accounts, orders and models that the tests of the risk room share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from engine.risk.account_state import AccountState
from engine.risk.breakers import BreakerState
from engine.risk.groups import Groups
from engine.risk.risk_model import RiskModel
from engine.risk.view import Holding, PendingOrder, RiskView, TradePlan
from engine.trade.orders import OrderRequest, OrderType, Purpose, Side, client_id_of
from engine.trading_settings import Limits
from engine.types import FloatArray

NOW_AT = 1_741_608_000_000
"""2025-03-10 12:00 UTC, a Monday."""

EQUITY = Decimal(10_000)
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
PRICES = {symbol: Decimal(100) for symbol in SYMBOLS}
PLAN = TradePlan(stop_frac=0.02, target_frac=0.06, holding_s=3_600.0)
LIMITS = Limits()
# One rule at a time: every other one is out of the way.
OPEN = Limits(
    risk_per_trade_frac=1.0,
    position_frac=1.0,
    strategy_frac=1.0,
    group_frac=1.0,
    leverage_max=100.0,
    correlation_max=1.0,
    value_at_risk_frac=1.0,
)


def quiet_model(
    symbols: Sequence[str] = SYMBOLS, correlation: FloatArray | None = None, swing: float = 1e-6
) -> RiskModel:
    """Return a model in which hardly anything moves, so that value at risk is out of the way."""
    n = len(symbols)
    rng = np.random.default_rng(1)
    moves = swing * rng.standard_normal((200, n))
    return RiskModel(
        symbols=tuple(symbols),
        newest_at=NOW_AT,
        history=moves,
        drawn=moves,
        correlation=np.eye(n) if correlation is None else correlation,
    )


def marked(equity_quote: Decimal = EQUITY, at: int = NOW_AT) -> BreakerState:
    """Return breakers of an account that was marked once and has lost nothing."""
    return BreakerState("USDT", AccountState().marked(equity_quote, at))


def view_with(
    *,
    holdings: Sequence[Holding] = (),
    pending: Sequence[PendingOrder] = (),
    equity_quote: Decimal | None = EQUITY,
    prices: Mapping[str, Decimal] | None = None,
    plans: Mapping[str, TradePlan] | None = None,
    model: RiskModel | None = None,
    breakers: BreakerState | None = None,
    groups: Groups | None = None,
    at: int = NOW_AT,
) -> RiskView:
    """Return a view of an account of 10,000 USDT in which everything is known."""
    return RiskView(
        account="paper",
        quote_asset="USDT",
        at=at,
        equity_quote=equity_quote,
        holdings=tuple(holdings),
        pending=tuple(pending),
        prices=PRICES if prices is None else prices,
        plans={name: PLAN for name in "abcdefgh"} if plans is None else plans,
        model=quiet_model() if model is None else model,
        breakers=marked() if breakers is None else breakers,
        groups=groups or Groups(),
    )


def held(
    notional: str | int,
    symbol: str = "BTC/USDT",
    strategy_id: str = "a",
    *,
    opened_at: int | None = NOW_AT - 60_000,
    entry: str = "100",
) -> Holding:
    """Return a holding worth `notional` (signed) at a price of 100."""
    return Holding(
        strategy_id, symbol, Decimal(notional) / 100, Decimal(entry), opened_at=opened_at
    )


def waiting(
    notional: str | int, symbol: str = "BTC/USDT", strategy_id: str = "a", side: Side = Side.BUY
) -> PendingOrder:
    """Return an open order worth `notional` at a price of 100."""
    return PendingOrder(strategy_id, symbol, side, Decimal(notional) / 100)


def entry_of(
    notional: str | int,
    symbol: str = "BTC/USDT",
    strategy_id: str = "a",
    side: Side = Side.BUY,
    *,
    sequence: int = 0,
    by_notional: bool = False,
    limit_price: Decimal | None = None,
    created_at: int = NOW_AT,
) -> OrderRequest:
    """Return an entry worth `notional` at a price of 100."""
    return OrderRequest(
        client_id=client_id_of("paper", strategy_id, symbol, NOW_AT, Purpose.ENTRY, sequence),
        account="paper",
        strategy_id=strategy_id,
        symbol=symbol,
        side=side,
        type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
        purpose=Purpose.ENTRY,
        qty_base=None if by_notional else Decimal(notional) / 100,
        notional_quote=Decimal(notional) if by_notional else None,
        price=limit_price,
        reduce_only=False,
        bar_at=NOW_AT,
        created_at=created_at,
        reference_price=Decimal(100),
    )


def exit_of(
    notional: str | int,
    symbol: str = "BTC/USDT",
    strategy_id: str = "a",
    side: Side = Side.SELL,
    purpose: Purpose = Purpose.EXIT,
) -> OrderRequest:
    """Return an order that only reduces."""
    is_resting = purpose.is_protective
    return OrderRequest(
        client_id=client_id_of("paper", strategy_id, symbol, NOW_AT, purpose, 0),
        account="paper",
        strategy_id=strategy_id,
        symbol=symbol,
        side=side,
        type=OrderType.STOP if is_resting else OrderType.MARKET,
        purpose=purpose,
        qty_base=Decimal(notional) / 100,
        reduce_only=True,
        bar_at=NOW_AT,
        created_at=NOW_AT,
        reference_price=Decimal(100),
        stop_price=Decimal(98) if is_resting else None,
    )
