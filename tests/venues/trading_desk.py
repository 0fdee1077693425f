"""An account at an exchange that speaks Binance's signed REST, and fails by plan.

Written from Binance's documentation and independent of the simulated exchange: market orders fill
at once at the price the test has set, everything else rests until the test fills it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

API_KEY = "desk-key-3f9a7b2c"
SECRET = "desk-secret-1c8d4e5f"
ZERO = Decimal(0)
SYMBOLS = ("BTC/USDT", "ETH/USDT", "BNB/USDT", "SOL/USDT", "ADA/USDT")
PUBLIC = ("exchangeInfo", "time", "ping", "ticker/24hr", "ticker/bookTicker", "depth")
FAULTS = ("ok", "lost", "late", "429", "418", "500", "html", "garbage", "empty", "reject")
Handler = Callable[[dict[str, str], bool], Any]


class Refused(Exception):
    """A Binance error code and its words."""

    def __init__(self, code: int, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.code, self.words, self.status = code, words, status


@dataclass
class Resting:
    """An order of the desk; conditional ones on a perpetual are kept apart, as Binance does."""

    number: int
    client_id: str
    symbol: str
    side: str
    kind: str
    qty: Decimal
    price: Decimal
    stop: Decimal
    reduce_only: bool
    is_algo: bool
    at: int
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    status: str = "NEW"
    became: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it still rests."""
        return self.status in ("NEW", "PARTIALLY_FILLED")


