"""Groups of base currencies, as written in [limits]."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from engine.errors import UsageError
from engine.risk.groups import Groups
from engine.trading_settings import Limits


def test_a_base_that_is_in_no_group_is_its_own() -> None:
    groups = Groups.of(["memes=DOGE, SHIB"])
    assert groups.group_of("DOGE/USDT") == groups.group_of("SHIB/USDC") == "memes"
    assert groups.group_of("BTC/USDT") == groups.group_of("BTC/USDC:USDC") == "BTC"


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        (["memes"], "not of the form"),
        (["=DOGE"], "not of the form"),
        (["memes=DOGE,,SHIB"], "not of the form"),
        (["memes=DOGE/USDT"], "not of the form"),
        (["a=DOGE", "a=SHIB"], "group 'a' is listed twice"),
        (["a=DOGE", "b=DOGE"], "DOGE is in group 'a' and in 'b'"),
    ],
)
def test_what_cannot_be_read_is_refused(entries: list[str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Groups.of(entries)
    with pytest.raises(ValidationError, match=complaint):
        Limits(groups=tuple(entries))


def test_settings_start_without_groups() -> None:
    assert Groups.of(Limits().groups) == Groups()
