"""A small exchange on a loopback port that speaks Binance's public REST and misbehaves by plan."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from engine.types import Bars, timeframe_ms

FAULTS = (
    "ok",
    "429",
    "ban",
    "500",
    "hang",
    "cut",
    "cut body",
    "garbage",
    "html",
    "nulls",
    "duplicate",
    "conflict",
    "overlap",
    "shuffle",
    "short",
    "empty",
    "broken bar",
)


@dataclass
class BinanceServer:
    """Serve exchangeInfo, time and klines for spot (`/api/v3`) and linear perpetuals (`/fapi/v1`).

    Attributes
    ----------
    symbols : BASE/QUOTE names that are listed
    series : bars by symbol; those that open at or before `now_at` are served, the open one too
    timeframe : the only interval there is
    now_at : int, UTC ms, the exchange's clock
    plan : faults, one taken for each klines request, oldest first; none left means "ok"
    info_plan : the same for exchangeInfo requests
    retry_after_s : what a 429 asks for
    max_limit : int, most bars in one page
    is_hanging : set as soon as a request hangs
    requests : (path, query) of each request, for the test to look at
    """

    symbols: tuple[str, ...]
    series: dict[str, Bars]
    timeframe: str
    now_at: int
    plan: deque[str] = field(default_factory=deque)
    info_plan: deque[str] = field(default_factory=deque)
    retry_after_s: int = 7
    max_limit: int = 1000
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    is_hanging: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _runner: web.AppRunner | None = None
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> BinanceServer:
        """Listen on a free loopback port; `url` names it."""
        app = web.Application()
        for root in ("/api/v3", "/fapi/v1"):
            app.router.add_get(f"{root}/exchangeInfo", self._exchange_info)
            app.router.add_get(f"{root}/klines", self._klines)
            app.router.add_get(f"{root}/time", self._time)
            app.router.add_get(f"{root}/ping", self._ping)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let hanging requests go and stop listening."""
        self._released.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def misbehave(self, faults: Iterable[str]) -> None:
        """Plan the faults of the next klines requests."""
        faults = list(faults)
        unknown = set(faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"unknown faults {unknown}")
        self.plan.extend(faults)

    @property
    def n_klines(self) -> int:
        """Klines requests so far."""
        return sum(path.endswith("klines") for path, _ in self.requests)

    async def _time(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        return web.json_response({"serverTime": self.now_at})

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        return web.json_response({})

    async def _exchange_info(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        fault = self.info_plan.popleft() if self.info_plan else "ok"
        failed = await self._failure(fault, request)
        if failed is not None:
            return failed
        is_perp = request.path.startswith("/fapi")
        listed = [_listing(symbol, is_perp) for symbol in self.symbols]
        return web.json_response(
            {"timezone": "UTC", "serverTime": self.now_at, "rateLimits": [], "symbols": listed}
        )

    async def _klines(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        fault = self.plan.popleft() if self.plan else "ok"
        failed = await self._failure(fault, request)
        if failed is not None:
            return failed
        by_id = {symbol.replace("/", ""): bars for symbol, bars in self.series.items()}
        bars = by_id.get(request.query["symbol"])
        if bars is None or request.query["interval"] != self.timeframe:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        since = int(request.query.get("startTime", "0"))
        limit = min(int(request.query.get("limit", "500")), self.max_limit)
        step_ms = timeframe_ms(self.timeframe)
        if fault == "overlap":
            since -= 3 * step_ms
        rows = [row for row in _rows(bars, step_ms) if since <= row[0] <= self.now_at][:limit]
        return web.json_response(_bent(rows, fault))

    async def _failure(self, fault: str, request: web.Request) -> web.StreamResponse | None:
        if fault in ("429", "ban"):
            wait_s = self.retry_after_s if fault == "429" else 7200
            body = {"code": -1003, "msg": "Too much request weight used."}
            headers = {"Retry-After": str(wait_s)}
            return web.json_response(body, status=429, headers=headers)
        if fault == "500":
            return web.Response(status=500, text="internal error")
        if fault == "hang":
            self.is_hanging.set()
            await self._released.wait()
            return web.Response(status=504)
        if fault == "cut":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if fault == "cut body":
            response = web.StreamResponse(headers={"Content-Length": "5000"})
            await response.prepare(request)
            await response.write(b"[[17356032")
            if request.transport is not None:
                request.transport.abort()
            return response
        if fault == "garbage":
            return web.Response(text='[[1735603200000,"94', content_type="application/json")
        if fault == "html":
            return web.Response(text="<html>maintenance</html>", content_type="text/html")
        return None

    def _note(self, request: web.Request) -> None:
        self.requests.append((request.path, dict(request.query)))


def _bent(rows: list[list[Any]], fault: str) -> list[list[Any]]:
    # The page as the fault would send it.
    if fault == "duplicate":
        return [row for row in rows for _ in range(2)]
    if fault == "conflict":
        twin = [*rows[0][:5], "999999", *rows[0][6:]]
        return [rows[0], twin, *rows[1:]]
    if fault == "shuffle":
        return rows[::-1]
    if fault == "short":
        return rows[: max(1, len(rows) // 3)]
    if fault == "empty":
        return []
    if fault == "nulls":
        return [[*row[:2], None, *row[3:]] for row in rows]
    if fault == "broken bar":
        return [[*row[:2], row[3], row[2], *row[4:]] for row in rows]
    return rows


def _rows(bars: Bars, step_ms: int) -> list[list[Any]]:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    rest = ["0", 1, "0", "0", "0"]
    return [
        [int(at), *(repr(float(column[i])) for column in columns), int(at) + step_ms - 1, *rest]
        for i, at in enumerate(bars.timestamp)
    ]


def _listing(symbol: str, is_perp: bool) -> dict[str, Any]:
    base, quote = symbol.split("/")
    listing: dict[str, Any] = {
        "symbol": base + quote,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000"}
            | {"tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000"}
            | {"stepSize": "0.00001"},
        ],
    }
    if is_perp:
        return listing | {
            "pair": base + quote,
            "contractType": "PERPETUAL",
            "marginAsset": quote,
            "underlyingType": "COIN",
            "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000,
            "pricePrecision": 2,
            "quantityPrecision": 3,
        }
    return listing | {"isSpotTradingAllowed": True, "permissions": ["SPOT"]}
