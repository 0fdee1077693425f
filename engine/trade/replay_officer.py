"""The risk officer of a replayed account: the real one, on the prices of the replay.

Breakers halt the account as they halt a real one; closing what it holds then is the operator's, and
the monitors' of a running account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from engine.clock import Clock
from engine.risk.breakers import RiskAction
from engine.risk.groups import Groups
from engine.risk.risk_model import risk_model_of
from engine.risk.verdict import RiskVerdict
from engine.risk.view import TradePlan
from engine.trade.orders import OrderRequest
from engine.trade.paper_account import PaperAccount
from engine.trade.replay_terms import Entrant
from engine.trade.risk_keeper import RiskKeeper
from engine.trading_settings import Limits
from engine.types import MS_PER_DAY, Bars, timeframe_ms

_SEED = 1
_WHO = "risk officer"


class ReplayOfficer:
    """Judge the orders of one account, and watch what it loses.

    Parameters
    ----------
    account : PaperAccount
    entrants : who trades there
    series : by symbol, history included; only what has closed is read
    timeframe : of the bars

    Attributes
    ----------
    keeper : the officer's memory; a price is believed until the next one
    """

    def __init__(
        self,
        account: PaperAccount,
        entrants: Sequence[Entrant],
        series: Mapping[str, Bars],
        timeframe: str,
        limits: Limits,
        clock: Clock,
    ) -> None:
        gateway = account.gateway
        groups = Groups.of(limits.groups)
        self.keeper = RiskKeeper(gateway.book, limits, groups, clock, float("inf"))
        self._account = account
        self._series = {symbol: series[symbol] for symbol in gateway.instruments}
        self._bar_ms = timeframe_ms(timeframe)
        self._clock = clock
        self._model_day = -1
        for entrant in entrants:
            self.keeper.plans[entrant.strategy_id] = _plan_of(entrant, self._bar_ms / 1000)
        gateway.judge = self._judge
        gateway.on_record = self.keeper.take_record

    def take_price(self, symbol: str, price: Decimal) -> None:
        """Take the newest price of a symbol; one of another account is not heard."""
        if symbol in self._series:
            self.keeper.take_price(symbol, price)

    def observe(self) -> None:
        """Mark what the account is worth; a breaker that asks for it halts the account."""
        gateway = self._account.gateway
        if self.keeper.observe(gateway.record) >= RiskAction.STOP_STRATEGIES:
            at = self._clock.now_at()
            trips = "; ".join(trip.message for trip in self.keeper.breakers.tripped(at))
            gateway.gate.latch.halt(_WHO, trips, at)

    def _judge(self, request: OrderRequest) -> RiskVerdict:
        at = self._clock.now_at()
        if at // MS_PER_DAY != self._model_day:
            # How prices move together is worked out once a UTC day.
            self._model_day = at // MS_PER_DAY
            rng = np.random.default_rng(_SEED)
            self.keeper.model = risk_model_of(self._series, self._bar_ms, at, rng)
        return self.keeper.judge(request)


def _plan_of(entrant: Entrant, bar_s: float) -> TradePlan:
    exits = entrant.genome.exits
    holding_s = None if exits.max_bars is None else exits.max_bars * bar_s
    return TradePlan(exits.stop_frac, exits.target_frac, holding_s)
