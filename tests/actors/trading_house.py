"""The parts that trade, in this process, on a market that runs as fast as a test wants."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.conductor import Conductor
from actors.order_monitor import OrderMonitor
from actors.ports import PeerLost
from actors.position_monitor import PositionMonitor
from actors.recorder import Recorder
from actors.roster import PartSpec, kind_of
from actors.trader import Trader
from engine.clock import SystemClock
from engine.config import database_url
from engine.errors import VenueRejected, VenueUnavailable
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.risk.latch import LatchCause
from engine.settings import Config
from engine.store.accounts import AccountRow, accounts
from engine.store.commands import CommandRow, get_command, insert_command
from engine.store.database import Store
from engine.store.events import events_page
from engine.strategy.genome import Genome
from engine.trade.accounts import PAPER, account_latch
from engine.trade.exchange import VenueOrder
from engine.trade.orders import OrderRequest, Purpose
from engine.trade.simulated.exchange import SimulatedExchange
from engine.trade.simulated.listing import instrument_like
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.price_feed import BarFeed
from engine.trade.simulated.price_history import PriceHistory
from engine.trade.simulated.rules import VenueRules
from engine.trade.simulated.venue_time import VenueTime
from engine.types import MS_PER_DAY, Bars
from tests.busy_strategies import store_strategies

D = Decimal
BAR_MS = 300_000
SYMBOLS = ("BTC/USDT", "ETH/USDT")
HISTORY_DAYS = 20
DAYS = 40
LOOK_S = 0.02


class Market:
    """A simulated exchange whose prices walk by themselves, `speed` times as fast as the world.

    Attributes
    ----------
    is_out : nobody answers
    refused : purposes whose orders are refused
    n_silent : so many of the next requests are never answered
    """

    def __init__(self, speed: float, seed: int = 3) -> None:
        end_at = GENERATED_START_AT + DAYS * MS_PER_DAY
        series: dict[str, Bars] = {
            symbol: generate_bars(symbol, seed, "none", 0.0, end_at) for symbol in SYMBOLS
        }
        self.listed = {
            symbol: instrument_like(symbol, "perp", bars.close) for symbol, bars in series.items()
        }
        start_at = GENERATED_START_AT + HISTORY_DAYS * MS_PER_DAY - 1_000
        self.time = VenueTime(start_at, speed, SystemClock())
        self.engine = MatchingEngine(self.listed, VenueRules(), {"USDT": D(100_000)})
        self.is_out = False
        self.refused: set[Purpose] = set()
        self.n_silent = 0
        self._feed = BarFeed(series, "5m", self.listed)
        self._exchange = SimulatedExchange(
            self.engine, self.time, history=PriceHistory(series, "5m")
        )
        self._walked_to_at = start_at - BAR_MS
        self._walking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to walk."""
        await self._walk()
        self._walking = asyncio.create_task(self._keep_walking())

    async def stop(self) -> None:
        """Stand still."""
        if self._walking is not None:
            self._walking.cancel()
            await asyncio.gather(self._walking, return_exceptions=True)

    async def opener(self) -> Any:
        """Return the exchange as a trader opens it."""
        return self

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._exchange, name)
        if not callable(found) or name in ("engine", "capabilities"):
            return found
        return self._answering(found)

    async def submit(self, request: OrderRequest) -> VenueOrder:
        if request.purpose in self.refused:
            raise VenueRejected(f"orders for {request.purpose} are refused")
        order: VenueOrder = await self._answering(self._exchange.submit)(request)
        return order

    def _answering(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def answer(*args: Any) -> Any:
            if self.is_out:
                raise VenueUnavailable("the exchange is out")
            if self.n_silent:
                self.n_silent -= 1
                await asyncio.get_running_loop().create_future()
            return await call(*args)

        return answer

    async def _walk(self) -> None:
        now_at = self.time.now_at()
        for step in self._feed.steps(self._walked_to_at, now_at):
            show = self._exchange.trade if step.is_jump else self._exchange.move
            await show(step.symbol, step.price, step.at)
        self._walked_to_at = now_at

    async def _keep_walking(self) -> None:
        while True:
            await self._walk()
            await asyncio.sleep(0.01)


class Local:
    """A part as a peer in this process, which may be away."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.part: Any = None

    async def call(self, method: str, *args: Any, timeout_s: float = 30.0) -> Any:
        if self.part is None:
            raise PeerLost(f"{self.name} is down")
        return await asyncio.shield(getattr(self.part, method)(*args))


class TradingHouse:
    """Recorder, trader, monitors and conductor over one store and one market.

    Parameters
    ----------
    market : anything with `open`, `stop` and `opener`; by default one in this process
    """

    def __init__(
        self,
        folder: Path,
        speed: float = 600.0,
        market: Any = None,
        **sections: Mapping[str, Any],
    ) -> None:
        self.config = Config.model_validate(
            {
                "paths": {"home": folder, "store": folder / "market"},
                "market": {"symbols": SYMBOLS},
                "cycle": {"schedule_enabled": False},
                "trading": {"history_bars": 100},
                # The officer's correlations and value at risk have tests of their own.
                "limits": {"correlation_max": 1.0, "value_at_risk_frac": 1.0},
                **sections,
            }
        )
        self.clock = SystemClock()
        self.market = market or Market(speed)
        self.failures: list[BaseException] = []
        self.peers: dict[str, Local] = {}
        self._vouching: asyncio.Task[None] | None = None

    async def open(self, *parts: str) -> None:
        """Arm the paper account as an operator does once, start the recorder, and `parts`."""
        latch = account_latch(self.config.paths.home, PAPER)
        if latch.read().cause is LatchCause.NOT_ARMED:
            latch.arm("test", "begin", self.clock.now_at())
        self.store = await Store.open(database_url(self.config))
        await self.market.open()
        for name in ("recorder", *parts):
            await self.start(name)
        self._vouching = asyncio.create_task(self._vouch())

    async def close(self) -> None:
        """Stop everything."""
        if self._vouching is not None:
            self._vouching.cancel()
        for peer in reversed(list(self.peers.values())):
            if peer.part is not None:
                await peer.part.stop()
        await self.market.stop()
        await self.store.close()

    async def start(self, name: str) -> Any:
        """Start a part, the first time or again."""
        kind = kind_of(name)
        spec = PartSpec(kind, name, self.config, 0, "mark", "0", True)
        made: dict[str, Callable[[], Any]] = {
            "recorder": lambda: Recorder(spec, self.clock, self.fail),
            "trader": lambda: Trader(spec, self.peer, self.clock, self.fail, self.market.opener),
            "order_monitor": lambda: OrderMonitor(spec, self.peer, self.clock, self.fail),
            "position_monitor": lambda: PositionMonitor(spec, self.peer, self.clock, self.fail),
            "conductor": lambda: Conductor(spec, self.peer, self.clock, self.fail),
        }
        part = made[kind]()
        await part.start()
        self.peer(name).part = part
        return part

    async def kill(self, name: str) -> None:
        """End a part at once: nothing is finished, files are let go."""
        peer = self.peer(name)
        part, peer.part = peer.part, None
        for task in getattr(part, "_tasks", []):
            task.cancel()
        await asyncio.gather(*part._tasks, return_exceptions=True)
        if isinstance(part, Trader):
            await kill_trader(part)

    def peer(self, name: str) -> Local:
        """Return a part's peer, whether it runs or not."""
        return self.peers.setdefault(name, Local(name))

    @property
    def trader(self) -> Trader:
        """Return the paper account's trader."""
        part = self.peer("trader-paper").part
        assert isinstance(part, Trader)
        return part

    @property
    def book(self) -> Any:
        """Return the account's book, as the trader has it."""
        assembly = self.trader._assembly
        assert assembly is not None
        return assembly.gateway.book

    async def fail(self, error: BaseException) -> None:
        traceback.print_exception(error)
        self.failures.append(error)

    async def promoted(self, *genomes: Genome) -> list[str]:
        """Put strategies into the store, on paper."""
        return await store_strategies(self.store, list(genomes), list(SYMBOLS), self.clock.now_at())

    async def ask(self, name: str, **arguments: Any) -> CommandRow:
        """Ask for something and return the answered command."""
        command_id = await insert_command(
            self.store, who="test", name=name, arguments=arguments, now_at=self.clock.now_at()
        )
        async with asyncio.timeout(30):
            while (row := await get_command(self.store, command_id)).finished_at is None:  # noqa: ASYNC110 - the store has no event
                await asyncio.sleep(0.01)
        return row

    async def until(self, is_so: Callable[[], Any], what: str, timeout_s: float = 60.0) -> None:
        """Wait until something is so."""
        try:
            async with asyncio.timeout(timeout_s):
                while not is_so():
                    assert self.failures == []
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"in {timeout_s:g} s never: {what}") from None

    async def until_stored(
        self, read: Callable[[], Awaitable[Sequence[Any]]], n: int, what: str
    ) -> None:
        """Wait until the store holds at least so many rows: it is told after the book."""
        try:
            async with asyncio.timeout(60.0):
                while len(await read()) < n:  # noqa: ASYNC110 - the store has no event
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"the store never held {n} {what}") from None

    async def ready(self) -> None:
        """Wait until the account trades."""
        await self.until(lambda: self.trader._ready_s is not None, "the account was ready")

    async def account(self) -> AccountRow:
        """Return the account as the store has it."""
        return (await accounts(self.store))[0]

    async def kinds(self) -> list[str]:
        """Return the kinds of the events that were told."""
        return [event.kind for event in await events_page(self.store, limit=500)]

    async def _vouch(self) -> None:
        while True:
            for name, peer in list(self.peers.items()):
                if kind_of(name) == "trader" and peer.part is not None:
                    await peer.part.vouch()
            await asyncio.sleep(0.2)


async def _never(*_: object) -> None:
    await asyncio.Event().wait()


async def kill_trader(trader: Trader) -> None:
    """Let go of what the kernel lets go of when a process is killed."""
    exchange: Any = trader._exchange
    if exchange is not None:
        # The dead send nothing, even when somebody is still inside a call of theirs.
        exchange.submit = exchange.cancel = _never
    if trader._seats is not None:
        await trader._seats.stop()
    if trader._assembly is not None:
        await trader._assembly.errands.stop()
        sending = list(trader._assembly.gateway._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
    if trader._journal is not None:
        trader._journal.close()
    if trader._exchange is not None:
        await trader._exchange.close()
    if trader._store is not None:
        await trader._store.close()
