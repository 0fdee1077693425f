"""The learner: judges a cycle's results, learns from them, and proposes promotions."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actors.cycle_brief import CycleBrief
from actors.cycle_plan import evolve_settings
from actors.lookups import parentage_of, statuses_of
from actors.memory import give_back
from actors.roster import PartSpec, PeerOf
from actors.screening import Screened, screen_strategy
from actors.writer import Writer
from engine.backtest.metric_names import METRIC_INDEX
from engine.clock import Clock
from engine.config import database_url
from engine.evolve.arms import ArmOutcome
from engine.evolve.insights import find_insights
from engine.evolve.learn import learn, learn_arms
from engine.evolve.learned_state import LearnedState
from engine.evolve.outcomes import Outcome
from engine.store.database import Store
from engine.store.evaluations import contexts_of_cycle, evaluation_blocks
from engine.store.insights import Insight
from engine.store.states import load_state
from engine.store.strategies import StatusChange
from engine.store.transcripts import Asked, asked_of_cycle
from engine.strategy.genome import Genome
from engine.strategy.written import is_written
from engine.types import FloatArray, Segment, Status

# More outcomes than this teach nothing new, and every genome in memory costs some 20 kB.
LEARN_MAX = 6_000
_WHO = "conductor"
# A strategy's id and its metrics by symbol on validation and on fit.
_Measured = tuple[str, FloatArray, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class _Strategy:
    """A strategy's evaluations in one cycle: metrics by (symbol, segment).

    Nan rows for failed ones.
    """

    id: str
    rows: dict[tuple[str, str], FloatArray]
    is_failed: bool


class Learner:
    """Filter, learn, promote.

    Survives a crash: nothing; each stage is run again from the ledger.
    May run twice: every stage; scores and statuses are set, not added to.
    Owns: nothing.
    """

    def __init__(self, spec: PartSpec, peer_of: PeerOf, clock: Clock) -> None:
        self._url = database_url(spec.config)
        self._writer = Writer(peer_of("recorder"), clock)
        self._clock = clock
        self._doing = ""
        self._n_done = 0

    async def start(self) -> None:
        """Nothing runs by itself here."""

    async def stop(self) -> None:
        """Nothing is held."""

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return busy while a stage runs."""
        return ("busy" if self._doing else "idle"), {"stage": self._doing, "done": self._n_done}

    async def progress(self) -> int:
        """Return how many strategies the stage under way has handled."""
        return self._n_done

    async def filter(self, brief: CycleBrief) -> dict[str, int]:
        """Judge every strategy of a cycle by the screening gate.

        Return judged, passed and failed.
        """
        self._doing, self._n_done = "filter", 0
        store = await self._reader()
        n_passed = 0
        try:
            async for strategies in _strategies(store, brief.cycle_id):
                judged = await asyncio.to_thread(_screen_all, brief, strategies)
                n_passed += sum(result.passed for result in judged)
                await self._writer.write("update_scores", [result.score for result in judged])
                await self._move(store, brief, judged)
                self._n_done += len(judged)
        finally:
            self._doing = ""
            await store.close()
        return {"judged": self._n_done, "passed": n_passed}

    async def learn(self, brief: CycleBrief) -> dict[str, Any]:
        """Derive and save the next learned state and the insights of a cycle."""
        self._doing, self._n_done = "learn", 0
        store = await self._reader()
        try:
            parent = LearnedState.from_json((await load_state(store, brief.state_hash)).payload)
            measured = await self._measured(store, brief)
            asked = _arm_outcomes(parent, measured, await asked_of_cycle(store, brief.cycle_id))
            settings = evolve_settings(brief.config)
            start_at = brief.market.start_at
            if brief.evolve is not None:
                state = learn_arms(parent, asked, settings, earliest_read_at=start_at)
                return await self._saved(brief, state, [], 0, len(measured))
            outcomes, n_all = await self._outcomes(store, measured), len(measured)
            state = await asyncio.to_thread(
                learn, parent, outcomes, settings, earliest_read_at=start_at, asked=asked
            )
            found = await asyncio.to_thread(find_insights, outcomes)
            n_outcomes = len(outcomes)
            del outcomes
            give_back()
        finally:
            self._doing = ""
            await store.close()
        rows = [
            Insight(row.kind, row.subject, row.value, row.p_value, dict(row.payload))
            for row in found
        ]
        return await self._saved(brief, state, rows, n_outcomes, n_all)

    async def _saved(
        self,
        brief: CycleBrief,
        state: LearnedState,
        rows: Sequence[Insight],
        n_outcomes: int,
        n_all: int,
    ) -> dict[str, Any]:
        await self._writer.write("add_insights", brief.cycle_id, rows)
        state_hash = brief.state_hash
        if state.hash != brief.state_hash:
            state_hash = await self._writer.write(
                "save_state",
                payload=state.canonical_json(),
                parent_hash=brief.state_hash,
                cycle_id=brief.cycle_id,
            )
        return {
            "state_hash": state_hash,
            "outcomes": n_outcomes,
            "of": n_all,
            "insights": len(rows),
            "population": len(state.population),
        }

    async def _reader(self) -> Store:
        return await Store.open(self._url, read_only=True, create=False)

    async def _move(self, store: Store, brief: CycleBrief, judged: Sequence[Screened]) -> None:
        """Move generated strategies up and screened ones back; no other status is touched here."""
        before = await statuses_of(store, [result.score.id for result in judged])
        changes: list[StatusChange] = []
        for result in judged:
            status = before.get(result.score.id)
            if result.passed and status == Status.GENERATED:
                reason = f"passed the screening gate on {result.symbol} in cycle {brief.cycle_id}"
                changes.append(StatusChange(result.score.id, Status.SCREENED, reason, _WHO))
            elif not result.passed and status == Status.SCREENED:
                reason = f"{result.reason} in cycle {brief.cycle_id}"
                changes.append(StatusChange(result.score.id, Status.GENERATED, reason, _WHO))
        if changes:
            await self._writer.write("change_statuses", changes)

    async def _measured(self, store: Store, brief: CycleBrief) -> list[_Measured]:
        measured: list[_Measured] = []
        async for strategies in _strategies(store, brief.cycle_id):
            for strategy in strategies:
                validation, fit = (
                    np.array([strategy.rows[symbol, segment] for symbol in brief.symbols])
                    for segment in (Segment.VALIDATION, Segment.FIT)
                )
                measured.append((strategy.id, validation, fit))
            self._n_done += len(strategies)
        return measured

    async def _outcomes(self, store: Store, measured: list[_Measured]) -> list[Outcome]:
        """Return the outcomes to learn from: all of them, or the best and a sample of the rest.

        Ids are content hashes, so that every k-th in their order is a fair and repeatable sample.
        Written strategies have no genes to learn from.
        """
        chosen = _sampled(measured, LEARN_MAX)
        texts = await parentage_of(store, [row[0] for row in chosen])
        return await asyncio.to_thread(
            lambda: [
                Outcome.of(Genome.from_json(texts[name][0]), validation, texts[name][1], fit)
                for name, validation, fit in chosen
                if not is_written(texts[name][0])
            ]
        )


