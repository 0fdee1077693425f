"""The runtime of one home as a process: `python -m actors.runtime up | down --config PATH`.

The driver holds the home's lock, starts a Ray head of its own (or joins the cluster it is told to),
creates the parts as named detached actors, publishes `runtime.json`, supervises, and ends all
it started. What an earlier runtime left behind after a crash is ended before anything new begins.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from actors.owned_processes import MARK_VARIABLE, end, end_all, is_running, mark_of, owned
from actors.ray_head import Head, ensure_token, ray_environment, remove_folder, start_head
from actors.runtime_file import (
    HomeLock,
    RuntimeFacts,
    read_facts,
    remove_facts,
    running_facts,
    write_facts,
)
from engine.clock import SystemClock
from engine.config import load_config, with_settings
from engine.errors import PaddockError, RuntimeUnavailable
from engine.garbage import set_aside
from engine.settings import Config

_LOOK_S = 0.3
_CLUSTER_LOOK_S = 4.0
_STOP_CALL_S = 5.0
_DOWN_S = 40.0
_WARM_S = 120.0
_GONE_LOOKS = 200


class _Asked(Exception):
    """The runtime was asked to stop while it was starting."""


class Runtime:
    """Start, supervise and end the parts of one home.

    Parameters
    ----------
    config : of the home
    workers : backtesters
    address : cluster to join; empty starts a head of this home's own
    is_private : started for one command: ends when its parent does, keeps no schedule and trades
        nothing
    config_path : the file that the simulated exchange reads; None finds it as this process did
    """

    def __init__(
        self,
        config: Config,
        workers: int,
        address: str,
        *,
        is_private: bool,
        config_path: Path | None = None,
    ) -> None:
        self._config = config
        self._config_path = config_path
        self._home = config.paths.home
        self._workers = workers
        self._address = address
        self._is_private = is_private
        self._mark = mark_of(self._home)
        self._clock = SystemClock()
        self._parent = os.getppid()
        self._stop_asked = False
        self._exchange: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Return when the runtime was asked to stop and everything has ended.

        Raises
        ------
        PaddockError : it cannot start; nothing is left behind.
        """
        self._catch_signals()
        with HomeLock(self._home):
            asyncio.run(_prepare_store(self._config))
            self._clean()
            try:
                while not self._stop_asked:
                    self._once()
            except _Asked:
                pass
            finally:
                self._clean()
                if self._trades:
                    stop_exchange(self._home)

    def _once(self) -> None:
        """Run until asked to stop, or until the head is lost and must be started again."""
        from actors import cluster

        head = self._head()
        environment = ray_environment(self._home, self._mark)
        if self._stop_asked:
            raise _Asked
        cluster.join(head.address, environment)
        # Ray has put its own handlers in place of ours.
        self._catch_signals()
        try:
            asyncio.run(self._live(head))
        finally:
            cluster.leave()
            self._clean()

    async def _live(self, head: Head) -> None:
        from actors import cluster
        from actors.roster import part_names

        trading = self._config.trading
        names = part_names(self._workers, is_private=self._is_private, trading=trading)
        if self._address and cluster.exists("conductor"):
            raise RuntimeUnavailable(
                f"another runtime already works on the cluster at {self._address}: stop it first"
            )
        self._watch_exchange()
        self._host(names)
        await self._wait_ready(names)
        await cluster.RayPeer("recorder").call("forget_others", names)
        await self._wait_warm(names)
        set_aside()
        write_facts(self._home, self._facts(head))
        await self._tell("info", "runtime.up", f"runtime up: {self._workers} backtesters")
        _say(f"runtime up on home {self._home}: {self._workers} backtesters")
        try:
            await self._supervise(names)
        finally:
            remove_facts(self._home)
            await self._stop_parts(names)

    def _watch_exchange(self) -> None:
        """See to it, beside everything else, that the simulated exchange runs.

        The traders wait for it. It is a process of its own that no end of Ray takes along.
        """
        if self._trades and (self._exchange is None or self._exchange.done()):
            self._exchange = asyncio.create_task(self._keep_exchange())

    async def _keep_exchange(self) -> None:
        from engine.trade.simulated.launch import ensure_running, running

        told = ""
        while not self._stop_asked:
            try:
                if await asyncio.to_thread(running, self._home) is None:
                    await asyncio.to_thread(ensure_running, self._config, self._config_path)
                told = ""
            except PaddockError as error:
                if error.message != told:
                    told = error.message
                    await self._tell("error", "exchange.down", told)
            await asyncio.sleep(_CLUSTER_LOOK_S)

    @property
    def _trades(self) -> bool:
        return self._config.trading.enabled and not self._is_private

    def _head(self) -> Head:
        if self._address:
            return Head(self._address, Path())
        runtime = self._config.runtime
        ensure_token(self._home)
        return start_head(
            self._home,
            self._mark,
            n_cpus=self._workers,
            object_store_mb=runtime.object_store_mb,
            dashboard=runtime.dashboard,
            timeout_s=max(30.0, runtime.start_timeout_s),
        )

    def _host(self, names: Sequence[str]) -> None:
        from actors import cluster
        from actors.code_version import code_version
        from actors.roster import BACKTESTER, PartSpec, kind_of

        for name in names:
            spec = PartSpec(
                kind=kind_of(name),
                name=name,
                config=self._config,
                workers=self._workers,
                mark=self._mark,
                code_version=code_version(),
                scheduled=not self._is_private,
            )
            cluster.host(spec, pin_here=spec.kind != BACKTESTER)

    async def _wait_ready(self, names: Sequence[str]) -> None:
        from actors import cluster

        limit_s = time.monotonic() + self._config.runtime.start_timeout_s
        for name in names:
            peer = cluster.RayPeer(name)
            while True:
                if self._stop_asked:
                    raise _Asked
                try:
                    await peer.call("ping", timeout_s=2.0)
                    break
                except RuntimeUnavailable as error:
                    if time.monotonic() > limit_s:
                        raise RuntimeUnavailable(
                            f"{name} did not come up within"
                            f" {self._config.runtime.start_timeout_s:g} s: {error.message}"
                        ) from error
                await asyncio.sleep(0.1)

    async def _wait_warm(self, names: Sequence[str]) -> None:
        """Wait for compiled kernels, so that the first cycle does not.

        A slow machine may go on without.
        """
        from actors import cluster
        from actors.roster import BACKTESTER, kind_of

        peers = [cluster.RayPeer(name) for name in names if kind_of(name) == BACKTESTER]
        calls = (peer.call("warm", timeout_s=_WARM_S) for peer in peers)
        await asyncio.gather(*calls, return_exceptions=True)

    async def _supervise(self, names: Sequence[str]) -> None:
        """Watch until asked to stop; return early, not asked, when the head is lost."""
        from actors import cluster

        conductor, watchdog = cluster.RayPeer("conductor"), cluster.RayPeer("watchdog")
        looked_s = time.monotonic()
        while not self._stop_asked:
            if self._is_private and os.getppid() != self._parent:
                self._stop_asked = True
                return
            with contextlib.suppress(PaddockError):
                orders = await conductor.call("orders", timeout_s=2.0)
                if orders["stop"]:
                    self._stop_asked = True
                    return
                for name in orders["end"]:
                    cluster.end_process(name, restart=True)
                await self._take_limits(orders["limits"])
            if time.monotonic() - looked_s > _CLUSTER_LOOK_S:
                looked_s = time.monotonic()
                if not self._is_head_alive() or not await asyncio.to_thread(cluster.is_connected):
                    _say("the Ray head is gone: starting it again")
                    return
                with contextlib.suppress(PaddockError):
                    for name in await watchdog.call("take_hung", timeout_s=2.0):
                        cluster.end_process(name, restart=True)
                self._revive(names)
            await asyncio.sleep(_LOOK_S)

    async def _take_limits(self, asked: Mapping[str, Any] | None) -> None:
        """Start what trades anew under other limits: one path with its start and its recovery.

        From now on they are this runtime's, so that no crash brings the old ones back.
        """
        from actors import cluster
        from actors.roster import POSITION_MONITOR, trader_names

        if asked is None:
            return
        limits = {name: value for name, value in asked.items() if name != "words"}
        if limits == self._config.limits.model_dump():
            return
        self._config = with_settings(self._config, {"limits": limits}, "operator")
        await self._tell("warn", "risk.limits", f"limits changed by {asked['words']}")
        for name in (*trader_names(self._config.trading), POSITION_MONITOR):
            with contextlib.suppress(PaddockError):
                await cluster.RayPeer(name).call("stop", timeout_s=_STOP_CALL_S)
            cluster.end_process(name, restart=False)
            for _ in range(_GONE_LOOKS):
                if not cluster.exists(name):
                    break
                await asyncio.sleep(0.05)
            self._host([name])

    def _revive(self, names: Sequence[str]) -> None:
        """Create again what no longer exists; Ray itself restarts what merely died."""
        from actors import cluster

        missing = [name for name in names if not cluster.exists(name)]
        if missing:
            self._host(missing)

    def _is_head_alive(self) -> bool:
        if self._address:
            return True
        names = {_name_of(process) for process in owned(self._mark)}
        return {"raylet", "gcs_server"} <= names

    async def _stop_parts(self, names: Sequence[str]) -> None:
        """Let the parts finish their writes, the recorder last, and end their actors."""
        from actors import cluster

        await self._tell("info", "runtime.down", "runtime stopped")
        order = [name for name in reversed(names) if name != "recorder"]
        calls = (cluster.RayPeer(name).call("stop", timeout_s=_STOP_CALL_S) for name in order)
        await asyncio.gather(*calls, return_exceptions=True)
        with contextlib.suppress(PaddockError):
            recorder = cluster.RayPeer("recorder")
            await recorder.call("forget", list(names), timeout_s=_STOP_CALL_S)
            await recorder.call("stop", timeout_s=_STOP_CALL_S)
        for name in names:
            cluster.end_process(name, restart=False)

    async def _tell(self, level: str, kind: str, message: str) -> None:
        from actors import cluster
        from engine.store.events import Event

        event = Event(at=self._clock.now_at(), level=level, kind=kind, message=message)
        with contextlib.suppress(PaddockError):
            await cluster.RayPeer("recorder").call("tell", [event], timeout_s=_STOP_CALL_S)

    def _facts(self, head: Head) -> RuntimeFacts:
        from actors.cluster import NAMESPACE
        from actors.code_version import code_version

        return RuntimeFacts(
            pid=os.getpid(),
            started_at=_started_at(os.getpid()),
            ready_at=self._clock.now_at(),
            ray_address=head.address,
            namespace=NAMESPACE,
            version=code_version(),
            host=socket.gethostname(),
            mark=self._mark,
            temp_dir=str(head.temp_dir),
            workers=self._workers,
            private=self._is_private,
        )

    def _clean(self) -> None:
        """End whatever of this home still runs, and remove what says that it does."""
        clean(self._home)

    def _catch_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_stop)

    def _ask_stop(self, *_: object) -> None:
        self._stop_asked = True


