"""`paddock report strategy`: the ledger's numbers run again, told truly, written whole or not."""

from __future__ import annotations

import asyncio
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import console.cli
import console.commands.report as report_command
from console.commands.report import write_together
from engine.backtest.configured import backtest_settings
from engine.backtest.metric_names import METRIC_INDEX, N_METRICS
from engine.backtest.run import ENGINE_VERSION, Evaluator, prepare_series
from engine.config import load_config
from engine.errors import StoreError
from engine.market.feed import LoadedMarket, MarketRequest, load_history, load_market
from engine.market.splits import split_window
from engine.report.stored_evidence import rows_that_belong_together
from engine.select.gates import Rule
from engine.settings import Config
from engine.store.candidates import CandidateRow, add_candidates
from engine.store.cycles import create_cycle, update_cycle
from engine.store.database import Store, sqlite_url
from engine.store.evaluations import EvaluationRow
from engine.store.ledger import ensure_contexts, record
from engine.store.strategies import ScoreRow, change_status, update_scores
from engine.store.trial_context import TrialContext
from engine.store.verdicts import VerdictRow, save_verdicts
from engine.strategy.genome import Genome
from engine.strategy.library import ema_trend, momentum_breakout
from engine.types import MS_PER_DAY, FloatArray

CONFIG = """
[paths]
home = "./var"
[market]
symbols = ["BTC/USDT"]
days = 45
[cycle]
timeframe = "1h"
[generated]
days = 120
"""
SYMBOL = "BTC/USDT"
NOW_AT = 1_767_620_460_000


@dataclass(frozen=True, slots=True)
class Bred:
    """A home whose cycle evaluated one strategy on fit, validation and holdout."""

    home: Path
    child: Genome
    parent: Genome
    others: tuple[Genome, ...]
    n_trades: int


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    genome: Genome
    contexts: tuple[TrialContext, ...]
    metrics: FloatArray


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    monkeypatch.setenv("PADDOCK_CONFIG", str(config))
    return tmp_path / "var"


@pytest.fixture(scope="module")
def scored() -> Scored:
    """One strategy over generated bars, evaluated as a cycle and the paper gate evaluate it."""
    request = MarketRequest("generated", (SYMBOL,), "1h", days=45, generated_days=120)
    window = load_market(request)
    unseen = load_history(request, window.start_at - 60 * MS_PER_DAY, window.start_at)
    genome = momentum_breakout("1h")
    fit, validation = split_window(window.start_at, window.end_at, "1h")
    spans = (
        ("fit", window, fit.start_at, fit.end_at),
        ("validation", window, validation.start_at, validation.end_at),
        ("holdout", unseen, unseen.start_at, unseen.end_at),
    )
    found = [evaluate(genome, *span) for span in spans]
    return Scored(genome, tuple(c for c, _ in found), np.array([m for _, m in found]))


def evaluate(
    genome: Genome, name: str, market: LoadedMarket, start_at: int, end_at: int
) -> tuple[TrialContext, FloatArray]:
    bars = market.series[SYMBOL]
    start, stop = np.searchsorted(bars.timestamp, [start_at, end_at]).tolist()
    prepared = prepare_series(
        SYMBOL,
        "generated",
        "1h",
        "perp",
        bars,
        ((name, start, stop),),  # type: ignore[arg-type]
        (genome,),
    )
    metrics = Evaluator(prepared, backtest_settings(Config())).evaluate(genome)[0]
    context = TrialContext(
        exchange="generated",
        symbol=SYMBOL,
        timeframe="1h",
        series_hash=bars.content_hash(),
        window_start_at=start_at,
        window_end_at=end_at,
        segment=name,
        costs_hash="c" * 16,
        engine_version=ENGINE_VERSION,
    )
    return context, metrics


@pytest.fixture
def bred(home: Path, scored: Scored) -> Bred:
    home.mkdir()
    parent = ema_trend("1h")
    others = tuple(
        parent.with_changes(exits=parent.exits.model_copy(update={"stop_frac": 0.01 + 0.001 * i}))
        for i in range(20)
    )
    asyncio.run(fill(home, scored, parent, others))
    n_trades = int(scored.metrics[:, METRIC_INDEX["n_trades"]].sum())
    return Bred(home, scored.genome, parent, others, n_trades)


async def fill(home: Path, scored: Scored, parent: Genome, others: tuple[Genome, ...]) -> None:
    config = load_config()
    store = await Store.open(sqlite_url(home))
    try:
        cycle = await create_cycle(
            store,
            seed=77,
            count=2,
            symbols=[SYMBOL],
            timeframe="1h",
            days=45,
            exchange="generated",
            market_label="GENERATED",
            edge="momentum 0.15",
            created_at=NOW_AT,
            settings={
                "config": config.model_dump(
                    mode="json", include={"market", "generated", "cycle", "backtest"}
                ),
                "store": str(config.paths.store),
            },
            config_hash="c0ffee",
            window_start_at=scored.contexts[0].window_start_at,
            window_end_at=scored.contexts[1].window_end_at,
        )
        child = candidate(0, scored.genome, parent.id)
        rest = [candidate(i + 1, genome) for i, genome in enumerate((parent, *others))]
        await add_candidates(store, cycle.id, [child, *rest])
        ids = await ensure_contexts(store, cycle.id, scored.contexts)
        await write_ledger(store, cycle.id, ids, scored.genome.id, scored.metrics)
        await update_scores(store, [score(scored.genome.id)])
        await change_status(store, scored.genome.id, "screened", "by the screen", "ana", NOW_AT)
        rule = Rule("sharpe", -0.25, 1.0, False, "holdout")
        facts = {"n_scored": 7, "why": "7 strategies were scored there"}
        verdict = VerdictRow(scored.genome.id, cycle.id, "paper", SYMBOL, False, (rule,), facts, 5)
        await save_verdicts(store, [verdict])
    finally:
        await store.close()


