"""What an operator asks of limits while the runtime trades: other ones, at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from actors.ports import Peer
from engine.errors import UsageError
from engine.trading_settings import Limits

COMMAND = "limits.apply"
_CALL_S = 10.0


def asked_limits(arguments: Mapping[str, Any]) -> tuple[Limits, str]:
    """Return the limits that are asked for, and what changes, in words.

    Raises
    ------
    UsageError : not the limits of a configuration.
    """
    given = arguments.get("limits")
    words = arguments.get("words")
    if not isinstance(given, dict) or set(given) != set(Limits.model_fields):
        raise UsageError("limits.apply takes every limit of the configuration, and no other")
    if not isinstance(words, str) or not words:
        raise UsageError("limits.apply takes what changes, in words")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    try:
        return Limits.model_validate(values), words
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or str(
            first.get("ctx", {}).get("key", "")
        )
        raise UsageError(f"[limits] {place}: {first['msg']}") from exc


async def journal(traders: Mapping[str, Peer], who: str, words: str) -> None:
    """Write into every account's journal who changes what.

    Raises
    ------
    UsageError : an account is not ready.
    PeerLost : a trader is down.
    """
    for trader in traders.values():
        await trader.call("note", "limits.changed", f"{who}: {words}", who, timeout_s=_CALL_S)