def clean(home: Path) -> None:
    """End the leftovers of a home's runtime, this process left out, and remove its traces.

    Raises
    ------
    RuntimeUnavailable : a process of it cannot be ended.
    """
    mark = mark_of(home)
    remove_facts(home)
    alive = end_all(mark)
    if alive:
        raise RuntimeUnavailable(
            f"processes {' '.join(map(str, alive))} of an earlier runtime on {home} do not end:"
            " end them by hand",
            pids=alive,
        )
    remove_folder(mark)


def stop_exchange(home: Path) -> bool:
    """Stop the simulated exchange of a home and return whether one ran.

    Its orders and positions stay, and it says so itself when it does not end.
    """
    from engine.trade.simulated.launch import stop

    try:
        return stop(home)
    except RuntimeUnavailable as error:
        _say(f"paddock: {error.message}")
        return False


def down(home: Path) -> bool:
    """Stop the runtime of `home` and return whether there was one.

    Also ends what a crash left behind.

    Raises
    ------
    RuntimeUnavailable : it does not end.
    """
    facts = running_facts(home)
    if facts is None:
        was_there = read_facts(home) is not None or bool(owned(mark_of(home)))
        clean(home)
        return stop_exchange(home) or was_there
    with contextlib.suppress(ProcessLookupError):
        os.kill(facts.pid, signal.SIGTERM)
    limit_s = time.monotonic() + _DOWN_S
    while is_running(facts.pid, facts.started_at):
        if time.monotonic() > limit_s:
            with contextlib.suppress(psutil.Error):
                end([psutil.Process(facts.pid)], grace_s=0.0)
            break
        time.sleep(0.05)
    clean(home)
    stop_exchange(home)
    return True


