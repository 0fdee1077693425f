"""What a bad day costs the open book, by past days and by drawn ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.risk.exposure import Exposure
from engine.risk.risk_model import RiskModel
from engine.risk.value_at_risk import expected_shortfall, value_at_risk, worst_outcomes


@dataclass(frozen=True, slots=True)
class TailLosses:
    """Losses of one day, quote currency; a loss is positive.

    Attributes
    ----------
    historical_quote, drawn_quote : value at risk by past and by drawn days
    historical_shortfall_quote, drawn_shortfall_quote : expected shortfall, nan when not asked for
    """

    historical_quote: float
    drawn_quote: float
    historical_shortfall_quote: float = math.nan
    drawn_shortfall_quote: float = math.nan

    @property
    def value_at_risk_quote(self) -> float:
        """Return the larger value at risk: the one that is held to the limit."""
        return max(self.historical_quote, self.drawn_quote)

    @property
    def shortfall_quote(self) -> float:
        """Return the larger expected shortfall."""
        return max(self.historical_shortfall_quote, self.drawn_shortfall_quote)


def tail_losses_of(
    model: RiskModel, exposure: Exposure, confidence: float, *, with_shortfall: bool = True
) -> TailLosses:
    """Return the losses of a book, its open orders filled wherever that hurts.

    Parameters
    ----------
    exposure : every symbol in it has a price and is in the model (`why_unmeasured` says whether)
    confidence : in (0, 1)

    Raises
    ------
    NonFiniteError : a notional beyond float64.
    """
    held, buys, sells = np.zeros((3, len(model.symbols)))
    for (_, symbol), reach in exposure.reaches.items():
        column = model.column_of[symbol]
        held[column] += float(reach.held_quote)
        buys[column] += float(reach.buys_quote)
        sells[column] += float(reach.sells_quote)
    # What overflows is found below, as an outcome that is not a number.
    with np.errstate(invalid="ignore", over="ignore"):
        past = worst_outcomes(model.history, held, buys, sells)
        drawn = worst_outcomes(model.drawn, held, buys, sells)
    return TailLosses(
        value_at_risk(past, confidence),
        value_at_risk(drawn, confidence),
        expected_shortfall(past, confidence) if with_shortfall else math.nan,
        expected_shortfall(drawn, confidence) if with_shortfall else math.nan,
    )
