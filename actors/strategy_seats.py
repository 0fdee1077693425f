"""Seats strategies at an account's desk, with capital of their own, and takes them away again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from actors.hosted import Hosted
from actors.series_trader import SeriesTrader
from actors.worker_desk import WorkerDesk
from engine.backtest.rules import Rules
from engine.clock import Clock
from engine.deploy.token import worker_token
from engine.risk.view import TradePlan
from engine.settings import Config
from engine.strategy.genome import Genome
from engine.trade.account_clock import AccountClock
from engine.trade.assembly import Assembly
from engine.trade.decision import ClosedBar, decimal_of
from engine.trade.errands import OnFailure
from engine.trade.exit_levels import with_defaults
from engine.trade.records import NoteRecord, Record
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.trader_spec import TraderSpec
from engine.types import timeframe_ms

ALLOCATED = "strategy.allocated"
_SLACK_S = 2.0
"""How late a bar may come on a market that runs faster than the world, in our own seconds."""

Sleep = Callable[[float], Awaitable[None]]
Tell = Callable[[str, str, str], None]


class StrategySeats:
    """Keep the traders at a desk those that the store says.

    Survives a crash: what each strategy was allocated, in the journal; traders are made again from
    the account's book and the stored bars.

    Attributes
    ----------
    hosted : who sits there, by (strategy, symbol)
    workers : who decides for deployed strategies
    """

    def __init__(
        self,
        config: Config,
        assembly: Assembly,
        clock: AccountClock,
        sleep: Sleep,
        tell: Tell,
        on_failure: OnFailure,
        wall: Clock,
    ) -> None:
        self.hosted: dict[tuple[str, str], Hosted] = {}
        home = config.paths.home
        self.workers = WorkerDesk(
            config.deploy, assembly.desk, wall, lambda: worker_token(home), self._capital_of
        )
        self._config = config
        self._assembly = assembly
        self._desk = assembly.desk
        self._gateway = assembly.gateway
        self._risk = assembly.risk
        self._clock = clock
        self._sleep = sleep
        self._tell = tell
        self._on_failure = on_failure
        self._series: dict[tuple[str, str], SeriesTrader] = {}
        self._keeping: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._capital: dict[tuple[str, str], Decimal] = {}
        self._fracs: dict[tuple[str, str], float] = {}
        self._alone: dict[str, bool] = {}

    @property
    def series(self) -> Sequence[SeriesTrader]:
        """Return the series that are traded."""
        return tuple(self._series.values())

    @property
    def symbols(self) -> list[str]:
        """Return the symbols that are traded."""
        return sorted({symbol for _, symbol in self.hosted})

    def newest_bar_at(self) -> int | None:
        """Return the open of the newest closed bar of all, UTC ms."""
        return max((s.newest_at for s in self._series.values() if s.newest_at), default=None)

    def take_record(self, record: Record, at: int) -> None:
        """Take a line of the journal: what was allocated to whom."""
        if isinstance(record, NoteRecord) and record.topic == ALLOCATED:
            fields = record.fields
            key = (str(fields["strategy_id"]), str(fields["symbol"]))
            self._capital[key] = Decimal(str(fields["capital_quote"]))
            self._fracs[key] = float(str(fields.get("frac", self._config.trading.allocation_frac)))
        self.workers.take_record(record)

    async def seat(self, cast: Sequence[Hosted]) -> None:
        """Make those of `cast` who sits at the desk.

        Raises
        ------
        VenueError : the exchange did not tell its bars; ask again.
        """
        wanted = {hosted.key: hosted for hosted in cast}
        for key in [key for key in self.hosted if key not in wanted]:
            self._dismiss(key)
        by_series: dict[tuple[str, str], dict[str, Genome]] = {}
        for hosted in cast:
            series = (hosted.symbol, hosted.genome.timeframe)
            by_series.setdefault(series, {})[hosted.strategy_id] = hosted.genome
        for key, genomes in by_series.items():
            await self._series_of(key).load(genomes)
        for key in [key for key in self._series if key not in by_series]:
            self._end_series(key)
        self._reseat_shared(cast)
        for hosted in cast:
            is_seated = hosted.key in self._desk.traders and not self._is_reallocated(hosted.key)
            if self.hosted.get(hosted.key) != hosted or not is_seated:
                self._place(hosted)
        for key, one in self._series.items():
            one.paused = frozenset(
                hosted.strategy_id
                for hosted in cast
                if hosted.is_paused and (hosted.symbol, hosted.genome.timeframe) == key
            )
            if key not in self._keeping:
                self._keeping[key] = asyncio.create_task(self._keep(one))

    def renew(self) -> None:
        """Make every trader again from the book: positions changed without an order of theirs."""
        for hosted in list(self.hosted.values()):
            self._desk.dismiss(*hosted.key)
            self._place(hosted)

    async def stop(self) -> None:
        """Wait for no more bars."""
        for task in self._keeping.values():
            task.cancel()
        await asyncio.gather(*self._keeping.values(), return_exceptions=True)
        await self.workers.stop()

    # Inside

    def _place(self, hosted: Hosted) -> None:
        capital = self._allocated(hosted.key)
        if capital is None:
            return
        self._desk.dismiss(*hosted.key)
        spec = self._spec(hosted, capital)
        series = self._series[hosted.symbol, hosted.genome.timeframe]
        orders = [
            order
            for order in self._gateway.book.orders.values()
            if (order.request.strategy_id, order.request.symbol) == hosted.key
        ]
        bars = series.bars()
        trader = StrategyTrader.restored(
            spec,
            orders,
            self._gateway.fills_of(*hosted.key),
            (ClosedBar.of(bars, i) for i in range(len(bars))),
            series.newest(hosted.strategy_id, self._desk),
        )
        self._desk.seat(trader)
        self.hosted[hosted.key] = hosted
        self._risk.plans[hosted.strategy_id] = _plan(spec)

    def _dismiss(self, key: tuple[str, str]) -> None:
        self._desk.dismiss(*key)
        self.hosted.pop(key, None)

    def _reseat_shared(self, cast: Sequence[Hosted]) -> None:
        """Let traders of a symbol know that they share it now, or no longer do."""
        alone = {
            symbol: sum(hosted.symbol == symbol for hosted in cast) == 1
            for symbol in {hosted.symbol for hosted in cast}
        }
        for symbol, is_alone in alone.items():
            if self._alone.get(symbol, is_alone) != is_alone:
                for key in [key for key in self.hosted if key[1] == symbol]:
                    self._dismiss(key)
        self._alone = alone

    def _spec(self, hosted: Hosted, capital: Decimal) -> TraderSpec:
        backtest, settings = self._config.backtest, self._config.trading
        orders = self._config.orders
        can = self._gateway.exchange.capabilities
        pace = max(1.0, self._clock.rate)
        bar_ms = timeframe_ms(hosted.genome.timeframe)
        stale_s = max(settings.stale_data_s, min(bar_ms / 1000, _SLACK_S * pace))
        rules = with_defaults(
            Rules.of(hosted.genome), backtest.default_stop_frac, backtest.default_target_frac
        )
        return TraderSpec(
            account=self._gateway.account,
            strategy_id=hosted.strategy_id,
            symbol=hosted.symbol,
            bar_ms=bar_ms,
            rules=rules,
            capital_quote=capital,
            commission_frac=backtest.commission_frac,
            instrument=self._gateway.instruments[hosted.symbol],
            # Where several share a symbol, a stop and a target of one could both fill, the second
            # at the cost of the others: only one order that closes may rest then.
            capabilities=replace(can, rests_both=can.rests_both and self._alone[hosted.symbol]),
            entry_timeout_ms=round(orders.entry_timeout_s * 1000 * pace),
            stale_ms=round(stale_s * 1000),
        )

    def _allocated(self, key: tuple[str, str]) -> Decimal | None:
        """Return a strategy's capital, set once; None while the account cannot be valued."""
        known = self._capital.get(key)
        if known is not None and not self._is_reallocated(key):
            return known
        equity = self._risk.view().known_equity()
        if equity is None:
            return known
        frac = self._wanted_frac(key)
        capital = (equity * Decimal(str(frac))).quantize(Decimal("0.01"))
        if capital <= 0:
            return None
        strategy_id, symbol = key
        message = f"strategy {strategy_id[:12]} may use {capital} on {symbol}"
        self._gateway.note(
            ALLOCATED,
            message,
            strategy_id=strategy_id,
            symbol=symbol,
            capital_quote=str(capital),
            frac=frac,
        )
        self._capital[key], self._fracs[key] = capital, frac
        return capital

    def _wanted_frac(self, key: tuple[str, str]) -> float:
        """Return the capital it should have: a deployed strategy's is shared by its symbols."""
        deployed = self.workers.allocation_frac(key[0])
        if deployed is None:
            return self._config.trading.allocation_frac
        n_symbols = sum(strategy_id == key[0] for strategy_id, _ in {*self.hosted, key})
        return deployed / n_symbols

    def _is_reallocated(self, key: tuple[str, str]) -> bool:
        """Return whether a strategy that was deployed gets another capital now, while flat."""
        if not self.workers.is_deployed(key[0]) or self._fracs.get(key) == self._wanted_frac(key):
            return False
        book = self._gateway.book
        if key not in self._capital or not book.position(*key).is_flat:
            return False
        return all((o.request.strategy_id, o.request.symbol) != key for o in book.active_orders())

    def _capital_of(self, key: tuple[str, str]) -> Decimal | None:
        return self._capital.get(key)

    def _series_of(self, key: tuple[str, str]) -> SeriesTrader:
        if key not in self._series:
            settings = self._config.trading
            self._series[key] = SeriesTrader(
                *key,
                self._gateway.exchange,
                self._clock,
                settings.history_bars,
                settings.stale_data_s,
                self._sleep,
                self._tell,
                self.workers,
            )
        return self._series[key]

    def _end_series(self, key: tuple[str, str]) -> None:
        self._series.pop(key)
        task = self._keeping.pop(key, None)
        if task is not None:
            task.cancel()

    async def _keep(self, series: SeriesTrader) -> None:
        try:
            await series.keep(self._desk, self._risk)
        except Exception as error:
            await self._on_failure(error)


def _plan(spec: TraderSpec) -> TradePlan:
    rules = spec.rules
    holding_s = None if rules.max_bars is None else rules.max_bars * spec.bar_ms / 1000
    return TradePlan(rules.stop_frac, rules.target_frac, holding_s)


def prices_of(series: Sequence[SeriesTrader]) -> Mapping[str, Decimal]:
    """Return the newest close of each symbol that is known."""
    found: dict[str, tuple[int, Decimal]] = {}
    for one in series:
        bars = one.bars()
        if len(bars):
            at = int(bars.timestamp[-1]) + one.bar_ms
            if at > found.get(one.symbol, (0, Decimal(0)))[0]:
                found[one.symbol] = (at, decimal_of(float(bars.close[-1])))
    return {symbol: price for symbol, (_, price) in found.items()}
