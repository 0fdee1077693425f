"""Evolving one strategy: rounds as cycles, every part in one process, the author a local server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from console.commands.evolve import Evolved, followed
from engine.backtest.configured import backtest_settings
from engine.backtest.metric_names import METRIC_INDEX
from engine.backtest.run import Evaluator, prepare_series
from engine.errors import RuntimeUnavailable
from engine.evolve.draws import Draws
from engine.evolve.judge import Judge
from engine.evolve.random_genome import draw_genome
from engine.evolve.rounds import improvement
from engine.evolve.universe import Universe
from engine.market.configured import market_request
from engine.market.feed import LoadedMarket, load_market
from engine.market.splits import segment_bounds, split_window
from engine.settings import Config
from engine.store.bulk import insert_rows
from engine.store.cycles import get_cycle
from engine.store.database import Store
from engine.store.events import events_page
from engine.store.ledger import trials_total
from engine.store.strategies import get_strategy, lineage
from engine.store.tables import strategies
from engine.store.transcripts import transcripts_of_cycle
from engine.strategy.genome import Genome
from engine.strategy.written import written_document, written_id
from engine.types import Segment
from engine.validate.genome_check import GenomeLimits
from tests.actors.test_conductor import House
from tests.language_author import module_text
from tests.openai_server import KEY, OpenAIServer, Reply

pytestmark = pytest.mark.timeout(240)

TIMEFRAME = "5m"
UNIVERSE = Universe.of(TIMEFRAME, "perp", ("5m", "15m", "1h", "4h"))


@dataclass(frozen=True)
class Rung:
    """A genome and its annual Sharpe ratio on validation in the market of a house."""

    genome: Genome
    sharpe: float


@cache
def ladder() -> tuple[Rung, ...]:
    """Return genomes that trade enough, from the worst to the best: many close to each other."""
    config = House(Path("/nonexistent")).config
    loaded = load_market(market_request(config))
    drawn = [draw_genome(Draws.keyed(3, n), UNIVERSE) for n in range(300)]
    found = _measured(config, loaded, drawn)
    bases = [rung for rung in found if 1.5 < rung.sharpe < 8.0][:: max(1, len(found) // 40)][:4]
    close = [
        rung.genome.with_changes(
            exits=rung.genome.exits.model_copy(update={"target_frac": target, "stop_frac": stop})
        )
        for rung in bases
        for target in np.linspace(0.003, 0.03, 10).round(4).tolist()
        for stop in np.linspace(0.004, 0.03, 10).round(4).tolist()
    ]
    return tuple(_measured(config, loaded, [*drawn, *close]))


def _measured(config: Config, loaded: LoadedMarket, genomes: Sequence[Genome]) -> list[Rung]:
    windows = split_window(loaded.start_at, loaded.end_at, TIMEFRAME)
    rows = []
    for symbol, bars in loaded.series.items():
        spans = [
            (segment, *segment_bounds(bars.timestamp, window))
            for segment, window in zip((Segment.FIT, Segment.VALIDATION), windows, strict=True)
        ]
        prepared = prepare_series(symbol, "x", TIMEFRAME, "perp", bars, spans, genomes)
        rows.append(Evaluator(prepared, backtest_settings(config)).evaluate_many(genomes)[:, 1])
    table = np.mean(rows, axis=0)
    fitness, sharpe = table[:, METRIC_INDEX["fitness"]], table[:, METRIC_INDEX["sharpe"]]
    found = {
        genome.id: Rung(genome, float(sharpe[i]))
        for i, genome in enumerate(genomes)
        if math.isfinite(fitness[i]) and math.isfinite(sharpe[i])
    }
    return sorted(found.values(), key=lambda rung: (rung.sharpe, rung.genome.id))


def climb(start: Rung, low: float, high: float) -> Rung | None:
    """Return a rung that improves on `start` by low <= gain < high and holds other positions."""
    judge = Judge(GenomeLimits(TIMEFRAME, "perp", 1_920), backtest_settings(Config()), 0.95)
    judge.know({start.genome.id: start.genome})
    for rung in ladder():
        if low <= improvement(rung.sharpe, start.sharpe) < high:
            text = rung.genome.canonical_json()
            if judge.judge("genome", text, "stop", start.genome.id).is_accepted:
                return rung
    return None


@dataclass(frozen=True)
class Steps:
    """A start, two small steps up from it, one large one, and one down from the first."""

    start: Rung
    first: Rung
    second: Rung
    far: Rung
    worse: Rung


@cache
def steps() -> Steps:
    for start in ladder():
        if start.sharpe < 1.0 or (first := climb(start, 0.02, 0.05)) is None:
            continue
        most = improvement(start.sharpe * 1.09, first.sharpe)
        second = climb(first, 0.021, most)
        far, worse = climb(start, 0.11, 9.0), climb(first, -9.0, -0.3)
        if second is not None and far is not None and worse is not None:
            return Steps(start, first, second, far, worse)
    raise AssertionError("the ladder has no three rungs close to each other")


async def stored(store: Store, strategy_id: str, document: str, status: str = "screened") -> str:
    columns = ("id", "type", "origin", "name", "timeframe", "direction", "genome")
    row = (strategy_id, "hybrid", "user", "", TIMEFRAME, "both", document, 0, 1, status)
    async with store.write() as connection:
        await insert_rows(
            connection, strategies, (*columns, "generation", "created_at", "status"), [row]
        )
    return strategy_id


class Stage:
    """A house with an author that answers one genome after the other; the last one again."""

    def __init__(self, folder: Path, texts: Sequence[str], variants: int = 1) -> None:
        self.texts = list(texts)
        self.server = OpenAIServer(self.answer)
        self.folder = folder
        self.variants = variants

    def answer(self, number: int, _body: dict[str, Any]) -> Reply:
        return Reply(self.texts[min(number, len(self.texts) - 1)])

    async def __aenter__(self) -> Stage:
        await self.server.__aenter__()
        self.house = House(
            self.folder,
            evolve={"variants": self.variants},
            language_model={"base_url": self.server.base_url, "repairs": 0},
        )
        await self.house.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.house.close()
        await self.server.__aexit__()
        assert self.house.failures == []

    async def evolve(self, strategy_id: str, **arguments: Any) -> Evolved:
        following: Any = SimpleNamespace(
            store=self.house.store,
            session=SimpleNamespace(clock=self.house.clock),
            rejoin=self.house.finished,
            check_runtime=_nothing,
        )
        return await followed(following, {"strategy_id": strategy_id, **arguments})


async def _nothing() -> None:
    return None


async def test_a_much_better_version_takes_its_parents_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDOCK_OPENAI_API_KEY", KEY)
    start, better = steps().start, steps().far
    async with Stage(tmp_path, [better.genome.canonical_json()]) as stage:
        store = stage.house.store
        root = await stored(store, start.genome.id, start.genome.canonical_json())
        found = (await stage.evolve(root)).as_json()
        assert found["ending"] == "replaced"
        assert found["best"] == better.genome.id
        (told,) = found["rounds"]
        assert told["parent_sharpe"] == pytest.approx(start.sharpe)
        assert told["best_sharpe"] == pytest.approx(better.sharpe)
        assert found["total_gain"] == pytest.approx(improvement(better.sharpe, start.sharpe))
        assert (await get_strategy(store, root)).row.status == "retired"
        child = (await get_strategy(store, better.genome.id)).row
        assert (child.origin, child.parent_a) == ("language_model", root)
        assert [row.row.id for row in await lineage(store, child.id)] == [child.id, root]
        event = (await events_page(store, kind="strategy.status", subject=root))[-1]
        assert "→ retired: replaced by " + child.id[:12] in event.message
        # Parent and child, on fit and validation of two symbols, stand in the ledger.
        assert await trials_total(store) == 8
        (row,) = await transcripts_of_cycle(store, told["cycle_id"])
        assert "Strengths" in row.prompt or "Weaknesses" in row.prompt
        assert (row.parent_id, row.outcome) == (root, "accepted")


async def test_small_steps_go_on_to_the_last_round_and_replace_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDOCK_OPENAI_API_KEY", KEY)
    start, first, second = steps().start, steps().first, steps().second
    texts = [first.genome.canonical_json(), second.genome.canonical_json()]
    async with Stage(tmp_path, texts) as stage:
        store = stage.house.store
        root = await stored(store, start.genome.id, start.genome.canonical_json())
        found = (await stage.evolve(root, rounds=2)).as_json()
        assert found["ending"] == "rounds"
        assert [told["best"] for told in found["rounds"]] == [first.genome.id, second.genome.id]
        assert [told["round"] for told in found["rounds"]] == [1, 2]
        assert 0.02 <= found["total_gain"] < 0.10
        assert (await get_strategy(store, root)).row.status in ("screened", "generated")
        # The second round starts from the first one's best and knows what was tried.
        (row,) = await transcripts_of_cycle(store, found["rounds"][1]["cycle_id"])
        assert row.parent_id == first.genome.id
        assert "in round 1" in row.prompt


async def test_a_round_without_gain_is_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDOCK_OPENAI_API_KEY", KEY)
    start, first, worse = steps().start, steps().first, steps().worse
    texts = [first.genome.canonical_json(), worse.genome.canonical_json()]
    async with Stage(tmp_path, texts) as stage:
        root = await stored(stage.house.store, start.genome.id, start.genome.canonical_json())
        found = (await stage.evolve(root)).as_json()
        assert found["ending"] == "converged"
        assert len(found["rounds"]) == 2
        assert found["best"] == first.genome.id
        assert found["rounds"][1]["gain"] == 0.0


async def test_without_a_key_versions_are_bred_and_a_new_conductor_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PADDOCK_OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    start = steps().start
    async with Stage(tmp_path, [""], variants=4) as stage:
        house = stage.house
        root = await stored(house.store, start.genome.id, start.genome.canonical_json())
        first = (await house.ask("strategy.evolve", strategy_id=root)).result["cycle_id"]
        await house.conductor.stop()
        await house.new_conductor()
        # The same wish again joins what is under way.
        found = (await stage.evolve(root)).as_json()
        assert found["rounds"][0]["cycle_id"] == first
        assert found["ending"] in ("replaced", "converged", "rounds")
        assert stage.server.bodies == []
        row = await get_cycle(house.store, first)
        assert row.settings["evolve"]["root"] == root


async def test_a_written_strategy_is_improved_in_its_own_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDOCK_OPENAI_API_KEY", KEY)
    parent, child = module_text(1), module_text(12)
    async with Stage(tmp_path, [f"```js\n{child}```"]) as stage:
        store = stage.house.store
        root = await stored(store, written_id(parent), written_document(parent))
        found = (await stage.evolve(root, rounds=1)).as_json()
        (told,) = found["rounds"]
        (row,) = await transcripts_of_cycle(store, told["cycle_id"])
        assert row.outcome == "accepted", row.reason
        assert row.strategy_id == written_id(child)
        assert "response_format" not in stage.server.bodies[0]
        assert (await get_strategy(store, written_id(child))).genome == written_document(child)


async def test_what_cannot_be_evolved_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PADDOCK_OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    module = module_text(1)
    async with Stage(tmp_path, [""]) as stage:
        root = await stored(stage.house.store, written_id(module), written_document(module))
        with pytest.raises(RuntimeUnavailable, match="only a language model can improve it"):
            await stage.evolve(root)
        with pytest.raises(RuntimeUnavailable, match="is not in the store"):
            await stage.evolve("0123")
        with pytest.raises(RuntimeUnavailable, match="no argument 'speed'"):
            await stage.evolve(root, speed=1)
