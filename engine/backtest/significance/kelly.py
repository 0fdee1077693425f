"""The stake that makes capital grow fastest."""

from __future__ import annotations

import math


def kelly_fraction(win_probability: float, payoff_ratio: float) -> float:
    """Return the growth-optimal stake of a bet with two outcomes.

    Parameters
    ----------
    win_probability : in [0, 1]
    payoff_ratio : gained per unit staked when won, over what is lost when lost, > 0; inf when
        nothing was lost

    Returns
    -------
    float <= 1, fraction of capital; negative where the bet loses: stake nothing. nan for inputs
    outside their range.

    Notes
    -----
    p - (1 - p) / b. Source: Kelly (1956), A New Interpretation of Information Rate.
    """
    if not 0.0 <= win_probability <= 1.0 or not payoff_ratio > 0.0:
        return math.nan
    return win_probability - (1.0 - win_probability) / payoff_ratio
