"""Acts of the kill switch on several accounts at once, each straight at its exchange.

The latch is not set here: whoever calls has set it, before anything of this was even imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.clock import Clock
from engine.errors import PaddockError
from engine.settings import Config
from engine.trade.accounts import account_folder, account_latch
from engine.trade.emergency import Emergency, Patience, Sleep
from engine.trade.flat_ids import halt_id
from engine.trade.flattening import Flattening
from engine.trade.kill_step import Step
from engine.trade.live import CcxtExchange
from engine.trade.ours import Ours, read_ours
from engine.trade.venues import open_exchange, quote_asset, was_ever_used

Opener = Callable[[str], Awaitable[CcxtExchange]]


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done.

    Attributes
    ----------
    flattens : close positions after cancelling
    stops_too : cancel protective orders too; flattening does so in the end anyway
    takes_everything : on spot, sell what the journal does not call ours too
    starts_exchange : ask a paper account's exchange even though it never ran; for drills
    """

    flattens: bool = False
    stops_too: bool = False
    takes_everything: bool = False
    starts_exchange: bool = False


class Kill:
    """Do an act on accounts.

    Parameters
    ----------
    config, clock : of this process
    config_path : the file that a simulated exchange started here reads
    patience, sleep : how long to try
    opener : opens an account's exchange; by default the configured one, with the kill switch's keys
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        config_path: Path | None = None,
        patience: Patience | None = None,
        sleep: Sleep = asyncio.sleep,
        opener: Opener | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._config_path = config_path
        self._patience = patience
        self._sleep = sleep
        self._opener = opener

    async def run(self, act: Act, accounts: Sequence[str]) -> AsyncIterator[Step]:
        """Do it on all of them at once, and yield the steps as they come; never raises ours."""
        steps: asyncio.Queue[Step | None] = asyncio.Queue()

        async def one(account: str) -> None:
            try:
                async for step in self._account(act, account):
                    await steps.put(step)
            finally:
                await steps.put(None)

        tasks = [asyncio.create_task(one(account)) for account in accounts]
        n_working = len(tasks)
        try:
            while n_working:
                step = await steps.get()
                if step is None:
                    n_working -= 1
                else:
                    yield step
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _account(self, act: Act, account: str) -> AsyncIterator[Step]:
        if not (act.starts_exchange or was_ever_used(account, self._config)):
            name = "flat" if act.flattens else "cancel"
            yield Step(account, name, "ok", "it never had an exchange: no orders, no positions")
            return
        reading = asyncio.create_task(asyncio.to_thread(self._ours, account))
        try:
            exchange = await self._open(account)
        except PaddockError as exc:
            yield Step(account, "connect", "failed", exc.message)
            return
        has_failed, is_told = False, False
        try:
            async for step in self._steps(act, exchange, reading):
                if reading.done() and not is_told:
                    is_told = True
                    if problem := reading.result().problem:
                        yield Step(account, "journal", "ok", problem)
                # A step that failed on the way may be made good by a later one of its name.
                has_failed = step.state == "failed"
                yield step
        finally:
            await exchange.close()
        if has_failed and exchange.page:
            yield Step(account, "page", "failed", f"the exchange's own page: {exchange.page}")

    async def _steps(
        self, act: Act, exchange: CcxtExchange, reading: asyncio.Task[Ours]
    ) -> AsyncIterator[Step]:
        latch = account_latch(self._config.paths.home, exchange.account)
        now_at = self._clock.now_at()
        halted_at = latch.read().at or now_at

        async def ours() -> Ours:
            return await asyncio.shield(reading)

        emergency = Emergency(exchange, ours, self._clock, halted_at, self._patience, self._sleep)
        if not act.flattens:
            async for step in emergency.cancel(stops_too=act.stops_too):
                yield step
            return
        flattening = Flattening(
            emergency,
            halt_id(latch, now_at),
            takes_everything=act.takes_everything,
            quote_asset=quote_asset(self._config),
        )
        async for step in flattening.run():
            yield step

    def _ours(self, account: str) -> Ours:
        folder = account_folder(self._config.paths.home, account)
        return read_ours(folder, account, quote_asset(self._config))

    async def _open(self, account: str) -> CcxtExchange:
        if self._opener is not None:
            return await self._opener(account)
        return await open_exchange(
            account, self._config, self._clock, config_path=self._config_path, for_kill=True
        )
