"""A backtester: validates and backtests chunks of candidates, one at a time, at a low priority."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actors.candidate import Candidate
from actors.chunk_result import ChunkResult
from actors.controls import run_controls
from actors.cycle_brief import CycleBrief, CycleNotOpen
from actors.dispatch import ChunkReport
from actors.ports import Objects, Peer
from actors.proof_request import Judged, ProofReport, ProofRequest
from actors.proving import Proven, holdout_context, n_days, prove
from actors.roster import PartSpec, PeerOf
from actors.writer import Writer
from engine.backtest.configured import backtest_settings
from engine.backtest.metric_names import METRIC_INDEX, N_METRICS
from engine.backtest.run import Evaluator, PreparedSeries, Trade
from engine.backtest.stored import stored_metrics, stored_results
from engine.clock import Clock
from engine.errors import StrategyError
from engine.evolve.analysis import Analysis, analyse
from engine.evolve.judge import PATIENT
from engine.store.curves import CurveRow
from engine.store.verdicts import VerdictRow
from engine.strategy.genome import Genome
from engine.strategy.written import is_written, module_of
from engine.types import Bars, FloatArray, Segment, timeframe_ms
from engine.validate.findings import has_errors
from engine.validate.genome_check import GenomeLimits, genome_findings, read_genome

_SERIES_TIMEOUT_S = 300.0
_FITNESS = METRIC_INDEX["fitness"]
# A curve is for drawing: more points than a screen has columns say nothing more.
_CURVE_POINTS = 1_000
Findings = dict[str, str | int | None]


@dataclass(slots=True)
class _Open:
    """A cycle this worker has in hand."""

    brief: CycleBrief
    evaluators: dict[str, Evaluator] = field(default_factory=dict)
    n_bars: int = 0


class Backtester:
    """Work on chunks.

    Survives a crash: nothing; its chunks are handed out again.
    May run twice: any chunk; the ledger keeps each evaluation once.
    Owns: nothing that matters.
    """

    def __init__(self, spec: PartSpec, peer_of: PeerOf, objects: Objects, clock: Clock) -> None:
        self._recorder = peer_of("recorder")
        self._feeder: Peer = peer_of("feeder")
        self._writer = Writer(self._recorder, clock)
        self._clock = clock
        self._objects = objects
        self._open: _Open | None = None
        self._opening = asyncio.Lock()
        # One thread: the loop stays free to fetch the next chunk and to beat while this one
        # computes.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._warming: asyncio.Task[None] | None = None
        self._busy_s = 0.0
        self._n_done = 0
        self._is_computing = False

    async def start(self) -> None:
        """Compile the kernel before it is needed."""
        self._warming = asyncio.create_task(self._compute(_warm_up))

    async def warm(self) -> None:
        """Return when the kernel is compiled."""
        if self._warming is not None:
            await asyncio.shield(self._warming)

    async def stop(self) -> None:
        """Let go of the series."""
        self._open = None
        self._thread.shutdown(wait=False, cancel_futures=True)

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return busy while computing."""
        detail = {"busy_s": round(self._busy_s, 3), "candidates": self._n_done}
        return ("busy" if self._is_computing else "idle"), detail

    async def open_cycle(self, brief: CycleBrief) -> None:
        """Map the shared series of a cycle.

        Raises
        ------
        PeerLost : the feeder is away.
        DataError : the bars are no longer those of the cycle.
        """
        async with self._opening:
            if self._open is not None and self._open.brief.cycle_id == brief.cycle_id:
                return
            self._open = None
            references = await self._feeder.call("series", brief, timeout_s=_SERIES_TIMEOUT_S)
            opened = _Open(brief)
            settings = backtest_settings(brief.config)
            for symbol in brief.symbols:
                prepared: PreparedSeries = await self._objects.fetch(
                    references[symbol], _SERIES_TIMEOUT_S
                )
                opened.evaluators[symbol] = Evaluator(prepared, settings)
                opened.n_bars += sum(stop - start for _, start, stop in prepared.segments)
            self._open = opened

    async def close_cycle(self, cycle_id: int) -> None:
        """Let go of a cycle's series."""
        if self._open is not None and self._open.brief.cycle_id == cycle_id:
            self._open = None

    async def validate(self, cycle_id: int, chunk: Sequence[Candidate]) -> ChunkReport:
        """Check candidates and mark them valid, or rejected with their findings."""
        opened = self._opened(cycle_id)
        began_s = time.perf_counter()
        findings = await self._compute(_check_all, opened, chunk)
        busy_s = time.perf_counter() - began_s
        rejected = [i for i, found in enumerate(findings) if found]
        valid = [row.idx for row, found in zip(chunk, findings, strict=True) if not found]
        if valid:
            await self._writer.write("mark_candidates", cycle_id, "valid", valid)
        if rejected:
            await self._writer.write(
                "mark_candidates",
                cycle_id,
                "rejected",
                [chunk[i].idx for i in rejected],
                findings=[findings[i] for i in rejected],
            )
        return ChunkReport(n_done=len(chunk), n_failed=len(rejected), busy_s=busy_s)

    async def backtest(self, cycle_id: int, chunk: Sequence[Candidate]) -> ChunkReport:
        """Evaluate candidates on every symbol and segment, and send the results to the recorder."""
        opened = self._opened(cycle_id)
        result, busy_s = await self._compute(_timed(_evaluate_all), opened, chunk)
        await self._writer.call("record", result)
        n_failed = int(result.failed_idxs.size)
        self._n_done += len(chunk)
        return ChunkReport(
            n_done=len(chunk),
            n_failed=n_failed,
            busy_s=busy_s,
            n_bars=opened.n_bars * len(chunk),
            fields={"pairs": len(chunk) * len(opened.evaluators)},
        )

    async def draw_curves(self, cycle_id: int, wanted: Sequence[tuple[str, str, str]]) -> int:
        """Save the equity curves of (strategy id, genome, symbol) on every segment.

        Return how many.
        """
        opened = self._opened(cycle_id)
        curves = await self._compute(_curves, opened, wanted)
        if curves:
            await self._writer.write("save_curves", curves)
        return len(curves)

    async def analyse(self, cycle_id: int, document: str, priors: Mapping[str, float]) -> Analysis:
        """Return what is good and bad about one strategy on a cycle's bars.

        Parameters
        ----------
        priors : weights of choices, as `LearnedState.priors`
        """
        opened = self._opened(cycle_id)
        found: Analysis = await self._compute(_analysed, opened, document, priors)
        return found

    async def prove(self, cycle_id: int, request: ProofRequest) -> ProofReport:
        """Judge the listed strategies on unseen bars, and record scores and verdicts."""
        opened = self._opened(cycle_id)
        unseen = await self._unseen(opened.brief, request)
        proven = await self._compute(prove, opened.brief, opened.evaluators, request, unseen)
        await self._record_proof(opened.brief, proven, unseen)
        judged = tuple(
            Judged(
                item.listed.strategy_id,
                item.listed.symbol,
                item.verdict.passed,
                item.verdict.in_words(),
            )
            for item in proven
        )
        return ProofReport(judged, min((n_days(bars) for bars in unseen.values()), default=0.0))

    async def control(self, cycle_id: int, request: ProofRequest) -> dict[str, dict[str, int]]:
        """Run the negative controls of a cycle; see `run_controls`."""
        opened = self._opened(cycle_id)
        unseen = await self._unseen(opened.brief, request)
        found: dict[str, dict[str, int]] = await self._compute(
            run_controls, opened.brief, opened.evaluators, request.sample, unseen
        )
        return found

    async def _unseen(self, brief: CycleBrief, request: ProofRequest) -> dict[str, Bars]:
        reads = [brief.earliest_read_at, *(item.earliest_read_at for item in request.listed)]
        references = await self._feeder.call(
            "unseen", brief, min(reads), timeout_s=_SERIES_TIMEOUT_S
        )
        return {
            symbol: await self._objects.fetch(reference, _SERIES_TIMEOUT_S)
            for symbol, reference in references.items()
        }

    async def _record_proof(
        self, brief: CycleBrief, proven: Sequence[Proven], unseen: Mapping[str, Bars]
    ) -> None:
        cycle_id, now_at = brief.cycle_id, self._clock.now_at()
        symbols = sorted({item.listed.symbol for item in proven if item.metrics is not None})
        contexts = [holdout_context(brief, symbol, unseen[symbol]) for symbol in symbols]
        ids = await self._writer.write("ensure_contexts", cycle_id, contexts, is_linked=False)
        context_ids = dict(zip(symbols, ids, strict=True))
        scored = [item for item in proven if item.metrics is not None]
        if scored:
            await self._writer.call("record", _holdout_rows(cycle_id, scored, context_ids))
            await self._writer.write("save_curves", _holdout_curves(scored, context_ids, unseen))
        if proven:
            verdicts = [
                VerdictRow(
                    strategy_id=item.listed.strategy_id,
                    cycle_id=cycle_id,
                    gate=item.verdict.gate,
                    symbol=item.listed.symbol,
                    passed=item.verdict.passed,
                    rules=item.verdict.rules,
                    facts=item.facts,
                    judged_at=now_at,
                )
                for item in proven
            ]
            await self._writer.write("save_verdicts", verdicts)

    def _opened(self, cycle_id: int) -> _Open:
        if self._open is None or self._open.brief.cycle_id != cycle_id:
            raise CycleNotOpen(f"cycle {cycle_id} is not open here", cycle_id=cycle_id)
        return self._open

    async def _compute(self, work: Callable[..., Any], *args: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._timing, work, *args)

    def _timing(self, work: Callable[..., Any], *args: Any) -> Any:
        began_s = time.perf_counter()
        self._is_computing = True
        try:
            return work(*args)
        finally:
            self._is_computing = False
            self._busy_s += time.perf_counter() - began_s


