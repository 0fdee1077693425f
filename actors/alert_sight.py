"""What the alerter sees: the store, the latches, the journals and the disk, as alerts."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence

from actors.journal_watch import JournalWatch
from engine.alert import Alert, AlertLevel
from engine.alert_facts import (
    ClosedTrade,
    Mark,
    RequestWindow,
    counters_of,
    kept_marks,
    strategy_facts,
)
from engine.alert_rules import (
    AccountFacts,
    BreakerFacts,
    DiskFacts,
    EventFacts,
    LimitFacts,
    PartFacts,
    account_alerts,
    disk_alerts,
    event_alert,
    journal_alerts,
    request_alerts,
    silence_alerts,
    strategy_alerts,
)
from engine.errors import PaddockError
from engine.risk.latch import LatchCause, LatchReading
from engine.settings import Config
from engine.store.accounts import AccountRow, accounts
from engine.store.database import Store
from engine.store.events import events_page
from engine.store.heartbeats import heartbeats
from engine.store.paper_trades import PaperTrade, paper_trades_of
from engine.store.positions import PositionRow, positions
from engine.store.strategies import StrategyRow, leaderboard
from engine.trade.accounts import account_folder, account_latch, latched_accounts
from engine.trade.journal import JOURNAL_FILE
from engine.types import Status

STRATEGY_MS = 30_000
JOURNAL_MS = 60_000
EVENTS_BACK_MS = 600_000
_EVENTS_PAGE = 500
_MOST_TRADES = 1_000
_MOST_STRATEGIES = 1_000
_TRADING = (Status.PAPER, Status.LIVE, Status.PAUSED)


class Sight:
    """Look, and return every cause that is there now.

    A part of the world that cannot be read keeps its last alerts, and is an alert itself.

    Parameters
    ----------
    store : open for reading
    parts : names that are expected to beat
    began_at : UTC ms of the first look: nobody is silent for longer than we listen, but those who
        were before
    known : alerts that a restart finds; those of events stay until they have been quiet long enough
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        parts: Sequence[str],
        began_at: int,
        known: Sequence[Alert] = (),
    ) -> None:
        self._config = config
        self._store = store
        self._parts = tuple(parts)
        self._began_at = began_at
        self._events = {alert.key: alert for alert in known if alert.key.startswith("event.")}
        self._silent = {alert.key.partition(":")[2] for alert in known if _is_silence(alert)}
        self._last_event_id: int | None = None
        self._requests = RequestWindow()
        self._marks: dict[tuple[str, str], tuple[Mark, ...]] = {}
        self._journals: dict[str, JournalWatch] = {}
        self._found: dict[str, list[Alert]] = {}
        self._looked_at: dict[str, int] = {}

    async def look(self, now_at: int) -> list[Alert]:
        """Return the alerts of now. Never raises for what it cannot read."""
        looks: tuple[tuple[str, int, Callable[[int], Awaitable[list[Alert]]]], ...] = (
            ("parts", 0, self._look_at_parts),
            ("events", 0, self._look_at_events),
            ("accounts", 0, self._look_at_accounts),
            ("disk", 0, self._look_at_disk),
            ("journals", JOURNAL_MS, self._look_at_journals),
            ("strategies", STRATEGY_MS, self._look_at_strategies),
        )
        blind = []
        for name, pause_ms, look in looks:
            if name in self._found and now_at - self._looked_at[name] < pause_ms:
                continue
            try:
                self._found[name] = await look(now_at)
            except (PaddockError, OSError) as exc:
                self._found.setdefault(name, [])
                blind.append(_blind(name, exc, now_at))
            self._looked_at[name] = now_at
        return [*blind, *(alert for found in self._found.values() for alert in found)]

    async def _look_at_parts(self, now_at: int) -> list[Alert]:
        rows = {row.name: row for row in await heartbeats(self._store)}
        facts = []
        for name in self._parts:
            row = rows.get(name)
            began_at = 0 if row and name in self._silent else self._began_at
            facts.append(PartFacts(name, max(began_at, row.at if row else 0)))
            counters = counters_of(row.detail) if row else None
            if row is not None and counters is not None:
                self._requests.sample(name, row.at, *counters)
        settings = self._config.alerts
        silent = silence_alerts(facts, settings, now_at)
        self._silent &= {alert.key.partition(":")[2] for alert in silent}
        return [*silent, *request_alerts(self._requests.facts(now_at), settings, now_at)]

    async def _look_at_events(self, now_at: int) -> list[Alert]:
        after = self._last_event_id
        while True:
            rows = await events_page(self._store, after_id=after, limit=_EVENTS_PAGE)
            for row in rows:
                facts = EventFacts(row.at, row.level, row.kind, row.subject, row.message)
                alert = event_alert(facts)
                if alert is not None and (after is not None or now_at - row.at < EVENTS_BACK_MS):
                    self._events[alert.key] = alert
            if rows:
                self._last_event_id = rows[-1].id
            # Without an id to begin after, the newest page is what there is to look back at.
            if after is None or len(rows) < _EVENTS_PAGE:
                break
            after = self._last_event_id
        if self._last_event_id is None:
            self._last_event_id = 0
        quiet_ms = self._config.alerts.repeat_s * 1000
        self._events = {k: a for k, a in self._events.items() if now_at - a.at < quiet_ms}
        return list(self._events.values())

    async def _look_at_accounts(self, now_at: int) -> list[Alert]:
        rows = {row.name: row for row in await accounts(self._store)}
        home, exchange = self._config.paths.home, self._config.trading.live_exchange
        found = []
        for name in latched_accounts(home, exchange):
            latch = account_latch(home, name).read()
            row = rows.get(name)
            if row is None and latch.cause is LatchCause.NOT_ARMED:
                # Nobody has traded it yet: that it may not is as it should be.
                continue
            found += account_alerts(_account_facts(name, latch, row), now_at)
        return found

    async def _look_at_disk(self, now_at: int) -> list[Alert]:
        home = self._config.paths.home
        free_bytes = shutil.disk_usage(home).free
        return disk_alerts(DiskFacts(str(home), free_bytes), now_at)

    async def _look_at_journals(self, now_at: int) -> list[Alert]:
        home, exchange = self._config.paths.home, self._config.trading.live_exchange
        found = []
        for name in latched_accounts(home, exchange):
            path = account_folder(home, name) / JOURNAL_FILE
            watch = self._journals.setdefault(name, JournalWatch(name, path))
            facts = await asyncio.to_thread(watch.look, now_at)
            found += journal_alerts(facts, now_at)
        return found

    async def _look_at_strategies(self, now_at: int) -> list[Alert]:
        rows, _ = await leaderboard(self._store, statuses=_TRADING, limit=_MOST_STRATEGIES)
        if not rows:
            self._marks.clear()
            return []
        purses = {row.name: row for row in await accounts(self._store)}
        held: dict[tuple[str, str], list[PositionRow]] = {}
        for position in await positions(self._store, limit=_MOST_STRATEGIES * 10):
            held.setdefault((position.account, position.strategy_id), []).append(position)
        found, marks = [], {}
        for row in rows:
            trades = await paper_trades_of(self._store, row.id, limit=_MOST_TRADES)
            for account, purse in purses.items():
                mine = [trade for trade in trades if trade.account == account]
                key = (account, row.id)
                if not mine and key not in held:
                    continue
                new = _mark(purse, held.get(key, []))
                marks[key] = kept_marks(self._marks.get(key, ()), new)
                found += self._judged(row, purse, mine, held.get(key, []), marks[key], now_at)
        self._marks = marks
        return found

    def _judged(
        self,
        row: StrategyRow,
        purse: AccountRow,
        trades: Sequence[PaperTrade],
        held: Sequence[PositionRow],
        marks: Sequence[Mark],
        now_at: int,
    ) -> list[Alert]:
        symbols = {trade.symbol for trade in trades} | {position.symbol for position in held}
        share = self._config.trading.allocation_frac * len(symbols)
        capital = share * float(purse.equity_quote)
        if capital <= 0:
            return []
        closed = [ClosedTrade(t.entry_at, t.exit_at, float(t.pnl_quote)) for t in trades]
        is_paused = row.status == Status.PAUSED
        facts = strategy_facts(row.id, purse.name, closed, marks, capital, is_paused=is_paused)
        return strategy_alerts(facts, self._config.alerts, now_at)


