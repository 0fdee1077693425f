"""A simulated exchange behind its REST face, and the ccxt client that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.venues.simulated_server import SimulatedServer

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
BOTH = pytest.mark.parametrize("market_type", ["spot", "perp"])
TRIGGER = {"trigger": True}


def name(market_type: str) -> str:
    return PERP if market_type == "perp" else SPOT


@asynccontextmanager
async def desk(folder: Path, **given: Any) -> AsyncIterator[tuple[SimulatedServer, Any]]:
    async with SimulatedServer(folder, **given) as server:
        client = server.client()
        try:
            yield server, client
        finally:
            await client.close()
