"""The workerd target: versions in processes of this machine."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from engine.deploy.fleet import Fleet
from engine.deploy.target import Wanted
from engine.deploy.worker_client import WorkerClient
from engine.deploy.workerd import Workerd, workerd_path

_ANSWER_S = 10.0


class LocalTarget:
    """A `Target` of workerd processes.

    Parameters
    ----------
    folder : of processes, below the home's `workers`
    token : that every question must carry
    most : versions in one process
    now_s : seconds of a clock that never runs backwards
    told : hears in words what ended and was started again
    marks : further environment of the processes, so that they are known as ours
    """

    def __init__(
        self,
        folder: Path,
        token: str,
        most: int,
        now_s: Callable[[], float],
        told: Callable[[str], None],
        marks: Mapping[str, str],
    ) -> None:
        self._token = token
        self._marks = dict(marks)
        self._fleet = Fleet(folder, token, most, now_s, told, marks=marks)

    async def ready(self) -> None:
        """Raise unless workerd is installed."""
        await asyncio.to_thread(workerd_path)

    async def begin(self) -> None:
        """End the processes of an earlier life."""
        await self._fleet.end_leftovers()

    async def serve(self, wanted: Sequence[Wanted]) -> None:
        """Serve exactly these; shares are the caller's business here."""
        await self._fleet.serve({one.name: one.bundle for one in wanted})

    async def look(self) -> None:
        """Start again what ended or hangs."""
        await self._fleet.look()

    def url(self, name: str) -> str:
        """Return where a version listens."""
        return self._fleet.url(name)

    def answers(self, name: str) -> bool:
        """Return whether the process of a version answered."""
        return self._fleet.answers(name)

    def trial(self, version: Wanted) -> AbstractAsyncContextManager[WorkerClient]:
        """Run a version in a process of its own, until the comparison is over."""
        return self._trial(version)

    @property
    def pids(self) -> list[int]:
        """Return the processes that serve."""
        return self._fleet.pids

    async def stop(self) -> None:
        """End every process."""
        await self._fleet.stop()

    @asynccontextmanager
    async def _trial(self, version: Wanted) -> AsyncIterator[WorkerClient]:
        with tempfile.TemporaryDirectory(prefix="paddock-check-") as place:
            bundles = {"main": version.bundle}
            async with Workerd(Path(place), bundles, self._token, self._marks) as workerd:
                async with workerd.client("main", _ANSWER_S) as client:
                    yield client