def _check_all(opened: _Open, chunk: Sequence[Candidate]) -> list[list[Findings] | None]:
    brief, market = opened.brief, opened.brief.market
    _, start_at, end_at = market.segments[0]
    limits = GenomeLimits(
        timeframe=market.timeframe,
        market_type=market.market_type,
        n_bars=(end_at - start_at) // timeframe_ms(market.timeframe),
        leverage_max=brief.config.limits.leverage_max,
        risk_per_trade_frac=brief.config.limits.risk_per_trade_frac,
    )
    return [
        _module_errors(opened, row.genome)
        if is_written(row.genome)
        else _errors(row.genome, limits)
        for row in chunk
    ]


def _module_errors(opened: _Open, document: str) -> list[Findings] | None:
    """Check a written strategy on the last bars of the first segment of the first symbol."""
    from engine.strategy.javascript.contract import ScriptMeta
    from engine.validate.risk_rules import RiskLimits
    from engine.validate.script_check import ScriptLimits, check_script

    brief = opened.brief
    prepared = next(iter(opened.evaluators.values())).prepared
    _, start, stop = prepared.segments[0]
    limits = RiskLimits(
        timeframe=brief.market.timeframe,
        market_type=brief.market.market_type,
        leverage_max=brief.config.limits.leverage_max,
        risk_per_trade_frac=brief.config.limits.risk_per_trade_frac,
    )

    def ground(_meta: ScriptMeta) -> tuple[Bars, RiskLimits]:
        return prepared.bars.slice(start, stop), limits

    report = check_script(
        module_of(document).encode(),
        ground,
        ScriptLimits(sandbox=PATIENT),
        seed=brief.seed % 2**32,
    )
    return None if report.is_fit else [finding.as_dict() for finding in report.findings]


