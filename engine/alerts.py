"""Telling people who are not looking: channels through apprise, and a call to a watcher outside.

Addresses come from the environment and are secrets whole: who reads one may write to it. They are
neither logged nor stored, and are taken out of whatever a channel says.

A channel that is dead harms nobody: each attempt runs in a thread of its own that nothing waits for
beyond its time, and a channel whose last attempt still hangs is passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from engine.alert import AlertLevel
from engine.alert_words import Letter
from engine.errors import ConfigError

ALERT_URLS = "PADDOCK_ALERT_URLS"
HEARTBEAT_URL = "PADDOCK_HEARTBEAT_URL"
HIDDEN = "(hidden)"
ATTEMPT_S = 15.0
PAUSES_S: tuple[float, ...] = (1.0, 5.0)
"""Before the second and the third attempt; there is no fourth."""

_LEAST_SECRET = 4
_MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one message on one channel.

    Attributes
    ----------
    channel : its place in PADDOCK_ALERT_URLS and its kind, such as `1 (Slack)`
    reason : why it was not delivered, in words without the address; empty when it was
    """

    channel: str
    is_delivered: bool
    reason: str = ""


class Channel:
    """One address.

    Parameters
    ----------
    place : int
        Which of the addresses it is, from 1.
    address : str
        As apprise reads it.

    Raises
    ------
    ConfigError : apprise does not know such an address; it is not shown.
    """

    def __init__(self, place: int, address: str) -> None:
        import apprise

        # Its own log names hosts and, at the lowest level, whole addresses.
        log = logging.getLogger("apprise")
        log.propagate = False
        if not log.handlers:
            # Without one, Python writes warnings to stderr itself.
            log.addHandler(logging.NullHandler())
        asset = apprise.AppriseAsset(
            app_id="Paddock",
            app_desc="Paddock alerts",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            storage_mode=apprise.PersistentStoreMode.MEMORY,
            async_mode=False,
        )
        self._caller = apprise.Apprise(asset=asset)
        if not self._caller.add(address):
            raise ConfigError(
                f"address {place} of {ALERT_URLS} is none that apprise knows: write it as its "
                "documentation says, without spaces",
                place=place,
            )
        kind = next(iter(self._caller)).service_name
        self.name = f"{place} ({kind})"
        self._secrets = secrets_of(address)
        self._kinds = {
            None: apprise.NotifyType.SUCCESS,
            AlertLevel.WARN: apprise.NotifyType.WARNING,
            AlertLevel.ERROR: apprise.NotifyType.FAILURE,
        }
        self._attempt: _Attempt | None = None

    async def tell(self, letter: Letter, attempt_s: float = ATTEMPT_S) -> Delivery:
        """Try once, and wait no longer than `attempt_s`; never raises."""
        if self._attempt is not None and not self._attempt.is_over.is_set():
            return Delivery(self.name, False, "an earlier attempt still hangs")
        said: list[str] = []
        try:
            is_delivered = await self._in_thread(lambda: self._notify(letter, said), attempt_s)
        except TimeoutError:
            return Delivery(self.name, False, f"no answer within {attempt_s:g} s")
        except Exception as exc:
            # A plugin may raise anything; its channel is dead, and nothing else.
            said.append(f"{type(exc).__name__}: {exc}")
            is_delivered = False
        if is_delivered:
            return Delivery(self.name, True)
        return Delivery(self.name, False, redacted(" ".join(said), self._secrets) or "it refused")

    def _notify(self, letter: Letter, said: list[str]) -> bool:
        def hear(entry: Any, _service: Any) -> None:
            said.append(str(getattr(entry, "message", entry)))

        return bool(
            self._caller.notify(
                body=letter.body,
                title=letter.title,
                notify_type=self._kinds[letter.level],
                log_callback=hear,
                log_level=logging.WARNING,
            )
        )

    async def _in_thread(self, work: Callable[[], bool], timeout_s: float) -> bool:
        self._attempt = _Attempt(work, asyncio.get_running_loop())
        # A daemon, unlike a pool's: ending the process does not wait for a dead channel.
        threading.Thread(target=self._attempt.run, name="alert", daemon=True).start()
        return await asyncio.wait_for(self._attempt.answer, timeout_s)


