"""Decimals as the store keeps them: text, exact."""

from __future__ import annotations

from decimal import Decimal
from typing import overload

from engine.errors import NonFiniteError


@overload
def exact(value: Decimal) -> str: ...
@overload
def exact(value: None) -> None: ...
def exact(value: Decimal | None) -> str | None:
    """Return every digit of `value`, None for None.

    Raises
    ------
    NonFiniteError : NaN or infinite.
    """
    if value is None:
        return None
    if not value.is_finite():
        raise NonFiniteError(f"{value} cannot be kept in the store: it is not a finite number")
    return str(value)


@overload
def decimal_of(text: str) -> Decimal: ...
@overload
def decimal_of(text: None) -> None: ...
def decimal_of(text: str | None) -> Decimal | None:
    """Return what `exact` was given."""
    return None if text is None else Decimal(text)
