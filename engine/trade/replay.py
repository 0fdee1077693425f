"""Replay bars through the whole money path in one process, on a clock that is ours to move.

decision -> strategy trader -> risk officer -> gateway (journal, latch, lease) -> simulated venue,
bar by bar: the open, the inside, the close, then what was decided at it. Nothing here knows what a
backtest would do: that both come to the same trades is what `comparison.py` checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from engine.backtest.rules import Rules
from engine.clock import FakeClock
from engine.errors import UsageError
from engine.trade.decider import Decider
from engine.trade.decision import ClosedBar, DecisionSource, decimal_of
from engine.trade.exchange import Fill
from engine.trade.exit_levels import with_defaults
from engine.trade.instrument import Instrument
from engine.trade.orders import Order
from engine.trade.paper_account import AccountEnd, PaperAccount
from engine.trade.replay_officer import ReplayOfficer
from engine.trade.replay_terms import Entrant, ReplayTerms
from engine.trade.round_trips import OpenTrade, RoundTrip
from engine.trade.simulated.timeline import Timeline
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.trader_spec import TraderSpec
from engine.types import Bars, BoolArray, FloatArray, IntArray, timeframe_ms

SHARED_ACCOUNT = "paper"
_LOOKS_MS = (1_000, 2_000, 6_000, 12_000, 31_000, 62_000)
"""After a price, where things take time or go wrong: when venue and clock are looked at again."""
_END_S = 120

T = TypeVar("T")
OnStep = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True, eq=False)
class EntrantEnd:
    """What one entrant did.

    Attributes
    ----------
    account : where it traded
    trips : closed trades, in order
    open_trade : the one that had not ended, None without
    orders, fills : its own, oldest first
    equity : ndarray of shape (n_bars + 1,), quote currency: its capital, then marked at each close
    is_held : ndarray of shape (n_bars,), bool: a position stood at that close
    timestamp : ndarray of shape (n_bars,), UTC ms of each bar's open
    missed_bars : opens of bars that did not follow the one before
    instrument : as the venue listed it
    """

    entrant: Entrant
    account: str
    trips: tuple[RoundTrip, ...]
    open_trade: OpenTrade | None
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    equity: FloatArray
    is_held: BoolArray
    timestamp: IntArray
    missed_bars: frozenset[int]
    instrument: Instrument


@dataclass(frozen=True, slots=True, eq=False)
class ReplayEnd:
    """What a replay came to."""

    entrants: tuple[EntrantEnd, ...]
    accounts: tuple[AccountEnd, ...]


class Replay:
    """Trade entrants on stored bars.

    Parameters
    ----------
    series : bars by symbol, all of one timeframe and one quote currency
    starts : by symbol, the first bar that is traded; those before it are history for decisions
    entrants : who trades; no (strategy, symbol) twice
    terms : ReplayTerms
    folder : of journals and latches; must be empty
    sources : who decides, by symbol; the engine where none is named
    """

    def __init__(
        self,
        series: Mapping[str, Bars],
        starts: Mapping[str, int],
        timeframe: str,
        entrants: Sequence[Entrant],
        terms: ReplayTerms,
        folder: Path,
        sources: Mapping[str, DecisionSource] | None = None,
    ) -> None:
        if len({(e.strategy_id, e.symbol) for e in entrants}) != len(entrants) or not entrants:
            raise UsageError("a replay needs entrants, each strategy once on each symbol")
        self._series = dict(series)
        self._timeframe = timeframe
        self._bar_ms = timeframe_ms(timeframe)
        self._entrants = tuple(entrants)
        self._terms = terms
        self._folder = folder
        self._next = {symbol: starts.get(symbol, 0) for symbol in series}
        self._starts = dict(self._next)
        self._timeline = Timeline(self._first_at() or 0)
        self._standing = FakeClock(self._first_at() or 0)
        self._clock = self._standing if terms.is_instant else self._timeline
        self._instruments = {
            symbol: terms.instrument(symbol, bars.close) for symbol, bars in series.items()
        }
        self._deciders: dict[str, DecisionSource] = dict(sources or {})
        self._accounts: list[PaperAccount] = []
        self._officers: list[ReplayOfficer] = []
        self._seats: list[tuple[Entrant, PaperAccount, StrategyTrader]] = []
        self._equity: list[list[float]] = []
        self._is_held: list[list[bool]] = []

    async def run(self, on_step: OnStep | None = None) -> ReplayEnd:
        """Replay every bar and return what it came to.

        Parameters
        ----------
        on_step : told how many bar closes are done, and of how many, after each
        """
        await self._through(self._set_up())
        instants = self._instants()
        for n_done, open_at in enumerate(instants, start=1):
            await self._step(open_at)
            if on_step is not None:
                await on_step(n_done, len(instants))
        await self._come_to_rest()
        accounts = {
            account.gateway.account: await self._through(account.end())
            for account in self._accounts
        }
        return ReplayEnd(
            tuple(self._end_of(i, accounts) for i in range(len(self._seats))),
            tuple(accounts.values()),
        )

    # Setting up

    async def _set_up(self) -> None:
        terms = self._terms
        for symbol in self._series.keys() - self._deciders.keys():
            bars = self._series[symbol]
            genomes = {e.strategy_id: e.genome for e in self._entrants if e.symbol == symbol}
            history = bars.slice(0, self._starts[symbol])
            self._deciders[symbol] = Decider(self._timeframe, history, genomes)
        shared: PaperAccount | None = None
        if terms.balance_quote is not None:
            shared = await self._account(SHARED_ACCOUNT, terms.balance_quote, self._entrants)
        for number, entrant in enumerate(self._entrants, start=1):
            name = f"{SHARED_ACCOUNT}-{number}"
            account = shared or await self._account(name, terms.capital_quote, [entrant])
            trader = StrategyTrader(self._spec(entrant, account))
            account.desk.seat(trader)
            self._seats.append((entrant, account, trader))
            self._equity.append([float(terms.capital_quote)])
            self._is_held.append([])

    async def _account(
        self, name: str, balance_quote: Decimal, entrants: Sequence[Entrant]
    ) -> PaperAccount:
        symbols = {entrant.symbol for entrant in entrants}
        account = await PaperAccount.open(
            name,
            self._folder / name,
            self._clock,
            {symbol: self._instruments[symbol] for symbol in sorted(symbols)},
            balance_quote,
            self._terms,
            self._timeline.sleep,
        )
        limits = self._terms.limits
        if limits is not None:
            self._officers.append(
                ReplayOfficer(account, entrants, self._series, self._timeframe, limits, self._clock)
            )
        self._accounts.append(account)
        return account

    def _spec(self, entrant: Entrant, account: PaperAccount) -> TraderSpec:
        terms = self._terms
        rules = with_defaults(
            Rules.of(entrant.genome), terms.default_stop_frac, terms.default_target_frac
        )
        return TraderSpec(
            account=account.gateway.account,
            strategy_id=entrant.strategy_id,
            symbol=entrant.symbol,
            bar_ms=self._bar_ms,
            rules=rules,
            capital_quote=terms.capital_quote,
            commission_frac=terms.costs.commission_frac,
            instrument=self._instruments[entrant.symbol],
            capabilities=account.exchange.capabilities,
            entry_timeout_ms=round(terms.orders.entry_timeout_s * 1000),
            stale_ms=terms.stale_ms,
        )

    # Time

    def _first_at(self) -> int | None:
        opens = [
            int(bars.timestamp[self._next[symbol]])
            for symbol, bars in self._series.items()
            if self._next[symbol] < len(bars)
        ]
        return min(opens, default=None)

    def _instants(self) -> list[int]:
        stamps = [bars.timestamp[self._starts[symbol] :] for symbol, bars in self._series.items()]
        instants: list[int] = np.unique(np.concatenate(stamps)).tolist()
        return instants

    async def _through(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for work that takes time, and let that time pass."""
        task = asyncio.get_running_loop().create_task(work)
        while not task.done():
            await self._timeline.run_for(max(1, self._terms.latency_ms) / 1000)
        return await task

    def _n_symbols(self) -> int:
        """Return how many symbols have bars left."""
        return sum(self._next[symbol] < len(bars) for symbol, bars in self._series.items())

    async def _move_to(self, at: int) -> None:
        if self._clock is self._timeline:
            await self._timeline.run_to(at)
        elif at > self._standing.now_at():
            self._standing.advance((at - self._standing.now_at()) / 1000)
        for account in self._accounts:
            account.renew_lease()
            account.is_busy()

    async def _look_about(self, from_at: int, to_at: int) -> None:
        """Let time pass between two prices: clocks are looked at, the venue is asked."""
        for look_ms in _LOOKS_MS:
            if from_at + look_ms >= to_at:
                return
            await self._move_to(from_at + look_ms)
            for account in self._accounts:
                if account.gateway.book.active_orders():
                    await account.do(account.ask())
                await account.do(account.desk.on_tick())

    async def _step(self, open_at: int) -> None:
        """Play the bars that open at an instant."""
        playing = {
            symbol: ClosedBar.of(bars, self._next[symbol])
            for symbol, bars in self._series.items()
            if self._next[symbol] < len(bars) and int(bars.timestamp[self._next[symbol]]) == open_at
        }
        now_at = self._clock.now_at()
        if open_at > now_at:
            # No bar follows at once: the clock goes on nevertheless.
            await self._look_about(now_at, open_at)
        await self._move_to(open_at)
        self._tell_officers({symbol: bar.open for symbol, bar in playing.items()})
        for account, symbol, bar in self._shown(playing):
            await account.exchange.bar_open(symbol, decimal_of(bar.open), open_at)
        inside_at = open_at + self._bar_ms // 2
        if not self._terms.is_instant or len(playing) < self._n_symbols():
            # Where a bar is missing the clock goes on as well: an entry waits only so long.
            await self._look_about(open_at, inside_at)
        await self._move_to(inside_at)
        for account, symbol, bar in self._shown(playing):
            low, high = decimal_of(bar.low), decimal_of(bar.high)
            await account.exchange.bar_inside(symbol, low, high, inside_at)
        close_at = open_at + self._bar_ms
        if not self._terms.is_instant:
            await self._look_about(inside_at, close_at)
        await self._move_to(close_at)
        for account, symbol, bar in self._shown(playing):
            await account.exchange.bar_close(symbol, decimal_of(bar.close), close_at)
        self._tell_officers({symbol: bar.close for symbol, bar in playing.items()})
        for officer in self._officers:
            officer.observe()
        await self._decide(playing)
        for symbol in playing:
            self._next[symbol] += 1

    def _tell_officers(self, prices: Mapping[str, float]) -> None:
        for officer in self._officers:
            for symbol, price in prices.items():
                officer.take_price(symbol, decimal_of(price))

    def _shown(self, playing: Mapping[str, ClosedBar]) -> list[tuple[PaperAccount, str, ClosedBar]]:
        return [
            (account, symbol, bar)
            for account in self._accounts
            for symbol, bar in playing.items()
            if symbol in account.gateway.instruments
        ]

    async def _decide(self, playing: Mapping[str, ClosedBar]) -> None:
        for symbol, bar in playing.items():
            decisions = await self._deciders[symbol].decide(bar)
            for account in self._accounts:
                if symbol in account.gateway.instruments:
                    await account.do(account.desk.on_bar(symbol, bar, decisions, self._bar_ms))
            close = decimal_of(bar.close)
            for i, (entrant, _, trader) in enumerate(self._seats):
                if entrant.symbol == symbol:
                    self._equity[i].append(float(trader.equity_quote(close)))
                    self._is_held[i].append(trader.open_trade is not None)

    async def _come_to_rest(self) -> None:
        """Let what is on its way arrive, and what is unknown be known."""
        for _ in range(_END_S):
            is_known = all(not a.gateway.book.unknown_orders() for a in self._accounts)
            if is_known and not any(account.is_busy() for account in self._accounts):
                return
            for account in self._accounts:
                await account.do(account.ask())
            await self._move_to(self._clock.now_at() + 1_000)
            await asyncio.sleep(0)

    def _end_of(self, i: int, accounts: Mapping[str, AccountEnd]) -> EntrantEnd:
        entrant, account, trader = self._seats[i]
        bars = self._series[entrant.symbol]
        end = accounts[account.gateway.account]
        key = (entrant.strategy_id, entrant.symbol)
        stamps = bars.timestamp[self._starts[entrant.symbol] :]
        gaps = np.flatnonzero(np.diff(stamps) != self._bar_ms) + 1
        return EntrantEnd(
            entrant=entrant,
            account=account.gateway.account,
            trips=tuple(trader.trips.closed),
            open_trade=trader.open_trade,
            orders=tuple(
                order
                for order in end.orders.values()
                if (order.request.strategy_id, order.request.symbol) == key
            ),
            fills=tuple(fill for owner, fill in end.fills if (owner, fill.symbol) == key),
            equity=np.array(self._equity[i]),
            is_held=np.array(self._is_held[i], dtype=np.bool_),
            timestamp=stamps,
            missed_bars=frozenset(stamps[gaps].tolist()),
            instrument=self._instruments[entrant.symbol],
        )
