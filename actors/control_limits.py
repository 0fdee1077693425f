"""How many candidates without skill a gate may let through before it is not believed."""

from __future__ import annotations

from math import comb

ALLOWED_SHARE = 0.01
_SUSPICIOUS = 0.01


def is_suspicious(n_passed: int, n_candidates: int) -> bool:
    """Tell whether more passed than a gate that lets through 1 % would explain.

    Notes
    -----
    The binomial tail: `n_passed` or more of `n_candidates`, less likely than 1 %.
    """
    below = sum(
        comb(n_candidates, k) * ALLOWED_SHARE**k * (1.0 - ALLOWED_SHARE) ** (n_candidates - k)
        for k in range(n_passed)
    )
    return n_passed > 0 and 1.0 - below < _SUSPICIOUS
