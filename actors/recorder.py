"""The recorder: the only writer of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from actors.chunk_result import ChunkResult
from actors.lookups import statuses_of
from actors.roster import OnFailure, PartSpec
from engine.clock import Clock
from engine.config import database_url
from engine.errors import InvariantError
from engine.store import (
    accounts,
    alerts,
    candidates,
    commands,
    curves,
    cycles,
    deployments,
    fills,
    insights,
    ledger,
    orders,
    paper_trades,
    positions,
    states,
    strategies,
    trading,
    transcripts,
    verdicts,
)
from engine.store.database import Store
from engine.store.events import Event, add_events, prune_events
from engine.store.heartbeats import HeartbeatRow, beat, forget_heartbeats, heartbeats
from engine.types import Status

EVENTS_KEPT = 50_000
_PRUNE_S = 60.0
_REJECTED_PAGE = 1_000
_WHO = "conductor"
_TAKES_NOW = (
    "insert_command",
    "claim_command",
    "finish_command",
    "add_insights",
    "change_statuses",
    "save_state",
)
_WRITES: Mapping[str, Callable[..., Awaitable[Any]]] = {
    "create_cycle": cycles.create_cycle,
    "update_cycle": cycles.update_cycle,
    "save_stage": cycles.save_stage,
    "add_candidates": candidates.add_candidates,
    "mark_candidates": candidates.mark_candidates,
    "ensure_contexts": ledger.ensure_contexts,
    "insert_command": commands.insert_command,
    "claim_command": commands.claim_command,
    "finish_command": commands.finish_command,
    "change_statuses": strategies.change_statuses,
    "update_scores": strategies.update_scores,
    "save_state": states.save_state,
    "add_insights": insights.add_insights,
    "save_curves": curves.save_curves,
    "save_verdicts": verdicts.save_verdicts,
    "save_transcripts": transcripts.save_transcripts,
    "save_trading": trading.save_trading,
    "replace_account_projection": trading.replace_account_projection,
    "save_accounts": accounts.save_accounts,
    "save_orders": orders.save_orders,
    "save_fills": fills.save_fills,
    "save_positions": positions.save_positions,
    "save_paper_trades": paper_trades.save_paper_trades,
    "raise_alert": alerts.raise_alert,
    "resolve_alert": alerts.resolve_alert,
    "mark_alert_sent": alerts.mark_alert_sent,
    "save_deployments": deployments.save_deployments,
}


class Recorder:
    """Write what the others found.

    Survives a crash: everything it has answered for; the rest is sent again by those who waited.
    May run twice: every write; rows that are there already are left as they are.
    Owns: the database's write access.
    """

    def __init__(self, spec: PartSpec, clock: Clock, on_failure: OnFailure) -> None:
        self._url = database_url(spec.config)
        self._database = spec.config.database
        self._clock = clock
        self._on_failure = on_failure
        self._heartbeat_s = spec.config.runtime.heartbeat_s
        self._store: Store | None = None
        self._beats: dict[str, HeartbeatRow] = {}
        self._n_rows = 0
        self._n_waiting = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the store and begin writing heartbeats."""
        database = self._database
        self._store = await Store.open(
            self._url,
            # One steady connection for SQLite: its page cache is lost when writers take turns.
            pool_size=1 if self._url.startswith("sqlite") else database.pool_size,
            max_overflow=database.max_overflow,
            pool_timeout_s=database.pool_timeout_s,
            pool_recycle_s=database.pool_recycle_s,
        )
        self._tasks = [asyncio.create_task(self._guard(self._flush()))]

    async def stop(self) -> None:
        """Write what is left and close the store."""
        for task in self._tasks:
            task.cancel()
        if self._store is not None:
            await self._store.close()
            self._store = None

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return busy while rows are being written."""
        detail = {"rows_written": self._n_rows, "writes_waiting": self._n_waiting}
        return ("busy" if self._n_waiting else "idle"), detail

    async def write(self, name: str, args: Sequence[Any], columns: Mapping[str, Any]) -> Any:
        """Run one of the store's writes by name; `now_at` is filled in where it is needed."""
        function = _WRITES.get(name)
        if function is None:
            raise InvariantError(f"the recorder has no write {name!r}", name=name)
        given = dict(columns)
        if name in _TAKES_NOW:
            given.setdefault("now_at", self._clock.now_at())
        return await self._counted(function(self._opened, *args, **given), 1)

    async def record(self, result: ChunkResult) -> int:
        """Write a chunk's evaluations, then mark its candidates; return how many rows were new."""
        n_rows = len(result.strategy_ids)
        return int(await self._counted(self._record(result), n_rows))

    async def reject_strategies(self, cycle_id: int) -> int:
        """Mark the strategies that a cycle's validation refused; return how many moved."""
        store = self._opened
        n_moved, after = 0, -1
        while page := await candidates.candidates_page(
            store, cycle_id, after, _REJECTED_PAGE, statuses=["rejected"]
        ):
            after = page[-1].idx
            before = await statuses_of(store, [row.strategy_id for row in page])
            changes = [
                strategies.StatusChange(
                    row.strategy_id, Status.REJECTED, _first_finding(row.findings), _WHO
                )
                for row in page
                if before.get(row.strategy_id) == Status.GENERATED
            ]
            n_moved += await strategies.change_statuses(store, changes, self._clock.now_at())
        return n_moved

    async def tell(self, events: Sequence[Event]) -> None:
        """Write events."""
        await add_events(self._opened, events)

    async def beat(self, row: HeartbeatRow) -> None:
        """Take a sign of life; written with the others, once a second."""
        self._beats[row.name] = row

    async def forget_others(self, names: Sequence[str]) -> None:
        """Forget the beats of parts that this runtime does not have."""
        known = {row.name for row in await heartbeats(self._opened)}
        await forget_heartbeats(self._opened, sorted(known - set(names)))

    async def forget(self, names: Sequence[str]) -> None:
        """Forget the beats of parts that were ended on purpose, for they will not beat again."""
        for name in names:
            self._beats.pop(name, None)
        await forget_heartbeats(self._opened, names)

    async def _record(self, result: ChunkResult) -> int:
        store, cycle_id = self._opened, result.cycle_id
        n_new = 0
        if len(result.strategy_ids):
            n_new = await ledger.record(
                store,
                cycle_id=cycle_id,
                context_ids=result.context_ids,
                strategy_ids=result.strategy_ids,
                metrics=result.metrics,
                errors=result.errors,
                now_at=self._clock.now_at(),
            )
        # Marked after the rows are there: a crash in between is seen, and mended, on resume.
        if result.idxs.size:
            await candidates.mark_candidates(
                store, cycle_id, "evaluated", result.idxs, result.fitness
            )
        if result.failed_idxs.size:
            await candidates.mark_candidates(store, cycle_id, "failed", result.failed_idxs)
        return n_new

    async def _counted(self, writing: Awaitable[Any], n_rows: int) -> Any:
        self._n_waiting += 1
        try:
            answer = await writing
        finally:
            self._n_waiting -= 1
        self._n_rows += n_rows
        return answer

    @property
    def _opened(self) -> Store:
        if self._store is None:
            raise InvariantError("the recorder writes before it has opened the store")
        return self._store

    async def _flush(self) -> None:
        pruned_s = 0.0
        while True:
            await asyncio.sleep(self._heartbeat_s)
            beats, self._beats = list(self._beats.values()), {}
            if beats:
                await beat(self._opened, beats)
            pruned_s += self._heartbeat_s
            if pruned_s >= _PRUNE_S:
                pruned_s = 0.0
                await prune_events(self._opened, EVENTS_KEPT)

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            await self._on_failure(error)


def _first_finding(findings: Any) -> str:
    if not findings:
        return "validation refused it"
    return f"validation: {findings[0]['message']}"
