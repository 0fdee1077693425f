"""The simulated exchange on bars gives the backtest's trades: golden cases, and random plans."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backtest import layout
from engine.backtest import rules as r
from engine.backtest.plain import simulate_plain_nb
from engine.backtest.rules import ExitReason
from engine.types import Bars
from tests.reference.markets import is_wild, rough_bars
from tests.venues.bar_trader import BarTrader, Plan, Trade

GOLDEN = Path(__file__).parents[1] / "golden" / "fills.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
# 39 and 63 end in ruin.
SEEDS = (*range(22), 39, 63)
N_BARS = 800


def golden_bars(rows: list[dict[str, float]]) -> Bars:
    column = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}
    stamps = np.arange(len(rows), dtype=np.int64) * 300_000
    volume = np.zeros(len(rows))
    return Bars(stamps, column["open"], column["high"], column["low"], column["close"], volume)


def marks(n_bars: int, where: Any) -> np.ndarray:
    found = np.zeros(n_bars, dtype=bool)
    found[[] if where is None else where] = True
    return found


def golden_plan(case: dict[str, Any]) -> Plan:
    n_bars = len(case["bars"])
    is_short = case.get("side") == "short"
    signals = case.get("signals")
    if signals is not None:
        long_at = [i for i, signal in enumerate(signals) if signal == "long"]
        short_at = [i for i, signal in enumerate(signals) if signal == "short"]
    else:
        long_at = [] if is_short else case["enter_at_close"]
        short_at = case["enter_at_close"] if is_short else []
    leaves = marks(n_bars, case.get("exit_at_close"))
    return Plan(
        marks(n_bars, long_at),
        marks(n_bars, short_at),
        leaves,
        leaves,
        stop_frac=case.get("stop") or math.nan,
        target_frac=case.get("target") or math.nan,
        trailing_frac=case.get("trailing") or math.nan,
        max_bars=case.get("max_bars") or math.inf,
        commission_frac=case.get("commission", 0.0),
        slippage_frac=case.get("slippage", 0.0),
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_the_engine_gives_the_golden_fills(case: dict[str, Any]) -> None:
    expected = case["expected"]
    done = await BarTrader(golden_plan(case), golden_bars(case["bars"])).run()
    wanted = expected.get("trades")
    if isinstance(wanted, int):
        assert len(done.trades) == wanted
    rows = wanted if isinstance(wanted, list) else [expected]
    for trade, row in zip(done.trades, rows, strict=False):
        _same(trade, row)
    assert len(done.trades) == (wanted if isinstance(wanted, int) else len(rows))
    if "open" in expected:
        assert done.entry_bar == expected["open"]["entry_bar"]
        assert float(done.entry) == pytest.approx(expected["open"]["entry"], rel=1e-9)
        assert done.side == (-1 if expected["open"].get("side") == "short" else 1)
    if "net_return" in expected:
        assert done.equity[-1] / 10_000 - 1 == pytest.approx(expected["net_return"], rel=1e-9)
    if "equity_return" in expected:
        assert done.equity[-1] / 10_000 - 1 == pytest.approx(expected["equity_return"], rel=1e-9)


def _same(trade: Trade, row: dict[str, Any]) -> None:
    for key in ("entry_bar", "exit_bar", "reason"):
        if key in row:
            assert getattr(trade, key) == row[key], key
    for key in ("entry", "exit"):
        if key in row:
            assert getattr(trade, key) == pytest.approx(row[key], rel=1e-9), key


def random_plan(seed: int, n_bars: int) -> Plan:
    rng = np.random.default_rng([seed, 11])
    chance = rng.choice([0.01, 0.1, 0.4])
    leave_chance = rng.choice([0.0, 0.03])
    long_, short, leave_long, leave_short = (
        rng.random(n_bars) < p for p in (chance, chance, leave_chance, leave_chance)
    )
    return Plan(
        long_,
        short,
        leave_long,
        leave_short,
        stop_frac=float(rng.choice([math.nan, 0.0003, 0.003, 0.02])),
        target_frac=float(rng.choice([math.nan, 0.004, 0.03])),
        trailing_frac=float(rng.choice([math.nan, 0.0005, 0.01])),
        max_bars=float(rng.choice([math.inf, 1, 5, 30])),
        size_frac=float(rng.choice([0.1, 1.0, 3.0])),
        on_opposite=bool(rng.integers(2)),
        commission_frac=float(rng.choice([0.0, 0.001])),
        slippage_frac=float(rng.choice([0.0, 0.0005, 0.005])),
    )


def backtest(plan: Plan, bars: Bars) -> tuple[list[Trade], np.ndarray]:
    n_bars = len(bars)
    rules = np.empty(r.N_RULES)
    rules[r.STOP], rules[r.TARGET], rules[r.TRAILING] = (
        plan.stop_frac,
        plan.target_frac,
        plan.trailing_frac,
    )
    rules[r.MAX_BARS] = r.NEVER if math.isinf(plan.max_bars) else plan.max_bars
    rules[r.SIZE], rules[r.KELLY], rules[r.ON_OPPOSITE] = plan.size_frac, 0.0, plan.on_opposite
    rules[r.COMMISSION], rules[r.SLIPPAGE] = plan.commission_frac, plan.slippage_frac
    rules[r.INITIAL] = plan.capital
    trades, equity = np.zeros((n_bars + 1, layout.N_TRADE)), np.zeros(n_bars + 1)
    wishes = (plan.wants_long, plan.wants_short, plan.leaves_long, plan.leaves_short)
    prices = (bars.open, bars.high, bars.low, bars.close)
    closed, _ = simulate_plain_nb(
        *prices, *wishes, np.empty(0), np.empty((0, 4)), 0, n_bars, rules, trades, equity
    )
    found = [
        Trade(
            int(row[layout.T_SIDE]),
            int(row[layout.T_ENTRY_BAR]),
            row[layout.T_ENTRY],
            int(row[layout.T_EXIT_BAR]),
            row[layout.T_EXIT],
            ExitReason(int(row[layout.T_REASON])).name.lower(),
        )
        for row in trades[:closed]
    ]
    return found, equity


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_plans_give_the_backtests_trades_on_rough_bars(seed: int) -> None:
    bars = rough_bars(seed, N_BARS, "5m")
    plan = random_plan(seed, len(bars))
    wanted, equity = backtest(plan, bars)
    done = await BarTrader(plan, bars).run()
    assert len(done.trades) == len(wanted)
    for trade, want in zip(done.trades, wanted, strict=True):
        same = ("side", "entry_bar", "exit_bar")
        assert [getattr(trade, key) for key in same] == [getattr(want, key) for key in same]
        assert trade.entry == pytest.approx(want.entry, rel=1e-10)
        if want.reason != "ruin":
            assert trade.reason == want.reason
            assert trade.exit == pytest.approx(want.exit, rel=1e-10)
    assert done.equity == pytest.approx(equity.tolist(), rel=1e-8, abs=1e-6)


def test_the_plans_meet_ruin_and_every_reason_to_leave() -> None:
    reasons = {
        trade.reason
        for seed in SEEDS
        for bars in [rough_bars(seed, N_BARS, "5m")]
        for trade in backtest(random_plan(seed, len(bars)), bars)[0]
    }
    assert reasons == {"stop", "trailing", "target", "signal", "time", "ruin"}
    assert any(is_wild(seed) for seed in SEEDS)
