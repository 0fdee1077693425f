"""What an operator, or an alert, decides about a strategy: promoted, paused, resumed, retired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.writer import Writer
from engine.clock import Clock
from engine.errors import UsageError
from engine.store.cycles import latest_cycle
from engine.store.database import Store
from engine.store.events import events_page
from engine.store.strategies import StatusChange, StoredStrategy, get_strategy
from engine.store.verdicts import VerdictRow, verdicts_of
from engine.types import Status

COMMANDS = ("strategy.promote", "strategy.pause", "strategy.resume", "strategy.retire")
BY_HAND = "by-hand"
"""Gate of the verdict that marks a promotion by hand, for good: `by-hand paper`."""

_TYPED_MIN = 6
_LOOK_BACK = 50
_ENDED = (Status.REJECTED, Status.RETIRED)
_DEFAULT_REASON = "asked for by the operator"


class Lifecycle:
    """Move strategies between their states, by word of a person.

    Parameters
    ----------
    has_live : whether there is a live account
    """

    def __init__(self, store: Store, writer: Writer, clock: Clock, *, has_live: bool) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._has_live = has_live

    async def carry_out(self, name: str, arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        """Do one of `COMMANDS`.

        Raises
        ------
        UsageError : no such strategy, or its state does not allow it.
        """
        stored = await get_strategy(self._store, _text(arguments, "strategy_id"))
        reason = _text(arguments, "reason", _DEFAULT_REASON)
        verb = name.partition(".")[2]
        if verb == "promote":
            target = await self._promote(stored, arguments, who, reason)
        elif verb == "pause":
            target = _paused(stored)
        elif verb == "resume":
            target = await self._resumed(stored)
        else:
            target = _retired(stored)
        change = StatusChange(stored.row.id, target, reason, who)
        await self._writer.write("change_statuses", [change])
        return {"strategy_id": stored.row.id, "from": stored.row.status, "to": target.value}

    async def _promote(
        self, stored: StoredStrategy, arguments: Mapping[str, Any], who: str, reason: str
    ) -> Status:
        row = stored.row
        target = _text(arguments, "to", Status.PAPER)
        if target not in (Status.PAPER, Status.LIVE):
            raise UsageError(f"a strategy is promoted to paper or live, not to {target!r}")
        if row.status == target:
            raise UsageError(f"strategy {row.id[:12]} is {target} already")
        if row.status == Status.PAUSED:
            raise UsageError(f"strategy {row.id[:12]} is paused: resume it, or retire it")
        if target == Status.LIVE and not self._has_live:
            raise UsageError("there is no live account: [trading] live_exchange names none")
        has_passed = await self._has_passed(row.id, target)
        if target == Status.LIVE and not has_passed:
            _check_typed(row.id, arguments.get("typed"))
        if not has_passed:
            await self._mark(stored, target, who, reason)
        return Status(target)

    async def _has_passed(self, strategy_id: str, gate: str) -> bool:
        rows = [row for row in await verdicts_of(self._store, strategy_id) if row.gate == gate]
        newest = max((row.cycle_id for row in rows), default=None)
        return any(row.passed for row in rows if row.cycle_id == newest)

    async def _mark(self, stored: StoredStrategy, target: str, who: str, reason: str) -> None:
        """Leave a verdict that says for ever who let it through, and why."""
        cycle_id = stored.row.cycle_id
        if cycle_id is None:
            last = await latest_cycle(self._store)
            cycle_id = None if last is None else last.id
        if cycle_id is None:
            # A store without a single cycle has no place for a verdict; the status event says it.
            return
        verdict = VerdictRow(
            strategy_id=stored.row.id,
            cycle_id=cycle_id,
            gate=f"{BY_HAND} {target}",
            symbol=stored.row.best_symbol or "",
            passed=True,
            rules=(),
            facts={"by_hand": reason, "who": who},
            judged_at=self._clock.now_at(),
        )
        await self._writer.write("save_verdicts", [verdict])

    async def _resumed(self, stored: StoredStrategy) -> Status:
        row = stored.row
        if row.status != Status.PAUSED:
            raise UsageError(f"strategy {row.id[:12]} is {row.status}, it is not paused")
        page = await events_page(
            self._store, kind="strategy.status", subject=row.id, limit=_LOOK_BACK
        )
        for event in reversed(page):
            if event.fields.get("to") == Status.PAUSED:
                return Status(str(event.fields["from"]))
        return Status.PAPER


def _paused(stored: StoredStrategy) -> Status:
    row = stored.row
    if row.status not in (Status.PAPER, Status.LIVE):
        raise UsageError(f"strategy {row.id[:12]} is {row.status}, it does not trade")
    return Status.PAUSED


def _retired(stored: StoredStrategy) -> Status:
    row = stored.row
    if row.status in _ENDED:
        raise UsageError(f"strategy {row.id[:12]} is {row.status} already")
    return Status.RETIRED


def _check_typed(strategy_id: str, typed: Any) -> None:
    given = typed.strip().lower() if isinstance(typed, str) else ""
    if len(given) < _TYPED_MIN or not strategy_id.startswith(given):
        raise UsageError(
            f"strategy {strategy_id[:12]} did not pass the live gate: to trade it live all the"
            " same, type its id"
        )


def _text(arguments: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = arguments.get(name, default)
    if not isinstance(value, str) or not value.strip():
        if default is not None and value in (None, ""):
            return default
        raise UsageError(f"{name} {value!r} is not a text")
    return value.strip()
