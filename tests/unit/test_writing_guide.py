"""The guide for people who write strategies: its examples run, and it names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.backtest.run import BacktestSettings, Evaluator, prepare_series
from engine.deploy.bundle import DECIDE_FUEL
from engine.deploy.instrument import BYTES_PER_UNIT
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.strategy.javascript.allowed import CLOSED_NAMES, GLOBALS, TEXT_MAX
from engine.strategy.javascript.contract import (
    LOOKBACK_MAX_BARS,
    SOURCE_MAX_BYTES,
    STATE_MAX_BYTES,
    meta_keys,
)
from engine.strategy.javascript.library import library_names
from engine.strategy.javascript.run import backtest_script, run_script
from engine.strategy.javascript.source import parse_source
from engine.types import MS_PER_DAY, Bars
from engine.validate.look_ahead import TESTED_BARS
from engine.validate.risk_rules import RiskLimits
from engine.validate.script_check import check_script

GUIDE = (Path(__file__).parents[2] / "docs" / "writing-strategies.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```js\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return generate_bars("BTC/USDT", 5, end_at=GENERATED_START_AT + 40 * MS_PER_DAY)


def test_there_are_two_examples() -> None:
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("source", EXAMPLES, ids=("by hand", "with the library"))
def test_an_example_is_valid_on_a_spot_market_and_trades(source: str, bars: Bars) -> None:
    report = check_script(source.encode(), lambda _meta: (bars, RiskLimits("5m", "spot")))
    assert report.findings == ()
    meta, run = run_script(parse_source(source), bars)
    prepared = prepare_series("BTC/USDT", "made", "5m", "spot", bars, ())
    result = backtest_script(meta, run.answers, Evaluator(prepared, BacktestSettings()), 0.02)
    assert len(result.trades) > 10
    assert {trade.side for trade in result.trades} == {1}


def test_everything_in_the_library_and_the_contract_is_named() -> None:
    for name in (*library_names(), *meta_keys(), *GLOBALS):
        known = ("undefined", "NaN", "Infinity", "genome")
        is_array = name.endswith("Array") and name != "Array"
        assert name in known or is_array or re.search(rf"[`\s]{name}\b", GUIDE), name


def test_the_numbers_are_those_of_the_code() -> None:
    for number in (STATE_MAX_BYTES, LOOKBACK_MAX_BARS, DECIDE_FUEL):
        assert f"{number:,}" in GUIDE
    assert f"{SOURCE_MAX_BYTES // 1024} KiB" in GUIDE
    assert f"every {BYTES_PER_UNIT} characters" in GUIDE
    assert f"at most {TEXT_MAX} characters" in GUIDE
    assert f"`lookback` + {TESTED_BARS}" in GUIDE
    for name in ("constructor", "prototype", "call", "apply", "bind", "concat", "join", "repeat"):
        assert name in CLOSED_NAMES
        assert f"`{name}`" in GUIDE
