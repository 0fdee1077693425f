"""Fetching through the real ccxt client from a local exchange that misbehaves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.clock import FakeClock
from engine.errors import DataError, UsageError, VenueError, VenueRejected, VenueUnavailable
from engine.market import ccxt_source
from engine.market.ccxt_source import FetchReport, fetch_bars, make_client
from engine.market.feed import LoadedMarket, MarketRequest, load_market
from engine.market.store import MarketStore
from engine.types import MS_PER_DAY, Bars, MarketLabel, SeriesKey
from tests.venues.binance_server import BinanceServer

ROOT = Path(__file__).resolve().parents[2]
TF = "1h"
STEP_MS = 3_600_000
END_AT = 1_740_787_200_000
# The exchange's clock stands in the middle of a bar, which is therefore still open.
NOW_AT = END_AT + STEP_MS // 2
KEY = SeriesKey("binance", "BTC/USDT", TF)


def hourly(n_bars: int, end_at: int = END_AT + STEP_MS, seed: int = 5) -> Bars:
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, n_bars))), 2)
    opened = np.concatenate(([100.0], close[:-1]))
    return Bars(
        timestamp=end_at - STEP_MS * np.arange(n_bars, 0, -1, dtype=np.int64),
        open=opened,
        high=np.maximum(opened, close) + 0.5,
        low=np.minimum(opened, close) - 0.5,
        close=close,
        volume=np.round(rng.uniform(1, 9, n_bars), 3),
    )


def without(bars: Bars, *rows: int) -> Bars:
    kept = np.ones(len(bars), dtype=bool)
    kept[list(rows)] = False
    return Bars(
        bars.timestamp[kept],
        bars.open[kept],
        bars.high[kept],
        bars.low[kept],
        bars.close[kept],
        bars.volume[kept],
    )


def serve(
    bars: Bars,
    body: Callable[[BinanceServer], Awaitable[Any]],
    symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT"),
) -> Any:
    async def main() -> Any:
        server = BinanceServer(symbols, dict.fromkeys(symbols, bars), TF, NOW_AT)
        async with server:
            return await body(server)

    return asyncio.run(main())


class Sleeper:
    """Record waits instead of waiting."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits_s.append(seconds)


async def fetch(server: BinanceServer, store: MarketStore, **given: Any) -> FetchReport:
    exchange = given.pop("exchange", "binance")
    client = make_client(exchange, server.url, given.pop("timeout_s", 5.0), rate_limit_ms=1)
    client.timeout_on_exit = 0
    settings: dict[str, Any] = {"now_at": server.now_at, "page_bars": 100, "sleep": Sleeper()}
    settings |= given
    days = settings.pop("days", 20)
    symbol = settings.pop("symbol", "BTC/USDT")
    timeframe = settings.pop("timeframe", TF)
    try:
        return await fetch_bars(exchange, symbol, timeframe, days, store, client=client, **settings)
    finally:
        await client.close()


def stored(store: MarketStore) -> Bars:
    bars = store.read_stored(KEY)
    assert bars is not None
    return bars


def test_first_fetch_pages_through_the_window_and_leaves_the_open_bar_out(tmp_path: Path) -> None:
    bars, store, seen = hourly(600), MarketStore(tmp_path), []

    async def body(server: BinanceServer) -> FetchReport:
        report = await fetch(server, store, progress=lambda done, total: seen.append((done, total)))
        assert server.n_klines == 5
        return report

    report = serve(bars, body)
    assert report.n_new_bars == 480
    assert report.gaps == []
    assert report.end_at == END_AT
    assert stored(store).timestamp[-1] == END_AT - STEP_MS
    assert stored(store).content_hash() == bars.slice(600 - 481, 599).content_hash()
    assert seen[0] == (100, 480)
    assert seen[-1] == (480, 480)


def test_a_bar_closed_here_but_open_at_the_exchange_is_not_stored(tmp_path: Path) -> None:
    store = MarketStore(tmp_path)
    report = serve(hourly(600), lambda server: fetch(server, store, now_at=NOW_AT + STEP_MS))
    assert report.end_at == END_AT


