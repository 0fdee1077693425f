"""The sandbox: what its child is given, and that every way of going wrong ends it and no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.deploy.bundle import assembled
from engine.deploy.instrument import Instrumented
from engine.errors import RuntimeUnavailable, SandboxDied, SandboxTimeout
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.strategy.javascript.run import harness_text
from engine.types import MS_PER_DAY, Bars
from engine.validate import sandbox
from engine.validate.sandbox import N_RESULTS, Sandbox, SandboxLimits

META = 'const meta = { name: "x", lookback: 3 };\n'
QUICK = SandboxLimits(memory_mb=64, cpu_s=0.4, wall_s=20.0, total_cpu_s=20.0)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return generate_bars("BTC/USDT", 3, end_at=GENERATED_START_AT + MS_PER_DAY)


def unguarded(body: str) -> str:
    """Return a bundle around a `decide` with that body, without any guard."""
    source = f"{META}function decide(bars, state) {{\n{body}\n}}"
    return assembled(Instrumented(source, ()), harness_text()).text


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_answers_come_back_as_an_array(bars: Bars) -> None:
    with Sandbox(QUICK) as box:
        told = box.load(unguarded('return { intent: "long", stop: 0.02, size: 0.5, state: 7 };'))
        assert told["meta"] == {"name": "x", "lookback": 3}
        box.fill(bars)
        reply = box.run(len(bars), 3)
        assert reply.results.shape == (len(bars), N_RESULTS)
        assert reply.results[:, 0].tolist() == [1.0] * len(bars)
        assert reply.results[0, 2] == 0.02
        assert np.isnan(reply.results[0, 3])
        assert reply.told["state"] == "7"


def test_a_bar_sees_itself_and_those_before_it_and_no_other(bars: Bars) -> None:
    body = "return { intent: 'long', stop: 0.02, size: bars.close.length, state: bars.close[0] };"
    with Sandbox(QUICK) as box:
        box.load(unguarded(body))
        box.fill(bars)
        reply = box.run(len(bars), 3, stop=5)
        assert reply.results[:5, 6].tolist() == [1, 2, 3, 3, 3]
        assert float(reply.told["state"]) == bars.close[2]


def test_writing_to_bars_changes_nothing_for_the_next_bar(bars: Bars) -> None:
    body = "const seen = bars.close[1]; bars.close.fill(-1); bars.t = 3; return { intent: 'hold' };"
    with Sandbox(QUICK) as box:
        box.load(unguarded(body))
        box.fill(bars)
        assert "TypeError" in box.run(len(bars), 3).told["error"]["message"]
        body = "const low = Math.min(...bars.close); bars.close.fill(-1);"
        box.load(unguarded(body + " return { intent: low < 0 ? 'long' : 'hold', stop: 0.1 };"))
        box.fill(bars)
        assert not box.run(len(bars), 3).results[:, 0].any()


def test_a_fresh_world_remembers_nothing(bars: Bars) -> None:
    body = "Math.seen = (Math.seen ?? 0) + 1; return { intent: Math.seen > 1 ? 'flat' : 'hold' };"
    with Sandbox(QUICK) as box:
        for _ in range(2):
            box.load(unguarded(body))
            box.fill(bars)
            told = box.run(len(bars), 3, stop=1)
            # The open names are frozen: nothing can be hung on them to begin with.
            assert "TypeError" in told.told["error"]["message"]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here")
def test_the_child_has_no_environment_no_files_and_its_own_session() -> None:
    with Sandbox(QUICK) as box:
        pid = box.pid
        assert pid is not None
        place = Path(f"/proc/{pid}")
        assert (place / "environ").read_bytes() == b""
        files = [str(entry.readlink()) for entry in (place / "fd").iterdir()]
        # The event loop inside wakes itself by a pair of its own sockets, which lead nowhere.
        known = ("pipe:", "/dev/null", "anon_inode:", "socket:")
        assert [file for file in files if not file.startswith(known)] == []
        sockets = {file[8:-1] for file in files if file.startswith("socket:")}
        for table in ("tcp", "tcp6", "udp", "udp6"):
            rows = (place / "net" / table).read_text().splitlines()[1:]
            assert sockets.isdisjoint(row.split()[9] for row in rows)
        assert os.getsid(pid) == pid
        assert str((place / "cwd").readlink()) == "/"
    assert not is_alive(pid)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("for (;;) {}", SandboxTimeout),
        ("const a = []; for (;;) a.push(new [].constructor(1e5).fill({}));", SandboxDied),
        ("new [].constructor(2 ** 31).fill(0);", SandboxDied),
    ],
    ids=("loop", "heap", "abort"),
)
def test_what_does_not_end_is_ended(body: str, error: type[Exception], bars: Bars) -> None:
    limits = replace(QUICK, cpu_s=0.4 if error is SandboxTimeout else 10.0)
    with Sandbox(limits) as box:
        box.load(unguarded(body))
        box.fill(bars)
        pid = box.pid
        began_s = time.monotonic()
        with pytest.raises(error) as caught:
            box.run(len(bars), 3)
        assert time.monotonic() - began_s < QUICK.wall_s
        assert caught.value.fields["bar"] in (0, -1)  # type: ignore[attr-defined]
        assert pid is not None
        assert not is_alive(pid)
        with pytest.raises(SandboxDied, match="closed"):
            box.load("1")


def test_typed_arrays_beyond_the_heap_are_bounded(bars: Bars) -> None:
    body = "const kept = []; for (;;) kept.push(new Float64Array(1e6).fill(1));"
    with Sandbox(QUICK) as box:
        box.load(unguarded(body.replace("Float64Array", "bars.close.constructor")))
        box.fill(bars)
        told = box.run(len(bars), 3).told
        assert "allocation failed" in told["error"]["message"]


def test_the_clock_on_the_wall_ends_a_child_that_says_nothing(bars: Bars) -> None:
    with Sandbox(SandboxLimits(wall_s=0.3)) as box:
        box.load(unguarded("return { intent: 'hold' };"))
        pid = box.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(SandboxTimeout, match="by the clock"):
            box.fill(bars)
    assert not is_alive(pid)


def test_a_killed_child_is_an_error_and_closing_twice_is_nothing(bars: Bars) -> None:
    box = Sandbox(QUICK).__enter__()
    box.load(unguarded("return { intent: 'hold' };"))
    assert box.pid is not None
    os.kill(box.pid, signal.SIGTERM)
    with pytest.raises(SandboxDied, match="ended"):
        box.fill(bars)
        box.run(len(bars), 3)
    box.close()
    box.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\\x00\\x00\\x00\\x02Jno", "something else than an object"),
        (b"\\x00\\x00\\x00\\x02D{}", "out of turn"),
        (b"\\x7f\\x00\\x00\\x00J", "more than fits"),
    ],
    ids=("no json", "wrong kind", "too large"),
)
def test_a_child_that_lies_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, words: str
) -> None:
    liar = tmp_path / "liar.py"
    liar.write_text(
        "import os\n"
        "os.write(1, b'\\x00\\x00\\x00\\x00K')\n"
        "os.read(0, 1)\n"
        f"os.write(1, b'{answer.decode()}')\n"
        "os.read(0, 1 << 20)\nos.read(0, 1 << 20)\n"
    )
    monkeypatch.setattr(sandbox, "_CHILD", liar)
    with Sandbox(QUICK) as box, pytest.raises(SandboxDied, match=words):
        box.load("1")


def test_a_missing_v8_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(RuntimeUnavailable, match="install mini-racer"), Sandbox(QUICK):
        pass


def test_a_dead_parent_takes_its_child_along(bars: Bars) -> None:
    program = (
        "import sys; from engine.validate.sandbox import Sandbox\n"
        "box = Sandbox().__enter__(); print(box.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    for _ in range(200):
        if not is_alive(pid):
            break
        time.sleep(0.05)
    assert not is_alive(pid)
    assert parent.stdin is not None
    parent.stdin.close()
    parent.stdout.close()
