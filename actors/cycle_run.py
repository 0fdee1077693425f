"""One cycle from where it stands to its end: carries out what the state machine says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from actors.cycle_machine import (
    STAGES,
    Action,
    Begun,
    Conclude,
    CutStage,
    CycleState,
    Event,
    HoldStage,
    ReleaseStage,
    RunStage,
    SaveCycle,
    SaveStage,
    StageBroke,
    StageFinished,
    StopStage,
    Tell,
    TimeUp,
    step,
)
from actors.gate import Gate
from actors.stages import StageWork, run_stage
from engine.errors import InvariantError, PaddockError, StoreError, UsageError
from engine.store.cycles import CycleRow, stages

_STORE_PATIENCE = 60
_STORE_PAUSE_S = 5.0
_TICK_S = 0.5

Summarise = Callable[[StageWork, CycleRow], Awaitable[None]]


@dataclass(slots=True)
class _Wish:
    """An operator's wish on its way to the cycle, and the answer it waits for."""

    event: Event
    answer: asyncio.Future[None]


@dataclass(slots=True)
class CycleRun:
    """Run one cycle.

    Attributes
    ----------
    row : the cycle as it was stored when it was taken up
    work : everybody its stages need
    conclude : counts, digests and saves the end
    """

    row: CycleRow
    work: StageWork
    conclude: Summarise
    state: CycleState = field(init=False)
    _wishes: asyncio.Queue[_Wish] = field(init=False, default_factory=asyncio.Queue)
    _stage: asyncio.Task[None] | None = field(init=False, default=None)
    _next_wish: asyncio.Task[_Wish] | None = field(init=False, default=None)
    _spent_s: float = field(init=False, default=0.0)
    _looked_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.state = CycleState(self.row.status, self.row.stage)

    async def ask(self, event: Event) -> None:
        """Pass an operator's wish on and wait until it is carried out.

        Raises
        ------
        UsageError : the cycle's state does not allow it.
        """
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wishes.put_nowait(_Wish(event, answer))
        await answer

    async def run(self) -> CycleState:
        """Return the state the cycle ended in."""
        self._spent_s = await self._finished_stages_s()
        self._looked_s = self.work.clock.monotonic_s()
        try:
            await self._apply(Begun())
            while self.state.status in ("running", "paused"):
                await self._turn()
        finally:
            await self._stop_stage()
            self._answer_rest()
        return self.state

    async def _turn(self) -> None:
        """Wait for the next thing to happen, and do what follows from it."""
        stage = self._stage
        if stage is None:
            raise InvariantError(f"cycle {self.row.id} runs without a stage")
        if self._next_wish is None:
            self._next_wish = asyncio.create_task(self._wishes.get())
        await asyncio.wait(
            [stage, self._next_wish], timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED
        )
        if self._next_wish.done():
            wish, self._next_wish = self._next_wish.result(), None
            await self._fulfil(wish)
        if stage is self._stage and stage.done() and self.state.status in ("running", "paused"):
            await self._apply(_event_of(self.state.stage, stage))
            return
        limit_s = self.work.brief.config.cycle.time_limit_s
        if self._clocked_s() >= limit_s and self.state.status in ("running", "paused"):
            await self._apply(TimeUp(limit_s))

    async def _fulfil(self, wish: _Wish) -> None:
        try:
            await self._apply(wish.event)
        except PaddockError as error:
            wish.answer.set_exception(error)
        else:
            wish.answer.set_result(None)

    def _answer_rest(self) -> None:
        """Refuse the wishes that came too late."""
        late: list[_Wish] = []
        if self._next_wish is not None:
            if self._next_wish.done() and not self._next_wish.cancelled():
                late.append(self._next_wish.result())
            self._next_wish.cancel()
        while not self._wishes.empty():
            late.append(self._wishes.get_nowait())
        for wish in late:
            words = f"cycle {self.row.id} is {self.state.status} already"
            wish.answer.set_exception(UsageError(words))

    async def _apply(self, event: Event) -> None:
        state, actions = step(self.state, event)
        self.state = state
        for action in actions:
            await self._do(action)

    async def _do(self, action: Action) -> None:
        gate = self.work.gate
        if isinstance(action, SaveCycle):
            await self._save_cycle(action)
        elif isinstance(action, SaveStage):
            await self._save_stage(action)
        elif isinstance(action, RunStage):
            await self._begin(action)
        elif isinstance(action, HoldStage):
            gate.hold()
        elif isinstance(action, ReleaseStage):
            gate.release()
        elif isinstance(action, CutStage):
            gate.cut()
        elif isinstance(action, StopStage):
            await self._stop_stage()
        elif isinstance(action, Tell):
            await self._tell(action.level, action.kind, action.message)
        elif isinstance(action, Conclude):
            await self.conclude(self.work, self.row)

    async def _begin(self, action: RunStage) -> None:
        now_at = self.work.clock.now_at()
        known = {row.name: row for row in await stages(self.work.store, self.row.id)}
        old = known.get(action.stage)
        started_at = now_at if old is None or old.started_at is None else old.started_at
        await self.work.writer.write(
            "save_stage",
            self.row.id,
            action.stage,
            position=STAGES.index(action.stage),
            status="running",
            started_at=started_at,
            updated_at=now_at,
        )
        gate = Gate(is_held=action.is_held)
        self.work.gate = gate
        self._stage = asyncio.create_task(_with_patience(action.stage, self.work))

    async def _stop_stage(self) -> None:
        if self._stage is not None and not self._stage.done():
            self._stage.cancel()
            await asyncio.gather(self._stage, return_exceptions=True)

    async def _save_cycle(self, action: SaveCycle) -> None:
        columns: dict[str, object] = {"status": action.status, "stage": action.stage}
        now_at = self.work.clock.now_at()
        if self.row.started_at is None and action.stage == STAGES[0]:
            columns["started_at"] = now_at
        if action.error is not None:
            columns["error"] = action.error
            columns["finished_at"] = now_at
        await self.work.writer.write("update_cycle", self.row.id, **columns)

    async def _save_stage(self, action: SaveStage) -> None:
        now_at = self.work.clock.now_at()
        columns: dict[str, object] = {
            "status": action.status,
            "updated_at": now_at,
            "finished_at": now_at,
        }
        if action.note:
            columns["note"] = action.note
        await self.work.writer.write("save_stage", self.row.id, action.stage, **columns)

    async def _tell(self, level: str, kind: str, message: str) -> None:
        words = message.replace("cycle", f"cycle {self.row.id}", 1)
        await self.work.writer.tell(level, kind, words, cycle_id=self.row.id)

    def _clocked_s(self) -> float:
        """Return how long the cycle has run, pauses left out."""
        now_s = self.work.clock.monotonic_s()
        if self.state.status == "running":
            self._spent_s += now_s - self._looked_s
        self._looked_s = now_s
        return self._spent_s

    async def _finished_stages_s(self) -> float:
        rows = await stages(self.work.store, self.row.id)
        spans = [
            row.finished_at - row.started_at
            for row in rows
            if row.finished_at is not None and row.started_at is not None
        ]
        return sum(spans) / 1000


async def _with_patience(name: str, work: StageWork) -> None:
    """Run a stage; begin it anew while the store refuses, for a full disk may be emptied."""
    for attempt in range(_STORE_PATIENCE):
        try:
            await run_stage(name, work)
            return
        except* StoreError as group:
            error = _first(group)
            # Cancelled while the store refused: the group tells of the refusal alone.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError from error
            if attempt == _STORE_PATIENCE - 1:
                raise error from None
        await asyncio.sleep(_STORE_PAUSE_S)


def _event_of(stage: str, task: asyncio.Task[None]) -> Event:
    error = task.exception()
    if error is None:
        return StageFinished(stage)
    first = _first(error)
    if isinstance(first, PaddockError) and not isinstance(first, InvariantError):
        return StageBroke(stage, first.message)
    # Our bug: the conductor ends with its evidence, and takes the cycle up again.
    raise first


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
