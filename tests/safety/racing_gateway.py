"""A process that keeps sending through a gateway of its own, and notes when each order left.

    python -m tests.safety.racing_gateway NAME LATCH_FOLDER JOURNAL_FOLDER MARKER N_AFTER

Prints READY, sends until MARKER appears, N_AFTER attempts more, and then one JSON object: when each
attempt began and, for those that left, when (CLOCK_MONOTONIC ns, the same in every process).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from engine.clock import FakeClock, SystemClock
from engine.risk.latch import Latch
from engine.trade.exchange import VenueOrder
from engine.trade.gateway import Gateway
from engine.trade.instrument import ZERO
from engine.trade.journal import Journal
from engine.trade.lease import Lease
from engine.trade.orders import OrderRequest, OrderState, Purpose, Side
from engine.trading_settings import Orders
from tests.venues.live_account import order
from tests.venues.scripted_venue import ScriptedVenue

_LOOK_EVERY = 20
_REDUCING_EVERY = 5
_READY_AFTER = 100


class NotingVenue(ScriptedVenue):
    """Take every order, and note when it came."""

    def __init__(self) -> None:
        super().__init__(FakeClock(time.time_ns() // 1_000_000))
        self.left_ns: dict[str, int] = {}

    async def submit(self, request: OrderRequest) -> VenueOrder:
        self.left_ns[request.client_id] = time.monotonic_ns()
        return VenueOrder(
            client_id=request.client_id,
            venue_id=str(len(self.left_ns)),
            symbol=request.symbol,
            side=request.side,
            state=OrderState.ACCEPTED,
            qty_base=request.qty_base or ZERO,
            filled_base=ZERO,
            reduce_only=request.reduce_only,
            price=None,
            stop_price=None,
            at=0,
        )


async def race(name: str, latch_folder: Path, journal: Path, marker: Path, n_after: int) -> None:
    """Send until told to stop, and say what happened."""
    clock = SystemClock()
    venue = NotingVenue()
    settings = Orders(rate_per_minute=10**9)
    lease = Lease(clock, settings.lease_s)
    gateway = Gateway(
        "paper",
        venue,
        Journal.open(journal, "paper", reserve_bytes=4096),
        Latch(latch_folder, "paper", "here"),
        clock,
        lease,
        None,
        settings,
    )
    await gateway.start()
    began_ns: dict[str, int] = {}
    number, left = 0, n_after
    while left > 0:
        number += 1
        if number == _READY_AFTER:
            print("READY", flush=True)
        if left < n_after or (number % _LOOK_EVERY == 0 and os.access(marker, os.F_OK)):
            left -= 1
        lease.renew()
        request = order(f"{name}-{number}")
        if number % _REDUCING_EVERY == 0:
            request = replace(request, purpose=Purpose.EXIT, reduce_only=True, side=Side.SELL)
        began_ns[request.client_id] = time.monotonic_ns()
        await gateway.submit(request)
    entries = [n for n in began_ns if int(n.rpartition("-")[2]) % _REDUCING_EVERY]
    told = {
        "entries": [(began_ns[n], venue.left_ns.get(n)) for n in entries],
        "exits": [(began_ns[n], venue.left_ns.get(n)) for n in began_ns if n not in set(entries)],
    }
    print(json.dumps(told), flush=True)
    await gateway.close()


if __name__ == "__main__":
    who, latch_at, journal_at, marker_at, count = sys.argv[1:]
    asyncio.run(race(who, Path(latch_at), Path(journal_at), Path(marker_at), int(count)))
