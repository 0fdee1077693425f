"""Read one snapshot from the store, the latch and the runtime's file; never writes, never raises.

When the store cannot be read (locked, vanished, damaged) the last view is kept with its age, the
reason is said, and the next look opens the store anew. Numbers that cost a scan are read less
often than the rest.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from console.drill_record import last_drill
from console.pages import PagesWatch
from console.pages_feed import PagesFeed
from console.queries import cycle_controls, fit_scores, strategy_view
from console.runtime_process import view_runtime
from console.session import Session
from console.slow_read import SlowRead
from console.snapshot import (
    ControlsView,
    LeaderboardQuery,
    LeaderboardView,
    Snapshot,
    StoreView,
    StrategyView,
)
from console.trading_feed import TradingFeed
from console.trading_view import TradingWatch
from engine.errors import PaddockError, UsageError

if TYPE_CHECKING:
    from console.strategy_feed import StrategyFeed
    from engine.store.cycles import CycleRow
    from engine.store.database import Store
    from engine.store.heartbeats import HeartbeatRow

N_RECENT_CYCLES = 60
N_EVENTS = 100
N_COMMANDS = 12
_COUNT_EVERY_S = 10.0
_BOARD_EVERY_S = 3.0
_BUSY_BEATS = 6
_LABELS = {"generated": "GENERATED", "store": "STORE", "ccxt": "LIVE"}


class Feed:
    """Build snapshots; one event loop owns it.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._store: Store | None = None
        self._last: StoreView | None = None
        self._counts: SlowRead[tuple[dict[str, int], int]] = SlowRead(session.clock)
        self._best: dict[int, float] = {}
        self._controls: dict[int, ControlsView | None] = {}
        self._busy = _BusyMeter()
        self._board: SlowRead[LeaderboardView] = SlowRead(session.clock)
        self._trading = TradingFeed(session.config.console.rows_max)
        self._pages = PagesFeed(session.config.console.rows_max, session.clock)
        self._strategy: StrategyFeed | None = None

    async def close(self) -> None:
        """Let go of the store."""
        for slow in (self._counts, self._board):
            await slow.stop()
        await self._pages.stop()
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def snapshot(
        self,
        leaderboard: LeaderboardQuery | None = None,
        strategy_id: str | None = None,
        trading: TradingWatch | None = None,
        pages: PagesWatch | None = None,
    ) -> Snapshot:
        """Return what is known now.

        Parameters
        ----------
        leaderboard : which strategies to list, None to list none
        strategy_id : whose details to read, None for nobody's
        trading : which account to read, and what of it beside what everyone sees
        pages : which pages of runs, learners, events and deployments to read
        """
        problem = ""
        wanted = trading or TradingWatch()
        try:
            self._last = await self._read(leaderboard, strategy_id, wanted, pages or PagesWatch())
        except (PaddockError, OSError) as exc:
            problem = self._session.shown(str(exc))
            await self._drop()
        view = self._last
        now_at = self._session.clock.now_at()
        beats = () if view is None else view.heartbeats
        label, edge = self._market(view)
        latches = {name: self._session.latch_of(name).read() for name in self._session.accounts}
        latch = latches.get(wanted.account) or self._session.latch_of(wanted.account).read()
        return Snapshot(
            taken_at=now_at,
            latch=latch,
            runtime=view_runtime(self._session.home, conductor_beat_at(beats), now_at),
            store=view,
            problem=problem,
            market_label=label,
            edge=edge,
            account=wanted.account,
            latches=latches,
            drill=last_drill(self._session.home),
        )

    async def _read(
        self,
        query: LeaderboardQuery | None,
        strategy_id: str | None,
        trading: TradingWatch,
        pages: PagesWatch,
    ) -> StoreView | None:
        if not self._session.has_database():
            await self._drop()
            if self._last is not None:
                raise UsageError(
                    f"the database in {self._session.home} is gone: put it back, or restart the"
                    " runtime, which makes a new one"
                )
            return None
        if self._store is None:
            self._store = await self._session.open_store(read_only=True)
        return await self._view(self._store, query, strategy_id, trading, pages)

    async def _view(
        self,
        store: Store,
        query: LeaderboardQuery | None,
        strategy_id: str | None,
        trading: TradingWatch,
        pages: PagesWatch,
    ) -> StoreView:
        from engine.store.commands import recent_commands
        from engine.store.cycles import recent_cycles, stages
        from engine.store.events import events_page
        from engine.store.heartbeats import heartbeats

        cycles = await recent_cycles(store, N_RECENT_CYCLES)
        cycle = _current(cycles)
        commands = tuple(await recent_commands(store, N_COMMANDS))
        # Promoted, paused, retired: an answered command changes standings as well.
        n_answered = max((row.id for row in commands if row.finished_at is not None), default=0)
        beats = tuple(await heartbeats(store))
        now_at = self._session.clock.now_at()
        counts = await self._counts.latest(lambda: _counts(store), every_s=_COUNT_EVERY_S)
        return StoreView(
            read_at=now_at,
            cycle=cycle,
            stages=() if cycle is None else tuple(await stages(store, cycle.id)),
            recent_cycles=tuple(cycles),
            best_fitness=await self._best_fitness(store, cycles),
            controls=await self._newest_controls(store, cycles),
            heartbeats=beats,
            busy=self._busy.shares(beats),
            events=tuple(await events_page(store, level="info", limit=N_EVENTS)),
            commands=commands,
            statuses={} if counts is None else counts[0],
            trials_total=None if counts is None else counts[1],
            leaderboard=None
            if query is None
            else await self._leaderboard(store, query, cycle, n_answered),
            strategy=None if strategy_id is None else await self._detail(store, strategy_id),
            trading=await self._trading.view(store, trading, now_at),
            pages=await self._pages.view(store, pages, now_at),
        )

    async def _best_fitness(
        self, store: Store, cycles: list[CycleRow]
    ) -> tuple[tuple[int, float], ...]:
        from engine.store.strategies import best_fitness

        # A finished cycle's best never changes again; most say theirs, others are asked for once.
        found: list[tuple[int, float]] = []
        for cycle in reversed(cycles):
            if cycle.status not in ("done", "failed", "cancelled"):
                continue
            if cycle.id not in self._best:
                told = (cycle.summary or {}).get("best") or [{}]
                best = told[0].get("fitness")
                if best is None:
                    best = await best_fitness(store, cycle.id)
                self._best[cycle.id] = math.nan if best is None else float(best)
            found.append((cycle.id, self._best[cycle.id]))
        return tuple(found)

    async def _newest_controls(self, store: Store, cycles: list[CycleRow]) -> ControlsView | None:
        for cycle in cycles:
            if cycle.summary is None:
                continue
            if cycle.id not in self._controls:
                self._controls[cycle.id] = await cycle_controls(store, cycle)
            found = self._controls[cycle.id]
            if found is not None:
                return found
        return None

    async def _leaderboard(
        self, store: Store, query: LeaderboardQuery, cycle: CycleRow | None, n_answered: int
    ) -> LeaderboardView | None:
        # Standings change while a cycle runs and when one ends; at rest they are not read again.
        is_running = cycle is not None and cycle.status == "running"
        return await self._board.latest(
            lambda: _list(store, query),
            every_s=_BOARD_EVERY_S if is_running else math.inf,
            question=query,
            state=(n_answered, None if cycle is None else (cycle.id, cycle.status)),
        )

    async def _detail(self, store: Store, strategy_id: str) -> StrategyView | None:
        try:
            view = await strategy_view(store, strategy_id)
        except UsageError:
            return None
        if self._strategy is None:
            # Late: it brings numpy, which the first picture does not need.
            from console.strategy_feed import StrategyFeed

            self._strategy = StrategyFeed(self._session.config.trading.allocation_frac)
        return replace(view, facts=await self._strategy.facts(store, view.row, view.curves))

    async def _drop(self) -> None:
        # Closing a broken store may fail as well; what matters is that the next look opens it anew.
        try:
            await self.close()
        except (PaddockError, OSError):
            self._store = None

    def _market(self, view: StoreView | None) -> tuple[str, str]:
        if view is not None and view.cycle is not None:
            return view.cycle.market_label.upper(), view.cycle.edge
        config = self._session.config
        label = _LABELS[config.market.source]
        if config.market.source != "generated" or config.generated.edge_kind == "none":
            return label, ""
        return label, f"{config.generated.edge_kind} {config.generated.edge_strength:g}"


