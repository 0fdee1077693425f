from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import DataError, UsageError
from engine.market.bars import Gap
from engine.market.feed import (
    LoadedMarket,
    MarketRequest,
    data_hash,
    load_history,
    load_market,
    market_type_of,
)
from engine.market.store import MarketStore
from engine.types import MS_PER_DAY, Bars, MarketLabel, SeriesKey

STEP_MS = 300_000
START_AT = 1_735_603_200_000
REAL = Path(__file__).resolve().parents[3] / "shared" / "market" / "spot-5m"
GENERATED = MarketRequest("generated", ("BTC/USDT", "ETH/USDT", "BNB/USDT"))


def flat(start_bar: int, n_bars: int, level: float = 10.0) -> Bars:
    prices = np.full(n_bars, level)
    return Bars(
        timestamp=START_AT + STEP_MS * np.arange(start_bar, start_bar + n_bars, dtype=np.int64),
        open=prices,
        high=prices,
        low=prices,
        close=prices,
        volume=prices,
    )


def holed(bars: Bars, row: int) -> Bars:
    kept = np.arange(len(bars)) != row
    return Bars(
        bars.timestamp[kept],
        bars.open[kept],
        bars.high[kept],
        bars.low[kept],
        bars.close[kept],
        bars.volume[kept],
    )


@pytest.fixture
def request_(tmp_path: Path) -> MarketRequest:
    store = MarketStore(tmp_path)
    day = 288
    store.write(SeriesKey("bybit", "BTC/USDT", "5m"), flat(0, 5 * day))
    store.write(SeriesKey("kraken", "BTC/USDT", "5m"), flat(0, 5 * day))
    store.write(SeriesKey("kraken", "ETH/USDT", "5m"), flat(day, 5 * day - 7))
    return MarketRequest("store", ("BTC/USDT", "ETH/USDT"), days=3, store=tmp_path)


def test_generated_market_is_labelled_and_fills_its_window() -> None:
    market = load_market(GENERATED)
    assert market.label is MarketLabel.GENERATED
    assert market.edge == "momentum 0.15"
    assert (market.exchange, market.market_type) == ("generated", "perp")
    assert [len(bars) for bars in market.series.values()] == [90 * 288] * 3
    assert list(market.series) == ["BTC/USDT", "ETH/USDT", "BNB/USDT"]
    assert market.end_at - market.start_at == 90 * MS_PER_DAY
    assert all(not found for found in market.gaps.values())
    assert market.key("ETH/USDT") == SeriesKey("generated", "ETH/USDT", "5m")


def test_order_of_symbols_does_not_change_the_hash_and_the_bars_do() -> None:
    small = replace(GENERATED, symbols=("BTC/USDT", "ETH/USDT"), days=10)
    market = load_market(small)
    turned = load_market(replace(small, symbols=("ETH/USDT", "BTC/USDT")))
    assert market.data_hash == turned.data_hash
    assert market.data_hash != load_market(replace(small, days=11)).data_hash
    assert market.data_hash != load_market(replace(small, seed=2)).data_hash
    assert market.data_hash != data_hash("other", "5m", market.series)
    assert market.data_hash != data_hash("generated", "15m", market.series)


def test_generated_history_continues_the_window_backwards() -> None:
    small = replace(GENERATED, symbols=("BTC/USDT",), days=10)
    market, longer = load_market(small), load_market(replace(small, days=30))
    history = load_history(small, market.start_at - 20 * MS_PER_DAY, market.start_at)
    joined = np.concatenate((history.series["BTC/USDT"].close, market.series["BTC/USDT"].close))
    assert np.array_equal(joined, longer.series["BTC/USDT"].close)


def test_generated_hours_are_the_resampled_minutes() -> None:
    market = load_market(replace(GENERATED, timeframe="4h", days=90))
    assert [len(bars) for bars in market.series.values()] == [90 * 6] * 3


def test_generated_market_without_edge_says_none() -> None:
    assert load_market(replace(GENERATED, edge_strength=0.0, days=1)).edge == "none"


def test_generated_market_may_end_elsewhere() -> None:
    market = load_market(replace(GENERATED, generated_end_at=1_740_787_200_000, days=2))
    assert market.end_at == 1_740_787_200_000


def test_generated_market_too_long_or_too_short_is_refused() -> None:
    with pytest.raises(UsageError, match=r"lower generated\.days"):
        load_market(replace(GENERATED, generated_days=4000))
    with pytest.raises(DataError, match=r"too few bars: 50 days.*raise generated\.days"):
        load_market(replace(GENERATED, generated_days=40, days=50))
    with pytest.raises(UsageError, match="the generated market has no exchange 'binance'"):
        load_market(replace(GENERATED, exchange="binance"))


def test_first_exchange_that_holds_every_symbol_is_taken(request_: MarketRequest) -> None:
    assert load_market(request_).exchange == "kraken"
    assert load_market(replace(request_, symbols=("BTC/USDT",))).exchange == "bybit"
    named = load_market(replace(request_, symbols=("BTC/USDT",), exchange="kraken"))
    assert named.exchange == "kraken"


