"""Paper trading through the whole path on generated bars, and on real ones where they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from engine.backtest.run import BacktestSettings
from engine.errors import UsageError
from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.market.store import MarketStore
from engine.risk.latch import Latch, TradingState
from engine.strategy.genome import Sizing
from engine.strategy.library import LIBRARY, library_genome
from engine.trade.differences import DifferenceCause
from engine.trade.paper_run import PaperRun, paper_run
from engine.trade.replay import Replay
from engine.trade.replay_terms import Entrant, ReplayTerms
from engine.trade.simulated.faults import FaultPlan
from engine.trading_settings import Limits
from engine.types import Bars, SeriesKey
from tests.paper_cases import SYMBOL, quick_folder, random_entrant, wild_bars

HISTORY = 300


def entrants_on(symbol: str, count: int, seed: int = 3) -> list[Entrant]:
    universe = Universe("5m", "perp", ("15m", "1h"))
    drawn = [draw_genome(Draws.keyed(seed, i), universe) for i in range(count)]
    named = {f"random-{i}": genome for i, genome in enumerate(drawn)}
    named |= {name: library_genome(name, "5m") for name in LIBRARY}
    unique = {genome.id: (name, genome) for name, genome in named.items()}
    return [Entrant(genome.id, name, genome, symbol) for name, genome in unique.values()]


async def run_on(series: dict[str, Bars], entrants: list[Entrant], terms: ReplayTerms) -> PaperRun:
    with quick_folder() as folder:
        return await paper_run(
            series,
            dict.fromkeys(series, HISTORY),
            "5m",
            entrants,
            terms,
            BacktestSettings(),
            Path(folder),
        )


def causes(run: PaperRun) -> Counter[DifferenceCause]:
    total: Counter[DifferenceCause] = Counter()
    for result in run.results:
        total.update(result.comparison.by_cause)
    return total


def walk(seed: int, n_bars: int) -> Bars:
    return wild_bars(np.random.default_rng(seed), n_bars, 0.003)


async def test_two_days_of_real_bars_trade_exactly_as_their_backtest(
    shared_market: Path,
) -> None:
    store = MarketStore(shared_market / "spot-5m")
    bars = store.read(SeriesKey("binance", SYMBOL, "5m")).slice(20_000, 20_000 + HISTORY + 2 * 288)
    entrants = entrants_on(SYMBOL, 20)
    sizings = {entrant.genome.risk.sizing for entrant in entrants}
    assert sizings == set(Sizing)
    run = await run_on({SYMBOL: bars}, entrants, ReplayTerms())
    trips = [trip for result in run.results for trip in result.end.trips]
    assert causes(run) == {}
    assert run.is_sound
    assert len(trips) > 250
    assert {trip.reason for trip in trips} == {"stop", "target", "trailing", "signal", "time"}
    for result in run.results:
        np.testing.assert_allclose(result.end.equity, result.backtest.equity, rtol=1e-9)


async def test_what_paper_measured_is_what_the_backtest_measured() -> None:
    run = await run_on({SYMBOL: walk(3, 900)}, entrants_on(SYMBOL, 6), ReplayTerms())
    assert causes(run) == {}
    assert sum(result.metrics["n_trades"] for result in run.results) > 50
    # These two are of the trading itself; see `paper_metrics`.
    own = {"slippage_quote", "turnover_per_day"}
    for result in run.results:
        for name, theirs in result.backtest.metrics.items():
            if name not in own:
                mine = result.metrics[name]
                assert mine == pytest.approx(theirs, rel=1e-6, abs=1e-9, nan_ok=True), name
        if result.backtest.metrics["n_trades"]:
            turnover = result.backtest.metrics["turnover_per_day"]
            assert result.metrics["turnover_per_day"] == pytest.approx(turnover, rel=0.02)


async def test_two_symbols_with_gaps_trade_side_by_side() -> None:
    whole, other = walk(5, 600), walk(6, 600)
    keep = np.ones(600, dtype=bool)
    keep[400:403] = keep[550] = False
    gapped = Bars(*(getattr(whole, name)[keep] for name in Bars.__dataclass_fields__))
    entrants = [*entrants_on(SYMBOL, 6), *entrants_on("ETH/USDT", 2)]
    run = await run_on({SYMBOL: gapped, "ETH/USDT": other}, entrants, ReplayTerms())
    assert run.n_unexplained == 0
    assert run.is_sound
    clean = [result for result in run.results if result.end.entrant.symbol == "ETH/USDT"]
    assert all(not result.comparison.by_cause for result in clean)
    assert all(
        result.end.missed_bars == {int(whole.timestamp[403]), int(whole.timestamp[551])}
        for result in run.results
        if result.end.entrant.symbol == SYMBOL
    )


async def test_limits_in_a_shared_account_refuse_and_every_difference_says_so() -> None:
    series = {SYMBOL: walk(7, 3_900), "ETH/USDT": walk(8, 3_900)}
    entrants = [*entrants_on(SYMBOL, 2), *entrants_on("ETH/USDT", 2)]
    terms = ReplayTerms(
        capital_quote=Decimal(1_000), balance_quote=Decimal(20_000), limits=Limits()
    )
    with quick_folder() as folder:
        # As much history as the value at risk needs.
        starts = dict.fromkeys(series, 3_600)
        run = await paper_run(
            series, starts, "5m", entrants, terms, BacktestSettings(), Path(folder)
        )
    assert [account.account for account in run.accounts] == ["paper"]
    assert run.is_sound
    assert run.n_unexplained == 0
    found = causes(run)
    assert found[DifferenceCause.LIMIT] > 0
    assert sum(result.comparison.n_equal for result in run.results) > 0
    assert len(run.accounts[0].verdicts) > found[DifferenceCause.LIMIT]


async def test_a_breaker_stops_an_account_and_every_later_difference_is_its_own() -> None:
    limits = Limits(
        risk_per_trade_frac=1.0,
        position_frac=1.0,
        strategy_frac=1.0,
        group_frac=1.0,
        correlation_max=1.0,
        value_at_risk_frac=1.0,
        drawdown_reduce_frac=0.004,
        drawdown_stop_frac=0.004,
    )
    terms = ReplayTerms(capital_quote=Decimal(1_000), balance_quote=Decimal(2_000), limits=limits)
    with quick_folder() as folder:
        bars, entrants = walk(13, 4_000), entrants_on(SYMBOL, 2)
        run = await paper_run(
            {SYMBOL: bars}, {SYMBOL: 3_600}, "5m", entrants, terms, BacktestSettings(), Path(folder)
        )
        latch = Latch(Path(folder) / "paper" / "halt", "paper", "replay").read()
    assert latch.state is TradingState.HALTED
    assert "drawdown" in latch.reason
    refused = [
        found.words
        for result in run.results
        for pair in result.comparison.pairs
        for found in pair.differences
        if found.cause is DifferenceCause.LIMIT
    ]
    assert refused and all("drawdown" in words for words in refused)
    assert run.n_unexplained == 0
    assert run.is_sound


async def test_coarse_ticks_and_lots_explain_what_differs() -> None:
    terms = ReplayTerms(is_exact=False)
    run = await run_on({SYMBOL: walk(9, 800)}, entrants_on(SYMBOL, 6), terms)
    assert run.n_unexplained == 0
    assert set(causes(run)) <= {DifferenceCause.ROUNDING, DifferenceCause.EARLIER}
    assert causes(run)[DifferenceCause.ROUNDING] > 0


async def test_a_slow_venue_and_a_faulty_one_end_known_and_agreed() -> None:
    entrants = entrants_on(SYMBOL, 3)
    slow = await run_on({SYMBOL: walk(10, 420)}, entrants, ReplayTerms(latency_ms=250))
    assert slow.is_sound
    assert slow.n_unexplained == 0
    faulty = ReplayTerms(faults=FaultPlan(seed=4, chance=0.05))
    run = await run_on({SYMBOL: walk(10, 420)}, entrants, faulty)
    assert run.is_sound
    assert run.n_unexplained == 0
    assert not any(
        order.state == "unknown" for account in run.accounts for order in account.orders.values()
    )


async def test_commissions_in_what_a_fill_brought_are_told_as_that() -> None:
    terms = ReplayTerms(market_type="spot", commission_in="received")
    universe = Universe("5m", "spot")
    genomes = {g.id: g for g in (draw_genome(Draws.keyed(3, i), universe) for i in range(6))}
    entrants = [Entrant(name, name[:6], genome, SYMBOL) for name, genome in genomes.items()]
    run = await run_on({SYMBOL: walk(11, 800)}, entrants, terms)
    assert run.is_sound
    assert run.n_unexplained == 0
    assert set(causes(run)) <= {DifferenceCause.FEE_ASSET, DifferenceCause.EARLIER}
    assert causes(run)[DifferenceCause.FEE_ASSET] > 0


async def test_a_step_is_told_for_every_bar_close() -> None:
    told: list[tuple[int, int]] = []

    async def hear(n_done: int, n_total: int) -> None:
        told.append((n_done, n_total))

    with quick_folder() as folder:
        bars = walk(12, 320)
        entrants = [random_entrant(1, 0)]
        await Replay(
            {SYMBOL: bars}, {SYMBOL: 300}, "5m", entrants, ReplayTerms(), Path(folder)
        ).run(hear)
    assert told == [(i, 20) for i in range(1, 21)]


def test_a_replay_needs_entrants_each_once() -> None:
    one = random_entrant(1, 0)
    for entrants in ([], [one, replace(one, name="again")]):
        with pytest.raises(UsageError):
            Replay({SYMBOL: walk(1, 10)}, {}, "5m", entrants, ReplayTerms(), Path("nowhere"))


def test_an_exact_instrument_is_finer_than_a_float() -> None:
    for price in (1e-6, 0.3, 90_000.0):
        made = ReplayTerms().instrument(SYMBOL, np.array([price]))
        assert float(made.tick) / price < 1e-20
        assert float(made.lot) * price / 10_000 < 1e-19
