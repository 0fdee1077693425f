from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.cli import run
from engine.strategy.families.catalogue import FAMILIES


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PADDOCK_PATHS__HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a family, such as SMA_RSI: `paddock search --list` names them all"),
        (["SMA_RIS"], "no family is called 'SMA_RIS': did you mean SMA_RSI"),
        (["SMA_RSI", "--method", "luck"], "--method luck: use grid, random, genetic"),
        (["SMA_RSI", "--by", "sharp"], "--by sharp: did you mean sharpe? use one of fitness"),
        (["SMA_RSI", "--trials", "0"], "--trials 0"),
        (["SMA_RSI"], "the grid of SMA_RSI has 648 points, more than --trials 500"),
        (["CLASSIC_BREAKOUT", "--timeframe", "7m"], "--timeframe 7m: unknown"),
        (["CLASSIC_BREAKOUT", "--symbols", "BTC"], "'BTC' is not a symbol"),
        (["CLASSIC_BREAKOUT", "--exchange", "x"], "the generated market has no exchanges"),
    ],
)
def test_a_wrong_search_ends_with_one_line_and_starts_nothing(
    arguments: list[str], words: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["search", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not (home / "runtime.json").exists()


def test_the_list_has_every_family_with_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FAMILIES) + 1
    classic = next(line for line in lines if line.startswith("CLASSIC_BREAKOUT"))
    assert classic.split()[1] == "180"
    assert run(["search", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["families"]
    assert {item["family"]: item["size"] for item in listed} == {
        name: space.size for name, space in FAMILIES.items()
    }
