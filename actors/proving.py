"""Judge strategies on bars that nothing has learned from.

Pure but for the kernel: everything comes in as an argument and goes out as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from actors.cycle_brief import CycleBrief
from actors.proof_request import KnownTrial, Listed, ProofRequest
from engine.backtest.configured import backtest_settings
from engine.backtest.metric_names import METRIC_NAMES
from engine.backtest.run import BacktestResult, Evaluator, prepare_series
from engine.select.evidence import (
    Evidence,
    daily_returns,
    independent_trials,
    judge_returns,
    overfit_probability,
)
from engine.select.gates import Verdict, paper
from engine.select.out_of_sample import choice_out_of_sample
from engine.store.trial_context import TrialContext
from engine.strategy.genome import Genome
from engine.types import MS_PER_DAY, Bars, FloatArray, Segment, timeframe_ms
from engine.validate.look_ahead import look_ahead_findings

# The share of the days judged that another trial must have been scored on to be compared with.
_SHARED_DAYS = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Proven:
    """One strategy's verdict with all it rests on.

    Attributes
    ----------
    metrics : ndarray of shape (N_METRICS,), on the unseen bars; None when too few were there
    daily : ndarray of shape (n_days,), the returns of those days
    """

    listed: Listed
    verdict: Verdict
    facts: Mapping[str, Any]
    metrics: FloatArray | None
    daily: FloatArray


JudgeOf = Callable[[CycleBrief, Evaluator, Bars, Sequence[Genome]], Evaluator]


def unseen_evaluator(
    brief: CycleBrief, like: Evaluator, bars: Bars, genomes: Sequence[Genome]
) -> Evaluator:
    """Return an evaluator over unseen bars of the series that `like` works on."""
    known = like.prepared
    prepared = prepare_series(
        known.symbol,
        known.exchange,
        known.timeframe,
        known.market_type,
        bars,
        ((Segment.HOLDOUT, 0, len(bars)),),
        genomes,
    )
    return Evaluator(prepared, backtest_settings(brief.config))


def prove(
    brief: CycleBrief,
    evaluators: Mapping[str, Evaluator],
    request: ProofRequest,
    unseen: Mapping[str, Bars],
    judge_of: JudgeOf = unseen_evaluator,
) -> list[Proven]:
    """Return the paper gate's verdict on every listed strategy.

    Parameters
    ----------
    evaluators : by symbol, over the cycle's own window
    unseen : by symbol, bars that neither the strategies nor anything they come from has read
    judge_of : makes the evaluator over the unseen bars
    """
    out: list[Proven] = []
    for symbol in brief.symbols:
        listed = [item for item in request.listed if item.symbol == symbol]
        if listed:
            bars = unseen.get(symbol)
            out += _prove_on(brief, evaluators[symbol], request, listed, bars, judge_of)
    return out


def window_daily(evaluator: Evaluator, genomes: Sequence[Genome]) -> FloatArray:
    """Return daily returns over fit and validation, shape (n_days, n_genomes)."""
    spans = evaluator.prepared.segments
    start, stop = spans[0][1], spans[-1][2]
    columns = [daily_returns(evaluator.backtest(genome, start, stop)) for genome in genomes]
    return np.stack(columns, axis=1) if columns else np.empty((0, 0))


def holdout_context(brief: CycleBrief, symbol: str, bars: Bars) -> TrialContext:
    """Return what a score on a symbol's unseen bars depends on besides the strategy."""
    like = next(item for item in brief.market.contexts if item.symbol == symbol)
    step_ms = timeframe_ms(brief.market.timeframe)
    return replace(
        like,
        series_hash=bars.content_hash(),
        window_start_at=int(bars.timestamp[0]),
        window_end_at=int(bars.timestamp[-1]) + step_ms,
        segment=Segment.HOLDOUT.value,
    )


def n_days(bars: Bars | None) -> float:
    """Return how many days some bars span."""
    if bars is None or len(bars) < 2:
        return 0.0
    return float(bars.timestamp[-1] - bars.timestamp[0]) / MS_PER_DAY