def _errors(text: str, limits: GenomeLimits) -> list[Findings] | None:
    genome, findings = read_genome(text)
    if genome is not None:
        findings = genome_findings(genome, limits)
    return [finding.as_dict() for finding in findings] if has_errors(findings) else None


def _timed(work: Callable[..., Any]) -> Callable[..., tuple[Any, float]]:
    def run(*args: Any) -> tuple[Any, float]:
        began_s = time.perf_counter()
        answer = work(*args)
        return answer, time.perf_counter() - began_s

    return run


def _evaluate_all(opened: _Open, chunk: Sequence[Candidate]) -> ChunkResult:
    brief = opened.brief
    n_segments, n_symbols = brief.n_segments, len(opened.evaluators)
    width = n_segments * n_symbols
    metrics = np.full((len(chunk) * width, N_METRICS), np.nan)
    errors: dict[int, str] = {}
    is_failed = np.zeros(len(chunk), dtype=np.bool_)
    bred = [i for i, row in enumerate(chunk) if not is_written(row.genome)]
    written = [i for i, row in enumerate(chunk) if is_written(row.genome)]
    genomes = [Genome.from_json(chunk[i].genome) for i in bred]
    by_symbol = metrics.reshape(len(chunk), n_symbols, n_segments, N_METRICS)
    for j, evaluator in enumerate(opened.evaluators.values()):
        own = np.full((len(bred), n_segments, N_METRICS), np.nan)
        messages = {bred[k]: text for k, text in _evaluate_each(evaluator, genomes, own).items()}
        by_symbol[bred, j] = own
        messages |= _run_each(opened, evaluator, chunk, written, by_symbol[:, j])
        for i, message in messages.items():
            # The candidate's own fault, the same every time: recorded like a success.
            is_failed[i] = True
            first = i * width + j * n_segments
            errors.update(dict.fromkeys(range(first, first + n_segments), message))
    validation = _validation_rows(brief)
    # Undefined on one symbol is undefined: a mean over the others would reward picking symbols.
    fitness = metrics[:, _FITNESS].reshape(len(chunk), width)[:, validation].mean(axis=1)
    idxs = np.array([row.idx for row in chunk], dtype=np.int64)
    return ChunkResult(
        cycle_id=brief.cycle_id,
        context_ids=np.tile(np.array(brief.context_ids, dtype=np.int64), len(chunk)),
        strategy_ids=[row.strategy_id for row in chunk for _ in range(width)],
        metrics=metrics,
        errors=errors,
        idxs=idxs[~is_failed],
        fitness=fitness[~is_failed],
        failed_idxs=idxs[is_failed],
    )


