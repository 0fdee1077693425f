from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from engine.backtest.run import BacktestSettings, Evaluator, prepare_series
from engine.errors import InvariantError, UsageError
from engine.market.feed import MarketRequest, load_history, load_market
from engine.strategy.families.catalogue import FAMILIES
from engine.strategy.genome import Direction, Genome, StrategyType
from engine.strategy.search_space import Parameter, SearchSpace
from engine.types import Bars, Segment
from engine.validate.genome_check import GenomeLimits, genome_findings

NAMES = tuple(FAMILIES)
FIELD_NAMES = (
    "SMA_EMA_CROSSOVER SMA_RSI ADX_STOCHASTIC AROON_MFI MACD_RSI BOLLINGER_RSI DONCHIAN_BREAKOUT"
    " KELTNER_ADX VWAP_REVERSION ROC_VOLUME WILLIAMS_CCI CLASSIC_BREAKOUT"
).split()
SMALL = 200
N_BASES = 6


@pytest.fixture(scope="module")
def bars() -> Bars:
    """Return 200 days of generated hours."""
    request = MarketRequest("generated", ("BTC/USDT",), "1h", 200, generated_days=200)
    return load_market(request).series["BTC/USDT"]


def spread(space: SearchSpace, n_points: int) -> list[int]:
    """Return points far apart, ends included."""
    return sorted({round(x) for x in np.linspace(0, space.size - 1, n_points)})


def one_change(space: SearchSpace, name: str) -> Iterator[tuple[int, int]]:
    """Yield pairs of points that differ in one parameter only."""
    for base in spread(space, N_BASES):
        values = space.point(base)
        parameter = next(item for item in space.parameters if item.name == name)
        for other in parameter.values:
            if other != values[name]:
                yield base, space.number({**values, name: other})


def genome(space: SearchSpace, number: int, direction: Direction = Direction.BOTH) -> Genome:
    return space.genome(space.point(number), "1h", direction)


def test_there_are_more_than_fifty_families_in_the_names_of_the_field() -> None:
    assert len(FAMILIES) >= 54
    assert set(FIELD_NAMES) <= set(FAMILIES)
    assert all(space.name == name for name, space in FAMILIES.items())
    kinds = {genome(space, 0).type for space in FAMILIES.values()}
    assert kinds >= {
        StrategyType.TREND_FOLLOWING,
        StrategyType.MOMENTUM,
        StrategyType.BREAKOUT,
        StrategyType.MEAN_REVERSION,
    }


def test_no_two_families_are_the_same() -> None:
    first = [genome(space, 0).id for space in FAMILIES.values()]
    assert len(set(first)) == len(first)
    assert len({space.words for space in FAMILIES.values()}) >= 54


def test_the_classic_grid_has_the_numbers_of_the_field() -> None:
    space = FAMILIES["CLASSIC_BREAKOUT"]
    assert {item.name: item.values for item in space.parameters} == {
        "lookback": (10, 15, 20, 25, 30),
        "volume": (1.2, 1.5, 2.0, 2.5),
        "stop_frac": (0.02, 0.03, 0.05),
        "target_frac": (0.05, 0.07, 0.10),
    }
    assert space.size == 180
    built = space.genome(
        {"lookback": 15, "volume": 2.0, "stop_frac": 0.03, "target_frac": 0.07}, "1h"
    )
    assert [item.key for item in built.long_entry] == ["close > donchian(15).prior_upper"]
    assert [item.key for item in built.filters] == ["volume_ratio(20).value > 2.0"]
    assert (built.exits.stop_frac, built.exits.target_frac) == (0.03, 0.07)


@pytest.mark.parametrize("name", NAMES)
def test_every_point_is_a_number_and_comes_back(name: str) -> None:
    space = FAMILIES[name]
    for number in spread(space, 40):
        assert space.number(space.point(number)) == number
    assert space.point(0) == {item.name: item.values[0] for item in space.parameters}
    assert space.point(space.size - 1) == {item.name: item.values[-1] for item in space.parameters}


