"""Backtest what a store holds, a genome or a written strategy, over spans of one series.

Both end in the one kernel: a genome by its decisions, a module by its answers in a sandbox.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.backtest.metric_names import METRIC_NAMES
from engine.backtest.run import BacktestResult, Evaluator
from engine.errors import StrategyError
from engine.strategy.genome import Genome
from engine.strategy.written import is_written, module_of
from engine.types import FloatArray

Spans = Sequence[tuple[int, int]]


def stored_results(
    document: str, evaluator: Evaluator, spans: Spans, risk_per_trade_frac: float
) -> list[BacktestResult]:
    """Return one result for each span of bars; a module answers once, on all of them.

    Parameters
    ----------
    document : a genome's canonical JSON, or a module's document
    risk_per_trade_frac : equity lost at the stop, which sizes a module's entries without a size

    Raises
    ------
    StrategyError : it cannot run on this series; the message names the place.
    """
    if not is_written(document):
        genome = Genome.from_json(document)
        return [evaluator.backtest(genome, start, stop) for start, stop in spans]
    # Late: genomes need neither a parser of JavaScript nor a sandbox.
    from engine.strategy.javascript.run import backtest_script, run_script
    from engine.validate.syntax import read_script

    source, findings = read_script(module_of(document).encode())
    if source is None:
        raise StrategyError(f"the written strategy cannot be read: {findings[0].message}")
    meta, run = run_script(source, evaluator.prepared.bars)
    return [
        backtest_script(meta, run.answers, evaluator, risk_per_trade_frac, start, stop)
        for start, stop in spans
    ]


def stored_metrics(document: str, evaluator: Evaluator, risk_per_trade_frac: float) -> FloatArray:
    """Return the metrics on every segment, shape (n_segments, N_METRICS), as `METRIC_NAMES`."""
    spans = [(start, stop) for _, start, stop in evaluator.prepared.segments]
    results = stored_results(document, evaluator, spans, risk_per_trade_frac)
    return np.array([[row.metrics[name] for name in METRIC_NAMES] for row in results])
