"""What the venue pushes over websockets: every event of the account's orders, as Binance does.

Spot: `/ws-api/v3`, subscribed to by a signed request. Perpetuals: `/private/ws?listenKey=...`, with
a key from `/fapi/v1/listenKey`. An event is pushed after it is on the disk, never before. Whoever
reads too slowly is cut off: what was pushed can be asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from engine.clock import Clock
from engine.trade.simulated.book_order import BookOrder, VenueEvent
from engine.trade.simulated.faults import Fault, FaultKind
from engine.trade.simulated.rest.api_error import ApiError, missing
from engine.trade.simulated.rest.authentication import (
    Keys,
    Reading,
    check_key,
    check_signature,
    check_time,
)
from engine.trade.simulated.rest.push_events import perp_events, spot_events
from engine.trade.simulated.venue import Venue

SPOT_PATH = "/ws-api/v3"
PERP_PATH = "/private/ws"
KEY_PATH = "/fapi/v1/listenKey"
KEY_LIFE_S = 3_600.0
"""A listen key that was not renewed for so long is worth nothing."""

_WAITING_MAX = 1_000
_PING_S = 20.0
_SUBSCRIBE = "userDataStream.subscribe.signature"


@dataclass(eq=False, slots=True)
class _Listener:
    """One open connection.

    Attributes
    ----------
    is_subscribed : it may hear of the account
    subscription : the number that spot's events are told under
    is_cut : it is ended at the next event instead of being told it
    """

    socket: web.WebSocketResponse
    is_subscribed: bool = False
    subscription: int = 0
    is_cut: bool = False
    waiting: asyncio.Queue[dict[str, Any]] = field(
        default_factory=lambda: asyncio.Queue(_WAITING_MAX)
    )


class PushFace:
    """Push one venue's events to whoever proved to be its account.

    Parameters
    ----------
    venue : Venue; its events are taken from now on
    keys : of the one account
    clock : this machine's
    clocks : those a signature may be fresh by, as they stand
    is_out : whether the venue is out just now
    of_news : what is planned for the n-th event
    """

    def __init__(
        self,
        venue: Venue,
        keys: Keys,
        clock: Clock,
        clocks: Callable[[], tuple[Reading, ...]],
        is_out: Callable[[], bool],
        of_news: Callable[[int], Fault | None],
    ) -> None:
        self._venue = venue
        self._keys = keys
        self._clock = clock
        self._clocks = clocks
        self._is_out = is_out
        self._of_news = of_news
        self._n_news = 0
        self._held_back: dict[str, Any] | None = None
        self._listeners: set[_Listener] = set()
        self._listen_key = ""
        self._renewed_s = 0.0
        self._n_subscribed = 0
        venue.on_saved = self._hear

    # The listen key of perpetuals

    def give_listen_key(self) -> dict[str, str]:
        """Return the key, a new one when there is none that lives, renewed for an hour."""
        if not self._is_alive(self._listen_key):
            self._listen_key = secrets.token_hex(32)
        return self.renew_listen_key()

    def renew_listen_key(self) -> dict[str, str]:
        """Let the key live for another hour and return it.

        Raises
        ------
        ApiError : -1125 when there is none.
        """
        if not self._listen_key:
            raise ApiError(-1125, "This listenKey does not exist.")
        self._renewed_s = self._clock.monotonic_s()
        return {"listenKey": self._listen_key}

    def end_listen_key(self) -> dict[str, str]:
        """Forget the key."""
        self._listen_key = ""
        return {}

    # Connections

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Keep a connection until either side ends it."""
        is_perp = self._venue.engine.is_perp
        if is_perp and not self._is_alive(request.query.get("listenKey", "")):
            return web.json_response({"code": -1125, "msg": "no such listenKey"}, status=401)
        socket = web.WebSocketResponse(heartbeat=_PING_S)
        await socket.prepare(request)
        listener = _Listener(socket, is_subscribed=is_perp)
        self._listeners.add(listener)
        writer = asyncio.create_task(_write(listener))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_json(self._answer(listener, message.data))
        finally:
            self._listeners.discard(listener)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return socket

    async def close(self) -> None:
        """End every connection."""
        for listener in tuple(self._listeners):
            await listener.socket.close()

    def _answer(self, listener: _Listener, text: str) -> dict[str, Any]:
        asked: Any = None
        try:
            asked = json.loads(text)
            number = asked["id"]
            if asked["method"] != _SUBSCRIBE:
                raise ApiError(-1103, "Unknown method.")
            self._check({name: str(value) for name, value in asked["params"].items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            number = asked.get("id") if isinstance(asked, dict) else None
            error = ApiError(-1135, "Invalid JSON Request")
            return {"id": number, "status": error.status, "error": error.body()}
        except ApiError as exc:
            return {"id": number, "status": exc.status, "error": exc.body()}
        listener.subscription, listener.is_subscribed = self._n_subscribed, True
        self._n_subscribed += 1
        return {"id": number, "status": 200, "result": {"subscriptionId": listener.subscription}}

    def _check(self, given: dict[str, str]) -> None:
        check_key(given.get("apiKey"), self._keys)
        if "signature" not in given:
            raise missing("signature")
        # Signed are the parameters in the order of their names, whatever order they come in.
        signed = "&".join(f"{name}={given[name]}" for name in sorted(given) if name != "signature")
        check_signature(f"{signed}&signature={given['signature']}", "", self._keys)
        check_time(given, self._clocks())

    def _is_alive(self, listen_key: str) -> bool:
        age_s = self._clock.monotonic_s() - self._renewed_s
        return bool(listen_key) and listen_key == self._listen_key and age_s < KEY_LIFE_S

    # Events

    def _hear(self, events: Sequence[tuple[BookOrder, VenueEvent]]) -> None:
        listeners = [listener for listener in self._listeners if listener.is_subscribed]
        if not listeners:
            return
        is_perp, is_out = self._venue.engine.is_perp, self._is_out()
        told = self._planned(
            told
            for order, event in events
            for told in (perp_events if is_perp else spot_events)(order, event)
        )
        for listener in listeners:
            listener.is_cut |= is_out
            for one in told:
                wrapped = {"subscriptionId": listener.subscription, "event": one}
                try:
                    listener.waiting.put_nowait(one if is_perp else wrapped)
                except asyncio.QueueFull:
                    listener.is_cut = True
                    break

    def _planned(self, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the events as they are planned to come: some twice, some after the next one."""
        told: list[dict[str, Any]] = []
        for event in events:
            self._n_news += 1
            fault = self._of_news(self._n_news)
            kind = None if fault is None else fault.kind
            if kind is FaultKind.REORDER_NEWS and self._held_back is None:
                self._held_back = event
                continue
            told += [event] * (2 if kind is FaultKind.DUPLICATE_NEWS else 1)
            if self._held_back is not None:
                told.append(self._held_back)
                self._held_back = None
        return told


async def _write(listener: _Listener) -> None:
    while True:
        one = await listener.waiting.get()
        if listener.is_cut:
            await listener.socket.close()
            return
        with contextlib.suppress(ConnectionError):
            await listener.socket.send_json(one)
