"""What a module says of itself, and what its answers become for the kernel."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backtest.rules import NEVER
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.strategy.bits import unpack
from engine.strategy.genome import Direction
from engine.strategy.javascript.answers import Answers, rules_of
from engine.strategy.javascript.contract import ScriptMeta, read_meta
from engine.strategy.javascript.source import parse_source
from engine.types import MS_PER_DAY
from engine.validate.resources import WorkerLimits, measured, resource_findings
from engine.validate.risk_rules import RiskLimits, meta_findings, meta_place, risk_findings

SOURCE = parse_source(
    'export const meta = {\n  name: "x",\n  lookback: 5,\n  "leverage": 2,\n};\n'
    "export function decide() {}\n"
)
BARS = generate_bars("BTC/USDT", 1, end_at=GENERATED_START_AT + MS_PER_DAY).slice(0, 4)


def answers(**columns: list[float]) -> Answers:
    """Return answers on four bars; what is not named is absent."""
    results = np.full((4, 11), np.nan)
    results[:, :2] = 0.0
    results[:, 8:] = 1.0
    names = ("intent", "leave", "stop", "target", "trailing", "max_bars", "size", "confidence")
    for i, name in enumerate((*names, "place", "fuel", "state_bytes")):
        if name in columns:
            results[:, i] = columns[name]
    return Answers.of(results)


def test_a_meta_that_says_the_least_is_long_only_without_leverage() -> None:
    meta, problems = read_meta({"name": "x", "lookback": 5})
    assert problems == []
    assert meta == ScriptMeta("x", 5, None, (), Direction.LONG, 1.0, True, False, "", "")


def test_a_meta_that_says_all_is_read() -> None:
    meta, problems = read_meta(
        {
            "name": "x",
            "lookback": 2000.0,
            "timeframe": "4h",
            "symbols": ["BTC/USDT", "ETH/USDT:USDT"],
            "direction": "both",
            "leverage": 2.5,
            "on_opposite": False,
            "sizing": "kelly",
            "type": "hybrid",
            "genome": "ab",
        }
    )
    assert problems == []
    assert meta is not None
    assert (meta.lookback_bars, meta.timeframe, meta.leverage) == (2000, "4h", 2.5)
    assert (meta.on_opposite, meta.is_kelly, meta.direction) == (False, True, Direction.BOTH)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "n" * 81}, "name"),
        ({"name": 3}, "name"),
        ({"lookback": None}, "lookback"),
        ({"lookback": 0}, "lookback"),
        ({"lookback": 2001}, "lookback"),
        ({"lookback": 2.5}, "lookback"),
        ({"lookback": "5"}, "lookback"),
        ({"lookback": True}, "lookback"),
        ({"lookback": math.inf}, "lookback"),
        ({"timeframe": "7m"}, "timeframe"),
        ({"timeframe": ["5m"]}, "timeframe"),
        ({"symbols": "BTC/USDT"}, "symbols"),
        ({"symbols": ["btc"]}, "symbols"),
        ({"direction": "up"}, "direction"),
        ({"leverage": 0.5}, "leverage"),
        ({"leverage": 4}, "leverage"),
        ({"on_opposite": "no"}, "on_opposite"),
        ({"sizing": "all"}, "sizing"),
        ({"type": "magic"}, "type"),
        ({"lookBack": 5}, "lookBack"),
    ],
)
def test_what_is_wrong_with_a_meta_is_named(changes: dict[str, object], field: str) -> None:
    meta, problems = read_meta({"name": "x", "lookback": 5} | changes)
    assert meta is None
    assert [problem.field for problem in problems] == [field]


@pytest.mark.parametrize("given", [None, 3, "x", []])
def test_a_meta_that_is_no_object_is_one_problem(given: object) -> None:
    assert [problem.field for problem in read_meta(given)[1]] == [""]


def test_intents_and_leaves_become_four_truths() -> None:
    given = answers(intent=[0, 1, 2, 3], leave=[3, 1, 2, 0], stop=[math.nan, 0.02, 0.04, math.nan])
    decisions = given.decisions(ScriptMeta("x", 1, leverage=3.0), 0.02)
    assert unpack(decisions.long_entry, 4).tolist() == [False, True, False, False]
    assert unpack(decisions.short_entry, 4).tolist() == [False, False, True, False]
    assert unpack(decisions.long_exit, 4).tolist() == [True, True, False, True]
    assert unpack(decisions.short_exit, 4).tolist() == [True, False, True, True]


def test_an_entry_without_a_size_risks_what_is_allowed_within_its_leverage() -> None:
    given = answers(intent=[1, 1, 1, 1], stop=[0.02, 0.005, 0.1, 0.02], size=[math.nan] * 3 + [0.3])
    sizes = given.decisions(ScriptMeta("x", 1, leverage=2.0), 0.02).size_frac
    assert sizes.tolist() == pytest.approx([1.0, 2.0, 0.2, 0.3])


def test_exits_belong_to_their_entry_and_no_time_limit_is_never() -> None:
    given = answers(intent=[1] * 4, stop=[0.01, 0.02, 0.03, 0.04], max_bars=[5, math.nan, 7, 8])
    exits = given.decisions(ScriptMeta("x", 1), 0.02).exit_rules
    assert exits[:, 0].tolist() == [0.01, 0.02, 0.03, 0.04]
    assert np.isnan(exits[:, 1:3]).all()
    assert exits[:, 3].tolist() == [5, NEVER, 7, 8]


def test_what_holds_for_all_entries_comes_from_the_meta() -> None:
    rules = rules_of(ScriptMeta("x", 1, on_opposite=False, is_kelly=True))
    assert (rules.on_opposite, rules.kelly) == (False, True)


def test_the_place_of_a_key_of_meta() -> None:
    assert meta_place(SOURCE, "lookback") == (3, 3)
    assert meta_place(SOURCE, "leverage") == (4, 3)
    assert meta_place(SOURCE, "symbols") == (1, 14)


@pytest.mark.parametrize(
    ("meta", "limits", "codes"),
    [
        (ScriptMeta("x", 1), RiskLimits("5m", "spot"), []),
        (ScriptMeta("x", 1, timeframe="1h"), RiskLimits("5m", "spot"), ["market.timeframe"]),
        (ScriptMeta("x", 1, direction=Direction.BOTH), RiskLimits("5m", "spot"), ["market.short"]),
        (ScriptMeta("x", 1, leverage=2.0), RiskLimits("5m", "spot"), ["market.leverage"]),
        (ScriptMeta("x", 1, leverage=2.0), RiskLimits("5m", "perp"), []),
        (ScriptMeta("x", 1, leverage=3.0), RiskLimits("5m", "perp", 2.0), ["risk.leverage"]),
    ],
)
def test_what_a_module_says_has_to_suit_the_market(
    meta: ScriptMeta, limits: RiskLimits, codes: list[str]
) -> None:
    assert [finding.code for finding in meta_findings(SOURCE, meta, limits)] == codes


@pytest.mark.parametrize(
    ("columns", "codes"),
    [
        ({"intent": [0, 1, 0, 3], "stop": [math.nan, 0.02, math.nan, math.nan]}, []),
        ({"intent": [0, 0, 2, 0], "stop": [0.02] * 4}, ["risk.side"]),
        ({"intent": [1] * 4, "stop": [0.005] * 4, "size": [1, 2, 2.5, 1]}, ["risk.leverage"]),
        ({"intent": [1] * 4, "stop": [0.02] * 4, "size": [1, 1, 1.1, 1]}, ["risk.per_trade"]),
        ({"intent": [1] * 4, "stop": [0.02] * 4, "size": [1.0000000001] * 4}, []),
        ({"intent": [0] * 4, "stop": [0.5] * 4, "size": [3.0] * 4}, []),
    ],
)
def test_entries_stay_inside_the_limits(columns: dict[str, list[float]], codes: list[str]) -> None:
    meta = ScriptMeta("x", 1, leverage=2.0)
    given = answers(**columns, place=[40.0] * 4)
    found = risk_findings(SOURCE, meta, given, BARS, RiskLimits("5m", "perp"))
    assert [finding.code for finding in found] == codes
    assert all((f.line, f.column) == SOURCE.place_of(40) for f in found)


def test_a_short_only_strategy_does_not_go_long() -> None:
    meta = ScriptMeta("x", 1, direction=Direction.SHORT)
    given = answers(intent=[2, 2, 1, 0], stop=[0.02] * 4)
    (finding,) = risk_findings(SOURCE, meta, given, BARS, RiskLimits("5m", "perp"))
    assert "goes long" in finding.message


def test_the_most_expensive_bar_is_estimated_by_its_fuel() -> None:
    given = answers(fuel=[10, 10, 10, 70], state_bytes=[4, 9, 2, 3])
    measures = measured(given, cpu_s=0.004, heap_bytes=1000, bundle_bytes=2000)
    assert measures.cpu_us_mean == pytest.approx(1000.0)
    assert measures.cpu_us_most == pytest.approx(2800.0)
    assert (measures.fuel_most, measures.state_bytes_most, measures.n_bars) == (70, 9, 4)
    assert resource_findings(measures, WorkerLimits()) == []


@pytest.mark.parametrize(
    ("limits", "code", "severity"),
    [
        (WorkerLimits(bundle_bytes=1999), "resources.bundle", "error"),
        (WorkerLimits(bundle_bytes=2500), "resources.bundle", "warning"),
        (WorkerLimits(cpu_ms=2.0), "resources.cpu", "error"),
        (WorkerLimits(cpu_ms=3.0), "resources.cpu", "warning"),
        (WorkerLimits(heap_bytes=999), "resources.memory", "error"),
    ],
)
def test_what_a_worker_lacks_is_found(limits: WorkerLimits, code: str, severity: str) -> None:
    given = answers(fuel=[10, 10, 10, 70], state_bytes=[4, 9, 2, 3])
    measures = measured(given, cpu_s=0.004, heap_bytes=1000, bundle_bytes=2000)
    (finding,) = resource_findings(measures, limits)
    assert (finding.code, finding.severity) == (code, severity)
