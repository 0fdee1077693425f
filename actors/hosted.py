"""Which strategies an account trades, and where: read from the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from engine.errors import PaddockError
from engine.store.database import Store
from engine.store.strategies import StrategyRow, genomes, leaderboard
from engine.store.verdicts import verdicts_of
from engine.strategy.genome import Genome
from engine.trade.accounts import PAPER
from engine.types import Status

MOST = 1_000
GATES = {Status.PAPER: "paper", Status.LIVE: "live"}


@dataclass(frozen=True, slots=True)
class Hosted:
    """One strategy on one symbol.

    Attributes
    ----------
    is_paused : manages what it holds and enters nothing
    """

    strategy_id: str
    symbol: str
    genome: Genome
    is_paused: bool

    @property
    def key(self) -> tuple[str, str]:
        """Return (strategy id, symbol)."""
        return self.strategy_id, self.symbol


class Casting:
    """Read which strategies an account trades.

    Parameters
    ----------
    store : open for reading
    account : paper or live
    tell : told once, by strategy, why one cannot trade
    """

    def __init__(self, store: Store, account: str, tell: Callable[[str, str], None]) -> None:
        self._store = store
        self._status = Status.PAPER if account == PAPER else Status.LIVE
        self._tell = tell
        self._known: dict[str, tuple[Genome, tuple[str, ...]]] = {}
        self._told: set[str] = set()

    async def read(
        self, listed: Collection[str], held: Collection[tuple[str, str]], most: int
    ) -> list[Hosted]:
        """Return who trades now, the best first.

        Parameters
        ----------
        listed : symbols of the exchange
        held : (strategy, symbol) that have a position or an open order: a paused strategy looks
            after those
        most : strategies that may trade
        """
        statuses = [self._status, Status.PAUSED]
        rows, _ = await leaderboard(self._store, statuses=statuses, limit=MOST)
        holding = {strategy_id for strategy_id, _ in held}
        trading = [row for row in rows if row.status == self._status][:most]
        paused = [row for row in rows if row.status == Status.PAUSED and row.id in holding]
        await self._learn([row.id for row in (*trading, *paused)], _best(rows))
        cast: list[Hosted] = []
        for row in trading:
            genome, symbols = self._known.get(row.id, (None, ()))
            if genome is not None:
                chosen = self._tradable(row.id, symbols, listed)
                cast += [Hosted(row.id, symbol, genome, False) for symbol in chosen]
        for row in paused:
            genome, _ = self._known.get(row.id, (None, ()))
            if genome is not None:
                mine = sorted(symbol for strategy_id, symbol in held if strategy_id == row.id)
                cast += [Hosted(row.id, symbol, genome, True) for symbol in mine]
        # What stopped trading may be judged anew the next time.
        self._known = {key: self._known[key] for key in self._known if key in {r.id for r in rows}}
        return cast

    async def _learn(self, ids: list[str], best: Mapping[str, str | None]) -> None:
        new = [strategy_id for strategy_id in ids if strategy_id not in self._known]
        if not new:
            return
        for strategy_id, text in (await genomes(self._store, new)).items():
            try:
                genome = Genome.from_json(text)
            except (PaddockError, ValueError) as exc:
                self._say(strategy_id, f"its genome cannot be read: {exc}")
                continue
            passed = await self._passed(strategy_id)
            own = best.get(strategy_id)
            self._known[strategy_id] = (genome, passed or ((own,) if own else ()))

    async def _passed(self, strategy_id: str) -> tuple[str, ...]:
        """Return the symbols on which it passed its gate when that was judged last."""
        gate = GATES[self._status]
        rows = [row for row in await verdicts_of(self._store, strategy_id) if row.gate == gate]
        if not rows:
            return ()
        newest = max(row.cycle_id for row in rows)
        return tuple(sorted(r.symbol for r in rows if r.cycle_id == newest and r.passed))

    def _tradable(
        self, strategy_id: str, symbols: Collection[str], listed: Collection[str]
    ) -> list[str]:
        chosen = [symbol for symbol in symbols if symbol in listed]
        if not symbols:
            self._say(strategy_id, "no gate names a symbol for it, and it was never evaluated")
        elif not chosen:
            self._say(strategy_id, f"the exchange does not list {', '.join(symbols)}")
        return chosen

    def _say(self, strategy_id: str, words: str) -> None:
        if strategy_id not in self._told:
            self._told.add(strategy_id)
            self._tell(strategy_id, words)


def _best(rows: Collection[StrategyRow]) -> dict[str, str | None]:
    return {row.id: row.best_symbol for row in rows}
