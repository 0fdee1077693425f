"""A trader that fills an account at the simulated exchange, and then waits to be killed.

    python -m tests.safety.doomed_trader

Reads its configuration from the environment; prints READY once five positions with their stops and
fifteen entries rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from engine.clock import SystemClock
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


class Trader:
    """Everything that is needed to send an order."""

    def __init__(self, gateway: Gateway, listed: Mapping[str, Instrument]) -> None:
        self.gateway = gateway
        self.listed = listed
        self.n = 0
        self.prices: dict[str, Decimal] = {}

    async def send(
        self, symbol: str, side: Side, kind: OrderType, purpose: Purpose, at_frac: str
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
                client_id=client_id_of("paper", "doomed", symbol, 0, purpose, self.n),
                account="paper",
                strategy_id="doomed",
                symbol=symbol,
                side=side,
                type=kind,
                purpose=purpose,
                qty_base=round_qty(wanted, instrument),
                reduce_only=purpose is not Purpose.ENTRY,
                bar_at=0,
                created_at=0,
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
    config = load_config(None)
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
    trader = Trader(gateway, gateway.instruments)
    symbols = config.market.symbols
    for symbol in symbols:
        await trader.send(symbol, Side.BUY, OrderType.MARKET, Purpose.ENTRY, "1")
        await trader.send(symbol, Side.SELL, OrderType.STOP, Purpose.STOP, "0.5")
    for number in range(N_ENTRIES):
        symbol = symbols[number % len(symbols)]
        await trader.send(symbol, Side.BUY, OrderType.LIMIT, Purpose.ENTRY, "0.6")
    print("READY", flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(trade())
