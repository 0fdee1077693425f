"""The generator: proposes a cycle's candidates from its frozen learned state.

A cycle that searches a family takes its candidates from the points of that family instead; one that
evolves a strategy takes that strategy and versions of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.author import Authored
from actors.authoring import ORIGIN, Authoring, Written
from actors.cycle_brief import CycleBrief, CycleNotOpen
from actors.cycle_plan import evolve_settings, shares_of, universe_of
from actors.dispatch import ChunkReport
from actors.lookups import drawn_ids
from actors.roster import PartSpec, PeerOf, backtester_names
from actors.writer import Writer
from engine.clock import Clock
from engine.config import database_url
from engine.errors import BudgetError, InvariantError
from engine.evolve.learned_state import LearnedState
from engine.evolve.order import Subject
from engine.evolve.point_search import PointSearch, read_search
from engine.evolve.propose import Proposal, improved, propose
from engine.evolve.universe import EvolveSettings, Shares, Universe
from engine.store.candidates import CandidateRow
from engine.store.cycles import get_cycle
from engine.store.database import Store
from engine.store.states import load_state
from engine.strategy.genome import Direction, Genome
from engine.strategy.written import is_written

# A universe so small that this many draws repeat is exhausted.
_MOST_ATTEMPTS = 200
_SEARCHED = "search"


@dataclass(slots=True)
class _Open:
    """A cycle in hand: everything `propose` takes, and what was drawn so far.

    Attributes
    ----------
    seen : index of each id drawn
    frontier : every index below it is drawn
    search : the points to draw instead of proposals, None in a cycle that breeds
    written : the language model's part
    """

    brief: CycleBrief
    state: LearnedState
    universe: Universe
    shares: Shares
    settings: EvolveSettings
    created_at: int
    seen: dict[str, int] = field(default_factory=dict)
    frontier: int = 0
    search: PointSearch | None = None
    written: Written = field(default_factory=Written)


class Generator:
    """Propose candidates, each a function of (seed, index, attempt) and the cycle's state.

    Survives a crash: nothing; what was drawn is in the store, and the rest is drawn again the same.
    May run twice: any block; filled places are left as they are.
    Owns: the order of the draws, for a duplicate is redrawn by comparing with lower indices.
    """

    def __init__(self, spec: PartSpec, peer_of: PeerOf, clock: Clock) -> None:
        self._url = database_url(spec.config)
        self._writer = Writer(peer_of("recorder"), clock)
        self._authoring = Authoring(self._writer, clock, peer_of(backtester_names(1)[0]))
        self._clock = clock
        self._open: _Open | None = None
        self._turn = asyncio.Lock()
        self._n_drawn = 0
        self._is_busy = False

    async def start(self) -> None:
        """Nothing runs by itself here."""

    async def stop(self) -> None:
        """Let go of the cycle in hand."""
        await self._forget()

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return busy while drawing."""
        return ("busy" if self._is_busy else "idle"), {"candidates": self._n_drawn}

    async def open_cycle(self, brief: CycleBrief) -> int:
        """Load what the cycle knows and has drawn; return the lowest index that is missing."""
        async with self._turn:
            await self._forget()
            store = await Store.open(self._url, read_only=True, create=False)
            universe = universe_of(brief.config, brief.market.market_type)
            try:
                row = await load_state(store, brief.state_hash)
                seen = await drawn_ids(store, brief.cycle_id)
                search = (await get_cycle(store, brief.cycle_id)).settings.get("search")
                state, frontier = LearnedState.from_json(row.payload), _frontier(seen)
                written = Written()
                if search is None:
                    written = await self._authoring.open(brief, state, universe, store, frontier)
            finally:
                await store.close()
            opened = self._open = _Open(
                brief=brief,
                state=state,
                universe=universe,
                shares=shares_of(brief.config),
                settings=evolve_settings(brief.config),
                created_at=self._clock.now_at(),
                seen=seen,
                frontier=frontier,
                search=None if search is None else read_search(search),
                written=written,
            )
            return opened.frontier

    async def generate(self, brief: CycleBrief, start: int, stop: int) -> ChunkReport:
        """Draw and store the candidates start <= idx < stop.

        Raises
        ------
        CycleNotOpen : lower indices are missing, for a block before this one was lost: ask in
            order.
        """
        if self._open is None or self._open.brief.cycle_id != brief.cycle_id:
            await self.open_cycle(brief)
        async with self._turn:
            opened = self._open
            if opened is None or opened.frontier < start:
                raise CycleNotOpen(f"candidates below {start} are not drawn yet")
            authored = await opened.written.authored(start, stop)
            self._is_busy = True
            began_s = time.perf_counter()
            try:
                rows = await asyncio.to_thread(_draw, opened, authored, start, stop)
            finally:
                self._is_busy = False
            busy_s = time.perf_counter() - began_s
            self._n_drawn += len(rows)
        # The next block is drawn while this one is written.
        await self._writer.write("add_candidates", brief.cycle_id, rows)
        return ChunkReport(n_done=len(rows), busy_s=busy_s)

    async def close_cycle(self, cycle_id: int) -> None:
        """Forget a cycle."""
        if self._open is not None and self._open.brief.cycle_id == cycle_id:
            await self._forget()

    async def _forget(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            await opened.written.close()


def _frontier(seen: Mapping[str, int]) -> int:
    """Return the lowest index that is not drawn."""
    frontier = 0
    for index in sorted(seen.values()):
        if index != frontier:
            break
        frontier += 1
    return frontier


def _draw(
    opened: _Open, authored: Mapping[int, Authored], start: int, stop: int
) -> list[CandidateRow]:
    rows = [_candidate(opened, index, authored.get(index)) for index in range(start, stop)]
    opened.frontier = max(opened.frontier, stop)
    return rows


def _candidate(opened: _Open, index: int, authored: Authored | None) -> CandidateRow:
    if opened.search is not None:
        genome = _searched(opened.search, opened.universe, index)
        return _row(opened, index, genome, _SEARCHED, generation=opened.search.generation)
    if opened.written.subject is not None and index == 0:
        return _subject_row(opened, opened.written.subject)
    if authored is not None:
        row = _authored_row(opened, index, authored)
        if opened.seen.get(row.strategy_id, index) >= index and opened.written.is_new(authored):
            opened.seen[row.strategy_id] = index
            return row
    proposal = _distinct(opened, index)
    return _row(
        opened,
        index,
        proposal.genome,
        proposal.origin,
        generation=proposal.generation,
        parents=proposal.parents,
    )


def _row(
    opened: _Open,
    index: int,
    genome: Genome,
    origin: str,
    *,
    generation: int,
    parents: tuple[str | None, str | None] = (None, None),
) -> CandidateRow:
    return CandidateRow(
        idx=index,
        strategy_id=genome.id,
        origin=origin,
        type=genome.type.value,
        timeframe=genome.timeframe,
        direction=genome.direction.value,
        genome=genome.canonical_json(),
        generation=generation,
        parent_a=parents[0],
        parent_b=parents[1],
        created_at=opened.created_at,
        earliest_read_at=opened.brief.earliest_read_at,
    )


def _subject_row(opened: _Open, subject: Subject) -> CandidateRow:
    """The strategy that is evolved, measured beside its versions; its own row stays as it is."""
    opened.seen[subject.strategy_id] = 0
    return CandidateRow(
        idx=0,
        strategy_id=subject.strategy_id,
        origin="parent",
        type=subject.type,
        timeframe=opened.universe.timeframe,
        direction="",
        genome=subject.document,
        generation=subject.generation,
        created_at=opened.created_at,
        earliest_read_at=opened.brief.earliest_read_at,
    )


def _authored_row(opened: _Open, index: int, authored: Authored) -> CandidateRow:
    judged, order = authored.judged, authored.order
    if judged.draft is None:
        raise InvariantError(f"candidate {index} was accepted without a strategy", index=index)
    return CandidateRow(
        idx=index,
        strategy_id=judged.draft.id,
        origin=ORIGIN,
        type=judged.type or order.type,
        timeframe=opened.universe.timeframe,
        direction=judged.direction,
        genome=judged.draft.document,
        generation=order.generation,
        parent_a=order.parent_id,
        name=judged.name,
        created_at=opened.created_at,
        earliest_read_at=opened.brief.earliest_read_at,
    )


def _searched(search: PointSearch, universe: Universe, index: int) -> Genome:
    """Return the point of the search at `index`: both sides where a market allows both."""
    direction = Direction.BOTH if universe.is_perp else Direction.LONG
    values = search.space.point(search.points[index])
    return search.space.genome(values, universe.timeframe, direction)


def _distinct(opened: _Open, index: int) -> Proposal:
    """Return the first proposal for `index` that no lower index has drawn.

    Asked again, the same.
    """
    for attempt in range(_MOST_ATTEMPTS):
        proposal = _proposed(opened, index, attempt)
        strategy_id = proposal.genome.id
        if opened.seen.get(strategy_id, index) >= index:
            opened.seen[strategy_id] = index
            return proposal
    raise BudgetError(
        f"candidate {index}: {_MOST_ATTEMPTS} draws in a row repeat earlier candidates:"
        " ask for fewer candidates",
        index=index,
    )


def _proposed(opened: _Open, index: int, attempt: int) -> Proposal:
    subject = opened.written.subject
    if subject is None or is_written(subject.document):
        return propose(
            opened.brief.seed,
            index,
            attempt,
            opened.state,
            opened.universe,
            opened.shares,
            opened.settings,
        )
    return improved(
        opened.brief.seed,
        index,
        attempt,
        opened.state,
        opened.universe,
        Genome.from_json(subject.document),
        subject.generation,
        opened.settings,
    )
