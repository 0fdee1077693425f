"""What an operator asks of an account while it trades, passed on to the trader that hosts it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from actors.ports import Peer
from engine.errors import UsageError
from engine.trade.accounts import PAPER

COMMANDS = (
    "order.cancel",
    "symbol.flatten",
    "account.adopt",
    "account.disown",
    "account.reconcile",
)
_CALL_S = 30.0
_RECAST_S = 1.0
_DEFAULT_REASON = "asked for by the operator"


class DeskCommands:
    """Pass commands on.

    Parameters
    ----------
    peer_of : reaches a trader by its name
    traders : names of those that this runtime has
    """

    def __init__(self, peer_of: Callable[[str], Peer], traders: tuple[str, ...]) -> None:
        self.traders = {name.partition("-")[2]: peer_of(name) for name in traders}

    async def carry_out(self, name: str, arguments: Mapping[str, Any], who: str) -> Any:
        """Do one of `COMMANDS`.

        Raises
        ------
        UsageError : no such account, or the trader refuses.
        PeerLost : the trader is down; whether it was done shows in the account's journal.
        """
        trader = self._trader(arguments.get("account", PAPER))
        reason = _text(arguments, "reason", _DEFAULT_REASON)
        if name == "order.cancel":
            client_id = _text(arguments, "client_id")
            return await trader.call("cancel_order", client_id, who, reason, timeout_s=_CALL_S)
        if name == "symbol.flatten":
            symbol = _text(arguments, "symbol")
            return await trader.call("flatten_symbol", symbol, who, reason, timeout_s=_CALL_S)
        if name == "account.reconcile":
            return await trader.call("differences", timeout_s=_CALL_S)
        subject = arguments.get("subject")
        if subject is not None and not isinstance(subject, str):
            raise UsageError(f"subject {subject!r} is not a text")
        method = name.partition(".")[2]
        return await trader.call(method, who, reason, subject, timeout_s=_CALL_S)

    async def recast(self) -> None:
        """Let every trader look at once who trades; one that is down looks when it is back."""
        calls = (trader.call("recast", timeout_s=_RECAST_S) for trader in self.traders.values())
        await asyncio.gather(*calls, return_exceptions=True)

    def _trader(self, account: Any) -> Peer:
        trader = self.traders.get(account)
        if trader is None:
            known = ", ".join(self.traders) or "none: [trading] enabled is false"
            raise UsageError(f"account {account!r} is not traded by this runtime: {known}")
        return trader


def _text(arguments: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = arguments.get(name) or default
    if not isinstance(value, str):
        raise UsageError(f"{name} {value!r} is not a text")
    return value
