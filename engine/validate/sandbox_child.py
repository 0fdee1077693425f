"""The disposable process that foreign JavaScript runs in; `engine.validate.sandbox` starts it.

Run as a program with Python's own library and py_mini_racer alone, without environment, files or
network of its own use. What it takes after start-up is limited by the kernel; a V8 that aborts, and
it does, takes only this process with it. Frames on both pipes: length (4 bytes), kind (1 byte),
payload.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

_HEADER = struct.Struct(">IB")
_BEAT = struct.Struct("<2d")
_BEAT_S = 0.02
_N_COLUMNS = 6
_MIB = 2**20
_FILES = 24
_STATUS = Path("/proc/self/status")

Frame = tuple[bytes, bytes]


class Child:
    """Serve one parent until it closes the pipe or a limit is reached.

    Parameters
    ----------
    limits : memory_mb of V8's heap and, once more, of everything outside it; cpu_s of each request
    """

    def __init__(self, limits: dict[str, float]) -> None:
        from py_mini_racer import MiniRacer, init_mini_racer

        heap_mb = int(limits["memory_mb"])
        init_mini_racer(
            flags=(
                "--single-threaded",
                "--disallow-code-generation-from-strings",
                f"--max-heap-size={heap_mb}",
            )
        )
        self._make = MiniRacer
        self._context: Any = MiniRacer()
        self._limits = limits
        self._beat: memoryview | None = None
        self._limit_memory(heap_mb * _MIB)

    def _limit_memory(self, budget: int) -> None:
        # V8 reserves address space for all it may ever use: only what is really written counts,
        # which RLIMIT_DATA sees and RLIMIT_AS does not; the second stops new reservations.
        if _STATUS.exists():
            for kind, name in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
                most = _status_bytes(name) + budget + 64 * _MIB
                resource.setrlimit(kind, (most, most))
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))

    def serve(self) -> None:
        """Answer requests in order."""
        while True:
            frame = _read()
            if frame is None:
                return
            kind, payload = frame
            if kind == b"L":
                self._load(payload.decode())
            elif kind == b"B":
                self._fill(payload)
            elif kind == b"R":
                self._run(json.loads(payload))

    def _load(self, text: str) -> None:
        self._context.close()
        self._context = self._make()
        self._beat = None
        begun = self._watched(lambda: self._begin(text))
        _write(b"J", json.dumps(begun).encode())

    def _begin(self, text: str) -> dict[str, Any]:
        from py_mini_racer import JSEvalException, JSParseException

        try:
            self._context.eval(text)
            self._beat = self._context.eval("$$beat.buffer")
            self._context.eval("$$harden(); $$alone();")
            found: dict[str, Any] = json.loads(self._context.eval("$$load($$FUEL)"))
        except (JSEvalException, JSParseException) as exc:
            return {"error": {"code": "load", "message": str(exc)[:2000], "stack": "", "place": -1}}
        return found

    def _fill(self, payload: bytes) -> None:
        n_bars = len(payload) // (8 * _N_COLUMNS)
        self._context.eval(f"$$columns({n_bars})")
        for i in range(_N_COLUMNS):
            room = self._context.eval(f"$$series[{i}].buffer")
            room[:] = payload[i * 8 * n_bars : (i + 1) * 8 * n_bars]
        _write(b"K", b"")

    def _run(self, wanted: dict[str, Any]) -> None:
        arguments = ", ".join(
            json.dumps(wanted[name]) for name in ("first", "stop", "lookback", "state")
        )
        began_s = time.process_time()
        text = self._watched(lambda: self._context.eval(f"$$run({arguments}, $$FUEL)"))
        reply = json.loads(str(text))
        reply["cpu_s"] = time.process_time() - began_s
        reply["heap_bytes"] = self._context.heap_stats()["used_heap_size"]
        _write(b"J", json.dumps(reply).encode())
        _write(b"D", bytes(self._context.eval("$$results.buffer")))

    def _watched(self, work: Any) -> Any:
        """Do some work, telling the parent where it is and stopping when its time is up."""
        done: list[Any] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                done.append(work())
            except BaseException as exc:
                failed.append(exc)

        began_s = time.process_time()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while True:
            thread.join(_BEAT_S)
            if not thread.is_alive():
                break
            beat = self._beat
            _write(b"A", bytes(beat) if beat is not None else _BEAT.pack(-1, -1))
            if time.process_time() - began_s > self._limits["cpu_s"]:
                _write(b"X", b"cpu")
                os._exit(3)
        if failed:
            # V8 names its own limit; what Python could not allocate is the same to the parent.
            if type(failed[0]).__name__ == "JSOOMException":
                raise MemoryError
            raise failed[0]
        return done[0]


def _status_bytes(name: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0


def _read() -> Frame | None:
    header = _exactly(_HEADER.size)
    if header is None:
        return None
    length, kind = _HEADER.unpack(header)
    payload = _exactly(length)
    return None if payload is None else (bytes([kind]), payload)


def _exactly(n: int) -> bytes | None:
    parts = []
    while n > 0:
        part = os.read(0, min(n, _MIB))
        if not part:
            return None
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def _write(kind: bytes, payload: bytes) -> None:
    octets = memoryview(_HEADER.pack(len(payload), kind[0]) + payload)
    while octets:
        octets = octets[os.write(1, octets) :]


def main() -> None:
    """Limit this process, start V8, serve."""
    limits = json.loads(sys.argv[2])
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, 0))
    total_s = int(limits["total_cpu_s"])
    resource.setrlimit(resource.RLIMIT_CPU, (total_s, total_s + 1))
    sys.path.append(sys.argv[1])
    child = Child(limits)
    _write(b"K", b"")
    try:
        child.serve()
    except MemoryError:
        _write(b"X", b"memory")
    os._exit(0)


if __name__ == "__main__":
    main()
