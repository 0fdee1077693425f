"""What a cycle's negative controls showed, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = {"permuted_market": "permuted", "skill_free": "skill-free"}


def controls_words(controls: Mapping[str, Mapping[str, Any]], width: int = 1_000) -> str:
    """Return how many candidates without skill passed the paper gate; empty when none were tried.

    Parameters
    ----------
    controls : counts by control, as a cycle's summary holds them
    width : cells; fewer words are used when all of them would take more
    """
    told = [
        (_NAMES.get(name, name.replace("_", " ")), _counts(found))
        for name, found in controls.items()
    ]
    told = [(name, counts) for name, counts in told if counts[1]]
    if not told:
        return ""
    naive = ", ".join(f"{n_naive:,}" for _, (_, _, n_naive) in told)
    shares = ", ".join(f"{n_passed:,} of {n:,} {name}" for name, (n_passed, n, _) in told)
    words = f"{shares} pass; naive gate {naive}"
    if len(words) <= width:
        return words
    shares = ", ".join(f"{name} {n_passed:,}/{n:,}" for name, (n_passed, n, _) in told)
    return f"{shares}; naive {naive}"


def _counts(found: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return how many passed, of how many, and how many would have without counting trials."""
    passed, candidates, naive = (
        int(found.get(name) or 0) for name in ("passed", "candidates", "passed_naive")
    )
    return passed, candidates, naive
