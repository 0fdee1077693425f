"""What an exchange pushes about our orders, taken as a reason to ask and as nothing more.

Pushed words are not believed: they come late, twice, out of order or not at all, and nobody is told
what was missed. They say when it is worth asking, and asking tells the truth. So what is lost with
this channel is time.

Survives a crash: nothing. May run twice: two channels are two reasons to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import ccxt

from engine.trade.keys import Redactor
from engine.trade.live_errors import PARSER_ERRORS, Question, translated


class OrderPushes:
    """Wait for an exchange's word that something about our orders changed.

    Parameters
    ----------
    venue : its name, for messages
    make_client : returns a ccxt client that watches; called again after every failure
    redacted : takes the account's keys out of a text
    """

    def __init__(self, venue: str, make_client: Callable[[], Any], redacted: Redactor) -> None:
        self._venue = venue
        self._make_client = make_client
        self._redacted = redacted
        self._client: Any = None

    @property
    def is_open(self) -> bool:
        """Return whether there is a connection that could bring word."""
        client = self._client
        return client is not None and any(not one.closed() for one in client.clients.values())

    async def changed(self) -> None:
        """Return when the exchange has pushed something about an order of ours.

        Raises
        ------
        VenueUnavailable : the channel broke; the next call opens another.
        VenueRejected : the exchange refuses one: wrong keys, or none for this market.
        """
        try:
            if self._client is None:
                self._client = self._make_client()
            await self._client.watch_orders()
        except (ccxt.BaseError, aiohttp.ClientError, OSError, *PARSER_ERRORS) as exc:
            await self.close()
            self._redacted.cleanse(exc)
            question = Question(self._venue, "read", "changes of orders (websocket)", {})
            raise translated(_said(exc), question, self._redacted) from exc

    async def close(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _said(error: Exception) -> Exception:
    """Return what the exchange said, where ccxt stumbled while handling it."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, ccxt.BaseError):
        behind = behind.__context__
    return error if behind is None else behind
