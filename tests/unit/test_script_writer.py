"""Genomes as JavaScript: the text itself, what it needs, and what cannot be written."""

from __future__ import annotations

import pytest

from engine.errors import StrategyError
from engine.strategy.families.catalogue import FAMILIES
from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Direction,
    Exits,
    Genome,
    IndicatorOperand,
    Risk,
    Sizing,
    StrategyType,
)
from engine.strategy.javascript.operands import number_text
from engine.strategy.javascript.writer import javascript_of, lookback_bars, state_bytes
from engine.strategy.library import library_genome
from engine.validate.findings import Severity
from engine.validate.syntax import read_script, syntax_findings
from engine.validate.writable import writable_findings

EMA_TREND = """\
// ema_trend: trend following on 5m bars, long only.
import { crossing, ema, entering, follow, leaving } from "paddock";

export const meta = {
  name: "ema_trend",
  type: "trend_following",
  genome: "GENOME",
  timeframe: "5m",
  direction: "long",
  lookback: 1,
};

export function decide(bars, state) {
  const own = follow("5m", bars, state);

  const ema12 = ema(own, 12);
  const ema26 = ema(own, 26);
  const cross1 = crossing(own, "ema12 x ema26", ema12, ema26);

  const enterLong = cross1.above;
  const leaveLong = cross1.below;

  return {
    intent: entering(enterLong, false),
    leave: leaving(leaveLong, false),
    stop: 0.02,
    target: 0.06,
    size: 1,
    confidence: 1,
    state: own.memory,
  };
}
"""


def indicator(name: str, output: str = "value", timeframe: str | None = None, **params: float):  # type: ignore[no-untyped-def]
    return IndicatorOperand(name=name, output=output, params=params, timeframe=timeframe)


def genome(*conditions: Condition, **changes: object) -> Genome:
    fields: dict[str, object] = {
        "type": StrategyType.HYBRID,
        "timeframe": "5m",
        "direction": Direction.LONG,
        "long_entry": conditions,
        "exits": Exits(stop_frac=0.02),
    }
    return Genome.model_validate(fields | changes)


def above(left: object, right: object) -> Condition:
    return Condition.model_validate({"left": left, "op": ">", "right": right})


def test_the_library_reads_as_a_person_would_write_it() -> None:
    found = library_genome("ema_trend", "5m")
    assert javascript_of(found, "ema_trend") == EMA_TREND.replace("GENOME", found.id)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_family_is_a_valid_source(name: str) -> None:
    space = FAMILIES[name]
    for direction in (Direction.LONG, Direction.BOTH):
        source = javascript_of(space.genome(space.point(0), "15m", direction), name)
        module, findings = read_script(source.encode())
        assert module is not None
        assert [*findings, *syntax_findings(module)] == []
        assert max(map(len, source.splitlines())) <= 110


def test_everything_a_genome_says_is_written() -> None:
    source = javascript_of(
        genome(
            above(BarOperand(field="close"), indicator("sma", length=20)),
            above(indicator("rsi", length=9), ConstantOperand(value=50.5)),
            Condition(left=BarOperand(field="low"), op="rising", bars=3),
            direction=Direction.BOTH,
            confidence=0.6,
            short_entry=(
                above(indicator("obv", length=20), indicator("obv", "average", length=20)),
            ),
            filters=(above(indicator("vwap"), BarOperand(field="open")),),
            symbols=("BTC/USDT",),
            exits=Exits(
                stop_frac=0.01,
                trailing_frac=0.03,
                max_bars=40,
                on_opposite=False,
                short_conditions=(
                    Condition(left=indicator("macd", "macd", "1h"), op="falling", bars=2),
                ),
            ),
            risk=Risk(leverage=2.0, sizing=Sizing.VOLATILITY, volatility_target=0.5),
        ),
        "all of it",
    )
    for part in (
        'symbols: ["BTC/USDT"]',
        "leverage: 2,",
        "on_opposite: false,",
        'longer(own, "1h", { close: 1 })',
        "holdsLong >= 2 && allowed",
        'low > earlier(own, "low", 3)',
        "rsi9 > 50.5",
        "obvNow > obvAverage20",
        "vwapNow > open",
        "macd12x26x9On1h.macd < macd12x26x9On1h_macdAgo2",
        "leave: leaving(false, leaveShort)",
        "trailing: 0.03,",
        "max_bars: 40,",
        "size: sizeFor(own, 0.5, 105120, 2),",
        "confidence: enterLong ? holdsLong / 3 : 1,",
    ):
        assert part in source, part
    assert "target" not in source
    kelly = javascript_of(
        genome(above(BarOperand(field="close"), indicator("vwap")), risk=Risk(sizing=Sizing.KELLY))
    )
    assert 'sizing: "kelly",' in kelly


@pytest.mark.parametrize(
    ("condition", "bars"),
    [
        (above(BarOperand(field="close"), indicator("sma", length=20)), 20),
        (above(BarOperand(field="close"), indicator("ema", length=200)), 1),
        (above(BarOperand(field="close"), indicator("donchian", "prior_upper", length=20)), 21),
        (above(BarOperand(field="close"), indicator("ema", timeframe="4h", length=5)), 49),
        (Condition(left=BarOperand(field="close"), op="rising", bars=30), 31),
        (Condition(left=indicator("ema", length=5), op="rising", bars=30), 1),
        (
            above(
                indicator("stochastic", "k", length=14, smooth=3, signal=5),
                ConstantOperand(value=1),
            ),
            20,
        ),
    ],
)
def test_a_module_asks_for_no_more_bars_than_it_reads(condition: Condition, bars: int) -> None:
    assert lookback_bars(genome(condition)) == bars


def test_volatility_sizing_looks_back_a_hundred_returns() -> None:
    risk = Risk(sizing=Sizing.VOLATILITY, volatility_target=0.5)
    assert (
        lookback_bars(genome(above(indicator("vwap"), BarOperand(field="open")), risk=risk)) == 101
    )


def test_a_state_that_cannot_fit_is_refused_with_the_numbers() -> None:
    large = genome(
        above(
            BarOperand(field="close", timeframe="1h"), indicator("sma", timeframe="1h", length=420)
        ),
    )
    assert state_bytes(large) > 8192
    with pytest.raises(StrategyError, match=r"may take 8,\d+ bytes of 8,192") as caught:
        javascript_of(large)
    assert caught.value.fields["state_bytes"] == state_bytes(large)
    (finding,) = writable_findings(large)
    assert (finding.code, finding.severity) == ("javascript.state", Severity.WARNING)
    assert writable_findings(library_genome("ema_trend", "5m")) == []


def test_bars_a_day_long_on_bars_of_a_minute_still_fit() -> None:
    condition = above(BarOperand(field="close"), BarOperand(field="open", timeframe="1d"))
    assert lookback_bars(genome(condition, timeframe="1m")) == 1441


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (-0.5, "-0.5"),
        (1e-05, "1e-05"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e22, "1e+22"),
    ],
)
def test_numbers_are_read_back_to_the_same_bits(value: float, text: str) -> None:
    assert number_text(value) == text
    assert float(text) == value
