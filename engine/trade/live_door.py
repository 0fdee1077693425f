"""The one door to a trading client: a request goes through it once, every error leaves as ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import ccxt

from engine.clock import Clock
from engine.errors import VenueError, VenueRejected
from engine.trade.keys import Redactor
from engine.trade.live_errors import PARSER_ERRORS, Asked, Question, Refusal, translated
from engine.trade.pace import sending

Answer = TypeVar("Answer")


class TradeDoor:
    """Ask an exchange once.

    Parameters
    ----------
    venue : its name, for messages
    client : ccxt client (asyncio)
    clock : this machine's, compared with the exchange's when that complains about it
    redacted : takes the account's keys out of a text
    """

    def __init__(self, venue: str, client: Any, clock: Clock, redacted: Redactor) -> None:
        self.venue = venue
        self.client = client
        self.clock = clock
        self._redacted = redacted

    async def read(self, what: str, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return an answer that changes nothing.

        Raises
        ------
        VenueUnavailable : no usable answer; ask again.
        VenueRejected : the exchange said no.
        """
        return await self.ask("read", what, request)

    async def ask(
        self,
        asked: Asked,
        what: str,
        request: Callable[[], Awaitable[Answer]],
        **fields: object,
    ) -> Answer:
        """Return an answer.

        Parameters
        ----------
        what : for messages, such as `order pk-1f for BTC/USDT`
        request : starts the one try, and reads its answer
        fields : the same as values, for the error

        Raises
        ------
        VenueUnavailable, VenueRejected, OrderStateUnknown : see `live_errors`; none of them, and
            nothing they were raised from, holds a key or a signature.
        """
        try:
            if asked == "read":
                return await request()
            with sending():
                return await request()
        except (ccxt.BaseError, *PARSER_ERRORS) as exc:
            self._redacted.cleanse(exc)
            error = translated(exc, Question(self.venue, asked, what, fields), self._redacted)
            if error.fields.get("refusal") is Refusal.CLOCK:
                error = await self._with_skew(error)
            raise error from exc

    async def _with_skew(self, error: VenueError) -> VenueError:
        """Return the error of a clock that is off, saying by how much."""
        try:
            before_at = self.clock.now_at()
            venue_at = int(await self.client.fetch_time())
            local_at = (before_at + self.clock.now_at()) // 2
        except (ccxt.BaseError, *PARSER_ERRORS):
            return error
        skew_s = (local_at - venue_at) / 1000
        way = "ahead of" if skew_s > 0 else "behind"
        return VenueRejected(
            f"{error.message}; it is {abs(skew_s):.1f} s {way} {self.venue}'s",
            **error.fields,
            skew_s=skew_s,
        )
