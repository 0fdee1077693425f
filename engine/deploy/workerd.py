"""workerd, the open-source Worker runtime, as a supervised process of this machine.

One process serves a few strategies, each as a service with a socket of its own, all shut off from
the network. workerd has no limit of time or memory: loops have fuel (`engine.deploy.instrument`),
and here a process that ends, or no longer answers, is started again.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.deploy.bundle import Bundle
from engine.deploy.worker_client import WorkerClient
from engine.errors import PaddockError, RuntimeUnavailable, UsageError

COMPATIBILITY_DATE = "2026-10-01"
TOKEN_VARIABLE = "PADDOCK_WORKER_TOKEN"  # noqa: S105
MAX_SERVICES = 10
"""Strategies in one process: what one of them does to it the others suffer."""

_START_S = 10.0
_STOP_S = 3.0
_MACHINES = {"x86_64": "64", "amd64": "64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Restart:
    """Why a process was started again."""

    reason: str
    n_restarts: int


def workerd_path() -> Path:
    """Return the program.

    Raises
    ------
    RuntimeUnavailable : it is not installed; the message says how to.
    """
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, sys.platform)
    machine = _MACHINES.get(platform.machine().lower(), platform.machine())
    within = Path("node_modules", "@cloudflare", f"workerd-{system}-{machine}", "bin", "workerd")
    own = Path(sys.prefix) / "workerd" / within
    if own.is_file():
        return own
    found = shutil.which("workerd")
    if found is None:
        raise RuntimeUnavailable("workerd is not installed: run scripts/workerd once")
    return Path(found)


class Workerd:
    """One workerd process with its services, as an async context manager.

    A crash loses nothing: Workers keep no state, callers do. Starting twice is refused; stopping
    twice is nothing. After a restart the addresses may be others: ask `url` again.

    Parameters
    ----------
    folder : its configuration and bundles are written here
    bundles : by service name (letters, digits, dashes); at most MAX_SERVICES
    token : that every question must carry; handed over by environment, never written down
    marks : further environment, by which its owner finds it; nothing of it reaches a Worker
    """

    def __init__(
        self,
        folder: Path,
        bundles: Mapping[str, Bundle],
        token: str,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        if not 1 <= len(bundles) <= MAX_SERVICES:
            raise UsageError(
                f"one workerd serves 1 to {MAX_SERVICES} strategies, not {len(bundles)}"
            )
        self._folder = folder
        self._bundles = dict(bundles)
        self._token = token
        self._marks = dict(marks or {})
        self._process: asyncio.subprocess.Process | None = None
        self._ports: dict[str, int] = {}
        self._n_restarts = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """Return the process id, None when it does not run."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    def url(self, service: str) -> str:
        """Return where a service listens.

        Raises
        ------
        RuntimeUnavailable : the process does not run.
        """
        if self.pid is None or service not in self._ports:
            raise RuntimeUnavailable(f"workerd does not serve {service}: start it first")
        return f"http://127.0.0.1:{self._ports[service]}"

    def client(self, service: str, timeout_s: float = 5.0) -> WorkerClient:
        """Return a client of a service."""
        return WorkerClient(self.url(service), self._token, timeout_s)

    async def start(self) -> None:
        """Start the process and wait until every service listens.

        Raises
        ------
        RuntimeUnavailable : workerd is missing, ended at once, or said no ports in time.
        """
        if self.pid is not None:
            raise RuntimeUnavailable("workerd runs already: stop it first")
        program = workerd_path()
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, bundle in self._bundles.items():
            (self._folder / f"{name}.js").write_text(bundle.text, encoding="utf-8")
        config = self._folder / "workerd.capnp"
        config.write_text(config_text(list(self._bundles)), encoding="utf-8")
        reading, writing = os.pipe()
        log = (self._folder / "workerd.log").open("ab")
        try:
            self._process = await asyncio.create_subprocess_exec(
                str(program),
                "serve",
                str(config),
                f"--control-fd={writing}",
                pass_fds=(writing,),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self._marks, TOKEN_VARIABLE: self._token},
                cwd=self._folder,
                start_new_session=True,
            )
        finally:
            os.close(writing)
            log.close()
        try:
            self._ports = await asyncio.wait_for(self._read_ports(reading), _START_S)
        except (TimeoutError, EOFError) as exc:
            await self.stop()
            raise RuntimeUnavailable(f"workerd did not start: {self._last_words()}") from exc

    async def _read_ports(self, reading: int) -> dict[str, int]:
        """Read what the process says on its control pipe until every socket has a port."""
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(stream)
        transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(reading, "rb"))
        ports: dict[str, int] = {}
        try:
            while len(ports) < len(self._bundles):
                line = await stream.readline()
                if not line:
                    raise EOFError
                event = json.loads(line)
                if event.get("event") == "listen":
                    ports[str(event["socket"])] = int(event["port"])
        finally:
            transport.close()
        return ports

    def _last_words(self) -> str:
        with suppress(OSError):
            text = (self._folder / "workerd.log").read_text(encoding="utf-8", errors="replace")
            return " ".join(text.split())[-300:] or "it said nothing"
        return "it said nothing"

    async def stop(self) -> None:
        """End the process: asked first, killed when it does not listen."""
        process, self._process = self._process, None
        self._ports = {}
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def restart(self, reason: str) -> Restart:
        """Stop and start again.

        Raises
        ------
        RuntimeUnavailable : it does not start.
        """
        await self.stop()
        await self.start()
        self._n_restarts += 1
        return Restart(reason, self._n_restarts)

    async def failing(self, timeout_s: float) -> str | None:
        """Return why the process has to be started again, None when every service answers."""
        if self.pid is None:
            return "the process ended"
        for service in self._bundles:
            try:
                async with self.client(service, timeout_s) as client:
                    await client.health()
            except PaddockError as exc:
                return f"{service} does not answer: {exc.message}"
        return None

    async def supervise(
        self,
        told: Callable[[Restart], Awaitable[None]],
        *,
        period_s: float = 1.0,
        timeout_s: float = 2.0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Start the process again whenever it ends or hangs, until cancelled.

        Parameters
        ----------
        told : hears of every restart
        period_s : between two looks; after failures in a row it doubles, up to 32 times
        timeout_s : silence of a service that counts as hanging
        pause : waits, in tests by a clock of their own
        """
        n_failures = 0
        while True:
            await pause(period_s * 2 ** min(n_failures, 5))
            reason = await self.failing(timeout_s)
            if reason is None:
                n_failures = 0
                continue
            n_failures += 1
            try:
                await told(await self.restart(reason))
            except RuntimeUnavailable as exc:
                await told(Restart(f"{reason}; {exc.message}", self._n_restarts))


def config_text(services: Sequence[str]) -> str:
    """Return workerd's configuration: one service and socket a strategy, and no network.

    Raises
    ------
    UsageError : a name that is not letters, digits and dashes.
    """
    for name in services:
        if not name or not all(sign.isalnum() or sign == "-" for sign in name):
            raise UsageError(f"service name {name!r}: use letters, digits and dashes")
    listed = ",\n".join(f'    (name = "{name}", worker = .w{i})' for i, name in enumerate(services))
    sockets = ",\n".join(
        f'    (name = "{name}", address = "127.0.0.1:0", http = (), service = "{name}")'
        for name in services
    )
    workers = "\n".join(_worker_text(i, name) for i, name in enumerate(services))
    return f"""using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "internet", network = (allow = [])),
{listed}
  ],
  sockets = [
{sockets}
  ]
);
{workers}"""


def _worker_text(number: int, name: str) -> str:
    return f"""
const w{number} :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "{name}.js")],
  compatibilityDate = "{COMPATIBILITY_DATE}",
  bindings = [(name = "TOKEN", fromEnvironment = "{TOKEN_VARIABLE}")]
);
"""