def test_window_ends_at_the_last_bar_all_symbols_share(request_: MarketRequest) -> None:
    market = load_market(request_)
    assert market.label is MarketLabel.STORE
    assert market.edge == ""
    assert market.market_type == "spot"
    assert market.end_at == START_AT + 5 * MS_PER_DAY
    assert {len(bars) for bars in market.series.values()} == {3 * 288}


def test_too_few_bars_names_what_is_there_and_what_is_asked(request_: MarketRequest) -> None:
    with pytest.raises(
        DataError,
        match=r"kraken ETH/USDT 5m: too few bars: 5 days asked \(1,440 bars from 2024-12-31 .*"
        r"1,152 there \(from 2025-01-01 .*--days 4 or fewer.*paddock fetch kraken ETH/USDT",
    ):
        load_market(replace(request_, days=5))


def test_no_exchange_with_all_symbols_lists_what_each_has(request_: MarketRequest) -> None:
    with pytest.raises(
        DataError, match=r"no exchange in .* holds BTC/USDT XRP/USDT at 5m \(bybit has BTC/USDT; "
    ):
        load_market(replace(request_, symbols=("BTC/USDT", "XRP/USDT")))


def test_bars_too_few_for_one_longer_bar_are_named(request_: MarketRequest) -> None:
    store = MarketStore(request_.store)
    store.write(SeriesKey("tiny", "BTC/USDT", "5m"), flat(1, 20))
    with pytest.raises(DataError, match="do not fill one 4h bar"):
        load_market(
            replace(request_, symbols=("BTC/USDT",), exchange="tiny", timeframe="4h", days=1)
        )


def test_gaps_inside_the_window_are_reported_and_not_filled(request_: MarketRequest) -> None:
    store = MarketStore(request_.store)
    store.write(SeriesKey("other", "BTC/USDT", "5m"), holed(flat(0, 1440), 1000))
    market = load_market(replace(request_, symbols=("BTC/USDT",), exchange="other"))
    at = START_AT + 1000 * STEP_MS
    assert market.gaps == {"BTC/USDT": [Gap(at, at + STEP_MS, 1)]}
    assert len(market.series["BTC/USDT"]) == 3 * 288 - 1


def test_first_bar_of_the_window_may_be_a_gap(request_: MarketRequest) -> None:
    store = MarketStore(request_.store)
    store.write(SeriesKey("other", "BTC/USDT", "5m"), holed(flat(0, 1440), 576))
    market = load_market(replace(request_, symbols=("BTC/USDT",), exchange="other"))
    assert market.start_at == START_AT + 576 * STEP_MS
    assert market.gaps["BTC/USDT"][0].start_at == market.start_at


def test_history_is_cut_to_what_there_is(request_: MarketRequest) -> None:
    market = load_market(request_)
    history = load_history(request_, market.start_at - 275 * MS_PER_DAY, market.start_at)
    assert history.start_at == START_AT + MS_PER_DAY
    assert {len(bars) for bars in history.series.values()} == {288}
    nothing = load_history(request_, 0, START_AT)
    assert nothing.start_at == nothing.end_at
    assert {len(bars) for bars in nothing.series.values()} == {0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbols": ()}, "no symbols"),
        ({"symbols": ("A/B", "A/B")}, "A/B is named twice"),
        ({"days": 0}, "a window of 0 days"),
        ({"days": -1}, "a window of -1 days"),
        ({"source": "magic"}, "unknown market source 'magic'"),
        ({"timeframe": "7m"}, "unknown timeframe '7m'"),
        ({"edge_strength": 2.0}, "planted edge's strength is 2"),
    ],
)
def test_wrong_requests_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        load_market(replace(GENERATED, **change))  # type: ignore[arg-type]


def test_market_type_follows_the_name_unless_told() -> None:
    assert market_type_of("binance") == "spot"
    assert market_type_of("binance-perp") == "perp"
    assert market_type_of("generated") == "perp"
    told = load_market(replace(GENERATED, market_type="spot", days=1))
    assert told.market_type == "spot"


def test_loaded_series_are_copies_that_let_go_of_the_rest() -> None:
    market = load_market(replace(GENERATED, symbols=("BTC/USDT",), days=1))
    assert market.series["BTC/USDT"].close.base is None


@pytest.mark.skipif(not REAL.is_dir(), reason="real bars are not at ../shared/market")
def test_real_bars_fill_ninety_days() -> None:
    request = MarketRequest("store", ("BTC/USDT", "ETH/USDT", "BNB/USDT"), store=REAL)
    market: LoadedMarket = load_market(request)
    assert market.exchange == "binance"
    assert [len(bars) for bars in market.series.values()] == [25_920] * 3
    assert market.gaps == {"BTC/USDT": [], "ETH/USDT": [], "BNB/USDT": []}
    assert market.data_hash == ("a7bb12df450b9632dc0b2eef5a5e6e796b6b55308eb0dd8702960e8274bdd903")
    history = load_history(request, market.start_at - 275 * MS_PER_DAY, market.start_at)
    assert len(history.series["BTC/USDT"]) == 151 * 288
