"""The parts that trade, with a deployer and real workerd processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from actors.deployer import Deployer
from actors.roster import PartSpec
from engine.deploy.fleet import Fleet
from engine.deploy.local import LocalTarget
from engine.store.deployments import DeploymentRow, deployments_of
from engine.strategy.genome import Genome
from engine.strategy.javascript.writer import javascript_of
from engine.trade.account_book import AccountBook
from engine.trade.orders import Purpose
from engine.trade.records import IntentRecord, NoteRecord
from tests.actors.trading_house import Market, TradingHouse
from tests.chaos.account_laws import broken_laws

DEPLOY = {
    "step_s": 0.5,
    "step_decisions": 2,
    # Machines that test are busy, and the strategies of tests lose.
    "latency_max_ms": 5_000.0,
    "signal_timeout_ms": 5_000,
    "stop_frac": 1.0,
    "parity_bars": 100,
}


class DeployHouse(TradingHouse):
    """A trading house that deploys.

    Attributes
    ----------
    write : writes genomes as JavaScript, the engine's way unless a test says otherwise
    """

    def __init__(self, folder: Path, speed: float = 300.0, **sections: Any) -> None:
        deploy = {**DEPLOY, **sections.pop("deploy", {})}
        super().__init__(folder, speed, Market(speed), deploy=deploy, **sections)
        self.write: Callable[[Genome], str] = javascript_of

    async def start(self, name: str) -> Any:
        if name != "deployer":
            return await super().start(name)
        spec = PartSpec("deployer", name, self.config, 0, "mark", "0", True)
        part = Deployer(spec, self.peer, self.clock, self.fail, lambda genome: self.write(genome))
        await part.start()
        self.peer(name).part = part
        return part

    @property
    def deployer(self) -> Deployer:
        """Return the deployer."""
        part = self.peer("deployer").part
        assert isinstance(part, Deployer)
        return part

    @property
    def fleet(self) -> Fleet:
        """Return the deployer's processes of workerd."""
        target = self.deployer._targets["workerd"]
        assert isinstance(target, LocalTarget)
        return target._fleet

    def rows(self) -> list[DeploymentRow]:
        """Return the versions as the deployer has them, by version."""
        return sorted(self.deployer._rows.values(), key=lambda row: row.version)

    async def stored(self) -> list[DeploymentRow]:
        """Return the versions as the store has them."""
        return await deployments_of(self.store)

    async def seated(self, n: int = 1) -> None:
        """Wait until strategies trade."""
        await self.ready()
        await self.until(lambda: len(self.trader._seats.hosted) >= n, "they were seated")  # type: ignore[union-attr]

    async def deploy(self, strategy_id: str, ticket: str = "1", **arguments: Any) -> dict[str, Any]:
        """Ask for a new version."""
        asked = {"strategy_id": strategy_id, **arguments}
        return await self.deployer.deploy(asked, "test", ticket)

    async def reaches(self, version: int, state: str, timeout_s: float = 60.0) -> DeploymentRow:
        """Wait until a version has a state, and return its row."""

        def is_there() -> bool:
            return any(row.version == version and row.state == state for row in self.rows())

        try:
            await self.until(is_there, f"version {version} was {state}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it has {self.rows()}") from None
        return next(row for row in self.rows() if row.version == version)

    def owners_of_entries(self) -> dict[str, int]:
        """Return, for each entry in the journal's order, the version that was noted before it."""
        owner: dict[tuple[str, str], int] = {}
        found: dict[str, int] = {}
        journal = self.trader._journal
        assert journal is not None
        for line in journal:
            record = line.record
            if isinstance(record, NoteRecord) and record.topic == "worker.owner":
                key = (str(record.fields["strategy_id"]), str(record.fields["symbol"]))
                owner[key] = int(str(record.fields["version"]))
            elif isinstance(record, IntentRecord) and record.request.purpose is Purpose.ENTRY:
                request = record.request
                key = (request.strategy_id, request.symbol)
                found[request.client_id] = owner.get(key, 0)
        return found

    def notes_while_holding(self) -> list[str]:
        """Return the notes of another owner that were written while something was held."""
        book = AccountBook("paper", "USDT")
        found = []
        journal = self.trader._journal
        assert journal is not None
        for line in journal:
            record = line.record
            if isinstance(record, NoteRecord) and record.topic == "worker.owner":
                key = (str(record.fields["strategy_id"]), str(record.fields["symbol"]))
                if not book.position(*key).is_flat:
                    found.append(record.message)
            book.apply(record, line.at)
        return found

    def broken_laws(self) -> list[str]:
        """Return what journal and exchange disagree about."""
        engine = self.market.engine
        return broken_laws(
            self.book,
            engine.open_orders(),
            [fill for symbol in engine.instruments for fill in engine.fills(symbol)],
            engine.view(0),
            self.config.paths.home / "accounts" / "paper",
            is_perp=True,
            is_quiet=False,
        )

    def outcome(self, version: int) -> str:
        """Return how a version ended, empty while it has not."""
        return next((row.outcome for row in self.rows() if row.version == version), "")


def is_alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