def _account_facts(name: str, latch: LatchReading, row: AccountRow | None) -> AccountFacts:
    if row is None:
        return AccountFacts(name, latch)
    return AccountFacts(
        name,
        latch,
        reconcile_state=row.reconcile_state,
        reconcile_words=row.reconcile_words,
        breakers=tuple(
            BreakerFacts(item.name, item.is_tripped, item.words) for item in row.detail.breakers
        ),
        soft_limits=tuple(
            LimitFacts(item.rule, item.value, item.limit, item.unit, item.words)
            for item in row.detail.limits
            if not item.is_hard
        ),
    )


def _mark(purse: AccountRow, held: Sequence[PositionRow]) -> Mark:
    at = purse.updated_at if purse.last_bar_at is None else purse.last_bar_at
    return Mark(at, float(sum(position.unrealized_quote or 0 for position in held)))


def _is_silence(alert: Alert) -> bool:
    return alert.key.startswith("silence:")


def _blind(name: str, error: Exception, now_at: int) -> Alert:
    words = error.message if isinstance(error, PaddockError) else str(error)
    return Alert(
        key=f"look:{name}",
        level=AlertLevel.ERROR,
        title=f"alerts cannot see {name}",
        message=f"{name} cannot be looked at, what was known of them stays: {words}",
        at=now_at,
    )
