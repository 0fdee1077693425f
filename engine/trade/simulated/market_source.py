"""The market that a simulated exchange of this configuration trades, and from when on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.clock import Clock
from engine.errors import DataError
from engine.market.bars import utc_text
from engine.market.configured import market_request
from engine.market.feed import MarketRequest, MarketType, market_type_of
from engine.market.splits import shared_end
from engine.market.store import MarketStore
from engine.settings import Config
from engine.trade.instrument import Instrument
from engine.trade.simulated.generation import GeneratedBars, Wanted, generate_apart
from engine.trade.simulated.listing import instrument_like
from engine.trade.simulated.price_feed import BarFeed, PriceFeed
from engine.types import MS_PER_DAY, Bars, MarketLabel, SeriesKey, timeframe_ms

AHEAD_DAYS = 30
"""The generated market is kept this far ahead of the clock."""

REPLAY_DAYS = 30
"""Of stored bars the newest this many days are replayed."""

_BAR_MS = 300_000


@dataclass(frozen=True, slots=True)
class OpenedMarket:
    """Prices, and what must be known of them.

    Attributes
    ----------
    identity : names the market; a venue never goes on with another one
    instruments : listed, by symbol
    start_at : where a new venue's clock begins, UTC ms
    speed : simulated seconds a second
    """

    identity: str
    label: MarketLabel
    market_type: MarketType
    instruments: Mapping[str, Instrument]
    feed: PriceFeed
    start_at: int
    speed: float


async def open_market(
    config: Config,
    clock: Clock,
    known: Mapping[str, Instrument],
    now_at: int | None,
    *,
    api_url: str | None = None,
) -> OpenedMarket:
    """Open the configured market.

    Parameters
    ----------
    known : instruments that were listed before; they stay as they are
    now_at : where the venue's clock stands, None for a new venue
    api_url : replaces the address of a real exchange

    Raises
    ------
    DataError : there are no bars to trade on.
    VenueError : a real exchange does not list what is asked for, or does not answer.
    """
    request = market_request(config)
    if request.source == "ccxt":
        return await _live(replace(request, api_url=api_url), clock, known)
    opened = _generated if request.source == "generated" else _stored
    return opened(request, config.simulated.speed, known, now_at)


def _generated(
    request: MarketRequest,
    speed: float,
    known: Mapping[str, Instrument],
    now_at: int | None,
) -> OpenedMarket:
    symbols = tuple(dict.fromkeys((*request.symbols, *known)))
    ahead_ms = AHEAD_DAYS * MS_PER_DAY

    def generate(until_at: int) -> GeneratedBars:
        start_at = request.generated_end_at
        return generate_apart(
            Wanted(
                symbols=symbols,
                seed=request.seed,
                edge_kind=request.edge_kind,
                edge_strength=request.edge_strength,
                start_at=None if start_at is None else start_at // _BAR_MS * _BAR_MS,
                until_at=until_at,
                ahead_ms=ahead_ms,
            )
        )

    first = generate(now_at or 0)
    market_type = _market_type(request, "generated")
    instruments = _instruments(first.series, market_type, known)
    return OpenedMarket(
        identity=(
            f"generated {market_type} seed={request.seed} "
            f"{request.edge_kind}={request.edge_strength:g}"
        ),
        label=MarketLabel.GENERATED,
        market_type=market_type,
        instruments=instruments,
        feed=BarFeed(
            first.series,
            first.timeframe,
            instruments,
            more=lambda until_at: generate(until_at).series,
            ahead_ms=ahead_ms // 2,
        ),
        start_at=first.start_at,
        speed=speed,
    )


def _stored(
    request: MarketRequest,
    speed: float,
    known: Mapping[str, Instrument],
    now_at: int | None,
) -> OpenedMarket:
    store = MarketStore(request.store)
    symbols = tuple(dict.fromkeys((*request.symbols, *known)))
    exchange = request.exchange or _exchange_with(store, symbols, request.timeframe)
    timeframe = _finest(store, exchange, symbols)

    def read(until_at: int) -> dict[str, Bars]:
        return {symbol: store.read(SeriesKey(exchange, symbol, timeframe)) for symbol in symbols}

    series = read(0)
    end_at = shared_end(list(series.values()), timeframe)
    first_at = max(int(bars.timestamp[0]) for bars in series.values())
    start_at = max(first_at + timeframe_ms(timeframe), end_at - REPLAY_DAYS * MS_PER_DAY)
    if start_at >= end_at:
        raise DataError(
            f"{exchange}: {' '.join(symbols)} share no bars before {utc_text(end_at)}: "
            "fetch more, or choose other symbols",
            exchange=exchange,
        )
    market_type = _market_type(request, exchange)
    instruments = _instruments(series, market_type, known)
    return OpenedMarket(
        identity=f"store {exchange} {market_type}",
        label=MarketLabel.STORE,
        market_type=market_type,
        instruments=instruments,
        # Bars that are fetched later are played when the clock comes to them.
        feed=BarFeed(series, timeframe, instruments, more=read),
        start_at=start_at,
        speed=speed,
    )


async def _live(
    request: MarketRequest, clock: Clock, known: Mapping[str, Instrument]
) -> OpenedMarket:
    # Imported here: ccxt takes its time, and no other source needs it.
    from engine.market.ccxt_client import PERP_SUFFIX, VenueDoor, make_client
    from engine.trade.listing import listings
    from engine.trade.simulated.live_feed import LiveFeed

    exchange = request.exchange or "binance"
    client = make_client(exchange, request.api_url, request.timeout_s, request.rate_limit_ms)
    client.number = str
    door = VenueDoor(exchange, client, retries=request.retries)
    try:
        await door.ask("its list of markets", lambda: client.load_markets(True))
        listed = listings(exchange, client.markets, client.precisionMode)
        symbols = tuple(dict.fromkeys((*request.symbols, *known)))
        missing = [symbol for symbol in symbols if symbol not in listed and symbol not in known]
        if missing:
            raise DataError(
                f"{exchange} does not list {' '.join(missing)}: check [market] symbols",
                exchange=exchange,
            )
    except BaseException:
        await client.close()
        raise
    instruments = {symbol: known.get(symbol) or listed[symbol].instrument for symbol in symbols}
    market_type: MarketType = "perp" if exchange.endswith(PERP_SUFFIX) else "spot"
    return OpenedMarket(
        identity=f"ccxt {exchange} {market_type}",
        label=MarketLabel.LIVE,
        market_type=market_type,
        instruments=instruments,
        feed=LiveFeed(exchange, client, instruments),
        start_at=clock.now_at(),
        speed=1.0,
    )


def _market_type(request: MarketRequest, exchange: str) -> MarketType:
    return market_type_of(exchange) if request.market_type == "auto" else request.market_type


def _instruments(
    series: Mapping[str, Bars], market_type: MarketType, known: Mapping[str, Instrument]
) -> dict[str, Instrument]:
    return {
        symbol: known.get(symbol) or instrument_like(symbol, market_type, bars.close)
        for symbol, bars in series.items()
    }


def _exchange_with(store: MarketStore, symbols: tuple[str, ...], timeframe: str) -> str:
    for name in store.exchanges():
        if set(symbols) <= set(store.symbols(name, timeframe)):
            return name
    raise DataError(
        f"no exchange in {store.root} holds {' '.join(symbols)} at {timeframe}: run `paddock fetch`"
    )


def _finest(store: MarketStore, exchange: str, symbols: tuple[str, ...]) -> str:
    shared = set.intersection(*({*store.timeframes(exchange, symbol)} for symbol in symbols))
    if not shared:
        raise DataError(f"{exchange}: {' '.join(symbols)} share no stored timeframe")
    return min(shared, key=timeframe_ms)
