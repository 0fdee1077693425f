"""Drive a search: which cycles to ask for, what they measured, which trials came out best.

A grid or a random sample is one cycle; a genetic search is one cycle a generation, each bred from
all that was measured before. Nothing is kept here: cycles know the search they belong to, and the
ledger has every trial, so that the same search begun again goes on where it ended.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.metric_names import METRIC_INDEX, METRIC_NAMES
from engine.errors import StoreError, UsageError
from engine.evolve.point_search import bred_points, random_points, read_search
from engine.types import FloatArray, Segment

if TYPE_CHECKING:
    from engine.store.cycles import CycleRow
    from engine.store.database import Store
    from engine.strategy.search_space import SearchSpace

METHODS = ("grid", "random", "genetic")
LOWER_IS_BETTER = frozenset(
    {
        "max_drawdown",
        "max_drawdown_bars",
        "loss_streak",
        "turnover_per_day",
        "value_at_risk",
        "expected_shortfall",
        "return_std",
        "gross_loss_quote",
        "commission_quote",
        "slippage_quote",
    }
)
_GENERATIONS = 8
_LEAST_GENERATION = 10
_LOOK_BACK = 500
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class SearchWish:
    """What is searched.

    Attributes
    ----------
    by : the metric, one of METRIC_NAMES, on validation
    trials : most points tried; a grid takes all of its points
    seed : of a random or genetic search
    arguments : of every cycle, without count and search
    config_hash : of the settings that influence results
    """

    space: SearchSpace
    method: str
    by: str
    trials: int
    seed: int
    arguments: Mapping[str, Any]
    config_hash: str

    @property
    def run(self) -> str:
        """Return the name by which the cycles of this search know each other."""
        asked = {key: value for key, value in self.arguments.items() if key != "workers"}
        what = [self.space.name, self.method, self.by, self.trials, self.seed, self.config_hash]
        text = json.dumps([*what, asked], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def n_points(self) -> int:
        """Return how many points will be tried."""
        return self.space.size if self.method == "grid" else min(self.trials, self.space.size)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One point and what it measured.

    Attributes
    ----------
    strategy_id : of its genome
    fit, validation : ndarray of shape (N_METRICS,), means over the symbols, nan is undefined (on
        any symbol), all nan when it was not evaluated
    """

    point: int
    strategy_id: str
    fit: FloatArray
    validation: FloatArray

    def score(self, metric: str) -> float:
        """Return the metric on validation so that higher is better, nan when undefined."""
        value = float(self.validation[METRIC_INDEX[metric]])
        return -value if metric in LOWER_IS_BETTER else value


@dataclass(frozen=True, slots=True, eq=False)
class SearchOutcome:
    """What a search found.

    Attributes
    ----------
    trials : best first by the wished metric, undefined last
    cycles : that measured them, in the order of the generations
    """

    trials: tuple[Trial, ...]
    cycles: tuple[CycleRow, ...]


