"""The simulated exchange's REST face in this process, on bars and a clock of our own, for tests."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import ccxt.async_support
import numpy as np
from yarl import URL

from engine.errors import StoreError
from engine.trade.instrument import MarketType
from engine.trade.simulated.faults import NO_FAULTS, Faults
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.price_feed import BarFeed
from engine.trade.simulated.rest.authentication import Keys
from engine.trade.simulated.rest.server import RestServer
from engine.trade.simulated.rules import VenueRules
from engine.trade.simulated.venue import Venue
from engine.trade.simulated.venue_store import VenueStore
from engine.trade.simulated.venue_time import VenueTime
from engine.types import Bars
from tests.venues.simulated_desk import BTC, ETH, instrument

START_AT = 1_700_000_100_000
STEP_MS = 300_000
KEYS = Keys("k" * 64, "s" * 64)
STRICT = VenueRules(
    commission_frac=Decimal("0.001"),
    slippage_frac=Decimal("0.0005"),
    stops_lock=True,
    refuses_immediate_triggers=True,
    maintenance_frac=Decimal("0.004"),
)


class OwnClock:
    """Wall time as it is, but for a skew; monotonic time only when it is told to pass."""

    def __init__(self) -> None:
        self.skew_ms = 0
        self.passed_s = 0.0

    def now_at(self) -> int:
        return time.time_ns() // 1_000_000 + self.skew_ms

    def monotonic_s(self) -> float:
        return self.passed_s


def walk_bars(*closes: float, first: float = 100.0) -> Bars:
    """Return bars that go straight from one close to the next."""
    close = np.array(closes, dtype=np.float64)
    open_ = np.concatenate(([first], close[:-1]))
    stamps = START_AT + STEP_MS * np.arange(len(close), dtype=np.int64)
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    return Bars(stamps, open_, high, low, close, np.ones(len(close)))


@dataclass
class SimulatedServer:
    """A venue and its REST face.

    Attributes
    ----------
    closes : closes of the bars that both symbols walk through, from 100
    clock : one second of it is one second of the market
    fatal : what the process would have died of
    """

    folder: Path
    market_type: MarketType = "spot"
    closes: Sequence[float] = (100.0,) * 20
    rules: VenueRules = STRICT
    faults: Faults = NO_FAULTS
    balance: Decimal = Decimal(100_000)
    clock: OwnClock = field(default_factory=OwnClock)
    fatal: list[StoreError] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> SimulatedServer:
        listed = {symbol: instrument(symbol, self.market_type) for symbol in (BTC, ETH)}
        feed = BarFeed(dict.fromkeys(listed, walk_bars(*self.closes)), "5m", listed)
        self.store = VenueStore(self.folder)
        mark = self.store.state("clock")
        start_at = START_AT if mark is None else int(mark)
        self.venue = Venue(
            MatchingEngine(listed, self.rules, {"USDT": self.balance}, 3),
            feed,
            VenueTime(start_at, 1.0, self.clock),
            self.store,
        )
        self.server = RestServer(
            self.venue, KEYS, self.fatal.append, self.clock, faults=self.faults
        )
        self.url = f"http://127.0.0.1:{await self.server.start()}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()
        self.venue.close()

    def pass_s(self, seconds: float) -> None:
        """Let market time pass."""
        self.clock.passed_s += seconds

    @property
    def root(self) -> str:
        """The first part of every path."""
        return "/fapi/v1" if self.market_type == "perp" else "/api/v3"

    def client(self, timeout_ms: int = 5_000) -> Any:
        """Return a real ccxt client of this venue; the caller closes it."""
        return ccxt_client(self.url, self.market_type, timeout_ms)

    async def raw(
        self,
        method: str,
        path: str,
        *,
        signed: bool = True,
        keys: Keys = KEYS,
        at: int | None = None,
        **parameters: Any,
    ) -> tuple[int, Any, dict[str, str]]:
        """Send one request as it is and return status, JSON answer and headers."""
        stamp = self.clock.now_at() if at is None else at
        return await raw_request(
            method,
            self.url + path,
            parameters,
            keys=keys,
            at=stamp if signed else None,
            with_key=signed or keys is not KEYS,
        )


async def raw_request(
    method: str,
    url: str,
    parameters: Mapping[str, Any],
    *,
    keys: Keys = KEYS,
    at: int | None = None,
    with_key: bool = True,
) -> tuple[int, Any, dict[str, str]]:
    """Send one request, signed when it has an instant; return status, JSON answer and headers."""
    text = urlencode(parameters)
    if at is not None:
        text = urlencode({**parameters, "timestamp": at})
        seal = hmac.new(keys.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        text += f"&signature={seal}"
    sent = {"X-MBX-APIKEY": keys.api_key} if with_key else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, URL(f"{url}?{text}", encoded=True), headers=sent) as answer,
    ):
        return answer.status, json.loads(await answer.text()), dict(answer.headers)


def ccxt_client(url: str, market_type: str, timeout_ms: int = 5_000, keys: Keys = KEYS) -> Any:
    """Return a real ccxt client of a venue at `url`."""
    is_perp = market_type == "perp"
    client = ccxt.async_support.binance(
        {
            "apiKey": keys.api_key,
            "secret": keys.secret,
            "enableRateLimit": False,
            "timeout": timeout_ms,
            "options": {
                "defaultType": "swap" if is_perp else "spot",
                "defaultSubType": "linear" if is_perp else None,
                "fetchMarkets": {"types": ["linear" if is_perp else "spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
            },
        }
    )
    client.has["fetchCurrencies"] = False
    client.urls["api"] = {
        name: url + urlsplit(str(address)).path for name, address in client.urls["api"].items()
    }
    return client
