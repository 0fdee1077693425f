"""Fetch bars from an exchange into the market store: paged, resumable, never an unfinished bar."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError, UsageError, VenueRejected, VenueUnavailable
from engine.market.bars import VALUE_COLUMNS, Gap, check_bars, gaps, series_text, utc_text
from engine.market.ccxt_client import Sleep, VenueDoor, make_client, venue_symbol
from engine.market.store import MarketStore
from engine.types import MS_PER_DAY, Bars, FloatArray, IntArray, SeriesKey, timeframe_ms

__all__ = ["FetchReport", "fetch_bars", "make_client"]

PageProgress = Callable[[int, int], None]
WRITE_EVERY_PAGES = 20


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What one fetch did.

    Attributes
    ----------
    key : SeriesKey
    path : Path, the file
    start_at, end_at : int, UTC ms, half-open span asked for
    n_new_bars : int, bars that were not stored before
    n_stored_bars : int, bars of the whole file afterwards
    n_requests, n_retries : int, requests sent, and repeats among them
    n_duplicates : int, equal bars that came twice in one page
    n_overlapping : int, bars that came although they are before the one asked for
    n_unfinished : int, bars left out because they were still open
    gaps : list of Gap, bars missing inside the span, before its first bar too
    """

    key: SeriesKey
    path: Path
    start_at: int
    end_at: int
    n_new_bars: int
    n_stored_bars: int
    n_requests: int
    n_retries: int
    n_duplicates: int
    n_overlapping: int
    n_unfinished: int
    gaps: list[Gap]


@dataclass(slots=True)
class _Tally:
    n_duplicates: int = 0
    n_overlapping: int = 0
    n_unfinished: int = 0


@dataclass(slots=True)
class _Job:
    # One series on its way from the exchange to its file.
    key: SeriesKey
    store: MarketStore
    door: VenueDoor
    start_at: int
    end_at: int
    limit: int
    progress: PageProgress | None
    pending: list[Bars] = field(default_factory=list)
    tally: _Tally = field(default_factory=_Tally)

    @property
    def step_ms(self) -> int:
        return timeframe_ms(self.key.timeframe)


async def fetch_bars(
    exchange_name: str,
    symbol: str,
    timeframe: str,
    days: int,
    store: MarketStore,
    *,
    now_at: int,
    client: Any = None,
    page_bars: int = 1000,
    retries: int = 5,
    timeout_s: float = 10.0,
    progress: PageProgress | None = None,
    sleep: Sleep = asyncio.sleep,
) -> FetchReport:
    """Bring the last `days` days of a series into the store, asking only for bars it lacks.

    Parameters
    ----------
    exchange_name : str
        A ccxt id; with `-perp` behind it, the linear perpetuals of that exchange.
    symbol : str, BASE/QUOTE
    timeframe : str
    days : int, > 0
    store : MarketStore
    now_at : int, UTC ms; a bar is closed when it ends at or before this and the exchange's clock
    client : ccxt client (asyncio), optional; made and closed here when not given
    page_bars : int, > 0, bars asked for in one request; the exchange's own limit caps it
    retries : int, >= 0, repeats of one failed request
    timeout_s : float, > 0, for one request of a client made here
    progress : callable (n_done_bars, n_total_bars), optional
    sleep : coroutine function of seconds, waits between repeats

    Returns
    -------
    FetchReport

    Raises
    ------
    UsageError : no such exchange, `days` or `page_bars` below 1.
    VenueRejected : the exchange has no such symbol or timeframe, or refuses.
    VenueUnavailable : it does not answer usefully; what was fetched before is kept.
    DataError, NonFiniteError : it sent broken or contradictory bars, or none at all.
    StoreError : the store cannot be written.

    Notes
    -----
    The walk goes from missing bar to missing bar, so a kill at any moment costs at most
    `WRITE_EVERY_PAGES` pages, more days fill backwards, and holes are asked for again. The last
    stored bar is asked for again too, because exchanges revise it. A bar that the exchange does not
    have stays a gap.
    """
    if days < 1 or page_bars < 1:
        raise UsageError(f"days is {days} and page_bars is {page_bars}: use 1 or more")
    key = SeriesKey(exchange_name, symbol, timeframe)
    store.path(key)
    own_client = client is None
    if own_client:
        client = make_client(exchange_name, None, timeout_s)
    door = VenueDoor(exchange_name, client, retries, sleep)
    try:
        await _check_listed(door, key)
        end_at = await _closed_before(door, key, now_at)
        job = _Job(
            key=key,
            store=store,
            door=door,
            start_at=end_at - days * MS_PER_DAY,
            end_at=end_at,
            limit=_page_limit(client, venue_symbol(exchange_name, symbol), page_bars),
            progress=progress,
        )
        return await _run(job)
    finally:
        if own_client:
            await client.close()