async def write_ledger(
    store: Store, cycle_id: int, ids: list[int], strategy_id: str, metrics: FloatArray
) -> None:
    await record(
        store,
        cycle_id=cycle_id,
        context_ids=np.array(ids),
        strategy_ids=[strategy_id] * len(ids),
        metrics=metrics,
        now_at=NOW_AT,
    )


def candidate(idx: int, genome: Genome, parent: str | None = None) -> CandidateRow:
    return CandidateRow(
        idx=idx,
        strategy_id=genome.id,
        origin="genetic" if parent else "library",
        type=str(genome.type),
        timeframe=genome.timeframe,
        direction=str(genome.direction),
        genome=genome.canonical_json(),
        generation=1 if parent else 0,
        parent_a=parent,
        parent_b=None,
        status="valid",
        created_at=NOW_AT,
    )


def score(strategy_id: str) -> ScoreRow:
    numbers = dict.fromkeys(
        ("sharpe", "max_drawdown", "n_trades", "total_return", "win_rate", "profit_factor"), 0.5
    )
    return ScoreRow(id=strategy_id, fitness=0.5, best_symbol=SYMBOL, **numbers)


def change_store(home: Path, **statements: tuple[Any, ...]) -> None:
    """Run SQL on the store, as a hand that meddles with it would."""
    import sqlite3

    connection = sqlite3.connect(home / "paddock.db")
    with connection:
        for sql in statements.values():
            connection.execute(*sql)
    connection.close()


