"""Read the pages of runs, learners and deployments; never writes."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from console.changes import DAY_MS, changes_since
from console.event_pages import EventPages
from console.pages import (
    LearnersView,
    Lesson,
    PagesView,
    PagesWatch,
    Parent,
    RunRow,
    RunsQuery,
    RunsView,
    Weighed,
)
from console.slow_read import SlowRead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.changes import ChangesView
    from engine.clock import Clock
    from engine.evolve.learned_state import LearnedState
    from engine.store.database import Store
    from engine.store.deployments import DeploymentRow

METRICS = (
    "fitness",
    "sharpe",
    "total_return",
    "max_drawdown",
    "n_trades",
    "win_rate",
    "profit_factor",
    "exposure",
)
N_LESSONS = 40
N_POOL = 200
N_WEIGHED = 40
N_INSIGHTS = 60
_COUNT_EVERY_S = 10.0


class PagesFeed:
    """Build pages; what never changes is read once.

    Parameters
    ----------
    rows_max : most rows of a table
    clock : Clock
    """

    def __init__(self, rows_max: int, clock: Clock) -> None:
        self._rows_max = rows_max
        self._events = EventPages()
        self._runs: SlowRead[RunsView] = SlowRead(clock)
        self._n_failed: SlowRead[int] = SlowRead(clock)
        self._lessons: dict[str, Lesson] = {}
        self._learners: LearnersView | None = None
        self._learners_fact: object = None
        self._changes: SlowRead[ChangesView] = SlowRead(clock)

    async def stop(self) -> None:
        """End what is under way, before the store is closed."""
        for slow in (self._runs, self._n_failed, self._changes):
            await slow.stop()

    async def view(self, store: Store, watch: PagesWatch, now_at: int) -> PagesView:
        """Return the pages that are watched."""
        return PagesView(
            events=None if watch.events is None else await self._events.view(store, watch.events),
            runs=None if watch.runs is None else await self._run_page(store, watch.runs),
            learners=await self._lesson_page(store) if watch.learners else None,
            deployed=await _deployed(store, self._rows_max) if watch.deployments else None,
            versions=await _versions(store) if watch.deployments else (),
            changes=await self._changes_page(store, now_at) if watch.changes else None,
        )

    async def _changes_page(self, store: Store, now_at: int) -> ChangesView | None:
        return await self._changes.latest(
            lambda: changes_since(store, now_at - DAY_MS, now_at), every_s=_COUNT_EVERY_S
        )

    async def _run_page(self, store: Store, query: RunsQuery) -> RunsView | None:
        n_failed = await self._n_failed.latest(lambda: _count_failed(store), every_s=_COUNT_EVERY_S)
        return await self._runs.latest(
            lambda: _runs_view(store, query, n_failed),
            every_s=math.inf,
            question=query,
            state=(await _newest_run(store), n_failed),
        )

    async def _lesson_page(self, store: Store) -> LearnersView:
        heads = await _lesson_heads(store)
        found = await _newest_insights(store)
        fact = (tuple(head[0] for head in heads), found[0].id if found else None)
        if self._learners is None or fact != self._learners_fact:
            self._learners = await self._lessons_of(store, heads, found)
            self._learners_fact = fact
        return self._learners

    async def _lessons_of(
        self, store: Store, heads: list[tuple[str, int | None, int]], found: tuple[Any, ...]
    ) -> LearnersView:
        from engine.errors import PaddockError

        newest: LearnedState | None = None
        problem = ""
        lessons: list[Lesson] = []
        for place, (state_hash, cycle_id, created_at) in enumerate(heads):
            is_newest = place == len(heads) - 1
            if state_hash not in self._lessons or is_newest:
                try:
                    newest = await _state(store, state_hash)
                except PaddockError as exc:
                    problem = str(exc)
                    continue
                lesson = _lesson(newest, state_hash, cycle_id, created_at)
                self._lessons[state_hash] = lesson
            lessons.append(self._lessons[state_hash])
        if newest is None:
            return LearnersView(tuple(lessons), insights=found, problem=problem)
        return LearnersView(
            lessons=tuple(lessons),
            pool=tuple(
                Parent(
                    member.strategy_id,
                    member.fitness,
                    member.standing,
                    member.generation,
                    member.cycle,
                    member.niche,
                )
                for member in newest.population[:N_POOL]
            ),
            patterns=_weighed(newest.patterns),
            arms=_weighed(newest.arms),
            options=tuple(
                Weighed(name, weight, math.nan)
                for name, weight in sorted(
                    newest.priors.items(), key=lambda item: (-abs(math.log(item[1])), item[0])
                )[:N_WEIGHED]
            ),
            insights=found,
            problem=problem,
        )


def _weighed(statistics_of: Any) -> tuple[Weighed, ...]:
    rows = [Weighed(name, s.mean, s.weight) for name, s in statistics_of.items()]
    return tuple(sorted(rows, key=lambda row: (-row.value, row.name))[:N_WEIGHED])


def _lesson(state: LearnedState, state_hash: str, cycle_id: int | None, created_at: int) -> Lesson:
    fitness = [m.fitness for m in state.population if math.isfinite(m.fitness)]
    return Lesson(
        hash=state_hash,
        cycle_id=cycle_id,
        created_at=created_at,
        n_population=len(state.population),
        best=max(fitness, default=math.nan),
        median=statistics.median(fitness) if fitness else math.nan,
        n_patterns=len(state.patterns),
        n_outcomes=state.n_outcomes,
        n_backtests=state.n_backtests,
    )


async def _state(store: Store, state_hash: str) -> LearnedState:
    from engine.evolve.learned_state import LearnedState
    from engine.store.states import load_state

    return LearnedState.from_json((await load_state(store, state_hash)).payload)


async def _lesson_heads(store: Store) -> list[tuple[str, int | None, int]]:
    """Return (hash, cycle, UTC ms) of the last lessons that hold something, oldest first."""
    from sqlalchemy import select

    from engine.store.tables import learned_states as states

    statement = (
        select(states.c.hash, states.c.cycle_id, states.c.created_at)
        .where(states.c.cycle_id.is_not(None))
        .order_by(states.c.cycle_id.desc(), states.c.created_at.desc())
        .limit(N_LESSONS)
    )
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all()
    return [(str(row[0]), row[1], int(row[2])) for row in rows][::-1]


async def _newest_insights(store: Store) -> tuple[Any, ...]:
    from engine.store.insights import insights

    found = await insights(store, limit=N_INSIGHTS)
    newest = found[0].cycle_id if found else None
    return tuple(row for row in found if row.cycle_id == newest)


async def _deployed(store: Store, limit: int) -> tuple[Any, ...]:
    from engine.store.strategies import leaderboard

    rows, _ = await leaderboard(store, statuses=("live", "paper", "paused"), limit=limit)
    return tuple(rows)


async def _versions(store: Store) -> tuple[DeploymentRow, ...]:
    from engine.store.deployments import newest_deployments

    return tuple(await newest_deployments(store))


async def _newest_run(store: Store) -> int:
    from sqlalchemy import func, select

    from engine.store.tables import evaluations

    async with store.read() as connection:
        found = (await connection.execute(select(func.max(evaluations.c.id)))).scalar_one()
    return 0 if found is None else int(found)


async def _count_failed(store: Store) -> int:
    from sqlalchemy import func, select

    from engine.store.tables import evaluations

    statement = select(func.count()).select_from(evaluations)
    async with store.read() as connection:
        found = await connection.execute(statement.where(evaluations.c.status == "failed"))
        return int(found.scalar_one())


async def _runs_view(store: Store, query: RunsQuery, n_failed: int | None) -> RunsView:
    return RunsView(query, await _runs(store, query), n_failed)


async def _runs(store: Store, query: RunsQuery) -> tuple[RunRow, ...]:
    from sqlalchemy import and_, not_, or_, select

    from engine.store.filter_words import split_inverse
    from engine.store.tables import contexts, cycles, evaluations

    head = (
        evaluations.c.id,
        evaluations.c.strategy_id,
        contexts.c.exchange,
        contexts.c.symbol,
        contexts.c.timeframe,
        contexts.c.segment,
        contexts.c.window_start_at,
        contexts.c.window_end_at,
        evaluations.c.cycle_id,
        cycles.c.seed,
        contexts.c.series_hash,
        contexts.c.engine_version,
        evaluations.c.status,
        evaluations.c.error,
        evaluations.c.created_at,
    )
    statement: Any = (
        select(*head, *(evaluations.c[name] for name in METRICS))
        .join(contexts, contexts.c.id == evaluations.c.context_id)
        .join(cycles, cycles.c.id == evaluations.c.cycle_id)
        .order_by(evaluations.c.id.desc())
        .limit(query.limit)
    )
    if query.failed_only:
        statement = statement.where(evaluations.c.status == "failed")
    words, is_inverse = split_inverse(query.text)
    found = [or_(*_ways(word)) for word in words]
    statement = (
        statement.where(not_(and_(*found))) if is_inverse and found else statement.where(*found)
    )
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all()
    n = len(head)
    names = [column.name for column in head]
    return tuple(
        RunRow(
            **_head(tuple(row)[:n], names),
            metrics={
                name: math.nan if value is None else float(value)
                for name, value in zip(METRICS, tuple(row)[n:], strict=True)
            },
        )
        for row in rows
    )


def _ways(word: str) -> list[Any]:
    from engine.store.tables import contexts, evaluations

    ways: list[Any] = [
        evaluations.c.strategy_id.startswith(word.lower(), autoescape=True),
        contexts.c.symbol.icontains(word, autoescape=True),
        contexts.c.segment == word.lower(),
    ]
    if word.isdecimal() and len(word) < 10:
        ways.append(evaluations.c.cycle_id == int(word))
    return ways


def _head(values: tuple[Any, ...], names: Sequence[str]) -> dict[str, Any]:
    # The error is the only column of these that may be NULL.
    found = dict(zip(names, values, strict=True))
    return {**found, "error": found["error"] or ""}
