"""How fast trading stops: the latch, and a hundred resting orders off the exchange.

`latch` is one call to halt, from its first instruction to its return. `kill` is the kill switch,
with nothing of Paddock running: from its start, connecting included, until the exchange says that
no order rests. `gateway` is a running account: from the call that halts it until the same, with
every order cancelled by itself.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from bench.account import clock_of, ending_at, learn_risk, open_account, paper_config, percentiles
from bench.bars import SYMBOLS, TIMEFRAME, BenchMarket, load
from bench.report import line, say
from engine.clock import Clock, SystemClock
from engine.errors import InvariantError
from engine.risk.latch import Latch
from engine.risk.view import TradePlan
from engine.settings import Config
from engine.trade.account_runner import GUARD_S
from engine.trade.accounts import PAPER, account_latch
from engine.trade.assembly import Assembly
from engine.trade.exchange import Exchange
from engine.trade.instrument import Instrument, round_price, round_qty
from engine.trade.kill import Act, Kill
from engine.trade.orders import OrderRequest, OrderState, OrderType, Purpose, Side, client_id_of
from engine.trade.simulated.launch import stop
from engine.trade.venues import open_exchange
from engine.types import timeframe_ms

N_ORDERS = 100
LATCH_TARGET_MS = 5.0
CANCEL_TARGET_S = 1.0
_N_HALTS = 500
_N_ROUNDS = 3
_FEWER = 3
_REST_S = 20.0
"""Between two hundreds of orders: the exchange counts requests a minute."""

_AWAY = Decimal("0.9")
_NOTIONAL = Decimal(1_000)
_STOP_FRAC = 0.02
_PLACED_AT_ONCE = 10
_LATENCY_MS = 20


def run_halt(store: Path, *, is_small: bool) -> int:
    """Print the line; 1 when a target was missed."""
    fewer = _FEWER if is_small else 1
    load_average = os.getloadavg()[0]
    say(f"halt: the latch {_N_HALTS // fewer} times")
    latch = percentiles(_halts(_N_HALTS // fewer))
    kill_s, gateway_s = asyncio.run(_rounds(load(store), _N_ROUNDS // fewer))
    text = line(
        "halt",
        load_average=load_average,
        latch=latch,
        latch_target_p99_ms=LATCH_TARGET_MS,
        orders=N_ORDERS,
        exchange_latency_ms=_LATENCY_MS,
        kill_s=kill_s,
        gateway_s=gateway_s,
        cancel_target_s=CANCEL_TARGET_S,
    )
    print(text, flush=True)
    is_met = latch["p99_ms"] < LATCH_TARGET_MS and max(*kill_s, *gateway_s) < CANCEL_TARGET_S
    return 0 if is_met else 1


def _halts(n: int) -> list[float]:
    took_ms = []
    with tempfile.TemporaryDirectory(prefix="paddock-") as folder:
        latch, clock = Latch(Path(folder) / "latch", PAPER, "bench"), SystemClock()
        for _ in range(n):
            latch.arm("bench", "a benchmark", clock.now_at())
            began_s = time.perf_counter()
            outcome = latch.halt("bench", "a benchmark", clock.now_at())
            took_ms.append((time.perf_counter() - began_s) * 1000)
            if not outcome.is_halted:
                raise InvariantError("the latch was asked to halt and did not")
    return took_ms


async def _rounds(market: BenchMarket, n: int) -> tuple[list[float], list[float]]:
    """Return seconds until no order rested, by the kill switch and by a running account."""
    kill_s, gateway_s = [], []
    with tempfile.TemporaryDirectory(prefix="paddock-") as name:
        config = paper_config(Path(name), latency_ms=_LATENCY_MS)
        exchange = await open_exchange(PAPER, config, SystemClock())
        # Whoever only looks must not take turns away from the account's own requests.
        observer = await open_exchange(PAPER, config, SystemClock(), for_kill=True)
        clock = await clock_of(exchange)
        latch = account_latch(config.paths.home, PAPER)
        assembly = await open_account(exchange, clock, Path(name), latch=latch)
        bar_ms, now_at = timeframe_ms(TIMEFRAME), clock.now_at()
        learn_risk(assembly, ending_at(market.series, bar_ms, now_at), bar_ms, now_at)
        try:
            for number in range(n):
                say(f"halt: {N_ORDERS} orders, round {number + 1} of {n}")
                await _place(assembly, observer, clock, 2 * number)
                kill_s.append(await _killed(config, observer, latch))
                await assembly.desk.ask()
                latch.arm("bench", "a benchmark", clock.now_at())
                await asyncio.sleep(_REST_S)
                await _place(assembly, observer, clock, 2 * number + 1)
                gateway_s.append(await _halted(assembly, observer, latch))
                await assembly.desk.ask()
                latch.arm("bench", "a benchmark", clock.now_at())
                await assembly.runner.guard()
                await asyncio.sleep(_REST_S)
        finally:
            await assembly.errands.stop()
            await assembly.gateway.close()
            await exchange.close()
            await observer.close()
            stop(config.paths.home)
    return kill_s, gateway_s


async def _place(assembly: Assembly, observer: Exchange, clock: Clock, number: int) -> None:
    """Let a hundred orders rest far from the price."""
    gateway, gate = assembly.gateway, asyncio.Semaphore(_PLACED_AT_ONCE)
    assembly.lease.renew()
    prices = {symbol: (await observer.ticker(symbol)).last for symbol in SYMBOLS}
    for symbol, price in prices.items():
        assembly.risk.take_price(symbol, price)
    assembly.risk.observe(gateway.record)

    async def place(i: int) -> None:
        symbol = SYMBOLS[i % len(SYMBOLS)]
        name, now_at = f"bench{number}-{i}", clock.now_at()
        request = _limit(gateway.instruments[symbol], prices[symbol], name, now_at)
        assembly.risk.plans[request.strategy_id] = TradePlan(_STOP_FRAC)
        async with gate:
            order = await gateway.submit(request)
        if order.state is not OrderState.ACCEPTED:
            raise InvariantError(f"an order that should rest is {order.state}: {order.reason}")

    await asyncio.gather(*(place(i) for i in range(N_ORDERS)))
    n_resting = len(await observer.open_orders())
    if n_resting != N_ORDERS:
        raise InvariantError(f"{n_resting} orders rest, not {N_ORDERS}")


def _limit(instrument: Instrument, price: Decimal, strategy_id: str, now_at: int) -> OrderRequest:
    limit = round_price(price * _AWAY, instrument, "down")
    return OrderRequest(
        client_id=client_id_of(PAPER, strategy_id, instrument.symbol, now_at, Purpose.ENTRY, 0),
        account=PAPER,
        strategy_id=strategy_id,
        symbol=instrument.symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        purpose=Purpose.ENTRY,
        qty_base=round_qty(_NOTIONAL / limit, instrument),
        reduce_only=False,
        bar_at=now_at,
        created_at=now_at,
        reference_price=price,
        price=limit,
    )


async def _killed(config: Config, observer: Exchange, latch: Latch) -> float:
    """Return seconds from the start of the kill switch until no order rests."""

    async def kill() -> None:
        async for step in Kill(config, SystemClock()).run(Act(stops_too=True), [PAPER]):
            if step.state == "failed":
                raise InvariantError(f"the kill switch failed: {step}")

    began_s = time.perf_counter()
    latch.halt("bench", "a benchmark", SystemClock().now_at())
    killing = asyncio.create_task(kill())
    took_s = await _until_none_rests(observer, began_s)
    # It goes on looking for what may still arrive.
    await killing
    if await observer.open_orders():
        raise InvariantError("orders rest although the kill switch has done its work")
    return took_s


async def _halted(assembly: Assembly, observer: Exchange, latch: Latch) -> float:
    """Return seconds from the call that halts a running account until no order rests."""

    async def guard() -> None:
        while True:
            await assembly.runner.guard()
            await asyncio.sleep(GUARD_S)

    guarding = asyncio.create_task(guard())
    # Somewhere between two looks at the latch.
    await asyncio.sleep(GUARD_S / 2)
    began_s = time.perf_counter()
    latch.halt("bench", "a benchmark", SystemClock().now_at())
    took_s = await _until_none_rests(observer, began_s)
    guarding.cancel()
    await asyncio.gather(guarding, return_exceptions=True)
    await assembly.errands.settle()
    return took_s


async def _until_none_rests(observer: Exchange, began_s: float) -> float:
    # Symbol by symbol: without one the question costs the exchange's limit forty times as much.
    while any(await asyncio.gather(*(observer.open_orders(symbol) for symbol in SYMBOLS))):
        continue
    return time.perf_counter() - began_s
