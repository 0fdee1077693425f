"""A small home with known contents: two cycles done, a third running, at one frozen instant."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import numpy as np

from console.session import Session
from engine.backtest.metric_names import METRIC_INDEX, METRIC_NAMES, N_METRICS
from engine.clock import FakeClock
from engine.config import Config, with_settings
from engine.select.gates import paper
from engine.store.candidates import CandidateRow, add_candidates, mark_candidates
from engine.store.commands import claim_command, finish_command, insert_command
from engine.store.curves import CurveRow, save_curves
from engine.store.cycles import create_cycle, save_stage, update_cycle
from engine.store.database import Store, sqlite_url
from engine.store.events import Event, add_events
from engine.store.heartbeats import HeartbeatRow, beat
from engine.store.ledger import ensure_contexts, record
from engine.store.strategies import ScoreRow, change_status, update_scores
from engine.store.trial_context import TrialContext
from engine.store.verdicts import VerdictRow, save_verdicts
from engine.strategy.genome import Condition, Genome, IndicatorOperand
from engine.strategy.library import LIBRARY

# 2026-01-05 13:41:00 UTC
NOW_AT = 1_767_620_460_000
DAY_MS = 86_400_000
SYMBOLS = ("BTC/USDT", "ETH/USDT", "BNB/USDT")
WINDOW_START_AT = NOW_AT - NOW_AT % DAY_MS - 90 * DAY_MS
STAGES = (
    ("generate", 500, 0.4),
    ("prepare", 3, 0.2),
    ("validate", 500, 0.1),
    ("backtest", 1464, 0.0),
    ("filter", 0, 0.0),
    ("learn", 0, 0.0),
    ("promote", 0, 0.0),
)

CONTROLS = {
    "permuted_market": {"candidates": 100, "screened": 3, "passed": 0, "passed_naive": 1},
    "skill_free": {"candidates": 100, "screened": 1, "passed": 0, "passed_naive": 0},
}


def session_of(home: Path, clock: FakeClock | None = None, live_exchange: str = "") -> Session:
    """Return a session over a home, at the frozen instant."""
    changes: dict[str, dict[str, object]] = {
        "paths": {"home": str(home)},
        "console": {"poll_s": 0.25},
        "trading": {"live_exchange": live_exchange},
    }
    return Session(with_settings(Config(), changes, "test"), None, clock or FakeClock(NOW_AT))


def write_runtime_file(home: Path, pid: int | None = None, started_at: int = NOW_AT) -> None:
    """Write what a running runtime writes about itself; by default this very process."""
    values = {
        "pid": os.getpid() if pid is None else pid,
        "started_at": started_at - 11_220_000,
        "host": socket.gethostname(),
        "ray_address": "127.0.0.1:6379",
        "version": "0.1",
    }
    (home / "runtime.json").write_text(json.dumps(values))


def genomes(n: int) -> list[Genome]:
    """Return n different genomes, in a fixed order."""
    found: list[Genome] = []
    bases = [make("5m") for make in LIBRARY.values()]
    for i in range(n):
        base = bases[i % len(bases)]
        slow = IndicatorOperand(name="ema", params={"length": 20.0 + i})
        fast = IndicatorOperand(name="ema", params={"length": 5.0})
        trend = Condition(left=fast, op=">", right=slow)
        found.append(base.with_changes(filters=(trend,)))
    return found


async def fill(home: Path, n_strategies: int = 30) -> None:
    """Fill a home's store."""
    await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
    store = await Store.open(sqlite_url(home))
    try:
        made = genomes(n_strategies)
        for number in (1, 2):
            await _finished_cycle(store, number, made)
        await _running_cycle(store)
        await _talk(store)
    finally:
        await store.close()


async def _finished_cycle(store: Store, number: int, made: list[Genome]) -> None:
    started_at = NOW_AT - (3 - number) * DAY_MS
    cycle = await create_cycle(store, **_cycle_values(number, started_at))  # type: ignore[arg-type]
    half = len(made) // 2
    mine = made[:half] if number == 1 else made[half:]
    parents = made[:half]
    await add_candidates(
        store, cycle.id, [_candidate(i, g, number, parents, started_at) for i, g in enumerate(mine)]
    )
    contexts = [_context(s, segment) for s in SYMBOLS for segment in ("fit", "validation")]
    ids = await ensure_contexts(store, cycle.id, contexts)
    rng = np.random.default_rng(number)
    scores: list[ScoreRow] = []
    for place, genome in enumerate(mine):
        metrics = _metrics(rng, len(ids), number * 0.4 + 1.2 - 0.11 * place)
        await record(
            store,
            cycle_id=cycle.id,
            context_ids=np.array(ids),
            strategy_ids=[genome.id] * len(ids),
            metrics=metrics,
            now_at=started_at,
        )
        scores.append(_score(genome, metrics))
    await update_scores(store, scores)
    for place, score in enumerate(scores):
        await mark_candidates(store, cycle.id, "evaluated", [place], fitness=[score.fitness])
    best = max(scores, key=lambda score: score.fitness)
    await change_status(store, best.id, "screened", "passed the screen", "conductor", started_at)
    await _curves(store, best.id, ids, rng)
    await _judge(store, cycle.id, best, started_at, is_probation=number == 1)
    for position, (name, total, seconds) in enumerate(STAGES):
        await save_stage(
            store,
            cycle.id,
            name,
            position=position,
            status="done",
            done=total,
            total=total,
            rate_per_s=total / seconds if seconds else None,
            started_at=started_at,
            updated_at=started_at,
            finished_at=started_at + int(seconds * 1000),
        )
    await update_cycle(
        store,
        cycle.id,
        status="done",
        finished_at=started_at + 7_400,
        summary={
            "cycle_id": cycle.id,
            "validated": 488,
            "rejected": 12,
            "passed": 4,
            "promoted": 1,
            "controls": CONTROLS,
        },
    )