@dataclass
class TradingDesk:
    """Serve one spot account (`/api/v3`) or one linear perpetual account (`/fapi`).

    Attributes
    ----------
    prices : by symbol, where market orders fill
    balances : free and locked together, by currency
    plan : faults by "METHOD /path-end", such as "POST order", one for each request
    skew_ms : how far the desk's clock is ahead of this machine's
    requests : (method, path end, parameters) of each signed request that was understood
    """

    is_perp: bool = False
    prices: dict[str, Decimal] = field(default_factory=dict)
    balances: dict[str, Decimal] = field(default_factory=lambda: {"USDT": Decimal(100_000)})
    plan: dict[str, deque[str]] = field(default_factory=dict)
    skew_ms: int = 0
    fill_share: Decimal = Decimal(1)
    orders: list[Resting] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    held: dict[str, Decimal] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    latency_s: float = 0.0
    port: int = 0
    url: str = ""
    _runner: web.AppRunner | None = None
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> TradingDesk:
        """Open on a free loopback port; `url` names it."""
        for symbol in SYMBOLS:
            self.prices.setdefault(symbol.replace("/", ""), Decimal(100))
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let hanging requests go and close."""
        await self.shut()

    async def open(self) -> None:
        """Listen, on the port of before when there was one."""
        self._released = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def shut(self) -> None:
        """Stop listening; orders stay, as at a real exchange."""
        self._released.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def misbehave(self, request: str, *faults: str) -> None:
        """Plan the faults of the next requests of a kind, such as "POST order"."""
        if unknown := set(faults) - set(FAULTS):
            raise ValueError(f"unknown faults {unknown}")
        self.plan.setdefault(request, deque()).extend(faults)

    def sent(self, request: str) -> list[dict[str, str]]:
        """Return the parameters of the requests of a kind that were understood."""
        return [query for method, end, query in self.requests if f"{method} {end}" == request]

    def order(self, client_id: str) -> Resting:
        """Return an order by its client id."""
        return next(order for order in reversed(self.orders) if order.client_id == client_id)

    def fill(self, client_id: str, qty: str, price: str) -> None:
        """Fill a part of a resting order."""
        self._fill(self.order(client_id), Decimal(qty), Decimal(price))

    def trigger(self, client_id: str, price: str) -> None:
        """Trigger a stop; on a perpetual it becomes another order."""
        stop = self.order(client_id)
        if not stop.is_algo:
            self._fill(stop, stop.qty, Decimal(price))
            return
        made = self._add(stop.symbol, stop.side, "MARKET", stop.qty, f"auto{stop.number}")
        made.reduce_only, stop.status, stop.became = True, "FINISHED", made.number
        self._fill(made, stop.qty, Decimal(price))

    def now_at(self) -> int:
        """Return the desk's clock."""
        return time.time_ns() // 1_000_000 + self.skew_ms

    # Serving

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        text = request.query_string if request.method in ("GET", "DELETE") else await request.text()
        query = dict(parse_qsl(text))
        root, end = ("fapi", "api")[not self.is_perp], request.path.split("/", 3)[-1]
        if request.path.split("/")[1] != root:
            return web.json_response({"code": -1, "msg": f"wrong host {request.path}"}, status=404)
        kind = f"{request.method} {end}"
        planned = self.plan.get(kind)
        fault = planned.popleft() if planned else "ok"
        if fault in ("429", "418", "500", "html", "garbage", "empty", "reject"):
            return _failure(fault)
        if fault == "lost":
            await self._released.wait()
            return web.Response(status=504)
        try:
            if end not in PUBLIC:
                self._check_signed(request, text, query)
            self.requests.append((request.method, end, query))
            answer = self._answer(request.method, end, query)
        except Refused as exc:
            return web.json_response({"code": exc.code, "msg": exc.words}, status=exc.status)
        if fault == "late":
            # It took effect, and its answer never comes.
            await self._released.wait()
        return web.json_response(answer)

    def _check_signed(self, request: web.Request, text: str, query: dict[str, str]) -> None:
        if request.headers.get("X-MBX-APIKEY") != API_KEY:
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        plain, _, signature = text.rpartition("&signature=")
        made = hmac.new(SECRET.encode(), plain.encode(), hashlib.sha256).hexdigest()
        if unquote(signature) != made:
            raise Refused(-1022, "Signature for this request is not valid.")
        at = int(query["timestamp"])
        if at > self.now_at() + 1000 or at < self.now_at() - int(query.get("recvWindow", "5000")):
            raise Refused(-1021, "Timestamp for this request is outside of the recvWindow.")

    def _answer(self, method: str, end: str, query: dict[str, str]) -> Any:
        table: dict[str, Callable[[], Any]] = {
            "GET time": lambda: {"serverTime": self.now_at()},
            "GET exchangeInfo": self._exchange_info,
            "GET ticker/24hr": lambda: self._ticker(query["symbol"]),
            "GET ticker/bookTicker": lambda: self._quotes(query["symbol"]),
            "GET depth": lambda: self._depth(query["symbol"]),
            "POST order": lambda: self._place(query, is_algo=False),
            "POST algoOrder": lambda: self._place(query, is_algo=True),
            "GET order": lambda: self._shown(self._found(query, is_algo=False)),
            "GET algoOrder": lambda: self._shown(self._found(query, is_algo=True)),
            "DELETE order": lambda: self._cancel(query, is_algo=False),
            "DELETE algoOrder": lambda: self._cancel(query, is_algo=True),
            "GET openOrders": lambda: self._open(query, is_algo=False),
            "GET openAlgoOrders": lambda: self._open(query, is_algo=True),
            "GET allAlgoOrders": lambda: [self._shown(o) for o in self.orders if o.is_algo],
            "DELETE openOrders": lambda: self._cancel_all(query, is_algo=False),
            "DELETE allOpenOrders": lambda: self._cancel_all(query, is_algo=False),
            "DELETE algoOpenOrders": lambda: self._cancel_all(query, is_algo=True),
            "GET myTrades": lambda: self._fills(query),
            "GET userTrades": lambda: self._fills(query),
            "GET account": self._account,
            "GET positionRisk": self._positions,
            "GET leverageBracket": lambda: [],
        }
        if f"{method} {end}" not in table:
            raise Refused(-1000, f"the desk does not know {method} {end}", 404)
        return table[f"{method} {end}"]()

    # What it does

    def _place(self, query: dict[str, str], *, is_algo: bool) -> Any:
        client_id = query.get("newClientOrderId") or query.get("clientAlgoId") or ""
        if any(o.client_id == client_id and (o.is_open or self.is_perp) for o in self.orders):
            if is_algo:
                raise Refused(-20132, "The client algo id is duplicated.")
            code = -4116 if self.is_perp else -2010
            words = "ClientOrderId is duplicated." if self.is_perp else "Duplicate order sent."
            raise Refused(code, words)
        symbol, kind = query["symbol"], query["type"]
        price = self.prices[symbol]
        if "quoteOrderQty" in query:
            qty = (Decimal(query["quoteOrderQty"]) / price).quantize(Decimal("0.00001"))
        else:
            qty = Decimal(query["quantity"])
        reduce_only = query.get("reduceOnly") == "true"
        self._check_funds(query["side"], symbol, qty, price, reduce_only=reduce_only)
        order = self._add(symbol, query["side"], kind, qty, client_id)
        order.price = Decimal(query.get("price", "0"))
        order.stop = Decimal(query.get("stopPrice") or query.get("triggerPrice") or "0")
        order.is_algo, order.reduce_only = is_algo, reduce_only
        if kind == "MARKET":
            self._fill(order, qty * self.fill_share, price)
        return self._shown(order, with_fills=True)

    def _check_funds(
        self, side: str, symbol: str, qty: Decimal, price: Decimal, *, reduce_only: bool
    ) -> None:
        base = symbol.removesuffix("USDT")
        if self.is_perp:
            left = self.held.get(symbol, ZERO) * (1 if side == "SELL" else -1)
            if reduce_only and left <= 0:
                raise Refused(-2022, "ReduceOnly Order is rejected.")
            return
        locked = sum(
            (
                o.qty - o.filled
                for o in self.orders
                if o.is_open and o.symbol == symbol and o.side == "SELL"
            ),
            ZERO,
        )
        short = (
            qty > self.balances.get(base, ZERO) - locked
            if side == "SELL"
            else qty * price > self.balances["USDT"]
        )
        if short:
            raise Refused(-2010, "Account has insufficient balance for requested action.")

    def _add(self, symbol: str, side: str, kind: str, qty: Decimal, client_id: str) -> Resting:
        order = Resting(
            1000 + len(self.orders), client_id, symbol, side, kind, qty, ZERO, ZERO,
            reduce_only=False, is_algo=False, at=self.now_at(),
        )  # fmt: skip
        self.orders.append(order)
        return order

    def _fill(self, order: Resting, qty: Decimal, price: Decimal) -> None:
        sign = 1 if order.side == "BUY" else -1
        if order.reduce_only:
            qty = min(qty, max(ZERO, -sign * self.held.get(order.symbol, ZERO)))
        order.filled += qty
        order.paid += qty * price
        order.status = "FILLED" if order.filled >= order.qty else "PARTIALLY_FILLED"
        if order.kind == "MARKET" and order.status != "FILLED":
            order.status = "EXPIRED"
        fee = (qty * price * Decimal("0.001")).quantize(Decimal("1e-8"))
        self.trades.append(
            {"id": 5000 + len(self.trades), "orderId": order.number, "symbol": order.symbol,
             "price": str(price), "qty": str(qty), "quoteQty": str(qty * price),
             "commission": str(fee), "commissionAsset": "USDT", "time": self.now_at(),
             "isBuyer": order.side == "BUY", "buyer": order.side == "BUY", "side": order.side,
             "isMaker": False, "maker": False}
        )  # fmt: skip
        base = order.symbol.removesuffix("USDT")
        self.balances["USDT"] -= fee
        if self.is_perp:
            self.held[order.symbol] = self.held.get(order.symbol, ZERO) + sign * qty
        else:
            self.balances[base] = self.balances.get(base, ZERO) + sign * qty
            self.balances["USDT"] -= sign * qty * price

    def _found(self, query: dict[str, str], *, is_algo: bool) -> Resting:
        client_id = query.get("origClientOrderId") or query.get("clientAlgoId")
        number = query.get("orderId") or query.get("algoId")
        for order in reversed(self.orders):
            is_it = order.client_id == client_id if client_id else str(order.number) == number
            if (
                is_it
                and order.is_algo == is_algo
                and query.get("symbol", order.symbol) == (order.symbol)
            ):
                return order
        raise Refused(-2013, "Order does not exist.")

    def _cancel(self, query: dict[str, str], *, is_algo: bool) -> Any:
        try:
            order = self._found(query, is_algo=is_algo)
        except Refused:
            raise Refused(-2011, "Unknown order sent.") from None
        if not order.is_open:
            raise Refused(-2011, "Unknown order sent.")
        order.status = "CANCELED"
        if is_algo:
            return {"algoId": order.number, "clientAlgoId": order.client_id, "code": "200",
                    "msg": "success"}  # fmt: skip
        return self._shown(order)

    def _cancel_all(self, query: dict[str, str], *, is_algo: bool) -> Any:
        chosen = [o for o in self.orders if o.is_open and o.symbol == query["symbol"]]
        chosen = [o for o in chosen if o.is_algo == is_algo]
        if not chosen and not self.is_perp:
            raise Refused(-2011, "Unknown order sent.")
        for order in chosen:
            order.status = "CANCELED"
        return {"code": 200, "msg": "done"} if self.is_perp else [self._shown(o) for o in chosen]

    def _open(self, query: dict[str, str], *, is_algo: bool) -> Any:
        return [
            self._shown(order)
            for order in self.orders
            if order.is_open
            and order.is_algo == is_algo
            and query.get("symbol", order.symbol) == order.symbol
        ]

    def _fills(self, query: dict[str, str]) -> Any:
        since, until = int(query.get("startTime", "0")), int(query.get("endTime", str(10**15)))
        chosen = [t for t in self.trades if t["symbol"] == query["symbol"]]
        if "startTime" not in query:
            return chosen[-int(query.get("limit", "500")) :]
        if int(query.get("endTime", since)) - since > (7 if self.is_perp else 1) * 86_400_000:
            raise Refused(-1127, "More than 24 hours between startTime and endTime.")
        return [t for t in chosen if since <= t["time"] <= until][: int(query.get("limit", "500"))]

    # What it shows

    def _shown(self, order: Resting, *, with_fills: bool = False) -> dict[str, Any]:
        if order.is_algo:
            return {"algoId": order.number, "clientAlgoId": order.client_id, "side": order.side,
                    "algoType": "CONDITIONAL", "orderType": order.kind, "symbol": order.symbol,
                    "positionSide": "BOTH", "timeInForce": "GTC", "quantity": str(order.qty),
                    "algoStatus": order.status, "triggerPrice": str(order.stop), "price": "0",
                    "actualOrderId": str(order.became or ""), "reduceOnly": order.reduce_only,
                    "closePosition": False, "createTime": order.at, "updateTime": order.at,
                    }  # fmt: skip
        average = order.paid / order.filled if order.filled else ZERO
        shown: dict[str, Any] = {
            "symbol": order.symbol, "orderId": order.number, "clientOrderId": order.client_id,
            "price": str(order.price), "origQty": str(order.qty), "status": order.status,
            "executedQty": str(order.filled), "timeInForce": "GTC", "type": order.kind,
            "side": order.side, "stopPrice": str(order.stop), "time": order.at,
            "updateTime": order.at,
        }  # fmt: skip
        if self.is_perp:
            return shown | {"cumQuote": str(order.paid), "avgPrice": str(average),
                            "reduceOnly": order.reduce_only, "closePosition": False,
                            "positionSide": "BOTH"}  # fmt: skip
        told = ("price", "qty", "commission", "commissionAsset")
        own = [trade for trade in self.trades if trade["orderId"] == order.number]
        fills = [{name: t[name] for name in told} | {"tradeId": t["id"]} for t in own]
        shown |= {"cummulativeQuoteQty": str(order.paid), "orderListId": -1}
        return shown | ({"fills": fills, "transactTime": order.at} if with_fills else {})

    def _account(self) -> Any:
        if not self.is_perp:
            rows = [{"asset": a, "free": str(b), "locked": "0"} for a, b in self.balances.items()]
            return {"updateTime": self.now_at(), "balances": rows}
        assets = [{"asset": a, "walletBalance": str(b), "marginBalance": str(b + 7),
                   "availableBalance": str(b), "initialMargin": "0", "updateTime": 1}
                  for a, b in self.balances.items()]  # fmt: skip
        return {"assets": assets, "positions": []}

    def _positions(self) -> Any:
        return [
            {"symbol": s, "positionSide": "BOTH", "positionAmt": str(q),
             "entryPrice": self._entry(s), "breakEvenPrice": "100.5",
             "markPrice": str(self.prices[s]), "notional": str(q * 100),
             "unRealizedProfit": "0", "liquidationPrice": "0", "isolatedMargin": "0",
             "isolatedWallet": "0", "updateTime": self.now_at(), "initialMargin": "1",
             "maintMargin": "1", "positionInitialMargin": "1", "openOrderInitialMargin": "0",
             "adl": "1", "marginAsset": "USDT"}
            for s, q in self.held.items() if q
        ]  # fmt: skip

    def _entry(self, symbol: str) -> str:
        """Return the price of the last fill, which all fills of a position have in these tests."""
        prices = [trade["price"] for trade in self.trades if trade["symbol"] == symbol]
        return prices[-1] if prices else "100.5"

    def _ticker(self, symbol: str) -> Any:
        price = self.prices[symbol]
        told = {"symbol": symbol, "lastPrice": str(price), "closeTime": self.now_at()}
        if self.is_perp:
            return told
        return told | {"bidPrice": str(price - 1), "askPrice": str(price + 1)}

    def _quotes(self, symbol: str) -> Any:
        price = self.prices[symbol]
        return {
            "symbol": symbol,
            "bidPrice": str(price - 1),
            "bidQty": "1",
            "askPrice": str(price + 1),
            "askQty": "1",
            "time": self.now_at(),
        }

    def _depth(self, symbol: str) -> Any:
        price = self.prices[symbol]
        return {"lastUpdateId": 1, "E": self.now_at(), "T": self.now_at(),
                "bids": [[str(price - 1), "1"]], "asks": [[str(price + 1), "1"]]}  # fmt: skip

    def _exchange_info(self) -> Any:
        return {"timezone": "UTC", "serverTime": self.now_at(), "rateLimits": [],
                "symbols": [self._listed(symbol) for symbol in SYMBOLS]}  # fmt: skip

    def _listed(self, symbol: str) -> dict[str, Any]:
        base, quote = symbol.split("/")
        filters = [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000",
             "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00100000", "maxQty": "9000",
             "stepSize": "0.00001000"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "120", "stepSize": "0"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000"},
            {"filterType": "MIN_NOTIONAL", "notional": "5.0"},
        ]  # fmt: skip
        listed: dict[str, Any] = {
            "symbol": base + quote, "status": "TRADING", "baseAsset": base, "quoteAsset": quote,
            "baseAssetPrecision": 8, "quotePrecision": 8, "filters": filters,
        }  # fmt: skip
        if not self.is_perp:
            kinds = ["LIMIT", "MARKET", "STOP_LOSS", "TAKE_PROFIT"]
            return listed | {"isSpotTradingAllowed": True, "permissions": ["SPOT"],
                             "orderTypes": kinds}  # fmt: skip
        kinds = ["LIMIT", "MARKET", "STOP_MARKET", "TAKE_PROFIT_MARKET"]
        return listed | {
            "pair": base + quote, "contractType": "PERPETUAL", "marginAsset": quote,
            "underlyingType": "COIN", "deliveryDate": 4133404800000, "onboardDate": 1569398400000,
            "pricePrecision": 2, "quantityPrecision": 5, "orderTypes": kinds,
        }  # fmt: skip


def _failure(fault: str) -> web.StreamResponse:
    if fault in ("429", "418"):
        body = {"code": -1003, "msg": "Too much request weight used."}
        return web.json_response(body, status=int(fault), headers={"Retry-After": "7"})
    if fault == "500":
        return web.Response(status=500, text="internal error")
    if fault == "garbage":
        return web.Response(text='{"symbol":"BTCUS', content_type="application/json")
    if fault == "empty":
        return web.json_response({})
    if fault == "reject":
        return web.json_response(
            {"code": -1111, "msg": "Precision is over the maximum."}, status=400
        )
    return web.Response(text="<html>maintenance</html>", content_type="text/html")
