"""The strategies of one symbol and timeframe: bars as they close, decisions, and the desk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

import numpy as np

from actors.worker_desk import WorkerDesk
from engine.errors import VenueError
from engine.strategy.genome import Genome
from engine.trade.account_clock import AccountClock
from engine.trade.calm import without_entry
from engine.trade.decider import Decider, history_start_at
from engine.trade.decision import ClosedBar, Decision, DecisionSource, decimal_of
from engine.trade.desk import Desk
from engine.trade.exchange import Exchange
from engine.trade.risk_keeper import RiskKeeper
from engine.types import Bars, timeframe_ms

FIRST_WAIT_S = 0.02
LONGEST_WAIT_S = 1.0
NONE_YET = Bars(np.zeros(0, dtype=np.int64), *(np.zeros(0) for _ in range(5)))

Sleep = Callable[[float], Awaitable[None]]
Tell = Callable[[str, str, str], None]


class SeriesTrader:
    """Wait for each bar of a series to close, decide, and hand both to the desk.

    Parameters
    ----------
    history_bars : closed bars that decisions are computed from
    late_s : a bar that is later than this is told
    sleep : coroutine function of seconds
    workers : who decides for deployed strategies

    Attributes
    ----------
    paused : strategies that enter nothing
    newest_at : UTC ms of the newest closed bar's open, None before the first
    """

    def __init__(
        self,
        symbol: str,
        timeframe: str,
        exchange: Exchange,
        clock: AccountClock,
        history_bars: int,
        late_s: float,
        sleep: Sleep,
        tell: Tell,
        workers: WorkerDesk,
    ) -> None:
        self.symbol = symbol
        self.timeframe = timeframe
        self.bar_ms = timeframe_ms(timeframe)
        self.paused: frozenset[str] = frozenset()
        self._exchange = exchange
        self._clock = clock
        self._history_bars = history_bars
        self._late_s = late_s
        self._sleep = sleep
        self._tell = tell
        self._workers = workers
        self._decider: Decider | None = None
        self._source: DecisionSource | None = None
        self._genomes: Collection[str] = ()
        self._is_late_told = False

    @property
    def newest_at(self) -> int | None:
        """Return the open of the newest closed bar, UTC ms; None before the first."""
        bars = self.bars()
        return int(bars.timestamp[-1]) if len(bars) else None

    def bars(self) -> Bars:
        """Return the closed bars that are known."""
        return NONE_YET if self._decider is None else self._decider.bars

    def newest(self, strategy_id: str, desk: Desk) -> Decision | None:
        """Return what a strategy decided at the newest bar, None when that is not known."""
        if self._decider is None or self._workers.is_deployed(strategy_id):
            return None
        return self._calmed(self._decider.newest(), desk).get(strategy_id)

    async def load(self, genomes: Mapping[str, Genome]) -> None:
        """Read the history, once, and decide for these strategies from now on.

        Raises
        ------
        VenueError : the exchange does not answer.
        """
        if self._decider is None:
            history = await self._exchange.closed_bars(
                self.symbol, self.timeframe, self._history_at()
            )
            self._decider = Decider(self.timeframe, history, genomes, self._history_bars)
            self._source = self._workers.source(self._decider, self.symbol)
        elif genomes.keys() != self._genomes:
            self._decider.trade_for(genomes)
        self._genomes = genomes.keys()

    async def keep(self, desk: Desk, risk: RiskKeeper) -> None:
        """Trade bar after bar, for ever."""
        wait_s = FIRST_WAIT_S
        while True:
            due_at = self._next_close_at()
            early_s = self._clock.local_s(due_at - self._clock.now_at())
            if early_s > 0:
                # Never for long: the exchange's pace may turn out to be another one.
                await self._sleep(min(early_s, LONGEST_WAIT_S))
                wait_s = FIRST_WAIT_S
                continue
            try:
                found = await self._take_closed(desk, risk)
            except VenueError:
                found, wait_s = False, LONGEST_WAIT_S
            if found:
                self._is_late_told = False
                continue
            self._note_late(due_at)
            await self._sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _next_close_at(self) -> int:
        newest_at = self.newest_at
        if newest_at is None:
            return (self._clock.now_at() // self.bar_ms + 1) * self.bar_ms
        return newest_at + 2 * self.bar_ms

    async def _take_closed(self, desk: Desk, risk: RiskKeeper) -> bool:
        """Take what has closed since, and return whether there was any."""
        if self._source is None:
            return False
        newest_at = self.newest_at
        since_at = self._history_at() if newest_at is None else newest_at + self.bar_ms
        bars = await self._exchange.closed_bars(self.symbol, self.timeframe, since_at)
        n_new = 0
        for i in range(len(bars)):
            bar = ClosedBar.of(bars, i)
            if newest_at is not None and bar.at <= newest_at:
                continue
            n_new += 1
            risk.take_price(self.symbol, decimal_of(bar.close))
            decisions = self._calmed(await self._source.decide(bar), desk)
            await desk.on_bar(self.symbol, bar, decisions, self.bar_ms)
        return n_new > 0

    def _history_at(self) -> int:
        return history_start_at(self._clock.now_at(), self._history_bars, self.bar_ms)

    def _calmed(self, decisions: Mapping[str, Decision], desk: Desk) -> Mapping[str, Decision]:
        """Take every entry out of what paused strategies want; what ends a position stays."""
        if not self.paused:
            return decisions
        calmed = dict(decisions)
        for strategy_id in self.paused & decisions.keys():
            trader = desk.traders.get((strategy_id, self.symbol))
            calmed[strategy_id] = without_entry(decisions[strategy_id], trader)
        return calmed

    def _note_late(self, due_at: int) -> None:
        late_s = self._clock.local_s(self._clock.now_at() - due_at)
        if late_s > self._late_s and not self._is_late_told:
            self._is_late_told = True
            words = f"the {self.timeframe} bar of {self.symbol} is {late_s:.0f} s late"
            self._tell("bars.late", f"symbol:{self.symbol}", words)