def test_second_fetch_asks_only_for_what_is_new(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)
    store.write(KEY, bars.slice(119, 590))

    async def body(server: BinanceServer) -> FetchReport:
        report = await fetch(server, store)
        (query,) = [q for path, q in server.requests if path.endswith("klines")]
        assert int(query["startTime"]) == bars.timestamp[589]
        return report

    assert serve(bars, body).n_new_bars == 9
    assert stored(store).content_hash() == bars.slice(119, 599).content_hash()


def test_complete_store_asks_for_no_bars_at_all(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)
    store.write(KEY, bars.slice(100, 599))

    async def body(server: BinanceServer) -> int:
        await fetch(server, store)
        return server.n_klines

    assert serve(bars, body) == 0


def test_more_days_fill_backwards(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)
    store.write(KEY, bars.slice(400, 599))
    assert serve(bars, lambda server: fetch(server, store)).n_new_bars == 281
    assert stored(store).content_hash() == bars.slice(119, 599).content_hash()


def test_revised_last_bar_is_replaced(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)
    early = bars.slice(119, 590)
    volume = early.volume.copy()
    volume[-1] -= 0.5
    store.write(KEY, Bars(early.timestamp, early.open, early.high, early.low, early.close, volume))
    serve(bars, lambda server: fetch(server, store))
    assert stored(store).content_hash() == bars.slice(119, 599).content_hash()


def test_holes_of_the_exchange_stay_gaps_and_are_reported(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)
    holed = without(bars, 300, 301, 450)
    report = serve(holed, lambda server: fetch(server, store))
    assert [(gap.start_at, gap.n_missing) for gap in report.gaps] == [
        (bars.timestamp[300], 2),
        (bars.timestamp[450], 1),
    ]


def test_hole_in_the_store_is_filled_when_the_exchange_has_it(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)
    store.write(KEY, without(bars.slice(119, 599), 200, 201))
    assert serve(bars, lambda server: fetch(server, store)).n_new_bars == 2
    assert stored(store).content_hash() == bars.slice(119, 599).content_hash()


def test_listing_younger_than_the_window_starts_later(tmp_path: Path) -> None:
    store = MarketStore(tmp_path)
    report = serve(hourly(50), lambda server: fetch(server, store))
    assert report.n_new_bars == 49
    assert report.gaps[0].n_missing == 480 - 49


@pytest.mark.parametrize("fault", ["duplicate", "overlap", "shuffle", "short", "empty"])
def test_untidy_pages_give_the_same_file(tmp_path: Path, fault: str) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)

    async def body(server: BinanceServer) -> FetchReport:
        server.misbehave(["ok", fault, "ok", fault])
        return await fetch(server, store)

    report = serve(bars, body)
    assert report.gaps == []
    assert stored(store).content_hash() == bars.slice(119, 599).content_hash()
    if fault == "duplicate":
        assert report.n_duplicates > 0


@pytest.mark.parametrize("fault", ["500", "cut body", "garbage", "html", "nulls", "hang", "429"])
def test_faults_that_pass_are_retried_and_leave_no_trace(tmp_path: Path, fault: str) -> None:
    bars, store, sleeper = hourly(600), MarketStore(tmp_path), Sleeper()

    async def body(server: BinanceServer) -> FetchReport:
        server.misbehave(["ok", fault, fault, "ok", fault])
        return await fetch(server, store, sleep=sleeper, timeout_s=0.3 if fault == "hang" else 5.0)

    report = serve(bars, body)
    assert report.n_retries == 3
    assert report.gaps == []
    assert stored(store).content_hash() == bars.slice(119, 599).content_hash()
    assert sleeper.waits_s == ([7.0, 7.0, 7.0] if fault == "429" else [1.0, 2.0, 1.0])


def test_connection_cut_before_the_answer_costs_nothing(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)

    async def body(server: BinanceServer) -> FetchReport:
        server.misbehave(["cut"] * 3)
        return await fetch(server, store)

    # The HTTP library repeats some of these by itself.
    assert serve(bars, body).n_retries >= 1
    assert stored(store).content_hash() == bars.slice(119, 599).content_hash()


def test_garbage_instead_of_the_list_of_markets_is_retried(tmp_path: Path) -> None:
    store = MarketStore(tmp_path)

    async def body(server: BinanceServer) -> FetchReport:
        server.info_plan.extend(["html", "garbage", "500", "cut body"])
        return await fetch(server, store)

    report = serve(hourly(600), body)
    assert report.n_retries == 4
    assert report.n_new_bars == 480