async def _judge(
    store: Store, cycle_id: int, score: ScoreRow, judged_at: int, *, is_probation: bool
) -> None:
    """Have the paper gate refuse it on unseen bars, or pass it on validation for want of them."""
    level = 2.4 if is_probation else 1.3
    measured = _metrics(np.random.default_rng(40 + cycle_id), 1, level)
    measured[0, METRIC_INDEX["win_rate"]] = 0.55
    measured[0, METRIC_INDEX["profit_factor"]] = 1.31
    if not is_probation:
        (context_id,) = await ensure_contexts(
            store, cycle_id, [_context(str(score.best_symbol), "holdout")], is_linked=False
        )
        await record(
            store,
            cycle_id=cycle_id,
            context_ids=np.array([context_id]),
            strategy_ids=[score.id],
            metrics=measured,
            now_at=judged_at,
        )
    verdict = paper(
        dict(zip(METRIC_NAMES, measured[0].tolist(), strict=True)),
        Config().paper,
        deflated_sharpe=0.964 if is_probation else 0.713,
        overfit_probability=0.08 if is_probation else 0.31,
        where="validation" if is_probation else "holdout",
    )
    facts = {
        "n_scored": 41,
        "n_effective": 12.4,
        "why": "41 strategies ever scored on"
        f" {'validation' if is_probation else 'unseen'} bars of {score.best_symbol}",
        "unseen_days": 0.0 if is_probation else 275.0,
        "is_probation": is_probation,
        "n_days": 30 if is_probation else 275,
        "sharpe_daily": level,
        "sharpe_corrected": level - 0.12,
        "luck_sharpe": 0.94,
        "days_needed": 412.3,
        "chosen_among": 20,
        "choice_walk_forward_sharpe": 0.41,
        "choice_path_sharpe_low": -0.62,
        "choice_path_sharpe_median": 0.37,
    }
    row = VerdictRow(
        score.id,
        cycle_id,
        verdict.gate,
        str(score.best_symbol),
        verdict.passed,
        verdict.rules,
        facts,
        judged_at,
    )
    await save_verdicts(store, [row])


async def _running_cycle(store: Store) -> None:
    started_at = NOW_AT - 6_200
    cycle = await create_cycle(store, **_cycle_values(3, started_at))  # type: ignore[arg-type]
    for position, (name, total, seconds) in enumerate(STAGES):
        is_done = position < 3
        is_running = name == "backtest"
        await save_stage(
            store,
            cycle.id,
            name,
            position=position,
            status="done" if is_done else "running" if is_running else "waiting",
            done=total if is_done else 640 if is_running else 0,
            total=total,
            failed=2 if is_running else 0,
            rate_per_s=412.0 if is_running else total / seconds if is_done else None,
            started_at=started_at if is_done or is_running else None,
            updated_at=NOW_AT,
            finished_at=started_at + int(seconds * 1000) if is_done else None,
            note="12 refused" if name == "validate" else "",
        )


async def _talk(store: Store) -> None:
    beats = [
        HeartbeatRow(
            "conductor", "conductor", NOW_AT - 300, "running", {"pid": 10, "stage": "backtest"}
        ),
        HeartbeatRow("feeder", "feeder", NOW_AT - 400, "idle", {"pid": 11}),
        HeartbeatRow("generator", "generator", NOW_AT - 350, "idle", {"pid": 12}),
        HeartbeatRow(
            "backtester-0", "backtester", NOW_AT - 200, "busy", {"candidates": 322, "busy_s": 5.2}
        ),
        HeartbeatRow(
            "backtester-1", "backtester", NOW_AT - 250, "busy", {"candidates": 318, "busy_s": 5.1}
        ),
        HeartbeatRow(
            "recorder",
            "recorder",
            NOW_AT - 150,
            "busy",
            {"writes_waiting": 3, "rows_written": 1920},
        ),
        HeartbeatRow("learner", "learner", NOW_AT - 500, "idle", {}),
        HeartbeatRow(
            "watchdog", "watchdog", NOW_AT - 5_600, "idle", {"memory_bytes": 1_240_000_000}
        ),
    ]
    await beat(store, beats)
    done = await insert_command(store, who="ana", name="cycle.start", now_at=NOW_AT - 6_400)
    await claim_command(store, NOW_AT - 6_300, done)
    await finish_command(store, done, status="done", result={"cycle_id": 3}, now_at=NOW_AT - 6_200)
    refused = await insert_command(store, who="ana", name="cycle.start", now_at=NOW_AT - 4_000)
    await finish_command(
        store, refused, status="refused", reason="cycle 3 is running", now_at=NOW_AT - 3_900
    )
    await insert_command(store, who="ana", name="cycle.pause", now_at=NOW_AT - 500)
    await add_events(
        store,
        [
            Event(
                NOW_AT - 6_200,
                "info",
                "cycle.started",
                "cycle 3 started: 500 candidates",
                cycle_id=3,
            ),
            Event(
                NOW_AT - 5_000, "warn", "data.gap", "BNB/USDT lacks 3 bars from 12:00Z", "BNB/USDT"
            ),
            Event(
                NOW_AT - 2_000,
                "error",
                "backtest.failed",
                "2 candidates failed in isolation",
                cycle_id=3,
            ),
        ],
    )