class _Attempt:
    """One call of a channel, in a thread that may outlive whoever waits for it."""

    def __init__(self, work: Callable[[], bool], loop: asyncio.AbstractEventLoop) -> None:
        self.answer: asyncio.Future[bool] = loop.create_future()
        self.is_over = threading.Event()
        self._work = work
        self._loop = loop

    def run(self) -> None:
        value, error = False, None
        try:
            value = self._work()
        except Exception as exc:
            error = exc
        self.is_over.set()
        # Where the loop has ended nobody waits for the answer any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._settle, value, error)

    def _settle(self, value: bool, error: Exception | None) -> None:
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(value)
        else:
            self.answer.set_exception(error)


class Channels:
    """All addresses.

    Parameters
    ----------
    channels : Sequence of Channel
    problems : what is wrong with addresses that were left out
    attempt_s, pauses_s : how long one attempt may take, and the pauses between attempts; by
        default PAUSES_S
    sleep : waits; replaced in tests
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        problems: Sequence[str] = (),
        *,
        attempt_s: float = ATTEMPT_S,
        pauses_s: Sequence[float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.channels = tuple(channels)
        self.problems = tuple(problems)
        self._attempt_s = attempt_s
        self._pauses_s = PAUSES_S if pauses_s is None else tuple(pauses_s)
        self._sleep = sleep

    async def tell(self, letter: Letter) -> list[Delivery]:
        """Tell all channels at once; a dead one delays none of the others. Never raises."""
        return list(await asyncio.gather(*(self._tell(one, letter) for one in self.channels)))

    async def _tell(self, channel: Channel, letter: Letter) -> Delivery:
        delivery = await channel.tell(letter, self._attempt_s)
        for pause_s in self._pauses_s:
            if delivery.is_delivered:
                break
            await self._sleep(pause_s)
            delivery = await channel.tell(letter, self._attempt_s)
        return delivery


def channels_of(environment: Mapping[str, str]) -> Channels:
    """Return the channels of PADDOCK_ALERT_URLS; an address that is wrong is left out and told."""
    found, problems = [], []
    for place, address in enumerate(environment.get(ALERT_URLS, "").split(), start=1):
        try:
            found.append(Channel(place, address))
        except ConfigError as exc:
            problems.append(exc.message)
    return Channels(found, problems)


async def call_watcher(address: str, timeout_s: float = 10.0) -> str:
    """Tell a watcher outside that we live; return why that failed, empty when it did not.

    Parameters
    ----------
    address : http or https; GET, whose answer must be a success
    """
    import aiohttp

    try:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with session.get(address) as answer:
                if answer.status < 300:
                    return ""
                return f"the watcher answered {answer.status}"
    except TimeoutError:
        return f"the watcher did not answer within {timeout_s:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        # Its words hold the address, escaped in ways of their own.
        return f"the watcher cannot be reached ({type(exc).__name__})"


def secrets_of(address: str) -> tuple[str, ...]:
    """Return every part of an address that must not be shown, the longest first."""
    try:
        parts = urlsplit(address)
        pieces = {parts.netloc, parts.hostname or "", parts.username or "", parts.password or ""}
        pieces |= {parts.query, parts.path, parts.fragment, *re.split(r"[/&=@:?,]", address)}
    except ValueError:
        pieces = set(re.split(r"[/&=@:?,]", address))
    pieces |= {unquote(piece) for piece in pieces}
    pieces |= {quote(piece, safe="") for piece in pieces} | {quote(piece) for piece in pieces}
    scheme = address.partition(":")[0]
    kept = {address, *(p for p in pieces if len(p) >= _LEAST_SECRET and p != scheme)}
    return tuple(sorted(kept, key=lambda piece: (-len(piece), piece)))


def redacted(words: str, secrets: Sequence[str]) -> str:
    """Return words on one line, without secrets, cut to what a person reads."""
    flat = " ".join(words.split())
    for secret in secrets:
        flat = re.sub(re.escape(secret), HIDDEN, flat, flags=re.IGNORECASE)
    return flat if len(flat) <= _MOST_WORDS else flat[: _MOST_WORDS - 1] + "…"
