"""The edges that can be planted into the generated market, and their names on screens."""

from __future__ import annotations

from engine.errors import UsageError

EDGE_KINDS = ("none", "momentum", "reversion")
DEFAULT_EDGE_KIND = "momentum"
DEFAULT_EDGE_STRENGTH = 0.15


def describe_edge(kind: str, strength: float) -> str:
    """Return the planted edge as screens show it: `momentum 0.15`, or `none`.

    Raises
    ------
    UsageError : unknown kind, or a strength outside 0..1.
    """
    check_edge(kind, strength)
    return "none" if kind == "none" or strength == 0 else f"{kind} {strength:g}"


def check_edge(kind: str, strength: float) -> None:
    """Refuse an edge that cannot be planted.

    Raises
    ------
    UsageError : unknown kind, or a strength outside 0..1.
    """
    if kind not in EDGE_KINDS:
        raise UsageError(
            f"unknown kind of planted edge {kind!r}: use one of {' '.join(EDGE_KINDS)}", kind=kind
        )
    if not 0.0 <= strength <= 1.0:
        raise UsageError(
            f"the planted edge's strength is {strength:g}: use a number from 0 to 1",
            strength=strength,
        )
