"""Foreign JavaScript in a disposable process: V8 without a way out, under limits that end it.

An embedded V8 can abort the process it lives in, and typed arrays escape its heap limit. So it
lives in a child of its own: no environment, no files but two pipes, memory and processor time
limited by the kernel, and a parent that waits no longer than it said. A child is used for one
strategy and thrown away.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np

from engine.errors import RuntimeUnavailable, SandboxDied, SandboxTimeout
from engine.types import Bars, FloatArray

N_RESULTS = 11
"""Numbers that one bar's answer becomes; `engine/strategy/javascript/harness.js` names them."""

_CHILD = Path(__file__).with_name("sandbox_child.py")
_HEADER = struct.Struct(">IB")
_BEAT = struct.Struct("<2d")
_MIB = 2**20
_START_S = 60.0
_GRACE_S = 3.0
_MAX_TEXT_BYTES = _MIB
# What V8 ends itself with when it cannot go on.
_ABORTS = (signal.SIGTRAP, signal.SIGABRT, signal.SIGSEGV, signal.SIGILL, signal.SIGBUS)


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What foreign code may take.

    Attributes
    ----------
    memory_mb : of V8's heap, and once more of what lies outside it
    cpu_s : processor time of one request
    wall_s : longest wait for one answer, for a machine that is busy with others
    total_cpu_s : processor time of all requests together
    """

    memory_mb: int = 128
    cpu_s: float = 1.5
    wall_s: float = 30.0
    total_cpu_s: float = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What one run gave.

    Attributes
    ----------
    told : what the harness says: `state` and `n_bars`, or `error` and `bar`; `cpu_s`, `heap_bytes`
    results : ndarray of shape (n_bars, N_RESULTS), float64; zeros where nothing ran
    """

    told: Mapping[str, Any]
    results: FloatArray


