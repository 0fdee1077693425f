"""One table from state to glyph and colour; a word always stands beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.format import UNDEFINED, clock_time
from engine.risk.latch import LatchCause, LatchReading, TradingState

if TYPE_CHECKING:
    from console.runtime_process import RuntimeView


@dataclass(frozen=True, slots=True)
class StateStyle:
    """How a state looks: its glyph, and the name of its colour in the theme."""

    glyph: str
    colour: str


OK = StateStyle("●", "success")
MOVING = StateStyle("◐", "warning")
IDLE = StateStyle("○", "muted")
WARN = StateStyle("▲", "warning")
FAILED = StateStyle("✗", "error")
HALTED = StateStyle("■", "halt")

STATE_STYLE: dict[str, StateStyle] = {
    "alive": OK,
    "ok": OK,
    "done": OK,
    "busy": OK,
    "running": OK,
    "live": OK,
    "starting": MOVING,
    "taken": MOVING,
    "paper": MOVING,
    "screened": MOVING,
    "paused": WARN,
    "silent": WARN,
    "alert": WARN,
    "stale": WARN,
    "warn": WARN,
    "refused": WARN,
    "rejected": FAILED,
    "failed": FAILED,
    "fail": FAILED,
    "error": FAILED,
    "dead": FAILED,
    "cancelled": IDLE,
    "retired": IDLE,
    "generated": IDLE,
    "waiting": IDLE,
    "idle": IDLE,
    "down": IDLE,
    "info": IDLE,
    "intent": MOVING,
    "submitted": MOVING,
    "accepted": OK,
    "partial": MOVING,
    "canceling": MOVING,
    "filled": OK,
    "canceled": IDLE,
    "expired": IDLE,
    "unknown": WARN,
    "clean": OK,
    "pending": MOVING,
    "differs": FAILED,
    "checking": MOVING,
    "rolling": MOVING,
    "draining": WARN,
    "rolled back": FAILED,
}


# What a stage's second count means; elsewhere it is what failed.
_SET_ASIDE = {"validate": "refused", "filter": "not passed", "promote": "not promoted"}


def set_aside_word(stage: str) -> tuple[str, bool]:
    """Return what became of the units that a stage set aside, and whether that is a fault."""
    return _SET_ASIDE.get(stage, "failed"), stage not in _SET_ASIDE


def state_style(state: str) -> StateStyle:
    """Return how a state looks; one that is not in the table looks idle."""
    return STATE_STYLE.get(state, IDLE)


def trading_style(reading: LatchReading) -> StateStyle:
    """Return how the trading state looks."""
    if reading.state is TradingState.ACTIVE:
        return OK
    if reading.state is TradingState.REDUCING:
        return WARN
    return IDLE if reading.cause is LatchCause.NOT_ARMED else HALTED


def trading_words(reading: LatchReading) -> str:
    """Return the trading state in words."""
    if reading.cause is LatchCause.NOT_ARMED:
        return "NOT ARMED"
    if reading.state is TradingState.HALTED and reading.cause is LatchCause.HALT_FILE:
        by = f" by {reading.who}" if reading.who else ""
        return f"HALTED {clock_time(reading.at)}{by}" if reading.at else f"HALTED{by}"
    if reading.state is TradingState.HALTED:
        return f"HALTED: {reading.detail}"
    return str(reading.state)


def runtime_words(view: RuntimeView, now_at: int, *, is_starting: bool = False) -> str:
    """Return the runtime in words, with the age that proves them."""
    from console.format import age, duration

    if view.is_alive and view.file is not None:
        return f"up {duration(now_at - view.file.started_at)}" if view.file.started_at else "up"
    if is_starting:
        return "starting"
    heard = age(view.beat_at, now_at)
    if view.word == "down":
        return "down" if heard == UNDEFINED else f"down, heard {heard} ago"
    word = {"silent": "SILENT", "dead": "DEAD"}[view.word]
    return word if heard == UNDEFINED else f"{word} {heard}"
