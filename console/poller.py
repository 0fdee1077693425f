"""One thread does all the console's reading and writing, so that the screen waits for no disk.

It polls on its own: the next look is set only after the last one ended, so looks never overlap.
Snapshots are handed over by a callback that must be safe to call from another thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from console.feed import Feed
from console.pages import PagesWatch
from console.session import Session, operator
from console.snapshot import LeaderboardQuery, Snapshot
from console.trading_view import TradingWatch
from engine.errors import StoreError

if TYPE_CHECKING:
    from engine.store.events import Event

_JOIN_S = 2.0
_NICE = 10
MIN_POLL_S, MAX_POLL_S = 0.25, 10.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What the visible screen wants to know beside what everyone sees."""

    leaderboard: LeaderboardQuery | None = None
    strategy_id: str | None = None
    trading: TradingWatch = field(default_factory=TradingWatch)
    pages: PagesWatch = field(default_factory=PagesWatch)


class Source(Protocol):
    """Where a console's snapshots come from, and where what it asks for goes."""

    poll_s: float

    def start(self) -> None:
        """Begin to look."""
        ...

    def stop(self) -> None:
        """Look no more."""
        ...

    def watch(self, watch: Watch) -> None:
        """Change what is read beside the rest, and look at once."""
        ...

    def poke(self) -> None:
        """Look now."""
        ...

    async def ask(self, name: str, arguments: dict[str, Any]) -> int:
        """Insert a command for the conductor and return its id."""
        ...

    async def tell(self, event: Event) -> None:
        """Append one event."""
        ...

    async def acknowledge(self, key: str) -> bool:
        """Remember that the operator has seen an alert; False when there was nothing to see."""
        ...


class Poller:
    """Look at the store every `poll_s` seconds, and write what the operator asks for.

    Parameters
    ----------
    session : Session
    on_snapshot : callable, given each snapshot on the poller's thread
    on_failure : callable, given the unexpected error that ended the thread
    """

    def __init__(
        self,
        session: Session,
        on_snapshot: Callable[[Snapshot], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._session = session
        self._on_snapshot = on_snapshot
        self._on_failure = on_failure
        self._watch = Watch()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._is_ready = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._main, name="poller", daemon=True)
        self.poll_s = session.config.console.poll_s

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()
        self._is_ready.wait(_JOIN_S)

    def stop(self) -> None:
        """End the thread; what it is doing is finished first, within two seconds."""
        self._is_stopped = True
        self.poke()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def watch(self, watch: Watch) -> None:
        """Change what is read beside the rest, and look at once."""
        self._watch = watch
        self.poke()

    def poke(self) -> None:
        """Look now."""
        if self._loop is not None and self._wake is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def ask(self, name: str, arguments: dict[str, Any]) -> int:
        """Insert a command for the conductor and return its id.

        Raises
        ------
        StoreError : the store cannot be written.
        """
        return int(await self._on_thread(self._insert(name, arguments)))

    async def tell(self, event: Event) -> None:
        """Append one event.

        Raises
        ------
        StoreError : the store cannot be written.
        """
        await self._on_thread(self._append(event))

    async def acknowledge(self, key: str) -> bool:
        """Remember that the operator has seen an alert; False when there was nothing to see.

        Raises
        ------
        StoreError : the store cannot be written.
        """
        return bool(await self._on_thread(self._acknowledge(key)))

    async def _on_thread(self, work: Coroutine[Any, Any, Any]) -> Any:
        if self._loop is None:
            work.close()
            raise RuntimeError("the poller was not started")
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as exc:
            # The thread has ended, by an error of ours or because the console ends.
            work.close()
            raise StoreError(
                "this console cannot write to the store any more: quit and start it again"
            ) from exc
        try:
            return await asyncio.wrap_future(future)
        finally:
            self.poke()

    async def _insert(self, name: str, arguments: dict[str, Any]) -> int:
        from engine.store.commands import insert_command

        store = await self._session.open_store(read_only=False)
        try:
            return await insert_command(
                store,
                who=operator(),
                name=name,
                arguments=arguments,
                now_at=self._session.clock.now_at(),
            )
        finally:
            await store.close()

    async def _append(self, event: Event) -> None:
        from engine.store.events import add_events

        store = await self._session.open_store(read_only=False)
        try:
            await add_events(store, [event])
        finally:
            await store.close()

    async def _acknowledge(self, key: str) -> bool:
        from engine.store.alerts import acknowledge_alert

        store = await self._session.open_store(read_only=False)
        try:
            now_at = self._session.clock.now_at()
            return await acknowledge_alert(store, key, operator(), now_at)
        finally:
            await store.close()

    def _main(self) -> None:
        # On a busy machine whoever types goes first. Only Linux has a priority for each thread.
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            asyncio.run(self._poll())
        except Exception as exc:
            self._on_failure(exc)

    async def _poll(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._is_ready.set()
        feed = Feed(self._session)
        try:
            while not self._is_stopped:
                self._wake.clear()
                watch = self._watch
                self._on_snapshot(
                    await feed.snapshot(
                        watch.leaderboard, watch.strategy_id, watch.trading, watch.pages
                    )
                )
                try:
                    await asyncio.wait_for(self._wake.wait(), self.poll_s)
                except TimeoutError:
                    continue
        finally:
            await feed.close()
