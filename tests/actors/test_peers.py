"""A peer's calls when the actor behind its name is another one by now."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError

from actors.cluster import RayPeer
from actors.ports import PeerLost
from engine.clock import SystemClock


class Actor:
    """An actor as its callers see it: it answers, or says how it ended."""

    def __init__(self, error: Exception | None = None, began_at: int = 0) -> None:
        self.error = error
        self.began_at = began_at
        self.calls: list[str] = []
        self.call = self

    def remote(self, method: str, _args: tuple[Any, ...]) -> Actor:
        self.calls.append(method)
        return self

    def future(self) -> Future[Any]:
        answer: Future[Any] = Future()
        if self.error is not None:
            answer.set_exception(self.error)
        else:
            answer.set_result({"began_at": self.began_at, "done": self.calls[-1]})
        return answer


class Names:
    """Whom each name is of now."""

    def __init__(self, *actors: Actor) -> None:
        self._actors = list(actors)

    def __call__(self, _name: str, namespace: str) -> Actor:
        return self._actors.pop(0) if len(self._actors) > 1 else self._actors[0]


def peer_of(monkeypatch: pytest.MonkeyPatch, *actors: Actor) -> RayPeer:
    """Return a peer whose name is of these actors, one after the other."""
    monkeypatch.setattr(ray, "get_actor", Names(*actors))
    return RayPeer("trader-paper")


async def test_the_first_call_after_an_actor_was_replaced_reaches_the_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = Actor(), Actor(began_at=SystemClock().now_at() - 1)
    peer = peer_of(monkeypatch, old, new)
    await peer.call("note")
    old.error = ActorDiedError()
    assert (await peer.call("flatten"))["done"] == "flatten"
    assert (await peer.call("cancel"))["done"] == "cancel"
    assert new.calls == ["ping", "flatten", "cancel"]
    assert old.calls == ["note", "flatten"]


async def test_calls_at_once_all_reach_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Actor(), Actor(began_at=SystemClock().now_at() - 1)
    peer = peer_of(monkeypatch, old, new)
    await peer.call("note")
    old.error = ActorDiedError()
    answers = await asyncio.gather(peer.call("flatten"), peer.call("cancel"))
    assert [answer["done"] for answer in answers] == ["flatten", "cancel"]


async def test_what_an_actor_may_have_begun_before_it_was_replaced_is_not_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = Actor(), Actor(began_at=SystemClock().now_at() + 60_000)
    peer = peer_of(monkeypatch, old, new)
    await peer.call("note")
    old.error = ActorDiedError()
    with pytest.raises(PeerLost, match="trader-paper is down"):
        await peer.call("flatten")
    assert new.calls == ["ping"]
    assert (await peer.call("flatten"))["done"] == "flatten"


@pytest.mark.parametrize("error", [ActorDiedError(), ActorUnavailableError("gone", None)])
async def test_an_actor_that_died_and_is_the_same_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    only = Actor()
    peer = peer_of(monkeypatch, only)
    await peer.call("note")
    only.error = error
    with pytest.raises(PeerLost):
        await peer.call("flatten")
    assert only.calls == ["note", "flatten"]


async def test_a_name_that_is_nobodys_by_now_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Actor()
    peer = peer_of(monkeypatch, old)
    await peer.call("note")
    old.error = ActorDiedError()

    def nobody(_name: str, namespace: str) -> Actor:
        raise ValueError(f"no actor of that name in {namespace}")

    monkeypatch.setattr(ray, "get_actor", nobody)
    with pytest.raises(PeerLost, match="trader-paper is down"):
        await peer.call("flatten")
    with pytest.raises(PeerLost, match="trader-paper does not exist"):
        await peer.call("flatten")
