from __future__ import annotations

import math

import pytest

from actors.cycle_plan import plan_cycle, plan_of
from engine.errors import UsageError
from engine.evolve.point_search import bred_points, find_family, random_points, read_search
from engine.settings import Config
from engine.strategy.families.catalogue import FAMILIES

SPACE = FAMILIES["CLASSIC_BREAKOUT"]
BASE = Config()


def distance(number: int, goal: int) -> int:
    """Return how many steps along the parameters' values two points lie apart."""
    one, other = SPACE.point(number), SPACE.point(goal)
    return sum(
        abs(item.values.index(one[item.name]) - item.values.index(other[item.name]))
        for item in SPACE.parameters
    )


def test_a_search_reads_its_points_in_their_order() -> None:
    found = read_search({"family": "classic-breakout", "points": [5, 3, 179], "generation": 2})
    assert (found.space, found.points, found.generation) == (SPACE, (5, 3, 179), 2)
    assert read_search({"family": "CLASSIC_BREAKOUT", "method": "grid"}).points == tuple(range(180))


def test_a_random_search_is_a_function_of_its_seed_and_repeats_nothing() -> None:
    asked = {"family": "MACD_RSI", "method": "random", "seed": 4, "trials": 300}
    points = read_search(asked).points
    assert points == read_search(asked).points
    assert points != read_search({**asked, "seed": 5}).points
    assert len(set(points)) == 300
    assert set(random_points(SPACE, 1_000, 1)) == set(range(180))


@pytest.mark.parametrize(
    ("search", "words"),
    [
        (5, "not an object"),
        ({}, "no family is called ''"),
        ({"family": "SMA_RIS", "method": "grid"}, "did you mean SMA_RSI"),
        ({"family": "SMA_RSI"}, "either points or a method"),
        ({"family": "SMA_RSI", "method": "grid", "points": [1]}, "either points or a method"),
        ({"family": "SMA_RSI", "method": "luck"}, "method 'luck': use grid or random"),
        ({"family": "SMA_RSI", "method": "random", "seed": 1}, "trials = None"),
        ({"family": "SMA_RSI", "method": "random", "trials": 1, "seed": -1}, "seed = -1"),
        ({"family": "SMA_RSI", "points": []}, "not a list"),
        ({"family": "SMA_RSI", "points": [1, 1]}, "a point twice"),
        ({"family": "SMA_RSI", "points": [10_000]}, "no point 10000"),
        ({"family": "SMA_RSI", "points": ["a"]}, "no point 'a'"),
        ({"family": "SMA_RSI", "points": [1], "generation": -1}, "generation = -1"),
        ({"family": "SMA_RSI", "points": [1], "tempo": 1}, "no field 'tempo'"),
    ],
)
def test_what_is_not_a_search_is_refused_in_one_line(search: object, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read_search(search)
    assert "\n" not in caught.value.message


def test_an_unknown_family_is_answered_with_names_near_it() -> None:
    with pytest.raises(UsageError, match="DONCHIAN_BREAKOUT"):
        find_family("DONCHIAN_BRAKEOUT")
    with pytest.raises(UsageError, match="WILLIAMS_"):
        find_family("WILLIAMS")
    with pytest.raises(UsageError, match=f"there are {len(FAMILIES)}"):
        find_family("XQZ")


def test_children_are_new_and_a_function_of_seed_and_generation() -> None:
    scores = {point: float(-point) for point in random_points(SPACE, 40, 1)}
    points = bred_points(SPACE, scores, 20, seed=1, generation=1)
    assert points == bred_points(SPACE, scores, 20, seed=1, generation=1)
    assert points != bred_points(SPACE, scores, 20, seed=1, generation=2)
    assert len(set(points)) == 20
    assert not set(points) & set(scores)


def test_breeding_ends_when_every_point_was_tried() -> None:
    scores = dict.fromkeys(range(170), math.nan)
    assert sorted(bred_points(SPACE, scores, 50, 1, 1)) == list(range(170, 180))
    assert bred_points(SPACE, dict.fromkeys(range(180), 1.0), 5, 1, 1) == ()


def test_breeding_comes_nearer_to_the_best_than_chance() -> None:
    goal = 97
    near: list[float] = []
    far: list[float] = []
    for seed in range(10):
        scores = {p: float(-distance(p, goal)) for p in random_points(SPACE, 40, seed)}
        for generation in (1, 2):
            for point in bred_points(SPACE, scores, 20, seed, generation):
                scores[point] = float(-distance(point, goal))
                near.append(distance(point, goal))
        far += [distance(point, goal) for point in random_points(SPACE, 40, seed + 100)]
    assert sum(near) / len(near) < 0.8 * sum(far) / len(far)


def test_undefined_scores_are_no_parents() -> None:
    scores = {point: math.nan for point in range(60, 180)} | {point: 1.0 for point in range(30)}
    points = bred_points(SPACE, scores, 10, 1, 1)
    lookbacks = {SPACE.point(point)["lookback"] for point in points}
    assert lookbacks <= {10, 15}


def test_a_search_decides_how_many_candidates_a_cycle_has() -> None:
    search = {"family": "CLASSIC_BREAKOUT", "points": [4, 9]}
    plan = plan_cycle(BASE, {"search": search}, 2)
    assert (plan.count, plan.search) == (2, search)
    assert plan_cycle(BASE, {"search": search, "count": 2}, 2).count == 2
    with pytest.raises(UsageError, match="count = 3 does not go with a search of 2 points"):
        plan_cycle(BASE, {"search": search, "count": 3}, 2)
    with pytest.raises(UsageError, match="count = 'infinite'"):
        plan_cycle(BASE, {"search": search, "count": "infinite"}, 2)
    with pytest.raises(UsageError, match="no point 500"):
        plan_cycle(BASE, {"search": {"family": "CLASSIC_BREAKOUT", "points": [500]}}, 2)


def test_a_stored_search_comes_back_with_its_plan() -> None:
    search = {"family": "SMA_RSI", "method": "random", "seed": 1, "trials": 12}
    plan = plan_cycle(BASE, {"search": search}, 2)
    back = plan_of(BASE, plan.settings("ticket"), seed=plan.seed, count=plan.count, wave=0)
    assert back.search == search
    older = {key: value for key, value in plan.settings("ticket").items() if key != "search"}
    assert plan_of(BASE, older, seed=1, count=5, wave=0).search is None
