from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from engine.backtest.rules import Rules
from engine.deploy.live_decision import cut, difference, worker_decision
from engine.errors import StrategyError
from engine.trade.decision import Decision

OWN = Rules(stop_frac=0.02, target_frac=0.04, size_frac=0.5)
LONG: dict[str, Any] = {
    "intent": "long",
    "leave": None,
    "stop": 0.02,
    "target": 0.04,
    "trailing": None,
    "max_bars": None,
    "size": 0.5,
    "confidence": 1.0,
}
HOLD = {**dict.fromkeys(LONG), "intent": "hold"}


def test_an_entry_by_its_own_rules_is_the_engines() -> None:
    found = worker_decision(LONG, 7, OWN)
    assert found.rules is None
    assert difference(Decision(7, side=1), found, OWN) == ""
    assert difference(Decision(7, side=1, size_frac=0.5), found, OWN) == ""


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ({"intent": "short"}, "side"),
        ({"leave": "long"}, "leaves_long"),
        ({"leave": "both"}, "leaves_long"),
        ({"size": 0.4}, "size_frac"),
        ({"size": 0}, "size_frac"),
        ({"stop": 0.03}, "exits"),
        ({"max_bars": 5}, "exits"),
        (HOLD, "side"),
    ],
)
def test_what_differs_is_named_with_its_bar(answer: dict[str, Any], word: str) -> None:
    found = worker_decision({**LONG, **answer}, 7, OWN)
    words = difference(Decision(7, side=1), found, OWN)
    assert words.startswith("bar 7: ")
    assert word in words


def test_leaving_goes_with_any_intent() -> None:
    found = worker_decision({**HOLD, "leave": "short"}, 7, OWN)
    assert (found.side, found.leaves_long, found.leaves_short) == (0, False, True)
    flat = worker_decision({**HOLD, "intent": "flat"}, 7, OWN)
    assert flat.leaves_long
    assert flat.leaves_short


def test_a_size_nobody_knows_is_the_same_on_both_sides() -> None:
    found = worker_decision({**LONG, "size": 0}, 7, OWN)
    assert found.size_frac is not None
    assert math.isnan(found.size_frac)
    assert difference(Decision(7, side=1, size_frac=math.nan), found, OWN) == ""
    assert cut(found, 0.5, 1.0, OWN) == found


@pytest.mark.parametrize(
    "answer", [{"leave": "maybe"}, {"size": -1}, {"size": "much"}, {"size": 4.0}, {"intent": "buy"}]
)
def test_what_is_outside_the_contract_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(StrategyError):
        worker_decision({**LONG, **answer}, 7, OWN)


def test_an_entry_is_cut_to_its_share_and_its_largest_size() -> None:
    entry = Decision(7, side=1)
    assert cut(entry, 0.25, 2.0, OWN).size_frac == 0.125
    assert cut(entry, 1.0, 0.3, OWN).size_frac == 0.3
    own = replace(entry, rules=replace(OWN, size_frac=1.0))
    assert cut(own, 0.5, 2.0, OWN).size_frac == 0.5
    leaving = Decision(7, leaves_long=True)
    assert cut(leaving, 0.05, 0.1, OWN) == leaving
