"""The acts of the kill switch that this console started: each once at a time, and how far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from console.kill_port import KillSwitch, Verb
from engine.clock import Clock
from engine.errors import PaddockError
from engine.trade.kill_step import Step


@dataclass(frozen=True, slots=True)
class KillRun:
    """One act.

    Attributes
    ----------
    steps : in the order they began
    is_moving : whether its process still works
    began_at, ended_at : UTC ms
    """

    verb: Verb
    accounts: tuple[str, ...]
    began_at: int
    steps: tuple[Step, ...] = ()
    is_moving: bool = True
    ended_at: int | None = None

    @property
    def has_failed(self) -> bool:
        """Return whether a step failed."""
        return any(step.state == "failed" for step in self.steps)


class KillRuns:
    """Start acts and follow them; they outlive the overlay that asked for them.

    Parameters
    ----------
    switch : KillSwitch
    clock : Clock
    on_change : callable, told after each step
    """

    def __init__(self, switch: KillSwitch, clock: Clock, on_change: Callable[[], None]) -> None:
        self._switch = switch
        self._clock = clock
        self._on_change = on_change
        self._runs: dict[Verb, KillRun] = {}

    @property
    def runs(self) -> Mapping[Verb, KillRun]:
        """Return the last act of each kind."""
        return self._runs

    @property
    def is_moving(self) -> bool:
        """Return whether any act is under way."""
        return any(run.is_moving for run in self._runs.values())

    def newest(self, now_at: int, within_ms: int) -> list[KillRun]:
        """Return the acts that are under way or ended within so many ms, newest first."""
        shown = [
            run
            for run in self._runs.values()
            if run.ended_at is None or now_at - run.ended_at <= within_ms
        ]
        return sorted(shown, key=lambda run: run.began_at, reverse=True)

    def may_start(self, verb: Verb) -> bool:
        """Return whether an act can begin: not while the same one is under way."""
        run = self._runs.get(verb)
        return run is None or not run.is_moving

    async def run(self, verb: Verb, accounts: Sequence[str], reason: str) -> KillRun | None:
        """Do it to its end and return what came of it; None when it is under way already."""
        if not self.may_start(verb):
            return None
        self._put(KillRun(verb, tuple(accounts), self._clock.now_at()))
        try:
            async for step in self._switch.act(verb, accounts, reason):
                self._add(verb, step)
        except (PaddockError, OSError) as exc:
            self._add(verb, Step("", verb, "failed", str(exc)))
        finally:
            # Also when the worker is cancelled: what is shown must not move for ever.
            run = replace(self._runs[verb], is_moving=False, ended_at=self._clock.now_at())
            self._put(run)
        return run

    def _add(self, verb: Verb, step: Step) -> None:
        run = self._runs[verb]
        known = [(other.account, other.name) for other in run.steps]
        if (step.account, step.name) in known:
            place = known.index((step.account, step.name))
            steps = (*run.steps[:place], step, *run.steps[place + 1 :])
        else:
            steps = (*run.steps, step)
        self._put(replace(run, steps=steps))

    def _put(self, run: KillRun) -> None:
        self._runs[run.verb] = run
        self._on_change()
