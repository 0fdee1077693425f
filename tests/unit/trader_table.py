"""A strategy trader whose every wish is answered by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine.backtest.rules import Rules
from engine.trade.decision import ClosedBar, Decision
from engine.trade.exchange import Capabilities, Fill
from engine.trade.instrument import Instrument
from engine.trade.orders import (
    Order,
    OrderRequest,
    OrderState,
    Purpose,
)
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.trader_spec import TraderSpec
from engine.trade.wishes import Cancel, Submit, Wish

D = Decimal
BAR_MS = 300_000
S = OrderState
BOTH = Capabilities(holds_stops=True, rests_both=True, notional_orders=True, dead_man=False)
LOCKS = replace(BOTH, rests_both=False)
HOLDS_NOTHING = replace(BOTH, holds_stops=False, rests_both=False)
PERP = Instrument("BTC/USDT", "perp", D("0.01"), D("0.001"), D("0.001"))
SPOT = Instrument("BTC/USDT", "spot", D("0.01"), D("0.001"), D("0.001"), D(5))
RULES = Rules(stop_frac=0.02, target_frac=0.06)


def spec(rules: Rules = RULES, **changes: Any) -> TraderSpec:
    base = TraderSpec(
        account="paper",
        strategy_id="s",
        symbol="BTC/USDT",
        bar_ms=BAR_MS,
        rules=rules,
        capital_quote=D(1000),
        commission_frac=0.001,
        instrument=PERP,
        capabilities=BOTH,
    )
    return replace(base, **changes)


class Table:
    """A trader, its clock, and somebody who answers its wishes."""

    def __init__(self, made_for: TraderSpec | None = None) -> None:
        self.trader = StrategyTrader(made_for or spec())
        self.now_at = 0
        self.sent: dict[str, OrderRequest] = {}
        self.states: dict[str, Order] = {}
        self.n_fills = 0

    def bar(
        self,
        side: int = 0,
        *,
        leaves: bool = False,
        close: float = 100.0,
        high: float = 0.0,
        low: float = 0.0,
        late_ms: int = 0,
        skip: int = 0,
        **more: Any,
    ) -> list[Wish]:
        """Let the bar close that is open now (`skip` more before it unseen), and the next begin."""
        self.now_at = (self.now_at // BAR_MS + 1 + skip) * BAR_MS
        bar = ClosedBar(self.now_at - BAR_MS, close, high or close, low or close, close)
        decision = Decision(bar.at, side, leaves, leaves, **more)
        return self.take(self.trader.on_bar(bar, decision, self.now_at + late_ms))

    def take(self, wishes: tuple[Wish, ...]) -> list[Wish]:
        for wish in wishes:
            if isinstance(wish, Submit):
                self.sent[wish.request.client_id] = wish.request
                self.states[wish.request.client_id] = Order(wish.request)
        return list(wishes)

    def news(
        self, client_id: str, state: OrderState, *fills: tuple[str, str], reason: str = ""
    ) -> list[Wish]:
        """Tell of an order; each fill is (quantity, price)."""
        known = self.states[client_id]
        order = replace(known, state=state, reason=reason, updated_at=self.now_at)
        told = []
        for qty, price in fills:
            self.n_fills += 1
            request = order.request
            told.append(
                Fill(
                    str(self.n_fills),
                    client_id,
                    request.symbol,
                    request.side,
                    D(qty),
                    D(price),
                    D(qty) * D(price) / 1000,
                    "USDT",
                    self.now_at,
                )
            )
            order = order.filled(D(qty), D(price), self.now_at)
        self.states[client_id] = order
        return self.take(self.trader.on_news(order, told, self.now_at))

    def only(self, purpose: Purpose) -> str:
        """Return the id of the one order of a purpose that may still live."""
        (client_id,) = self.alive(purpose)
        return client_id

    def alive(self, purpose: Purpose) -> list[str]:
        return [
            name
            for name, request in self.sent.items()
            if request.purpose is purpose and not self.states[name].state.is_final
        ]

    def enter(self, side: int = 1, price: str = "100", qty: str = "9.99") -> list[Wish]:
        """Enter whole, at the open of the next bar; stop and target are confirmed."""
        self.bar(side)
        wishes = self.news(self.only(Purpose.ENTRY), S.FILLED, (qty, price))
        for purpose in (Purpose.STOP, Purpose.TARGET):
            for name in self.alive(purpose):
                self.news(name, S.ACCEPTED)
        return wishes


def requests(wishes: list[Wish]) -> list[OrderRequest]:
    return [wish.request for wish in wishes if isinstance(wish, Submit)]


def cancels(wishes: list[Wish]) -> list[str]:
    return [wish.client_id for wish in wishes if isinstance(wish, Cancel)]
