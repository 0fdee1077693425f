"""The kill switch as the console follows it: steps, one act at a time, a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from console import kill_process
from console.kill_port import Verb
from console.kill_process import KillProcess, arguments_of, step_of
from console.kill_runs import KillRuns
from engine.clock import FakeClock
from engine.errors import RuntimeUnavailable
from engine.trade.kill_step import Step
from tests.console.fake_switch import CANCELLED, FakeSwitch
from tests.console.filled_store import session_of


def _runs(switch: FakeSwitch) -> tuple[KillRuns, list[int]]:
    changes: list[int] = []
    return KillRuns(switch, FakeClock(5), lambda: changes.append(1)), changes


async def test_a_later_step_of_the_same_name_replaces_the_earlier() -> None:
    runs, changes = _runs(FakeSwitch())
    run = await runs.run("cancel", ("paper",), "test")
    assert run is not None
    assert run.steps == (CANCELLED[1],)
    assert not run.is_moving
    assert not run.has_failed
    assert len(changes) == 4


async def test_the_same_act_is_not_begun_twice_at_once_but_others_are() -> None:
    switch = FakeSwitch(holds=True)
    runs, _ = _runs(switch)
    first = asyncio.create_task(runs.run("cancel", ("paper",), "test"))
    other = asyncio.create_task(runs.run("flatten", ("paper",), "test"))
    await asyncio.sleep(0)
    assert await runs.run("cancel", ("paper",), "test") is None
    assert "cancel" in {verb for verb, run in runs.runs.items() if run.is_moving}
    switch.release()
    await asyncio.gather(first, other)
    assert switch.verbs == ["cancel", "flatten"]
    assert not runs.is_moving
    assert await runs.run("cancel", ("paper",), "test") is not None


async def test_what_ended_long_ago_is_not_shown_any_more() -> None:
    clock = FakeClock(5)
    runs = KillRuns(FakeSwitch(), clock, lambda: None)
    await runs.run("cancel", ("paper",), "test")
    clock.advance(30)
    await runs.run("drill", ("paper",), "test")
    now_at = clock.now_at()
    assert [run.verb for run in runs.newest(now_at, 60_000)] == ["drill", "cancel"]
    assert [run.verb for run in runs.newest(now_at, 29_999)] == ["drill"]
    assert runs.newest(now_at + 60_000, 1) == []


async def test_an_act_that_breaks_ends_as_failed_with_its_words() -> None:
    runs, _ = _runs(FakeSwitch(error=OSError("no process")))
    run = await runs.run("cancel", ("paper",), "test")
    assert run is not None
    assert run.has_failed
    assert run.steps[-1] == Step("", "cancel", "failed", "no process")


async def test_an_act_that_is_given_up_does_not_move_for_ever() -> None:
    runs, _ = _runs(FakeSwitch(holds=True))
    task = asyncio.create_task(runs.run("cancel", ("paper",), "test"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not runs.is_moving


_PAPER = ("--account", "paper", "--reason", "why", "--json")


@pytest.mark.parametrize(
    ("verb", "accounts", "command"),
    [
        ("cancel", ("paper",), ["cancel", *_PAPER]),
        ("cancel", ("live", "paper"), ["cancel", "--account", "all", *_PAPER[2:]]),
        ("cancel stops", ("paper",), ["cancel", "--stops", *_PAPER]),
        ("flatten", ("paper",), ["flatten", "--yes", *_PAPER]),
        ("rearm", ("paper",), ["rearm", "--confirm", "paper", *_PAPER]),
        ("drill", ("paper",), ["drill", "--json"]),
    ],
)
def test_an_act_is_a_command(verb: Verb, accounts: Sequence[str], command: list[str]) -> None:
    assert arguments_of(verb, accounts, "why") == command


@pytest.mark.parametrize(
    ("verb", "accounts"),
    [
        ("cancel", ["paper"]),
        ("cancel stops", ["live", "paper"]),
        ("flatten", ["paper"]),
        ("rearm", ["paper"]),
        ("drill", ["paper"]),
    ],
)
def test_the_command_line_knows_these_commands(verb: Verb, accounts: list[str]) -> None:
    import typer

    from console.cli import build_app

    command = typer.main.get_command(build_app())
    name, *options = arguments_of(verb, accounts, "why")
    found = command.commands[name]  # type: ignore[attr-defined]
    known = {flag for parameter in found.params for flag in parameter.opts}
    assert {option for option in options if option.startswith("--")} <= known


@pytest.mark.parametrize(
    "line",
    [
        "",
        "talk",
        "[]",
        "3",
        '{"state": "odd", "name": "x"}',
        '{"state": "ok"}',
        '{"state": "ok", "name": "x", "done": "many"}',
        '{"state": "ok", "name": "x", "spent_ms": "x"}',
    ],
)
def test_a_line_that_tells_no_step_is_passed_over(line: str) -> None:
    assert step_of(line) is None


def test_a_line_that_tells_a_step_is_understood() -> None:
    line = json.dumps(
        {"account": "paper", "name": "cancel", "state": "ok", "words": "w", "done": 1, "total": 2}
    )
    assert step_of(line) == Step("paper", "cancel", "ok", "w", 1, 2)


def _process(monkeypatch: pytest.MonkeyPatch, code: str) -> KillProcess:
    def command(_self: object, *_args: object) -> list[str]:
        return [sys.executable, "-c", code]

    monkeypatch.setattr(KillProcess, "_command", command)
    return KillProcess(session_of(Path("/nowhere")))


_STEP = '{"account": "paper", "name": "%s", "state": "%s", "words": "%s"}'


async def test_steps_are_heard_while_the_process_works(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, time\n"
        f"print('{_STEP % ('cancel', 'moving', 'one')}', flush=True)\n"
        "print('not a step', flush=True)\n"
        "sys.stdout.write('{\"account\"'); sys.stdout.flush()\n"
        "time.sleep(0.05)\n"
        'sys.stdout.write(\': "paper", "name": "cancel", "state": "ok"}\\n\')\n'
    )
    switch = _process(monkeypatch, code)
    heard = [step.state async for step in switch.act("cancel", ("paper",), "test")]
    assert heard == ["moving", "ok"]


async def test_a_process_that_dies_without_a_word_is_told_by_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "import sys; sys.exit('paddock: the configuration is not readable')"
    switch = _process(monkeypatch, code)
    with pytest.raises(RuntimeUnavailable, match=r"^the configuration is not readable$"):
        async for _ in switch.act("cancel", ("paper",), "test"):
            pass


async def test_a_process_that_told_its_failure_is_not_told_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = f"import sys; print('{_STEP % ('cancel', 'failed', 'two left')}'); sys.exit(1)"
    switch = _process(monkeypatch, code)
    assert [step.words async for step in switch.act("cancel", ("paper",), "t")] == ["two left"]


async def test_a_process_that_cannot_be_started_is_an_os_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(KillProcess, "_command", lambda *_: ["/no/such/program"])
    with pytest.raises(OSError, match="No such file"):
        async for _ in KillProcess(session_of(Path("/nowhere"))).act("cancel", ("paper",), "t"):
            pass


async def test_the_process_goes_on_when_the_console_stops_listening(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    code = (
        "import time, pathlib\n"
        f"print('{_STEP % ('cancel', 'moving', 'one')}', flush=True)\n"
        "time.sleep(0.2)\n"
        f"print('{_STEP % ('cancel', 'ok', 'all')}', flush=True)\n"
        f"pathlib.Path({str(done)!r}).write_text(str(__import__('os').getsid(0)))\n"
    )
    started: list[subprocess.Popen[bytes]] = []
    real_start = kill_process._start

    def start(command: list[str], heard: int, talk: int) -> subprocess.Popen[bytes]:
        started.append(real_start(command, heard, talk))
        return started[-1]

    monkeypatch.setattr(kill_process, "_start", start)
    listening = _process(monkeypatch, code).act("cancel", ("paper",), "test")
    assert (await anext(listening)).words == "one"
    await listening.aclose()  # type: ignore[attr-defined]
    code_at_end = await asyncio.to_thread(started[0].wait, 20)
    assert code_at_end == 0
    assert int(done.read_text()) != os.getsid(0)


async def test_the_real_command_latches_and_answers_for_an_account_that_never_traded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PADDOCK_PATHS__HOME", str(home))
    switch = KillProcess(session_of(home))
    steps = [step async for step in switch.act("cancel", ("paper",), "test")]
    assert [(step.account, step.name, step.state) for step in steps] == [
        ("paper", "latch", "ok"),
        ("paper", "cancel", "ok"),
    ]
    assert json.loads((home / "halt" / "HALT").read_text())["reason"] == "test"
