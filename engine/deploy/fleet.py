"""The workerd target: versions in processes of a few each, changed without a gap.

A process never changes what it serves: beside the old one a new one is started with all that the
group is to serve, and the old one ends once nobody asks it any more. Versions of a group that
nothing is added to or taken from stay where they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from engine.deploy.bundle import Bundle
from engine.deploy.workerd import Workerd
from engine.errors import RuntimeUnavailable

_PROBE_S = 2.0
_END_S = 3.0


@dataclass(slots=True)
class Group:
    """One process.

    Attributes
    ----------
    names : of the services it is to serve
    retired : older processes, with the instant (s) at which each ends
    n_failures : looks in a row at which it was dead or hung
    """

    number: int
    names: frozenset[str]
    process: Workerd
    retired: list[tuple[float, Workerd]] = field(default_factory=list)
    n_failures: int = 0
    retry_s: float = 0.0


def grouped(
    groups: Sequence[frozenset[str]], wanted: Sequence[str], most: int
) -> list[frozenset[str]]:
    """Return which services run together: who runs stays, who is new takes the first free place.

    Parameters
    ----------
    groups : as they are; the result has the same order, and new groups behind; a group that
        nothing is left of is empty
    most : services of one group
    """
    left = set(wanted)
    kept = [[name for name in sorted(group) if name in left] for group in groups]
    placed = {name for group in kept for name in group}
    for name in wanted:
        if name in placed:
            continue
        free = next((group for group in kept if 0 < len(group) < most), None)
        if free is None:
            kept.append(free := [])
        free.append(name)
    return [frozenset(group) for group in kept]


class Fleet:
    """Serve versions on this machine.

    Survives a crash of a process: it is started again. May run twice: `serve` and `look`. What an
    earlier life left running is ended before anything is started.

    Parameters
    ----------
    folder : of processes, below the home's `workers`
    token : that every question must carry
    most : versions in one process
    grace_s : how long a process that was replaced still answers: callers learn late
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
        *,
        grace_s: float = 5.0,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._token = token
        self._most = most
        self._now_s = now_s
        self._told = told
        self._grace_s = grace_s
        self._marks = dict(marks or {})
        self._groups: list[Group] = []
        self._n_started = 0

    def url(self, name: str) -> str:
        """Return where a service listens, empty while it does not."""
        for group in self._groups:
            if name in group.names:
                with contextlib.suppress(RuntimeUnavailable):
                    return group.process.url(name)
        return ""

    def answers(self, name: str) -> bool:
        """Return whether the process of a service answered when it was looked at last."""
        return any(name in group.names and not group.n_failures for group in self._groups)

    @property
    def pids(self) -> list[int]:
        """Return the processes that serve."""
        return [group.process.pid for group in self._groups if group.process.pid is not None]

    async def serve(self, wanted: Mapping[str, Bundle]) -> None:
        """Serve exactly these from now on; what is served already is not touched.

        Raises
        ------
        RuntimeUnavailable : workerd is missing, or does not start; what ran goes on.
        """
        now = [group.names for group in self._groups]
        for i, names in enumerate(grouped(now, list(wanted), self._most)):
            if i < len(self._groups) and self._groups[i].names == names:
                continue
            if not names:
                self._retire(self._groups[i])
                self._groups[i].names = names
                continue
            process = await self._started({name: wanted[name] for name in sorted(names)})
            if i < len(self._groups):
                self._retire(self._groups[i])
                self._groups[i].process, self._groups[i].names = process, names
            else:
                self._groups.append(Group(self._n_started, names, process))
        await self._end_retired()
        self._groups = [group for group in self._groups if group.names or group.retired]

    async def look(self) -> None:
        """Start again what ended or hangs; after failures in a row, less and less often."""
        await self._end_retired()
        for group in self._groups:
            if not group.names or self._now_s() < group.retry_s:
                continue
            reason = await group.process.failing(_PROBE_S)
            if reason is None:
                group.n_failures = 0
                continue
            group.n_failures += 1
            group.retry_s = self._now_s() + min(2.0 ** (group.n_failures - 1), 32.0) - 1.0
            try:
                await group.process.restart(reason)
            except RuntimeUnavailable as exc:
                self._told(f"{reason}; {exc.message}")
            else:
                self._told(f"workerd was started again: {reason}")

    async def stop(self) -> None:
        """End every process."""
        ending = [group.process for group in self._groups]
        ending += [process for group in self._groups for _, process in group.retired]
        self._groups = []
        await asyncio.gather(*(process.stop() for process in ending))

    async def end_leftovers(self) -> int:
        """End what an earlier life of this folder left running; return how many."""
        found = [process for process in psutil.process_iter() if self._is_ours(process)]
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, alive = await asyncio.to_thread(psutil.wait_procs, found, _END_S)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        await asyncio.to_thread(shutil.rmtree, self._folder, True)
        return len(found)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            words = process.cmdline()
        except psutil.Error:
            return False
        folder = f"{self._folder.resolve()}/"
        return "serve" in words and any(word.startswith(folder) for word in words)

    async def _started(self, bundles: Mapping[str, Bundle]) -> Workerd:
        self._n_started += 1
        folder = self._folder.resolve() / str(self._n_started)
        process = Workerd(folder, bundles, self._token, self._marks)
        await process.start()
        return process

    def _retire(self, group: Group) -> None:
        group.retired.append((self._now_s() + self._grace_s, group.process))

    async def _end_retired(self) -> None:
        now_s = self._now_s()
        for group in self._groups:
            over = [process for end_s, process in group.retired if end_s <= now_s]
            group.retired = [pair for pair in group.retired if pair[0] > now_s]
            await asyncio.gather(*(process.stop() for process in over))
