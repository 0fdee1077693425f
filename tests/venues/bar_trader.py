"""The simplest trader of the backtest's rules on the simulated exchange, for comparing the two."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from engine.clock import FakeClock
from engine.trade.exchange import Fill
from engine.trade.instrument import Instrument
from engine.trade.orders import OrderType, Purpose, Side
from engine.trade.simulated.book_order import VenueEvent
from engine.trade.simulated.exact import decimal_of
from engine.trade.simulated.exchange import SimulatedExchange
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.perp_account import PerpAccount
from engine.trade.simulated.replay import BarReplay
from engine.trade.simulated.rules import VenueRules
from engine.types import Bars
from tests.venues.simulated_desk import request

X = "X/Y"
TICK, LOT = Decimal("1e-12"), Decimal("1e-15")


@dataclass(frozen=True)
class Plan:
    """What a strategy decided at each close, and its rules; NaN for a rule it does not have."""

    wants_long: np.ndarray
    wants_short: np.ndarray
    leaves_long: np.ndarray
    leaves_short: np.ndarray
    stop_frac: float = math.nan
    target_frac: float = math.nan
    trailing_frac: float = math.nan
    max_bars: float = math.inf
    size_frac: float = 1.0
    on_opposite: bool = True
    commission_frac: float = 0.0
    slippage_frac: float = 0.0
    capital: float = 10_000.0


@dataclass(frozen=True)
class Trade:
    side: int
    entry_bar: int
    entry: float
    exit_bar: int
    exit: float
    reason: str


@dataclass
class BarTrader:
    """Trade a plan; `trades` and `equity` say what came of it."""

    plan: Plan
    bars: Bars
    trades: list[Trade] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)

    async def run(self) -> BarTrader:
        plan = self.plan
        rules = VenueRules(
            commission_frac=decimal_of(plan.commission_frac),
            slippage_frac=decimal_of(plan.slippage_frac),
            fee_step=Decimal("1e-20"),
            leverage=Decimal(1000),
        )
        listed = {X: Instrument(X, "perp", TICK, LOT)}
        self.engine = MatchingEngine(listed, rules, {"Y": decimal_of(plan.capital)})
        clock = FakeClock(int(self.bars.timestamp[0]))
        self.exchange = SimulatedExchange(self.engine, clock, on_news=self._on_news)
        self.t = self.side = self.turn = self.entry_bar = 0
        self.qty = self.entry = Decimal(0)
        self.extreme = self.level = 0.0
        self.orders: dict[str, str] = {}
        replay = BarReplay(self.exchange, clock, {X: self.bars}, "5m")
        self.equity.append(plan.capital)
        while await replay.step() is not None:
            self.equity.append(self._marked())
            await self._decide()
        return self

    def _marked(self) -> float:
        account = self.engine.account
        assert isinstance(account, PerpAccount)
        return float(account.equity(self.engine.prices()))

    async def _decide(self) -> None:
        plan, t = self.plan, self.t
        if self.side > 0:
            self.extreme = max(self.extreme, self.bars.high[t])
        elif self.side < 0:
            self.extreme = min(self.extreme, self.bars.low[t])
        self.t += 1
        if self.side == 0:
            if plan.wants_long[t] != plan.wants_short[t]:
                await self._enter(1 if plan.wants_long[t] else -1)
            return
        await self._protect()
        opposite = plan.wants_short[t] if self.side > 0 else plan.wants_long[t]
        leaves = plan.leaves_long[t] if self.side > 0 else plan.leaves_short[t]
        self.turn = -self.side if opposite and plan.on_opposite else 0
        if self.turn or leaves:
            await self._send("signal", OrderType.MARKET, Purpose.EXIT)
        elif t + 1 >= self.entry_bar + plan.max_bars:
            await self._send("time", OrderType.MARKET, Purpose.EXIT)

    async def _enter(self, side: int) -> None:
        plan = self.plan
        account = self.engine.account
        assert isinstance(account, PerpAccount)
        notional = plan.size_frac * float(account.wallet) / (1.0 + plan.commission_frac)
        if notional > 0.0:
            new = request("buy" if side > 0 else "sell", notional=decimal_of(notional), symbol=X)
            self.orders["entry"] = new.client_id
            await self.exchange.submit(new)

    async def _protect(self) -> None:
        plan, side, entry = self.plan, self.side, float(self.entry)
        fixed = entry * (1.0 - side * plan.stop_frac)
        trail = self.extreme * (1.0 - side * plan.trailing_frac)
        levels = {"stop": fixed, "trailing": trail}
        known = {name: level for name, level in levels.items() if not math.isnan(level)}
        if known:
            name = max(known, key=lambda name: (side * known[name], name == "stop"))
            if known[name] != self.level:
                for old in ("stop", "trailing"):
                    if old in self.orders:
                        await self.exchange.cancel(X, self.orders.pop(old))
                self.level = known[name]
                await self._send(name, OrderType.STOP, Purpose.STOP, known[name])
        if "target" not in self.orders and self.side and not math.isnan(plan.target_frac):
            level = entry * (1.0 + side * plan.target_frac)
            await self._send("target", OrderType.TARGET, Purpose.TARGET, level)

    async def _send(
        self, name: str, kind: OrderType, purpose: Purpose, level: float | None = None
    ) -> None:
        new = request(
            (Side.SELL if self.side > 0 else Side.BUY).value,
            kind.value,
            str(self.qty),
            purpose=purpose,
            stop=None if level is None else str(decimal_of(level).quantize(TICK)),
            symbol=X,
        )
        self.orders[name] = new.client_id
        await self.exchange.submit(new)

    async def _on_news(self, event: VenueEvent) -> None:
        fill = event.fill
        if fill is None:
            return
        if fill.client_id == self.orders.get("entry"):
            await self._entered(fill)
        else:
            await self._left(fill)

    async def _entered(self, fill: Fill) -> None:
        self.side, self.entry, self.qty = fill.side.sign, fill.price, fill.qty_base
        self.entry_bar, self.extreme, self.level = self.t, float(fill.price), 0.0
        self.orders.clear()
        await self._protect()

    async def _left(self, fill: Fill) -> None:
        names = {client_id: name for name, client_id in self.orders.items()}
        reason = names.pop(fill.client_id, "ruin")
        self.trades.append(
            Trade(self.side, self.entry_bar, float(self.entry), self.t, float(fill.price), reason)
        )
        turn = self.turn if reason == "signal" else 0
        self.side = self.turn = 0
        self.orders.clear()
        for client_id in names:
            await self.exchange.cancel(X, client_id)
        if turn:
            await self._enter(turn)