@dataclass(slots=True)
class SearchRun:
    """Carry a search out.

    Attributes
    ----------
    ask : start a cycle with these arguments; answers with its id when it is done
    rejoin : follow a cycle that runs already until it is done
    """

    wish: SearchWish
    store: Store
    ask: Callable[[dict[str, Any]], Awaitable[int]]
    rejoin: Callable[[int], Awaitable[object]]

    async def outcome(self) -> SearchOutcome:
        """Return all trials, each measured in a cycle.

        The last generation is always asked for, which costs little when the ledger has it: it says
        whether the bars and the engine are still those of the generations that were recognised. If
        not, the search begins anew on what there is now.

        Raises
        ------
        StoreError : the bars changed once more meanwhile.
        """
        for finished in (await self._finished(), {}):
            found = await self._all(finished)
            if found is not None:
                return found
        raise StoreError("the bars changed while the search ran: run the same command again")

    async def _all(self, finished: dict[int, CycleRow]) -> SearchOutcome | None:
        """Return all trials, None when the cycles stand on different ground."""
        trials: dict[int, Trial] = {}
        cycles: list[CycleRow] = []
        while len(trials) < self.wish.n_points:
            generation = len(cycles)
            points = self._points(generation, trials)
            row = finished.get(generation)
            is_last = len(trials) + len(points) >= self.wish.n_points
            if row is None or is_last or _points_of(row) != points:
                row = await self._cycle(generation, points)
            cycles.append(row)
            if _ground(row) != _ground(cycles[0]):
                return None
            trials |= {trial.point: trial for trial in await trials_of(self.store, row)}
        ranked = sorted(trials.values(), key=self._rank)
        return SearchOutcome(tuple(ranked), tuple(cycles))

    def _rank(self, trial: Trial) -> tuple[float, int]:
        score = trial.score(self.wish.by)
        return (math.inf if math.isnan(score) else -score, trial.point)

    def _points(self, generation: int, trials: Mapping[int, Trial]) -> tuple[int, ...]:
        wish = self.wish
        if wish.method == "grid":
            return tuple(range(wish.space.size))
        if wish.method == "random":
            return random_points(wish.space, wish.trials, wish.seed)
        size = max(_LEAST_GENERATION, -(-wish.n_points // _GENERATIONS))
        size = min(size, wish.n_points - len(trials))
        if generation == 0:
            return random_points(wish.space, size, wish.seed)
        scores = {point: trial.score(wish.by) for point, trial in trials.items()}
        return bred_points(wish.space, scores, size, wish.seed, generation)

    async def _cycle(self, generation: int, points: tuple[int, ...]) -> CycleRow:
        from engine.store.cycles import get_cycle, unfinished_cycles

        search = self._search(generation, points)
        for row in await unfinished_cycles(self.store):
            if row.settings.get("search") == search:
                await self.rejoin(row.id)
                return await get_cycle(self.store, row.id)
        arguments = {**self.wish.arguments, "count": len(points), "search": search}
        return await get_cycle(self.store, await self.ask(arguments))

    def _search(self, generation: int, points: tuple[int, ...]) -> dict[str, Any]:
        wish = self.wish
        search: dict[str, Any] = {"family": wish.space.name, "run": wish.run}
        if wish.method == "genetic":
            return {**search, "points": list(points), "generation": generation}
        if wish.method == "random":
            return {**search, "method": "random", "seed": wish.seed, "trials": wish.trials}
        return {**search, "method": "grid"}

    async def _finished(self) -> dict[int, CycleRow]:
        """Return the newest finished cycle of each generation of this very search."""
        from engine.store.cycles import recent_cycles

        found: dict[int, CycleRow] = {}
        for row in await recent_cycles(self.store, _LOOK_BACK):
            search = row.settings.get("search") or {}
            if row.status == "done" and search.get("run") == self.wish.run:
                found.setdefault(int(search.get("generation", 0)), row)
        return found


async def trials_of(store: Store, row: CycleRow) -> list[Trial]:
    """Return what a cycle measured of each of its points, in the order of its candidates."""
    from engine.store.candidates import candidates_page
    from engine.store.evaluations import evaluations_of_cycle

    measured: dict[tuple[str, str], list[FloatArray]] = {}
    async for item in evaluations_of_cycle(store, row.id):
        measured.setdefault((item.strategy_id, item.context.segment), []).append(item.metrics)
    points = _points_of(row)
    trials: list[Trial] = []
    after = -1
    while page := await candidates_page(store, row.id, after, _PAGE):
        after = page[-1].idx
        for candidate in page:
            fit, validation = (
                _mean(measured.get((candidate.strategy_id, segment)))
                for segment in (Segment.FIT, Segment.VALIDATION)
            )
            trials.append(Trial(points[candidate.idx], candidate.strategy_id, fit, validation))
    return trials


def check_size(space: SearchSpace, method: str, trials: int) -> None:
    """Refuse a grid that is larger than the trials allowed.

    Raises
    ------
    UsageError : it is; the message names both numbers.
    """
    if method == "grid" and space.size > trials:
        raise UsageError(
            f"the grid of {space.name} has {space.size:,} points, more than --trials {trials:,}:"
            f" use --trials {space.size}, --method random or --method genetic",
            family=space.name,
            size=space.size,
        )


def _points_of(row: CycleRow) -> tuple[int, ...]:
    return read_search(row.settings["search"]).points


def _ground(row: CycleRow) -> tuple[str, str]:
    return row.data_hash, row.code_version


def _mean(rows: list[FloatArray] | None) -> FloatArray:
    if rows is None:
        return np.full(len(METRIC_NAMES), np.nan)
    mean: FloatArray = np.mean(np.stack(rows), axis=0)
    return mean
