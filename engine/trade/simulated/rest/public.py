"""What the venue tells everyone: its list, its clock, bars, quotes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.errors import DataError
from engine.trade.instrument import Instrument
from engine.trade.orders import Side
from engine.trade.simulated.price_feed import Kline
from engine.trade.simulated.rest.api_error import ApiError
from engine.trade.simulated.rest.call import Call, Route, name_of, plain, short, venue_now_at
from engine.types import MS_PER_DAY

WEIGHT_PER_MINUTE = {"spot": 6_000, "perp": 2_400}
ORDERS_PER_10_S = 300
_LARGEST = "9000000"
_DEPTH_LEVELS = 20
_DELIVERY_AT = 4_133_404_800_000


async def ping(call: Call) -> dict[str, Any]:
    """Answer with nothing."""
    return {}


async def server_time(call: Call) -> dict[str, Any]:
    """Tell the venue's clock."""
    return {"serverTime": call.venue.now_at()}


async def spot_info(call: Call) -> dict[str, Any]:
    """List the spot symbols."""
    return _info(call, "spot", [_spot_listing(i) for i in call.venue.instruments.values()])


async def perp_info(call: Call) -> dict[str, Any]:
    """List the perpetuals."""
    listed = [_perp_listing(i) for i in call.venue.instruments.values()]
    return _info(call, "perp", listed) | {"assets": []}


async def klines(call: Call) -> list[list[Any]]:
    """Tell bars, the one that is forming last."""
    read = call.parameters
    symbol, timeframe = read.symbol(), read.interval()
    now_at = venue_now_at(call)
    start_at = read.whole("startTime", 0) or None
    end_at = min(now_at, read.whole("endTime", now_at))
    limit = read.limit(500, 1500)
    try:
        rows = await call.venue.feed.klines(symbol, timeframe, start_at, end_at, limit)
    except DataError:
        raise ApiError(-1120, "Invalid interval.") from None
    return [_kline(row) for row in rows if row.open_at <= end_at]


async def book_ticker(call: Call) -> Any:
    """Tell the best quotes, of one symbol or of all."""
    return await _each(call, _book_ticker)


async def price_ticker(call: Call) -> Any:
    """Tell the last price, of one symbol or of all."""
    return await _each(call, _price_ticker)


async def day_ticker(call: Call) -> Any:
    """Tell the last 24 hours, of one symbol or of all."""
    return await _each(call, _day_ticker)


async def premium_index(call: Call) -> Any:
    """Tell the mark price, which here is the last one; there is no funding."""
    return await _each(call, _premium_index)


async def depth(call: Call) -> dict[str, Any]:
    """Tell the order book: the ticks' own, else quotes with a made-up ladder behind them."""
    read = call.parameters
    symbol = read.symbol()
    limit = min(read.limit(100, 1000), _DEPTH_LEVELS)
    ticker = call.quotes.ticker(symbol)
    engine = call.venue.engine
    instrument = engine.instruments[symbol]
    sides: dict[str, list[list[str]]] = {}
    for name, side, best in (("bids", Side.BUY, ticker.bid), ("asks", Side.SELL, ticker.ask)):
        known = engine.markets[symbol].depth.levels(side, limit)
        if not known:
            step = -side.sign * instrument.tick
            known = [(best + k * step, None) for k in range(limit) if best + k * step > 0]
        large = max(instrument.lot, (Decimal(1_000_000) / best).quantize(instrument.lot))
        sides[name] = [[short(price), short(qty or large)] for price, qty in known]
    at = ticker.at
    return {"lastUpdateId": at, "E": at, "T": at, **sides}


async def _each(call: Call, tell: Any) -> Any:
    symbol = call.parameters.symbol_or_all()
    if symbol is not None:
        return await tell(call, symbol)
    return [await tell(call, each) for each in call.venue.instruments]


async def _book_ticker(call: Call, symbol: str) -> dict[str, Any]:
    ticker = call.quotes.ticker(symbol)
    told = {
        "symbol": name_of(symbol),
        "bidPrice": short(ticker.bid),
        "bidQty": "1000",
        "askPrice": short(ticker.ask),
        "askQty": "1000",
    }
    return told | ({"time": ticker.at} if call.venue.engine.is_perp else {})


async def _price_ticker(call: Call, symbol: str) -> dict[str, Any]:
    ticker = call.quotes.ticker(symbol)
    told = {"symbol": name_of(symbol), "price": short(ticker.last)}
    return told | ({"time": ticker.at} if call.venue.engine.is_perp else {})


async def _premium_index(call: Call, symbol: str) -> dict[str, Any]:
    ticker = call.quotes.ticker(symbol)
    price = short(ticker.last)
    return {
        "symbol": name_of(symbol),
        "markPrice": price,
        "indexPrice": price,
        "estimatedSettlePrice": price,
        "lastFundingRate": "0",
        "interestRate": "0",
        "nextFundingTime": 0,
        "time": ticker.at,
    }


