"""Sources written to do harm: each is found out and shown its place, and none gets anything."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.deploy.bundle import assembled
from engine.deploy.instrument import Instrumented
from engine.errors import SandboxDied, SandboxTimeout
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.strategy.javascript.contract import ScriptMeta
from engine.strategy.javascript.run import harness_text
from engine.types import MS_PER_DAY, Bars
from engine.validate.findings import Severity
from engine.validate.risk_rules import RiskLimits
from engine.validate.sandbox import Sandbox, SandboxLimits
from engine.validate.script_check import check_script

SOURCES = sorted((Path(__file__).parent / "hostile").glob("*.js"))
HERE = re.compile(r"\bhere\b")
LIMITS = RiskLimits("5m", "perp")
# What a source that got hold of something would answer with, and which sources would.
PROOF = ("network_", "timer_", "clock_", "chance_", "code_", "global_", "peek_")
UNGUARDED = SandboxLimits(memory_mb=64, cpu_s=0.3, wall_s=20.0, total_cpu_s=10.0)
CPU_S = 2.0


@pytest.fixture(scope="module")
def bars() -> Bars:
    end_at = GENERATED_START_AT + 5 * MS_PER_DAY
    return generate_bars("BTC/USDT", 3, end_at=end_at)


def spent_s() -> float:
    """Return the processor time of all children that have ended, s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_there_are_enough_of_them_of_every_kind() -> None:
    kinds = {path.stem.split("_")[0] for path in SOURCES}
    assert len(SOURCES) >= 150
    assert kinds >= {
        *("network", "timer", "clock", "chance", "code", "global", "proxy", "escape"),
        *("loop", "memory", "answer", "peek", "hidden", "meta", "syntax"),
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_validator_finds_it_and_names_its_place(path: Path, bars: Bars) -> None:
    content = path.read_bytes()
    lines = content.decode().split("\n")
    places = {number for number, line in enumerate(lines, 1) if HERE.search(line)}
    before_s = spent_s()
    report = check_script(content, lambda _meta: (bars, LIMITS))
    assert spent_s() - before_s < CPU_S
    assert not report.is_fit
    first = next(f for f in report.findings if f.severity is Severity.ERROR)
    assert first.line in places, first
    assert first.column is not None
    assert 1 <= first.column <= len(lines[first.line - 1]) + 1
    assert first.message


@pytest.fixture(scope="module")
def boxes() -> Iterator[list[Sandbox]]:
    """One sandbox at a time, kept for as long as it lives."""
    held: list[Sandbox] = []
    yield held
    for box in held:
        box.close()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_even_unread_and_unguarded_it_gets_nothing_and_ends(
    path: Path, bars: Bars, boxes: list[Sandbox]
) -> None:
    """The sandbox alone: no syntax checks, no fuel; where room is taken, V8's own names as well."""
    source = re.sub(r"^export (?=const|function|async)", "", path.read_text(), flags=re.M)
    text = assembled(Instrumented(source, ()), harness_text()).text
    if path.stem.startswith(("memory_", "loop_")):
        text = re.sub(r"^const \{ .* \} = \$\$OPEN;$", "", text, flags=re.M)
    if not boxes or boxes[0].pid is None:
        boxes[:] = [Sandbox(UNGUARDED).__enter__()]
    box = boxes[0]
    n_bars = 450
    try:
        told = box.load(text)
        if "error" in told:
            return
        box.fill(bars.slice(0, n_bars))
        lookback = ScriptMeta("hostile", 20).lookback_bars
        results = box.run(n_bars, lookback).results
    except (SandboxTimeout, SandboxDied):
        assert box.pid is None
        return
    if path.stem.startswith(PROOF) or "=== 7" in source:
        assert not (results[:, 0] == 1).any()
