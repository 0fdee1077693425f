"""`paddock paper`: what it trades, prints, keeps and records, and one sentence for bad wishes."""

from __future__ import annotations

import asyncio
import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import console.cli
from engine.backtest.metric_names import METRIC_NAMES
from engine.store.accounts import save_accounts
from engine.store.candidates import CandidateRow, add_candidates
from engine.store.cycles import create_cycle
from engine.store.database import Store, sqlite_url
from engine.store.evaluations import evaluations_of_strategy
from engine.store.paper_evaluations import paper_evaluations_of
from engine.store.paper_trades import PaperTrade, save_paper_trades
from engine.store.strategies import ScoreRow, change_status, update_scores
from engine.strategy.genome import Genome
from engine.strategy.library import ema_trend, library_genome
from engine.trade.orders import Side
from engine.types import MS_PER_DAY
from tests.console.filled_trading import account

CONFIG = """
[paths]
home = "./var"
[market]
symbols = ["BTC/USDT"]
days = 5
[cycle]
timeframe = "1h"
[generated]
days = 60
[trading]
history_bars = 400
"""
# The generated market ends at the start of 2026.
END_AT = 1_767_225_600_000
SYMBOL = "BTC/USDT"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    monkeypatch.setenv("PADDOCK_CONFIG", str(config))
    return tmp_path / "var"