async def _day_ticker(call: Call, symbol: str) -> dict[str, Any]:
    ticker = call.quotes.ticker(symbol)
    now_at = call.venue.now_at()
    try:
        hours = await call.venue.feed.klines(symbol, "1h", now_at - MS_PER_DAY, now_at, 25)
    except DataError:
        hours = await call.venue.feed.klines(symbol, "1d", now_at - MS_PER_DAY, now_at, 2)
    last = float(ticker.last)
    first = hours[0].open if hours else last
    volume = sum(hour.volume for hour in hours)
    told = {
        "symbol": name_of(symbol),
        "priceChange": f"{last - first:.8f}",
        "priceChangePercent": f"{(last / first - 1) * 100:.3f}",
        "weightedAvgPrice": short(ticker.last),
        "lastPrice": short(ticker.last),
        "lastQty": "0",
        "openPrice": repr(first),
        "highPrice": repr(max([hour.high for hour in hours], default=last)),
        "lowPrice": repr(min([hour.low for hour in hours], default=last)),
        "volume": f"{volume:.8f}",
        "quoteVolume": f"{volume * last:.8f}",
        "openTime": now_at - MS_PER_DAY,
        "closeTime": now_at,
        "firstId": 0,
        "lastId": 0,
        "count": 0,
    }
    if call.venue.engine.is_perp:
        return told
    return told | {
        "prevClosePrice": repr(first),
        "bidPrice": short(ticker.bid),
        "bidQty": "1000",
        "askPrice": short(ticker.ask),
        "askQty": "1000",
    }


def _info(call: Call, market_type: str, listed: list[dict[str, Any]]) -> dict[str, Any]:
    limits = [
        {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": WEIGHT_PER_MINUTE[market_type],
        },
        {
            "rateLimitType": "ORDERS",
            "interval": "SECOND",
            "intervalNum": 10,
            "limit": ORDERS_PER_10_S,
        },
    ]
    return {
        "timezone": "UTC",
        "serverTime": call.venue.now_at(),
        "rateLimits": limits,
        "exchangeFilters": [],
        "symbols": listed,
    }


def _filters(instrument: Instrument) -> list[dict[str, Any]]:
    tick, lot = short(instrument.tick), short(instrument.lot)
    least = short(instrument.min_qty_base)
    sizes = {"minQty": least, "stepSize": lot}
    filters: list[dict[str, Any]] = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": _LARGEST, "tickSize": tick},
        {"filterType": "LOT_SIZE", **sizes, "maxQty": _LARGEST},
    ]
    if instrument.max_market_base is not None:
        largest = short(instrument.max_market_base)
        filters.append({"filterType": "MARKET_LOT_SIZE", **sizes, "maxQty": largest})
    return filters


def _spot_listing(instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": name_of(instrument.symbol),
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "TAKE_PROFIT"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            *_filters(instrument),
            {
                "filterType": "NOTIONAL",
                "minNotional": short(instrument.min_notional_quote),
                "applyMinToMarket": True,
                "maxNotional": "9000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _perp_listing(instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": name_of(instrument.symbol),
        "pair": name_of(instrument.symbol),
        "contractType": "PERPETUAL",
        "deliveryDate": _DELIVERY_AT,
        "onboardDate": 0,
        "status": "TRADING",
        "maintMarginPercent": "0.4000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": _n_digits(instrument.tick),
        "quantityPrecision": _n_digits(instrument.lot),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0",
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP_MARKET",
            "TAKE_PROFIT_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        "filters": [
            *_filters(instrument),
            {"filterType": "MIN_NOTIONAL", "notional": short(instrument.min_notional_quote)},
        ],
    }


def _n_digits(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def _kline(row: Kline) -> list[Any]:
    values = (row.open, row.high, row.low, row.close, row.volume)
    texts = [plain(Decimal(repr(value))) for value in values]
    return [row.open_at, *texts, row.close_at, "0", 0, "0", "0", "0"]


def _routes(root: str, info: Any, weight: int) -> tuple[Route, ...]:
    return (
        Route("GET", f"{root}/ping", ping),
        Route("GET", f"{root}/time", server_time),
        Route("GET", f"{root}/exchangeInfo", info, weight=weight),
        Route("GET", f"{root}/klines", klines, weight=2),
        Route("GET", f"{root}/depth", depth, weight=5),
        Route("GET", f"{root}/ticker/24hr", day_ticker, weight=2, weight_all=40),
        Route("GET", f"{root}/ticker/bookTicker", book_ticker, weight=2, weight_all=4),
        Route("GET", f"{root}/ticker/price", price_ticker, weight=2, weight_all=4),
    )


SPOT_ROUTES = _routes("/api/v3", spot_info, 20)
PERP_ROUTES = (
    *_routes("/fapi/v1", perp_info, 1),
    Route("GET", "/fapi/v1/premiumIndex", premium_index, weight=1, weight_all=10),
)
