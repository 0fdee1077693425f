"""The keys of an account: from the environment, into the signer, and into no text on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from engine.errors import ConfigError

HIDDEN = "(hidden)"
_LIVE = "PADDOCK_LIVE_API"
_KILL = "PADDOCK_LIVE_KILL_API"
# A shorter text is no key, and hiding it would tear words apart.
_SHORTEST_SECRET = 4
_QUERY = re.compile(r"(?P<address>\bhttps?://[^\s?#\"']+)\?[^\s\"'}]*", re.I)
_SIGNED = re.compile(
    r"(?P<name>\b(?:signature|sign|secret(?:key)?|passphrase|password|token|[\w-]*api[-_]?key"
    r"|access[-_]key)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',}]+",
    re.I,
)


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What an exchange knows us by; never shown.

    Attributes
    ----------
    api_key, secret : text
    password : text, empty where the exchange wants none
    """

    api_key: str
    secret: str
    password: str = ""

    def __repr__(self) -> str:
        return f"Keys({HIDDEN})"


class Redactor:
    """Take keys, signatures and query strings out of a text that somebody else wrote.

    Parameters
    ----------
    keys : what must not show, in any of the spellings an address may have
    """

    def __init__(self, keys: Keys) -> None:
        plain = [keys.api_key, keys.secret, keys.password]
        spelled = {form(text) for text in plain for form in (str, quote, quote_plus)}
        self._secrets = sorted(
            (text for text in spelled if len(text) >= _SHORTEST_SECRET), key=len, reverse=True
        )

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _QUERY.sub(rf"\g<address>?{HIDDEN}", text)
        return _SIGNED.sub(rf"\g<name>{HIDDEN}", text)

    def cleanse(self, error: BaseException) -> None:
        """Redact an error and everything it was raised from, so that a traceback may be kept."""
        seen: set[int] = set()
        pending: list[BaseException | None] = [error]
        while pending:
            found = pending.pop()
            if found is None or id(found) in seen:
                continue
            seen.add(id(found))
            found.args = tuple(self(arg) if isinstance(arg, str) else arg for arg in found.args)
            pending += [found.__cause__, found.__context__]


def live_keys(environment: Mapping[str, str], *, for_kill: bool = False) -> Keys:
    """Return the live account's keys.

    Parameters
    ----------
    for_kill : prefer the kill switch's own pair, whose nonces cannot collide with the gateway's

    Raises
    ------
    ConfigError : a variable is missing; names it.
    """
    password = _read(environment, f"{_LIVE}_PASSWORD")
    kill_key, kill_secret = (_read(environment, f"{_KILL}_{part}") for part in ("KEY", "SECRET"))
    if for_kill and (kill_key or kill_secret):
        if not (kill_key and kill_secret):
            raise _missing(f"{_KILL}_{'SECRET' if kill_key else 'KEY'}")
        return Keys(kill_key, kill_secret, password)
    found = {part: _read(environment, f"{_LIVE}_{part}") for part in ("KEY", "SECRET")}
    for part, text in found.items():
        if not text:
            raise _missing(f"{_LIVE}_{part}")
    return Keys(found["KEY"], found["SECRET"], password)


def _read(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, "").strip()


def _missing(name: str) -> ConfigError:
    return ConfigError(
        f"the live account has no keys: set {name} in the environment (keys are read from nowhere "
        "else)",
        variable=name,
    )
