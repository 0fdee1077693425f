"""The evolution of one strategy: from a command to rounds, each a small cycle, to its end.

Everything that a next step depends on stands in the cycles' own rows, so that a restarted conductor
goes on where the last one stopped.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from actors.cycle_plan import CyclePlan, plan_of, wave_seed
from actors.writer import Writer
from engine.backtest.metric_names import METRIC_INDEX
from engine.errors import UsageError
from engine.evolve.language_model import api_key, missing_key_words
from engine.evolve.rounds import (
    Evolution,
    RoundOutcome,
    Trial,
    next_round,
    read_evolution,
    round_outcome,
)
from engine.settings import Config
from engine.store.candidates import candidates_page
from engine.store.cycles import CycleRow, recent_cycles
from engine.store.database import Store
from engine.store.evaluations import contexts_of_cycle, evaluation_blocks
from engine.store.strategies import StatusChange, get_strategy
from engine.strategy.written import is_written
from engine.types import Segment, Status

COMMAND = "strategy.evolve"
_WHO = "conductor"
_LOOK_BACK = 50
_ARGUMENTS = frozenset(
    {"strategy_id", "rounds", "symbols", "days", "market", "exchange", "seed", "workers", "state"}
)
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class FirstRound:
    """What `cycle.start` would be asked for."""

    root: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NextRound:
    """The round after one that is done."""

    plan: CyclePlan
    ticket: str
    after: CycleRow


class Evolutions:
    """Lead evolutions from round to round.

    Survives a crash: everything; a step that was half done is done again.
    May run twice: any step; statuses are set, a round is recognised by its ticket.
    Owns: nothing.
    """

    def __init__(self, store: Store, writer: Writer, config: Config) -> None:
        self._store = store
        self._writer = writer
        self._config = config

    async def first_round(self, arguments: Mapping[str, Any]) -> FirstRound | int:
        """Return what to start, or the cycle of an evolution that is under way already.

        Raises
        ------
        UsageError : no such strategy, an unknown argument, or nothing that could improve it.
        """
        unknown = sorted(set(arguments) - _ARGUMENTS)
        if unknown:
            known = ", ".join(sorted(_ARGUMENTS))
            raise UsageError(f"an evolution has no argument {unknown[0]!r}: it takes {known}")
        stored = await get_strategy(self._store, str(arguments.get("strategy_id") or ""))
        row = stored.row
        if row.status == Status.REJECTED:
            raise UsageError(f"strategy {row.id[:12]} was rejected: validation refused it")
        if is_written(stored.genome) and api_key(os.environ) is None:
            raise UsageError(
                f"strategy {row.id[:12]} is written: only a language model can improve it, and"
                f" there is {missing_key_words()}"
            )
        for cycle in await recent_cycles(self._store, _LOOK_BACK):
            if _root_of(cycle) == row.id:
                if _is_open(cycle):
                    return cycle.id
                break
        rounds = arguments.get("rounds") or self._config.evolve.rounds
        evolution = Evolution(root=row.id, parent=row.id, rounds=rounds)
        asked = {
            name: value
            for name, value in arguments.items()
            if name not in ("strategy_id", "rounds") and value is not None
        }
        asked |= {
            "timeframe": row.timeframe,
            "count": 1 + self._config.evolve.variants,
            "evolve": evolution.as_json(),
        }
        return FirstRound(row.id, asked)

    async def step(self) -> NextRound | None:
        """Judge the round that was done last, of each evolution; return a round that follows."""
        seen: set[str] = set()
        for row in await recent_cycles(self._store, _LOOK_BACK):
            root = _root_of(row)
            if root is None or root in seen:
                continue
            seen.add(root)
            if row.status == "done" and _is_open(row):
                found = await self._judge(row)
                if found is not None:
                    return found
        return None

    async def give_up(self, following: NextRound, reason: str) -> None:
        """End an evolution whose next round cannot begin."""
        row = following.after
        told = {**row.settings["evolve"], "outcome": {"ending": "stopped", "reason": reason}}
        await self._writer.write("update_cycle", row.id, settings={**row.settings, "evolve": told})
        root = str(row.settings["evolve"]["root"])
        words = f"the next round of {root[:12]} cannot begin: {reason}"
        await self._writer.tell("error", "strategy.evolved", words, subject=root, cycle_id=row.id)

    async def _judge(self, row: CycleRow) -> NextRound | None:
        evolution = read_evolution(row.settings["evolve"])
        parent_sharpe, children = await self._trials(row, evolution)
        chosen = plan_of(self._config, row.settings, seed=row.seed, count=row.count, wave=row.wave)
        outcome = round_outcome(
            evolution,
            parent_sharpe,
            children,
            converged_frac=chosen.config.evolve.converged_frac,
            replace_frac=chosen.config.evolve.replace_frac,
        )
        if outcome.ending == "replaced":
            await self._replace(evolution, outcome)
        await self._writer.tell(
            "info",
            "strategy.evolved" if outcome.ending else "strategy.evolving",
            outcome.in_words(),
            subject=evolution.root,
            cycle_id=row.id,
            **asdict(outcome),
        )
        told = {**row.settings["evolve"], "outcome": asdict(outcome)}
        await self._writer.write("update_cycle", row.id, settings={**row.settings, "evolve": told})
        if outcome.ending is not None:
            return None
        following = next_round(evolution, outcome, children)
        plan = replace(
            chosen, seed=wave_seed(row.seed, following.round), evolve=following.as_json()
        )
        ticket = f"evolve {evolution.root} round {following.round} after {row.id}"
        return NextRound(plan, ticket, row)

    async def _trials(
        self, row: CycleRow, evolution: Evolution
    ) -> tuple[float | None, list[Trial]]:
        """Return the Sharpe ratio of a round's parent, and its children in order."""
        sharpes = await self._sharpes(row.id)
        children: list[Trial] = []
        after = -1
        while page := await candidates_page(self._store, row.id, after, _PAGE):
            after = page[-1].idx
            children += [
                Trial(item.strategy_id, evolution.round, sharpes.get(item.strategy_id))
                for item in page
                if item.strategy_id != evolution.parent
            ]
        return sharpes.get(evolution.parent), children

    async def _sharpes(self, cycle_id: int) -> dict[str, float]:
        """Return the mean Sharpe ratio on validation of those that traded enough on each symbol."""
        contexts = await contexts_of_cycle(self._store, cycle_id)
        wanted = {
            context_id
            for context_id, item in contexts.items()
            if item.segment == Segment.VALIDATION
        }
        rows: dict[str, list[tuple[float, float]]] = {}
        async for block in evaluation_blocks(self._store, cycle_id):
            for i, strategy_id in enumerate(block.strategy_ids):
                if int(block.context_ids[i]) in wanted:
                    metrics = block.metrics[i]
                    pair = (metrics[METRIC_INDEX["sharpe"]], metrics[METRIC_INDEX["fitness"]])
                    rows.setdefault(strategy_id, []).append((float(pair[0]), float(pair[1])))
        return {
            strategy_id: float(np.mean([sharpe for sharpe, _ in own]))
            for strategy_id, own in rows.items()
            if len(own) == len(wanted) and all(math.isfinite(x) for pair in own for x in pair)
        }

    async def _replace(self, evolution: Evolution, outcome: RoundOutcome) -> None:
        root = await get_strategy(self._store, evolution.root)
        child = await get_strategy(self._store, outcome.best)
        moves = replacement(
            Status(root.row.status), Status(child.row.status), is_module=is_written(child.genome)
        )
        said = f"{outcome.total_gain:+.1%} in annual Sharpe on validation"
        changes = []
        if moves.child is not None:
            reason = f"takes the place of {root.row.id[:12]}, {said}"
            changes.append(StatusChange(child.row.id, moves.child, reason, _WHO))
        if moves.root is not None:
            reason = f"replaced by {child.row.id[:12]}, {said}"
            changes.append(StatusChange(root.row.id, moves.root, reason, _WHO))
        if changes:
            await self._writer.write("change_statuses", changes)
        if moves.note:
            words = f"{child.row.id[:12]} is better than {root.row.id[:12]} ({said}): {moves.note}"
            await self._writer.tell("warn", "strategy.evolved", words, subject=root.row.id)


