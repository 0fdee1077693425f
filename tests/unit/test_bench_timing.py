from __future__ import annotations

from collections.abc import Callable
from threading import Event

import numpy as np
import pytest

from bench.genomes import Stage
from bench.memory import PeakMemory, own_tree, pss_bytes
from bench.timing import Stopwatch, Taken, alternate, median_of, ratio
from bench.worker import ChunkDone
from engine.backtest.metric_names import METRIC_INDEX, N_METRICS


def taking(spans_s: list[float], calls: list[str], name: str) -> Callable[[], Taken]:
    def run() -> Taken:
        calls.append(name)
        return spent(spans_s.pop(0))

    return run


def spent(cpu_s: float) -> Taken:
    return Taken(cpu_s, 2.0 * cpu_s)


def test_contenders_take_turns() -> None:
    calls: list[str] = []
    contenders = {
        "a": taking([1.0, 2.0], calls, "a"),
        "b": taking([10.0, 30.0], calls, "b"),
    }
    assert alternate(contenders, 2) == {
        "a": [spent(1.0), spent(2.0)],
        "b": [spent(10.0), spent(30.0)],
    }
    assert calls == ["a", "b", "a", "b"]


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    theirs = [spent(10.0), spent(60.0), spent(30.0)]
    ours = [spent(1.0), spent(2.0), spent(2.0)]
    assert ratio(theirs, ours) == 15.0
    with pytest.raises(ValueError, match="zip"):
        ratio(theirs, ours[:2])


def test_a_median_run_ignores_one_slow_run() -> None:
    assert median_of(taking([1.0, 9.0, 2.0], [], "a"), 3)() == spent(2.0)


def test_a_stopwatch_counts_no_sleep_as_processor_time() -> None:
    watch = Stopwatch()
    Event().wait(0.05)
    taken = watch.read()
    assert taken.wall_s >= 0.05
    assert taken.cpu_s < taken.wall_s


def chunk(n_genomes: int, trades: float) -> ChunkDone:
    metrics = np.zeros((n_genomes, 2, N_METRICS))
    metrics[:, :, METRIC_INDEX["n_trades"]] = trades
    return ChunkDone(metrics, n_failed=1, parse_s=0.5, evaluate_s=1.0)


def test_a_stage_adds_up_its_chunks() -> None:
    stage = Stage(wall_s=4.0)
    stage.add(chunk(6, 10.0), 1.0)
    stage.add(chunk(2, 40.0), 2.0)
    assert (stage.n_genomes, stage.n_failed, stage.rate_per_s) == (8, 2, 2.0)
    assert np.median(np.concatenate(stage.trades)) == 20.0


def test_a_stage_that_slows_down_shows_it() -> None:
    stage = Stage()
    for at_s in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0):
        stage.add(chunk(1, 1.0), at_s)
    assert stage.last_to_first() == pytest.approx(0.5)
    assert np.isnan(Stage().last_to_first())


def test_peak_memory_sees_this_process() -> None:
    assert 0 < pss_bytes(own_tree())
    assert pss_bytes([2**30]) == 0
    with PeakMemory(every_s=60.0) as memory:
        pass
    assert memory.peak_bytes > 2**20
