"""`paddock validate FILE.js` and `paddock backtest FILE.js`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import console.cli
from engine.strategy.javascript.writer import javascript_of
from engine.strategy.library import library_genome

QUIET = (
    'export const meta = { name: "quiet", lookback: 2 };\n'
    'export function decide() {\n  return { intent: "hold" };\n}\n'
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text(
        '[paths]\nhome = "./var"\n[market]\ndays = 20\nsymbols = ["BTC/USDT", "ETH/USDT"]\n'
    )
    monkeypatch.setenv("PADDOCK_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "var"


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code = console.cli.run([*arguments, "--json"])
    captured = capsys.readouterr()
    found: dict[str, Any] = json.loads(captured.out)
    return found | {"code": code, "err": captured.err}


def test_a_fit_file_is_said_to_be_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("quiet.js").write_text(QUIET)
    assert console.cli.run(["validate", "quiet.js"]) == 0
    name, ground, measures, last = capsys.readouterr().out.splitlines()
    assert name.startswith("quiet.js  quiet  ")
    assert ground.startswith("checked on GENERATED (momentum 0.15) generated BTC/USDT 5m")
    assert measures.startswith("bundle ")
    assert last == "no findings"
    assert not home.exists()


def test_findings_name_line_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.js").write_text(QUIET.replace('return { intent: "hold" }', "return fetch()"))
    assert console.cli.run(["validate", "bad.js"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == "bad.js  cannot run"
    assert second == "error  name.global  3:10  `fetch` is closed: the network is closed"
    found = told(capsys, "validate", "bad.js")
    assert (found["code"], found["strategy"], found["market"]) == (1, None, None)
    assert [(f["code"], f["line"], f["column"]) for f in found["findings"]] == [
        ("name.global", 3, 10)
    ]


def test_json_has_the_measures_and_the_market(capsys: pytest.CaptureFixture[str]) -> None:
    Path("quiet.js").write_text(QUIET)
    found = told(capsys, "validate", "quiet.js")
    assert found["code"] == 0
    assert found["strategy"]["name"] == "quiet"
    assert found["market"]["symbol"] == "BTC/USDT"
    assert found["measures"]["bundle_bytes"] > 0
    assert found["findings"] == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "script.empty"),
        (b"this is not JavaScript", "syntax.error"),
        (b"x" * 5_000_000, "script.size"),
        (b"\xff\xfe", "script.encoding"),
        (b'export const meta = { name: "x", lookback: 2 };', "export.missing"),
        (QUIET.replace('"hold"', '"buy"').encode(), "answer.intent"),
        (QUIET.replace("lookback: 2", "lookback: 0").encode(), "meta.value"),
    ],
    ids=("empty", "prose", "5 MB", "not text", "no decide", "intent", "lookback"),
)
def test_bad_input_is_a_finding(
    content: bytes, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.js").write_bytes(content)
    found = told(capsys, "validate", "bad.js")
    assert found["code"] == 1
    assert found["findings"][0]["code"] == code
    assert console.cli.run(["backtest", "bad.js"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "bad.js" in line
    assert "paddock validate bad.js" in line


def test_a_generated_file_backtests_as_its_genome(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    genome = library_genome("bollinger_reversion", "5m")
    Path("mine.js").write_text(javascript_of(genome, "mine"))
    Path("mine.json").write_text(genome.canonical_json())
    script = told(capsys, "backtest", "mine.js", "--trades", "js.csv")
    ours = told(capsys, "backtest", "mine.json", "--trades", "json.csv")
    assert script["results"] == ours["results"]
    assert len(script["results"]) == 6
    assert script["strategy"]["name"] == "mine"
    assert script["strategy"]["type"] == "mean_reversion"
    assert (tmp_path / "js.csv").read_text() == (tmp_path / "json.csv").read_text()
    assert len((tmp_path / "js.csv").read_text().splitlines()) > 10


def test_a_file_says_its_own_timeframe_and_symbols(capsys: pytest.CaptureFixture[str]) -> None:
    said = 'lookback: 2, timeframe: "1h", symbols: ["ETH/USDT"]'
    Path("hourly.js").write_text(QUIET.replace("lookback: 2", said))
    found = told(capsys, "backtest", "hourly.js")
    assert found["market"]["timeframe"] == "1h"
    assert {result["symbol"] for result in found["results"]} == {"ETH/USDT"}
    assert console.cli.run(["backtest", "hourly.js"]) == 0
    out = capsys.readouterr().out
    assert "Written strategy, long only, looks back 2 bars." in out


def test_what_fails_only_later_names_the_bar_and_the_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("late.js").write_text(
        'export const meta = { name: "late", lookback: 1 };\n'
        "export function decide(bars, state) {\n"
        "  const n = (state ?? 0) + 1;\n"
        '  if (n > 2000) throw new Error("enough");\n'
        '  return { intent: "hold", state: n };\n}\n'
    )
    assert console.cli.run(["validate", "late.js"]) == 0
    capsys.readouterr()
    assert console.cli.run(["backtest", "late.js"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "late stopped at line 4 on the bar of 20" in captured.err
    assert "enough" in captured.err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("validate", "backtest"):
        assert console.cli.run([command, "gone.js"]) == 2
        assert "strategy file gone.js: No such file" in capsys.readouterr().err
