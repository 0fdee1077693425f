"""Money, prices and quantities as people read them; exact decimals stay in the store."""

from __future__ import annotations

from decimal import Decimal

from console.format import UNDEFINED, number, signed

_PRICE_DIGITS = 6
_QTY_DIGITS = 6


def quote(value: Decimal | None, digits: int = 2) -> str:
    """Return an amount of quote currency (`1,204,310.22`), `–` when there is none."""
    return UNDEFINED if value is None else number(float(value), digits)


def signed_quote(value: Decimal | None, digits: int = 2) -> str:
    """Return an amount of quote currency that always shows its sign (`+275.89`)."""
    return UNDEFINED if value is None else signed(float(value), digits)


def price(value: Decimal | None) -> str:
    """Return a price in six digits, more only where it has them before the point."""
    if value is None:
        return UNDEFINED
    whole = max(1, value.adjusted() + 1)
    return f"{value:,.{max(1, _PRICE_DIGITS - whole)}f}" if value >= 1 else _plain(value)


def qty(value: Decimal | None) -> str:
    """Return a quantity of base currency without its sign, in at most six digits."""
    if value is None:
        return UNDEFINED
    size = abs(value)
    if size >= 100_000:
        return f"{size:,.0f}"
    return _plain(size)


def basis_points(value_frac: float | None) -> str:
    """Return a signed fraction in hundredths of a percent (`+2.7bp`)."""
    return UNDEFINED if value_frac is None else f"{signed(value_frac * 1e4, 1)}bp"


def _plain(value: Decimal) -> str:
    if not value:
        return "0"
    rounded = float(f"{value:.{_QTY_DIGITS}g}")
    digits = max(0, _QTY_DIGITS - 1 - Decimal(rounded).adjusted())
    text = f"{rounded:,.{min(12, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
