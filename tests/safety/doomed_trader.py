"""A trader that fills an account at the simulated exchange, and then waits to be killed.

    python -m tests.safety.doomed_trader [CONFIG [STRATEGY ...]]

Reads its configuration from a file or the environment; prints READY once five positions with their
stops and fifteen entries rest. The positions are those of the strategies, one each, if any are
named.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from engine.clock import Clock, SystemClock
from engine.config import load_config
from engine.trade.accounts import account_folder, account_latch
from engine.trade.gateway import Gateway
from engine.trade.instrument import Instrument, round_price, round_qty
from engine.trade.journal import Journal
from engine.trade.lease import Lease
from engine.trade.orders import OrderRequest, OrderState, OrderType, Purpose, Side, client_id_of
from engine.trade.venues import open_exchange
from tests.venues.live_account import D

N_ENTRIES = 15
_POSITION_QUOTE = D(3000)
_DOOMED = "doomed"


class Trader:
    """Everything that is needed to send an order."""

    def __init__(self, gateway: Gateway, listed: Mapping[str, Instrument], clock: Clock) -> None:
        self.gateway = gateway
        self.clock = clock
        self.listed = listed
        self.n = 0
        self.prices: dict[str, Decimal] = {}

    async def send(
        self,
        symbol: str,
        side: Side,
        kind: OrderType,
        purpose: Purpose,
        at_frac: str,
        owner: str = _DOOMED,
    ) -> None:
        """Send one order at a fraction of the price, and insist that it is taken."""
        self.n += 1
        instrument = self.listed[symbol]
        if symbol not in self.prices:
            self.prices[symbol] = (await self.gateway.exchange.ticker(symbol)).last
        last = self.prices[symbol]
        level = round_price(last * D(at_frac), instrument, "down")
        is_stop = kind is OrderType.STOP
        held = self.gateway.book.net_base(symbol)
        wanted = held if is_stop else _POSITION_QUOTE / last
        order = await self.gateway.submit(
            OrderRequest(
                client_id=client_id_of("paper", owner, symbol, 0, purpose, self.n),
                account="paper",
                strategy_id=owner,
                symbol=symbol,
                side=side,
                type=kind,
                purpose=purpose,
                qty_base=round_qty(wanted, instrument),
                reduce_only=purpose is not Purpose.ENTRY,
                bar_at=0,
                created_at=self.clock.now_at(),
                reference_price=last,
                price=level if kind is OrderType.LIMIT else None,
                stop_price=level if is_stop else None,
            )
        )
        wished = OrderState.FILLED if kind is OrderType.MARKET else OrderState.ACCEPTED
        if order.state is not wished:
            raise SystemExit(f"{purpose} of {symbol} is {order.state}: {order.reason}")


async def trade() -> None:
    """Fill the account and wait."""
    config = load_config(Path(sys.argv[1]) if sys.argv[1:] else None)
    clock = SystemClock()
    home = config.paths.home
    account_latch(home, "paper").arm("test", "doomed", clock.now_at())
    lease = Lease(clock, config.orders.lease_s)
    gateway = Gateway(
        "paper",
        await open_exchange("paper", config, clock),
        Journal.open(account_folder(home, "paper"), "paper"),
        account_latch(home, "paper"),
        clock,
        lease,
        None,
        config.orders,
    )
    await gateway.start()
    lease.renew()
    trader = Trader(gateway, gateway.instruments, clock)
    symbols = config.market.symbols
    owners = sys.argv[2:] or [_DOOMED] * len(symbols)
    for symbol, owner in zip(symbols, owners, strict=True):
        await trader.send(symbol, Side.BUY, OrderType.MARKET, Purpose.ENTRY, "1", owner)
        await trader.send(symbol, Side.SELL, OrderType.STOP, Purpose.STOP, "0.5", owner)
    for number in range(N_ENTRIES):
        symbol = symbols[number % len(symbols)]
        await trader.send(symbol, Side.BUY, OrderType.LIMIT, Purpose.ENTRY, "0.6")
    print("READY", flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(trade())