def test_exchange_that_stays_down_keeps_what_was_fetched(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)

    async def body(server: BinanceServer) -> None:
        server.misbehave(["ok", "ok"] + ["500"] * 3)
        with pytest.raises(VenueUnavailable, match=r"binance gave no usable answer.* 3 tries"):
            await fetch(server, store, retries=2)
        assert len(stored(store)) == 200
        await fetch(server, store)

    serve(bars, body)
    assert stored(store).content_hash() == bars.slice(119, 599).content_hash()


def test_long_ban_is_reported_and_not_waited_for(tmp_path: Path) -> None:
    sleeper = Sleeper()

    async def body(server: BinanceServer) -> None:
        server.misbehave(["ban"])
        with pytest.raises(VenueUnavailable, match="next 7200 s"):
            await fetch(server, MarketStore(tmp_path), sleep=sleeper)

    serve(hourly(600), body)
    assert sleeper.waits_s == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [("conflict", "two different bars"), ("broken bar", "high is below low at row 0")],
)
def test_broken_bars_are_refused_and_not_stored(tmp_path: Path, fault: str, message: str) -> None:
    store = MarketStore(tmp_path)

    async def body(server: BinanceServer) -> None:
        server.misbehave(["ok", fault])
        with pytest.raises(DataError, match=message):
            await fetch(server, store)

    serve(hourly(600), body)
    assert len(stored(store)) == 100


def test_history_that_changed_at_the_exchange_is_refused(tmp_path: Path) -> None:
    store = MarketStore(tmp_path)
    store.write(KEY, without(hourly(600, seed=6).slice(119, 599), 300))
    before = store.path(KEY).read_bytes()

    async def body(server: BinanceServer) -> None:
        with pytest.raises(DataError, match="differs from the one in"):
            await fetch(server, store)

    serve(hourly(600), body)
    assert store.path(KEY).read_bytes() == before


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"symbol": "BTC/USDC"}, VenueRejected, "does not list BTC/USDC: did you mean BTC/USDT"),
        ({"timeframe": "3m"}, VenueRejected, "Invalid symbol"),
        ({"days": 0}, UsageError, "days is 0"),
        ({"symbol": "../x"}, DataError, "is not a symbol"),
    ],
)
def test_wrong_requests_are_named(
    tmp_path: Path, given: dict[str, Any], kind: type[Exception], message: str
) -> None:
    async def body(server: BinanceServer) -> None:
        with pytest.raises(kind, match=message):
            await fetch(server, MarketStore(tmp_path / "none"), **given)

    serve(hourly(600), body)
    assert not (tmp_path / "none").exists()


def test_symbol_without_bars_in_the_window_is_named(tmp_path: Path) -> None:
    old = hourly(100, end_at=END_AT - 100 * MS_PER_DAY)

    async def body(server: BinanceServer) -> None:
        with pytest.raises(DataError, match="has no bars from"):
            await fetch(server, MarketStore(tmp_path))

    serve(old, body)


def test_unknown_exchange_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown exchange 'binanse': did you mean binance\w*\?"):
        make_client("binanse", None, 1.0)


def test_local_address_replaces_every_address_of_the_exchange() -> None:
    async def body() -> None:
        for name in ("binance", "kraken", "okx"):
            client = make_client(name, "http://127.0.0.1:9/x", 1.0)
            urls = [client.urls["api"]]
            while urls:
                url = urls.pop()
                if isinstance(url, dict):
                    urls.extend(url.values())
                else:
                    assert url.startswith("http://127.0.0.1:9/") or url == "http://127.0.0.1:9"
            await client.close()

    asyncio.run(body())


def test_perpetuals_come_from_the_futures_interface(tmp_path: Path) -> None:
    store = MarketStore(tmp_path)

    async def body(server: BinanceServer) -> FetchReport:
        report = await fetch(server, store, exchange="binance-perp")
        assert {path.split("/")[1] for path, _ in server.requests} == {"fapi"}
        return report

    report = serve(hourly(600), body)
    assert report.path == tmp_path / "binance-perp" / "BTC-USDT-1h.parquet"
    assert report.n_new_bars == 480


def test_cancelled_fetch_keeps_its_pages(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)

    async def body(server: BinanceServer) -> None:
        server.misbehave(["ok", "ok", "hang"])
        task = asyncio.create_task(fetch(server, store))
        await server.is_hanging.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    serve(bars, body)
    assert len(stored(store)) == 200


