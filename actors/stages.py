"""What the conductor does in each stage: ask the right part, count, survive its restarts.

Every stage may run twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actors.candidate import Candidate, failure_of, send_to
from actors.chunk_result import ChunkResult
from actors.chunks import ChunkBook
from actors.control_limits import is_suspicious
from actors.cycle_brief import CycleBrief, CycleNotOpen
from actors.dispatch import ChunkReport, Dispatcher
from actors.gate import Gate
from actors.lookups import (
    KnownResult,
    PlainCandidate,
    candidates_after,
    known_results,
    known_trial,
    statuses_of,
)
from actors.meter import Meter
from actors.ports import Peer, PeerLost
from actors.proof_request import KnownTrial, Listed, ProofReport, ProofRequest
from actors.writer import Writer
from engine.backtest.metric_names import N_METRICS
from engine.clock import Clock
from engine.store.candidates import count_candidates, evaluated_sample
from engine.store.curves import holdout_curves
from engine.store.database import Store
from engine.store.evaluations import best
from engine.store.ledger import strategies_scored
from engine.store.strategies import (
    StatusChange,
    StrategyRow,
    count_statuses,
    genomes,
    leaderboard,
)
from engine.strategy.written import is_written
from engine.types import Segment, Status

_PAGE = 2_000
_STAGE_TIMEOUT_S = 3_600.0
_CHUNK_TIMEOUT_S = 600.0
_BLOCK_S = 0.3
_FIRST_BLOCK = 25
_MOST_BLOCK = 1_000
_BLOCKS_OUT = 2
_CURVES = 20
_RETRY_S = 0.25
# Made into controls, and what the choice is said to have been made among.
_CONTROLS = 100
# As many as are clustered to count independent trials.
_KNOWN_TRIALS = 500


@dataclass(slots=True)
class Tally:
    """What the backtest stage adds up, since this process took it up."""

    busy_s: float = 0.0
    wall_s: float = 0.0
    n_bars: int = 0
    n_pairs: int = 0
    n_workers: int = 0
    n_reused: int = 0

    @property
    def busy_frac(self) -> float | None:
        """Return the share of the stage that workers spent computing, None when nothing was."""
        room_s = self.wall_s * self.n_workers
        return min(1.0, self.busy_s / room_s) if room_s > 0 and self.busy_s > 0 else None

    @property
    def bars_per_second(self) -> float | None:
        """Return bars simulated a second, all workers together, None when nothing was."""
        return self.n_bars / self.wall_s if self.wall_s > 0 and self.n_bars else None


@dataclass(slots=True)
class StageWork:
    """One stage of one cycle, and everybody it needs."""

    brief: CycleBrief
    gate: Gate
    writer: Writer
    store: Store
    clock: Clock
    generator: Peer
    feeder: Peer
    learner: Peer
    workers: Sequence[Peer]
    end_worker: Callable[[str], Awaitable[None]]
    tally: Tally
    is_resumed: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def meter(self, stage: str, total: int, done: int = 0, failed: int = 0) -> Meter:
        """Return a meter for a stage of this cycle."""
        return Meter(
            self.writer,
            self.clock,
            self.brief.cycle_id,
            stage,
            total=total,
            done=done,
            failed=failed,
        )


async def run_stage(name: str, work: StageWork) -> None:
    """Run a stage from wherever it stands to its end."""
    await _STAGES[name](work)


async def _generate(work: StageWork) -> None:
    brief = work.brief
    drawn = sum((await count_candidates(work.store, brief.cycle_id)).values())
    async with work.meter("generate", brief.count, drawn) as meter:
        while True:
            start = await patiently(work.generator, "open_cycle", brief)
            meter.done = start
            if start >= brief.count:
                return
            with contextlib.suppress(PeerLost, CycleNotOpen):
                await _blocks(work, meter, start)
                return
            await asyncio.sleep(_RETRY_S)


async def _blocks(work: StageWork, meter: Meter, start: int) -> None:
    """Ask for blocks in order, one drawn while the one before is written."""
    out: list[asyncio.Task[ChunkReport]] = []
    size = _FIRST_BLOCK
    try:
        while start < work.brief.count or out:
            await work.gate.passed()
            while start < work.brief.count and len(out) < _BLOCKS_OUT:
                stop = min(work.brief.count, start + size)
                call = work.generator.call(
                    "generate", work.brief, start, stop, timeout_s=_CHUNK_TIMEOUT_S
                )
                out.append(asyncio.ensure_future(call))
                start = stop
            report = await out[0]
            out.pop(0)
            meter.add(report.n_done)
            if report.busy_s > 0:
                size = max(1, min(_MOST_BLOCK, int(report.n_done / report.busy_s * _BLOCK_S)))
    finally:
        for task in out:
            task.cancel()
        await asyncio.gather(*out, return_exceptions=True)


async def _prepare(work: StageWork) -> None:
    brief = work.brief
    async with work.meter("prepare", len(brief.symbols)) as meter:
        shared: Mapping[str, int] = {}
        for symbol in brief.symbols:
            await work.gate.passed()
            shared = await patiently(work.feeder, "prepare", brief, symbol)
            meter.note = f"{shared['columns']:,} of {shared['distinct']:,} columns shared"
            meter.add(1)
        # Mapped now, so that no worker's first chunk waits for it; one that dies maps them again.
        opening = (patiently(worker, "open_cycle", brief) for worker in work.workers)
        await asyncio.gather(*opening)


async def _validate(work: StageWork) -> None:
    brief = work.brief
    counts = await count_candidates(work.store, brief.cycle_id)
    total = sum(counts.values())
    left = counts["generated"]

    async def give_up(item: Candidate, error: str) -> None:
        finding = {
            "code": "validate.broke",
            "severity": "error",
            "message": f"checking it broke the worker: {error}",
            "place": "",
            "line": None,
            "column": None,
        }
        await work.writer.write(
            "mark_candidates", brief.cycle_id, "rejected", [item.idx], findings=[[finding]]
        )

    async with work.meter("validate", total, total - left, counts["rejected"]) as meter:
        await _dispatch(
            work, "validate", left, _pages(work, "generated"), give_up, _counting(meter)
        )


async def _backtest(work: StageWork) -> None:
    brief = work.brief
    counts = await count_candidates(work.store, brief.cycle_id)
    left, failed = counts["valid"], counts["failed"]
    done = counts["evaluated"] + failed
    tally = work.tally
    tally.n_workers = len(work.workers)
    began_s = time.monotonic()

    async def give_up(item: Candidate, error: str) -> None:
        await work.writer.call("record", failure_of(brief, item, error))
        await work.writer.tell(
            "warn",
            "candidate.poison",
            f"candidate {item.idx} breaks whoever runs it: {error}",
            subject=item.strategy_id,
            cycle_id=brief.cycle_id,
        )

    async with work.meter("backtest", left + done, done, failed) as meter:
        count = _counting(meter)

        def on_report(report: ChunkReport) -> None:
            count(report)
            tally.busy_s += report.busy_s
            tally.n_bars += report.n_bars
            tally.n_pairs += report.fields.get("pairs", 0)

        try:
            pages = _unknown(work, meter, is_resumed=work.is_resumed)
            await _dispatch(work, "backtest", left, pages, give_up, on_report)
        finally:
            tally.wall_s += time.monotonic() - began_s
        if work.gate.is_cut:
            meter.note = f"time limit: {meter.total - meter.done:,} candidates left out"


async def _filter(work: StageWork) -> None:
    counts = await count_candidates(work.store, work.brief.cycle_id)
    total = counts["evaluated"] + counts["failed"]
    await _reject_invalid(work, counts["rejected"])
    async with work.meter("filter", total) as meter:
        found = await _followed(work, meter, "filter")
        meter.done = found["judged"]
        meter.failed = found["judged"] - found["passed"]
        meter.note = f"{found['passed']:,} of {found['judged']:,} passed the screening gate"
        work.facts["passed"] = found["passed"]


async def _learn(work: StageWork) -> None:
    counts = await count_candidates(work.store, work.brief.cycle_id)
    async with work.meter("learn", counts["evaluated"] + counts["failed"]) as meter:
        found = await _followed(work, meter, "learn")
        meter.done = found["of"]
        sample = "" if found["outcomes"] == found["of"] else f" (sample of {found['of']:,})"
        meter.note = f"{found['outcomes']:,} outcomes{sample}, {found['insights']} insights"
        work.facts["learned_state_hash"] = found["state_hash"]


async def _promote(work: StageWork) -> None:
    brief, store = work.brief, work.store
    if brief.evolve is not None:
        await _close_round(work)
        return
    most = brief.config.cycle.promote_max
    # Those on paper as well: on a second run some of this cycle's are there already.
    found, _ = await leaderboard(
        store,
        statuses=[Status.SCREENED, Status.PAPER],
        cycle_id=brief.cycle_id,
        limit=max(1, most),
    )
    top = await best(store, brief.cycle_id, _CURVES)
    texts = await genomes(store, [*(row.strategy.id for row in top), *(row.id for row in found)])
    # A written strategy goes to paper as a Worker: by deployment, not from here.
    listed = [
        row for row in found[:most] if row.best_symbol is not None and not is_written(texts[row.id])
    ]
    wanted = [
        (row.strategy.id, texts[row.strategy.id], row.symbol)
        for row in top
        if row.symbol is not None
    ]
    async with work.meter("promote", len(listed)) as meter:
        if wanted:
            await _draw_curves(work, wanted)
        request = await _proof_request(work, listed, texts)
        report: ProofReport
        controls: dict[str, dict[str, int]]
        report, controls = await asyncio.gather(
            _by_any(work, 0, "prove", request), _by_any(work, 1, "control", request)
        )
        promoted = await _move_to_paper(work, report)
        meter.done, meter.failed = len(listed), len(listed) - promoted
        n_passed = sum(item.passed for item in report.judged)
        days = f"{report.unseen_days:.0f} unseen days"
        room = "" if promoted == n_passed else f", {n_passed - promoted} found no room"
        meter.note = f"{len(listed)} judged on {days}, {promoted} promoted to paper{room}"
        await _tell_promotion(work, report, promoted)
        await _tell_controls(work, controls)
        work.facts["promoted"] = promoted
        work.facts["controls"] = controls


async def _close_round(work: StageWork) -> None:
    """Promote nothing: what an evolution ends with takes its parent's place, or stays."""
    async with work.meter("promote", 0) as meter:
        meter.note = "a round of one strategy's evolution promotes nothing"
        work.facts["promoted"], work.facts["controls"] = 0, {}


