"""A sample of `scripts/js_parity`: JavaScript decides what the engine decides, on every bar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.backtest.run import BacktestSettings, Evaluator, prepare_series
from engine.deploy.bundle import assembled, bundled
from engine.deploy.instrument import Instrumented
from engine.deploy.parity import genome_differences
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.market.store import MarketStore
from engine.strategy.columns import compute_columns
from engine.strategy.decisions import ConditionBank
from engine.strategy.genome import Genome
from engine.strategy.javascript.answers import Answers
from engine.strategy.javascript.contract import ScriptMeta, read_meta
from engine.strategy.javascript.run import backtest_script, harness_text
from engine.strategy.javascript.source import parse_source
from engine.strategy.javascript.writer import javascript_of
from engine.types import MS_PER_DAY, Bars, SeriesKey
from engine.validate.sandbox import Sandbox
from tests.parity.campaign import HONEST
from tests.parity.genomes import TIMEFRAME, library_genomes, random_genome
from tests.parity.indicators import Case, indicator_cases, indicator_errors
from tests.parity.traces import LIMITS

N_BARS = 6_000
RANDOM = [random_genome(5, number) for number in range(24)]
NAMED = {**library_genomes(), **{f"random {i}": genome for i, genome in enumerate(RANDOM)}}
SAMPLE = [*list(NAMED)[:4], *list(NAMED)[4::5]]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(LIMITS) as opened:
        yield opened


@pytest.fixture(scope="module")
def made() -> Bars:
    """Generated bars, some missing: inside longer bars, at their ends, and a day and more."""
    bars = generate_bars("BTC/USDT", 11, end_at=GENERATED_START_AT + 30 * MS_PER_DAY)
    rng = np.random.default_rng(2)
    kept = rng.random(len(bars)) > 0.03
    kept[1_000:1_400] = False
    kept[2_003:2_011] = False
    columns = (bars.timestamp, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bars(*(column[kept] for column in columns))


@pytest.fixture(scope="module")
def real(shared_market: Path) -> Bars:
    key = SeriesKey("binance", "ETH/USDT", TIMEFRAME)
    bars = MarketStore(shared_market / "spot-5m").read(key)
    return bars.slice(len(bars) - N_BARS, len(bars))


def answered(box: Sandbox, text: str, bars: Bars) -> tuple[ScriptMeta, Answers]:
    told = box.load(text)
    meta, problems = read_meta(told.get("meta"))
    assert meta is not None, (told, problems)
    box.fill(bars)
    reply = box.run(len(bars), meta.lookback_bars)
    assert "error" not in reply.told, reply.told
    return meta, Answers.of(reply.results)


def guarded(source: str) -> str:
    return bundled(parse_source(source), harness_text()).text


def unguarded(source: str) -> str:
    text = re.sub(r"^export (?=const|function)", "", source, flags=re.M)
    text = re.sub(r"^export \{.*\};$", "", text, flags=re.M)
    text = re.sub(r"import (\{[^}]*\}) from \"paddock\";", r"const \1 = $$library;", text)
    return assembled(Instrumented(text, ()), harness_text()).text


def assert_equal_decisions(box: Sandbox, genome: Genome, bars: Bars) -> None:
    meta, answers = answered(box, guarded(javascript_of(genome)), bars)
    bank = ConditionBank(bars, TIMEFRAME, compute_columns(bars, TIMEFRAME, []))
    assert genome_differences(genome, bank, meta, answers) == []


@pytest.mark.parametrize("name", SAMPLE)
def test_a_genome_decides_alike_on_real_bars(name: str, box: Sandbox, real: Bars) -> None:
    assert_equal_decisions(box, NAMED[name], real)


@pytest.mark.parametrize("name", SAMPLE[2::3])
def test_a_genome_decides_alike_where_bars_are_missing(name: str, box: Sandbox, made: Bars) -> None:
    assert_equal_decisions(box, NAMED[name], made)


def test_one_changed_number_is_noticed(box: Sandbox, made: Bars) -> None:
    genome = NAMED["ema_trend"]
    source = javascript_of(genome).replace("ema(own, 12)", "ema(own, 13)")
    meta, answers = answered(box, guarded(source), made)
    bank = ConditionBank(made, TIMEFRAME, compute_columns(made, TIMEFRAME, []))
    found = {difference.name for difference in genome_differences(genome, bank, meta, answers)}
    assert found >= {"long_entry", "long_exit"}
    source = javascript_of(genome).replace("stop: 0.02", "stop: 0.021")
    meta, answers = answered(box, guarded(source), made)
    (difference,) = genome_differences(genome, bank, meta, answers)
    assert difference.name == "stop_frac"


@pytest.mark.parametrize("name", ["momentum_breakout", "random 3", "random 8", "random 17"])
def test_the_same_trades_come_out_of_the_backtest(name: str, box: Sandbox, made: Bars) -> None:
    genome = NAMED[name]
    prepared = prepare_series("X/Y", "made", TIMEFRAME, "perp", made, (), (genome,))
    evaluator = Evaluator(prepared, BacktestSettings())
    meta, answers = answered(box, guarded(javascript_of(genome)), made)
    mine = evaluator.backtest(genome, 500, 5_000)
    theirs = backtest_script(meta, answers, evaluator, 0.02, 500, 5_000)
    assert len(mine.trades) > 3
    assert theirs.trades == mine.trades
    assert theirs.metrics == pytest.approx(mine.metrics, rel=0, abs=0, nan_ok=True)
    assert np.array_equal(theirs.equity, mine.equity)


@pytest.mark.parametrize("case", list(indicator_cases()), ids=str)
def test_an_indicator_has_the_same_bits(case: Case, box: Sandbox, made: Bars) -> None:
    for found in indicator_errors(box, case, made.slice(0, 2_600), TIMEFRAME):
        assert found["n_same"] == found["n_values"], found


@pytest.mark.parametrize("path", sorted(HONEST.glob("*.js")), ids=lambda path: path.stem)
def test_guards_change_no_answer(path: Path, box: Sandbox, made: Bars) -> None:
    source = path.read_text()
    bars = made.slice(0, 1_500)
    _, with_guards = answered(box, guarded(source), bars)
    _, without = answered(box, unguarded(source), bars)
    for name in ("intent", "leave", "stop_frac", "target_frac", "trailing_frac", "max_bars"):
        assert np.array_equal(getattr(with_guards, name), getattr(without, name), equal_nan=True)
    assert np.array_equal(with_guards.state_bytes, without.state_bytes)
    assert with_guards.fuel.max() < 60_000
