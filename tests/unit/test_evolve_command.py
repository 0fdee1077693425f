"""What the command line says of the language model before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import console.cli
from engine.evolve.language_model import KEY_VARIABLES
from tests.openai_server import KEY


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PADDOCK_PATHS__HOME", str(tmp_path / "home"))
    for name in KEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def language_finding(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    console.cli.run(["doctor", "--json"])
    told = json.loads(capsys.readouterr().out)
    (finding,) = [f for f in told["findings"] if f["subject"] == "language"]
    found: dict[str, str] = finding
    return found


def test_the_doctor_says_why_the_language_model_is_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = language_finding(capsys)
    assert (found["state"], KEY_VARIABLES[0] in found["message"]) == ("ok", True)
    monkeypatch.setenv("PADDOCK_CYCLE__LANGUAGE_MODEL_SHARE", "0.2")
    found = language_finding(capsys)
    assert (found["state"], found["remedy"]) == ("warn", f"set {KEY_VARIABLES[0]}")


def test_the_doctor_names_server_and_share_and_never_the_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLES[1], KEY)
    monkeypatch.setenv("PADDOCK_CYCLE__LANGUAGE_MODEL_SHARE", "0.2")
    found = language_finding(capsys)
    assert found["state"] == "ok"
    assert "20% of candidates" in found["message"]
    assert KEY not in json.dumps(found)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cycle", "--replay", "1", "--count", "5"], "leave the rest out"),
        (["cycle", "--replay", "0"], "--replay"),
        (["evolve", "abc", "--rounds", "0"], "--rounds"),
        (["evolve", "abc", "--days", "0"], "--days"),
        (["evolve"], "ID"),
    ],
)
def test_a_wrong_wish_is_refused_before_a_runtime_starts(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert console.cli.run(arguments) == 2
    assert words in capsys.readouterr().err
    assert not (home / "paddock.db").exists()


def test_a_written_strategy_shows_who_wrote_it_in_how_many_tries() -> None:
    from console.commands.strategies import transcript_lines
    from engine.store.transcripts import TranscriptRow

    texts = ("plain@1|m-1", "m-1", "h", "{}", "a", "stop", "no stop\x1b[2J")
    refused = TranscriptRow(3, 8, 0, "refused", None, None, *texts, 900, 300, 0.1, 0.2, 1)
    accepted = TranscriptRow(3, 8, 1, "accepted", "s", None, *texts[:6], "", 900, 300, 0.1, 0.2, 1)
    lines = "\n".join(transcript_lines([refused, accepted]))
    assert "Written by plain@1 on m-1, 2,400 tokens" in lines
    assert "cycle 3, try 1: refused, no stop" in lines
    assert "\x1b" not in lines
    assert transcript_lines([]) == []
