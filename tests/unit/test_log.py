from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from engine.clock import FakeClock
from engine.errors import ConfigError, DataError
from engine.log import HIDDEN, configure_log, get_log


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def logged(form: Any = "json", **kwargs: Any) -> io.StringIO:
    out = io.StringIO()
    configure_log(form, stream=out, clock=FakeClock(1_700_000_000_123), **kwargs)
    return out


def test_an_event_is_one_json_line_with_utc_time_and_ids() -> None:
    out = logged()
    get_log(cycle_id="c1").info("stage done", done=3)
    assert out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue()) == {
        "at": "2023-11-14T22:13:20.123Z",
        "level": "info",
        "event": "stage done",
        "cycle_id": "c1",
        "done": 3,
    }


def test_logfmt_starts_with_time_level_and_event() -> None:
    out = logged("logfmt")
    get_log(order_id="o1").warning("late", seconds=1.5)
    assert out.getvalue() == (
        "at=2023-11-14T22:13:20.123Z level=warning event=late order_id=o1 seconds=1.5\n"
    )


@pytest.mark.parametrize(
    "name", ["api_key", "API_KEY", "client_secret", "token", "db_password", "key"]
)
@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_values_named_as_secrets_are_hidden(name: str, form: str) -> None:
    out = logged(form)
    get_log().info("connected", **{name: "hunter2"})
    assert "hunter2" not in out.getvalue()
    assert HIDDEN in out.getvalue()


def test_secrets_are_hidden_inside_nested_values() -> None:
    out = logged()
    get_log().info("connected", venue={"name": "x", "auth": [{"secret": "hunter2"}]})
    assert json.loads(out.getvalue())["venue"] == {"name": "x", "auth": [{"secret": HIDDEN}]}


def test_passwords_in_addresses_are_hidden_even_in_tracebacks() -> None:
    out = logged()
    try:
        raise DataError("no answer from postgresql://paddock:hunter2@host/db")
    except DataError:
        get_log().exception("failed", url="postgresql://paddock:hunter2@host/db")
    line = json.loads(out.getvalue())
    assert "hunter2" not in out.getvalue()
    assert line["url"] == f"postgresql://paddock:{HIDDEN}@host/db"
    assert "DataError" in line["exception"]


@pytest.mark.parametrize("form", ["json", "logfmt"])
@pytest.mark.parametrize("mischief", ["a\nb", "a\r\nlevel=info event=forged", "a\u2028b", "a\x0bb"])
def test_a_message_with_line_breaks_stays_one_line(form: str, mischief: str) -> None:
    out = logged(form)
    get_log().info(mischief, detail=mischief)
    assert len(out.getvalue().splitlines()) == 1


def test_an_exception_in_logfmt_stays_one_line() -> None:
    out = logged("logfmt")
    try:
        raise DataError("boom")
    except DataError:
        get_log().exception("failed")
    assert len(out.getvalue().splitlines()) == 1


def test_an_error_of_ours_is_spelled_out_as_code_and_fields() -> None:
    out = logged()
    get_log().error("refused", error=DataError("bars missing", symbol="BTC/USDT"))
    line = json.loads(out.getvalue())
    assert (line["error"], line["error_type"], line["error_code"], line["symbol"]) == (
        "bars missing",
        "DataError",
        "data",
        "BTC/USDT",
    )


def test_events_below_the_level_are_not_written() -> None:
    out = logged(level="warning")
    get_log().info("quiet")
    assert out.getvalue() == ""


def test_without_configuration_events_go_to_stderr_not_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    get_log().info("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "event=hello" in captured.err


def test_a_log_file_is_appended_to_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "paddock.log"
    for event in ("one", "two"):
        with configure_log("json", path=path):
            get_log().info(event)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["one", "two"]


def test_a_log_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/paddock\.log: cannot write the log"):
        configure_log("json", path=tmp_path / "file" / "paddock.log")
