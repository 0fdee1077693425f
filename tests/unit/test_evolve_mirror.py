from __future__ import annotations

import pytest

from engine.evolve.mirror import condition_shape, long_entries, long_exits, mirrored
from engine.strategy.genome import Condition, Exits, Genome


def condition(left: str, op: str, right: object = None, bars: int | None = None) -> Condition:
    """Read `rsi.value`, `close@1h` or `bollinger.upper` and a number or another operand."""

    def operand(text: object) -> dict[str, object] | None:
        if text is None:
            return None
        if not isinstance(text, str):
            return {"kind": "constant", "value": text}
        name, _, timeframe = text.partition("@")
        indicator, _, output = name.partition(".")
        if not output:
            return {"kind": "bar", "field": indicator, "timeframe": timeframe or None}
        return {
            "kind": "indicator",
            "name": indicator,
            "output": output,
            "timeframe": timeframe or None,
        }

    return Condition.model_validate(
        {"left": operand(left), "op": op, "right": operand(right), "bars": bars}
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("close", ">", "donchian.prior_upper"), ("close", "<", "donchian.prior_lower")),
        (("high", ">", "donchian.prior_upper"), ("low", "<", "donchian.prior_lower")),
        (("close", "crosses_above", "keltner.upper"), ("close", "crosses_below", "keltner.lower")),
        (("rsi.value", "<", 30.0), ("rsi.value", ">", 70.0)),
        (("mfi.value@1h", ">", 65.0), ("mfi.value@1h", "<", 35.0)),
        (("williams_r.value", "<", -90.0), ("williams_r.value", ">", -10.0)),
        (("bollinger.percent_b", "<", 0.1), ("bollinger.percent_b", ">", 0.9)),
        (("cci.value", "crosses_above", -100.0), ("cci.value", "crosses_below", 100.0)),
        (("macd.macd", ">", 0.0), ("macd.macd", "<", 0.0)),
        (("adx.plus_di", ">", "adx.minus_di"), ("adx.minus_di", ">", "adx.plus_di")),
        (("aroon.up", ">", 70.0), ("aroon.down", ">", 70.0)),
        (("aroon.oscillator", ">", 50.0), ("aroon.oscillator", "<", -50.0)),
        (("ema.value", "rising", None, 3), ("ema.value", "falling", None, 3)),
        (("obv.value", ">", "obv.average"), ("obv.value", "<", "obv.average")),
    ],
)
def test_the_other_side_reads_the_same_market_upside_down(
    given: tuple[object, ...], expected: tuple[object, ...]
) -> None:
    assert mirrored(condition(*given)).key == condition(*expected).key  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "undirected",
    [
        ("volume_ratio.value", ">", 1.5),
        ("volume", ">", "volume_sma.value"),
        ("adx.adx", ">", 25.0),
        ("atr.percent", "<", 0.01),
        ("bollinger.bandwidth", ">", 0.02),
    ],
)
def test_what_has_no_direction_stays(undirected: tuple[object, ...]) -> None:
    original = condition(*undirected)  # type: ignore[arg-type]
    assert mirrored(original) is original


def test_shapes_leave_parameters_and_timeframes_out() -> None:
    assert condition_shape(condition("rsi.value@1h", "<", 30.0)) == "rsi.value < level"
    assert condition_shape(condition("ema.value", "rising", None, 3)) == "ema.value rising"
    above = condition("close", ">", "bollinger.upper")
    assert condition_shape(above) == "close > bollinger.upper"


def test_a_short_genome_reads_as_its_long_mirror() -> None:
    genome = Genome(
        type="mean_reversion",  # type: ignore[arg-type]
        timeframe="5m",
        direction="short",  # type: ignore[arg-type]
        short_entry=(condition("rsi.value", ">", 70.0),),
        exits=Exits(stop_frac=0.02, short_conditions=(condition("rsi.value", "<", 50.0),)),
    )
    assert [c.key for c in long_entries(genome)] == ["rsi(14).value < 30.0"]
    assert [c.key for c in long_exits(genome)] == ["rsi(14).value > 50.0"]
