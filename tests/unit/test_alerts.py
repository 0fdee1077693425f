"""Channels and the watcher outside, against a local server that misbehaves.

The server is aiohttp on 127.0.0.1; what is tried is apprise's own JSON webhook.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator

import pytest

from engine.alert import AlertLevel
from engine.alert_words import Letter
from engine.alerts import Channel, Channels, call_watcher, channels_of, redacted, secrets_of
from engine.errors import ConfigError
from tests.webhook import SECRET, Hook, closed_port, served_hook

# apprise imports a module that a later Python will drop.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

LETTER = Letter("Paddock desk: paused", "ERROR it lost 12 %", AlertLevel.ERROR)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with served_hook() as hook:
        yield hook


class Pauses:
    def __init__(self) -> None:
        self.waited: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waited.append(seconds)


async def test_letter_arrives_with_its_title_body_and_kind(hook: Hook) -> None:
    channels = channels_of({"PADDOCK_ALERT_URLS": f"  {hook.address} \n"})
    (delivery,) = await channels.tell(LETTER)
    assert (delivery.channel, delivery.is_delivered, delivery.reason) == ("1 (JSON)", True, "")
    (letter,) = hook.letters
    assert letter["title"] == LETTER.title
    assert letter["message"] == LETTER.body
    assert letter["type"] == "failure"


async def test_server_error_is_tried_three_times_with_pauses_and_then_given_up(hook: Hook) -> None:
    hook.answers = [500] * 10
    pauses = Pauses()
    channels = Channels([Channel(1, hook.address)], sleep=pauses, pauses_s=(1.0, 5.0))
    (delivery,) = await channels.tell(LETTER)
    assert not delivery.is_delivered
    assert "error=500" in delivery.reason
    assert (hook.n_calls, pauses.waited) == (3, [1.0, 5.0])


async def test_channel_that_comes_back_is_delivered_by_the_next_attempt(hook: Hook) -> None:
    hook.answers = [503]
    channels = Channels([Channel(1, hook.address)], sleep=Pauses())
    (delivery,) = await channels.tell(LETTER)
    assert delivery.is_delivered
    assert hook.n_calls == 2


async def test_hanging_channel_costs_its_time_and_no_thread_more(hook: Hook) -> None:
    hook.hangs = True
    channel = Channel(1, hook.address.replace("rto=2", "rto=30"))
    channels = Channels([channel], attempt_s=0.2, sleep=Pauses())
    n_threads = threading.active_count()
    began_s = time.monotonic()
    for _ in range(5):
        (delivery,) = await channels.tell(LETTER)
        assert not delivery.is_delivered
    assert delivery.reason == "an earlier attempt still hangs"
    assert time.monotonic() - began_s < 5.0
    assert threading.active_count() <= n_threads + 1
    assert hook.n_calls == 1
    hook.hang.set()
    hook.hangs = False
    assert channel._attempt is not None
    assert await asyncio.to_thread(channel._attempt.is_over.wait, 10.0)
    (delivery,) = await channels.tell(LETTER)
    assert delivery.is_delivered


async def test_dead_channels_delay_and_stop_none_of_the_others(hook: Hook) -> None:
    dead = f"json://127.0.0.1:{closed_port()}/{SECRET}"
    channels = Channels(
        [Channel(1, dead), Channel(2, hook.address), Channel(3, dead)], sleep=Pauses()
    )
    first, second, third = await channels.tell(LETTER)
    assert (first.is_delivered, second.is_delivered, third.is_delivered) == (False, True, False)
    assert "Connection error" in first.reason
    assert len(hook.letters) == 1


async def test_no_address_is_ever_shown(
    hook: Hook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    # The server under the hook is ours: what it logs is no leak.
    caplog.set_level(logging.ERROR, logger="aiohttp.access")
    hook.answers = [500, 404, 302]
    dead = f"json://127.0.0.1:{closed_port()}/{SECRET}"
    unknown = f"nonsense://{SECRET}"
    environment = {"PADDOCK_ALERT_URLS": f"{hook.address} {dead} {unknown} slack://{SECRET}"}
    channels = channels_of(environment)
    deliveries = []
    for channel in channels.channels:
        deliveries += [await channel.tell(LETTER, 5.0) for _ in range(2)]
    reasons = [await call_watcher(f"http://127.0.0.1:{closed_port()}/{SECRET}")]
    reasons += [await call_watcher(f"{SECRET} is no address")]
    hook.answers = [404]
    reasons += [await call_watcher(hook.watcher)]
    shown = repr((deliveries, channels.problems, reasons, [r.getMessage() for r in caplog.records]))
    captured = capfd.readouterr()
    assert SECRET not in shown + captured.out + captured.err
    assert "127.0.0.1" not in repr(deliveries) + captured.out + captured.err
    assert len(channels.problems) == 2
    assert channels.problems[0].startswith("address 3 of PADDOCK_ALERT_URLS is none that apprise")
    assert all(reasons)


def test_address_that_apprise_does_not_know_is_a_configuration_error_without_the_address() -> None:
    with pytest.raises(ConfigError) as caught:
        Channel(2, f"nonsense://{SECRET}")
    assert SECRET not in repr(caught.value) + repr(caught.value.fields)


def test_without_addresses_there_are_no_channels() -> None:
    assert channels_of({}).channels == channels_of({"PADDOCK_ALERT_URLS": "  "}).channels == ()


async def test_plugin_that_raises_is_a_dead_channel_and_nothing_else(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Channel(1, hook.address)

    def raise_error(*_: object, **__: object) -> bool:
        raise RuntimeError(f"broken at {hook.address}")

    monkeypatch.setattr(channel._caller, "notify", raise_error)
    delivery = await channel.tell(LETTER)
    assert delivery.reason == "RuntimeError: broken at (hidden)"


async def test_watcher_is_called_and_its_failures_are_told(hook: Hook) -> None:
    assert await call_watcher(hook.watcher) == ""
    hook.answers = [503]
    assert await call_watcher(hook.watcher) == "the watcher answered 503"
    hook.hangs = True
    assert await call_watcher(hook.watcher, 0.1) == "the watcher did not answer within 0.1 s"
    reason = await call_watcher(f"http://127.0.0.1:{closed_port()}/{SECRET}")
    assert reason == "the watcher cannot be reached (ClientConnectorError)"


@pytest.mark.parametrize(
    "address",
    [
        "mailto://user:pass%40word@example.com?smtp=mail.example.com&to=me@example.com",
        "slack://TokenAAAA/TokenBBBB/TokenCCCC/#channel",
        "https://hooks.example.com/T000/B000/XXXXXXXX",
        "json://[::1/broken",
    ],
)
def test_every_piece_of_an_address_is_taken_out_of_words(address: str) -> None:
    secrets = secrets_of(address)
    words = redacted(f"cannot reach {address} (USER said pass@word) TokenBBBB", secrets)
    for piece in ("example.com", "pass@word", "TokenAAAA", "XXXXXXXX", "broken"):
        if piece in address:
            assert piece not in words
    assert "cannot reach (hidden)" in words
