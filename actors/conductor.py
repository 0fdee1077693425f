"""The conductor.

Takes commands, keeps the schedule, and leads one cycle at a time through its stages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from actors import deploy_commands, desk_commands, lifecycle, limit_commands
from actors.cycle_brief import CycleBrief, MarketFacts
from actors.cycle_machine import CancelAsked, Event, PauseAsked, ResumeAsked
from actors.cycle_plan import EMPTY_STATE, CyclePlan, plan_cycle, plan_of
from actors.cycle_run import CycleRun
from actors.evolution import COMMAND as EVOLVE
from actors.evolution import Evolutions, replay_plan
from actors.gate import Gate
from actors.ports import PeerLost
from actors.roster import (
    DEPLOYER,
    OnFailure,
    PartSpec,
    PeerOf,
    backtester_names,
    trader_names,
)
from actors.schedule import missed_at, next_due_at
from actors.stages import StageWork, Tally
from actors.summary import summarise
from actors.writer import Writer
from engine.clock import Clock
from engine.config import database_url
from engine.errors import PaddockError, UsageError
from engine.evolve.learned_state import LearnedState
from engine.store.commands import CommandRow, get_command, taken_commands, waiting_commands
from engine.store.cycles import CycleRow, get_cycle, latest_cycle, recent_cycles, unfinished_cycles
from engine.store.database import Store
from engine.store.events import events_page
from engine.store.states import latest_state, load_state

_SCHEDULE_S = 5.0
_MOST_WAITING = 1
_LOAD_TIMEOUT_S = 3_600.0
_TICKET_LOOK_BACK = 20
_SCHEDULE_EVENT = "schedule.handled"
COMMANDS = (
    "cycle.start",
    "cycle.pause",
    "cycle.resume",
    "cycle.cancel",
    "runtime.stop",
    EVOLVE,
    *lifecycle.COMMANDS,
    *desk_commands.COMMANDS,
    *deploy_commands.COMMANDS,
    limit_commands.COMMAND,
)


class Conductor:
    """Lead cycles.

    Survives a crash: every cycle, from the last checkpoint in the store; commands that were taken
    but not answered; the schedule.
    May run twice: every stage of a cycle, and the creation of a cycle, which its ticket recognises.
    Owns: which cycle runs, and what each worker has in hand.
    """

    def __init__(
        self, spec: PartSpec, peer_of: PeerOf, clock: Clock, on_failure: OnFailure
    ) -> None:
        self._spec = spec
        self._config = spec.config
        self._clock = clock
        self._on_failure = on_failure
        self._writer = Writer(peer_of("recorder"), clock)
        self._generator = peer_of("generator")
        self._feeder = peer_of("feeder")
        self._learner = peer_of("learner")
        self._workers = [peer_of(name) for name in backtester_names(spec.workers)]
        traders = trader_names(spec.config.trading) if spec.scheduled else ()
        self._desks = desk_commands.DeskCommands(peer_of, traders)
        self._deployer = peer_of(DEPLOYER) if traders else None
        self._store: Store | None = None
        self._run: CycleRun | None = None
        self._wake = asyncio.Event()
        self._between_cycles = asyncio.Lock()
        self._is_stop_asked = False
        self._stuck: list[str] = []
        self._limits: dict[str, Any] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the store for reading and take up where the last conductor ended."""
        self._store = await Store.open(database_url(self._config), read_only=True, create=False)
        loops: list[Callable[[], Awaitable[None]]] = [self._take_commands, self._lead_cycles]
        if self._spec.scheduled:
            loops.append(self._keep_schedule)
        self._tasks = [asyncio.create_task(self._guard(loop)) for loop in loops]

    async def stop(self) -> None:
        """Lead no more; an unfinished cycle stays where its checkpoint is."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._store is not None:
            await self._store.close()

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return what is led now."""
        if self._run is None:
            return "idle", {}
        state = self._run.state
        return state.status, {"cycle_id": self._run.row.id, "stage": state.stage}

    async def orders(self) -> dict[str, Any]:
        """Return what the driver must do.

        Stop the runtime, end the processes of stuck parts, trade under other limits.
        """
        stuck, self._stuck = self._stuck, []
        return {"stop": self._is_stop_asked, "end": stuck, "limits": self._limits}

    # Commands

    async def _take_commands(self) -> None:
        for row in await taken_commands(self._reader):
            await self._answer(row)
        pause_s = self._config.runtime.command_poll_ms / 1000 / 2
        while True:
            for row in await waiting_commands(self._reader):
                claimed = await self._claim(row.id)
                if claimed is not None:
                    await self._answer(claimed)
            await asyncio.sleep(pause_s)

    async def _claim(self, command_id: int) -> CommandRow | None:
        row: CommandRow | None = await self._writer.write("claim_command", command_id=command_id)
        if row is not None:
            return row
        # Only conductors claim, and there is one: it is ours, and the answer was lost on its way.
        held = await get_command(self._reader, command_id)
        return held if held.status == "taken" else None

    async def _answer(self, row: CommandRow) -> None:
        status, result, reason = "done", None, ""
        try:
            result = await self._carry_out(row)
        except PaddockError as error:
            status = "failed" if isinstance(error, PeerLost) else "refused"
            reason = error.message
        await self._writer.write(
            "finish_command", row.id, status=status, result=result, reason=reason
        )
        if status != "done":
            message = f"{row.name} {status}: {reason}"
            await self._writer.tell("warn", "command.refused", message, subject=row.who)

    async def _carry_out(self, row: CommandRow) -> Any:
        arguments = dict(row.arguments)
        if row.name == "cycle.start":
            cycle_id = await self._start_cycle(arguments, f"command {row.id} {row.created_at}")
            return {"cycle_id": cycle_id}
        if row.name == EVOLVE:
            return {"cycle_id": await self._evolve(arguments, f"command {row.id} {row.created_at}")}
        if row.name == "runtime.stop":
            self._is_stop_asked = True
            await self._writer.tell("info", "runtime.stop", f"{row.who} asked the runtime to stop")
            return {}
        if row.name in lifecycle.COMMANDS:
            has_live = bool(self._config.trading.live_exchange)
            life = lifecycle.Lifecycle(self._reader, self._writer, self._clock, has_live=has_live)
            outcome = await life.carry_out(row.name, arguments, row.who)
            await self._desks.recast()
            return outcome
        if row.name in desk_commands.COMMANDS:
            return await self._desks.carry_out(row.name, arguments, row.who)
        if row.name in deploy_commands.COMMANDS:
            return await deploy_commands.pass_on(self._deployer, row)
        if row.name == limit_commands.COMMAND:
            return await self._take_limits(arguments, row.who)
        wishes: dict[str, Event] = {
            "cycle.pause": PauseAsked(),
            "cycle.resume": ResumeAsked(),
            "cycle.cancel": CancelAsked(f"{row.who} cancelled it"),
        }
        if row.name not in wishes:
            raise UsageError(f"unknown command {row.name!r}: use one of {', '.join(COMMANDS)}")
        cycle_id = await self._pass_on(arguments, wishes[row.name])
        return {"cycle_id": cycle_id}

    async def _take_limits(self, arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        limits, words = limit_commands.asked_limits(arguments)
        if not self._desks.traders:
            raise UsageError("this runtime trades nothing: the file holds them for the next one")
        await limit_commands.journal(self._desks.traders, who, words)
        # Kept, and not handed over once: the driver compares, so that no lost answer loses it.
        self._limits = {**limits.model_dump(), "words": f"{who}: {words}"}
        return {"words": "the traders start anew with it; cycles use it after a restart"}

    async def _pass_on(self, arguments: Mapping[str, Any], event: Event) -> int:
        asked = arguments.get("cycle_id")
        if asked is not None and not isinstance(asked, int):
            raise UsageError(f"cycle_id {asked!r} is not the number of a cycle")
        # Between two waves nothing runs, and yet there is something to cancel.
        async with self._between_cycles:
            run = self._run
            if run is not None and await self._is_meant(run.row, asked):
                await run.ask(event)
                return run.row.id
            return await self._pass_on_unbegun(run is None, asked, event)

    async def _pass_on_unbegun(self, is_idle: bool, asked: int | None, event: Event) -> int:
        """Cancel a cycle that waits, or the waves that would follow."""
        last = await latest_cycle(self._reader)
        if last is None or (asked is None and not is_idle):
            raise UsageError("no cycle runs now")
        row = last if asked is None else await get_cycle(self._reader, asked)
        if isinstance(event, CancelAsked):
            if row.status in ("running", "paused"):
                await self._end_unbegun(row.id, "cancelled", event.reason)
                return row.id
            is_series = last.status == "done" and last.settings.get("endless")
            if is_idle and is_series and await self._is_meant(last, asked):
                await self._end_series(last, event.reason)
                return last.id
        if asked is None:
            raise UsageError("no cycle runs now")
        if row.status in ("running", "paused"):
            raise UsageError(f"cycle {asked} has not begun yet: ask again when it runs")
        raise UsageError(f"cycle {asked} is {row.status} already")

    async def _is_meant(self, row: CycleRow, asked: int | None) -> bool:
        """Tell whether a wish is for the cycle that runs.

        By number, or by an earlier wave of its series.
        """
        if asked in (None, row.id):
            return True
        named = await get_cycle(self._reader, int(asked or 0))
        if not (row.settings.get("endless") and named.settings.get("endless")):
            return False
        same = row.settings["series_seed"] == named.settings["series_seed"]
        return same and 0 < named.wave < row.wave

    async def _end_series(self, row: CycleRow, reason: str) -> None:
        await self._writer.write(
            "update_cycle", row.id, settings={**row.settings, "endless": False}
        )
        message = f"no wave follows cycle {row.id}: {reason}"
        await self._writer.tell("warn", "cycle.series_ended", message, cycle_id=row.id)

    async def _start_cycle(self, arguments: Mapping[str, Any], ticket: str) -> int:
        for row in await recent_cycles(self._reader, _TICKET_LOOK_BACK):
            if row.settings.get("ticket") == ticket:
                return row.id
        if "replay" in arguments:
            plan = await self._replayed(arguments)
        else:
            plan = plan_cycle(self._config, arguments, self._spec.workers)
        await self._refuse_crowd()
        return await self._create(plan, ticket)

    async def _replayed(self, arguments: Mapping[str, Any]) -> CyclePlan:
        asked = arguments["replay"]
        if len(arguments) > 1 or not isinstance(asked, int):
            raise UsageError("a replay takes the number of a cycle and nothing else")
        return replay_plan(self._config, await get_cycle(self._reader, asked), self._spec.workers)

    async def _evolve(self, arguments: Mapping[str, Any], ticket: str) -> int:
        first = await self._evolutions.first_round(arguments)
        if isinstance(first, int):
            return first
        return await self._start_cycle(first.arguments, ticket)

    @property
    def _evolutions(self) -> Evolutions:
        return Evolutions(self._reader, self._writer, self._config)

    async def _refuse_crowd(self) -> None:
        unfinished = await unfinished_cycles(self._reader)
        current = self._run.row.id if self._run is not None else None
        waiting = [row for row in unfinished if row.id != current]
        if self._run is not None and self._run.state.status == "paused":
            raise UsageError(f"cycle {current} is paused: resume or cancel it first")
        if len(waiting) >= _MOST_WAITING and current is not None:
            raise UsageError(
                f"cycle {waiting[0].id} already waits for cycle {current}: cancel one of them first"
            )

    async def _create(self, plan: CyclePlan, ticket: str) -> int:
        market: MarketFacts = await self._feeder.call(
            "inspect", plan.config, timeout_s=_LOAD_TIMEOUT_S
        )
        if plan.state and plan.state != EMPTY_STATE:
            await load_state(self._reader, plan.state)
        while True:
            try:
                row = await self._writer.once("create_cycle", **self._columns(plan, market, ticket))
            except PeerLost:
                await asyncio.sleep(0.3)
                for known in await recent_cycles(self._reader, _TICKET_LOOK_BACK):
                    if known.settings.get("ticket") == ticket:
                        row = known
                        break
                else:
                    continue
            self._wake.set()
            return int(row.id)

    def _columns(self, plan: CyclePlan, market: MarketFacts, ticket: str) -> dict[str, Any]:
        return {
            "seed": plan.seed,
            "count": plan.count,
            "symbols": list(market.series_hashes),
            "timeframe": market.timeframe,
            "days": plan.config.market.days,
            "exchange": market.exchange,
            "market_label": market.label,
            "edge": market.edge,
            "workers": plan.workers,
            "settings": plan.settings(ticket),
            "config_hash": plan.config_hash,
            "data_hash": market.data_hash,
            "code_version": f"{self._spec.code_version}+engine.{market.engine_version}",
            "created_at": self._clock.now_at(),
            "wave": plan.wave,
            "window_start_at": market.start_at,
            "window_end_at": market.end_at,
        }

    # Cycles

    async def _lead_cycles(self) -> None:
        while True:
            self._wake.clear()
            async with self._between_cycles:
                row = await self._next_cycle()
            if row is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), 2.0)
                continue
            await self._lead(row)

    async def _next_cycle(self) -> CycleRow | None:
        """Return the oldest unfinished cycle.

        Behind the last wave of an endless run, or the last round of an evolution, its next one.
        """
        unfinished = await unfinished_cycles(self._reader)
        if unfinished:
            return unfinished[0]
        following = await self._evolutions.step()
        if following is not None:
            try:
                cycle_id = await self._create(following.plan, following.ticket)
            except PaddockError as error:
                await self._evolutions.give_up(following, error.message)
                return None
            return await get_cycle(self._reader, cycle_id)
        last = await latest_cycle(self._reader)
        if last is None or not last.settings.get("endless") or last.status != "done":
            return None
        plan = self._plan_of(last).next_wave()
        ticket = f"wave {plan.series_seed} {plan.wave} after {last.id}"
        try:
            cycle_id = await self._create(plan, ticket)
        except PaddockError as error:
            message = f"wave {plan.wave} cannot begin: {error.message}"
            await self._writer.tell("error", "cycle.wave", message)
            await self._end_series(last, error.message)
            return None
        return await get_cycle(self._reader, cycle_id)

    async def _lead(self, row: CycleRow) -> None:
        try:
            work = await self._work_of(row)
        except PeerLost:
            await asyncio.sleep(0.5)
            return
        except PaddockError as error:
            await self._end_unbegun(row.id, "failed", error.message)
            return
        async with self._between_cycles:
            # It may have been cancelled while everything was brought together.
            row = await get_cycle(self._reader, row.id)
            if row.status not in ("running", "paused"):
                return
            self._run = CycleRun(row, work, self._conclude)
        try:
            await self._run.run()
        finally:
            self._run = None
            await self._close(work, row.id)

    async def _work_of(self, row: CycleRow) -> StageWork:
        """Bring together everything a cycle needs, the same after a restart as at its start."""
        plan = self._plan_of(row)
        market: MarketFacts = await self._feeder.call(
            "inspect", plan.config, timeout_s=_LOAD_TIMEOUT_S
        )
        if market.data_hash != row.data_hash:
            raise UsageError(
                f"the bars have changed since the cycle was made (data hash"
                f" {market.data_hash[:12]}, then {row.data_hash[:12]}): start a new cycle"
            )
        state = await self._state_of(row, plan)
        read_at = [market.start_at, state.earliest_read_at]
        context_ids = await self._writer.write("ensure_contexts", row.id, market.contexts)
        brief = CycleBrief(
            cycle_id=row.id,
            seed=plan.seed,
            count=plan.count,
            config=plan.config,
            market=market,
            state_hash=state.hash,
            context_ids=tuple(context_ids),
            earliest_read_at=min(at for at in read_at if at is not None),
            evolve=plan.evolve,
            replay=plan.replay,
        )
        n_workers = max(1, min(plan.workers, len(self._workers)))
        return StageWork(
            brief=brief,
            gate=Gate(),
            writer=self._writer,
            store=self._reader,
            clock=self._clock,
            generator=self._generator,
            feeder=self._feeder,
            learner=self._learner,
            workers=self._workers[:n_workers],
            end_worker=self._end_worker,
            tally=Tally(n_workers=n_workers),
            is_resumed=row.stage not in ("", "generate", "prepare", "validate"),
        )

    async def _state_of(self, row: CycleRow, plan: CyclePlan) -> LearnedState:
        """Return the learned state that is frozen for this cycle.

        Chosen once, then stored with it.
        """
        wanted = row.state_hash or plan.state
        latest = None if wanted else await latest_state(self._reader)
        if latest is not None:
            state = LearnedState.from_json(latest.payload)
        elif wanted and wanted != EMPTY_STATE:
            state = LearnedState.from_json((await load_state(self._reader, wanted)).payload)
        else:
            state = LearnedState.empty()
            await self._writer.write("save_state", payload=state.canonical_json())
        if row.state_hash != state.hash:
            await self._writer.write("update_cycle", row.id, state_hash=state.hash)
        return state

    async def _conclude(self, work: StageWork, row: CycleRow) -> None:
        summary = await summarise(work.store, work.brief, work.tally, work.facts)
        await self._writer.write(
            "update_cycle",
            row.id,
            status="done",
            finished_at=self._clock.now_at(),
            results_digest=summary["results_digest"],
            summary=summary,
        )
        await self._writer.tell(
            "info",
            "cycle.done",
            f"cycle {row.id} done: {summary['backtested']:,} backtested, {summary['passed']:,}"
            f" passed the screen, {summary['promoted']} promoted",
            cycle_id=row.id,
        )

    async def _close(self, work: StageWork, cycle_id: int) -> None:
        """Let everybody forget the cycle; whoever is down has forgotten it already."""
        for peer in (*work.workers, work.feeder, work.generator):
            with contextlib.suppress(PaddockError):
                await peer.call("close_cycle", cycle_id, timeout_s=10.0)

    async def _end_unbegun(self, cycle_id: int, status: str, reason: str) -> None:
        await self._writer.write(
            "update_cycle",
            cycle_id,
            status=status,
            error=reason,
            finished_at=self._clock.now_at(),
        )
        level = "error" if status == "failed" else "warn"
        await self._writer.tell(
            level, f"cycle.{status}", f"cycle {cycle_id} {status}: {reason}", cycle_id=cycle_id
        )

    async def _end_worker(self, name: str) -> None:
        self._stuck.append(name)
        await self._writer.tell("error", "actor.stuck", f"{name} does not answer", subject=name)

    def _plan_of(self, row: CycleRow) -> CyclePlan:
        plan = plan_of(self._config, row.settings, seed=row.seed, count=row.count, wave=row.wave)
        return replace(plan, state=plan.state or None)

    # Schedule

    async def _keep_schedule(self) -> None:
        cycle = self._config.cycle
        if not cycle.schedule_enabled:
            return
        last_at = await self._last_handled_at()
        if last_at is None:
            last_at = self._clock.now_at()
            await self._handled(last_at, "the schedule begins now")
        while True:
            due_at = missed_at(cycle.schedule, last_at, self._clock.now_at())
            if due_at is not None:
                await self._handled(due_at, "the daily cycle is due")
                last_at = due_at
                await self._start_scheduled(due_at)
            await asyncio.sleep(_SCHEDULE_S)

    async def _last_handled_at(self) -> int | None:
        found = await events_page(self._reader, kind=_SCHEDULE_EVENT, limit=1)
        return int(found[-1].fields["due_at"]) if found else None

    async def _handled(self, due_at: int, words: str) -> None:
        next_at = next_due_at(self._config.cycle.schedule, due_at)
        await self._writer.tell("info", _SCHEDULE_EVENT, words, due_at=due_at, next_at=next_at)

    async def _start_scheduled(self, due_at: int) -> None:
        try:
            await self._start_cycle({}, f"schedule {due_at}")
        except PaddockError as error:
            message = f"the daily cycle was left out: {error.message}"
            await self._writer.tell("warn", "schedule.left_out", message)

    # Itself

    @property
    def _reader(self) -> Store:
        if self._store is None:
            raise UsageError("the conductor has not opened the store yet")
        return self._store

    async def _guard(self, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except Exception as error:
            await self._on_failure(error)