def paddock(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert console.cli.run(["paper", *arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(paddock(capsys, *arguments, "--json"))


def stored(home: Path, genome: Genome, window_end_at: int, status: str = "paper") -> None:
    """Make a home whose cycle ended at an instant and bred one strategy."""

    home.mkdir(exist_ok=True)

    async def fill() -> None:
        store = await Store.open(sqlite_url(home))
        try:
            cycle = await create_cycle(
                store,
                seed=1,
                count=1,
                symbols=[SYMBOL],
                timeframe=genome.timeframe,
                days=30,
                exchange="generated",
                market_label="GENERATED",
                edge="",
                created_at=1,
                settings={},
                config_hash="c",
                window_start_at=window_end_at - 30 * MS_PER_DAY,
                window_end_at=window_end_at,
            )
            row = CandidateRow(
                idx=0,
                strategy_id=genome.id,
                origin="library",
                type=str(genome.type),
                timeframe=genome.timeframe,
                direction=str(genome.direction),
                genome=genome.canonical_json(),
                generation=0,
                parent_a=None,
                parent_b=None,
                status="valid",
                created_at=1,
            )
            await add_candidates(store, cycle.id, [row])
            numbers = dict.fromkeys(
                ("sharpe", "max_drawdown", "n_trades", "total_return", "win_rate"), 0.5
            )
            score = ScoreRow(
                id=genome.id, fitness=0.5, best_symbol=SYMBOL, profit_factor=1.5, **numbers
            )
            await update_scores(store, [score])
            await change_status(store, genome.id, status, "by the test", "ana", 2)
        finally:
            await store.close()

    asyncio.run(fill())


def in_store(home: Path, work: Any) -> Any:
    async def run() -> Any:
        store = await Store.open(sqlite_url(home))
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def test_strategies_by_name_trade_as_their_backtest_and_prove_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = paddock(capsys, "ema_trend", "momentum", "--days", "30", "--no-limits")
    lines = out.splitlines()
    assert lines[0].startswith("paper  GENERATED (momentum 0.15) generated perp 1h  2025-12-02")
    assert lines[1] == "2 accounts of 10,000 each, no limits"
    assert lines[4].split()[:2] == ["ema_trend", SYMBOL]
    n_trades = int(lines[4].split()[2])
    assert n_trades > 10
    assert "the same as in the backtest" in out
    assert "differ" not in lines[-3]
    assert lines[-2].endswith("positions and cash agree with the venue")
    assert lines[-1].endswith("lines verified")


def test_the_numbers_are_the_backtest_s_and_json_has_all_of_them(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (replay,) = as_json(capsys, "ema_trend", "--days", "30", "--no-limits")["replays"]
    assert replay["sound"] and replay["unexplained"] == 0
    assert replay["market"]["label"] == "GENERATED"
    assert replay["terms"] == {
        "limits": False,
        "capital_quote": 10_000.0,
        "balance_quote": None,
        "latency_ms": 0,
        "fault_chance": 0.0,
    }
    (result,) = replay["results"]
    assert result["equal"] == result["trades"] > 10
    assert list(result["metrics"]) == list(METRIC_NAMES)
    for name in ("total_return", "sharpe", "max_drawdown", "win_rate"):
        assert result["metrics"][name] == pytest.approx(result["backtest"][name], rel=1e-9)
    (account_end,) = replay["accounts"]
    assert account_end["journal_whole"] and account_end["agrees"]
    assert account_end["fills"] >= 2 * result["metrics"]["n_trades"]


def test_limits_are_on_unless_told_otherwise_and_every_difference_has_its_cause(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDOCK_LIMITS__STRATEGY_FRAC", "0.005")
    (replay,) = as_json(capsys, "ema_trend", "momentum", "--days", "20")["replays"]
    assert replay["terms"]["limits"] and replay["terms"]["balance_quote"] == 100_000.0
    assert replay["terms"]["capital_quote"] == 1_000.0
    assert [found["account"] for found in replay["accounts"]] == ["paper"]
    trend = replay["results"][0]
    assert trend["causes"] == {"limit": trend["trades"]}
    words = trend["differences"][0]["differences"][0]["words"]
    assert words.startswith("risk:")
    table = paddock(capsys, "ema_trend", "momentum", "--days", "20")
    assert f"{trend['trades']} limit" in table


def test_both_trade_logs_lie_side_by_side_in_a_file(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "trades.csv"
    out = paddock(capsys, "ema_trend", "--days", "20", "--no-limits", "--trades", str(path))
    with path.open(newline="") as source:
        rows = list(csv.DictReader(source))
    assert f"trades    {len(rows)}:" in out
    for row in rows[:-1]:
        assert row["cause"] == ""
        assert float(row["paper_entry_quote"]) == pytest.approx(float(row["backtest_entry_quote"]))
        assert row["paper_reason"] == row["backtest_reason"]
        assert row["paper_entry_at"] == row["backtest_entry_at"]
    refused = paddock(
        capsys, "ema_trend", "--days", "5", "--trades", str(tmp_path / "no" / "x.csv"), code=1
    )
    assert "cannot write" in refused


def test_journals_may_be_kept_and_verify(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    paddock(capsys, "ema_trend", "--days", "10", "--keep", str(kept))
    journal = kept / "1h" / "paper" / "journal.jsonl"
    assert console.cli.run(["journal", "verify", "--file", str(journal)]) == 0
    capsys.readouterr()
    again = paddock(capsys, "ema_trend", "--days", "10", "--keep", str(kept), code=2)
    assert "not empty" in again


def test_stored_strategies_trade_where_they_did_best_and_the_ledger_hears_of_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genome = ema_trend("1h")
    stored(home, genome, END_AT)
    out = paddock(capsys, "--days", "20")
    assert genome.id[:8] in out
    assert "1 as replays" in out
    (row,) = in_store(home, lambda store: evaluations_of_strategy(store, genome.id))
    assert (row.context.segment, row.context.symbol, row.context.timeframe) == (
        "replay",
        SYMBOL,
        "1h",
    )
    assert row.context.window_end_at == END_AT
    assert row.context.window_start_at == END_AT - 20 * MS_PER_DAY
    assert not np.isnan(row.metrics).all()
    # The same again is one row; the live gate sees none of it.
    assert "ledger" not in paddock(capsys, "--days", "20")
    assert in_store(home, lambda store: paper_evaluations_of(store, genome.id, SYMBOL)) == ()
    # Nothing that reads the ledger stumbles over a segment it did not know.
    assert console.cli.run(["show", genome.id[:8]]) == 0
    assert "replay" in capsys.readouterr().out


def test_bars_after_everything_a_strategy_has_seen_count_for_the_live_gate(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genome = ema_trend("1h")
    stored(home, genome, END_AT - 20 * MS_PER_DAY)
    assert "1 on bars nothing had seen" in paddock(capsys, "--days", "20")
    (row,) = in_store(home, lambda store: paper_evaluations_of(store, genome.id, SYMBOL))
    assert row.context.segment == "paper"
    # One day more reaches into bars that its cycle worked on.
    assert "1 as replays" in paddock(capsys, "--days", "21")


def test_a_genome_file_trades_too_and_leaves_no_row(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(library_genome("momentum_breakout", "1h").canonical_json())
    stored(home, ema_trend("1h"), END_AT)
    out = paddock(capsys, str(path), "--days", "10")
    assert "mine.json" in out
    assert "ledger" not in out


def test_slow_and_faulty_venues_can_be_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = paddock(capsys, "ema_trend", "--days", "3", "--latency-ms", "50", "--faults", "0.02")
    assert "50 ms of latency, faults with a chance of 0.02" in out
    assert "verified" in out


def test_a_pace_is_kept(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await real(0)

    monkeypatch.setattr("console.commands.replay_progress.asyncio.sleep", sleep)
    paddock(capsys, "ema_trend", "--days", "1", "--speed", "36000")
    # 24 bars of an hour at ten an hour: 0.1 s apart, had nothing else taken time.
    assert waited and max(waited) <= 2.4
    assert sum(1 for seconds in waited if seconds > 0) > 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ema_trend"], "--days 30"),
        (["--days", "0"], "--days 0"),
        (["nobody", "--days", "3"], "no strategy 'nobody'"),
        (["--days", "3"], "no stored strategy is of status paper"),
        (["--status", "famous", "--days", "3"], "--status famous"),
        (["ema_trend", "--days", "3", "--speed", "0"], "--speed 0"),
        (["ema_trend", "--days", "3", "--faults", "1.5"], "--faults 1.5"),
        (["ema_trend", "--days", "3", "--latency-ms", "-1"], "--latency-ms -1"),
        (["ema_trend", "--days", "3", "--timeframe", "7m"], "--timeframe 7m"),
        (["ema_trend", "--days", "3", "--symbols", "bitcoin"], "BITCOIN"),
    ],
)
def test_a_wish_that_makes_no_sense_is_one_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    told = paddock(capsys, *arguments, code=2)
    assert words in told
    assert len(told.splitlines()) == 1


def test_what_sells_short_needs_a_perpetual(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PADDOCK_MARKET__TYPE", "spot")
    long_only = library_genome("momentum", "1h")
    both = long_only.with_changes(
        direction="both", short_entry=long_only.long_entry, long_entry=long_only.long_entry
    )
    path = tmp_path / "both.json"
    path.write_text(both.canonical_json())
    assert "sells short" in paddock(capsys, str(path), "--days", "3", code=2)
    assert "spot" in paddock(capsys, "momentum", "--days", "3")


# The runtime's own account


def test_without_bars_the_runtime_s_account_is_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genome = ema_trend("1h")
    stored(home, genome, END_AT)
    told = paddock(capsys)
    assert "no account yet" in told
    trades = [
        PaperTrade(
            account="paper",
            strategy_id=genome.id,
            symbol=SYMBOL,
            side=Side.BUY,
            entry_at=i,
            entry=Decimal(100),
            exit_at=i + 1,
            exit=Decimal(101),
            reason="target",
            qty_base=Decimal(1),
            pnl_quote=Decimal(pnl),
            net_return=0.01,
        )
        for i, pnl in enumerate(("5.5", "-1.25"))
    ]
    in_store(home, lambda store: save_accounts(store, [account(at=1)]))
    in_store(home, lambda store: save_paper_trades(store, trades))
    lines = paddock(capsys).splitlines()
    assert "equity 100,310.22 USDT" in lines[0]
    assert "unprotected 172.79" in lines[0]
    assert lines[1] == "runtime   down"
    row = next(line for line in lines if line.startswith(genome.id[:8]))
    assert row.split()[-3:] == ["2", "50.0%", "+4.25"]
    found = json.loads(paddock(capsys, "--json"))
    assert found["strategies"][0]["pnl_quote"] == 4.25
    assert found["account"]["equity_quote"] == 100_310.22


def test_without_a_store_the_account_cannot_be_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no database" in paddock(capsys, code=1)
