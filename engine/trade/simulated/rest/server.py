"""The venue's REST face on a loopback port: routes, limits, and planned misfortune on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from engine.clock import Clock
from engine.errors import StoreError, VenueError, VenueRejected
from engine.trade.simulated.faults import NO_FAULTS, Fault, FaultKind, Faults
from engine.trade.simulated.rate_limit import RateLimit
from engine.trade.simulated.rest import algo, perp, public, spot
from engine.trade.simulated.rest.api_error import (
    ApiError,
    banned,
    of_refusal,
    too_many_orders,
    too_many_requests,
    unavailable,
)
from engine.trade.simulated.rest.authentication import (
    Keys,
    Reading,
    check_key,
    check_signature,
    check_time,
)
from engine.trade.simulated.rest.call import Call, Quotes, Route
from engine.trade.simulated.rest.parameters import Parameters
from engine.trade.simulated.rest.push import KEY_PATH, PERP_PATH, SPOT_PATH, PushFace
from engine.trade.simulated.venue import Venue

HANG_S = 60.0
"""Longest time that a lost answer keeps its connection open."""

_BAN_AFTER = 200
_BAN_S = 120.0


class Limits:
    """Weight a minute and orders in ten seconds, and the ban of whoever does not stop.

    Parameters
    ----------
    weight_max : a minute
    orders_max : in ten seconds
    clock : this machine's
    """

    def __init__(self, weight_max: int, orders_max: int, clock: Clock) -> None:
        self._clock = clock
        self._weight = RateLimit(weight_max, 60.0)
        self._orders = RateLimit(orders_max, 10.0)
        self._n_over = 0
        self._banned_until_s = 0.0

    @property
    def used(self) -> int:
        """Return the weight used in this minute."""
        return self._weight.used

    def charge(self, route: Route, weight: int) -> None:
        """Count a request.

        Raises
        ------
        ApiError : 429 with the time to wait, 418 after many of those.
        """
        now_s = self._clock.monotonic_s()
        if now_s < self._banned_until_s:
            wait_s = self._banned_until_s - now_s
            raise banned(self._clock.now_at() + int(wait_s * 1000), wait_s)
        wait = self._weight.charge(weight, now_s)
        if wait is not None:
            self._n_over += 1
            if self._n_over > _BAN_AFTER:
                self._n_over = 0
                self._banned_until_s = now_s + _BAN_S
                raise banned(self._clock.now_at() + int(_BAN_S * 1000), _BAN_S)
            raise too_many_requests(self._weight.weight_max, wait)
        self._n_over = 0
        if route.is_new_order and self._orders.charge(1, now_s) is not None:
            raise too_many_orders(self._orders.weight_max)


class RestServer:
    """Serve one venue.

    Parameters
    ----------
    venue : Venue
    keys : of the one account
    clock : this machine's
    faults : what goes wrong on the way, in real time
    latency_ms : real time between a request and its effect, >= 0
    on_fatal : called when the state cannot be written; must end the process at once

    Attributes
    ----------
    n_requests : that came so far
    pushing : the connections that events are pushed over
    """

    def __init__(
        self,
        venue: Venue,
        keys: Keys,
        on_fatal: Callable[[StoreError], None],
        clock: Clock,
        *,
        faults: Faults = NO_FAULTS,
        latency_ms: int = 0,
    ) -> None:
        self.n_requests = 0
        self._venue = venue
        self._keys = keys
        self._on_fatal = on_fatal
        self._clock = clock
        self._faults = faults
        self._latency_s = latency_ms / 1000
        self._quotes = Quotes(venue, faults)
        is_perp = venue.engine.is_perp
        market_type = "perp" if is_perp else "spot"
        self._limits = Limits(public.WEIGHT_PER_MINUTE[market_type], public.ORDERS_PER_10_S, clock)
        routes = (
            (*public.PERP_ROUTES, *perp.ROUTES, *algo.ROUTES)
            if is_perp
            else (*public.SPOT_ROUTES, *spot.ROUTES)
        )
        self.pushing = PushFace(venue, keys, clock, self._clocks, self._is_out, faults.of_news)
        listen_key_routes = self._listen_key_routes() if is_perp else ()
        self._routes = {(r.method, r.path): r for r in (*routes, *listen_key_routes)}
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1 and return the port.

        Raises
        ------
        OSError : the port is taken.
        """
        app = web.Application()
        pushing_path = PERP_PATH if self._venue.engine.is_perp else SPOT_PATH
        app.router.add_get(pushing_path, self._push)
        app.on_shutdown.append(self._end_pushing)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; what is being answered is answered."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _push(self, request: web.Request) -> web.StreamResponse:
        if self._is_out():
            return _broken_off(request)
        return await self.pushing.serve(request)

    async def _end_pushing(self, _: web.Application) -> None:
        await self.pushing.close()

    def _listen_key_routes(self) -> tuple[Route, ...]:
        async def give(_: Call) -> dict[str, str]:
            return self.pushing.give_listen_key()

        async def renew(_: Call) -> dict[str, str]:
            return self.pushing.renew_listen_key()

        async def end(_: Call) -> dict[str, str]:
            return self.pushing.end_listen_key()

        handlers = (("POST", give), ("PUT", renew), ("DELETE", end))
        return tuple(Route(m, KEY_PATH, handler, is_keyed=True) for m, handler in handlers)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.n_requests += 1
        n = self.n_requests
        body = (await request.read()).decode(errors="replace")
        fault = self._faults.of_request(n)
        kind = fault.kind if fault is not None else None
        if self._is_out():
            return _broken_off(request)
        await asyncio.sleep(self._latency_s)
        if fault is not None and kind is FaultKind.DELAY:
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault is not None and kind is FaultKind.DROP_REQUEST:
            return await _lost(request, fault)
        if fault is not None and kind is FaultKind.RATE_LIMIT:
            return self._refusal(too_many_requests(0, fault.retry_after_s))
        if kind is FaultKind.REJECT:
            return self._refusal(ApiError(-2010, "This action is disabled on this account."))
        if fault is not None and kind is FaultKind.SERVER_ERROR and not fault.acts:
            return self._refusal(unavailable())
        answer = await self._answer(request, body, n)
        if fault is not None and kind is FaultKind.DUPLICATE_REQUEST:
            second = await self._answer(request, body, n)
            answer = second if fault.acts else answer
        if fault is not None and kind is FaultKind.DROP_ANSWER:
            return await _lost(request, fault)
        return self._refusal(unavailable()) if kind is FaultKind.SERVER_ERROR else answer

    async def _answer(self, request: web.Request, body: str, n: int) -> web.Response:
        try:
            return self._json(await self._act(request, body, n))
        except ApiError as exc:
            return self._refusal(exc)
        except VenueRejected as exc:
            return self._refusal(of_refusal(exc, is_perp=self._venue.engine.is_perp))
        except VenueError:
            # The real exchange behind the prices does not answer.
            return self._refusal(unavailable())
        except StoreError as exc:
            self._on_fatal(exc)
            raise

    async def _act(self, request: web.Request, body: str, n: int) -> Any:
        route = self._routes.get((request.method, request.path))
        if route is None:
            raise ApiError(
                -5000, f"Path {request.path}, Method {request.method} is invalid", status=404
            )
        query = request.raw_path.partition("?")[2]
        if route.is_signed or route.is_keyed:
            check_key(request.headers.get("X-MBX-APIKEY"), self._keys)
        if route.is_signed:
            parameters = check_signature(query, body, self._keys)
        else:
            parameters = dict(request.query)
        weight = route.weight_all if route.weight_all and "symbol" not in parameters else 0
        self._limits.charge(route, weight or route.weight)
        if route.is_signed:
            check_time(parameters, self._clocks())
        generated_id = f"web_{self._clock.now_at():x}_{n}"
        read = Parameters(parameters, self._venue.instruments)
        return await route.handler(Call(self._venue, self._quotes, read, generated_id))

    def _is_out(self) -> bool:
        return self._faults.is_out(self._clock.now_at())

    def _clocks(self) -> tuple[Reading, ...]:
        skew_ms = self._faults.skew_ms(self._clock.now_at())
        venue = self._venue
        return (
            Reading(self._clock.now_at() + skew_ms),
            Reading(venue.now_at() + skew_ms, venue.time.speed),
        )

    def _json(self, answer: Any) -> web.Response:
        return web.json_response(answer, headers={"X-MBX-USED-WEIGHT-1M": str(self._limits.used)})

    def _refusal(self, error: ApiError) -> web.Response:
        return web.json_response(error.body(), status=error.status, headers=error.headers)


def _broken_off(request: web.Request) -> web.Response:
    # The connection ends without an answer.
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


async def _lost(request: web.Request, fault: Fault) -> web.Response:
    if fault.hangs:
        await asyncio.sleep(HANG_S)
    return _broken_off(request)
