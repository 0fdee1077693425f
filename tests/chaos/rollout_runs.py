"""Roll versions out, good ones and bad ones, and hold every law of a rollout.

`python -m tests.chaos.rollout_runs --runs 50` lets a strategy trade on a fast simulated exchange in
this process, through real Workers: version 1 gets all of the capital, then version 2 comes, which
is good, throws, is slow, decides otherwise than the engine or loses too much. A good one must
reach 100 %, every other one must be taken back by itself while version 1 goes on; no position may
change its owner, and no order or fill may be lost. In half of the runs a workerd process, the
deployer or the trader is killed meanwhile. It prints a JSON line a run. Exit 1 when any broke a
law.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, web

import actors.deployer
from engine.store.deployments import DeploymentRow
from engine.strategy.genome import Genome
from engine.strategy.javascript.writer import javascript_of
from tests.actors.deploy_house import DeployHouse
from tests.actors.trading_house import Market
from tests.busy_strategies import busy_genome
from tests.chaos.harness import told

KINDS = ("good", "erring", "slow", "diverging", "losing")
RULES = {"erring": "errors", "slow": "latency", "diverging": "divergence", "losing": "loss"}
VICTIMS = ("", "", "", "workerd", "deployer", "trader-paper")
PARTS = ("trader-paper", "deployer")
SPEED = 900.0
LOOK_S = 0.1
SLOW_S = 1.2
LATENCY_MAX_MS = 1_000.0
LIVE_S = 180.0
LOSS_FRAC = 2e-4
_NEWEST = "bars.t[bars.t.length - 1]"
_SPOILED = {
    "erring": 'throw new Error("broken");',
    "diverging": 'return { intent: "hold", state };',
}


class Detour:
    """A way to Workers that takes `SLOW_S` longer, once it is long.

    A version that is slow from the beginning would never catch up with bars as quick as these.
    """

    def __init__(self) -> None:
        self.is_long = False

    async def __aenter__(self) -> Detour:
        self._session = ClientSession()
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{port}/{path}", self._pass_on)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._runner.cleanup()

    def url(self, straight: str) -> str:
        """Return the long way to an address."""
        port = straight.rpartition(":")[2]
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/{port}" if straight else ""

    async def _pass_on(self, request: web.Request) -> web.Response:
        await asyncio.sleep(SLOW_S if self.is_long else 0.0)
        url = f"http://127.0.0.1:{request.match_info['port']}/{request.match_info['path']}"
        headers = {"authorization": request.headers["authorization"]}
        body = await request.read()
        try:
            async with self._session.request(
                request.method, url, data=body or None, headers=headers
            ) as response:
                return web.Response(body=await response.read(), status=response.status)
        except ClientError:
            # A way that ends at nobody is no answer either.
            assert request.transport is not None
            request.transport.close()
            return web.Response()


class RolloutRun:
    """One seeded rollout over a version that is live."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.draw = random.Random(seed)
        self.kind = KINDS[seed % len(KINDS)]
        self.victim = self.draw.choice(VICTIMS)
        if self.kind == "slow":
            # Whoever is killed, it would miss bars, and never catch up with such quick ones.
            self.victim = ""
        deploy = {"step_s": 0.2, "latency_max_ms": LATENCY_MAX_MS}
        self.house = DeployHouse(folder, SPEED, deploy=deploy)
        self.house.market = Market(SPEED, seed)
        side = self.draw.choice((1, -1))
        self.genome = busy_genome(seed, side=side, max_bars=self.draw.choice((1, 2, 3)))
        self.strategy_id = ""
        self._open = contextlib.AsyncExitStack()

    async def run(self) -> list[str]:
        """Return what was broken."""
        await self.house.open(*PARTS)
        (self.strategy_id,) = await self.house.promoted(self.genome)
        await self.house.seated()
        await self.house.deploy(self.strategy_id, "1")
        await self._until(1, "live")
        wishes = await self._make_bad()
        await self.house.deploy(self.strategy_id, "2", **wishes)
        await self._until(2, "rolling")
        if self.kind == "losing":
            # Alone it would take long to lose with one position in twenty.
            asked = {"strategy_id": self.strategy_id, "share": 0.5}
            await self.house.deployer.set_share(asked, "test")
        if self.kind == "slow":
            await self._wait(self._has_answered, "version 2 answered")
            self._detour.is_long = True
        await self._disturb()
        broken = await self._ended()
        n_before = len(self.house.owners_of_entries())
        await self._wait(lambda: len(self.house.owners_of_entries()) > n_before + 1, "it goes on")
        await self._wait(lambda: self.house.broken_laws() == [], "every law held")
        last = 2 if self.kind == "good" else 1
        if list(self.house.owners_of_entries().values())[-1] != last:
            broken.append(f"version {last} does not decide: {self.house.rows()}")
        return broken + self.house.notes_while_holding()

    async def _ended(self) -> list[str]:
        """Return what is wrong with how the rollout ended."""
        if self.kind == "good":
            await self._until(2, "live")
            await self._until(1, "ended")
            one, two = self.house.rows()
            is_right = (one.outcome, two.outcome, two.share_frac) == ("replaced", "", 1.0)
        else:
            await self._until(2, "ended")
            one, two = self.house.rows()
            expected = f"it holds nothing more: rolled back ({RULES[self.kind]})"
            is_right = one.state == "live" and two.outcome == "rolled back"
            is_right = is_right and two.reason.startswith(expected)
        return [] if is_right else [f"a {self.kind} version ended like this: {one}, {two}"]

    async def _make_bad(self) -> dict[str, Any]:
        """Have version 2 be what it is to be, and return what is asked for with it."""
        if self.kind in _SPOILED:
            self.house.write = self._spoiled
        if self.kind == "slow":
            self._detour = await self._open.enter_async_context(Detour())
            self._lead_around()
        return {"stop": LOSS_FRAC} if self.kind == "losing" else {}

    def _has_answered(self) -> bool:
        reports = self.house.deployer._reports
        return any(key[1] == 2 and one.n_requests > 0 for key, one in reports.items())

    async def close(self) -> None:
        """Stop everything."""
        await self.house.close()
        await self._open.aclose()

    def _lead_around(self) -> None:
        """Let the deployer tell the long way to version 2."""
        if self.kind == "slow":
            target, around = self.house.deployer._targets["workerd"], self._detour.url
            straight = target.url

            def url(name: str) -> str:
                return around(straight(name)) if name.endswith("-v2") else straight(name)

            target.url = url  # type: ignore[method-assign]

    def _spoiled(self, genome: Genome) -> str:
        """Return a module that turns bad with the next bar: those it is compared on, it passes."""
        newest_at = self.house.trader._seats.newest_bar_at() or 0  # type: ignore[union-attr]
        head = "export function decide(bars, state) {"
        spoiled = f"{head}\n  if ({_NEWEST} > {newest_at}) {_SPOILED[self.kind]}"
        return javascript_of(genome).replace(head, spoiled, 1)

    async def _disturb(self) -> None:
        """Kill somebody, or nobody, somewhere on the way."""
        await asyncio.sleep(self.draw.uniform(0.0, 2.0))
        if self.victim == "workerd":
            for pid in self.house.fleet.pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        elif self.victim:
            await self.house.kill(self.victim)
            await self.house.start(self.victim)
            if self.victim == "deployer":
                self._lead_around()
            await self.house.ready()

    async def _until(self, version: int, state: str) -> DeploymentRow:
        return await self.house.reaches(version, state, LIVE_S)

    async def _wait(self, is_so: Any, what: str) -> None:
        await self.house.until(is_so, what, LIVE_S)