def _evaluate_each(
    evaluator: Evaluator, genomes: Sequence[Genome], out: FloatArray
) -> dict[int, str]:
    """Write every genome's metrics; return why some have none, by place."""
    try:
        out[:] = evaluator.evaluate_many(genomes)
    except StrategyError:
        # One of them: find it, and keep the others.
        failed = {}
        for i, genome in enumerate(genomes):
            try:
                out[i] = evaluator.evaluate(genome)
            except StrategyError as error:
                failed[i] = error.message
        return failed
    return {}


def _run_each(
    opened: _Open,
    evaluator: Evaluator,
    chunk: Sequence[Candidate],
    places: Sequence[int],
    out: FloatArray,
) -> dict[int, str]:
    """Write the metrics of the written strategies at `places`; return why some have none."""
    risk_frac = opened.brief.config.limits.risk_per_trade_frac
    failed = {}
    for i in places:
        try:
            out[i] = stored_metrics(chunk[i].genome, evaluator, risk_frac)
        except StrategyError as error:
            failed[i] = error.message
    return failed


def _analysed(opened: _Open, document: str, priors: Mapping[str, float]) -> Analysis:
    risk_frac = opened.brief.config.limits.risk_per_trade_frac
    fit: dict[str, Mapping[str, float]] = {}
    validation: dict[str, Mapping[str, float]] = {}
    trades: dict[str, Sequence[Trade]] = {}
    for symbol, evaluator in opened.evaluators.items():
        spans = [(start, stop) for _, start, stop in evaluator.prepared.segments]
        results = stored_results(document, evaluator, spans, risk_frac)
        names = [segment for segment, _, _ in evaluator.prepared.segments]
        seen = results[names.index(Segment.VALIDATION)]
        fit[symbol] = results[names.index(Segment.FIT)].metrics
        validation[symbol], trades[symbol] = seen.metrics, seen.trades
    return analyse(fit, validation, trades, priors)


