"""Recorded ticks: best quotes, trades and depth of one symbol, in the order they were received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.clock import FakeClock
from engine.errors import DataError
from engine.trade.orders import Side
from engine.trade.simulated.exact import decimal_of
from engine.trade.simulated.exchange import SimulatedExchange
from engine.types import BoolArray, FloatArray, IntArray

_NS_PER_MS = 1_000_000
_SNAPSHOT = -2
_KINDS = ("bookticker", "trades", "depth")


@dataclass(frozen=True, slots=True)
class Quote:
    """Best quotes; prices in quote currency, quantities in base currency."""

    bid: float
    bid_qty: float
    ask: float
    ask_qty: float


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade of others."""

    price: float
    qty: float


@dataclass(frozen=True, slots=True)
class Level:
    """One level of depth; quantity 0 removes it.

    Attributes
    ----------
    begins_snapshot : every level known before is void
    """

    side: Side
    price: float
    qty: float
    begins_snapshot: bool


Tick = Quote | Trade | Level


class RecordedTicks:
    """The ticks of one symbol from a folder of Parquet files.

    Parameters
    ----------
    folder : holds one file each whose name ends in `-bookticker`, `-trades` and `-depth`

    Raises
    ------
    DataError : a file is missing, or lacks a column.
    """

    def __init__(self, folder: Path) -> None:
        tables = [_table(folder, kind) for kind in _KINDS]
        self._columns = [
            {name: table.column(name).to_numpy() for name in table.column_names if name != "type"}
            for table in tables
        ]
        received = [columns["recv_ns"] for columns in self._columns]
        stamps: IntArray = np.concatenate(received)
        kinds = np.repeat(np.arange(len(_KINDS)), [len(part) for part in received])
        rows = np.concatenate([np.arange(len(part)) for part in received])
        # What came at the same instant: depth before quotes before trades, each in its own order.
        rank = np.array([1, 2, 0])[kinds]
        order = np.lexsort((rows, rank, stamps))
        self._stamps, self._kinds, self._rows = stamps[order], kinds[order], rows[order]

    def __len__(self) -> int:
        return int(self._stamps.shape[0])

    @property
    def start_at(self) -> int:
        """Return when the first tick was received, UTC ms."""
        return int(self._stamps[0]) // _NS_PER_MS

    def __iter__(self) -> Iterator[tuple[int, Tick]]:
        """Yield (UTC ms of receipt, tick)."""
        quotes, trades, depth = self._columns
        is_new_snapshot = _snapshot_starts(depth)
        for stamp, kind, row in zip(self._stamps, self._kinds, self._rows, strict=True):
            at = int(stamp) // _NS_PER_MS
            if kind == 0:
                yield at, Quote(*(float(quotes[name][row]) for name in _QUOTE_COLUMNS))
            elif kind == 1:
                yield at, Trade(float(trades["price"][row]), float(trades["qty"][row]))
            else:
                side = Side.BUY if depth["side"][row] == 0 else Side.SELL
                price, qty = float(depth["price"][row]), float(depth["qty"][row])
                yield at, Level(side, price, qty, bool(is_new_snapshot[row]))


_QUOTE_COLUMNS = ("bid", "bid_qty", "ask", "ask_qty")


class TickReplay:
    """Play recorded ticks on a simulated exchange.

    Parameters
    ----------
    exchange : SimulatedExchange
    clock : the exchange's; moved by the replay, never backwards
    symbol : whose ticks they are
    ticks : RecordedTicks
    """

    def __init__(
        self, exchange: SimulatedExchange, clock: FakeClock, symbol: str, ticks: RecordedTicks
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._symbol = symbol
        self._ticks = iter(ticks)

    async def step(self) -> int | None:
        """Play the next tick and return its instant (UTC ms), None when all were played."""
        found = next(self._ticks, None)
        if found is None:
            return None
        at, tick = found
        behind_ms = at - self._clock.now_at()
        if behind_ms > 0:
            self._clock.advance(behind_ms / 1000)
        if isinstance(tick, Level):
            if tick.begins_snapshot:
                self._exchange.engine.markets[self._symbol].depth.clear()
            price, qty = decimal_of(tick.price), decimal_of(tick.qty)
            await self._exchange.depth(self._symbol, tick.side, price, qty)
        elif isinstance(tick, Quote):
            bid, bid_qty = decimal_of(tick.bid), decimal_of(tick.bid_qty)
            ask, ask_qty = decimal_of(tick.ask), decimal_of(tick.ask_qty)
            await self._exchange.quote(self._symbol, bid, ask, at, bid_qty, ask_qty)
        else:
            await self._exchange.trade(self._symbol, decimal_of(tick.price), at)
        return at


def _snapshot_starts(depth: dict[str, IntArray | FloatArray]) -> BoolArray:
    # True where a row of a snapshot follows one that is none of it.
    is_snapshot: BoolArray = np.asarray(depth["prev_update_id"] == _SNAPSHOT)
    starts = is_snapshot.copy()
    starts[1:] &= ~is_snapshot[:-1]
    return starts


def _table(folder: Path, kind: str) -> pa.Table:
    found = sorted(folder.glob(f"*-{kind}.parquet"))
    if not found:
        raise DataError(f"{folder} holds no recorded {kind} (a file *-{kind}.parquet)")
    try:
        return pq.read_table(found[0])
    except (OSError, pa.ArrowException) as exc:
        raise DataError(f"{found[0]} cannot be read: {exc}", path=str(found[0])) from exc
