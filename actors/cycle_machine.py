"""A cycle as a state machine: (state, event) → (state, actions), a pure function.

The conductor carries the actions out in order. What must survive a crash is saved before it is
begun, so that a restarted conductor finds the stage to run again; every stage may run twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.errors import InvariantError, UsageError

STAGES = ("generate", "prepare", "validate", "backtest", "filter", "learn", "promote")
# Ended early, these leave nothing that could be learned from.
_BEFORE_RESULTS = ("generate", "prepare", "validate")
FINAL = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class CycleState:
    """Where a cycle stands.

    Attributes
    ----------
    status : running, paused, done, failed or cancelled
    stage : one of `STAGES`, empty before the first
    is_cut : the time limit was reached in the backtest; what is there is kept and the rest left out
    """

    status: str
    stage: str = ""
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """The conductor took the cycle up, for the first time or after a restart."""


@dataclass(frozen=True, slots=True)
class StageFinished:
    """A stage came to its end."""

    stage: str


@dataclass(frozen=True, slots=True)
class StageBroke:
    """A stage cannot go on."""

    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """Hold the cycle where it is."""


@dataclass(frozen=True, slots=True)
class ResumeAsked:
    """Let a held cycle go on."""


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """End the cycle now."""

    reason: str


@dataclass(frozen=True, slots=True)
class TimeUp:
    """The cycle has run for as long as it may."""

    limit_s: int


Event = Begun | StageFinished | StageBroke | PauseAsked | ResumeAsked | CancelAsked | TimeUp


@dataclass(frozen=True, slots=True)
class SaveCycle:
    """Write status and stage, before anything that follows from them."""

    status: str
    stage: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SaveStage:
    """Write a stage's status."""

    stage: str
    status: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunStage:
    """Begin a stage; held from the start when the cycle is paused."""

    stage: str
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class HoldStage:
    """Hand out no more work; what is under way finishes."""


@dataclass(frozen=True, slots=True)
class ReleaseStage:
    """Hand out work again."""


@dataclass(frozen=True, slots=True)
class StopStage:
    """End the stage now and throw away what is under way."""


@dataclass(frozen=True, slots=True)
class CutStage:
    """Hand out no more work, let what is under way finish, and end the stage as it is."""


@dataclass(frozen=True, slots=True)
class Conclude:
    """Count, digest and summarise what the cycle did, and save it as done."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Write an event."""

    level: str
    kind: str
    message: str


Action = (
    SaveCycle
    | SaveStage
    | RunStage
    | HoldStage
    | ReleaseStage
    | StopStage
    | CutStage
    | Conclude
    | Tell
)
Step = tuple[CycleState, tuple[Action, ...]]


def step(state: CycleState, event: Event) -> Step:
    """Return the state after `event` and what to do about it, in order.

    Raises
    ------
    UsageError : an operator's wish that the state does not allow; nothing changes.
    InvariantError : an event that cannot happen in this state.
    """
    if isinstance(event, PauseAsked | ResumeAsked | CancelAsked):
        return _asked(state, event)
    if state.status in FINAL:
        raise InvariantError(f"a cycle that is {state.status} met {event!r}")
    if isinstance(event, Begun):
        return _begun(state)
    if isinstance(event, TimeUp):
        return _time_up(state, event)
    if event.stage != state.stage:
        raise InvariantError(f"stage {event.stage} ended while {state.stage!r} runs")
    if isinstance(event, StageBroke):
        return _ended(state, "failed", event.reason)
    return _next_stage(state)


def _begun(state: CycleState) -> Step:
    is_first = not state.stage
    fresh = replace(state, stage=state.stage or STAGES[0])
    words = "started" if is_first else f"resumed in stage {fresh.stage}"
    return fresh, (
        SaveCycle(fresh.status, fresh.stage),
        Tell("info", "cycle.started" if is_first else "cycle.resumed", f"cycle {words}"),
        RunStage(fresh.stage, is_held=fresh.status == "paused"),
    )


def _next_stage(state: CycleState) -> Step:
    finished = SaveStage(state.stage, "done")
    position = STAGES.index(state.stage) + 1
    if position == len(STAGES):
        done = replace(state, status="done")
        return done, (finished, Conclude())
    fresh = replace(state, stage=STAGES[position])
    return fresh, (
        finished,
        SaveCycle(fresh.status, fresh.stage),
        RunStage(fresh.stage, is_held=fresh.status == "paused"),
    )


def _ended(state: CycleState, status: str, reason: str) -> Step:
    level, kind = ("error", "cycle.failed") if status == "failed" else ("warn", "cycle.cancelled")
    actions: tuple[Action, ...] = (StopStage(),)
    if state.stage:
        actions += (SaveStage(state.stage, "failed", reason),)
    actions += (
        SaveCycle(status, state.stage, reason),
        Tell(level, kind, f"cycle {status}: {reason}"),
    )
    return replace(state, status=status), actions


def _time_up(state: CycleState, event: TimeUp) -> Step:
    reason = f"the time limit of {event.limit_s:,} s was reached in stage {state.stage}"
    if state.stage in _BEFORE_RESULTS:
        return _ended(state, "cancelled", reason)
    if state.stage == "backtest" and not state.is_cut:
        cut = replace(state, is_cut=True, status="running")
        return cut, (
            SaveCycle("running", state.stage),
            Tell("warn", "cycle.time_limit", f"{reason}: the rest is left out"),
            CutStage(),
        )
    return state, ()


def _asked(state: CycleState, event: PauseAsked | ResumeAsked | CancelAsked) -> Step:
    if state.status in FINAL:
        raise UsageError(f"the cycle is {state.status} already")
    if isinstance(event, CancelAsked):
        return _ended(state, "cancelled", event.reason)
    wanted = "paused" if isinstance(event, PauseAsked) else "running"
    if state.status == wanted:
        raise UsageError(f"the cycle is {wanted} already")
    fresh = replace(state, status=wanted)
    act: Action = HoldStage() if wanted == "paused" else ReleaseStage()
    kind, words = (
        ("cycle.paused", "cycle paused")
        if wanted == "paused"
        else ("cycle.resumed", "cycle goes on")
    )
    return fresh, (SaveCycle(wanted, state.stage), act, Tell("info", kind, words))
