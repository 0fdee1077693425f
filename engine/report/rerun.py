"""Run a stored strategy again over the very bars of its cycle, and compare with the ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from engine.backtest.configured import backtest_settings
from engine.backtest.metric_names import METRIC_NAMES
from engine.backtest.metrics import monthly_returns
from engine.backtest.run import (
    ENGINE_VERSION,
    BacktestResult,
    Evaluator,
    Trade,
    prepare_series,
)
from engine.backtest.stored import stored_results
from engine.config import with_settings
from engine.errors import DataError, InvariantError, StoreError, StrategyError
from engine.market.configured import market_request
from engine.market.feed import LoadedMarket, load_history
from engine.market.splits import Window, segment_bounds
from engine.report.facts import CurveFacts, Difference, SegmentFacts, TradeFacts
from engine.report.number_text import minute
from engine.report.stored_evidence import StoredEvidence
from engine.settings import Config
from engine.store.cycles import CycleRow
from engine.store.evaluations import EvaluationRow
from engine.strategy.genome import Genome
from engine.strategy.written import is_written
from engine.types import Bars, IntArray, Segment, timeframe_ms


@dataclass(frozen=True, slots=True, eq=False)
class Rerun:
    """The segments with their curves, and how they agree with the ledger; see TearSheet."""

    segments: tuple[SegmentFacts, ...]
    market_type: str
    n_compared: int
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Ran:
    facts: SegmentFacts
    rerun: Mapping[str, float]


def stored_config(base: Config, cycle: CycleRow) -> Config:
    """Return the settings that a cycle ran with.

    Parameters
    ----------
    base : gives only what influences no result

    Raises
    ------
    StoreError : the cycle's row does not hold them.
    ConfigError : this version does not take them any more.
    """
    try:
        changes = {section: dict(values) for section, values in cycle.settings["config"].items()}
        changes["paths"] = {"store": Path(cycle.settings["store"])}
    except (KeyError, AttributeError, TypeError) as exc:
        raise StoreError(
            f"cycle {cycle.id} does not say what settings it ran with, so that nothing can be run "
            "again: report on a strategy of a newer cycle",
            cycle_id=cycle.id,
        ) from exc
    return with_settings(base, changes, f"the settings of cycle {cycle.id}")


def run_again(evidence: StoredEvidence, config: Config) -> Rerun:
    """Return every stored segment with equity, months and trades of a new run.

    Fit and validation share the bars of the cycle's window, as they did in the cycle; the holdout
    stands alone on its own bars.

    Parameters
    ----------
    config : of the cycle, from `stored_config`

    Raises
    ------
    DataError : the bars are gone, or some that a segment needs.
    UsageError, NonFiniteError : the store of bars cannot be read as the cycle read it.
    StrategyError : this version cannot read the genome.
    """
    document = _document(evidence)
    inside = [row for row in evidence.rows if row.context.segment != Segment.HOLDOUT]
    unseen = [row for row in evidence.rows if row.context.segment == Segment.HOLDOUT]
    ran: list[_Ran] = []
    warnings: list[str] = []
    market_type = ""
    for rows in (inside, unseen):
        if rows:
            loaded = _load(evidence, config, rows)
            market_type = loaded.market_type
            warnings += _doubts(rows[0], loaded.series[evidence.symbol])
            try:
                ran += _run(document, loaded, rows, config)
            except StrategyError as exc:
                warnings.append(f"It could not be run again: {exc}.")
                ran += [_Ran(_facts(row, None), {}) for row in rows]
    compared = [item for item in ran if item.rerun and item.facts.metrics]
    return Rerun(
        segments=tuple(item.facts for item in ran),
        market_type=market_type,
        n_compared=len(compared) * len(METRIC_NAMES),
        differences=tuple(found for item in compared for found in _differences(item)),
        warnings=tuple(warnings),
    )


def _document(evidence: StoredEvidence) -> str:
    """Return the genome or the module, once it can be read; a module is read where it is run."""
    document = evidence.stored.genome
    if not is_written(document):
        try:
            Genome.from_json(document)
        except ValidationError as exc:
            raise StrategyError(
                f"this version cannot read the genome of strategy {evidence.stored.row.id[:8]}: "
                f"{exc.errors()[0]['msg']}",
                strategy=evidence.stored.row.id,
            ) from exc
    return document


def _load(evidence: StoredEvidence, config: Config, rows: Sequence[EvaluationRow]) -> LoadedMarket:
    context, symbol = rows[0].context, evidence.symbol
    start_at = min(row.context.window_start_at for row in rows)
    end_at = max(row.context.window_end_at for row in rows)
    request = replace(
        market_request(config),
        symbols=(symbol,),
        exchange=context.exchange,
        timeframe=context.timeframe,
    )
    loaded = load_history(request, start_at, end_at)
    if len(loaded.series[symbol]) == 0:
        raise DataError(
            f"the bars of cycle {rows[0].cycle_id} are gone: {context.exchange} {symbol} "
            f"{context.timeframe} holds none from {minute(start_at)} to {minute(end_at)} UTC: "
            "fetch them again",
            symbol=symbol,
        )
    return loaded


def _doubts(row: EvaluationRow, bars: Bars) -> list[str]:
    context = row.context
    found = []
    if bars.content_hash() != context.series_hash:
        where = "holdout" if context.segment == Segment.HOLDOUT else "fit and validation"
        found.append(
            f"The bars of {where} have changed since cycle {row.cycle_id}: the ledger names series "
            f"{context.series_hash[:12]}, there is {bars.content_hash()[:12]} now."
        )
    if context.engine_version != ENGINE_VERSION and context.segment != Segment.HOLDOUT:
        found.append(
            f"The ledger's numbers are of engine {context.engine_version}, this is engine "
            f"{ENGINE_VERSION}."
        )
    return found


def _run(
    document: str, loaded: LoadedMarket, rows: Sequence[EvaluationRow], config: Config
) -> list[_Ran]:
    symbol = rows[0].context.symbol
    bars = loaded.series[symbol]
    genomes = () if is_written(document) else (Genome.from_json(document),)
    prepared = prepare_series(
        symbol, loaded.exchange, loaded.timeframe, loaded.market_type, bars, (), genomes
    )
    evaluator = Evaluator(prepared, backtest_settings(config))
    spans = [_span(bars, row) for row in rows]
    results = stored_results(document, evaluator, spans, config.limits.risk_per_trade_frac)
    ran = []
    for row, result in zip(rows, results, strict=True):
        step_ms = timeframe_ms(row.context.timeframe)
        curve = _curve(row.context.segment, bars.timestamp, result, step_ms)
        ran.append(_Ran(_facts(row, curve), result.metrics))
    return ran


def _span(bars: Bars, row: EvaluationRow) -> tuple[int, int]:
    context = row.context
    window = Window(context.window_start_at, context.window_end_at)
    start, stop = segment_bounds(bars.timestamp, window)
    if start >= stop:
        raise DataError(
            f"the bars of {context.segment} are gone: {context.exchange} {context.symbol} "
            f"{context.timeframe} holds none from {minute(window.start_at)} to "
            f"{minute(window.end_at)} UTC: fetch them again",
            symbol=context.symbol,
        )
    return start, stop


def _facts(row: EvaluationRow, curve: CurveFacts | None) -> SegmentFacts:
    is_ok = row.status == "ok"
    return SegmentFacts(
        name=row.context.segment,
        window_start_at=row.context.window_start_at,
        window_end_at=row.context.window_end_at,
        metrics=dict(zip(METRIC_NAMES, row.metrics.tolist(), strict=True)) if is_ok else {},
        error="" if is_ok else row.error or "the ledger does not say why",
        curve=curve,
    )


def _curve(segment: str, stamps: IntArray, result: BacktestResult, step_ms: int) -> CurveFacts:
    closes = result.timestamp + step_ms
    return CurveFacts(
        point_at=np.concatenate((result.timestamp[:1], closes)),
        equity_quote=result.equity,
        months=monthly_returns(result.equity, result.timestamp),
        trades=tuple(_trade(segment, stamps, trade) for trade in result.trades),
        is_open_at_end=result.open_trade is not None,
    )


def _trade(segment: str, stamps: IntArray, trade: Trade) -> TradeFacts:
    if trade.exit_bar is None or trade.exit is None:
        raise InvariantError("an open trade is in the log of closed ones")
    return TradeFacts(
        segment=segment,
        side="long" if trade.side > 0 else "short",
        entry_at=int(stamps[trade.entry_bar]),
        entry_quote=trade.entry,
        exit_at=int(stamps[trade.exit_bar]),
        exit_quote=trade.exit,
        reason=trade.reason or "",
        qty_base=trade.qty_base,
        pnl_quote=trade.pnl_quote,
        net_return_frac=trade.net_return,
        equity_after_quote=trade.equity_after_quote,
    )


def _differences(ran: _Ran) -> list[Difference]:
    """Compare to the last bit; nan equals nan."""
    return [
        Difference(ran.facts.name, name, ledger, ran.rerun[name])
        for name, ledger in ran.facts.metrics.items()
        if not (ledger == ran.rerun[name] or (math.isnan(ledger) and math.isnan(ran.rerun[name])))
    ]