def _prove_on(
    brief: CycleBrief,
    evaluator: Evaluator,
    request: ProofRequest,
    listed: Sequence[Listed],
    bars: Bars | None,
    judge_of: JudgeOf,
) -> list[Proven]:
    symbol = evaluator.prepared.symbol
    ids = [item.strategy_id for item in listed]
    genomes = [Genome.from_json(item.genome) for item in listed]
    others = [Genome.from_json(text) for name, text in request.sample if name not in ids]
    chosen_among = window_daily(evaluator, [*genomes, *others])
    overfit = overfit_probability(chosen_among)
    choice = choice_out_of_sample(chosen_among)
    gate = brief.config.paper
    is_unseen = bars is not None and n_days(bars) >= gate.unseen_days_min
    if is_unseen and bars is not None:
        judge = judge_of(brief, evaluator, bars, genomes)
        results = [judge.backtest(genome) for genome in genomes]
        trials = Trials.on_unseen(results, ids, bars, request, symbol, brief.seed)
    else:
        _, start, stop = evaluator.prepared.segments[-1]
        results = [evaluator.backtest(genome, start, stop) for genome in genomes]
        n_scored = max(len(ids), request.n_scored_validation.get(symbol, 0))
        why = f"all {n_scored:,} strategies ever scored on validation bars of {symbol}"
        trials = Trials(n_scored, float(n_scored), why)
    where = Segment.HOLDOUT if is_unseen else Segment.VALIDATION
    proven = []
    for item, genome, result in zip(listed, genomes, results, strict=True):
        daily = daily_returns(result)
        evidence = judge_returns(daily, trials.n_scored, trials.n_effective)
        # What could not be tested is a finding too, and does not pass.
        leaks = look_ahead_findings(
            genome, evaluator.prepared.bars, genome.timeframe, seed=brief.seed % 2**32
        )
        verdict = paper(
            result.metrics,
            gate,
            deflated_sharpe=evidence.deflated_sharpe,
            overfit_probability=overfit,
            look_ahead_findings=len(leaks),
            where=where.value,
        )
        facts = {
            **_facts_of(evidence, trials),
            "unseen_days": round(n_days(bars), 2),
            "is_probation": not is_unseen,
            "chosen_among": chosen_among.shape[1],
            "choice_walk_forward_sharpe": choice.walk_forward,
            "choice_path_sharpe_low": choice.path_low,
            "choice_path_sharpe_median": choice.path_median,
        }
        metrics = np.array([result.metrics[name] for name in METRIC_NAMES]) if is_unseen else None
        proven.append(Proven(item, verdict, facts, metrics, daily))
    return proven


@dataclass(frozen=True, slots=True)
class Trials:
    """How many strategies were tried on the bars that judge, and why that many are counted."""

    n_scored: int
    n_effective: float
    why: str

    @classmethod
    def on_unseen(
        cls,
        results: Sequence[BacktestResult],
        ids: Sequence[str],
        bars: Bars,
        request: ProofRequest,
        symbol: str,
        seed: int,
    ) -> Trials:
        """Count everything ever scored on a symbol's unseen bars, these strategies included."""
        first_day = int(bars.timestamp[0]) // MS_PER_DAY
        own = [daily_returns(result) for result in results]
        earlier = [item for item in request.known.get(symbol, ()) if item.strategy_id not in ids]
        aligned = [_aligned(item, first_day, own[0].shape[0]) for item in earlier]
        comparable = [daily for daily in aligned if daily is not None]
        n_scored = len(ids) + max(len(earlier), request.n_scored_holdout.get(symbol, 0))
        n_effective = independent_trials(np.stack([*own, *comparable], axis=1), n_scored, seed)
        why = (
            f"{n_scored:,} {'strategy' if n_scored == 1 else 'strategies'} ever scored on unseen"
            f" bars of {symbol}; their daily returns amount to {n_effective:.1f} independent trials"
        )
        return cls(n_scored, n_effective, why)


def _aligned(trial: KnownTrial, first_day: int, length: int) -> FloatArray | None:
    """Return a trial's returns on the days judged, 0 where it was not scored; None when too few."""
    shift = trial.first_day - first_day
    start, stop = max(0, shift), min(length, shift + trial.daily.shape[0])
    if stop - start < _SHARED_DAYS * length:
        return None
    daily = np.zeros(length)
    daily[start:stop] = trial.daily[start - shift : stop - shift]
    return daily


def _facts_of(evidence: Evidence, trials: Trials) -> dict[str, Any]:
    numbers = {
        "sharpe_daily": evidence.sharpe,
        "sharpe_corrected": evidence.sharpe_corrected,
        "probabilistic_sharpe": evidence.probabilistic_sharpe,
        "deflated_sharpe": evidence.deflated_sharpe,
        "luck_sharpe": evidence.benchmark,
        "days_needed": evidence.min_days,
    }
    return {
        "n_scored": trials.n_scored,
        "n_effective": trials.n_effective,
        "why": trials.why,
        "n_days": evidence.n_days,
        **{name: float(value) for name, value in numbers.items()},
    }
