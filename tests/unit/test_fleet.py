from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.deploy.fleet import Fleet, grouped
from engine.deploy.package import load_bundle, save_bundle
from engine.deploy.token import worker_token, workers_folder
from engine.deploy.version_watch import LEAST_KEPT, VersionWatch
from engine.errors import ConfigError, DataError
from tests.workers import TOKEN, need_workerd, worker_of

NAMES = st.lists(st.sampled_from([f"s{i}" for i in range(12)]), unique=True)


@given(st.lists(NAMES, max_size=5), st.integers(1, 4))
def test_everybody_has_one_place_and_who_runs_stays(steps: list[list[str]], most: int) -> None:
    groups: list[frozenset[str]] = []
    for wanted in steps:
        after = grouped(groups, wanted, most)
        assert sorted(name for group in after for name in group) == sorted(wanted)
        assert all(len(group) <= most for group in after)
        for i, group in enumerate(groups):
            assert group & set(wanted) <= after[i]
        groups = after


def test_the_homes_token_is_drawn_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    drawn = worker_token(tmp_path, {})
    assert worker_token(tmp_path, {}) == drawn
    path = workers_folder(tmp_path) / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    given = {"PADDOCK_WORKER_TOKEN": "x" * 20}
    assert worker_token(tmp_path, given) == "x" * 20
    with pytest.raises(ConfigError, match="at least 16"):
        worker_token(tmp_path, {"PADDOCK_WORKER_TOKEN": "short"})


def test_a_bundle_that_was_changed_is_not_served(tmp_path: Path) -> None:
    bundle = worker_of('return { intent: "hold" };')
    path = save_bundle(tmp_path, bundle)
    assert load_bundle(tmp_path, bundle.sha256).text == bundle.text
    path.write_text(bundle.text.replace('"hold"', '"flat"'))
    with pytest.raises(DataError, match="not what was packaged"):
        load_bundle(tmp_path, bundle.sha256)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_bundle(tmp_path, bundle.sha256)


def test_requests_are_of_five_minutes_and_never_fewer_than_the_last() -> None:
    watch = VersionWatch()
    for at_s in range(LEAST_KEPT + 5):
        watch.answered(float(at_s), 1.0)
    watch.failed(30.0, "broken")
    assert watch.requests(31.0) == (LEAST_KEPT + 6, 1)
    assert watch.requests(9_000.0) == (LEAST_KEPT, 1)
    assert watch.problem == "broken"


def test_one_slow_answer_of_a_few_is_no_hundredth() -> None:
    watch = VersionWatch()
    for i in range(20):
        watch.answered(float(i), 900.0 if i == 7 else 2.0)
    assert watch.latency(20.0) == (20, 2.0)
    watch.answered(20.0, 900.0)
    assert watch.latency(21.0) == (21, 900.0)


def test_only_differing_decisions_count_against_a_version() -> None:
    watch = VersionWatch()
    for words in ("", "", "bar 5", "bar 6"):
        watch.compared(words)
    assert (watch.n_compared, watch.n_compared_step, watch.n_differing) == (4, 2, 2)
    assert watch.difference == "bar 5"


async def test_services_come_and_go_without_a_gap(tmp_path: Path) -> None:
    need_workerd()
    now_s = [0.0]
    told: list[str] = []
    fleet = Fleet(tmp_path, TOKEN, 2, lambda: now_s[0], told.append)
    one, two = worker_of('return { intent: "hold" };'), worker_of('return { intent: "flat" };')
    try:
        await fleet.serve({"a": one})
        (first,) = fleet.pids
        old_url = fleet.url("a")
        await fleet.serve({"a": one, "b": two})
        (second,) = fleet.pids
        assert second != first
        assert fleet.url("a") != old_url
        await fleet.look()
        assert fleet.answers("a")
        assert fleet.answers("b")
        now_s[0] = 10.0
        await fleet.serve({"a": one, "b": two})
        assert fleet.pids == [second]
        await fleet.serve({})
        assert fleet.url("a") == ""
        now_s[0] = 20.0
        await fleet.serve({})
        assert fleet.pids == []
    finally:
        await fleet.stop()
    assert told == []
