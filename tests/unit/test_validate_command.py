"""`paddock validate`: findings on stdout, 1 when any is an error, 2 when there is no genome."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import console.cli
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.market.store import MarketStore
from engine.strategy.genome import Exits, Genome, Risk
from engine.strategy.library import ema_trend, momentum
from engine.types import MS_PER_DAY, SeriesKey
from engine.validate.findings import Finding, Severity


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text('[paths]\nhome = "./var"\n[market]\ndays = 12\n')
    monkeypatch.setenv("PADDOCK_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "var"


def written(genome: Genome) -> str:
    Path("mine.json").write_text(genome.canonical_json())
    return "mine.json"


def stored(home: Path, exchange: str = "binance") -> None:
    """Keep bars of one symbol and make them the configured market."""
    bars = generate_bars("SOL/USDT", 1, end_at=GENERATED_START_AT + 150 * MS_PER_DAY)
    MarketStore(home / "market").write(SeriesKey(exchange, "SOL/USDT", "5m"), bars)
    config = home.parent / "config.toml"
    config.write_text(config.read_text() + 'source = "store"\nsymbols = ["SOL/USDT"]\n')


def test_an_honest_genome_has_no_findings(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    genome = ema_trend("1h")
    assert console.cli.run(["validate", written(genome)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    name, ground, last = captured.out.splitlines()
    assert name == f"mine.json  {genome.id[:8]}"
    assert ground.startswith(
        "checked on GENERATED (momentum 0.15) generated BTC/USDT 1h, 288 bars, "
    )
    assert last == "no findings"
    assert not home.exists()


def test_findings_are_a_table_or_json_and_the_exit_code_is_1(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(home)
    file = written(ema_trend("1h").with_changes(risk=Risk(leverage=2.0)))
    assert console.cli.run(["validate", file]) == 1
    captured = capsys.readouterr()
    assert "STORE binance SOL/USDT 1h" in captured.out
    row = captured.out.splitlines()[-1]
    assert row.split("  ") == [
        "error",
        "market.leverage",
        "risk.leverage",
        "a spot market has no leverage: set 1",
    ]
    assert console.cli.run(["validate", file, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["findings"] == [
        {
            "code": "market.leverage",
            "severity": "error",
            "message": "a spot market has no leverage: set 1",
            "place": "risk.leverage",
            "line": None,
            "column": None,
        }
    ]
    assert told["market"]["label"] == "STORE"
    assert told["market"]["instead_because"] == ""


def test_the_type_of_market_that_is_configured_counts(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(home)
    config = home.parent / "config.toml"
    config.write_text(config.read_text() + 'type = "perp"\n')
    file = written(ema_trend("1h").with_changes(risk=Risk(leverage=2.0)))
    assert console.cli.run(["validate", file]) == 0
    assert capsys.readouterr().out.endswith("no findings\n")


def test_look_ahead_is_among_the_findings(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    leak = Finding("look_ahead.decision", Severity.ERROR, "it knows", "long_entry at noon")
    seen = []

    def found(genome: Genome, bars: object, timeframe: str) -> list[Finding]:
        seen.append((genome, len(bars), timeframe))  # type: ignore[arg-type]
        return [leak]

    monkeypatch.setattr("engine.validate.look_ahead.look_ahead_findings", found)
    genome = ema_trend("1h")
    assert console.cli.run(["validate", written(genome), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [finding["code"] for finding in told["findings"]] == ["look_ahead.decision"]
    assert seen == [(genome, 288, "1h")]


def test_a_warning_alone_is_no_failure(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = home.parent / "config.toml"
    config.write_text(config.read_text().replace("days = 12", "days = 3"))
    assert console.cli.run(["validate", written(momentum("1h"))]) == 0
    assert "look_ahead.too_few_bars" in capsys.readouterr().out


def test_without_stored_bars_generated_ones_stand_in_and_that_is_said(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(home)
    file = written(ema_trend("1h").with_changes(symbols=("ETH/USDT",)))
    assert console.cli.run(["validate", file]) == 0
    captured = capsys.readouterr()
    assert "checked on generated bars, not the configured market: symbol ETH/USDT" in captured.err
    assert "checked on GENERATED (momentum 0.15) generated ETH/USDT 1h" in captured.out
    assert console.cli.run(["validate", file, "--json"]) == 0
    market = json.loads(capsys.readouterr().out)["market"]
    assert market["label"] == "GENERATED"
    assert "symbol ETH/USDT" in market["instead_because"]


def test_on_generated_bars_the_configured_exchange_still_allows_what_it_does(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = home.parent / "config.toml"
    config.write_text(config.read_text() + 'source = "store"\nexchange = "binance"\n')
    file = written(ema_trend("1h").with_changes(risk=Risk(leverage=2.0)))
    assert console.cli.run(["validate", file]) == 1
    captured = capsys.readouterr()
    assert "checked on generated bars" in captured.err
    assert "market.leverage" in captured.out


def test_json_that_is_no_genome_is_findings(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = json.loads(ema_trend("1h").canonical_json())
    fields["exits"] = Exits(stop_frac=0.02).model_dump() | {"stop_frac": 0.9, "hope": 1}
    Path("bad.json").write_text(json.dumps(fields))
    assert console.cli.run(["validate", "bad.json"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("bad.json  is not a genome\n")
    assert "exits.stop_frac" in out
    assert "exits.hope" in out
    assert console.cli.run(["validate", "bad.json", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["strategy"], told["market"]) == (None, None)
    assert {finding["place"] for finding in told["findings"]} == {"exits.stop_frac", "exits.hope"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.json", None, "genome file missing.json: No such file"),
        ("folder", None, "genome file folder: Is a directory"),
        ("text.json", b"not json", "genome file text.json: Invalid JSON"),
        ("empty.json", b"", "genome file empty.json: Invalid JSON"),
        ("bytes.json", b"\xff\xfe\x00", "genome file bytes.json: Invalid JSON"),
        ("deep.json", b"[" * 100_000, "genome file deep.json: Invalid JSON"),
        ("missing.js", None, "strategy file missing.js: No such file"),
        ("folder.js", None, "strategy file folder.js: Is a directory"),
    ],
    ids=("missing", "folder", "text", "empty", "bytes", "deep", "missing js", "folder js"),
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    words: str,
) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    elif name.startswith("folder"):
        Path(name).mkdir()
    assert console.cli.run(["validate", name]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert words in line
    assert not home.exists()
