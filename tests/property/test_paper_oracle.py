"""Paper trading, through the whole money path, against the plain loop: random decisions, wild bars.

A hundred and seventy seeds of the first law were run once (50,000 trades); the suite draws a few.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.backtest.rules import Rules
from engine.strategy.genome import Exits, Risk
from engine.trade.comparison import compare
from engine.trade.decision import ClosedBar, Decision
from engine.trade.differences import Comparison, DifferenceCause, LoggedTrade, PaperRecord
from engine.trade.replay import EntrantEnd, Replay, ReplayEnd
from engine.trade.replay_terms import ReplayTerms
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.trader_history import fills_by_trader
from engine.types import Bars
from tests.paper_cases import (
    BAR_MS,
    SYMBOL,
    Marks,
    plain_trades,
    quick_folder,
    random_entrant,
    wild_bars,
)

N_BARS = 250
# Each example is a whole replay: none is drawn again to make it smaller.
DRAWN = (Phase.explicit, Phase.generate)
VOLATILITIES = (0.0005, 0.003, 0.01, 0.03, 0.1)
DENSITIES = (0.02, 0.2, 0.7)


def replayed(kind: type[Replay], bars: Bars, marks: Marks, entrants: list[object]) -> ReplayEnd:
    with quick_folder() as folder:
        replay = kind(
            {SYMBOL: bars}, {}, "5m", entrants, ReplayTerms(), Path(folder), {SYMBOL: marks}
        )
        return asyncio.run(replay.run())


def compared(end: EntrantEnd, trades: list[LoggedTrade]) -> Comparison:
    record = PaperRecord(end.trips, end.open_trade, end.orders, end.instrument, BAR_MS)
    return compare(trades, record)


def assert_same(end: EntrantEnd, marks: Marks, exit_rules: np.ndarray | None = None) -> bool:
    """Hold an entrant against the plain loop; False when that lost its capital."""
    name = end.entrant.strategy_id
    trades, equity = plain_trades(
        end.entrant.genome, marks.bars, marks.of[name], marks.size[name], exit_rules=exit_rules
    )
    is_ruined = any(trade.reason == "ruin" for trade in trades)
    found = compared(end, [trade for trade in trades if trade.exit_at is not None])
    is_open = trades and trades[-1].exit_at is None
    different = [pair for pair in found.pairs if pair.differences]
    if is_open:
        # The plain loop says nothing of an open trade's size: its equity does.
        (left,) = different
        assert left.backtest is None and left.paper is end.open_trade
        assert end.open_trade is not None
    elif is_ruined:
        assert all(pair.cause is DifferenceCause.RUIN for pair in different)
    else:
        assert different == []
    if not is_ruined:
        np.testing.assert_allclose(end.equity, equity, rtol=1e-9)
    return not is_ruined


cases = st.tuples(
    st.integers(0, 2**32 - 1), st.sampled_from(VOLATILITIES), st.sampled_from(DENSITIES)
)


@settings(max_examples=10, phases=DRAWN)
@given(cases)
def test_paper_trades_are_the_plain_loop_s(case: tuple[int, float, float]) -> None:
    seed, volatility, density = case
    rng = np.random.default_rng(seed)
    bars = wild_bars(rng, N_BARS, volatility)
    unique = {entrant.strategy_id: entrant for entrant in (random_entrant(seed, i) for i in (0, 1))}
    marks = Marks(rng, bars, density, list(unique.values()))
    done = replayed(Replay, bars, marks, list(unique.values()))
    lived = [assert_same(end, marks) for end in done.entrants]
    assert all(account.is_journal_whole for account in done.accounts)
    assert all(account.is_agreed for account in done.accounts) or not all(lived)


class OwnExits(Marks):
    """Random decisions, each with exits of its own, as a Worker names them."""

    def __init__(
        self, rng: np.random.Generator, bars: Bars, density: float, entrants: list[object]
    ) -> None:
        super().__init__(rng, bars, density, entrants)
        pick = rng.integers(0, 4, (4, len(bars)))
        none = np.nan
        self.exits = np.stack(
            (
                np.array([0.005, 0.01, 0.03, 0.06])[pick[0]],
                np.array([0.004, 0.02, 0.1, none])[pick[1]],
                np.array([0.004, 0.02, none, none])[pick[2]],
                np.array([1.0, 3.0, 20.0, 2.0**62])[pick[3]],
            ),
            axis=1,
        )

    async def decide(self, bar: ClosedBar) -> Mapping[str, Decision]:
        t = int(np.searchsorted(self.bars.timestamp, bar.at))
        return {name: self.at(name, t) for name in self.of}

    def at(self, name: str, t: int) -> Decision:
        plain = super().at(name, t)
        stop, target, trailing, max_bars = self.exits[t].tolist()
        rules = Rules(
            stop_frac=stop,
            target_frac=None if np.isnan(target) else target,
            trailing_frac=None if np.isnan(trailing) else trailing,
            max_bars=int(max_bars),
            size_frac=self.size_frac,
            on_opposite=True,
        )
        return Decision(
            plain.bar_at,
            plain.side,
            plain.leaves_long,
            plain.leaves_short,
            plain.size_frac,
            rules,
        )

    size_frac = 1.0


@settings(max_examples=5, phases=DRAWN)
@given(cases)
def test_entries_that_name_their_own_exits_trade_as_the_plain_loop_does(
    case: tuple[int, float, float],
) -> None:
    seed, volatility, density = case
    rng = np.random.default_rng(seed)
    bars = wild_bars(rng, N_BARS, volatility)
    entrant = random_entrant(seed, 0)
    exits = Exits(stop_frac=0.01)
    genome = entrant.genome.with_changes(risk=Risk(risk_per_trade_frac=0.01), exits=exits)
    entrant = type(entrant)(genome.id, entrant.name, genome, SYMBOL)
    marks = OwnExits(rng, bars, density, [entrant])
    marks.size_frac = genome.notional_frac()
    done = replayed(Replay, bars, marks, [entrant])
    assert_same(done.entrants[0], marks, marks.exits)


class Dying(Replay):
    """A replay whose traders die at every step and come back from the journal."""

    async def _move_to(self, at: int) -> None:
        await super()._move_to(at)
        for i, (entrant, account, trader) in enumerate(self._seats):
            bars = self._series[entrant.symbol]
            n_closed = int(np.searchsorted(bars.timestamp, self._clock.now_at() - BAR_MS + 1))
            if at % BAR_MS == 0 and n_closed and self._newest_at(trader) != _at(bars, n_closed - 1):
                # The bar that closes now has not been told yet.
                n_closed -= 1
            key = (entrant.strategy_id, entrant.symbol)
            source = self._deciders[entrant.symbol]
            decision = None
            if n_closed:
                newest = ClosedBar.of(bars, n_closed - 1)
                decision = (await source.decide(newest)).get(entrant.strategy_id)
            again = StrategyTrader.restored(
                trader.spec,
                [
                    order
                    for order in account.gateway.book.orders.values()
                    if (order.request.strategy_id, order.request.symbol) == key
                ],
                fills_by_trader(account.journal.read()).get(key, []),
                [ClosedBar.of(bars, t) for t in range(_first_needed(trader, bars), n_closed)],
                decision,
            )
            assert again.trips.closed == trader.trips.closed
            assert again.trips.open == trader.trips.open
            assert again.levels() == trader.levels()
            assert again.unprotected_base() == trader.unprotected_base()
            # Whatever was wished for is in the journal: nothing is wished for again.
            assert again.on_tick(self._clock.now_at()) == ()
            account.desk.dismiss(*key)
            account.desk.seat(again)
            self._seats[i] = (entrant, account, again)

    @staticmethod
    def _newest_at(trader: StrategyTrader) -> int | None:
        return None if trader._bar is None else trader._bar.at


def _first_needed(trader: StrategyTrader, bars: Bars) -> int:
    """The open trade's first bar, or the last two."""
    held = trader.trips.open
    newest_at = Dying._newest_at(trader) or 0
    from_at = newest_at - BAR_MS if held is None else min(held.entry_at, newest_at - BAR_MS)
    return int(np.searchsorted(bars.timestamp, from_at))


def _at(bars: Bars, t: int) -> int:
    return int(bars.timestamp[t])


@settings(max_examples=5, phases=DRAWN)
@given(cases)
def test_a_trader_that_dies_at_every_step_trades_the_same_under_the_same_ids(
    case: tuple[int, float, float],
) -> None:
    seed, volatility, density = case
    rng = np.random.default_rng(seed)
    bars = wild_bars(rng, 60, volatility)
    entrants = [random_entrant(seed, 0)]
    marks = Marks(rng, bars, density, entrants)
    whole = replayed(Replay, bars, marks, entrants).entrants[0]
    pieces = replayed(Dying, bars, marks, entrants).entrants[0]
    assert pieces.trips == whole.trips
    assert [order.client_id for order in pieces.orders] == [
        order.client_id for order in whole.orders
    ]
    np.testing.assert_array_equal(pieces.equity, whole.equity)