def change_settings(home: Path, settings: dict[str, Any]) -> None:
    async def change() -> None:
        store = await Store.open(sqlite_url(home))
        try:
            await update_cycle(store, 1, settings=settings)
        finally:
            await store.close()

    asyncio.run(change())


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert console.cli.run(["report", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    lines: list[str] = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    return lines[0]


def test_report_runs_the_backtest_again_and_every_number_equals_the_ledger(
    bred: Bred, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder"
    short = bred.child.id[:8]
    assert console.cli.run(["report", "strategy", short, "--out", str(out), "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert captured.err == ""
    assert told["segments"] == ["fit", "validation", "holdout"]
    assert told["check"] == {"compared": 3 * N_METRICS, "different": 0, "warnings": []}
    assert told["n_verdicts"] == 1
    page, trades = Path(told["page"]), Path(told["trades"])
    assert sorted(path.name for path in out.iterdir()) == sorted([page.name, trades.name])
    assert (page.name, trades.name) == (
        f"{short}-BTC-USDT.html",
        f"{short}-BTC-USDT-trades.csv",
    )
    text = page.read_text()
    for words in (
        f"all {3 * N_METRICS} numbers equal the ledger",
        "GENERATED MARKET",
        "Paper gate",
        "7 strategies were scored there",
        bred.parent.id[:8],
        "by the screen",
        "c0ffee",
    ):
        assert words in text, words
    with trades.open(newline="") as opened:
        logged = list(csv.DictReader(opened))
    assert bred.n_trades > 3
    assert len(logged) == told["n_trades"] == bred.n_trades
    assert {row["segment"] for row in logged} == {"fit", "validation", "holdout"}


def test_without_a_folder_reports_go_to_the_home_and_paths_are_printed(
    bred: Bred, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.cli.run(["report", "strategy", bred.child.id, "--symbol", "btc/usdt"]) == 0
    page, trades = map(Path, capsys.readouterr().out.split())
    assert page.parent == trades.parent == bred.home / "reports"
    assert page.stat().st_size > 10_000
    assert page.stat().st_mode & 0o400


def test_number_that_differs_from_the_ledger_is_said_loudly(
    bred: Bred, capsys: pytest.CaptureFixture[str]
) -> None:
    change_store(bred.home, sharpe=("UPDATE evaluations SET sharpe = sharpe + 1e-12",))
    assert console.cli.run(["report", "strategy", bred.child.id]) == 0
    captured = capsys.readouterr()
    assert "3 of 96 numbers differ from the ledger's" in captured.err
    text = Path(captured.out.split()[0]).read_text()
    assert "Not the ledger" in text
    assert "validation: Sharpe" in text


def test_bars_that_changed_are_named(bred: Bred, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {
        "config": {
            **load_config().model_dump(mode="json", include={"market", "cycle", "backtest"}),
            "generated": {**load_config().generated.model_dump(), "seed": 2},
        },
        "store": str(bred.home / "market"),
    }
    change_settings(bred.home, settings)
    assert console.cli.run(["report", "strategy", bred.child.id, "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["check"]["different"] > 30
    assert len(told["check"]["warnings"]) == 2
    assert "bars of fit and validation have changed since cycle 1" in captured.err
    assert "bars of holdout have changed" in captured.err


def test_bars_that_are_gone_are_one_line_and_nothing_is_written(
    bred: Bred, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config().model_dump(mode="json", include={"market", "cycle", "generated"})
    config["market"]["source"] = "store"
    gone = tmp_path / "gone"
    change_settings(bred.home, {"config": config, "store": str(gone)})
    out = tmp_path / "out"
    complaint = refused(capsys, 1, "strategy", bred.child.id, "--out", str(out))
    assert str(gone) in complaint
    assert not out.exists()


def test_window_without_bars_is_named_with_its_days(
    bred: Bred, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config().model_dump(mode="json", include={"market", "cycle", "generated"})
    config["generated"].update(days=10)
    change_settings(bred.home, {"config": config, "store": str(tmp_path)})
    complaint = refused(capsys, 1, "strategy", bred.child.id, "--out", str(tmp_path / "out"))
    assert "the bars of fit are gone: generated BTC/USDT 1h holds none from 2025-" in complaint
    assert not (tmp_path / "out").exists()


def test_genome_of_another_version_is_one_line(
    bred: Bred, capsys: pytest.CaptureFixture[str]
) -> None:
    change_store(bred.home, genome=("UPDATE strategies SET genome = '{\"version\":9}'",))
    complaint = refused(capsys, 1, "strategy", bred.child.id)
    assert f"cannot read the genome of strategy {bred.child.id[:8]}" in complaint


def test_cycle_that_kept_no_settings_is_one_line(
    bred: Bred, capsys: pytest.CaptureFixture[str]
) -> None:
    change_settings(bred.home, {})
    complaint = refused(capsys, 1, "strategy", bred.child.id)
    assert "cycle 1 does not say what settings it ran with" in complaint


def test_id_that_is_unknown_ambiguous_or_never_evaluated_is_one_line(
    bred: Bred, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is not in the store" in refused(capsys, 2, "strategy", "zzz")
    firsts = [genome.id[0] for genome in bred.others]
    shared = next(digit for digit in firsts if firsts.count(digit) > 1)
    assert "is ambiguous" in refused(capsys, 2, "strategy", shared)
    assert "has never been evaluated" in refused(capsys, 2, "strategy", bred.others[0].id)
    complaint = refused(capsys, 2, "strategy", bred.child.id, "--symbol", "DOGE/USDT")
    assert "was evaluated on BTC/USDT" in complaint
    assert not (bred.home / "reports").exists()


def test_report_of_nothing_is_one_line_that_names_the_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "`paddock report --help`" in refused(capsys, 2)


def test_without_a_database_it_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no database" in refused(capsys, 1, "strategy", "abc")
    assert not home.exists()


def test_folder_that_cannot_be_written_is_one_line(
    bred: Bred, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    complaint = refused(capsys, 1, "strategy", bred.child.id, "--out", str(blocked))
    assert f"cannot write {blocked}" in complaint
    assert "--out" in complaint
    assert blocked.read_text() == "not a folder"


def test_files_that_belong_together_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.html"
    write_together({first: "old a", second: "old b"})
    real = report_command._written_aside

    def full_disk(path: Path, text: str) -> Path:
        if path == second:
            raise OSError(28, "No space left on device")
        return real(path, text)

    monkeypatch.setattr(report_command, "_written_aside", full_disk)
    with pytest.raises(StoreError, match=r"cannot write .*b\.html: No space left"):
        write_together({first: "new a", second: "new b"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.csv": "old a",
        "b.html": "old b",
    }


def test_rows_of_other_bars_are_never_mixed_with_the_latest() -> None:
    def row(segment: str, series: str, cycle_id: int, costs: str = "c") -> EvaluationRow:
        context = TrialContext("x", SYMBOL, "1h", series, 0, cycle_id, segment, costs, "1")
        return EvaluationRow("s", cycle_id, context, cycle_id, "ok", None, np.zeros(N_METRICS))

    old = [row("fit", "old", 1), row("validation", "old", 1), row("holdout", "u1", 1)]
    new = [row("fit", "new", 2), row("validation", "new", 2)]
    dear = [row("holdout", "u2", 3, costs="other")]
    found = rows_that_belong_together([*old, *dear, *new])
    assert [(r.context.segment, r.context.series_hash) for r in found] == [
        ("fit", "new"),
        ("validation", "new"),
        ("holdout", "u1"),
    ]
    assert rows_that_belong_together(old[:1]) == tuple(old[:1])
    alone = rows_that_belong_together([*old, new[1]])
    assert [r.context.series_hash for r in alone] == ["new", "u1"]


def test_help_tells_what_it_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.cli.run(["report", "strategy", "--help"]) == 0
    told = capsys.readouterr().out
    assert "tear sheet" in told
    assert "--out" in told
