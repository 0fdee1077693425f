from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.deploy.assignment import ENGINE, Assigned, Owners, Running, assigned
from engine.deploy.rollout import STEPS_FRAC, Verb, VersionFacts, judge, next_share_frac
from engine.deploy_settings import Deploy

SETTINGS = Deploy()
STOP_FRAC = 0.02
WELL = VersionFacts(
    is_rolling=True,
    share_frac=0.05,
    step_age_s=400.0,
    n_requests=40,
    n_latencies=40,
    latency_ms=4.0,
    n_compared_step=10,
    pnl_quote=3.0,
    capital_quote=2_000.0,
)
KEY = ("s", "BTC/USDT")
D = Decimal


def test_a_version_that_does_well_takes_every_step_and_finishes() -> None:
    share, shares = STEPS_FRAC[0], [STEPS_FRAC[0]]
    while (
        action := judge(replace(WELL, share_frac=share), SETTINGS, STOP_FRAC)
    ).verb is Verb.ADVANCE:
        share = action.share_frac
        shares.append(share)
    assert tuple(shares) == STEPS_FRAC
    assert action.verb is Verb.FINISH
    assert next_share_frac(1.0) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"step_age_s": 299.0}, "1 s"),
        ({"n_compared_step": 1}, "2 decisions"),
        ({"silent_s": 20.0}, "an answer"),
    ],
)
def test_a_step_waits_for_time_decisions_and_answers(change: dict[str, float], words: str) -> None:
    action = judge(replace(WELL, **change), SETTINGS, STOP_FRAC)  # type: ignore[arg-type]
    assert action.verb is Verb.WAIT
    assert words in action.reason


BROKEN = [
    ("loss", {"pnl_quote": -40.0}),
    ("divergence", {"n_differing": 1, "difference": "bar 5: long_entry"}),
    ("errors", {"n_failed": 3}),
    ("errors", {"n_requests": 3, "n_failed": 3}),
    ("latency", {"latency_ms": 300.0}),
    ("silence", {"silent_s": 300.0}),
]


@pytest.mark.parametrize("is_rolling", [True, False])
@pytest.mark.parametrize(("rule", "change"), BROKEN)
def test_what_is_broken_rolls_back_with_its_numbers(
    rule: str, change: dict[str, float], is_rolling: bool
) -> None:
    facts = replace(WELL, is_rolling=is_rolling, **change)  # type: ignore[arg-type]
    action = judge(facts, SETTINGS, STOP_FRAC)
    assert (action.verb, action.rule, action.share_frac) == (Verb.ROLL_BACK, rule, 0.0)
    assert action.numbers
    assert action.reason


@pytest.mark.parametrize(
    "change",
    [
        {"n_failed": 2},
        {"n_requests": 2, "n_failed": 2},
        {"pnl_quote": -39.99},
        {"latency_ms": 250.0},
        {"latency_ms": 9_000.0, "n_latencies": 4},
        {"pnl_quote": -50.0, "capital_quote": 0.0},
        {"latency_ms": float("nan"), "n_latencies": 0},
    ],
)
def test_what_is_within_its_band_goes_on(change: dict[str, float]) -> None:
    facts = replace(WELL, **change)  # type: ignore[arg-type]
    assert judge(facts, SETTINGS, STOP_FRAC).verb is Verb.ADVANCE


def test_a_live_version_is_only_watched() -> None:
    live = replace(WELL, is_rolling=False, share_frac=1.0)
    assert judge(live, SETTINGS, STOP_FRAC).verb is Verb.WAIT


def test_alone_a_rolling_version_gets_its_share_of_the_size() -> None:
    assert assigned(KEY, 7, [Running(1, True, 0.25)]) == Assigned(1, 0.25)
    assert assigned(KEY, 7, [Running(1, False, 1.0)]) == Assigned(1, 1.0)
    assert assigned(KEY, 7, []) is None


@given(st.sampled_from(STEPS_FRAC), st.integers(0, 2**40))
def test_beside_a_live_version_each_bar_is_assigned_once(share: float, bar_at: int) -> None:
    running = [Running(1, False, 1.0), Running(2, True, share)]
    found = assigned(KEY, bar_at, running)
    assert found == assigned(KEY, bar_at, running[::-1])
    assert found is not None
    assert found.scale_frac == 1.0
    assert found.version == 2 or share < 1.0


def test_the_share_of_the_positions_is_the_share_of_the_capital() -> None:
    for share in STEPS_FRAC:
        running = [Running(1, False, 1.0), Running(2, True, share)]
        found = [assigned(KEY, bar_at * 300_000, running) for bar_at in range(4_000)]
        drawn = sum(one is not None and one.version == 2 for one in found) / 4_000
        assert abs(drawn - share) < 0.03


def test_a_larger_share_takes_no_bar_back() -> None:
    def drawn(share: float) -> set[int]:
        running = [Running(1, False, 1.0), Running(2, True, share)]
        found = {at: assigned(KEY, at, running) for at in range(500)}
        return {at for at, one in found.items() if one is not None and one.version == 2}

    shares = [drawn(share) for share in STEPS_FRAC]
    assert all(less <= more for less, more in pairwise(shares))


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(-50, 50)), min_size=1, max_size=20))
def test_what_the_versions_gained_adds_up_to_what_all_gained(steps: list[tuple[int, int]]) -> None:
    owners, net = Owners(), D(0)
    for version, gain in steps:
        owners.take(KEY, version, net)
        assert owners.owner(KEY) == version
        net += gain
    parts = [owners.gains_quote(KEY, version, net) for version in range(1, 5)]
    assert sum(parts) == net


def test_before_anything_was_deployed_the_engine_owns() -> None:
    owners = Owners()
    assert owners.owner(KEY) == ENGINE
    owners.take(KEY, 2, D(10))
    assert owners.gains_quote(KEY, 1, D(30)) == 0
    assert owners.gains_quote(KEY, 2, D(30)) == 20
    assert owners.versions() == {KEY: 2}
