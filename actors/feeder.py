"""The feeder: loads bars, computes the columns that many candidates read, and shares both."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actors.cycle_brief import CycleBrief, MarketFacts
from actors.memory import give_back
from actors.operand_census import OperandCensus
from actors.ports import Objects
from actors.roster import PartSpec
from engine.backtest.configured import backtest_settings, costs_hash
from engine.backtest.run import ENGINE_VERSION, PreparedSeries
from engine.clock import Clock
from engine.config import database_url
from engine.errors import DataError
from engine.market.configured import market_request
from engine.market.feed import LoadedMarket, MarketRequest, load_history, load_market
from engine.market.splits import Window, holdout_window, segment_bounds, split_window
from engine.settings import Config
from engine.store.candidates import candidates_page
from engine.store.database import Store
from engine.store.trial_context import TrialContext
from engine.strategy.columns import SeriesOperandValue, compute_columns
from engine.types import Bars, Segment

_PAGE = 2_000
# The rest of the object store holds messages in flight.
_COLUMNS_SHARE = 0.7
# Below this a segment says nothing, and most indicators have not even warmed up.
LEAST_SEGMENT_BARS = 200


@dataclass(slots=True)
class _Prepared:
    """What is shared for one cycle."""

    market: LoadedMarket
    operands: list[SeriesOperandValue]
    n_distinct: int
    references: dict[str, Any] = field(default_factory=dict)


class Feeder:
    """Share bars and columns.

    Survives a crash: nothing; whoever misses a series asks again, and it is built anew.
    May run twice: every method.
    Owns: the shared series, which end with its process.
    """

    def __init__(self, spec: PartSpec, objects: Objects, clock: Clock) -> None:
        self._config = spec.config
        self._objects = objects
        self._clock = clock
        self._url = database_url(spec.config)
        self._market: tuple[MarketRequest, LoadedMarket] | None = None
        self._prepared: dict[int, _Prepared] = {}
        self._unseen: tuple[tuple[int, int], dict[str, Any]] | None = None
        self._turn = asyncio.Lock()
        self._is_busy = False

    async def start(self) -> None:
        """Nothing runs by itself here."""

    async def stop(self) -> None:
        """Let go of what is shared."""
        self._prepared.clear()
        self._unseen = None

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return busy while bars or columns are being made."""
        shared = sum(len(p.references) for p in self._prepared.values())
        return ("busy" if self._is_busy else "idle"), {"series_shared": shared}

    async def inspect(self, config: Config) -> MarketFacts:
        """Load the bars that a cycle with these settings works on, and describe them.

        Raises
        ------
        DataError, UsageError, VenueError : missing, broken or too few bars; in words.
        """
        async with self._turn:
            return _facts(await self._load(market_request(config)), config)

    async def prepare(self, brief: CycleBrief, symbol: str) -> dict[str, int]:
        """Share one symbol of a cycle; return columns shared, distinct columns, bars and bytes."""
        async with self._turn:
            prepared = await self._of_cycle(brief)
            if symbol not in prepared.references:
                series = await self._working(self._build, prepared, brief, symbol)
                prepared.references[symbol] = self._objects.put(series)
                del series
                give_back()
            n_bars = len(prepared.market.series[symbol])
            n_columns = len(prepared.operands)
            return {
                "columns": n_columns,
                "distinct": prepared.n_distinct,
                "bars": n_bars,
                "bytes": n_columns * n_bars * 8,
            }

    async def series(self, brief: CycleBrief) -> dict[str, Any]:
        """Return the references of all series of a cycle, made when they are missing."""
        for symbol in brief.symbols:
            await self.prepare(brief, symbol)
        return dict(self._prepared[brief.cycle_id].references)

    async def unseen(self, brief: CycleBrief, earliest_read_at: int) -> dict[str, Any]:
        """Return references to the bars before a cycle's window that nothing has read, by symbol.

        Parameters
        ----------
        earliest_read_at : UTC ms of the earliest bar that whoever is judged by them has read

        Returns
        -------
        dict, empty when there are none.
        """
        async with self._turn:
            asked = (brief.cycle_id, earliest_read_at)
            if self._unseen is None or self._unseen[0] != asked:
                series = await self._working(_load_unseen, brief, earliest_read_at)
                shared = {name: self._objects.put(bars) for name, bars in series.items()}
                self._unseen = (asked, shared)
            return dict(self._unseen[1])

    async def close_cycle(self, cycle_id: int) -> None:
        """Let go of what was shared for a cycle."""
        self._prepared.pop(cycle_id, None)
        if self._unseen is not None and self._unseen[0][0] == cycle_id:
            self._unseen = None

    async def _of_cycle(self, brief: CycleBrief) -> _Prepared:
        held = self._prepared.get(brief.cycle_id)
        if held is not None:
            return held
        market = await self._load(market_request(brief.config))
        if market.data_hash != brief.market.data_hash:
            raise DataError(
                f"cycle {brief.cycle_id}: the bars have changed since it began"
                f" (data hash {market.data_hash[:12]}, then {brief.market.data_hash[:12]}):"
                " put the old ones back, or cancel the cycle",
                cycle_id=brief.cycle_id,
            )
        census = await self._census(brief.cycle_id)
        widest = max(len(bars) for bars in market.series.values())
        room = self._config.runtime.object_store_mb * 2**20 * _COLUMNS_SHARE
        limit = int(room // (widest * 8 * len(market.series)))
        # Only one cycle runs at a time: what an earlier one shared is dropped before more is made.
        self._prepared.clear()
        held = _Prepared(market, census.most_read(limit), census.n_distinct)
        self._prepared[brief.cycle_id] = held
        return held

    async def _census(self, cycle_id: int) -> OperandCensus:
        census = OperandCensus()
        store = await Store.open(self._url, read_only=True, create=False)
        try:
            after = -1
            while page := await candidates_page(store, cycle_id, after, _PAGE):
                after = page[-1].idx
                await self._working(census.add, [row.genome for row in page])
        finally:
            await store.close()
        return census

    def _build(self, prepared: _Prepared, brief: CycleBrief, symbol: str) -> PreparedSeries:
        market = prepared.market
        bars = market.series[symbol]
        segments = tuple(
            (Segment(name), *segment_bounds(bars.timestamp, Window(start_at, end_at)))
            for name, start_at, end_at in brief.market.segments
        )
        return PreparedSeries(
            symbol=symbol,
            exchange=market.exchange,
            timeframe=market.timeframe,
            market_type=market.market_type,
            bars=bars,
            series_hash=brief.market.series_hashes[symbol],
            segments=segments,
            columns=compute_columns(bars, market.timeframe, prepared.operands),
        )

    async def _load(self, request: MarketRequest) -> LoadedMarket:
        if self._market is not None and self._market[0] == request and request.source != "ccxt":
            held = self._market[1]
            # Files may have been replaced since; reading them is cheap, generating bars is not.
            if request.source == "generated":
                return held
        loaded: LoadedMarket = await self._working(lambda: load_market(request, clock=self._clock))
        self._market = (request, loaded)
        return loaded

    async def _working(self, work: Any, *args: Any) -> Any:
        self._is_busy = True
        try:
            return await asyncio.to_thread(work, *args)
        finally:
            self._is_busy = False


def _load_unseen(brief: CycleBrief, earliest_read_at: int) -> dict[str, Bars]:
    market = brief.market
    window = holdout_window(
        market.start_at, market.end_at, brief.config.market.holdout_days, earliest_read_at
    )
    if window.start_at >= window.end_at:
        return {}
    loaded = load_history(market_request(brief.config), window.start_at, window.end_at)
    return loaded.series if loaded.start_at < loaded.end_at else {}


def _facts(market: LoadedMarket, config: Config) -> MarketFacts:
    fit, validation = split_window(market.start_at, market.end_at, market.timeframe)
    segments = (
        (Segment.FIT, fit.start_at, fit.end_at),
        (Segment.VALIDATION, validation.start_at, validation.end_at),
    )
    for symbol, bars in market.series.items():
        for name, start_at, end_at in segments:
            start, stop = segment_bounds(bars.timestamp, Window(start_at, end_at))
            if stop - start < LEAST_SEGMENT_BARS:
                raise DataError(
                    f"{market.exchange} {symbol} {market.timeframe}: the {name} segment holds"
                    f" {stop - start} bars, indicators need {LEAST_SEGMENT_BARS} to warm up:"
                    " ask for more --days or a shorter --timeframe",
                    symbol=symbol,
                    n_bars=stop - start,
                )
    hashes = {symbol: bars.content_hash() for symbol, bars in market.series.items()}
    costs = costs_hash(backtest_settings(config), market.market_type)
    contexts = tuple(
        TrialContext(
            exchange=market.exchange,
            symbol=symbol,
            timeframe=market.timeframe,
            series_hash=series_hash,
            window_start_at=start_at,
            window_end_at=end_at,
            segment=segment.value,
            costs_hash=costs,
            engine_version=ENGINE_VERSION,
        )
        for symbol, series_hash in hashes.items()
        for segment, start_at, end_at in segments
    )
    return MarketFacts(
        label=market.label.value,
        exchange=market.exchange,
        market_type=market.market_type,
        edge=market.edge,
        timeframe=market.timeframe,
        data_hash=market.data_hash,
        start_at=market.start_at,
        end_at=market.end_at,
        segments=segments,
        series_hashes=hashes,
        n_bars={symbol: len(bars) for symbol, bars in market.series.items()},
        n_gaps=int(np.sum([len(runs) for runs in market.gaps.values()])),
        engine_version=ENGINE_VERSION,
        contexts=contexts,
    )
