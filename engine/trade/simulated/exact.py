"""Decimal arithmetic wide enough that products of prices and quantities are never rounded."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# A price and a quantity of 20 digits each, a commission, and room to spare.
_CONTEXT = Context(prec=60)


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function with 60 digits instead of the caller's."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(_CONTEXT):
            return function(*args, **kwargs)

    return run


def decimal_of(value: float) -> Decimal:
    """Return the shortest decimal that reads back as `value`, finite: 0.1 gives 0.1."""
    return Decimal(repr(float(value)))