async def _prepare_store(config: Config) -> None:
    """Make or upgrade the database before anything else starts.

    So that its errors are told plainly.
    """
    from engine.config import database_url
    from engine.store.database import Store

    store = await Store.open(database_url(config))
    await store.close()


def _started_at(pid: int) -> int:
    began_s: float = psutil.Process(pid).create_time()
    return round(began_s * 1000)


def _name_of(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m actors.runtime", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run the runtime in this process until it is stopped")
    up.add_argument("--config", type=Path, default=None)
    up.add_argument("--home", type=Path, default=None, help="in place of [paths] home")
    up.add_argument("--private", action="store_true", help="end with the process that started it")
    up.add_argument("--workers", type=int, default=None, help="backtesters; default one a core")
    up.add_argument("--address", default=None, help="host:port of a Ray cluster to join")
    stop = commands.add_parser("down", help="stop the runtime of a home")
    stop.add_argument("--config", type=Path, default=None)
    stop.add_argument("--home", type=Path, default=None, help="in place of [paths] home")
    return parser


def _config_of(arguments: argparse.Namespace) -> Config:
    config = load_config(arguments.config)
    changes: dict[str, dict[str, Any]] = {}
    if arguments.home is not None:
        changes["paths"] = {"home": arguments.home.absolute()}
    workers = getattr(arguments, "workers", None)
    if workers is not None:
        changes["runtime"] = {"workers": workers}
    return with_settings(config, changes, "command line") if changes else config


def _enter(home: Path, argv: Sequence[str]) -> None:
    """Begin this process anew with the runtime's environment and mark."""
    mark = mark_of(home)
    if os.environ.get(MARK_VARIABLE) == mark:
        return
    environment: Mapping[str, str] = {**os.environ, **ray_environment(home.resolve(), mark)}
    command = [sys.executable, "-m", "actors.runtime", *argv]
    os.execve(sys.executable, command, environment)  # noqa: S606


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 usage."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(given)
    try:
        config = _config_of(arguments)
        home = config.paths.home
        if arguments.command == "down":
            was_there = down(home)
            _say(f"runtime on home {home} stopped" if was_there else f"no runtime runs on {home}")
            return 0
        _enter(home, given)
        workers = config.runtime.workers or os.cpu_count() or 1
        address = config.runtime.address if arguments.address is None else arguments.address
        path = arguments.config
        Runtime(config, workers, address, is_private=arguments.private, config_path=path).run()
    except PaddockError as error:
        _say(f"paddock: {error.message}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
