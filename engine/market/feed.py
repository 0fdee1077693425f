"""Load the bars that a cycle works on, wherever they come from.

This is the only door to market history that the rest of the product uses.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from engine.clock import Clock, SystemClock
from engine.errors import DataError, UsageError
from engine.market.bars import Gap, check_bars, gaps, utc_text
from engine.market.edges import DEFAULT_EDGE_KIND, DEFAULT_EDGE_STRENGTH, describe_edge
from engine.market.resampling import resample
from engine.market.splits import Window, segment_bounds, shared_end
from engine.market.store import MarketStore
from engine.types import MS_PER_DAY, Bars, MarketLabel, SeriesKey, timeframe_ms

MarketSource = Literal["generated", "store", "ccxt"]
MarketType = Literal["spot", "perp"]
FetchProgress = Callable[[str, int, int], None]

_LABELS = {
    "generated": MarketLabel.GENERATED,
    "store": MarketLabel.STORE,
    "ccxt": MarketLabel.LIVE,
}


@dataclass(frozen=True, slots=True)
class MarketRequest:
    """Say which bars are wanted.

    Attributes
    ----------
    source : "generated", "store" or "ccxt" (the store, after fetching what it lacks)
    store : Path, root of the market store; not touched for generated bars
    exchange : str or None; None takes the first stored one that holds every symbol
    symbols : tuple of BASE/QUOTE, at least one, no duplicates
    timeframe : str
    days : int, > 0, length of the window
    market_type : "auto", "spot" or "perp"; auto is perp for generated and names ending in -perp
    seed : int, >= 0, of the generated market
    edge_kind : "none", "momentum" or "reversion", planted in the generated market
    edge_strength : float in [0, 1]
    generated_days : int, > 0, length of the generated market
    generated_end_at : int or None, UTC ms, end of the generated market; None is its fixed one
    api_url : str or None, where the exchange's interface is, when not at its own address
    retries : int, >= 0, repeats of a failed request of a fetch
    timeout_s : float, > 0, for one request of a fetch
    page_bars : int, > 0, bars asked for in one request of a fetch
    rate_limit_ms : int, least time between two requests of a fetch; 0 = the exchange's own
    """

    source: MarketSource
    symbols: tuple[str, ...]
    timeframe: str = "5m"
    days: int = 90
    store: Path = Path("market")
    exchange: str | None = None
    market_type: Literal["auto", "spot", "perp"] = "auto"
    seed: int = 1
    edge_kind: str = DEFAULT_EDGE_KIND
    edge_strength: float = DEFAULT_EDGE_STRENGTH
    generated_days: int = 400
    generated_end_at: int | None = None
    api_url: str | None = None
    retries: int = 5
    timeout_s: float = 10.0
    page_bars: int = 1000
    rate_limit_ms: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class LoadedMarket:
    """Bars of one exchange and timeframe, with what must be shown and recorded about them.

    Attributes
    ----------
    label : MarketLabel
    exchange : str
    market_type : "spot" or "perp"
    edge : str, the planted edge (`momentum 0.15`, or `none`) of a generated market, otherwise ''
    timeframe : str
    series : dict of symbol to Bars, in the order asked for
    data_hash : str, SHA-256 (hex) over exchange, timeframe, symbols and bars
    start_at, end_at : int, UTC ms, half-open window; equal when nothing lies in it
    gaps : dict of symbol to the runs of bars missing inside the window
    """

    label: MarketLabel
    exchange: str
    market_type: MarketType
    edge: str
    timeframe: str
    series: dict[str, Bars]
    data_hash: str
    start_at: int
    end_at: int
    gaps: dict[str, list[Gap]]

    def key(self, symbol: str) -> SeriesKey:
        """Return the name of one of its series."""
        return SeriesKey(self.exchange, symbol, self.timeframe)


def load_market(
    request: MarketRequest,
    *,
    clock: Clock | None = None,
    progress: FetchProgress | None = None,
) -> LoadedMarket:
    """Return the window of `request.days` days that ends with the last bar all symbols share.

    Parameters
    ----------
    request : MarketRequest
    clock : Clock, optional
        Tells a fetch which bars are closed; only source "ccxt" looks at it.
    progress : callable (symbol, n_done_bars, n_total_bars), optional
        Called while fetching.

    Raises
    ------
    UsageError : no symbols, a symbol twice, no days, an unknown source or edge.
    DataError, NonFiniteError : missing, broken or too few bars.
    VenueError : the exchange refused or did not answer.

    Notes
    -----
    Without gaps each series has exactly its bars of `days` days. Gaps stay gaps and are reported.
    """
    _check_request(request)
    if request.source == "ccxt":
        _fetch_missing(request, clock or SystemClock(), progress)
    exchange, whole = _read_all(request)
    end_at = shared_end(list(whole.values()), request.timeframe)
    window = Window(end_at - request.days * MS_PER_DAY, end_at)
    for symbol, bars in whole.items():
        _check_reach(request, SeriesKey(exchange, symbol, request.timeframe), bars, window)
    return _loaded(request, exchange, whole, window)


def load_history(request: MarketRequest, start_at: int, end_at: int) -> LoadedMarket:
    """Return whatever bars there are with start_at <= open < end_at, for the holdout.

    Parameters
    ----------
    request : MarketRequest
        Its `days` are not looked at; nothing is fetched.
    start_at, end_at : int, UTC ms

    Returns
    -------
    LoadedMarket : its window is the asked one, cut to what every symbol has; when that is nothing,
        start_at == end_at and every series is empty.

    Raises
    ------
    UsageError, DataError, NonFiniteError : as `load_market`, except for too few bars.
    """
    _check_request(request)
    exchange, whole = _read_all(request)
    first_at = max(int(bars.timestamp[0]) for bars in whole.values())
    last_end_at = shared_end(list(whole.values()), request.timeframe)
    cut_end_at = min(end_at, last_end_at)
    cut_start_at = min(max(start_at, first_at), cut_end_at)
    return _loaded(request, exchange, whole, Window(cut_start_at, cut_end_at))


def market_type_of(exchange: str) -> MarketType:
    """Return "perp" for the generated market and names that end in -perp, otherwise "spot"."""
    return "perp" if exchange == "generated" or exchange.endswith("-perp") else "spot"


def data_hash(exchange: str, timeframe: str, series: dict[str, Bars]) -> str:
    """Return the SHA-256 (hex) over exchange, timeframe, and each symbol with its bars, sorted."""
    digest = hashlib.sha256(f"{exchange}\n{timeframe}\n".encode())
    for symbol in sorted(series):
        digest.update(f"{symbol} {series[symbol].content_hash()}\n".encode())
    return digest.hexdigest()


def _check_request(request: MarketRequest) -> None:
    if request.source not in _LABELS:
        raise UsageError(
            f"unknown market source {request.source!r}: use one of {' '.join(_LABELS)}",
            source=request.source,
        )
    if not request.symbols:
        raise UsageError("no symbols: name at least one, such as BTC/USDT")
    doubles = sorted({s for s in request.symbols if request.symbols.count(s) > 1})
    if doubles:
        raise UsageError(f"symbol {' '.join(doubles)} is named twice: name each once")
    if request.days < 1:
        raise UsageError(f"a window of {request.days} days: use 1 or more", days=request.days)
    timeframe_ms(request.timeframe)


def _read_all(request: MarketRequest) -> tuple[str, dict[str, Bars]]:
    if request.source == "generated":
        return _generate_all(request)
    store = MarketStore(request.store)
    exchange = request.exchange or _first_exchange(store, request)
    whole = {
        symbol: store.read(SeriesKey(exchange, symbol, request.timeframe))
        for symbol in request.symbols
    }
    for symbol, bars in whole.items():
        if len(bars) == 0:
            raise DataError(
                f"{exchange} {symbol}: the stored bars in {request.store} do not fill one "
                f"{request.timeframe} bar: run "
                f"`paddock fetch {exchange} {symbol} --timeframe {request.timeframe} "
                f"--days {request.days}`",
                symbol=symbol,
            )
    return exchange, whole


def _generate_all(request: MarketRequest) -> tuple[str, dict[str, Bars]]:
    # Imported here: numba is not needed to read a store.
    from engine.market import generated

    name = generated.GENERATED_EXCHANGE
    if request.exchange not in (None, name):
        raise UsageError(
            f"the generated market has no exchange {request.exchange!r}: leave --exchange out, or "
            "set market.source to store",
            exchange=request.exchange,
        )
    end_at = request.generated_end_at
    if end_at is None:
        end_at = generated.GENERATED_END_AT
    from_at = end_at - request.generated_days * MS_PER_DAY
    if from_at < generated.GENERATED_START_AT:
        raise UsageError(
            f"the generated market starts at {utc_text(generated.GENERATED_START_AT)} and cannot "
            f"be {request.generated_days} days long: lower generated.days",
            days=request.generated_days,
        )
    whole = {}
    for symbol in request.symbols:
        bars = generated.generate_bars(
            symbol, request.seed, request.edge_kind, request.edge_strength, end_at
        )
        start = int(np.searchsorted(bars.timestamp, from_at))
        part = bars.slice(start, len(bars))
        bars = resample(part, generated.GENERATED_TIMEFRAME, request.timeframe)
        check_bars(bars, SeriesKey(name, symbol, request.timeframe), "the generated market")
        whole[symbol] = bars
    return name, whole


def _first_exchange(store: MarketStore, request: MarketRequest) -> str:
    known = store.exchanges()
    held = {name: store.symbols(name, request.timeframe) for name in known}
    for name in known:
        if set(request.symbols) <= set(held[name]):
            return name
    listed = "; ".join(f"{name} has {' '.join(held[name]) or 'none'}" for name in known)
    raise DataError(
        f"no exchange in {store.root} holds {' '.join(request.symbols)} at {request.timeframe} "
        f"({listed}): name others with --symbols, or run `paddock fetch`",
        symbols=list(request.symbols),
    )


def _check_reach(request: MarketRequest, key: SeriesKey, bars: Bars, window: Window) -> None:
    first_at = int(bars.timestamp[0])
    if first_at <= window.start_at:
        return
    start, stop = segment_bounds(bars.timestamp, window)
    n_asked = (window.end_at - window.start_at) // timeframe_ms(key.timeframe)
    whole_days = int((window.end_at - first_at) // MS_PER_DAY)
    fewer = f"ask for --days {whole_days} or fewer" if whole_days else "ask for other symbols"
    more = (
        ", or raise generated.days"
        if request.source == "generated"
        else f", or run `paddock fetch {key.exchange} {key.symbol} --timeframe {key.timeframe} "
        f"--days {request.days}`"
    )
    raise DataError(
        f"{key.exchange} {key.symbol} {key.timeframe}: too few bars: {request.days} days asked "
        f"({n_asked:,} bars from {utc_text(window.start_at)} to {utc_text(window.end_at)}), "
        f"{stop - start:,} there (from {utc_text(first_at)}): {fewer}{more}",
        symbol=key.symbol,
        n_asked=n_asked,
        n_there=stop - start,
    )


def _loaded(
    request: MarketRequest, exchange: str, whole: dict[str, Bars], window: Window
) -> LoadedMarket:
    series = {}
    for symbol, bars in whole.items():
        start, stop = segment_bounds(bars.timestamp, window)
        series[symbol] = _compact(bars.slice(start, max(start, stop)))
    missing = {
        symbol: gaps(bars, request.timeframe, window.start_at, window.end_at)
        for symbol, bars in series.items()
    }
    return LoadedMarket(
        label=_LABELS[request.source],
        exchange=exchange,
        market_type=market_type_of(exchange)
        if request.market_type == "auto"
        else request.market_type,
        edge=_edge_text(request),
        timeframe=request.timeframe,
        series=series,
        data_hash=data_hash(exchange, request.timeframe, series),
        start_at=window.start_at,
        end_at=window.end_at,
        gaps=missing,
    )


def _edge_text(request: MarketRequest) -> str:
    if request.source != "generated":
        return ""
    return describe_edge(request.edge_kind, request.edge_strength)


def _compact(bars: Bars) -> Bars:
    # A copy lets go of the years around the window.
    return Bars(
        timestamp=np.array(bars.timestamp),
        open=np.array(bars.open),
        high=np.array(bars.high),
        low=np.array(bars.low),
        close=np.array(bars.close),
        volume=np.array(bars.volume),
    )


def _fetch_missing(request: MarketRequest, clock: Clock, progress: FetchProgress | None) -> None:
    if request.exchange is None:
        raise UsageError("fetching needs an exchange: name it with --exchange, such as binance")
    work = _fetch_all(request, clock, progress)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    # The caller's thread already runs a loop, so the fetch gets a thread of its own.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _fetch_all(request: MarketRequest, clock: Clock, progress: FetchProgress | None) -> None:
    from engine.market.ccxt_source import fetch_bars, make_client

    exchange = str(request.exchange)
    client = make_client(exchange, request.api_url, request.timeout_s, request.rate_limit_ms)
    store = MarketStore(request.store)
    try:
        for symbol in request.symbols:
            await fetch_bars(
                exchange,
                symbol,
                request.timeframe,
                request.days,
                store,
                client=client,
                now_at=clock.now_at(),
                page_bars=request.page_bars,
                retries=request.retries,
                timeout_s=request.timeout_s,
                progress=None if progress is None else partial(progress, symbol),
            )
    finally:
        await client.close()