def test_pages_are_written_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_source, "WRITE_EVERY_PAGES", 2)
    store, lengths = MarketStore(tmp_path), []

    def look(_done: int, _total: int) -> None:
        bars = store.read_stored(KEY)
        lengths.append(0 if bars is None else len(bars))

    serve(hourly(600), lambda server: fetch(server, store, progress=look))
    assert lengths[:4] == [0, 200, 200, 400]


def test_load_market_fetches_what_is_missing_even_inside_a_running_loop(tmp_path: Path) -> None:
    request = MarketRequest(
        "ccxt", ("BTC/USDT", "ETH/USDT"), TF, 20, tmp_path, "binance", page_bars=100
    )
    seen: set[str] = set()

    async def body(server: BinanceServer) -> Any:
        def load() -> LoadedMarket:
            async def inside_a_loop() -> LoadedMarket:
                return load_market(
                    replace(request, api_url=server.url),
                    clock=FakeClock(NOW_AT),
                    progress=lambda symbol, _done, _total: seen.add(symbol),
                )

            return asyncio.run(inside_a_loop())

        return await asyncio.to_thread(load)

    market = serve(hourly(600), body)
    assert market.label is MarketLabel.LIVE
    assert market.exchange == "binance"
    assert [len(bars) for bars in market.series.values()] == [480, 480]
    assert seen == {"BTC/USDT", "ETH/USDT"}


def test_load_market_fetches_from_plain_code_too(tmp_path: Path) -> None:
    request = MarketRequest("ccxt", ("BTC/USDT",), TF, 20, tmp_path, "binance", rate_limit_ms=1)

    async def body(server: BinanceServer) -> LoadedMarket:
        asked = replace(request, api_url=server.url)
        return await asyncio.to_thread(load_market, asked, clock=FakeClock(NOW_AT))

    assert len(serve(hourly(600), body).series["BTC/USDT"]) == 480


def test_page_size_is_capped_by_the_exchange(tmp_path: Path) -> None:
    async def body(server: BinanceServer) -> set[str]:
        await fetch(server, MarketStore(tmp_path), page_bars=5000)
        return {query["limit"] for path, query in server.requests if path.endswith("klines")}

    assert serve(hourly(600), body) == {"1000"}


def test_killed_process_loses_little_and_the_next_one_finishes(tmp_path: Path) -> None:
    bars, store = hourly(600), MarketStore(tmp_path)
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from engine.market.ccxt_source import fetch_bars, make_client\n"
        "from engine.market.store import MarketStore\n"
        "async def main():\n"
        "    client = make_client('binance', sys.argv[1], 30.0, rate_limit_ms=1)\n"
        "    store = MarketStore(Path(sys.argv[2]))\n"
        f"    await fetch_bars('binance', 'BTC/USDT', '{TF}', 20, store, client=client,\n"
        f"        now_at={NOW_AT}, page_bars=10)\n"
        "asyncio.run(main())\n"
    )

    async def body(server: BinanceServer) -> None:
        server.misbehave(["ok"] * 30 + ["hang"])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, server.url, str(tmp_path), cwd=ROOT
        )
        await asyncio.wait_for(server.is_hanging.wait(), 60)
        process.kill()
        await process.wait()
        assert len(stored(store)) == 200
        await fetch(server, store)

    serve(bars, body)
    assert stored(store).content_hash() == bars.slice(119, 599).content_hash()


def test_fetching_without_an_exchange_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fetching needs an exchange"):
        load_market(MarketRequest("ccxt", ("BTC/USDT",), TF, 20, tmp_path))


def test_unreachable_exchange_is_unavailable(tmp_path: Path) -> None:
    async def body() -> None:
        client = make_client("binance", "http://127.0.0.1:9", 1.0, rate_limit_ms=1)
        try:
            with pytest.raises(VenueError, match="no usable answer"):
                await fetch_bars(
                    "binance",
                    "BTC/USDT",
                    TF,
                    20,
                    MarketStore(tmp_path),
                    client=client,
                    now_at=NOW_AT,
                    retries=1,
                    sleep=Sleeper(),
                )
        finally:
            await client.close()

    asyncio.run(body())
    assert list(tmp_path.iterdir()) == []
