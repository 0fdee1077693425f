"""What an operator asks of the runtime: a question that shows the effects, then a command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from console.runtime_process import stop_runtime
from console.screens.modals import ConfirmScreen
from engine.errors import PaddockError

if TYPE_CHECKING:
    from console.app import PaddockApp
    from engine.store.cycles import CycleRow


class Requests:
    """Questions and their answers.

    Parameters
    ----------
    app : PaddockApp
    """

    def __init__(self, app: PaddockApp) -> None:
        self._app = app

    async def start_cycle(self) -> None:
        """Ask for a cycle; its seed is the configured one plus the number of cycles before it."""
        from console.commands.cycle import cycle_arguments

        if not self._may_ask("cycle.start"):
            return
        session = self._app.session
        store = None if self._app.snapshot is None else self._app.snapshot.store
        last_id = max((row.id for row in store.recent_cycles), default=0) if store else 0
        seed = session.config.cycle.seed + last_id
        try:
            arguments = await asyncio.to_thread(cycle_arguments, session, seed=seed)
        except PaddockError as exc:
            self._app.say(str(exc), "error")
            return
        if await self._is_confirmed("Start a cycle?", self._cycle_lines(arguments), "Start"):
            await self._app.send("cycle.start", arguments)

    async def pause_or_resume_cycle(self) -> None:
        """Ask for the running cycle to pause, or for the paused one to go on."""
        cycle = self._cycle("cycle.pause")
        if cycle is None:
            return
        if cycle.status == "paused":
            verb, name, effect = "Resume", "cycle.resume", "It goes on where it stopped."
        else:
            verb, name = "Pause", "cycle.pause"
            effect = "What runs is finished and recorded; nothing new begins."
        if await self._is_confirmed(f"{verb} cycle {cycle.id}?", [effect], verb):
            await self._app.send(name, {"cycle_id": cycle.id})

    async def cancel_cycle(self) -> None:
        """Ask for the running cycle to end for good."""
        cycle = self._cycle("cycle.cancel")
        if cycle is None:
            return
        effects = [
            "It ends for good. What it recorded stays in the ledger.",
            "{cycle.pause} pauses it instead.",
        ]
        if await self._is_confirmed(f"Cancel cycle {cycle.id}?", effects, "Cancel it"):
            await self._app.send("cycle.cancel", {"cycle_id": cycle.id})

    async def stop_runtime(self) -> None:
        """Stop the runtime, whether it still answers or not."""
        if not self._may_ask("runtime.stop"):
            return
        effects = [
            "Every actor ends.",
            "An unfinished cycle is kept, and goes on when the runtime is up again.",
        ]
        if not await self._is_confirmed("Stop the runtime?", effects, "Stop"):
            return
        self._app.say("stopping the runtime…")
        try:
            await stop_runtime(self._app.session.config_path)
        except PaddockError as exc:
            self._app.say(str(exc), "error")
        else:
            self._app.say("the runtime is down", "ok")
        self._app.look_now()

    def _may_ask(self, entry_id: str) -> bool:
        # One question at a time: a held key must not stack them.
        return self._app.is_allowed(entry_id) and not isinstance(self._app.screen, ConfirmScreen)

    def _cycle(self, entry_id: str) -> CycleRow | None:
        if not self._may_ask(entry_id):
            return None
        store = None if self._app.snapshot is None else self._app.snapshot.store
        return None if store is None else store.cycle

    async def _is_confirmed(self, title: str, effects: list[str], verb: str) -> bool:
        return await self._app.questions.is_confirmed(title, effects, verb)

    def _cycle_lines(self, arguments: dict[str, Any]) -> list[str]:
        config = self._app.session.config
        edge = ""
        if config.market.source == "generated":
            edge = f", planted edge {config.generated.edge_kind} {config.generated.edge_strength:g}"
        lines = [
            f"{arguments['count']:,} candidates, seed {arguments['seed']}",
            f"{' '.join(arguments['symbols'])} on {arguments['timeframe']} bars, "
            f"{arguments['days']} days",
            f"market: {config.market.source}{edge}",
        ]
        snapshot = self._app.snapshot
        store = None if snapshot is None else snapshot.store
        if store is not None and store.is_cycle_unfinished and store.cycle is not None:
            lines.append(f"It waits until cycle {store.cycle.id} is done.")
        if snapshot is None or not snapshot.runtime.is_alive:
            lines.append("The runtime does not answer yet: the request waits until it does.")
        return lines