def _arm_outcomes(
    parent: LearnedState, measured: Sequence[_Measured], asked: Sequence[Asked]
) -> list[ArmOutcome]:
    """Return what each question to a language model gained, in order of the candidates.

    A child is compared with the strategy it improves, or with the middle of its cycle. Questions
    that no server answered say nothing about prompt or model.
    """
    place = METRIC_INDEX["fitness"]
    fitness = {name: float(validation[:, place].mean()) for name, validation, _ in measured}
    known = {member.strategy_id: member.fitness for member in parent.population}
    defined = [value for value in fitness.values() if math.isfinite(value)]
    middle = float(np.median(defined)) if defined else 0.0
    found = []
    for row in asked:
        if row.outcome not in ("accepted", "refused"):
            continue
        own = (
            fitness.get(row.strategy_id or "", math.nan) if row.outcome == "accepted" else math.nan
        )
        base = fitness.get(row.parent_id or "", known.get(row.parent_id or "", middle))
        found.append(ArmOutcome(row.arm, own - (base if math.isfinite(base) else middle)))
    return found


async def _strategies(store: Store, cycle_id: int) -> AsyncIterator[list[_Strategy]]:
    """Yield a cycle's strategies in id order, some thousands at a time."""
    contexts = await contexts_of_cycle(store, cycle_id)
    async for block in evaluation_blocks(store, cycle_id):
        found: dict[str, _Strategy] = {}
        failed: set[str] = set()
        for i, strategy_id in enumerate(block.strategy_ids):
            item = contexts[int(block.context_ids[i])]
            row = found.get(strategy_id)
            if row is None:
                row = found[strategy_id] = _Strategy(strategy_id, {}, is_failed=False)
            row.rows[item.symbol, item.segment] = block.metrics[i]
            if block.statuses[i] != "ok":
                failed.add(strategy_id)
        # What the time limit cut off in the middle has not been judged on every symbol.
        yield [
            _Strategy(name, row.rows, name in failed)
            for name, row in found.items()
            if len(row.rows) == len(contexts)
        ]


def _screen_all(brief: CycleBrief, strategies: Sequence[_Strategy]) -> list[Screened]:
    gate = brief.config.screen
    return [
        screen_strategy(row.id, row.rows, brief.symbols, gate, is_failed=row.is_failed)
        for row in strategies
    ]


def _sampled(measured: list[_Measured], limit: int) -> list[_Measured]:
    if len(measured) <= limit:
        return measured
    fitness = np.array([row[1][:, 0].mean() for row in measured])
    order = np.argsort(np.where(np.isnan(fitness), -math.inf, fitness), kind="stable")[::-1]
    best = set(order[: limit // 10].tolist())
    rest = [i for i in range(len(measured)) if i not in best]
    picked = np.linspace(0, len(rest) - 1, limit - len(best)).astype(np.int64)
    keep = sorted(best | {rest[i] for i in picked.tolist()})
    return [measured[i] for i in keep]
