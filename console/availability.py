"""Why something in the table of bindings cannot be done now."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from console.bindings import ENTRIES, is_acting
from engine.risk.latch import TradingState
from engine.trade.accounts import PAPER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from console.snapshot import Snapshot, StoreView

RECORDING = "a recording"
"""Why a replay only looks."""
_SAFER = ("halt", "reduce")


def why_disabled(entry_id: str, snapshot: Snapshot | None) -> str:
    """Return why an entry cannot be used now, empty when it can."""
    if snapshot is not None and snapshot.read_only == RECORDING and entry_id in _SAFER:
        return "this is a recording"
    if snapshot is not None and snapshot.read_only and entry_id in _acting():
        return f"this console only looks: {snapshot.read_only}"
    reason = _REASONS.get(entry_id)
    if reason is None:
        return ""
    return "the store has not been read yet" if snapshot is None else reason(snapshot)


@cache
def _acting() -> frozenset[str]:
    return frozenset(entry.id for entry in ENTRIES if is_acting(entry))


def _why_no_new_cycle(snapshot: Snapshot) -> str:
    return "" if snapshot.store is None else _why_no_cycle(snapshot.store)


def _why_no_cycle(store: StoreView) -> str:
    cycle = store.cycle
    if cycle is not None and cycle.status == "paused":
        return f"cycle {cycle.id} is paused: :resume goes on with it, :cancel ends it"
    unfinished = [row.id for row in store.recent_cycles if row.status in ("running", "paused")]
    return f"cycle {max(unfinished)} waits already" if len(unfinished) > 1 else ""


def _why_no_running_cycle(snapshot: Snapshot) -> str:
    store = snapshot.store
    return "" if store is not None and store.is_cycle_unfinished else "no cycle is running"


def _why_no_start(snapshot: Snapshot) -> str:
    return "a runtime runs already" if snapshot.runtime.word in ("alive", "silent") else ""


def _why_no_stop(snapshot: Snapshot) -> str:
    return "no runtime runs" if snapshot.runtime.word == "down" else ""


def _why_no_cancel(snapshot: Snapshot) -> str:
    has_orders = snapshot.trading is not None and snapshot.trading.orders
    return "" if has_orders else f"no order is open in account {snapshot.account}"


def _why_no_flatten(snapshot: Snapshot) -> str:
    has_positions = snapshot.trading is not None and snapshot.trading.positions
    return "" if has_positions else f"no position is open in account {snapshot.account}"


def _why_no_reduce(snapshot: Snapshot) -> str:
    state = snapshot.latch.state
    return "" if state is TradingState.ACTIVE else f"account {snapshot.account} is {state} already"


def _why_no_rearm(snapshot: Snapshot) -> str:
    is_active = snapshot.latch.state is TradingState.ACTIVE
    return f"account {snapshot.account} is ACTIVE" if is_active else ""


def _why_no_arming(snapshot: Snapshot) -> str:
    latch = snapshot.latches.get(PAPER)
    if latch is not None and latch.state is TradingState.ACTIVE:
        return "the paper account is ACTIVE"
    return "" if snapshot.runtime.is_alive else "the runtime does not answer yet: :up starts it"


def _why_no_alert(snapshot: Snapshot) -> str:
    return "" if snapshot.trading is not None and snapshot.trading.alerts else "no alert is raised"


def _why_no_deploy(snapshot: Snapshot) -> str:
    pages = None if snapshot.store is None else snapshot.store.pages
    deployed = None if pages is None else pages.deployed
    return (
        "nothing trades: {strategies.strategy.promote} on screen 2 promotes a strategy"
        if deployed == ()
        else ""
    )


def _why_no_rollout(snapshot: Snapshot) -> str:
    is_there = _has_version(snapshot, ("rolling",))
    return "" if is_there else "no version is being rolled out: :deploy-new begins one"


def _why_no_rollback(snapshot: Snapshot) -> str:
    is_there = _has_version(snapshot, ("checking", "rolling", "live"))
    return "" if is_there else "no version is checked, rolled out or live"


def _has_version(snapshot: Snapshot, states: tuple[str, ...]) -> bool:
    pages = None if snapshot.store is None else snapshot.store.pages
    return pages is not None and any(row.state in states for row in pages.versions)


_REASONS: Mapping[str, Callable[[Snapshot], str]] = {
    "cycle.start": _why_no_new_cycle,
    "cycle.pause": _why_no_running_cycle,
    "cycle.cancel": _why_no_running_cycle,
    "runtime.start": _why_no_start,
    "runtime.stop": _why_no_stop,
    "order.cancel": _why_no_cancel,
    "symbol.flatten": _why_no_flatten,
    "reduce": _why_no_reduce,
    "rearm": _why_no_rearm,
    "paper.arm": _why_no_arming,
    "deploy.new": _why_no_deploy,
    "rollout.raise": _why_no_rollout,
    "rollout.lower": _why_no_rollout,
    "rollback": _why_no_rollback,
    "alert.ack": _why_no_alert,
    "alert.open": _why_no_alert,
}