async def _proof_request(
    work: StageWork, listed: Sequence[StrategyRow], texts: Mapping[str, str]
) -> ProofRequest:
    brief, store = work.brief, work.store
    exchange, timeframe = brief.market.exchange, brief.market.timeframe
    known: dict[str, tuple[KnownTrial, ...]] = {}
    n_holdout: dict[str, int] = {}
    n_validation: dict[str, int] = {}
    for symbol in sorted({row.best_symbol for row in listed if row.best_symbol is not None}):
        curves = await holdout_curves(store, exchange, symbol, timeframe, _KNOWN_TRIALS)
        known[symbol] = tuple(known_trial(item.curve) for item in curves)
        n_holdout[symbol] = await strategies_scored(
            store, exchange, symbol, timeframe, Segment.HOLDOUT.value, [row.id for row in listed]
        )
        n_validation[symbol] = await strategies_scored(
            store, exchange, symbol, timeframe, Segment.VALIDATION.value
        )
    return ProofRequest(
        listed=tuple(
            Listed(
                strategy_id=row.id,
                genome=texts[row.id],
                symbol=str(row.best_symbol),
                earliest_read_at=brief.earliest_read_at
                if row.earliest_read_at is None
                else row.earliest_read_at,
            )
            for row in listed
        ),
        sample=tuple(
            (name, text)
            for name, text in await evaluated_sample(store, brief.cycle_id, _CONTROLS)
            if not is_written(text)
        ),
        known=known,
        n_scored_holdout=n_holdout,
        n_scored_validation=n_validation,
    )