async def run_rollout(seed: int, folder: Path) -> dict[str, Any]:
    """Live through one rollout and return what it came to."""
    began_s = time.monotonic()
    run = RolloutRun(seed, folder)
    try:
        broken = await run.run()
    except (AssertionError, TimeoutError) as error:
        broken = [str(error)]
    finally:
        n_entries = len(run.house.owners_of_entries()) if run.strategy_id else 0
        await run.close()
    return {
        "seed": seed,
        "kind": run.kind,
        "killed": run.victim,
        "entries": n_entries,
        "seconds": round(time.monotonic() - began_s, 1),
        "broken": broken + [repr(error) for error in run.house.failures],
    }


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--first", type=int, default=1)
    arguments = parser.parse_args()
    actors.deployer.LOOK_S = LOOK_S
    found = []
    for seed in range(arguments.first, arguments.first + arguments.runs):
        folder = Path(tempfile.mkdtemp(prefix="rr-"))
        try:
            found.append(asyncio.run(run_rollout(seed, folder)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(told(found[-1]), flush=True)
    broken = [one["seed"] for one in found if one["broken"]]
    kinds = Counter(f"{one['kind']} {one['killed']}".strip() for one in found)
    print(told({"runs": len(found), "broken": broken, "lived": dict(sorted(kinds.items()))}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
