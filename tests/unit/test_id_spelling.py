"""Ids that an exchange spells in its own way are ours again when they come back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.trade.flat_ids import base36, flat_id, is_flat_id
from engine.trade.id_spelling import spelling_of
from engine.trade.orders import Purpose, client_id_of

FORMS = {
    "binance": r"[0-9a-z-]{1,32}",
    "okx": r"[0-9a-z]{1,32}",
    "gate": r"[0-9a-z]{1,28}",
    "kraken": r"[0-9a-f]{32}",
    "hyperliquid": r"0x[0-9a-f]{32}",
}
OURS = st.builds(
    lambda symbol, bar_at, n: client_id_of("live", "s1", symbol, bar_at, Purpose.STOP, n),
    st.text(min_size=1, max_size=9),
    st.integers(0, 2**41),
    st.integers(0, 99),
)
FLAT = st.builds(
    lambda at, symbol, n: flat_id(base36(at).zfill(8), symbol, n),
    st.integers(0, 36**8 - 1),
    st.text(min_size=1, max_size=9),
    st.integers(1, 500),
)


@pytest.mark.parametrize("venue", FORMS)
@given(client_id=OURS | FLAT)
def test_there_and_back(venue: str, client_id: str) -> None:
    spelling = spelling_of(venue)
    text = spelling.out(client_id)
    assert re.fullmatch(FORMS[venue], text)
    assert spelling.back(text) == client_id


@pytest.mark.parametrize("venue", FORMS)
@given(first=OURS | FLAT, second=OURS | FLAT)
def test_two_ids_never_become_one(venue: str, first: str, second: str) -> None:
    out = spelling_of(venue).out
    assert (out(first) == out(second)) == (first == second)


@pytest.mark.parametrize("venue", FORMS)
@given(text=st.text(max_size=40))
def test_what_is_not_ours_is_never_taken_for_it(venue: str, text: str) -> None:
    back = spelling_of(venue).back(text)
    if back.startswith("pk-") or is_flat_id(back):
        assert spelling_of(venue).out(back).removeprefix("0x") in text


def test_gates_own_prefix_is_taken_off() -> None:
    client_id = client_id_of("live", "s1", "BTC/USDT", 1, Purpose.ENTRY, 0)
    spelling = spelling_of("gate")
    assert spelling.back(f"t-{spelling.out(client_id)}") == client_id
