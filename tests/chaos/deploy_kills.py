"""Kill what deploys while a version is rolled out, and see the rollout go on to its end.

`python -m tests.chaos.deploy_kills --rollouts 12` keeps one runtime trading on a fast simulated
exchange, brings out one version after the other, and ends the deployer, its workerd, the trader or
the whole runtime with SIGKILL at a random moment of each rollout. Every version must reach all of
the capital, no position may change its owner, and no order or fill may be lost. It prints a JSON
line a rollout. Exit 1 when a law was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.store.deployments import DeploymentRow, deployments_of
from engine.store.heartbeats import heartbeats
from engine.trade.account_book import AccountBook
from engine.trade.journal import JOURNAL_FILE
from engine.trade.journal_file import lines_from
from engine.trade.records import NoteRecord
from tests.busy_strategies import busy_genome
from tests.chaos.harness import Home, told
from tests.chaos.trade_kills import MORE, Killing, _Reading

DEPLOYER = "deployer"
VICTIMS = (DEPLOYER, "workerd", DEPLOYER, "trader-paper", DEPLOYER, "runtime")
DEPLOY = """
[deploy]
step_s = 2.0
step_decisions = 2
latency_max_ms = 10000.0
signal_timeout_ms = 10000
stop_frac = 1.0
parity_bars = 100
"""
LIVE_S = 300.0


class DeployKilling(Killing):
    """One runtime whose rollouts are disturbed."""

    def __init__(self, home: Home, seed: int) -> None:
        super().__init__(home, seed)
        # The first of those that `begin` lets trade.
        self.strategy_id = busy_genome(0, max_bars=1).id

    async def rollout(self, victim: str) -> dict[str, Any]:
        """Bring a version out, kill somebody meanwhile, and return what was broken."""
        asked = {"strategy_id": self.strategy_id}
        answer = await self.home.command("deployment.start", asked)
        if answer.status != "done":
            raise RuntimeError(f"deployment.start {answer.status}: {answer.reason}")
        version = int(answer.result["version"])
        state = self.draw.choice(("checking", "rolling", "rolling", "rolling"))
        await self._until(version, (state, "live"))
        await asyncio.sleep(self.draw.uniform(0.0, 8.0 if state == "rolling" else 0.5))
        before = await self._row(version)
        began_s = time.monotonic()
        await self._kill(victim)
        row = await self._until(version, ("live", "ended"))
        broken = await self.broken()
        if row.state != "live":
            broken.append(f"version {version} is {row.state}, {row.outcome}: {row.reason}")
        broken += self.changed_owners()
        return {
            "victim": victim,
            "version": version,
            "killed_at": f"{before.state} {before.share_frac:.0%}",
            "live_s": round(time.monotonic() - began_s, 1),
            "broken": broken,
        }

    def changed_owners(self) -> list[str]:
        """Return the notes of another owner that were written while something was held."""
        book = AccountBook("paper", "USDT")
        found = []
        for line, _ in lines_from(self.folder / JOURNAL_FILE):
            record = line.record
            if isinstance(record, NoteRecord) and record.topic == "worker.owner":
                key = (str(record.fields["strategy_id"]), str(record.fields["symbol"]))
                if not book.position(*key).is_flat:
                    found.append(record.message)
            book.apply(record, line.at)
        return found

    async def _kill(self, victim: str) -> None:
        if victim == "runtime":
            await asyncio.to_thread(self.home.kill_all)
            await asyncio.to_thread(self.home.up)
        elif victim == "workerd":
            async with _Reading(self.home.home) as store:
                beats = {row.name: row.detail for row in await heartbeats(store)}
            for pid in beats[DEPLOYER].get("processes", []):
                os.kill(int(pid), signal.SIGKILL)
        else:
            await self.home.kill(victim)

    async def _row(self, version: int) -> DeploymentRow:
        async with _Reading(self.home.home) as store:
            rows = await deployments_of(store, strategy_id=self.strategy_id)
        return next(row for row in rows if row.version == version)

    async def _until(self, version: int, states: tuple[str, ...]) -> DeploymentRow:
        limit_s = time.monotonic() + LIVE_S
        while (row := await self._row(version)).state not in states:
            if time.monotonic() > limit_s:
                facts = await self._facts()
                raise RuntimeError(f"version {version} stays {row}, not {states}: {facts}")
            await asyncio.sleep(0.1)
        return row


async def run_rollouts(
    folder: Path, rollouts: int, seed: int, speed: float, victims: tuple[str, ...] = VICTIMS
) -> list[dict[str, Any]]:
    """Disturb so many rollouts and return what each came to."""
    home = Home(folder, trading=True, speed=speed, more=MORE + DEPLOY)
    killing = DeployKilling(home, seed)
    found: list[dict[str, Any]] = []
    try:
        await killing.begin()
        for i in range(rollouts):
            found.append(await killing.rollout(victims[i % len(victims)]))
            if i + 1 == rollouts:
                found[-1]["broken"] += await killing.broken_when_quiet()
            print(told(found[-1]), flush=True)
        await killing.end()
    finally:
        killing.home.discard()
    return found


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=300.0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dk-"))
    try:
        found = asyncio.run(
            run_rollouts(folder, arguments.rollouts, arguments.seed, arguments.speed)
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    n_broken = sum(bool(one["broken"]) for one in found)
    print(told({"rollouts": len(found), "broken": n_broken}), flush=True)
    return 1 if n_broken else 0


if __name__ == "__main__":
    sys.exit(main())
