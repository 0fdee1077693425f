"""From the screen to paper: unseen bars, trials counted, negative controls, run twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.control_limits import is_suspicious
from engine.store.evaluations import evaluations_of_strategy
from engine.store.events import events_page
from engine.store.strategies import count_statuses
from engine.store.verdicts import VerdictRow, verdicts_of_cycle
from engine.types import MS_PER_DAY
from tests.actors.test_conductor import House

pytestmark = pytest.mark.timeout(120)

EASY_SCREEN = {
    "sharpe_min": -100.0,
    "max_drawdown_max": 1.0,
    "n_trades_min": 5,
    "profit_factor_min": 0.0,
    "total_return_min": -0.9,
    "win_rate_enabled": False,
}
EASY_PAPER = {
    **EASY_SCREEN,
    "deflated_sharpe_min": 0.0,
    "overfit_probability_max": 1.0,
    "unseen_days_min": 20,
}


async def opened(folder: Path, **sections: object) -> House:
    given = {"market": {"days": 20, "symbols": ("BTC/USDT", "ETH/USDT")}, **sections}
    house = House(folder, screen=EASY_SCREEN, **given)  # type: ignore[arg-type]
    await house.open()
    return house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await opened(tmp_path, paper=EASY_PAPER, generated={"days": 60})
    yield made
    await made.close()
    assert made.failures == []


def facts(rows: list[VerdictRow]) -> list[tuple[object, ...]]:
    return [(row.strategy_id, row.symbol, row.passed, row.rules, row.facts) for row in rows]


async def test_candidates_are_judged_on_bars_from_before_the_window(house: House) -> None:
    row = await house.cycle(seed=5, count=60)
    summary = row.summary or {}
    rows = await verdicts_of_cycle(house.store, row.id)
    assert rows
    assert summary["promoted"] == sum(item.passed for item in rows) > 0
    assert (await count_statuses(house.store))["paper"] == summary["promoted"]
    for item in rows:
        scores = await evaluations_of_strategy(house.store, item.strategy_id)
        [unseen] = [score.context for score in scores if score.context.segment == "holdout"]
        assert unseen.window_end_at <= (row.window_start_at or 0)
        assert item.facts["unseen_days"] == pytest.approx(40, abs=1)
        assert item.facts["n_scored"] >= item.facts["n_effective"] >= 1
        assert not item.facts["is_probation"]
    told = await events_page(house.store, kind="cycle.controls")
    assert {event.subject for event in told} == set(summary["controls"])
    for found in summary["controls"].values():
        assert found["candidates"] >= found["screened"] >= found["passed"]


async def test_a_second_cycle_counts_those_that_were_scored_before(house: House) -> None:
    first = await house.cycle(seed=5, count=60)
    before = {row.strategy_id: row for row in await verdicts_of_cycle(house.store, first.id)}
    second = await house.cycle(seed=6, count=60, state="empty")
    symbols = {row.symbol for row in before.values()}
    for row in await verdicts_of_cycle(house.store, second.id):
        if row.symbol in symbols and row.strategy_id not in before:
            earlier = sum(item.symbol == row.symbol for item in before.values())
            assert row.facts["n_scored"] > earlier


async def test_judging_twice_says_the_same_and_promotes_nobody_twice(house: House) -> None:
    first = await house.cycle(seed=5, count=60)
    once = facts(await verdicts_of_cycle(house.store, first.id))
    events = len(await events_page(house.store, kind="strategy.status"))
    from sqlalchemy import text

    async with house.store.write() as connection:
        await connection.execute(
            text("UPDATE cycles SET status = 'running', stage = 'promote' WHERE id = 1")
        )
        await connection.execute(text("UPDATE stages SET status = 'running' WHERE name='promote'"))
    await house.conductor.stop()
    await house.new_conductor()
    again = await house.finished(first.id)
    assert facts(await verdicts_of_cycle(house.store, first.id)) == once
    assert (again.summary or {})["promoted"] == (first.summary or {})["promoted"]
    assert len(await events_page(house.store, kind="strategy.status")) == events


async def test_without_unseen_bars_validation_judges_and_every_trial_counts(
    tmp_path: Path,
) -> None:
    house = await opened(tmp_path, paper=EASY_PAPER, generated={"days": 20})
    try:
        row = await house.cycle(seed=5, count=60)
        rows = await verdicts_of_cycle(house.store, row.id)
        assert rows
        for item in rows:
            assert item.facts["is_probation"]
            assert item.facts["n_effective"] == item.facts["n_scored"] >= 50
            assert {rule.where for rule in item.rules} == {"validation", "fit and validation"}
    finally:
        await house.close()


async def test_the_pool_is_a_limit(tmp_path: Path) -> None:
    house = await opened(tmp_path, paper=EASY_PAPER, generated={"days": 60}, pools={"paper_max": 1})
    try:
        row = await house.cycle(seed=5, count=60)
        passed = sum(item.passed for item in await verdicts_of_cycle(house.store, row.id))
        assert passed > 1
        assert (row.summary or {})["promoted"] == 1
    finally:
        await house.close()


async def test_nothing_is_read_from_the_unseen_year_but_by_the_gate(house: House) -> None:
    row = await house.cycle(seed=5, count=40)
    assert row.window_start_at is not None
    async with house.store.read() as connection:
        from sqlalchemy import text

        query = text("SELECT min(earliest_read_at) FROM strategies")
        earliest = (await connection.execute(query)).scalar_one()
    assert abs(earliest - row.window_start_at) < MS_PER_DAY


@pytest.mark.parametrize(
    ("passed", "of", "is_told"),
    [(0, 100, False), (1, 100, False), (5, 100, True), (1, 1, False), (2, 2, True)],
)
def test_controls_are_told_when_chance_does_not_explain_them(
    passed: int, of: int, is_told: bool
) -> None:
    assert is_suspicious(passed, of) is is_told