@pytest.mark.parametrize("name", NAMES)
def test_genomes_of_a_family_may_run_on_spot_and_perpetuals(name: str) -> None:
    space = FAMILIES[name]
    spot = GenomeLimits("1h", "spot", 60 * 24)
    perp = GenomeLimits("1h", "perp", 60 * 24)
    for number in spread(space, 12):
        long_only, both = genome(space, number, Direction.LONG), genome(space, number)
        assert genome_findings(long_only, spot) == []
        assert genome_findings(both, perp) == []
        assert (long_only.short_entry, both.long_entry) == ((), long_only.long_entry)
        assert len(both.short_entry) == len(both.long_entry)
        assert Genome.from_json(both.canonical_json()).id == both.id


@pytest.mark.parametrize("name", [name for name in NAMES if FAMILIES[name].size <= SMALL])
def test_no_two_points_of_a_small_family_are_the_same_strategy(name: str) -> None:
    space = FAMILIES[name]
    ids = {genome(space, number, Direction.LONG).id for number in range(space.size)}
    assert len(ids) == space.size


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_of_a_family_changes_what_it_does(name: str, bars: Bars) -> None:
    space = FAMILIES[name]
    pairs = {item.name: list(one_change(space, item.name)) for item in space.parameters}
    numbers = sorted({number for found in pairs.values() for pair in found for number in pair})
    genomes = [genome(space, number) for number in numbers]
    segments = ((Segment.FIT, 0, len(bars)),)
    prepared = prepare_series("BTC/USDT", "x", "1h", "perp", bars, segments, genomes)
    rows = Evaluator(prepared, BacktestSettings()).evaluate_many(genomes)[:, 0]
    measured = {number: row.tobytes() for number, row in zip(numbers, rows, strict=True)}
    idle = [
        parameter
        for parameter, found in pairs.items()
        if all(measured[one] == measured[other] for one, other in found)
    ]
    assert idle == []


def test_the_classic_grid_gives_180_different_results_on_real_bars(shared_market: Path) -> None:
    start_at, end_at = (
        int(datetime(*day, tzinfo=UTC).timestamp()) * 1000 for day in ((2023, 1, 1), (2025, 7, 1))
    )
    request = MarketRequest(
        "store", ("BTC/USDT",), "1h", 912, store=shared_market / "perp-1h", exchange="binance-perp"
    )
    found = load_history(request, start_at, end_at).series["BTC/USDT"]
    space = FAMILIES["CLASSIC_BREAKOUT"]
    genomes = [genome(space, number, Direction.LONG) for number in range(space.size)]
    began_s = time.perf_counter()
    segments = ((Segment.FIT, 0, len(found)),)
    prepared = prepare_series("BTC/USDT", "x", "1h", "perp", found, segments, genomes)
    rows = Evaluator(prepared, BacktestSettings()).evaluate_many(genomes)[:, 0]
    spent_s = time.perf_counter() - began_s
    print(f"180 points over {len(found):,} bars in {spent_s * 1000:.1f} ms")
    assert len(found) == 21_888
    assert len({row.tobytes() for row in rows}) == 180
    assert np.all(rows[:, 9] > 0)


def test_a_bad_point_is_refused_in_one_line() -> None:
    space = FAMILIES["CLASSIC_BREAKOUT"]
    values = space.point(0)
    with pytest.raises(UsageError, match="no point 180: use a whole number from 0 to 179"):
        space.point(180)
    with pytest.raises(UsageError, match="no point -1"):
        space.point(-1)
    with pytest.raises(UsageError, match="no point True"):
        space.point(True)
    with pytest.raises(UsageError, match="no parameter 'tempo': it takes lookback, volume"):
        space.genome({**values, "tempo": 1}, "1h")
    with pytest.raises(UsageError, match=r"needs a value of volume: 1\.2 1\.5 2 2\.5"):
        space.genome({key: value for key, value in values.items() if key != "volume"}, "1h")
    with pytest.raises(UsageError, match="lookback = 11 is not one of 10 15 20 25 30"):
        space.genome({**values, "lookback": 11}, "1h")


def test_a_space_needs_parameters_with_different_names_and_values() -> None:
    build = FAMILIES["SMA_RSI"].build
    one = Parameter("length", (1, 2))
    with pytest.raises(InvariantError, match="each of them once"):
        Parameter("length", (1, 1))
    with pytest.raises(InvariantError, match="each of them once"):
        Parameter("length", ())
    with pytest.raises(InvariantError, match="each name once"):
        SearchSpace("TWICE", "", (one, one), build)
    with pytest.raises(InvariantError, match="needs parameters"):
        SearchSpace("NONE", "", (), build)