def conductor_beat_at(beats: tuple[HeartbeatRow, ...]) -> int | None:
    """Return the UTC ms of the conductor's last beat, None when it never beat."""
    return max((beat.at for beat in beats if beat.kind == "conductor"), default=None)


class _BusyMeter:
    """Turn the seconds that backtesters say they computed into shares of the time that passed."""

    def __init__(self) -> None:
        self._marks: dict[str, deque[tuple[int, float]]] = {}

    def shares(self, beats: tuple[HeartbeatRow, ...]) -> dict[str, float]:
        """Return each backtester's share over the last seconds, once it has beaten twice."""
        found: dict[str, float] = {}
        for beat in beats:
            busy_s = beat.detail.get("busy_s")
            if not isinstance(busy_s, int | float):
                continue
            marks = self._marks.setdefault(beat.name, deque(maxlen=_BUSY_BEATS))
            if marks and busy_s < marks[-1][1]:
                # It was restarted and counts from 0 again.
                marks.clear()
            if not marks or marks[-1][0] != beat.at:
                marks.append((beat.at, float(busy_s)))
            (first_at, first_s), (last_at, last_s) = marks[0], marks[-1]
            if last_at > first_at:
                found[beat.name] = min(1.0, (last_s - first_s) * 1000 / (last_at - first_at))
        return found


def _current(cycles: list[CycleRow]) -> CycleRow | None:
    # Of several unfinished cycles the oldest is worked on; the others wait for it.
    unfinished = [cycle for cycle in cycles if cycle.status in ("running", "paused")]
    if unfinished:
        return min(unfinished, key=lambda cycle: cycle.id)
    return cycles[0] if cycles else None


async def _counts(store: Store) -> tuple[dict[str, int], int]:
    from engine.store.ledger import trials_total
    from engine.store.strategies import count_statuses

    return await count_statuses(store), await trials_total(store)


async def _list(store: Store, query: LeaderboardQuery) -> LeaderboardView:
    from engine.store.strategies import leaderboard

    rows, total = await leaderboard(
        store,
        text=query.text or None,
        sort=query.sort,
        descending=query.descending,
        limit=query.limit,
    )
    fit = await fit_scores(store, [row.id for row in rows])
    return LeaderboardView(query, tuple(rows), fit, total)
