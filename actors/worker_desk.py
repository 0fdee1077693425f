"""Deployed strategies of an account are decided by their Workers, and compared with the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import aiohttp

from engine.clock import Clock
from engine.deploy.assignment import ENGINE, Owners, Running, assigned
from engine.deploy.live_decision import cut, difference, worker_decision
from engine.deploy.replica import Replica
from engine.deploy.version_watch import VersionReport, VersionWatch
from engine.deploy.worker_client import WorkerClient
from engine.deploy_settings import Deploy
from engine.errors import PaddockError, StoreError, StrategyError
from engine.store.deployments import DeploymentRow
from engine.trade.calm import without_entry
from engine.trade.decider import Decider
from engine.trade.decision import ClosedBar, Decision, decimal_of
from engine.trade.desk import Desk
from engine.trade.orders import Purpose
from engine.trade.records import NoteRecord, Record
from engine.trade.strategy_trader import StrategyTrader
from engine.types import Bars

OWNED = "worker.owner"
ASKED = ("rolling", "live", "draining")
_MOST_BUILDING = 2

Version = tuple[str, int]
Key = tuple[str, str]


class WorkerDesk:
    """Ask the Workers of an account's deployed strategies.

    A position keeps the version that opened it, whatever becomes of that version. A Worker that
    does not answer decides nothing: nothing is entered, stops stay.

    Survives a crash: who opened what, in the journal; states of Workers are built again from the
    stored bars. May run twice: every call.

    Parameters
    ----------
    clock : this machine's
    capital_of : capital of a (strategy id, symbol), None while it has none
    """

    def __init__(
        self,
        settings: Deploy,
        desk: Desk,
        clock: Clock,
        token_of: Callable[[], str],
        capital_of: Callable[[Key], Decimal | None],
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._gateway = desk.gateway
        self._clock = clock
        self._token_of = token_of
        self._capital_of = capital_of
        self._rows: dict[str, list[DeploymentRow]] = {}
        self._owners = Owners()
        self._watches: dict[Version, VersionWatch] = {}
        self._clients: dict[Version, tuple[str, WorkerClient]] = {}
        self._replicas: dict[tuple[str, int, str], Replica] = {}
        self._closes: dict[str, Decimal] = {}
        self._building = asyncio.Semaphore(_MOST_BUILDING)

    async def take_rows(self, rows: Sequence[DeploymentRow]) -> None:
        """Take what the store says of the account's versions; those that are over are let go."""
        before = {row.key: row for known in self._rows.values() for row in known}
        found: dict[str, list[DeploymentRow]] = {}
        for row in rows:
            if row.state == "checking":
                continue
            found.setdefault(row.strategy_id, []).append(row)
            watch = self._watches.setdefault(row.key, VersionWatch())
            if row.key in before and before[row.key].share_frac != row.share_frac:
                watch.n_compared_step = 0
        self._rows = found
        asked = {row.key for row in rows if row.state in ASKED}
        for gone in [key for key in self._replicas if key[:2] not in asked]:
            await self._replicas.pop(gone).stop()
        for version in [key for key in self._clients if key not in asked]:
            _, client = self._clients.pop(version)
            await client.__aexit__(None, None, None)

    def take_record(self, record: Record) -> None:
        """Take a line of the journal: which version opens positions from there on."""
        if isinstance(record, NoteRecord) and record.topic == OWNED:
            fields = record.fields
            key = (str(fields["strategy_id"]), str(fields["symbol"]))
            net_quote = Decimal(str(fields["net_quote"]))
            self._owners.take(key, int(str(fields["version"])), net_quote)

    def is_deployed(self, strategy_id: str) -> bool:
        """Return whether a strategy is decided by Workers."""
        return strategy_id in self._rows

    def allocation_frac(self, strategy_id: str) -> float | None:
        """Return a deployed strategy's capital, fraction of equity; None of others."""
        rows = self._rows.get(strategy_id)
        return None if not rows else max(rows, key=lambda row: row.version).allocation_frac

    def source(self, decider: Decider, symbol: str) -> DeployedDecisions:
        """Return who decides for the strategies of a series."""
        return DeployedDecisions(self, decider, symbol)

    async def stop(self) -> None:
        """Ask nobody any more."""
        await asyncio.gather(*(replica.stop() for replica in self._replicas.values()))
        for _, client in self._clients.values():
            await client.__aexit__(None, None, None)
        self._clients = {}

    async def decide(
        self, symbol: str, bars: Bars, engine: Mapping[str, Decision]
    ) -> Mapping[str, Decision]:
        """Return the decisions at the newest bar: the engine's, those of Workers in their place.

        Parameters
        ----------
        bars : closed bars, from the first one that decisions depend on
        engine : what the engine decided, by strategy id
        """
        deployed = [strategy_id for strategy_id in engine if strategy_id in self._rows]
        self._closes[symbol] = decimal_of(float(bars.close[-1]))
        if not deployed:
            return engine
        entering = {
            (order.request.strategy_id, order.request.symbol)
            for order in self._gateway.book.active_orders()
            if order.request.purpose is Purpose.ENTRY
        }
        asked = [
            (strategy_id, row, trader)
            for strategy_id in deployed
            if (trader := self._desk.traders.get((strategy_id, symbol))) is not None
            for row in self._rows[strategy_id]
            if row.state in ASKED
        ]
        told = await asyncio.gather(
            *(self._ask(row, trader, bars, engine[name]) for name, row, trader in asked)
        )
        answers: dict[str, dict[int, Decision]] = {}
        for (name, row, _), answer in zip(asked, told, strict=True):
            if answer is not None:
                answers.setdefault(name, {})[row.version] = answer
        decisions = dict(engine)
        for name in deployed:
            key = (name, symbol)
            chosen = self._chosen(key, answers.get(name, {}), engine[name], key in entering)
            if chosen is None:
                del decisions[name]
            else:
                decisions[name] = chosen
        return decisions

    def reports(self) -> list[VersionReport]:
        """Return how every version does that is asked."""
        rows = [row for known in self._rows.values() for row in known if row.state in ASKED]
        return [self._report(row) for row in rows]

    # Who decides

    def _chosen(
        self, key: Key, answers: Mapping[int, Decision], engine: Decision, is_entering: bool
    ) -> Decision | None:
        trader = self._desk.traders.get(key)
        if trader is None:
            return None
        running = self._running(key[0])
        if trader.open_trade is None and not is_entering:
            found = assigned(key, engine.bar_at, running)
            decision = None if found is None else answers.get(found.version)
            if found is None or decision is None:
                return None
            if decision.side and not self._own(key, found.version):
                return None
            return self._cut(key, decision, found.scale_frac, trader)
        owner = self._owners.owner(key)
        decision = engine if owner == ENGINE else answers.get(owner)
        if decision is None:
            return None
        mine = next((one for one in running if one.version == owner), None)
        if mine is None:
            return without_entry(decision, trader)
        is_alone = len(running) == 1
        return self._cut(key, decision, mine.share_frac if is_alone else 1.0, trader)

    def _running(self, strategy_id: str) -> list[Running]:
        return [
            Running(row.version, row.state == "rolling", row.share_frac)
            for row in self._rows[strategy_id]
            if row.state in ("rolling", "live")
        ]

    def _own(self, key: Key, version: int) -> bool:
        """Write down who opens the next position; without that, nothing is opened."""
        if self._owners.owner(key) == version:
            return True
        strategy_id, symbol = key
        position = self._gateway.book.position(strategy_id, symbol)
        message = f"version {version} of strategy {strategy_id[:12]} opens on {symbol} from here on"
        try:
            self._gateway.note(
                OWNED,
                message,
                strategy_id=strategy_id,
                symbol=symbol,
                version=version,
                net_quote=str(position.realized_quote - position.fees_quote),
            )
        except StoreError:
            return False
        return True

    def _cut(
        self, key: Key, decision: Decision, scale_frac: float, trader: StrategyTrader
    ) -> Decision:
        row = max(self._rows[key[0]], key=lambda one: one.version)
        n_symbols = sum(strategy_id == key[0] for strategy_id, _ in self._desk.traders)
        most_frac = row.position_frac / row.allocation_frac * max(1, n_symbols)
        return cut(decision, scale_frac, most_frac, trader.spec.rules)

    # Asking

    async def _ask(
        self, row: DeploymentRow, trader: StrategyTrader, bars: Bars, engine: Decision
    ) -> Decision | None:
        watch = self._watches[row.key]
        if not row.url:
            return None
        began_s = self._clock.monotonic_s()
        try:
            client = await self._client(row)
            replica = self._replica(row, trader.spec.symbol)
            signal = await replica.answer(bars, client)
            if signal is None:
                return None
            if signal.bundle != row.bundle:
                raise StrategyError(f"{row.url} serves another bundle, {signal.bundle[:12]}")
            decision = worker_decision(signal.answer, engine.bar_at, trader.spec.rules)
        except PaddockError as exc:
            if _is_unreached(exc):
                watch.unreached(exc.message)
            else:
                watch.failed(self._clock.monotonic_s(), exc.message)
            return None
        now_s = self._clock.monotonic_s()
        watch.answered(now_s, (now_s - began_s) * 1000)
        watch.compared(difference(engine, decision, trader.spec.rules))
        return decision

    async def _client(self, row: DeploymentRow) -> WorkerClient:
        known = self._clients.get(row.key)
        if known is not None and known[0] == row.url:
            return known[1]
        timeout_s = self._settings.signal_timeout_ms / 1000
        client = await WorkerClient(row.url, self._token_of(), timeout_s).__aenter__()
        self._clients[row.key] = (row.url, client)
        if known is not None:
            await known[1].__aexit__(None, None, None)
        return client

    def _replica(self, row: DeploymentRow, symbol: str) -> Replica:
        key = (*row.key, symbol)
        if key not in self._replicas:
            self._replicas[key] = Replica(row.lookback_bars, self._building)
        return self._replicas[key]

    # Telling

    def _report(self, row: DeploymentRow) -> VersionReport:
        watch, now_s = self._watches[row.key], self._clock.monotonic_s()
        n_requests, n_failed = watch.requests(now_s)
        n_latencies, latency_ms = watch.latency(now_s)
        keys = [key for key in self._owners.versions() if key[0] == row.strategy_id]
        seated = [key for key in self._desk.traders if key[0] == row.strategy_id]
        pnl = sum((self._gains_quote(key, row.version) for key in keys), Decimal(0))
        capital = sum((self._capital_of(key) or Decimal(0) for key in seated), Decimal(0))
        return VersionReport(
            strategy_id=row.strategy_id,
            version=row.version,
            state=row.state,
            share_frac=row.share_frac,
            n_requests=n_requests,
            n_failed=n_failed,
            n_latencies=n_latencies,
            latency_ms=latency_ms,
            n_compared=watch.n_compared,
            n_compared_step=watch.n_compared_step,
            n_differing=watch.n_differing,
            difference=watch.difference,
            pnl_quote=float(pnl),
            capital_quote=float(capital),
            is_holding=any(self._is_held(key, row.version) for key in keys),
            problem=watch.problem,
        )

    def _gains_quote(self, key: Key, version: int) -> Decimal:
        position = self._gateway.book.position(*key)
        net = position.realized_quote - position.fees_quote
        price = self._closes.get(key[1])
        if price is not None:
            net += position.unrealized_quote(price)
        return self._owners.gains_quote(key, version, net)

    def _is_held(self, key: Key, version: int) -> bool:
        if self._owners.owner(key) != version:
            return False
        if not self._gateway.book.position(*key).is_flat:
            return True
        orders = self._gateway.book.active_orders()
        return any((o.request.strategy_id, o.request.symbol) == key for o in orders)


class DeployedDecisions:
    """Decide for a series: a `DecisionSource` of the engine and of Workers."""

    def __init__(self, workers: WorkerDesk, decider: Decider, symbol: str) -> None:
        self._workers = workers
        self._decider = decider
        self._symbol = symbol

    async def decide(self, bar: ClosedBar) -> Mapping[str, Decision]:
        """Take the bar that closed and return each strategy's decision, by id.

        Raises
        ------
        DataError : the bar is older than the newest one known.
        """
        engine = self._decider.take(bar)
        return await self._workers.decide(self._symbol, self._decider.bars, engine)


def _is_unreached(error: PaddockError) -> bool:
    """Return whether nobody was there; one that was there and took too long has failed."""
    cause = error.__cause__
    return isinstance(cause, aiohttp.ClientError) and not isinstance(cause, TimeoutError)
