"""What a scenario would do to the open book.

Only what is held counts, at its marks; stops that rest at the venue fill at their level where the
path trades through it, and at the next price where it jumps over it, as in a backtest. Prices of
shorts and longs are taken at their worst at the same time, so that the trough is never too shallow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from engine.risk.position_rules import position_loss
from engine.risk.scenario import PricePath, Scenario
from engine.risk.view import Holding, RiskView
from engine.trading_settings import Limits
from engine.types import FloatArray


@dataclass(frozen=True, slots=True)
class GappedStop:
    """A stop that would fill beyond its level.

    Attributes
    ----------
    stop_price, fill_price : quote currency
    """

    strategy_id: str
    symbol: str
    stop_price: float
    fill_price: float


@dataclass(frozen=True, slots=True)
class StressResult:
    """One scenario's outcome, quote currency; a loss is positive.

    Attributes
    ----------
    loss_quote : at the end of it; nan when a held symbol has no price
    trough_loss_quote : at its worst step
    loss_without_stops_quote : at the end, had no stop been there
    equity_after_quote : nan when equity or a price is unknown; below 0 the account owes money
    trips : limits that would be reached on the way, by name, as if all of it happened today
    gapped : stops that would fill beyond their level
    assumed : symbols whose path is not known and was taken to be the worst one
    unpriced : held symbols without a price
    """

    scenario: str
    title: str
    loss_quote: float
    trough_loss_quote: float
    loss_without_stops_quote: float
    equity_after_quote: float
    trips: tuple[str, ...] = ()
    gapped: tuple[GappedStop, ...] = ()
    assumed: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Ride:
    """One holding along its path: gains at each step's worst price, and at the end."""

    worst_gain: FloatArray
    end_gain: float
    end_gain_without_stop: float
    end_notional: float
    worst_price: float
    gapped: GappedStop | None


def stress_test(
    view: RiskView, scenarios: Iterable[Scenario], limits: Limits, slippage_frac: float = 0.0
) -> tuple[StressResult, ...]:
    """Return what each scenario would do to the book.

    Parameters
    ----------
    slippage_frac : against every stop that fills, fraction of the price, in [0, 1)
    """
    return tuple(_replayed(view, scenario, limits, slippage_frac) for scenario in scenarios)


def _replayed(
    view: RiskView, scenario: Scenario, limits: Limits, slippage_frac: float
) -> StressResult:
    unpriced = tuple(sorted({h.symbol for h in view.holdings if view.price_of(h.symbol) is None}))
    if unpriced:
        lost = (math.nan, math.nan, math.nan, math.nan)
        return StressResult(scenario.name, scenario.title, *lost, unpriced=unpriced)
    rides: list[_Ride] = []
    assumed: set[str] = set()
    for holding in view.holdings:
        path, is_assumed = scenario.path_of(holding.symbol, is_long=holding.signed_base > 0)
        rides.append(_ride(holding, float(view.prices[holding.symbol]), path, slippage_frac))
        if is_assumed:
            assumed.add(holding.symbol)
    equity = view.equity_quote
    start = float(equity) if equity is not None and equity.is_finite() else math.nan
    end_gain = math.fsum(ride.end_gain for ride in rides)
    worst_gain = np.sum([ride.worst_gain for ride in rides], axis=0) if rides else np.zeros(1)
    trough_gain = min(float(np.min(worst_gain)), end_gain)
    return StressResult(
        scenario=scenario.name,
        title=scenario.title,
        loss_quote=-end_gain + 0.0,
        trough_loss_quote=-trough_gain + 0.0,
        loss_without_stops_quote=-math.fsum(r.end_gain_without_stop for r in rides) + 0.0,
        equity_after_quote=start + end_gain,
        trips=_trips(view, limits, rides, start, trough_gain, end_gain),
        gapped=tuple(ride.gapped for ride in rides if ride.gapped is not None),
        assumed=tuple(sorted(assumed)),
    )


def _ride(holding: Holding, price: float, path: PricePath, slippage_frac: float) -> _Ride:
    sign = 1.0 if holding.signed_base > 0 else -1.0
    qty = abs(float(holding.signed_base))
    worst = price * (path.low if sign > 0 else path.high)
    end = price * float(path.close[-1])
    naked_gain = sign * qty * (worst - price)
    naked_end = sign * qty * (end - price)
    stopped_qty = min(qty, float(holding.stop_base))
    stop = None if holding.stop_price is None else float(holding.stop_price)
    touched = np.flatnonzero(sign * worst <= sign * (math.nan if stop is None else stop))
    if stop is None or not stopped_qty or not touched.shape[0]:
        worst_price = float(np.min(worst) if sign > 0 else np.max(worst))
        return _Ride(naked_gain, naked_end, naked_end, qty * end, worst_price, None)
    step = int(touched[0])
    opened = price * float(path.open[step])
    is_gap = sign * opened < sign * stop
    fill = (opened if is_gap else stop) * (1.0 - sign * slippage_frac)
    share = stopped_qty / qty
    stopped_gain = naked_gain.copy()
    stopped_gain[step:] = sign * qty * (fill - price)
    gains = share * stopped_gain + (1.0 - share) * naked_gain
    left = qty - stopped_qty
    prices = worst if left > 0 else np.append(worst[:step], fill)
    return _Ride(
        gains,
        share * sign * qty * (fill - price) + (1.0 - share) * naked_end,
        naked_end,
        left * end,
        float(np.min(prices) if sign > 0 else np.max(prices)),
        GappedStop(holding.strategy_id, holding.symbol, stop, fill) if is_gap else None,
    )


def _trips(
    view: RiskView,
    limits: Limits,
    rides: list[_Ride],
    start: float,
    trough_gain: float,
    end_gain: float,
) -> tuple[str, ...]:
    if not math.isfinite(start):
        return ()
    trough = Decimal(repr(start + trough_gain))
    readings = view.breakers.readings(trough, view.at, limits)
    trips = [reading.rule for reading in readings if reading.value >= reading.limit]
    equity_after = start + end_gain
    gross_after = math.fsum(ride.end_notional for ride in rides)
    if gross_after > 0 and not gross_after <= limits.leverage_max * equity_after:
        trips.append("leverage_max")
    for holding, ride in zip(view.holdings, rides, strict=True):
        loss = position_loss(holding, Decimal(repr(ride.worst_price)), limits)
        if loss.value >= loss.limit:
            trips.append("position_loss_frac")
            break
    return tuple(trips)
