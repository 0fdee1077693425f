"""The command line: a bad wish is one clear line and an exit code, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import console.cli
from console.bindings import ENTRIES, Place, entries_at, footer_entries, markdown_table
from engine.strategy.library import ema_trend

ROOT = Path(__file__).resolve().parents[2]
MIN_CONFIG = '[paths]\nhome = "./var"\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text(MIN_CONFIG)
    monkeypatch.setenv("PADDOCK_CONFIG", str(config))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "var"


def paddock(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Run a command in this process; return its one line of complaint."""
    assert console.cli.run(list(arguments)) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cycle", "--count", "0"], "--count 0: use a whole number from 1 up, or infinite"),
        (["cycle", "--count", "many"], "--count many: use a whole number"),
        (["cycle", "--days", "-1"], "--days -1: use a whole number from 1 up"),
        (["cycle", "--seed", "-7"], "--seed -7: use a whole number from 0 up"),
        (["cycle", "--workers", "0"], "--workers 0"),
        (["cycle", "--timeframe", "7m"], "--timeframe 7m: unknown; use one of 1m"),
        (["cycle", "--symbols", "BTC"], "'BTC' is not a symbol: write it as BASE/QUOTE"),
        (["cycle", "--symbols", ","], "--symbols is empty"),
        (["cycle", "--symbols", "BTC/USDT,btc/usdt"], "BTC/USDT is named twice"),
        (["cycle", "--exchange", "binance"], "the generated market has no exchanges"),
        (["cycle", "--seed", "x"], "--seed"),
        (["cycle", "--frob"], "--frob"),
        (["frob"], "No such command 'frob'"),
        (["show"], "ID"),
        (["show", "abc", "def"], "def"),
        (["strategies", "--status", "winning"], "use one of generated rejected screened"),
        (["strategies", "--limit", "0"], "--limit 0"),
        (["fetch", "binance", "BTCUSDT"], "'BTCUSDT' is not a symbol"),
        (["fetch", "binance", "BTC/USDT", "--days", "0"], "--days 0"),
        (["backtest", "nothing"], "no strategy 'nothing'"),
        (["backtest", "missing.json"], "genome file missing.json: No such file"),
        (["backtest", "ema_trend", "--from", "yesterday"], "--from yesterday: write a UTC day"),
        (["backtest", "ema_trend", "--from", "2025-02-01", "--to", "2025-01-01"], "before --to"),
    ],
)
def test_usage_error_is_one_line_with_the_remedy_and_exit_code_2(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in refused(capsys, 2, *arguments)
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cycle", "--market", "nowhere"], "does not exist: check --market"),
        (["show", "abc"], "there is no database"),
        (["strategies"], "`paddock cycle` makes one"),
    ],
)
def test_failure_is_one_line_and_exit_code_1(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in refused(capsys, 1, *arguments)
    assert not home.exists()


def test_empty_market_folder_says_what_was_expected_there(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "market"
    folder.mkdir()
    complaint = refused(capsys, 1, "cycle", "--market", str(folder))
    assert "holds no series" in complaint
    assert not home.exists()


def test_misspelt_symbol_names_the_nearest_one(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "market" / "binance"
    folder.mkdir(parents=True)
    for name in ("BTC-USDT-5m", "ETH-USDT-5m"):
        (folder / f"{name}.parquet").touch()
    market = str(folder.parent)
    complaint = refused(capsys, 2, "cycle", "--market", market, "--symbols", "BTC/USTD")
    assert "did you mean BTC/USDT?" in complaint
    complaint = refused(
        capsys, 2, "cycle", "--market", market, "--symbols", "BTC/USDT", "--exchange", "binanc"
    )
    assert "did you mean binance?" in complaint


def test_misspelt_configuration_key_is_one_line_with_the_nearest_key(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.parent.joinpath("config.toml").write_text("[cycle]\ncuont = 5\n")
    complaint = refused(capsys, 1, "status")
    assert "cuont" in complaint
    assert "count" in complaint


def test_unwritable_home_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.write_text("a file where the home should be")
    complaint = refused(capsys, 1, "up")
    assert str(home) in complaint


def test_genome_file_that_is_no_genome_names_the_place(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"version": 1}')
    assert "bad.json: type" in refused(capsys, 2, "backtest", str(path))


def test_status_of_an_empty_home_is_told_in_words_and_as_json(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.cli.run(["status"]) == 0
    assert "none yet: `paddock cycle` runs one" in capsys.readouterr().out
    assert console.cli.run(["status", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert state["runtime"]["state"] == "down"
    assert state["market"] == {"label": "GENERATED", "edge": "momentum 0.15"}
    assert state["trading"]["cause"] == "not armed"
    assert state["cycle"] is None


def test_halt_latches_once_and_says_so_as_json(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for is_new in (True, False):
        assert console.cli.run(["halt", "--reason", "test", "--json"]) == 0
        told, cancelled = map(json.loads, capsys.readouterr().out.splitlines())
        assert (told["name"], told["state"], told["account"]) == ("latch", "ok", "paper")
        assert (told["halted"], told["new"], told["problems"]) == (True, is_new, [])
        assert (cancelled["name"], cancelled["state"]) == ("cancel", "ok")
    assert json.loads((home / "halt" / "HALT").read_text())["reason"] == "test"


def test_doctor_fails_when_the_home_cannot_be_written_and_names_the_remedy(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write_text("a file where the home should be")
    assert console.cli.run(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    (finding,) = [f for f in told["findings"] if f["subject"] == "home"]
    assert finding["state"] == "fail"
    assert "PADDOCK_PATHS__HOME" in finding["remedy"]


def test_doctor_is_content_with_a_fresh_home(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.cli.run(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert {"config", "python", "home", "database", "runtime"} <= {
        finding["subject"] for finding in told["findings"]
    }


def test_unexpected_error_is_one_line_and_its_traceback_is_in_a_file(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(_path: object) -> None:
        raise ZeroDivisionError("a bug")

    real = console.cli.open_session
    monkeypatch.setattr(console.cli, "open_session", explode)
    monkeypatch.setattr(console.cli, "_log_folders", lambda: [real(None).home / "logs"])
    complaint = refused(capsys, 1, "status")
    assert "unexpected ZeroDivisionError: a bug; the traceback is in" in complaint
    (log,) = (home / "logs").glob("crash-*.log")
    assert "Traceback" in log.read_text()


def test_without_a_terminal_the_console_says_so(home: Path) -> None:
    done = paddock()
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "paddock: the console needs a terminal; `paddock --help` lists the commands"
    )


def test_help_imports_nothing_heavy(home: Path) -> None:
    heavy = ("textual", "sqlalchemy", "numba", "ccxt", "ray", "torch", "numpy", "pydantic", "rich")
    code = (
        "import sys, console.cli\n"
        "code = console.cli.run(['--help'])\n"
        f"print(sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    started_s = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert time.perf_counter() - started_s < 30
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    for name in ("cycle", "fetch", "backtest", "strategies", "show", "up", "down", "doctor"):
        assert name in done.stdout


def test_backtest_of_a_genome_file_prints_metrics_by_symbol_and_segment(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(ema_trend("1h").canonical_json())
    arguments = ["backtest", str(path), "--days", "60", "--symbols", "BTC/USDT", "--json"]
    trades = tmp_path / "trades.csv"
    assert console.cli.run([*arguments, "--trades", str(trades)]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert [row["segment"] for row in told["results"]] == ["fit", "validation", "whole"]
    whole = told["results"][2]["metrics"]
    assert whole["n_bars"] == 60 * 24
    assert told["market"]["label"] == "GENERATED"
    assert len(trades.read_text().splitlines()) == whole["n_trades"] + 1
    assert captured.err.strip() == f"written: {trades}"


def test_backtest_that_cannot_write_its_file_is_one_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "no" / "such" / "folder.csv"
    arguments = ["backtest", "ema_trend", "--timeframe", "1h", "--symbols", "BTC/USDT"]
    complaint = refused(capsys, 1, *arguments, "--csv", str(path))
    assert "cannot write" in complaint


def test_broken_pipe_is_silent(home: Path) -> None:
    command = f"{sys.executable} -m console.cli doctor | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert "Traceback" not in done.stderr


def test_no_two_keys_clash_at_any_place() -> None:
    for place in Place:
        keys = [key for entry in entries_at(place) for key in entry.keys]
        assert len(keys) == len(set(keys)), place


def test_no_two_words_clash_at_any_place() -> None:
    for place in Place:
        words = [word for entry in entries_at(place) for word in entry.words]
        assert len(words) == len(set(words)), place


def test_footer_has_at_most_ten_keys_and_always_the_way_out() -> None:
    for place in (Place.OVERVIEW, Place.STRATEGIES, Place.STRATEGY):
        shown = footer_entries(place)
        assert len(shown) <= 10
        assert shown[-1].id == "leave"


def test_table_of_keys_for_the_readme_names_every_entry() -> None:
    table = markdown_table()
    assert all(entry.title in table for entry in ENTRIES)