async def _by_any(work: StageWork, first: int, method: str, request: ProofRequest) -> Any:
    """Have one worker do it, the one at `first` if it can; another takes over when it dies."""
    turn = first
    while True:
        worker = work.workers[turn % len(work.workers)]
        try:
            await worker.call("open_cycle", work.brief, timeout_s=_STAGE_TIMEOUT_S)
            return await worker.call(
                method, work.brief.cycle_id, request, timeout_s=_STAGE_TIMEOUT_S
            )
        except (PeerLost, CycleNotOpen):
            turn += 1
            await asyncio.sleep(_RETRY_S)


async def _move_to_paper(work: StageWork, report: ProofReport) -> int:
    """Give those that passed their status, as far as the pool has room; return how many."""
    statuses = await count_statuses(work.store)
    held = await statuses_of(work.store, [item.strategy_id for item in report.judged])
    passed = [item for item in report.judged if item.passed]
    # On a second run they are there already, and hold their places.
    there = [item for item in passed if held.get(item.strategy_id) == Status.PAPER]
    new = [item for item in passed if held.get(item.strategy_id) == Status.SCREENED]
    room = max(0, work.brief.config.pools.paper_max - statuses.get(Status.PAPER, 0))
    changes = [
        StatusChange(
            item.strategy_id,
            Status.PAPER,
            f"passed the paper gate on {item.symbol} in cycle {work.brief.cycle_id}",
            "conductor",
        )
        for item in new[:room]
    ]
    if changes:
        await work.writer.write("change_statuses", changes)
    return len(there) + len(changes)


