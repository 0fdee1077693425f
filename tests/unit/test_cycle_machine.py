from __future__ import annotations

import itertools

import pytest

from actors.cycle_machine import (
    FINAL,
    STAGES,
    Begun,
    CancelAsked,
    Conclude,
    CutStage,
    CycleState,
    HoldStage,
    PauseAsked,
    ReleaseStage,
    ResumeAsked,
    RunStage,
    SaveCycle,
    SaveStage,
    StageBroke,
    StageFinished,
    StopStage,
    TimeUp,
    step,
)
from engine.errors import InvariantError, UsageError


def kinds(actions: tuple[object, ...]) -> list[str]:
    return [type(action).__name__ for action in actions]


def test_an_undisturbed_cycle_walks_through_all_stages_in_order() -> None:
    state, actions = step(CycleState("running"), Begun())
    walked = []
    while state.status == "running":
        runs = [action.stage for action in actions if isinstance(action, RunStage)]
        walked += runs
        state, actions = step(state, StageFinished(state.stage))
    assert tuple(walked) == STAGES
    assert state.status == "done"
    assert kinds(actions) == ["SaveStage", "Conclude"]


@pytest.mark.parametrize("stage", STAGES)
def test_what_runs_next_is_saved_before_it_runs(stage: str) -> None:
    _, actions = step(CycleState("running", stage), StageFinished(stage))
    if Conclude() in actions:
        return
    saved = [i for i, action in enumerate(actions) if isinstance(action, SaveCycle)]
    run = [i for i, action in enumerate(actions) if isinstance(action, RunStage)]
    assert saved[0] < run[0]
    assert actions[saved[0]].stage == actions[run[0]].stage


@pytest.mark.parametrize("stage", STAGES)
def test_a_restarted_conductor_runs_the_saved_stage_again(stage: str) -> None:
    state, actions = step(CycleState("running", stage), Begun())
    assert state == CycleState("running", stage)
    assert RunStage(stage) in actions


@pytest.mark.parametrize("stage", STAGES)
def test_a_paused_cycle_is_taken_up_held(stage: str) -> None:
    _, actions = step(CycleState("paused", stage), Begun())
    assert RunStage(stage, is_held=True) in actions
    assert SaveCycle("paused", stage) in actions


def test_a_stage_that_ends_while_paused_hands_over_to_a_held_one() -> None:
    state, actions = step(CycleState("paused", "validate"), StageFinished("validate"))
    assert state == CycleState("paused", "backtest")
    assert RunStage("backtest", is_held=True) in actions


def test_pause_holds_and_resume_releases() -> None:
    paused, held = step(CycleState("running", "backtest"), PauseAsked())
    running, released = step(paused, ResumeAsked())
    assert (paused.status, running.status) == ("paused", "running")
    assert held[:2] == (SaveCycle("paused", "backtest"), HoldStage())
    assert released[:2] == (SaveCycle("running", "backtest"), ReleaseStage())


@pytest.mark.parametrize(("status", "wish"), [("paused", PauseAsked()), ("running", ResumeAsked())])
def test_a_wish_that_is_fulfilled_already_is_refused(status: str, wish: object) -> None:
    with pytest.raises(UsageError, match=f"{status} already"):
        step(CycleState(status, "backtest"), wish)


@pytest.mark.parametrize(
    ("status", "wish"),
    list(itertools.product(FINAL, [PauseAsked(), ResumeAsked(), CancelAsked("enough")])),
)
def test_nothing_can_be_asked_of_an_ended_cycle(status: str, wish: object) -> None:
    with pytest.raises(UsageError, match=f"is {status} already"):
        step(CycleState(status, "backtest"), wish)


@pytest.mark.parametrize(
    ("status", "event"),
    list(itertools.product(FINAL, [Begun(), StageFinished("learn"), TimeUp(5)])),
)
def test_nothing_happens_to_an_ended_cycle(status: str, event: object) -> None:
    with pytest.raises(InvariantError):
        step(CycleState(status, "learn"), event)


@pytest.mark.parametrize("status", ["running", "paused"])
def test_cancel_stops_the_stage_before_it_says_so(status: str) -> None:
    state, actions = step(CycleState(status, "generate"), CancelAsked("enough"))
    assert state.status == "cancelled"
    assert kinds(actions) == ["StopStage", "SaveStage", "SaveCycle", "Tell"]
    assert SaveCycle("cancelled", "generate", "enough") in actions


@pytest.mark.parametrize("stage", STAGES)
def test_a_broken_stage_fails_the_cycle_with_its_reason(stage: str) -> None:
    state, actions = step(CycleState("running", stage), StageBroke(stage, "no bars"))
    assert state.status == "failed"
    assert SaveStage(stage, "failed", "no bars") in actions
    assert StopStage() in actions


def test_a_stage_that_does_not_run_cannot_end() -> None:
    with pytest.raises(InvariantError):
        step(CycleState("running", "learn"), StageFinished("filter"))


@pytest.mark.parametrize("stage", ["generate", "prepare", "validate"])
def test_the_time_limit_before_any_result_cancels(stage: str) -> None:
    state, actions = step(CycleState("running", stage), TimeUp(60))
    assert state.status == "cancelled"
    assert f"60 s was reached in stage {stage}" in (actions[-2].error or "")


def test_the_time_limit_in_the_backtest_keeps_what_is_there() -> None:
    state, actions = step(CycleState("running", "backtest"), TimeUp(60))
    assert (state.status, state.is_cut) == ("running", True)
    assert actions[-1] == CutStage()
    again, nothing = step(state, TimeUp(60))
    assert (again, nothing) == (state, ())


@pytest.mark.parametrize("stage", ["filter", "learn", "promote"])
def test_the_time_limit_after_the_backtest_lets_the_short_stages_end(stage: str) -> None:
    state = CycleState("running", stage)
    assert step(state, TimeUp(60)) == (state, ())