async def _run(job: _Job) -> FetchReport:
    stored = await asyncio.to_thread(job.store.read_stored, job.key)
    known: IntArray = np.empty(0, np.int64) if stored is None else stored.timestamp
    n_before = int(known.shape[0])
    if n_before and known[-1] < job.end_at - job.step_ms:
        known = known[:-1]
    try:
        await _walk(job, known)
    finally:
        await _flush(job)
    series = await asyncio.to_thread(job.store.read_stored, job.key)
    start, stop = (
        (0, 0) if series is None else np.searchsorted(series.timestamp, [job.start_at, job.end_at])
    )
    if series is None or start == stop:
        raise DataError(
            f"{series_text(job.key)}: the exchange has no bars from {utc_text(job.start_at)} to "
            f"{utc_text(job.end_at)}: ask for more days, or another symbol",
            symbol=job.key.symbol,
        )
    part = series.slice(int(start), int(stop))
    return FetchReport(
        key=job.key,
        path=job.store.path(job.key),
        start_at=job.start_at,
        end_at=job.end_at,
        n_new_bars=len(series) - n_before,
        n_stored_bars=len(series),
        n_requests=job.door.n_requests,
        n_retries=job.door.n_retries,
        n_duplicates=job.tally.n_duplicates,
        n_overlapping=job.tally.n_overlapping,
        n_unfinished=job.tally.n_unfinished,
        gaps=gaps(part, job.key.timeframe, job.start_at, job.end_at),
    )


async def _walk(job: _Job, known: IntArray) -> None:
    n_total = (job.end_at - job.start_at) // job.step_ms
    cursor = _next_missing(known, job.start_at, job.end_at, job.step_ms)
    while cursor < job.end_at:
        page = await _page(job, cursor)
        if len(page):
            job.pending.append(page)
            covered_to_at = int(page.timestamp[-1]) + job.step_ms
        else:
            covered_to_at = cursor + job.limit * job.step_ms
        cursor = _next_missing(known, covered_to_at, job.end_at, job.step_ms)
        if len(job.pending) >= WRITE_EVERY_PAGES:
            await _flush(job)
        if job.progress is not None:
            n_done = (min(cursor, job.end_at) - job.start_at) // job.step_ms
            job.progress(n_done, n_total)
    if job.progress is not None:
        job.progress(n_total, n_total)


async def _flush(job: _Job) -> None:
    if not job.pending:
        return
    pages, job.pending = job.pending, []
    columns = {
        name: np.concatenate([getattr(page, name) for page in pages])
        for name in ("timestamp", *VALUE_COLUMNS)
    }
    await asyncio.to_thread(job.store.append, job.key, Bars(**columns))


async def _page(job: _Job, cursor: int) -> Bars:
    # An empty page is asked for once more: a hiccup must not pass for a hole in history.
    page = await _ask_page(job, cursor)
    return page if len(page) else await _ask_page(job, cursor)


async def _ask_page(job: _Job, cursor: int) -> Bars:
    name = venue_symbol(job.key.exchange, job.key.symbol)
    place = f"the page from {utc_text(cursor)}"

    async def request() -> tuple[IntArray, FloatArray]:
        rows = await job.door.client.fetch_ohlcv(
            name, job.key.timeframe, since=cursor, limit=job.limit
        )
        return bar_columns(rows)

    stamps, values = await job.door.ask(f"{job.key.timeframe} bars of {name}", request)
    order = np.argsort(stamps, kind="stable")
    stamps, values = stamps[order], values[order]
    stamps, values = _without_twins(stamps, values, job, place)
    is_early, is_open = stamps < cursor, stamps >= job.end_at
    job.tally.n_overlapping += int(is_early.sum())
    job.tally.n_unfinished += int(is_open.sum())
    if stamps.size and is_early.all():
        raise VenueRejected(
            f"{series_text(job.key)}: asked for bars from {utc_text(cursor)}, the exchange sends "
            "older ones only: it does not page its history; use another exchange",
            exchange=job.key.exchange,
        )
    kept = ~is_early & ~is_open
    bars = Bars(stamps[kept], *(np.ascontiguousarray(values[kept, i]) for i in range(5)))
    check_bars(bars, job.key, place)
    return bars


