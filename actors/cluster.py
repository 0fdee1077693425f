"""Every call to Ray: joining, hosting parts as named detached actors, calling them, sharing values.

The parts themselves are plain classes that never see Ray; `Host` wraps any of them at the edge.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
import traceback
from collections.abc import Mapping
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.ports import CALL_TIMEOUT_S, PeerLost
from actors.priority import niceness, step_back
from actors.roster import PartSpec, build
from engine.clock import SystemClock
from engine.errors import InvariantError, PaddockError, RuntimeUnavailable
from engine.garbage import set_aside
from engine.store.events import Event
from engine.store.heartbeats import HeartbeatRow

NAMESPACE = "paddock"
RECORDER = "recorder"
_CALLS_AT_ONCE = 256
_PING_S = 2.0
_LOST = (
    ray.exceptions.ActorDiedError,
    ray.exceptions.ActorUnavailableError,
    ray.exceptions.RayActorError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.OwnerDiedError,
    ray.exceptions.TaskCancelledError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.RpcError,
    ray.exceptions.GetTimeoutError,
)


def join(address: str, environment: Mapping[str, str]) -> None:
    """Connect this process to the cluster at `address`, and to no other.

    Raises
    ------
    RuntimeUnavailable : nothing answers there, or it refuses our token.
    """
    os.environ.update(environment)
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            configure_logging=False,
        )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        first = str(error).strip().splitlines()
        raise RuntimeUnavailable(
            f"the Ray cluster at {address} cannot be joined: {first[0] if first else error}",
            address=address,
        ) from error


def leave() -> None:
    """Disconnect this process; the actors go on."""
    ray.shutdown()


def is_connected() -> bool:
    """Tell whether the cluster still answers."""
    try:
        return bool(ray.is_initialized() and ray.nodes())  # type: ignore[no-untyped-call]
    except (ray.exceptions.RayError, OSError, RuntimeError):
        return False


class RayPeer:
    """A part hosted by a named actor; survives its restarts, and that another takes its name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._handle: Any = None

    @property
    def name(self) -> str:
        """Return its name in the roster."""
        return self._name

    async def call(self, method: str, *args: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Run `method` there; see `ports.Peer`."""
        handle, asked_at = self._handle, SystemClock().now_at()
        try:
            return await self._ask(method, args, timeout_s)
        except PeerLost:
            if handle is None or not await self._was_replaced(handle, asked_at):
                raise
        # Nobody had begun it: who trades under other limits hears an operator's first word too.
        return await self._ask(method, args, timeout_s)

    async def _ask(self, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        try:
            if self._handle is None:
                self._handle = ray.get_actor(self._name, namespace=NAMESPACE)
            answer = self._handle.call.remote(method, args)
            return await asyncio.wait_for(asyncio.wrap_future(answer.future()), timeout_s)
        except _LOST as error:
            self._handle = None
            raise PeerLost(f"{self._name} is down: {_first_line(error)}", peer=self._name) from None
        except TimeoutError:
            raise PeerLost(
                f"{self._name} did not answer {method} within {timeout_s:g} s", peer=self._name
            ) from None
        except ray.exceptions.RayTaskError as error:
            raise _own_error(error, self._name, method) from None
        except ValueError as error:
            # Ray's word for "no actor of that name".
            self._handle = None
            raise PeerLost(f"{self._name} does not exist", peer=self._name) from error

    async def _was_replaced(self, handle: Any, asked_at: int) -> bool:
        """Tell whether a handle's actor had ended for good before it was asked.

        A name has one actor at a time: when the next one's process began before, the last was gone.
        """
        if self._handle is None:
            with contextlib.suppress(ValueError):
                self._handle = ray.get_actor(self._name, namespace=NAMESPACE)
        if self._handle is None or self._handle == handle:
            return False
        with contextlib.suppress(PeerLost):
            facts = await self._ask("ping", (), _PING_S)
            return bool(facts["began_at"] < asked_at)
        return False


class RayObjects:
    """Ray's object store."""

    def put(self, value: Any) -> Any:
        """Share a value; see `ports.Objects`."""
        return ray.put(value)

    async def fetch(self, reference: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Return a shared value; see `ports.Objects`."""
        try:
            return await asyncio.wait_for(asyncio.wrap_future(reference.future()), timeout_s)
        except _LOST as error:
            raise PeerLost(f"a shared value is gone: {_first_line(error)}") from None
        except TimeoutError:
            raise PeerLost(f"a shared value did not arrive within {timeout_s:g} s") from None


class Host:
    """Host one part in a process of its own, beat for it, and crash with it.

    Survives a crash: nothing; Ray starts the process again and the part continues from the store.
    May run twice: whatever a caller repeats after `PeerLost`; the parts' methods are idempotent.
    Owns: the part.
    """

    async def __init__(self, spec: PartSpec) -> None:  # type: ignore[misc]
        self._spec = spec
        self._clock = SystemClock()
        self._recorder = RayPeer(RECORDER)
        self._began_at = self._clock.now_at()
        if nice := niceness(spec.kind, spec.config.runtime.worker_nice):
            step_back(nice)
        self._part = build(spec, RayPeer, RayObjects(), self._failed)
        await self._part.start()
        set_aside()
        self._beating = asyncio.create_task(self._beat())

    async def call(self, method: str, args: tuple[Any, ...]) -> Any:
        """Run one of the part's methods."""
        if method == "ping":
            return {"pid": os.getpid(), "host": socket.gethostname(), "began_at": self._began_at}
        return await getattr(self._part, method)(*args)

    async def _beat(self) -> None:
        while True:
            began_s = time.monotonic()
            row = self._row()
            # A beat that cannot be delivered shows as an age; it must not end the part.
            with contextlib.suppress(PaddockError):
                if self._spec.name == RECORDER:
                    await self.call("beat", (row,))
                else:
                    await self._recorder.call("beat", row, timeout_s=5.0)
            spent_s = time.monotonic() - began_s
            await asyncio.sleep(max(0.05, self._spec.config.runtime.heartbeat_s - spent_s))

    def _row(self) -> HeartbeatRow:
        state, detail = self._part.pulse()
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "began_at": self._began_at}
        at = self._clock.now_at()
        return HeartbeatRow(self._spec.name, self._spec.kind, at, state, {**facts, **detail})

    async def _failed(self, error: BaseException) -> None:
        """Tell what broke, then end the process: Ray starts it again."""
        lines = traceback.format_exception(error)
        event = Event(
            at=self._clock.now_at(),
            level="error",
            kind="actor.crashed",
            subject=self._spec.name,
            message=f"{self._spec.name} crashed: {type(error).__name__}: {_first_line(error)}",
            fields={"trace": "".join(lines)[-4000:]},
        )
        with contextlib.suppress(PaddockError, TimeoutError):
            if self._spec.name == RECORDER:
                await asyncio.wait_for(self.call("tell", ([event],)), 5.0)
            else:
                await self._recorder.call("tell", [event], timeout_s=5.0)
        os._exit(1)


def host(spec: PartSpec, *, pin_here: bool) -> None:
    """Create the named detached actor of `spec`, unless it exists.

    Parameters
    ----------
    pin_here : keep it on this machine, where the home is; otherwise Ray spreads it over the cluster
    """
    strategy: Any = "SPREAD"
    if pin_here:
        strategy = NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
    # Ray shows the class's name as the title of the process.
    titled = type(spec.kind.capitalize(), (Host,), {"__module__": __name__})
    ray.remote(titled).options(
        name=spec.name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=_CALLS_AT_ONCE,
        num_cpus=0 if pin_here else 1,
        scheduling_strategy=strategy,
    ).remote(spec)


def exists(name: str) -> bool:
    """Tell whether a living actor has that name."""
    try:
        ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return False
    return True


def end_process(name: str, *, restart: bool) -> None:
    """End an actor's process at once; Ray starts it again when `restart` says so."""
    with contextlib.suppress(ValueError, ray.exceptions.RayError):
        handle = ray.get_actor(name, namespace=NAMESPACE)
        ray.kill(handle, no_restart=not restart)


def _own_error(error: ray.exceptions.RayTaskError, name: str, method: str) -> PaddockError:
    cause = error.cause
    if isinstance(cause, PaddockError):
        return cause
    return InvariantError(
        f"{name}.{method} failed: {type(cause).__name__}: {_first_line(cause)}",
        peer=name,
        method=method,
        trace=str(error)[-4000:],
    )


def _first_line(error: BaseException | None) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
