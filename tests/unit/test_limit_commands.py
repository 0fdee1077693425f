"""Limits that an operator asks for: all of them or none, and in every journal first."""

from __future__ import annotations

from typing import Any

import pytest

from actors.limit_commands import asked_limits, journal
from actors.ports import PeerLost
from engine.errors import UsageError
from engine.trading_settings import Limits


class _Peer:
    """A trader that remembers what it was told, or is down."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._is_down = is_down

    @property
    def name(self) -> str:
        return "trader-paper"

    async def call(self, method: str, *args: Any, timeout_s: float = 1.0) -> Any:
        if self._is_down:
            raise PeerLost("trader-paper is down")
        self.told.append((method, *args))


def _arguments(**changes: Any) -> dict[str, Any]:
    # As they come out of the store, where a tuple is a list.
    limits = {**Limits().model_dump(mode="json"), **changes}
    return {"limits": limits, "words": "position_frac 10.0% → 8.0%"}


def test_limits_come_back_as_they_were_asked_for() -> None:
    limits, words = asked_limits(_arguments(position_frac=0.08, groups=["majors=BTC,ETH"]))
    assert limits == Limits(position_frac=0.08, groups=("majors=BTC,ETH",))
    assert words == "position_frac 10.0% → 8.0%"


@pytest.mark.parametrize(
    "changes",
    [
        {"position_frac": 1.5},
        {"position_frac": "0.08"},
        {"drawdown_reduce_frac": 0.9},
        {"groups": ["nonsense"]},
        {"unheard_of": 1},
    ],
)
def test_what_no_configuration_may_say_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        asked_limits(_arguments(**changes))


def test_some_limits_are_not_all_limits() -> None:
    arguments = _arguments()
    del arguments["limits"]["position_frac"]
    with pytest.raises(UsageError, match="every limit"):
        asked_limits(arguments)


@pytest.mark.parametrize("words", ["", None, 7])
def test_a_change_without_words_is_refused(words: Any) -> None:
    with pytest.raises(UsageError, match="in words"):
        asked_limits({**_arguments(), "words": words})


async def test_every_journal_is_told_who_changes_what() -> None:
    paper, live = _Peer(), _Peer()
    await journal({"paper": paper, "live": live}, "ana", "position_frac 10.0% → 8.0%")
    wanted = [("note", "limits.changed", "ana: position_frac 10.0% → 8.0%", "ana")]
    assert paper.told == live.told == wanted


async def test_a_journal_that_cannot_be_written_stops_the_change() -> None:
    with pytest.raises(PeerLost):
        await journal({"paper": _Peer(is_down=True)}, "ana", "position_frac 10.0% → 20.0%")
