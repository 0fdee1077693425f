"""Strategies that trade all the time, and how they come into a store."""

from __future__ import annotations

from engine.store.candidates import CandidateRow, add_candidates
from engine.store.cycles import create_cycle
from engine.store.database import Store
from engine.store.strategies import ScoreRow, StatusChange, change_statuses, update_scores
from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Direction,
    Exits,
    Genome,
    StrategyType,
)


def busy_genome(
    number: int, timeframe: str = "5m", *, side: int = 1, max_bars: int | None = 2
) -> Genome:
    """Return a strategy that enters at every close at which it holds nothing.

    Parameters
    ----------
    number : tells one from another
    """
    always = (
        Condition(
            left=BarOperand(field="volume"), op=">", right=ConstantOperand(value=-1.0 - number)
        ),
    )
    return Genome(
        type=StrategyType.MOMENTUM,
        timeframe=timeframe,
        direction=Direction.LONG if side > 0 else Direction.SHORT,
        long_entry=always if side > 0 else (),
        short_entry=always if side < 0 else (),
        exits=Exits(stop_frac=0.01, target_frac=0.02, max_bars=max_bars),
    )


async def store_strategies(
    store: Store, genomes: list[Genome], symbols: list[str], now_at: int, status: str = "paper"
) -> list[str]:
    """Put strategies into the store and move them to a status; return their ids in order."""
    cycle = await create_cycle(
        store,
        seed=1,
        count=len(genomes),
        symbols=symbols,
        timeframe="5m",
        days=10,
        exchange="generated",
        market_label="GENERATED",
        edge="",
        workers=1,
        settings={},
        config_hash="c",
        data_hash="d",
        code_version="0",
        created_at=now_at,
        status="done",
        window_start_at=0,
        window_end_at=1,
    )
    rows = [
        CandidateRow(
            idx=i,
            strategy_id=genome.id,
            origin="user",
            type=genome.type.value,
            timeframe=genome.timeframe,
            direction=genome.direction.value,
            genome=genome.canonical_json(),
            created_at=now_at,
        )
        for i, genome in enumerate(genomes)
    ]
    await add_candidates(store, cycle.id, rows)
    scores = [
        ScoreRow(genome.id, 1.0 - i / 100, symbols[i % len(symbols)], *([0.5] * 6))
        for i, genome in enumerate(genomes)
    ]
    await update_scores(store, scores)
    changes = [StatusChange(genome.id, status, "for a test", "test") for genome in genomes]
    await change_statuses(store, changes, now_at)
    return [genome.id for genome in genomes]
