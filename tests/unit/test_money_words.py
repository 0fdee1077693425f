from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.money import basis_points, price, qty, quote, signed_quote

AMOUNTS = st.decimals(min_value=Decimal("0"), max_value=Decimal("1e12"), places=9)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("91204.1", "91,204.1"),
        ("3310.4", "3,310.40"),
        ("142.180", "142.180"),
        ("1", "1.00000"),
        ("0.41", "0.41"),
        ("0.00001234567", "0.0000123457"),
        ("1234567.891", "1,234,567.9"),
    ],
)
def test_prices_have_six_digits(value: str, shown: str) -> None:
    assert price(Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.410", "0.41"),
        ("-5.20", "5.2"),
        ("12.0", "12"),
        ("0", "0"),
        ("0E-8", "0"),
        ("1234567.891", "1,234,568"),
        ("100", "100"),
    ],
)
def test_quantities_have_no_sign_and_no_idle_zeros(value: str, shown: str) -> None:
    assert qty(Decimal(value)) == shown


def test_what_is_not_known_is_a_dash() -> None:
    assert [price(None), qty(None), quote(None), signed_quote(None), basis_points(None)] == [
        "–"
    ] * 5


def test_gains_always_show_their_sign() -> None:
    shown = [signed_quote(Decimal(text)) for text in ("275.891", "-64.48", "0")]
    assert shown == ["+275.89", "-64.48", "0.00"]
    assert basis_points(0.00027) == "+2.7bp"


@given(AMOUNTS)
def test_a_shown_quantity_is_within_a_hundred_thousandth_of_the_real_one(value: Decimal) -> None:
    shown = Decimal(qty(value).replace(",", ""))
    assert abs(shown - value) <= max(value * Decimal("1e-5"), Decimal("1e-12"))
