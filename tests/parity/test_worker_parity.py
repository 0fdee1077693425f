"""Genomes through a real workerd, bar by bar: a sample of `scripts/js_parity --served 20`."""

from __future__ import annotations

import pytest

from engine.deploy.parity import genome_differences
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.strategy.columns import compute_columns
from engine.strategy.decisions import ConditionBank
from engine.types import MS_PER_DAY, Bars
from tests.parity.genomes import TIMEFRAME, library_genomes, random_genome
from tests.parity.over_http import served_answers, served_differences
from tests.workers import need_workerd

GENOMES = {
    "bollinger_reversion": library_genomes()["bollinger_reversion"],
    "random 3": random_genome(5, 3),
    "random 8": random_genome(5, 8),
}


@pytest.fixture(scope="module")
def bars() -> Bars:
    return generate_bars("ETH/USDT", 4, end_at=GENERATED_START_AT + 4 * MS_PER_DAY)


@pytest.mark.parametrize("name", list(GENOMES))
def test_a_worker_decides_as_the_engine_does(name: str, bars: Bars) -> None:
    need_workerd()
    assert served_differences(GENOMES[name], bars.slice(0, 500), TIMEFRAME) == []


async def test_the_worker_of_another_genome_is_noticed(bars: Bars) -> None:
    need_workerd()
    part = bars.slice(0, 400)
    bank = ConditionBank(part, TIMEFRAME, compute_columns(part, TIMEFRAME, []))
    meta, answers = await served_answers(library_genomes()["EMA_CROSSOVER"], part)
    assert genome_differences(GENOMES["bollinger_reversion"], bank, meta, answers)
