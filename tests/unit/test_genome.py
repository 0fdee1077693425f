"""Genome v1: identity, validation, defaults."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Exits,
    Genome,
    IndicatorOperand,
    Risk,
    Sizing,
)


def indicator(name: str, output: str = "value", **params: float) -> IndicatorOperand:
    return IndicatorOperand(name=name, params=params, output=output)


CROSS = Condition(
    left=indicator("ema", length=12), op="crosses_above", right=indicator("ema", length=26)
)
OVERSOLD = Condition(left=indicator("rsi"), op="<", right=ConstantOperand(value=30))


def genome(**changes: object) -> Genome:
    fields: dict[str, object] = {
        "type": "trend_following",
        "timeframe": "5m",
        "direction": "long",
        "long_entry": (CROSS, OVERSOLD),
        "exits": Exits(stop_frac=0.02),
    }
    return Genome.model_validate({**fields, **changes})


def test_equal_strategies_have_one_text_and_one_id() -> None:
    one = genome()
    spelled_out = json.loads(one.canonical_json())
    spelled_out["long_entry"].reverse()
    spelled_out["long_entry"][0]["left"]["params"] = {}
    other = Genome.from_json(json.dumps(spelled_out))
    assert other.canonical_json() == one.canonical_json()
    assert other.id == one.id
    assert hash(other) == hash(one)


def test_reading_back_changes_nothing() -> None:
    one = genome()
    _ = one.id
    assert Genome.from_json(one.canonical_json()) == one
    assert one.with_changes(confidence=0.5).id != one.id


def test_a_repeated_condition_counts_once() -> None:
    assert genome(long_entry=(CROSS, CROSS)).long_entry == (CROSS,)


def test_close_parameters_do_not_share_a_column() -> None:
    near = indicator("bollinger", "upper", width=2.0000001)
    nearer = indicator("bollinger", "upper", width=2.0000002)
    assert near.key != nearer.key


@pytest.mark.parametrize(
    ("n_conditions", "confidence", "needed"),
    [(1, 0.1, 1), (3, 0.67, 3), (3, 0.6, 2), (2, 0.5, 1), (3, 1 / 3, 1), (4, 1.0, 4)],
)
def test_confidence_is_the_share_of_conditions_that_must_hold(
    n_conditions: int, confidence: float, needed: int
) -> None:
    assert genome(confidence=confidence).needed(n_conditions) == needed


def test_notional_is_cut_to_the_risk_at_the_stop() -> None:
    wide = genome(exits=Exits(stop_frac=0.04), risk=Risk(leverage=3.0))
    assert wide.notional_frac() == pytest.approx(0.5)
    tight = genome(exits=Exits(stop_frac=0.005), risk=Risk(leverage=2.0))
    assert tight.notional_frac() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"long_entry": ()}, "needs entry conditions"),
        ({"direction": "both"}, "needs entry conditions"),
        ({"timeframe": "7m"}, "unknown timeframe"),
        ({"exits": {}}, "stop_frac"),
        ({"confidence": 0.0}, "greater than 0"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_bad_genome_says_why(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        genome(**changes)


def _compare(left: object, op: str, right: object) -> Condition:
    return Condition.model_validate({"left": left, "op": op, "right": right})


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: indicator("nonsense"), "unknown indicator"),
        (lambda: indicator("rsi", "signal"), "has no output"),
        (lambda: indicator("rsi", length=1), "outside"),
        (lambda: indicator("rsi", length=14.5), "whole"),
        (lambda: indicator("rsi", period=14), "no parameter"),
        (lambda: indicator("macd", "macd", fast=26, slow=12), "below"),
        (lambda: _compare(indicator("rsi"), "<", BarOperand(field="close")), "cannot be compared"),
        (lambda: _compare(indicator("obv"), ">", ConstantOperand(value=0)), "obv"),
        (lambda: _compare(indicator("rsi"), "<", indicator("rsi")), "with itself"),
        (lambda: Condition(left=indicator("rsi"), op="rising"), "takes `bars`"),
        (lambda: Risk(sizing=Sizing.VOLATILITY), "volatility_target"),
    ],
)
def test_a_bad_part_says_why(build: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        build()  # type: ignore[operator]


def test_a_lower_timeframe_operand_is_refused() -> None:
    lower = IndicatorOperand(name="rsi", timeframe="5m")
    with pytest.raises(ValidationError, match="multiple of 1h"):
        genome(
            timeframe="1h",
            long_entry=(Condition(left=lower, op="<", right=ConstantOperand(value=30)),),
        )
