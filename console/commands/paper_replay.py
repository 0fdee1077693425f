"""Replay bars through paper trading in this process, and say how it compares with the backtest."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from console.commands.backtest import find_genome
from console.commands.choices import market_request
from console.commands.paper_report import PaperReport, emit_report, write_trades
from console.commands.replay_progress import ReplayProgress
from console.commands.strategies import with_store
from console.session import Session
from engine.errors import StoreError, UsageError
from engine.types import Status

if TYPE_CHECKING:
    from engine.store.database import Store
    from engine.strategy.genome import Genome
    from engine.trade.paper_market import PaperMarket
    from engine.trade.paper_run import PaperRun
    from engine.trade.replay_terms import ReplayTerms

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
_FAULT_SEED = 1


@dataclass(frozen=True, slots=True)
class ReplayWish:
    """What is to be replayed.

    Attributes
    ----------
    strategies : ids, library names or genome files; empty takes every stored one of `status`
    symbols : on which all of them trade; empty leaves it to each strategy
    timeframe : of library strategies, and which strategies trade; None takes all
    speed : simulated seconds a second, None as fast as it goes
    """

    strategies: tuple[str, ...]
    status: str
    market: Path | None
    exchange: str | None
    symbols: tuple[str, ...]
    timeframe: str | None
    days: int
    speed: float | None
    has_limits: bool
    latency_ms: int
    fault_chance: float
    trades_path: Path | None
    keep: Path | None


@dataclass(frozen=True, slots=True)
class _Cast:
    """One strategy that is to trade.

    Attributes
    ----------
    best_symbol : where it did best by the store, None when it is not from there
    """

    name: str
    genome: Genome
    best_symbol: str | None = None


def replay_paper(session: Session, wish: ReplayWish, *, as_json: bool) -> bool:
    """Replay, compare, record and print; False when something is wrong.

    Wrong is a difference to the backtest without a cause, a journal that does not verify, and one
    that does not agree with its venue.
    """
    cast = _cast(session, wish)
    timeframes = sorted({one.genome.timeframe for one in cast})
    reports = []
    with _folder(wish.keep) as folder:
        for timeframe in timeframes:
            mine = [one for one in cast if one.genome.timeframe == timeframe]
            reports.append(_replayed(session, wish, mine, timeframe, folder / timeframe))
    if wish.trades_path is not None:
        write_trades(wish.trades_path, reports)
    emit_report(reports, as_json=as_json)
    return all(report.run.is_sound and not report.run.n_unexplained for report in reports)


def _cast(session: Session, wish: ReplayWish) -> list[_Cast]:
    timeframe = wish.timeframe or session.config.cycle.timeframe
    if wish.strategies:
        found = [
            _Cast(name, genome)
            for genome, name in (find_genome(session, text, timeframe) for text in wish.strategies)
        ]
    else:
        found = _stored(session, wish.status)
    unique = {one.genome.id: one for one in found}
    chosen = [one for one in unique.values() if wish.timeframe in (None, one.genome.timeframe)]
    if not chosen:
        raise UsageError(f"no strategy is for {wish.timeframe} bars", timeframe=wish.timeframe)
    return chosen


def _stored(session: Session, status: str) -> list[_Cast]:
    if status not in set(Status):
        raise UsageError(f"--status {status}: use one of {' '.join(Status)}", status=status)
    most = session.config.pools.paper_max

    async def read(store: Store) -> list[_Cast]:
        from engine.store.strategies import genomes, leaderboard
        from engine.strategy.genome import Genome

        rows, _ = await leaderboard(store, statuses=[status], limit=most)
        texts = await genomes(store, [row.id for row in rows])
        return [_Cast(row.id[:8], Genome.from_json(texts[row.id]), row.best_symbol) for row in rows]

    found: list[_Cast] = asyncio.run(with_store(session, read)) if session.has_database() else []
    if not found:
        raise UsageError(
            f"no stored strategy is of status {status}: `paddock cycle` promotes to paper, or name "
            "strategies, such as `paddock paper ema_trend --days 30`",
            status=status,
        )
    return found


def _replayed(
    session: Session, wish: ReplayWish, cast: Sequence[_Cast], timeframe: str, folder: Path
) -> PaperReport:
    from engine.backtest.configured import backtest_settings
    from engine.trade.paper_market import paper_market
    from engine.trade.paper_run import paper_run
    from engine.trade.replay_terms import Entrant

    config = session.config
    trades_on = {one.genome.id: wish.symbols or _symbols_of(one, session) for one in cast}
    request = market_request(
        config,
        market=wish.market,
        exchange=wish.exchange,
        symbols=tuple(dict.fromkeys(name for names in trades_on.values() for name in names)),
        timeframe=timeframe,
        days=wish.days,
    )
    market = paper_market(request, config.trading.history_bars)
    if market.loaded.market_type == "spot":
        _check_spot(cast)
    entrants = [
        Entrant(one.genome.id, one.name, one.genome, symbol)
        for one in cast
        for symbol in trades_on[one.genome.id]
    ]
    terms = _terms(session, wish, market)
    with ReplayProgress(timeframe, wish.speed) as progress:
        run = asyncio.run(
            paper_run(
                market.series,
                market.starts,
                timeframe,
                entrants,
                terms,
                backtest_settings(config),
                folder,
                progress.step,
            )
        )
    recorded = _recorded(session, market, terms, run)
    return PaperReport(timeframe, market, terms, run, recorded)


def _symbols_of(one: _Cast, session: Session) -> tuple[str, ...]:
    if one.best_symbol is not None:
        return (one.best_symbol,)
    return one.genome.symbols or tuple(session.config.market.symbols)


def _check_spot(cast: Sequence[_Cast]) -> None:
    from engine.strategy.genome import Direction

    for one in cast:
        if one.genome.direction is not Direction.LONG or one.genome.notional_frac() > 1.0:
            raise UsageError(
                f"strategy {one.name} sells short or borrows, which a spot market does not allow: "
                "use bars of a perpetual, an exchange folder whose name ends in -perp, or set "
                "[market] type to perp",
                strategy=one.genome.id,
            )


def _terms(session: Session, wish: ReplayWish, market: PaperMarket) -> ReplayTerms:
    from engine.backtest.configured import backtest_settings
    from engine.trade.replay_terms import ReplayTerms
    from engine.trade.simulated.faults import NO_FAULTS, FaultPlan

    config = session.config
    settings = backtest_settings(config)
    balance = Decimal(str(config.simulated.balance_quote))
    capital = Decimal(str(settings.initial_capital_quote))
    if wish.has_limits:
        capital = balance * Decimal(str(config.trading.allocation_frac))
    return ReplayTerms(
        market_type=market.loaded.market_type,
        capital_quote=capital,
        balance_quote=balance if wish.has_limits else None,
        costs=settings.costs,
        limits=config.limits if wish.has_limits else None,
        orders=config.orders,
        default_stop_frac=config.backtest.default_stop_frac,
        default_target_frac=config.backtest.default_target_frac,
        stale_ms=round(config.trading.stale_data_s * 1000),
        latency_ms=wish.latency_ms,
        faults=FaultPlan(_FAULT_SEED, wish.fault_chance) if wish.fault_chance else NO_FAULTS,
        commission_in=config.simulated.commission_in,
    )


def _recorded(
    session: Session, market: PaperMarket, terms: ReplayTerms, run: PaperRun
) -> Mapping[str, int]:
    """Record the results of stored strategies in the ledger; nothing where there is none."""
    if not session.has_database():
        return {}
    from engine.backtest.configured import backtest_settings, costs_hash
    from engine.backtest.run import ENGINE_VERSION
    from engine.store.paper_evaluations import PaperEvaluation, save_paper_evaluations
    from engine.store.trial_context import TrialContext

    loaded = market.loaded
    hashes = {symbol: market.traded(symbol).content_hash() for symbol in market.series}
    own = costs_hash(backtest_settings(session.config), loaded.market_type)
    rows = [
        PaperEvaluation(
            result.end.entrant.strategy_id,
            TrialContext(
                exchange=loaded.exchange,
                symbol=result.end.entrant.symbol,
                timeframe=loaded.timeframe,
                series_hash=hashes[result.end.entrant.symbol],
                window_start_at=loaded.start_at,
                window_end_at=loaded.end_at,
                segment="",
                costs_hash=terms.hash_of(own, [end.end.entrant for end in run.results]),
                engine_version=ENGINE_VERSION,
            ),
            result.metrics,
        )
        for result in run.results
    ]

    async def write() -> dict[str, int]:
        store = await session.open_store(read_only=False)
        try:
            return await save_paper_evaluations(store, rows, session.clock.now_at())
        finally:
            await store.close()

    return asyncio.run(write())


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Give a folder for journals: the operator's own, or one that is gone afterwards."""
    if keep is None:
        # Nothing in it is to survive: in memory, where there is such a place.
        inside = _MEMORY if _MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="paddock-", dir=inside) as name:
            yield Path(name)
        return
    folder = keep.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as exc:
        raise StoreError(f"--keep {keep}: {exc.strerror or exc}", path=str(keep)) from exc
    if not is_empty:
        raise UsageError(f"--keep {keep}: the folder is not empty, name another one")
    yield folder