def _cycle_values(number: int, started_at: int) -> dict[str, object]:
    return {
        "seed": 6 + number,
        "count": 500,
        "symbols": SYMBOLS,
        "timeframe": "5m",
        "days": 90,
        "exchange": "generated",
        "market_label": "GENERATED",
        "edge": "momentum 0.15",
        "created_at": started_at,
        "workers": 2,
        "stage": "backtest",
        "window_start_at": WINDOW_START_AT,
        "window_end_at": WINDOW_START_AT + 90 * DAY_MS,
    }


def _candidate(
    idx: int, genome: Genome, number: int, parents: list[Genome], created_at: int
) -> CandidateRow:
    is_child = number == 2
    return CandidateRow(
        idx=idx,
        strategy_id=genome.id,
        origin="genetic" if is_child else "library" if idx < 4 else "immigrant",
        type=str(genome.type),
        timeframe=genome.timeframe,
        direction=str(genome.direction),
        genome=genome.canonical_json(),
        generation=1 if is_child else 0,
        parent_a=parents[idx % len(parents)].id if is_child else None,
        parent_b=parents[(idx + 1) % len(parents)].id if is_child else None,
        status="valid",
        created_at=created_at,
    )


def _context(symbol: str, segment: str) -> TrialContext:
    cut_at = WINDOW_START_AT + 60 * DAY_MS
    start_at, end_at = {
        "fit": (WINDOW_START_AT, cut_at),
        "validation": (cut_at, WINDOW_START_AT + 90 * DAY_MS),
        "holdout": (WINDOW_START_AT - 275 * DAY_MS, WINDOW_START_AT),
    }[segment]
    return TrialContext(
        exchange="generated",
        symbol=symbol,
        timeframe="5m",
        series_hash="a" * 64,
        window_start_at=start_at,
        window_end_at=end_at,
        segment=segment,
        costs_hash="b" * 16,
        engine_version="1",
    )


def _metrics(rng: np.random.Generator, n: int, level: float) -> np.ndarray:
    metrics = rng.uniform(0.1, 1.0, (n, N_METRICS))
    for name, values in {
        "fitness": level + rng.normal(0, 0.2, n),
        "sharpe": level + rng.normal(0.4, 0.2, n),
        "sortino": level + rng.normal(0.6, 0.2, n),
        "total_return": level * 0.04 + rng.normal(0, 0.01, n),
        "max_drawdown": rng.uniform(0.03, 0.12, n),
        "n_trades": rng.integers(14, 80, n).astype(float),
        "n_bars": np.full(n, 17_280.0),
        "win_rate": rng.uniform(0.4, 0.6, n),
        "profit_factor": rng.uniform(0.9, 1.6, n),
    }.items():
        metrics[:, METRIC_INDEX[name]] = values
    return metrics


def _score(genome: Genome, metrics: np.ndarray) -> ScoreRow:
    validation = metrics[1::2]
    best = int(validation[:, METRIC_INDEX["fitness"]].argmax())
    row = validation[best]
    return ScoreRow(
        id=genome.id,
        fitness=float(validation[:, METRIC_INDEX["fitness"]].mean()),
        best_symbol=SYMBOLS[best],
        **{
            name: float(row[METRIC_INDEX[name]])
            for name in (
                "sharpe",
                "max_drawdown",
                "n_trades",
                "total_return",
                "win_rate",
                "profit_factor",
            )
        },
    )


async def _curves(store: Store, strategy_id: str, ids: list[int], rng: np.random.Generator) -> None:
    rows = []
    for place, context_id in enumerate(ids):
        steps = rng.normal(0.0004, 0.004, 400)
        is_fit = place % 2 == 0
        cut_at = WINDOW_START_AT + 60 * DAY_MS
        rows.append(
            CurveRow(
                strategy_id,
                context_id,
                np.exp(np.concatenate([[0.0], steps.cumsum()])).astype(np.float32),
                WINDOW_START_AT if is_fit else cut_at,
                cut_at if is_fit else WINDOW_START_AT + 90 * DAY_MS,
            )
        )
    await save_curves(store, rows)