def bar_columns(rows: Any) -> tuple[IntArray, FloatArray]:
    """Return the opens (UTC ms) and the values (n_bars, 5) of ccxt's bars.

    Raises
    ------
    VenueUnavailable : they are not bars.
    """
    if not isinstance(rows, list):
        raise VenueUnavailable(f"bars came as {type(rows).__name__} instead of a list")
    for row in rows:
        if len(row) < 6 or any(cell is None for cell in row[:6]):
            raise VenueUnavailable(f"a bar came without all of its six values: {row!r:.80}")
    stamps = np.array([row[0] for row in rows], dtype=np.int64)
    values = np.array([row[1:6] for row in rows], dtype=np.float64).reshape(len(rows), 5)
    return stamps, values


def _without_twins(
    stamps: IntArray, values: FloatArray, job: _Job, place: str
) -> tuple[IntArray, FloatArray]:
    is_twin = np.zeros(stamps.shape, dtype=np.bool_)
    is_twin[1:] = np.diff(stamps) == 0
    before = np.flatnonzero(is_twin) - 1
    differs = (values[before] != values[before + 1]).any(axis=1)
    if differs.any():
        at = int(stamps[before[int(np.argmax(differs))]])
        raise DataError(
            f"{series_text(job.key)} in {place}: two different bars for {utc_text(at)}: "
            "fetch again, or use another exchange",
            symbol=job.key.symbol,
            at=at,
        )
    job.tally.n_duplicates += int(is_twin.sum())
    return stamps[~is_twin], values[~is_twin]


def _next_missing(known: IntArray, from_at: int, end_at: int, step_ms: int) -> int:
    # The first open >= from_at that is not in `known` (sorted), at most end_at.
    tail = known[int(np.searchsorted(known, from_at)) :]
    expected = from_at + step_ms * np.arange(tail.shape[0], dtype=np.int64)
    differs = tail != expected
    n_present = int(np.argmax(differs)) if differs.any() else int(tail.shape[0])
    return min(from_at + n_present * step_ms, end_at)


async def _check_listed(door: VenueDoor, key: SeriesKey) -> None:
    async def load() -> list[str]:
        await door.client.load_markets(True)
        if not door.client.symbols:
            raise VenueUnavailable("the list of markets came empty")
        return list(door.client.symbols)

    listed = await door.ask("its list of markets", load)
    name = venue_symbol(key.exchange, key.symbol)
    if name not in listed:
        close = difflib.get_close_matches(name, listed, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "check the symbol"
        raise VenueRejected(f"{key.exchange} does not list {name}: {hint}", symbol=key.symbol)
    offered = door.client.timeframes or {}
    if key.timeframe not in offered:
        raise VenueRejected(
            f"{key.exchange} has no {key.timeframe} bars: use one of {' '.join(offered)}",
            timeframe=key.timeframe,
        )


async def _closed_before(door: VenueDoor, key: SeriesKey, now_at: int) -> int:
    # The earlier of both clocks decides which bar is closed.
    closed_at = now_at
    if door.client.has.get("fetchTime"):
        venue_at = await door.ask("its clock", door.client.fetch_time)
        if isinstance(venue_at, int):
            closed_at = min(now_at, venue_at)
    step_ms = timeframe_ms(key.timeframe)
    return closed_at // step_ms * step_ms


def _page_limit(client: Any, name: str, page_bars: int) -> int:
    try:
        limit = client.feature_value(name, "fetchOHLCV", "limit")
    except (AttributeError, KeyError, TypeError):
        limit = None
    return min(page_bars, int(limit)) if limit else page_bars