def _validation_rows(brief: CycleBrief) -> list[int]:
    names = [segment for segment, _, _ in brief.market.segments]
    offset = names.index(Segment.VALIDATION)
    return list(range(offset, len(brief.context_ids), brief.n_segments))


def _curves(opened: _Open, wanted: Sequence[tuple[str, str, str]]) -> list[CurveRow]:
    rows: list[CurveRow] = []
    brief = opened.brief
    capital = brief.config.backtest.initial_capital_quote
    risk_frac = brief.config.limits.risk_per_trade_frac
    for strategy_id, text, symbol in wanted:
        evaluator = opened.evaluators[symbol]
        segments = evaluator.prepared.segments
        spans = [(start, stop) for _, start, stop in segments]
        results = stored_results(text, evaluator, spans, risk_frac)
        for (segment, start, stop), result in zip(segments, results, strict=True):
            equity = result.equity
            kept = np.unique(np.linspace(0, len(equity) - 1, _CURVE_POINTS).astype(np.int64))
            stamps = evaluator.prepared.bars.timestamp
            rows.append(
                CurveRow(
                    strategy_id=strategy_id,
                    context_id=brief.context_of(symbol, segment),
                    points=(equity[kept] / capital).astype(np.float32),
                    start_at=int(stamps[start]),
                    end_at=int(stamps[stop - 1]),
                )
            )
    return rows


def _holdout_rows(
    cycle_id: int, scored: Sequence[Proven], context_ids: Mapping[str, int]
) -> ChunkResult:
    rows = [item.metrics for item in scored if item.metrics is not None]
    return ChunkResult(
        cycle_id=cycle_id,
        context_ids=np.array([context_ids[item.listed.symbol] for item in scored], dtype=np.int64),
        strategy_ids=[item.listed.strategy_id for item in scored],
        metrics=np.array(rows, dtype=np.float64),
        errors={},
        idxs=np.empty(0, dtype=np.int64),
        fitness=np.empty(0),
        failed_idxs=np.empty(0, dtype=np.int64),
    )


def _holdout_curves(
    scored: Sequence[Proven], context_ids: Mapping[str, int], unseen: Mapping[str, Bars]
) -> list[CurveRow]:
    """One point a day: what later cycles count their independent trials from."""
    return [
        CurveRow(
            strategy_id=item.listed.strategy_id,
            context_id=context_ids[item.listed.symbol],
            points=np.cumprod(np.concatenate(([1.0], 1.0 + item.daily))).astype(np.float32),
            start_at=int(unseen[item.listed.symbol].timestamp[0]),
            end_at=int(unseen[item.listed.symbol].timestamp[-1]),
        )
        for item in scored
    ]


def _warm_up() -> None:
    """Run every compiled function once on a few made-up bars."""
    from engine.backtest.run import BacktestSettings, prepare_series
    from engine.strategy.genome import BarOperand, Condition, Direction, Exits, StrategyType
    from engine.types import Bars

    steps = np.arange(400, dtype=np.float64)
    close = 100.0 + np.sin(steps / 7.0)
    bars = Bars(
        (steps * 300_000).astype(np.int64), close, close + 1.0, close - 1.0, close, steps + 1.0
    )
    price = BarOperand(field="close")
    entry = Condition(
        left=price, op="crosses_above", right=BarOperand(field="open", timeframe="15m")
    )
    genome = Genome(
        type=StrategyType.HYBRID,
        timeframe="5m",
        direction=Direction.LONG,
        long_entry=(entry, Condition(left=price, op="rising", bars=2)),
        confidence=0.5,
        exits=Exits(stop_frac=0.02),
    )
    segments = ((Segment.FIT, 0, 200), (Segment.VALIDATION, 200, 400))
    prepared = prepare_series("", "", "5m", "spot", bars, segments, (genome,))
    evaluator = Evaluator(prepared, BacktestSettings())
    evaluator.evaluate(genome)
    evaluator.evaluate_many((genome, genome))
    evaluator.backtest(genome, 200, 400)
