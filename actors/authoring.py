"""What a generator needs of written candidates when it takes up a cycle."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from actors.author import Author, Authored, Tally, open_model
from actors.cycle_brief import CycleBrief
from actors.ports import Peer
from actors.writer import Writer
from engine.backtest.configured import backtest_settings
from engine.clock import Clock
from engine.evolve.analysis import Analysis
from engine.evolve.judge import Judge
from engine.evolve.language_model import missing_key_words
from engine.evolve.learned_state import LearnedState
from engine.evolve.order import Subject, order_for, owed_places
from engine.evolve.population import parents_for
from engine.evolve.rounds import read_evolution
from engine.evolve.universe import Universe
from engine.evolve.written_answer import Draft
from engine.store.candidates import candidates_page
from engine.store.database import Store
from engine.store.strategies import get_strategy
from engine.store.transcripts import TranscriptRow, transcripts_of_cycle
from engine.strategy.genome import Genome
from engine.strategy.library import LIBRARY
from engine.strategy.written import is_written, module_of
from engine.types import FloatArray, timeframe_ms
from engine.validate.genome_check import GenomeLimits

ORIGIN = "language_model"
_PAGE = 2_000
_ANALYSE_TIMEOUT_S = 600.0


@dataclass(slots=True)
class Written:
    """The language model's part of one cycle.

    Attributes
    ----------
    author : None when nothing is asked for
    subject : the strategy that is evolved, None in a cycle that breeds
    judge : None without an author
    held : positions of what was accepted so far, by id
    """

    author: Author | None = None
    subject: Subject | None = None
    judge: Judge | None = None
    held: dict[str, FloatArray] = field(default_factory=dict)

    async def authored(self, start: int, stop: int) -> dict[int, Authored]:
        """Return what was written for the places start <= idx < stop."""
        return {} if self.author is None else await self.author.authored(start, stop)

    def is_new(self, written: Authored) -> bool:
        """Tell whether it is unlike what was accepted at lower places, and remember it if so.

        Asked again, the same: a block whose answer was lost is drawn twice.
        """
        judged = written.judged
        if judged.draft is None or judged.positions is None or self.judge is None:
            return False
        if judged.draft.id in self.held:
            return True
        # Versions of one strategy are alike; there only the very same is refused.
        if self.subject is None and self.judge.is_alike(judged.positions, self.held):
            return False
        self.held[judged.draft.id] = judged.positions
        return True

    async def close(self) -> None:
        """Ask no more."""
        if self.author is not None:
            await self.author.close()


class Authoring:
    """Open the language model's part of cycles.

    Parameters
    ----------
    worker : measures the strategy that is evolved
    """

    def __init__(self, writer: Writer, clock: Clock, worker: Peer) -> None:
        self._writer = writer
        self._clock = clock
        self._worker = worker
        self._telling: set[asyncio.Task[None]] = set()

    async def open(
        self,
        brief: CycleBrief,
        state: LearnedState,
        universe: Universe,
        store: Store,
        frontier: int,
    ) -> Written:
        """Return what a cycle's language model does, its questions under way.

        Parameters
        ----------
        frontier : every place below it is filled
        """
        subject = None if brief.evolve is None else await self._subject(brief, state, store)
        places = [place for place in _places(brief, state) if place >= frontier]
        if not places:
            return Written(subject=subject)
        record = await _record(store, brief)
        spent = (sum(r.tokens_in for r in record), sum(r.tokens_out for r in record))
        settings = brief.config.language_model
        # In threads: on a busy machine each of these could keep the loop from answering for long.
        model = None
        if brief.replay is None:
            model = await asyncio.to_thread(open_model, settings, spent=spent)
        if model is None and brief.replay is None:
            await self._tell_off(brief)
            return Written(subject=subject)
        judge = await asyncio.to_thread(_judge, brief, state, universe, subject)
        held = await _held(store, brief, judge) if frontier else {}
        orders = await asyncio.to_thread(
            lambda: {
                place: order_for(brief.seed, place, state, universe, settings.models, subject)
                for place in places
            }
        )

        async def save(rows: Any) -> None:
            await self._writer.write("save_transcripts", rows)

        author = Author(
            cycle_id=brief.cycle_id,
            settings=settings,
            model=model,
            record={(row.idx, row.attempt): row for row in record},
            judge=judge,
            orders=orders,
            save=save,
            clock=self._clock,
            max_in_flight=brief.config.cycle.max_llm_in_flight,
        )
        author.begin()
        task = asyncio.create_task(self._tell_end(brief, author))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        return Written(author, subject, judge, held)

    async def _subject(self, brief: CycleBrief, state: LearnedState, store: Store) -> Subject:
        evolution = read_evolution(brief.evolve)
        stored = await get_strategy(store, evolution.parent)
        await self._worker.call("open_cycle", brief, timeout_s=_ANALYSE_TIMEOUT_S)
        analysis: Analysis = await self._worker.call(
            "analyse",
            brief.cycle_id,
            stored.genome,
            dict(state.priors),
            timeout_s=_ANALYSE_TIMEOUT_S,
        )
        return Subject(
            strategy_id=stored.row.id,
            document=stored.genome,
            type=stored.row.type,
            generation=stored.row.generation,
            analysis=analysis,
            tried=evolution.tried,
        )

    async def _tell_off(self, brief: CycleBrief) -> None:
        share = brief.config.cycle.language_model_share
        words = f"language model off, its share is 0: {missing_key_words()}"
        level = "warn" if share > 0 else "info"
        await self._writer.tell(level, "language_model.off", words, cycle_id=brief.cycle_id)

    async def _tell_end(self, brief: CycleBrief, author: Author) -> None:
        tally: Tally = await author.finished()
        words = (
            f"language model: {tally.n_accepted} of {tally.n_places} candidates written,"
            f" {tally.n_asked} questions asked, {tally.n_replayed} read from the record"
        )
        await self._writer.tell(
            "info" if tally.n_accepted else "warn",
            "language_model.done",
            words,
            cycle_id=brief.cycle_id,
            places=tally.n_places,
            accepted=tally.n_accepted,
            asked=tally.n_asked,
            replayed=tally.n_replayed,
        )


def _places(brief: CycleBrief, state: LearnedState) -> tuple[int, ...]:
    """Return the places that a language model would fill, key or no key."""
    if brief.evolve is not None:
        return tuple(range(1, brief.count))
    first = len(LIBRARY) if state.is_empty else 0
    return owed_places(brief.count, first, brief.config.cycle.language_model_share)


async def _record(store: Store, brief: CycleBrief) -> list[TranscriptRow]:
    own = await transcripts_of_cycle(store, brief.cycle_id)
    if brief.replay is None:
        return own
    return await transcripts_of_cycle(store, brief.replay)


def _judge(
    brief: CycleBrief, state: LearnedState, universe: Universe, subject: Subject | None
) -> Judge:
    market, config = brief.market, brief.config
    _, start_at, end_at = market.segments[0]
    limits = GenomeLimits(
        timeframe=market.timeframe,
        market_type=market.market_type,
        n_bars=(end_at - start_at) // timeframe_ms(market.timeframe),
        leverage_max=config.limits.leverage_max,
        risk_per_trade_frac=config.limits.risk_per_trade_frac,
    )
    judge = Judge(limits, backtest_settings(config), config.language_model.likeness_max)
    if subject is None:
        known = {m.strategy_id: m.genome for m in parents_for(state, universe.timeframe)}
        judge.know(known)
    elif not is_written(subject.document):
        judge.know({subject.strategy_id: Genome.from_json(subject.document)})
    return judge


async def _held(store: Store, brief: CycleBrief, judge: Judge) -> dict[str, FloatArray]:
    """Return the positions of what the language model wrote before a restart."""
    held: dict[str, FloatArray] = {}
    after = -1
    while page := await candidates_page(store, brief.cycle_id, after, _PAGE):
        after = page[-1].idx
        for row in page:
            if row.origin != ORIGIN:
                continue
            if is_written(row.genome):
                draft = Draft(row.strategy_id, row.genome, module=module_of(row.genome))
            else:
                genome = Genome.from_json(row.genome)
                draft = Draft(row.strategy_id, row.genome, genome=genome)
            positions = await asyncio.to_thread(judge.positions_of, draft)
            if positions is not None:
                held[row.strategy_id] = positions
    return held
