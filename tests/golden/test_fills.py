"""The known answers of the fill rules, on the kernel and on its plain oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backtest.costs import Costs
from engine.backtest.rules import Rules
from engine.backtest.run import BacktestResult, BacktestSettings, Evaluator, prepare_series
from engine.strategy.bits import pack
from engine.strategy.decisions import Decisions
from engine.types import Bars

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "fills.json").read_text(encoding="utf-8")
)["cases"]


def _bars(rows: list[dict[str, float]]) -> Bars:
    column = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}
    n_bars = len(rows)
    return Bars(
        np.arange(n_bars, dtype=np.int64) * 300_000,
        column["open"],
        column["high"],
        column["low"],
        column["close"],
        np.ones(n_bars),
    )


def _marks(n_bars: int, where: Any) -> np.ndarray:
    marks = np.zeros(n_bars, dtype=bool)
    marks[[] if where is None else where] = True
    return pack(marks)


def run_case(case: dict[str, Any]) -> BacktestResult:
    bars = _bars(case["bars"])
    n_bars = len(bars)
    if "signals" in case:
        long_at = [i for i, s in enumerate(case["signals"]) if s == "long"]
        short_at = [i for i, s in enumerate(case["signals"]) if s == "short"]
    else:
        is_short = case.get("side") == "short"
        long_at = [] if is_short else case["enter_at_close"]
        short_at = case["enter_at_close"] if is_short else []
    leave = _marks(n_bars, case.get("exit_at_close"))
    decisions = Decisions(
        _marks(n_bars, long_at), _marks(n_bars, short_at), leave, leave, np.empty(0)
    )
    rules = Rules(
        stop_frac=case.get("stop"),
        target_frac=case.get("target"),
        trailing_frac=case.get("trailing"),
        max_bars=case.get("max_bars"),
    )
    costs = Costs(case.get("commission", 0.0), case.get("slippage", 0.0))
    prepared = prepare_series("X/Y", "case", "5m", "perp", bars, ())
    return Evaluator(prepared, BacktestSettings(costs=costs)).backtest_decisions(decisions, rules)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_fill_rule_gives_the_known_answer(case: dict[str, Any]) -> None:
    expected = case["expected"]
    result = run_case(case)
    trades = result.trades
    wanted_trades = expected.get("trades")
    if isinstance(wanted_trades, int):
        assert len(trades) == wanted_trades
    wanted = wanted_trades if isinstance(wanted_trades, list) else [expected]
    single = {key: value for key, value in expected.items() if key not in ("trades", "open")}
    if not isinstance(wanted_trades, list):
        wanted = [single] if set(single) - {"equity_return"} else []
    for trade, want in zip(trades if wanted else (), wanted, strict=True):
        for key, value in want.items():
            got = getattr(trade, key)
            if key == "side":
                assert got == (1 if value == "long" else -1)
            elif key == "reason":
                assert got == value
            else:
                assert got == pytest.approx(value, rel=1e-9), key
    if "open" in expected:
        assert result.open_trade is not None
        for key, value in expected["open"].items():
            got = getattr(result.open_trade, key)
            assert got == (
                (1 if value == "long" else -1) if key == "side" else pytest.approx(value)
            )
    if "equity_return" in expected:
        assert result.metrics["total_return"] == pytest.approx(expected["equity_return"], rel=1e-9)