@dataclass(frozen=True, slots=True)
class Moves:
    """New statuses, None where one stays as it is; `note` says what an operator must do."""

    root: Status | None = None
    child: Status | None = None
    note: str = ""


def replacement(root: Status, child: Status, *, is_module: bool) -> Moves:
    """Return what becomes of a strategy and of the better version found for it.

    A better version never trades by itself where its parent does not: live places are an operator's
    to give, what the screen refused goes nowhere, and a written strategy trades as a Worker only.
    """
    if root not in (Status.PAPER, Status.LIVE, Status.PAUSED):
        return Moves(root=None if root is Status.RETIRED else Status.RETIRED)
    if child in (Status.PAPER, Status.LIVE):
        return Moves(root=None if root is Status.LIVE else Status.RETIRED)
    if is_module:
        return Moves(note="it is written in JavaScript: deploy it as a Worker")
    if child is not Status.SCREENED:
        return Moves(note="it did not pass the screening gate: promote it by hand if you want it")
    if root is Status.PAUSED:
        return Moves(note="its parent is paused: promote the better version, or resume the parent")
    if root is Status.LIVE:
        return Moves(child=Status.PAPER, note="it trades on paper; live places are given by hand")
    return Moves(root=Status.RETIRED, child=Status.PAPER)


def replay_plan(base: Config, row: CycleRow, workers: int) -> CyclePlan:
    """Return the plan that runs a cycle again from its record, without a language model.

    Raises
    ------
    UsageError : it was never begun, so that its learned state is not known.
    """
    if not row.state_hash:
        raise UsageError(f"cycle {row.id} never began: there is nothing to replay")
    plan = plan_of(base, row.settings, seed=row.seed, count=row.count, wave=0)
    return replace(
        plan,
        state=row.state_hash,
        replay=plan.replay or row.id,
        is_endless=False,
        workers=min(plan.workers, workers),
    )


def _root_of(row: CycleRow) -> str | None:
    """Return what a cycle evolves; replays of rounds lead nowhere."""
    evolve = row.settings.get("evolve")
    return None if not evolve or row.settings.get("replay") else str(evolve["root"])


def _is_open(row: CycleRow) -> bool:
    if row.status not in ("running", "paused", "done"):
        return False
    outcome = row.settings["evolve"].get("outcome")
    return outcome is None or outcome["ending"] is None
