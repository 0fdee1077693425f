"""Searches through the cycle machinery, every part in one process without Ray."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.commands.search import flattered, outcome_json, print_outcome
from console.commands.search_run import SearchOutcome, SearchRun, SearchWish
from engine.backtest.metric_names import METRIC_INDEX
from engine.backtest.run import Evaluator, prepare_series
from engine.market.splits import segment_bounds
from engine.store.candidates import candidates_page
from engine.store.cycles import CycleRow, get_cycle, recent_cycles
from engine.strategy.families.catalogue import FAMILIES
from engine.strategy.genome import Direction
from engine.types import Segment
from tests.actors.test_conductor import House

pytestmark = pytest.mark.timeout(60)

SPACE = FAMILIES["RSI_MOMENTUM"]
ARGUMENTS = {"seed": 5, "timeframe": "1h", "days": 40}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    made.config = made.config.model_copy(
        update={
            "generated": made.config.generated.model_copy(update={"days": 40}),
            "market": made.config.market.model_copy(update={"days": 40}),
        }
    )
    await made.open()
    yield made
    await made.close()
    assert made.failures == []


def wish(method: str, trials: int = 48, by: str = "sharpe", space: Any = SPACE) -> SearchWish:
    return SearchWish(space, method, by, trials, 5, ARGUMENTS, "settings")


class Asker:
    """Asks a house for cycles and counts; `most` cycles later it is interrupted."""

    def __init__(self, house: House, most: int = 100) -> None:
        self.house = house
        self.left = most
        self.asked: list[dict[str, Any]] = []

    async def ask(self, arguments: dict[str, Any]) -> int:
        if self.left == 0:
            raise asyncio.CancelledError
        self.left -= 1
        # As a command's row keeps them.
        self.asked.append(json.loads(json.dumps(arguments)))
        return (await self.house.cycle(**self.asked[-1])).id

    async def outcome(self, asked: SearchWish) -> SearchOutcome:
        return await SearchRun(asked, self.house.store, self.ask, self.house.finished).outcome()


def summary(row: CycleRow) -> dict[str, Any]:
    assert (row.status, row.error) == ("done", None)
    return dict(row.summary or {})


async def test_a_grid_is_one_cycle_whose_candidates_are_its_points(house: House) -> None:
    found = await Asker(house).outcome(wish("grid"))
    (row,) = found.cycles
    page = await candidates_page(house.store, row.id)
    assert summary(row)["evaluations"] == 2 * SPACE.size
    assert [item.origin for item in page] == SPACE.size * ["search"]
    # A generated market is a perpetual: both sides.
    assert [item.strategy_id for item in page] == [
        SPACE.genome(SPACE.point(number), "1h", Direction.BOTH).id for number in range(SPACE.size)
    ]
    assert sorted(trial.point for trial in found.trials) == list(range(SPACE.size))


async def test_the_best_is_the_best_of_all_by_the_metric_asked_for(house: House) -> None:
    for by, sign in (("sharpe", 1), ("max_drawdown", -1)):
        found = await Asker(house).outcome(wish("grid", by=by))
        values = [sign * float(trial.validation[METRIC_INDEX[by]]) for trial in found.trials]
        defined = [value for value in values if not math.isnan(value)]
        assert defined == sorted(defined, reverse=True)
        assert values[: len(defined)] == defined
        assert len(set(defined)) > 10


async def test_trials_are_what_the_backtest_of_their_genome_says(house: House) -> None:
    found = await Asker(house).outcome(wish("grid"))
    trial = found.trials[0]
    genome = SPACE.genome(SPACE.point(trial.point), "1h", Direction.BOTH)
    from actors.cycle_plan import plan_cycle
    from engine.backtest.configured import backtest_settings
    from engine.market.configured import market_request
    from engine.market.feed import load_market
    from engine.market.splits import split_window

    config = plan_cycle(house.config, ARGUMENTS, 2).config
    loaded = load_market(market_request(config))
    windows = split_window(loaded.start_at, loaded.end_at, "1h")
    rows = []
    for symbol, bars in loaded.series.items():
        spans = [
            (segment, *segment_bounds(bars.timestamp, window))
            for segment, window in zip((Segment.FIT, Segment.VALIDATION), windows, strict=True)
        ]
        prepared = prepare_series(symbol, "x", "1h", "perp", bars, spans, (genome,))
        rows.append(Evaluator(prepared, backtest_settings(config)).evaluate(genome))
    place = METRIC_INDEX["sharpe"]
    assert trial.fit[place] == pytest.approx((rows[0][0, place] + rows[1][0, place]) / 2)
    assert trial.validation[place] == pytest.approx((rows[0][1, place] + rows[1][1, place]) / 2)


async def test_ten_are_shown_with_both_segments_and_the_warning(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = wish("grid")
    found = await Asker(house).outcome(asked)
    print_outcome(asked, found)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "48 trials of 48 points by grid, in cycle 1; best by sharpe on validation"
    assert [line.split()[0] for line in lines[5:15]] == [
        trial.strategy_id[:8] for trial in found.trials[:10]
    ]
    assert lines[-1] == flattered(48)
    best = outcome_json(asked, found)["best"]
    assert len(best) == 10
    assert best[0]["parameters"] == SPACE.point(found.trials[0].point)
    assert best[0]["fit"]["sharpe"] != best[0]["validation"]["sharpe"]
    assert f"{best[0]['fit']['sharpe']:.2f} | {best[0]['validation']['sharpe']:.2f}" in lines[5]


async def test_a_search_begun_again_reuses_every_trial(house: House) -> None:
    first = await Asker(house).outcome(wish("random", 30))
    again = await Asker(house).outcome(wish("random", 30))
    assert again.cycles[0].results_digest == first.cycles[0].results_digest
    assert again.cycles[0].id != first.cycles[0].id
    assert [trial.point for trial in again.trials] == [trial.point for trial in first.trials]
    assert await evaluations_computed_by(house, again.cycles[0].id) == 0
    assert await evaluations_computed_by(house, first.cycles[0].id) == 2 * 2 * 30


async def test_a_genetic_search_breeds_generations_and_goes_on_after_an_end(
    house: House,
) -> None:
    asked = wish("genetic", 30, space=FAMILIES["MACD_RSI"])
    broken = Asker(house, most=2)
    with pytest.raises(asyncio.CancelledError):
        await broken.outcome(asked)
    resumed = Asker(house)
    found = await resumed.outcome(asked)
    assert [len(call["search"]["points"]) for call in broken.asked] == [10, 10]
    assert [call["search"]["generation"] for call in resumed.asked] == [2]
    assert len({trial.point for trial in found.trials}) == 30
    generations = [row.settings["search"]["generation"] for row in found.cycles]
    assert generations == [0, 1, 2]
    page = await candidates_page(house.store, found.cycles[-1].id)
    assert {(item.origin, item.generation) for item in page} == {("search", 2)}

    # Finished, it asks for the last generation alone, and finds it in the ledger.
    last = Asker(house)
    same = await last.outcome(asked)
    assert [call["search"]["generation"] for call in last.asked] == [2]
    assert [trial.point for trial in same.trials] == [trial.point for trial in found.trials]
    assert await evaluations_computed_by(house, same.cycles[-1].id) == 0


async def test_generations_of_other_bars_are_not_built_upon(house: House) -> None:
    asked = wish("genetic", 20, space=FAMILIES["MACD_RSI"])
    await Asker(house).outcome(asked)
    from engine.store.cycles import update_cycle

    for row in await recent_cycles(house.store, 10):
        await update_cycle(house.store, row.id, data_hash="other bars")
    anew = Asker(house)
    found = await anew.outcome(asked)
    assert [call["search"]["generation"] for call in anew.asked] == [1, 0, 1]
    assert len({row.data_hash for row in found.cycles}) == 1


async def test_a_running_cycle_of_the_same_search_is_followed(house: House) -> None:
    asked = wish("grid")
    run = SearchRun(asked, house.store, Asker(house, most=0).ask, house.finished)
    search = run._search(0, tuple(range(SPACE.size)))
    started = await house.ask("cycle.start", **ARGUMENTS, search=search)
    found = await run.outcome()
    assert [row.id for row in found.cycles] == [started.result["cycle_id"]]
    assert len(found.trials) == SPACE.size


async def test_a_search_cycle_survives_new_conductors(house: House) -> None:
    search = {"family": "RSI_MOMENTUM", "method": "grid"}
    undisturbed = await house.cycle(**ARGUMENTS, search=search)
    await forget(house)
    asked = await house.ask("cycle.start", **ARGUMENTS, search=search)
    cycle_id = asked.result["cycle_id"]
    for name in ("generate", "backtest"):
        while (row := await get_cycle(house.store, cycle_id)).status == "running":
            if row.stage == name:
                break
            await asyncio.sleep(0.005)
        await house.conductor.stop()
        await house.new_conductor()
    done = await house.finished(cycle_id)
    assert done.results_digest == undisturbed.results_digest


async def test_a_bad_search_is_refused_before_a_cycle_is_made(house: House) -> None:
    refused = await house.ask("cycle.start", search={"family": "NO_SUCH", "method": "grid"})
    assert refused.status == "refused"
    assert "no family is called 'NO_SUCH'" in refused.reason
    assert await recent_cycles(house.store, 1) == []


def test_the_warning_names_the_number_of_trials() -> None:
    assert "best of 1,240 trials is flattered" in flattered(1_240)


async def evaluations_computed_by(house: House, cycle_id: int) -> int:
    from sqlalchemy import text

    async with house.store.read() as connection:
        counted = await connection.execute(
            text("SELECT count(*) FROM evaluations WHERE cycle_id = :id"), {"id": cycle_id}
        )
        return int(counted.scalar_one())


async def forget(house: House) -> None:
    from sqlalchemy import text

    async with house.store.write() as connection:
        await connection.execute(text("DELETE FROM curves"))
        await connection.execute(text("DELETE FROM evaluations"))
