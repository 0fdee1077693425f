"""`paddock alerts` and what the doctor says of channels and journals."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import console.cli
from engine.config import load_config
from engine.store.alerts import raise_alert, resolve_alert
from engine.store.database import Store, sqlite_url
from engine.trade.accounts import account_folder
from engine.trade.journal import Journal
from tests.journal_records import one_of_each
from tests.webhook import SECRET, closed_port

# apprise imports a module that a later Python will drop.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text('[paths]\nhome = "./var"\n')
    monkeypatch.setenv("PADDOCK_CONFIG", str(config))
    monkeypatch.delenv("PADDOCK_ALERT_URLS", raising=False)
    monkeypatch.delenv("PADDOCK_HEARTBEAT_URL", raising=False)
    monkeypatch.setattr("engine.alerts.PAUSES_S", ())
    home = load_config(None).paths.home
    home.mkdir()
    return home


@pytest.fixture
def raised(home: Path) -> Path:
    async def fill() -> None:
        store = await Store.open(sqlite_url(home))
        for key, level in (("latch:paper", "error"), ("silence:feeder", "warn"), ("old", "warn")):
            await raise_alert(
                store, key=key, level=level, title=key, message=f"words\nof {key}", at=1_000
            )
        await resolve_alert(store, "old", 2_000)
        await store.close()

    asyncio.run(fill())
    return home


@pytest.fixture
def hook() -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"json://127.0.0.1:{server.server_port}/{SECRET}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_alerts_are_listed_with_their_keys_until_they_are_over(
    raised: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.cli.run(["alerts"]) == 0
    lines = sorted(capsys.readouterr().out.splitlines())
    assert lines == [
        "error 1970-01-01 00:00Z  latch:paper  words of latch:paper",
        "warn  1970-01-01 00:00Z  silence:feeder  words of silence:feeder",
    ]
    assert console.cli.run(["alerts", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["alerts"]
    assert {row["key"] for row in told} == {"latch:paper", "silence:feeder"}


def test_acknowledged_alert_shows_by_whom_and_what_is_over_or_unknown_is_refused(
    raised: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert console.cli.run(["alerts", "ack", "latch:paper"]) == 0
    capsys.readouterr()
    console.cli.run(["alerts"])
    assert "latch:paper, seen by " in capsys.readouterr().out
    assert console.cli.run(["alerts", "ack", "old"]) == 2
    assert "alert old is over" in capsys.readouterr().err
    assert console.cli.run(["alerts", "ack", "nothing"]) == 2
    assert "there is no alert 'nothing'" in capsys.readouterr().err


def test_without_a_database_there_is_nothing_to_list(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.cli.run(["alerts"]) == 1
    assert console.cli.run(["alerts", "ack", "x"]) == 1
    assert capsys.readouterr().err.count("there is no database") == 2


def test_channels_are_tried_and_a_dead_one_fails_the_command_without_its_address(
    home: Path,
    hook: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert console.cli.run(["alerts", "test"]) == 2
    monkeypatch.setenv("PADDOCK_ALERT_URLS", hook)
    assert console.cli.run(["alerts", "test"]) == 0
    assert capsys.readouterr().out == "sent  1 (JSON)  \n"
    dead = f"json://127.0.0.1:{closed_port()}/{SECRET}"
    monkeypatch.setenv("PADDOCK_ALERT_URLS", f"{hook} {dead} nonsense://{SECRET}")
    assert console.cli.run(["alerts", "test", "--json"]) == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert [item["is_delivered"] for item in told["channels"]] == [True, False]
    assert len(told["problems"]) == 1
    assert SECRET not in said.out + said.err


def test_doctor_tells_of_channels_and_wrong_addresses_without_showing_them(
    home: Path,
    hook: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert console.cli.run(["doctor"]) == 0
    assert "nobody outside is told" in capsys.readouterr().out
    monkeypatch.setenv("PADDOCK_ALERT_URLS", f"{hook} nonsense://{SECRET}")
    monkeypatch.setenv("PADDOCK_HEARTBEAT_URL", f"http://127.0.0.1/{SECRET}")
    assert console.cli.run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "1 (JSON)" in out
    assert "address 2 of PADDOCK_ALERT_URLS is none that apprise knows" in out
    assert "a watcher outside is called" in out
    assert SECRET not in out


def test_doctor_verifies_the_journals(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal.open(account_folder(home, "paper"), "paper", reserve_bytes=65_536, now_at=1)
    journal.append(one_of_each(), 2)
    journal.close()
    assert console.cli.run(["doctor"]) == 0
    assert "paper: whole, 14 lines" in capsys.readouterr().out
    text = journal.path.read_bytes()
    journal.path.write_bytes(text.replace(b"29999.9", b"29999.8", 1))
    assert console.cli.run(["doctor"]) == 1
    assert "line 3 (seq 2): it does not match its own hash" in capsys.readouterr().out
