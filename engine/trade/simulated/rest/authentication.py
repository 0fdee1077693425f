"""Who asks, and how fresh the question is: key, signature, timestamp, as Binance does. Pure."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qsl

from engine.trade.simulated.rest.api_error import ApiError, missing

_WINDOW_DEFAULT_MS = 5_000
_WINDOW_MAX_MS = 60_000
_AHEAD_MS = 1_000


@dataclass(frozen=True, slots=True)
class Keys:
    """The key and secret of the one account."""

    api_key: str
    secret: str

    def __repr__(self) -> str:
        return "Keys(...)"


def check_key(given: str | None, keys: Keys) -> None:
    """Refuse a request without the account's key.

    Raises
    ------
    ApiError : -2014 without a key, -2015 with another one.
    """
    if not given:
        raise ApiError(-2014, "API-key format invalid.", status=401)
    if not hmac.compare_digest(given.encode(), keys.api_key.encode()):
        raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def check_signature(query: str, body: str, keys: Keys) -> dict[str, str]:
    """Return the parameters of a signed request.

    Parameters
    ----------
    query, body : as they came, still encoded; the signature covers both

    Raises
    ------
    ApiError : -1102 without a signature, -1022 with a wrong one.
    """
    parts = [part for part in (*query.split("&"), *body.split("&")) if part]
    given = [part.partition("=")[2] for part in parts if part.startswith("signature=")]
    if not given:
        raise missing("signature")
    # Binance joins query and body without a sign between them.
    text = _unsigned(query) + _unsigned(body)
    wanted = hmac.new(keys.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(given[-1].encode(), wanted.encode()):
        raise ApiError(-1022, "Signature for this request is not valid.")
    return dict(parse_qsl(f"{_unsigned(query)}&{_unsigned(body)}", keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock as it stands.

    Attributes
    ----------
    now_at : UTC ms
    speed : its seconds a second of the real world; windows are as long in real time
    """

    now_at: int
    speed: float = 1.0


def check_time(parameters: dict[str, str], clocks: tuple[Reading, ...]) -> None:
    """Refuse a request that was signed too long ago, or in the future.

    Parameters
    ----------
    clocks : fresh by one of them is fresh. A venue in accelerated time has two: clients sign by
        their own clock, or by the venue's.

    Raises
    ------
    ApiError : -1102 without a timestamp, -1131 for a window that is too long, -1021 outside of it.
    """
    text = parameters.get("timestamp", "")
    window = parameters.get("recvWindow", str(_WINDOW_DEFAULT_MS))
    if not text.isdigit():
        raise missing("timestamp")
    if not window.isdigit() or not 0 < int(window) <= _WINDOW_MAX_MS:
        raise ApiError(-1131, "recvWindow must be less than 60000")
    late_ms = [(clock.now_at - int(text)) / max(1.0, clock.speed) for clock in clocks]
    if any(-_AHEAD_MS <= late <= int(window) for late in late_ms):
        return
    if all(late < 0 for late in late_ms):
        raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
