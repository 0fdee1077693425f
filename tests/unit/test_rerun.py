"""A stored strategy run again over its bars, bred or written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engine.backtest.configured import backtest_settings
from engine.backtest.metric_names import METRIC_INDEX, METRIC_NAMES
from engine.backtest.run import ENGINE_VERSION, Evaluator, prepare_series
from engine.config import load_config, with_settings
from engine.errors import StrategyError
from engine.market.configured import market_request
from engine.market.feed import LoadedMarket, load_market
from engine.report.rerun import run_again
from engine.report.stored_evidence import StoredEvidence
from engine.settings import Config
from engine.store.evaluations import EvaluationRow
from engine.store.strategies import StoredStrategy
from engine.store.trial_context import TrialContext
from engine.strategy.javascript.run import backtest_script, run_script
from engine.strategy.written import written_document
from engine.types import FloatArray, timeframe_ms
from engine.validate.script_check import read_valid_script
from tests.busy_strategies import busy_genome
from tests.unit.test_tear_sheet import cycle_row, strategy_row

SYMBOL = "BTC/USDT"
MODULE = """export const meta = { name: "above the mean", lookback: 20 };
export function decide(bars, state) {
  if (bars.close.length < 20) return { intent: "hold", state: null };
  const n = bars.close.length;
  let sum = 0;
  for (let i = n - 20; i < n; i += 1) sum += bars.close[i];
  const last = bars.close[n - 1];
  const intent = last > sum / 20 ? "long" : "flat";
  return { intent, stop: 0.02, target: 0.05, state: null };
}
"""
Metrics = Callable[[Evaluator, int, int], dict[str, float]]


@pytest.fixture(scope="module")
def config() -> Config:
    market = {"source": "generated", "symbols": [SYMBOL]}
    return with_settings(load_config(), {"market": market}, "the test")


@pytest.fixture(scope="module")
def market(config: Config) -> LoadedMarket:
    return load_market(replace(market_request(config), timeframe="5m", days=10))


def evidence(
    document: str, config: Config, market: LoadedMarket, metrics: Metrics
) -> StoredEvidence:
    """Return the ledger of a cycle whose numbers `metrics` worked out."""
    bars = market.series[SYMBOL]
    prepared = prepare_series(
        SYMBOL, market.exchange, market.timeframe, market.market_type, bars, ()
    )
    evaluator = Evaluator(prepared, backtest_settings(config))
    split, step_ms = len(bars) * 7 // 10, timeframe_ms(market.timeframe)
    rows = []
    for name, start, stop in (("fit", 0, split), ("validation", split, len(bars))):
        found = metrics(evaluator, start, stop)
        row: FloatArray = np.array([found[metric] for metric in METRIC_NAMES])
        context = TrialContext(
            exchange=market.exchange,
            symbol=SYMBOL,
            timeframe=market.timeframe,
            series_hash=bars.content_hash(),
            window_start_at=int(bars.timestamp[start]),
            window_end_at=int(bars.timestamp[stop - 1]) + step_ms,
            segment=name,
            costs_hash="c",
            engine_version=ENGINE_VERSION,
        )
        rows.append(EvaluationRow("s", len(rows) + 1, context, 4, "ok", None, row))
    stored = StoredStrategy(strategy_row(), document)
    return StoredEvidence(stored, SYMBOL, cycle_row(), tuple(rows), (), (), ())


def test_a_written_strategy_runs_again_with_the_numbers_of_its_ledger(
    config: Config, market: LoadedMarket
) -> None:
    source, _ = read_valid_script(MODULE.encode())
    assert source is not None
    meta, run = run_script(source, market.series[SYMBOL])
    risk_frac = config.limits.risk_per_trade_frac

    def metrics(evaluator: Evaluator, start: int, stop: int) -> dict[str, float]:
        result = backtest_script(meta, run.answers, evaluator, risk_frac, start, stop)
        return dict(result.metrics)

    ledger = evidence(written_document(MODULE), config, market, metrics)
    assert all(row.metrics[METRIC_INDEX["n_trades"]] > 0 for row in ledger.rows)
    again = run_again(ledger, config)
    assert again.n_compared == 2 * len(METRIC_NAMES)
    assert again.differences == ()
    assert again.warnings == ()
    assert [segment.name for segment in again.segments] == ["fit", "validation"]
    assert all(segment.curve is not None and segment.curve.trades for segment in again.segments)


def test_a_number_that_the_ledger_has_wrong_is_found(config: Config, market: LoadedMarket) -> None:
    genome = busy_genome(1)

    def metrics(evaluator: Evaluator, start: int, stop: int) -> dict[str, float]:
        found = dict(evaluator.backtest(genome, start, stop).metrics)
        return found | {"win_rate": found["win_rate"] + 1e-12}

    again = run_again(evidence(genome.canonical_json(), config, market, metrics), config)
    assert {(d.segment, d.metric) for d in again.differences} == {
        ("fit", "win_rate"),
        ("validation", "win_rate"),
    }


def test_a_module_that_stops_is_told_with_its_line(config: Config, market: LoadedMarket) -> None:
    broken = MODULE.replace("let sum = 0;", "if (bars.close[0] > 0) throw new Error('no more');")

    def metrics(evaluator: Evaluator, start: int, stop: int) -> dict[str, float]:
        return dict.fromkeys(METRIC_NAMES, 0.0)

    again = run_again(evidence(written_document(broken), config, market, metrics), config)
    (warning,) = again.warnings
    assert "It could not be run again" in warning
    assert "no more" in warning
    assert all(segment.curve is None for segment in again.segments)


def test_a_genome_that_this_version_cannot_read_is_refused_by_name(
    config: Config, market: LoadedMarket
) -> None:
    def metrics(evaluator: Evaluator, start: int, stop: int) -> dict[str, float]:
        return dict.fromkeys(METRIC_NAMES, 0.0)

    ledger = evidence('{"of": "tomorrow"}', config, market, metrics)
    with pytest.raises(StrategyError, match="cannot read the genome of strategy ab12cd34"):
        run_again(ledger, config)
