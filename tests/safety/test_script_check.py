"""The validator as a whole, on sources that are not hostile but not fit either."""

from __future__ import annotations

import pytest

from engine.errors import DataError
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.strategy.javascript.contract import ScriptMeta
from engine.types import MS_PER_DAY, Bars
from engine.validate.findings import Severity
from engine.validate.resources import WorkerLimits
from engine.validate.risk_rules import RiskLimits
from engine.validate.sandbox import SandboxLimits
from engine.validate.script_check import ScriptLimits, ScriptReport, check_script, read_valid_script

HEAD = 'export const meta = {\n  name: "x",\n  lookback: 50,\n};\n'
QUIET = HEAD + 'export function decide() {\n  return { intent: "hold" };\n}\n'


@pytest.fixture(scope="module")
def bars() -> Bars:
    return generate_bars("BTC/USDT", 3, end_at=GENERATED_START_AT + 5 * MS_PER_DAY)


def check(
    source: str,
    bars: Bars,
    limits: ScriptLimits | None = None,
    risk: RiskLimits | None = None,
) -> ScriptReport:
    ground = risk or RiskLimits("5m", "perp")
    return check_script(source.encode(), lambda _meta: (bars, ground), limits)


def test_a_fit_source_has_no_finding_and_is_measured(bars: Bars) -> None:
    report = check(QUIET, bars)
    assert report.findings == ()
    assert report.is_fit
    assert report.meta == ScriptMeta("x", 50)
    assert report.measures is not None
    assert report.measures.n_bars == 50 + 576
    assert report.measures.state_bytes_most == len("null")
    assert report.source is not None
    assert len(report.source.id) == 32


def test_the_market_is_asked_for_once_the_strategy_has_said_what_it_is_for(bars: Bars) -> None:
    asked = []

    def ground(meta: ScriptMeta) -> tuple[Bars, RiskLimits]:
        asked.append(meta)
        return bars, RiskLimits("1h", "spot")

    source = QUIET.replace("lookback: 50", 'lookback: 50,\n  timeframe: "1h",\n  direction: "both"')
    report = check_script(source.encode(), ground)
    assert [meta.timeframe for meta in asked] == ["1h"]
    assert [(f.code, f.line) for f in report.findings] == [("market.short", 5)]
    check_script(b"export const meta = 1;", ground)
    assert len(asked) == 1


def test_what_the_market_raises_reaches_the_caller(bars: Bars) -> None:
    def ground(_meta: ScriptMeta) -> tuple[Bars, RiskLimits]:
        raise DataError("no bars")

    with pytest.raises(DataError, match="no bars"):
        check_script(QUIET.encode(), ground)


@pytest.mark.parametrize("n_bars", [0, 1, 100])
def test_too_few_bars_are_a_warning_at_the_lookback(n_bars: int, bars: Bars) -> None:
    report = check(QUIET, bars.slice(0, n_bars))
    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("sandbox.too_few_bars", Severity.WARNING)
    assert finding.line == 3
    assert report.is_fit
    assert (report.measures is None) == (n_bars == 0)


def test_a_slow_bar_is_an_error_where_a_worker_would_stop_it(bars: Bars) -> None:
    body = "let n = 0;\n  for (let i = 0; i < 1500; i++) n += Math.sqrt(i);\n"
    source = HEAD + f'export function decide() {{\n  {body}  return {{ intent: "hold" }};\n}}\n'
    limits = ScriptLimits(worker=WorkerLimits(cpu_ms=0.001))
    report = check(source, bars, limits)
    assert [finding.code for finding in report.findings] == ["resources.cpu"]
    assert check(source, bars).is_fit


def test_one_that_is_always_near_its_fuel_runs_out_of_time(bars: Bars) -> None:
    body = "for (let i = 0; i < 120000; i++) Math.log(i).toFixed(90);"
    source = HEAD + f'export function decide() {{\n  {body}\n  return {{ intent: "hold" }};\n}}\n'
    report = check(source, bars, ScriptLimits(sandbox=SandboxLimits(cpu_s=0.5)))
    (finding,) = report.findings
    assert (finding.code, finding.line) == ("sandbox.time", 6)
    assert "0.5 s of processor time" in finding.message


def test_an_error_in_a_helper_is_shown_in_the_helper(bars: Bars) -> None:
    source = (
        HEAD + "const deep = (x) => x.a.b;\n"
        "export function decide(bars, state) {\n  return deep(state ?? {});\n}\n"
    )
    (finding,) = check(source, bars).findings
    assert (finding.code, finding.line, finding.column) == ("sandbox.throw", 5, 25)
    assert "reading 'b'" in finding.message


def test_an_error_in_the_library_is_shown_where_it_was_called(bars: Bars) -> None:
    source = (
        'import { ema } from "paddock";\n'
        + HEAD
        + (
            "export function decide(bars, state) {\n"
            "  const value = ema(null, 3);\n"
            '  return { intent: value > 1 ? "long" : "hold", stop: 0.02, state };\n}\n'
        )
    )
    (finding,) = check(source, bars).findings
    assert (finding.code, finding.line, finding.column) == ("sandbox.throw", 7, 17)


def test_only_the_text_can_be_asked_about() -> None:
    source, findings = read_valid_script(QUIET.encode())
    assert source is not None
    assert findings == []
    source, findings = read_valid_script(QUIET.replace('"hold"', "fetch()").encode())
    assert source is None
    assert [finding.code for finding in findings] == ["name.global"]


def test_the_same_source_gets_the_same_findings_every_time(bars: Bars) -> None:
    source = (
        HEAD + "const box = [0];\nexport function decide() {\n"
        "  const mine = box;\n  mine[0] += 1;\n"
        '  return mine[0] % 9 ? { intent: "hold" } : { intent: "long", stop: 0.02 };\n}\n'
    )
    first, second = check(source, bars), check(source, bars)
    assert [finding.code for finding in first.findings] == ["state.hidden"]
    assert second.findings == first.findings