class Sandbox:
    """One child process, as a context manager; not for two threads at once.

    Every method raises
    ------
    SandboxTimeout : time is up; `fields` say where it was: `bar` and `place`, -1 for nowhere.
    SandboxDied : out of memory, or the process ended; the same fields.

    Nothing of it survives: leaving the context kills the child, and so does every failure.
    """

    def __init__(self, limits: SandboxLimits | None = None) -> None:
        self._limits = limits or SandboxLimits()
        self._process: subprocess.Popen[bytes] | None = None
        self._bar, self._place = -1, -1

    def __enter__(self) -> Self:
        """Start the child and wait until it can serve."""
        limits = self._limits
        told = {
            "memory_mb": limits.memory_mb,
            "cpu_s": limits.cpu_s,
            "total_cpu_s": max(1.0, limits.total_cpu_s),
        }
        # S603: our own interpreter and our own file.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(_CHILD), _packages(), json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            close_fds=True,
            start_new_session=True,
        )
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        try:
            self._answer(b"K", time.monotonic() + _START_S)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Return the child's process id, None when there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """Kill the child; done twice it does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def load(self, text: str) -> Mapping[str, Any]:
        """Read a bundle in a fresh world; return its `meta`, or an `error`."""
        self._bar, self._place = -1, -1
        return self._text_answer(b"L", text.encode())

    def fill(self, bars: Bars) -> None:
        """Give the loaded bundle the bars it will be asked about."""
        columns = (bars.timestamp, bars.open, bars.high, bars.low, bars.close, bars.volume)
        octets = b"".join(np.ascontiguousarray(c, dtype="<f8").tobytes() for c in columns)
        self._ask(b"B", octets)
        self._answer(b"K", time.monotonic() + self._limits.wall_s)

    def run(
        self,
        n_bars: int,
        lookback: int,
        *,
        first: int = 0,
        stop: int | None = None,
        state: str = "null",
    ) -> Reply:
        """Ask about bars first <= t < stop of the `n_bars` given, beginning with a state (JSON)."""
        stop = n_bars if stop is None else stop
        wanted = {"first": first, "stop": stop, "lookback": lookback, "state": state}
        told = self._text_answer(b"R", json.dumps(wanted).encode())
        octets = self._answer(b"D", time.monotonic() + self._limits.wall_s)
        results = np.frombuffer(octets, dtype="<f8")
        if results.shape[0] != n_bars * N_RESULTS:
            self._died("it gave back results of another size")
        return Reply(told, results.reshape(n_bars, N_RESULTS))

    def _text_answer(self, kind: bytes, payload: bytes) -> Mapping[str, Any]:
        self._ask(kind, payload)
        octets = self._answer(b"J", time.monotonic() + self._limits.wall_s)
        try:
            told = json.loads(octets)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            self._died("it answered with something else than an object")
        answer: Mapping[str, Any] = told
        return answer

    # Pipes

    def _ask(self, kind: bytes, payload: bytes) -> None:
        octets = memoryview(_HEADER.pack(len(payload), kind[0]) + payload)
        pipe = self._running().stdin
        until = time.monotonic() + self._limits.wall_s
        while octets and pipe is not None:
            self._wait(pipe.fileno(), select.POLLOUT, until)
            try:
                octets = octets[os.write(pipe.fileno(), octets[:_MIB]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                self._ended()

    def _answer(self, wanted: bytes, until: float) -> bytes:
        """Return the payload of the next frame of a kind; beats say where the child is."""
        while True:
            length, kind = _HEADER.unpack(self._exactly(_HEADER.size, until))
            room = _MAX_TEXT_BYTES if wanted != b"D" else 1 << 31
            if length > room:
                self._died("it answered with more than fits")
            payload = self._exactly(length, until)
            name = bytes([kind])
            if name == b"A" and length == _BEAT.size:
                self._hear(payload)
            elif name == b"X":
                self._stopped(payload)
            elif name == wanted:
                return payload
            else:
                self._died("it spoke out of turn")

    def _hear(self, payload: bytes) -> None:
        bar, place = _BEAT.unpack(payload)
        if np.isfinite(bar) and np.isfinite(place):
            self._bar, self._place = int(bar), int(place)

    def _exactly(self, n: int, until: float) -> bytes:
        pipe = self._running().stdout
        parts: list[bytes] = []
        while n > 0 and pipe is not None:
            self._wait(pipe.fileno(), select.POLLIN, until)
            try:
                part = os.read(pipe.fileno(), min(n, _MIB))
            except BlockingIOError:
                continue
            if not part:
                self._ended()
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def _wait(self, descriptor: int, event: int, until: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        left_s = until - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            limit = f"{self._limits.wall_s:g} s by the clock"
            self._fail(SandboxTimeout(f"the strategy was not done after {limit}", **self._where()))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise SandboxDied("the sandbox is closed: open a new one", **self._where())
        return self._process

    # Endings

    def _where(self) -> dict[str, object]:
        return {"bar": self._bar, "place": self._place}

    def _fail(self, error: SandboxTimeout | SandboxDied) -> NoReturn:
        self.close()
        raise error

    def _died(self, why: str) -> NoReturn:
        self._fail(SandboxDied(f"the sandbox cannot be trusted: {why}", **self._where()))

    def _stopped(self, payload: bytes) -> NoReturn:
        if payload == b"memory":
            self._out_of_memory()
        limit = f"{self._limits.cpu_s:g} s of processor time"
        self._fail(SandboxTimeout(f"the strategy was not done after {limit}", **self._where()))

    def _out_of_memory(self) -> NoReturn:
        limit = f"{self._limits.memory_mb} MiB"
        self._fail(SandboxDied(f"the strategy takes more than {limit}", **self._where()))

    def _ended(self) -> NoReturn:
        process = self._running()
        try:
            code = process.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            code = 0
        if -code in _ABORTS:
            self._out_of_memory()
        if -code in (signal.SIGXCPU, signal.SIGKILL):
            self._stopped(b"cpu")
        self._fail(SandboxDied(f"the sandbox ended (code {code})", **self._where()))


def _packages() -> str:
    """Return the folder in which py_mini_racer is installed, without importing it."""
    found = importlib.util.find_spec("py_mini_racer")
    if found is None or not found.submodule_search_locations:
        raise RuntimeUnavailable("V8 is missing: install mini-racer, then run again")
    return str(Path(next(iter(found.submodule_search_locations))).parent)
