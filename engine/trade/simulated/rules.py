"""The rules of a simulated venue: costs, margins, and how strictly it behaves like a real one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from engine.errors import UsageError
from engine.trade.instrument import ZERO

CommissionIn = Literal["quote", "received"]


@dataclass(frozen=True, slots=True)
class VenueRules:
    """What a fill costs, and what is allowed.

    Attributes
    ----------
    commission_frac : fraction of notional, >= 0, of every fill
    slippage_frac : fraction of price, >= 0, against every fill of a market, stop or target order
        where no quotes are known; quotes have their spread instead
    commission_in : "quote", or "received": a spot buy pays in the base currency it brings
    partial_fill_chance : probability in [0, 1] that a limit order is filled in parts
    fills_on_touch : a resting limit order is filled when its price trades; otherwise only when the
        price trades through it
    stops_lock : a resting stop or target locks the balance on spot, as real venues do, so that only
        one of the two can rest
    refuses_immediate_triggers : a stop or target beyond the price already is refused, as real
        venues do; otherwise it fills at once, as the backtest does
    leverage : notional / margin, >= 1, of a perpetual nobody has set another for
    maintenance_frac : fraction of notional, >= 0, below which equity is liquidated; 0 liquidates at
        a bar's close when nothing is left, as the backtest does
    fee_step : commissions are rounded to it, > 0
    orders_max : orders of one symbol that may rest at once, > 0
    """

    commission_frac: Decimal = Decimal("0.001")
    slippage_frac: Decimal = Decimal("0.0005")
    commission_in: CommissionIn = "quote"
    partial_fill_chance: float = 0.0
    fills_on_touch: bool = False
    stops_lock: bool = False
    refuses_immediate_triggers: bool = False
    leverage: Decimal = Decimal(20)
    maintenance_frac: Decimal = ZERO
    fee_step: Decimal = Decimal("1e-8")
    orders_max: int = 200

    def __post_init__(self) -> None:
        for name in ("commission_frac", "slippage_frac", "maintenance_frac"):
            value: Decimal = getattr(self, name)
            if not (value.is_finite() and 0 <= value < 1):
                raise UsageError(f"simulated exchange: {name} {value} is not a fraction in [0, 1)")
        if not 0.0 <= self.partial_fill_chance <= 1.0:
            raise UsageError(
                f"simulated exchange: partial_fill_chance {self.partial_fill_chance} "
                "is not a probability"
            )
        if self.leverage < 1 or self.fee_step <= 0 or self.orders_max < 1:
            raise UsageError("simulated exchange: leverage, fee_step or orders_max is too small")