async def _tell_promotion(work: StageWork, report: ProofReport, promoted: int) -> None:
    cycle_id = work.brief.cycle_id
    if not report.judged:
        words = "no strategy passed the screen, so none was judged by the paper gate"
    else:
        words = f"{len(report.judged)} strategies judged by the paper gate, {promoted} promoted"
        refused = next((item for item in report.judged if not item.passed), None)
        if refused is not None:
            words += f"; the best refused, {refused.strategy_id[:8]}, {refused.reason}"
    await work.writer.tell(
        "info",
        "cycle.promotion",
        words,
        cycle_id=cycle_id,
        listed=len(report.judged),
        promoted=promoted,
        unseen_days=round(report.unseen_days, 2),
    )


async def _tell_controls(work: StageWork, controls: Mapping[str, Mapping[str, int]]) -> None:
    for kind, found in controls.items():
        suspicious = is_suspicious(found["passed"], found["candidates"])
        words = (
            f"negative control {kind.replace('_', ' ')}: {found['passed']} of"
            f" {found['candidates']} candidates without skill pass the paper gate,"
            f" {found['passed_naive']} would without counting trials"
        )
        if suspicious:
            words += ": more than chance allows, do not believe this cycle's promotions"
        await work.writer.tell(
            "error" if suspicious else "info",
            "cycle.controls",
            words,
            subject=kind,
            cycle_id=work.brief.cycle_id,
            **found,
        )


async def _draw_curves(work: StageWork, wanted: Sequence[tuple[str, str, str]]) -> None:
    worker = work.workers[0]
    await patiently(worker, "open_cycle", work.brief)
    await patiently(worker, "draw_curves", work.brief.cycle_id, wanted)


_STAGES: Mapping[str, Callable[[StageWork], Awaitable[None]]] = {
    "generate": _generate,
    "prepare": _prepare,
    "validate": _validate,
    "backtest": _backtest,
    "filter": _filter,
    "learn": _learn,
    "promote": _promote,
}


