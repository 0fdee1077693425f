"""Which points of a family a search tries: all, a random sample, or children of the best.

A search travels as plain JSON, so that it fits into a command and into a cycle's settings:
`{"family": NAME, "points": [numbers]}`, or `{"family": NAME, "method": "grid"}`, or
`{"family": NAME, "method": "random", "seed": S, "trials": N}`. `generation` (0 and up) may be
added, and `run`, a text by which whoever asked knows the search again.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import UsageError
from engine.strategy.families.catalogue import FAMILIES
from engine.strategy.search_space import SearchSpace

_KEYS = frozenset({"family", "points", "method", "seed", "trials", "generation", "run"})
_MOST_TRIES = 200
_PARENTS_FRAC = 0.25
_MUTATION_RATE = 0.2


@dataclass(frozen=True, slots=True)
class PointSearch:
    """One cycle's part of a search.

    Attributes
    ----------
    space : the family
    points : numbers of its points, all different, at least one; the candidates in their order
    generation : of a genetic search, from 0
    """

    space: SearchSpace
    points: tuple[int, ...]
    generation: int = 0


def find_family(name: object) -> SearchSpace:
    """Return the family called `name`, whatever its case.

    Raises
    ------
    UsageError : there is none; the message lists names near it.
    """
    upper = str(name).upper().replace("-", "_")
    if upper in FAMILIES:
        return FAMILIES[upper]
    near = difflib.get_close_matches(upper, list(FAMILIES), n=5, cutoff=0.5)
    if not near:
        first = upper.partition("_")[0]
        near = [known for known in FAMILIES if first and first in known.split("_")]
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {len(FAMILIES)}"
    raise UsageError(
        f"no family is called {name!r}: {hint} `paddock search --list` names them all",
        family=str(name),
    )


def read_search(search: object) -> PointSearch:
    """Return the search that its JSON says.

    Raises
    ------
    UsageError : anything that is not a search: keys, family, method, a point that is not there or
        is there twice.
    """
    if not isinstance(search, Mapping):
        raise UsageError(f"search {search!r} is not an object with a family")
    unknown = sorted(set(search) - _KEYS)
    if unknown:
        raise UsageError(
            f"a search has no field {unknown[0]!r}: it takes {', '.join(sorted(_KEYS))}"
        )
    space = find_family(search.get("family", ""))
    generation = _whole(search.get("generation", 0), "generation", 0)
    if ("points" in search) == ("method" in search):
        raise UsageError("a search takes either points or a method")
    points = _listed(space, search["points"]) if "points" in search else _drawn(space, search)
    return PointSearch(space, points, generation)


def random_points(space: SearchSpace, n_points: int, seed: int) -> tuple[int, ...]:
    """Return different points of a space in random order; all of them when it has no more."""
    generator = np.random.default_rng([seed, 0])
    wanted = min(n_points, space.size)
    return tuple(int(i) for i in generator.choice(space.size, size=wanted, replace=False))


def bred_points(
    space: SearchSpace, scores: Mapping[int, float], n_points: int, seed: int, generation: int
) -> tuple[int, ...]:
    """Return points that were not tried, bred from the best of those that were.

    Two parents out of the best quarter give each parameter's value with equal chance; a value then
    moves to a neighbour with chance 0.2. Where breeding finds nothing new, a random untried point
    stands in.

    Parameters
    ----------
    scores : of every point tried so far, higher is better, nan is worst
    n_points : as many as wanted; fewer come when the space is almost exhausted
    seed, generation : the key of the draws; generation >= 1
    """
    generator = np.random.default_rng([seed, generation])
    ranked = sorted(scores, key=lambda point: (_badness(scores[point]), point))
    n_parents = max(2, math.ceil(len(ranked) * _PARENTS_FRAC))
    defined = [point for point in ranked[:n_parents] if not math.isnan(scores[point])]
    parents = defined or ranked[:n_parents]
    taken = set(scores)
    chosen: list[int] = []
    while len(chosen) < min(n_points, space.size - len(scores)):
        point = _child(space, parents, generator, taken)
        taken.add(point)
        chosen.append(point)
    return tuple(chosen)


def _badness(score: float) -> float:
    return math.inf if math.isnan(score) else -score


def _child(
    space: SearchSpace, parents: Sequence[int], generator: np.random.Generator, taken: set[int]
) -> int:
    for _ in range(_MOST_TRIES):
        first, second = (parents[int(i)] for i in generator.integers(len(parents), size=2))
        point = space.number(_mixed(space, first, second, generator))
        if point not in taken:
            return point
    free = np.setdiff1d(np.arange(space.size), np.fromiter(taken, dtype=np.int64))
    return int(free[int(generator.integers(free.shape[0]))])


def _mixed(
    space: SearchSpace, first: int, second: int, generator: np.random.Generator
) -> dict[str, Any]:
    mother, father = space.point(first), space.point(second)
    child: dict[str, Any] = {}
    for parameter in space.parameters:
        parent = mother if generator.random() < 0.5 else father
        place = parameter.values.index(parent[parameter.name])
        if generator.random() < _MUTATION_RATE:
            place += 1 if generator.random() < 0.5 else -1
        last = len(parameter.values) - 1
        child[parameter.name] = parameter.values[min(last, max(0, place))]
    return child


def _listed(space: SearchSpace, points: object) -> tuple[int, ...]:
    if not isinstance(points, list | tuple) or not points:
        raise UsageError(f"search points {points!r} are not a list of whole numbers")
    for point in points:
        space.point(point)
    if len(set(points)) != len(points):
        raise UsageError(f"a search of {space.name} names a point twice: name each once")
    return tuple(points)


def _drawn(space: SearchSpace, search: Mapping[Any, Any]) -> tuple[int, ...]:
    method = search["method"]
    if method == "grid":
        return tuple(range(space.size))
    if method == "random":
        trials = _whole(search.get("trials"), "trials", 1)
        return random_points(space, trials, _whole(search.get("seed"), "seed", 0))
    raise UsageError(
        f"search method {method!r}: use grid or random; genetic search sends points", method=method
    )


def _whole(value: object, name: str, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"search {name} = {value!r}: use a whole number from {least} up")
    return value
