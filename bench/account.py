"""A paper account as a trader keeps it, with limits so wide that every order leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np

from actors.trader import paced
from bench.bars import SYMBOLS
from bench.report import say
from engine.clock import Clock, SystemClock
from engine.config import load_config, with_settings
from engine.risk.latch import Latch
from engine.risk.risk_model import risk_model_of
from engine.settings import Config
from engine.trade.account_clock import RATE_SPAN_S, AccountClock
from engine.trade.accounts import PAPER
from engine.trade.assembly import Assembly, Terms, assemble
from engine.trade.exchange import Exchange
from engine.trade.journal import Journal
from engine.trading_settings import Limits, Orders
from engine.types import Bars

BALANCE = Decimal(1_000_000)
_SEED = 7
# Every rule is asked and has its numbers; none refuses, so that orders leave.
WIDE = Limits(
    risk_per_trade_frac=1.0,
    position_frac=1.0,
    strategy_frac=1.0,
    group_frac=1.0,
    leverage_max=100.0,
    correlation_max=1.0,
    value_at_risk_frac=1.0,
    position_loss_frac=1.0,
    daily_loss_frac=1.0,
    weekly_loss_frac=1.0,
    monthly_loss_frac=1.0,
    drawdown_reduce_frac=1.0,
    drawdown_stop_frac=1.0,
    drawdown_flatten_frac=1.0,
)


async def open_account(
    exchange: Exchange, clock: Clock, folder: Path, *, latch: Latch | None = None, rate: float = 1.0
) -> Assembly:
    """Return a started account whose journal and latch lie in `folder`, armed and vouched for.

    Parameters
    ----------
    rate : exchange seconds a second
    """
    latch = latch or Latch(folder / "latch", PAPER, "bench")
    latch.arm("bench", "a benchmark", clock.now_at())

    async def fail(error: BaseException) -> None:
        raise error

    assembly = assemble(
        exchange,
        Journal.open(folder / "journal", PAPER),
        latch,
        Terms(paced(Orders(rate_per_minute=1_000_000), rate), WIDE, 0.02, 3_600.0, "USDT"),
        clock=clock,
        wall=clock,
        sleep=asyncio.sleep,
        tell=lambda kind, subject, words: say(f"{kind} {subject}: {words}"),
        on_failure=fail,
    )
    await assembly.gateway.start()
    assembly.lease.renew()
    return assembly


async def clock_of(exchange: Exchange) -> AccountClock:
    """Return the clock of an exchange's account, asked for twice as a trader does."""
    local = SystemClock()
    clock = AccountClock(local)
    for pause_s in (RATE_SPAN_S, 0.0):
        asked_s = local.monotonic_s()
        clock.set(await exchange.now_at(), asked_s, local.monotonic_s())
        await asyncio.sleep(pause_s)
    return clock


def learn_risk(assembly: Assembly, series: Mapping[str, Bars], bar_ms: int, now_at: int) -> None:
    """Give the risk officer how the prices of `series` move together."""
    rng = np.random.default_rng(_SEED)
    assembly.risk.model = risk_model_of(series, bar_ms, now_at, rng)


def ending_at(series: Mapping[str, Bars], bar_ms: int, now_at: int) -> dict[str, Bars]:
    """Return the bars as if the last of them had closed just now."""
    moved = {}
    for symbol, bars in series.items():
        shift_ms = now_at // bar_ms * bar_ms - bar_ms - int(bars.timestamp[-1])
        moved[symbol] = replace(bars, timestamp=bars.timestamp + shift_ms)
    return moved


def paper_config(folder: Path, *, speed: float = 1.0, latency_ms: int) -> Config:
    """Return settings of a simulated exchange of its own that lists the symbols of the bench."""
    return with_settings(
        load_config(),
        {
            "paths": {"home": folder / "home"},
            "market": {"source": "generated", "symbols": list(SYMBOLS), "type": "perp"},
            "simulated": {
                "speed": speed,
                "latency_ms": latency_ms,
                "balance_quote": float(BALANCE),
            },
        },
        "the benchmark",
    )


def percentiles(values_ms: list[float]) -> dict[str, float]:
    """Return how many there are, and their median, 99th percentile and largest."""
    values = np.array(values_ms)
    return {
        "n": len(values),
        "p50_ms": float(np.percentile(values, 50)),
        "p99_ms": float(np.percentile(values, 99)),
        "max_ms": float(values.max()),
    }