async def patiently(peer: Peer, method: str, *args: Any) -> Any:
    """Call a method that may run twice until the peer answers; it is restarted when it dies."""
    while True:
        try:
            return await peer.call(method, *args, timeout_s=_STAGE_TIMEOUT_S)
        except PeerLost:
            await asyncio.sleep(_RETRY_S)


async def _followed(work: StageWork, meter: Meter, method: str) -> Any:
    """Run a stage of the learner and count along."""
    running = asyncio.ensure_future(patiently(work.learner, method, work.brief))
    try:
        while not running.done():
            await asyncio.wait([running], timeout=0.4)
            with contextlib.suppress(PeerLost):
                meter.done = await work.learner.call("progress", timeout_s=5.0)
        return running.result()
    finally:
        running.cancel()


async def _dispatch(
    work: StageWork,
    method: str,
    total: int,
    pages: AsyncIterator[Sequence[Candidate]],
    give_up: Callable[[Candidate, str], Awaitable[None]],
    on_report: Callable[[ChunkReport], None],
) -> None:
    target_s = work.brief.config.runtime.chunk_target_ms / 1000
    book: ChunkBook[Candidate] = ChunkBook(len(work.workers), total, target_s)

    async def send(worker: Peer, chunk: tuple[Candidate, ...]) -> ChunkReport:
        return await send_to(worker, method, work.brief, chunk, _CHUNK_TIMEOUT_S)

    dispatcher = Dispatcher(
        work.workers, book, work.gate, send, give_up, on_report, work.end_worker, _PAGE
    )
    await dispatcher.run(pages)


async def _pages(work: StageWork, status: str) -> AsyncIterator[list[Candidate]]:
    async for page in _plain_pages(work, status):
        yield [row.candidate for row in page]


async def _plain_pages(work: StageWork, status: str) -> AsyncIterator[list[PlainCandidate]]:
    after = -1
    while page := await candidates_after(work.store, work.brief.cycle_id, after, _PAGE, status):
        after = page[-1].candidate.idx
        yield page


async def _unknown(
    work: StageWork, meter: Meter, *, is_resumed: bool
) -> AsyncIterator[list[Candidate]]:
    """Yield the candidates that the ledger does not hold; mark the others, counted as reused.

    A strategy that this cycle is the first to meet can only be there when the stage is resumed.
    """
    brief = work.brief
    validation = brief.validation_contexts()
    async for page in _plain_pages(work, "valid"):
        asked = [row.candidate.strategy_id for row in page if is_resumed or not row.is_new]
        known = await known_results(work.store, asked, brief.context_ids, validation)
        held = [row.candidate for row in page if row.candidate.strategy_id in known]
        if held:
            await _mark_known(work, held, known)
            is_failed = [known[item.strategy_id].is_failed for item in held]
            meter.add(len(held), sum(is_failed))
            work.tally.n_reused += len(held) * len(brief.symbols)
        yield [row.candidate for row in page if row.candidate.strategy_id not in known]


async def _mark_known(
    work: StageWork, held: Sequence[Candidate], known: Mapping[str, KnownResult]
) -> None:
    results = [known[item.strategy_id] for item in held]
    is_failed = np.array([result.is_failed for result in results])
    idxs = np.array([item.idx for item in held], dtype=np.int64)
    fitness = np.array([result.fitness for result in results])
    marks = ChunkResult(
        cycle_id=work.brief.cycle_id,
        context_ids=np.empty(0, dtype=np.int64),
        strategy_ids=(),
        metrics=np.empty((0, N_METRICS)),
        errors={},
        idxs=idxs[~is_failed],
        fitness=fitness[~is_failed],
        failed_idxs=idxs[is_failed],
    )
    await work.writer.call("record", marks)


async def _reject_invalid(work: StageWork, n_rejected: int) -> None:
    """Give the strategies that validation refused their status."""
    if n_rejected:
        await work.writer.call("reject_strategies", work.brief.cycle_id)


def _counting(meter: Meter) -> Callable[[ChunkReport], None]:
    def count(report: ChunkReport) -> None:
        meter.add(report.n_done, report.n_failed)

    return count
