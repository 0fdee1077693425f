"""Negative controls: what cannot have skill goes the same way as what may.

Two kinds, both made from strategies that the cycle tried: on a market whose bars are in random
order, and on the real bars but deciding from that other market, so that they trade as often and
know nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from actors.cycle_brief import CycleBrief
from actors.proof_request import Listed, ProofRequest
from actors.proving import JudgeOf, prove, unseen_evaluator
from actors.screening import Screened, screen_strategy
from engine.backtest.configured import backtest_settings
from engine.backtest.metric_names import METRIC_NAMES
from engine.backtest.run import BacktestSettings, Evaluator, PreparedSeries, prepare_series
from engine.market.permutation import on_shared_opens, permute_bars
from engine.market.splits import Window, segment_bounds
from engine.select.gates import paper_without_evidence
from engine.strategy.decisions import Decisions
from engine.strategy.genome import Genome
from engine.types import Bars, FloatArray, Segment

PERMUTED, SKILL_FREE = "permuted_market", "skill_free"


class BlindEvaluator(Evaluator):
    """Trade one series on decisions that were taken on another of the same length."""

    def __init__(
        self, prepared: PreparedSeries, settings: BacktestSettings, other: Evaluator
    ) -> None:
        super().__init__(prepared, settings)
        self._other = other

    def decisions(self, genome: Genome) -> Decisions:
        """Return what `genome` wants on the other series."""
        return self._other.decisions(genome)


def run_controls(
    brief: CycleBrief,
    evaluators: Mapping[str, Evaluator],
    sample: Sequence[tuple[str, str]],
    unseen: Mapping[str, Bars],
) -> dict[str, dict[str, int]]:
    """Return how far candidates without skill came, by kind of control.

    Parameters
    ----------
    evaluators : by symbol, over the cycle's own window
    sample : (id, genome) of strategies that the cycle tried
    unseen : by symbol, bars from before the window; may lack symbols
    """
    genomes = [Genome.from_json(text) for _, text in sample]
    settings = backtest_settings(brief.config)
    window = on_shared_opens({name: item.prepared.bars for name, item in evaluators.items()})
    before = on_shared_opens(unseen) if unseen else {}
    elsewhere = permute_bars(window, _seed(brief, 0))
    shuffled = {
        name: Evaluator(_prepared(brief, evaluators[name], bars, genomes), settings)
        for name, bars in elsewhere.items()
    }
    blind = {
        name: BlindEvaluator(_prepared(brief, evaluators[name], bars, ()), settings, shuffled[name])
        for name, bars in window.items()
    }
    other_before = permute_bars(before, _seed(brief, 1)) if before else {}

    def blind_judge(
        of: CycleBrief, like: Evaluator, bars: Bars, some: Sequence[Genome]
    ) -> Evaluator:
        there = other_before[like.prepared.symbol]
        other = unseen_evaluator(of, like, there, some)
        return BlindEvaluator(unseen_evaluator(of, like, bars, ()).prepared, settings, other)

    return {
        PERMUTED: _count(brief, shuffled, sample, genomes, other_before, unseen_evaluator),
        SKILL_FREE: _count(brief, blind, sample, genomes, before, blind_judge),
    }


def _count(
    brief: CycleBrief,
    evaluators: Mapping[str, Evaluator],
    sample: Sequence[tuple[str, str]],
    genomes: Sequence[Genome],
    unseen: Mapping[str, Bars],
    judge_of: JudgeOf,
) -> dict[str, int]:
    rows = {name: _rows(evaluator, genomes) for name, evaluator in evaluators.items()}
    screened: list[tuple[str, str, Screened]] = []
    n_naive = 0
    for i, (strategy_id, text) in enumerate(sample):
        own = {
            (name, segment.value): rows[name][i, j]
            for name, evaluator in evaluators.items()
            for j, (segment, _, _) in enumerate(evaluator.prepared.segments)
        }
        found = screen_strategy(
            strategy_id, own, brief.symbols, brief.config.screen, is_failed=False
        )
        n_naive += _passes_naively(brief, own)
        if found.passed:
            screened.append((strategy_id, text, found))
    listed = tuple(
        Listed(strategy_id, text, found.symbol, brief.earliest_read_at)
        for strategy_id, text, found in screened
        if found.symbol is not None
    )
    n_scored = dict.fromkeys(brief.symbols, len(sample))
    request = ProofRequest(listed, tuple(sample), {}, {}, n_scored)
    proven = prove(brief, evaluators, request, unseen, judge_of)
    return {
        "candidates": len(sample),
        "screened": len(screened),
        "passed": sum(item.verdict.passed for item in proven),
        "passed_naive": n_naive,
    }


def _rows(evaluator: Evaluator, genomes: Sequence[Genome]) -> FloatArray:
    """Return metrics on every segment, shape (n_genomes, n_segments, N_METRICS)."""
    rows = [
        [evaluator.measure(genome, start, stop) for _, start, stop in evaluator.prepared.segments]
        for genome in genomes
    ]
    return np.array(rows, dtype=np.float64)


def _passes_naively(brief: CycleBrief, rows: Mapping[tuple[str, str], FloatArray]) -> bool:
    """Tell whether plain numbers on validation would have let it pass on any symbol."""
    gate = brief.config.paper
    return any(
        paper_without_evidence(
            dict(zip(METRIC_NAMES, rows[symbol, Segment.VALIDATION.value].tolist(), strict=True)),
            gate,
            where=Segment.VALIDATION.value,
        ).passed
        for symbol in brief.symbols
    )


def _prepared(
    brief: CycleBrief, like: Evaluator, bars: Bars, genomes: Sequence[Genome]
) -> PreparedSeries:
    known = like.prepared
    segments = [
        (Segment(name), *segment_bounds(bars.timestamp, Window(start_at, end_at)))
        for name, start_at, end_at in brief.market.segments
    ]
    return prepare_series(
        known.symbol,
        known.exchange,
        known.timeframe,
        known.market_type,
        bars,
        segments,
        genomes,
    )


def _seed(brief: CycleBrief, part: int) -> int:
    return int(np.random.SeedSequence([brief.seed, 7, part]).generate_state(1)[0])
