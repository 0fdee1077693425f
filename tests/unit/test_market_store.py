from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import DataError, NonFiniteError, StoreError
from engine.market.resampling import resample
from engine.market.store import MarketStore
from engine.types import Bars, SeriesKey

KEY = SeriesKey("binance", "BTC/USDT", "5m")
START_AT = 1_735_603_200_000
STEP_MS = 300_000
REAL = Path(__file__).resolve().parents[3] / "shared" / "market"
needs_real_bars = pytest.mark.skipif(
    not (REAL / "spot-5m").is_dir(), reason="real bars are not at ../shared/market"
)


def walk(n_bars: int, seed: int = 1) -> Bars:
    # A shorter walk is the beginning of a longer one.
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.002, 5000)))
    opened = np.concatenate(([100.0], close[:-1]))
    bars = Bars(
        timestamp=START_AT + STEP_MS * np.arange(5000, dtype=np.int64),
        open=opened,
        high=np.maximum(opened, close) * 1.001,
        low=np.minimum(opened, close) * 0.999,
        close=close,
        volume=rng.uniform(1, 5, 5000),
    )
    return bars.slice(0, n_bars)


def frame(bars: Bars) -> dict[str, pa.Array]:
    return {
        name: pa.array(getattr(bars, name))
        for name in ("timestamp", "open", "high", "low", "close", "volume")
    }


def put(store: MarketStore, columns: dict[str, pa.Array], key: SeriesKey = KEY) -> Path:
    path = store.path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def store(tmp_path: Path) -> MarketStore:
    return MarketStore(tmp_path / "market")


def test_what_is_written_is_read_back(store: MarketStore) -> None:
    bars = walk(50)
    store.write(KEY, bars)
    assert store.read(KEY).content_hash() == bars.content_hash()
    assert store.path(KEY).name == "BTC-USDT-5m.parquet"


def test_read_takes_a_half_open_span(store: MarketStore) -> None:
    store.write(KEY, walk(50))
    part = store.read(KEY, START_AT + STEP_MS, START_AT + 4 * STEP_MS)
    assert part.timestamp.tolist() == [START_AT + i * STEP_MS for i in (1, 2, 3)]
    assert len(store.read(KEY, START_AT + 100 * STEP_MS)) == 0


def test_listing_names_what_is_there(store: MarketStore) -> None:
    store.write(KEY, walk(50))
    store.write(SeriesKey("binance", "ETH/USDT", "1h"), resample(walk(50), "5m", "1h"))
    store.write(SeriesKey("bybit", "ETH/USDT", "15m"), resample(walk(50), "5m", "15m"))
    (store.root / "empty").mkdir()
    (store.root / "binance" / "notes.txt").write_text("x")
    assert store.exchanges() == ["binance", "bybit"]
    assert store.symbols("binance", "1h") == ["BTC/USDT", "ETH/USDT"]
    assert store.symbols("binance", "15m") == ["BTC/USDT"]
    assert store.timeframes("binance", "ETH/USDT") == ["1h"]
    assert store.timeframes("binance", "XRP/USDT") == []


def test_missing_timeframe_is_built_from_the_longest_that_divides_it(store: MarketStore) -> None:
    bars = walk(300)
    other = resample(walk(300, seed=2), "5m", "15m")
    store.write(KEY, bars)
    store.write(SeriesKey("binance", "BTC/USDT", "15m"), other)
    hourly = store.read(SeriesKey("binance", "BTC/USDT", "1h"))
    assert hourly.content_hash() == resample(other, "15m", "1h").content_hash()


def test_missing_folder_says_so(store: MarketStore) -> None:
    with pytest.raises(DataError, match=r"market folder .*market does not exist: check --market"):
        store.read(KEY)


def test_empty_folder_says_so(store: MarketStore) -> None:
    store.root.mkdir()
    with pytest.raises(DataError, match="holds no series"):
        store.read(KEY)


def test_file_instead_of_a_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(DataError, match="is not a folder"):
        MarketStore(tmp_path / "f").exchanges()


def test_unknown_exchange_names_the_nearest(store: MarketStore) -> None:
    store.write(KEY, walk(5))
    with pytest.raises(DataError, match=r"unknown exchange 'binanse' .*did you mean binance"):
        store.read(SeriesKey("binanse", "BTC/USDT", "5m"))
    with pytest.raises(DataError, match=r"unknown exchange 'zzz' .*there is binance"):
        store.symbols("zzz", "5m")


def test_unknown_symbol_names_the_nearest(store: MarketStore) -> None:
    store.write(KEY, walk(5))
    with pytest.raises(DataError, match=r"unknown symbol BTC/USD on binance.*mean BTC/USDT"):
        store.read(SeriesKey("binance", "BTC/USD", "5m"))


def test_timeframe_that_cannot_be_built_names_what_is_stored(store: MarketStore) -> None:
    store.write(KEY, walk(5))
    with pytest.raises(DataError, match=r"is stored in .* at 5m, and 3m bars cannot be built"):
        store.read(SeriesKey("binance", "BTC/USDT", "3m"))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (SeriesKey("binance", "BTCUSDT", "5m"), "is not a symbol"),
        (SeriesKey("binance", "../../etc/passwd", "5m"), "is not a symbol"),
        (SeriesKey("binance", "A/../B", "5m"), "is not a symbol"),
        (SeriesKey("../binance", "BTC/USDT", "5m"), "is not an exchange name"),
        (SeriesKey("binance", "BTC/USDT", "7m"), "unknown timeframe"),
    ],
)
def test_names_that_leave_the_folder_are_refused(
    store: MarketStore, key: SeriesKey, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        store.path(key)


@pytest.mark.parametrize("n_kept_bytes", [0, 3, 100, -1, -5])
def test_truncated_parquet_names_the_file(store: MarketStore, n_kept_bytes: int) -> None:
    store.write(KEY, walk(500))
    path = store.path(KEY)
    path.write_bytes(path.read_bytes()[:n_kept_bytes])
    with pytest.raises(DataError, match=r"BTC-USDT-5m.parquet is truncated or not a Parquet"):
        store.read(KEY)


def test_damage_in_the_middle_of_a_file_is_named(store: MarketStore) -> None:
    store.write(KEY, walk(5000))
    path = store.path(KEY)
    content = bytearray(path.read_bytes())
    content[200:2000] = bytes(1800)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"BTC-USDT-5m.parquet"):
        store.read(KEY)


def test_no_flipped_byte_ever_changes_a_bar_or_escapes_as_another_error(
    store: MarketStore,
) -> None:
    store.write(KEY, walk(300))
    path, expected = store.path(KEY), walk(300).content_hash()
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    n_refused = 0
    for _ in range(300):
        content = bytearray(whole)
        place = int(rng.integers(len(content)))
        content[place] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        try:
            assert store.read(KEY).content_hash() == expected
        except DataError as error:
            n_refused += 1
            assert path.name in error.message or "BTC/USDT" in error.message
    assert n_refused > 250


def test_text_instead_of_parquet_names_the_file(store: MarketStore) -> None:
    store.write(KEY, walk(5))
    store.path(KEY).write_text("timestamp,open,high,low,close,volume\n")
    with pytest.raises(DataError, match="is truncated or not a Parquet file: delete it"):
        store.read(KEY)


def test_missing_column_is_named(store: MarketStore) -> None:
    columns = frame(walk(5))
    del columns["high"], columns["volume"]
    put(store, columns)
    with pytest.raises(DataError, match=r"lacks the column high volume \(it has timestamp open"):
        store.read(KEY)


@pytest.mark.parametrize(
    ("column", "kind"), [("timestamp", pa.float64()), ("close", pa.string()), ("open", pa.int64())]
)
def test_wrong_column_type_is_named(store: MarketStore, column: str, kind: pa.DataType) -> None:
    columns = frame(walk(5))
    columns[column] = pa.array([1] * 5).cast(kind)
    put(store, columns)
    with pytest.raises(DataError, match=f"column {column} is .* and must be "):
        store.read(KEY)


def test_null_is_named_with_its_row(store: MarketStore) -> None:
    columns = frame(walk(5))
    columns["close"] = pa.array([1.0, 2.0, None, 4.0, 5.0])
    put(store, columns)
    with pytest.raises(NonFiniteError, match="column close is empty at row 2"):
        store.read(KEY)


def test_file_without_rows_is_named(store: MarketStore) -> None:
    put(store, frame(walk(0)))
    with pytest.raises(DataError, match=r"BTC-USDT-5m.parquet holds no bars"):
        store.read(KEY)


def test_broken_bars_in_a_file_are_named_with_it(store: MarketStore) -> None:
    columns = frame(walk(5))
    columns["high"] = pa.array([1.0] * 5)
    path = put(store, columns)
    with pytest.raises(DataError, match=f"{path}: high is below low at row 0"):
        store.read(KEY)


def test_additional_columns_are_left_alone(store: MarketStore) -> None:
    bars = walk(5)
    put(store, frame(bars) | {"trades": pa.array(range(5))})
    assert store.read(KEY).content_hash() == bars.content_hash()


def test_broken_bars_are_not_written(store: MarketStore) -> None:
    bars = walk(5)
    bars.high[2] = np.nan
    with pytest.raises(NonFiniteError):
        store.write(KEY, bars)
    with pytest.raises(DataError, match="no bars to write"):
        store.write(KEY, walk(0))
    assert not store.root.exists()


def test_append_merges_before_between_and_after(store: MarketStore) -> None:
    bars = walk(30)
    pieces: list[Callable[[], Bars]] = [
        lambda: bars.slice(10, 15),
        lambda: bars.slice(20, 30),
        lambda: bars.slice(0, 12),
        lambda: bars.slice(14, 21),
    ]
    for piece in pieces:
        merged = store.append(KEY, piece())
    assert merged.content_hash() == bars.content_hash()
    assert store.read(KEY).content_hash() == bars.content_hash()


def test_append_of_known_bars_leaves_the_file_alone(store: MarketStore) -> None:
    store.write(KEY, walk(30))
    before = store.path(KEY).stat()
    store.append(KEY, walk(30).slice(4, 20))
    assert store.path(KEY).stat().st_ino == before.st_ino


def test_append_may_revise_the_last_bar_only(store: MarketStore) -> None:
    bars = walk(30)
    store.write(KEY, bars)
    revised = walk(31)
    revised.volume[29] += 1
    store.append(KEY, revised.slice(29, 31))
    assert store.read(KEY).volume[29] == revised.volume[29]
    revised.volume[28] += 1
    with pytest.raises(DataError, match=r"the bar of 2024-12-31 02:20:00Z differs"):
        store.append(KEY, revised)
    assert store.read(KEY).volume[28] == bars.volume[28]


def test_failed_write_keeps_the_old_file_and_leaves_nothing_behind(
    store: MarketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(KEY, walk(30))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot write .*No space left on device"):
        store.append(KEY, walk(40))
    monkeypatch.undo()
    assert len(store.read(KEY)) == 30
    assert [p.name for p in store.path(KEY).parent.iterdir()] == ["BTC-USDT-5m.parquet"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission_says_so(store: MarketStore) -> None:
    store.root.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="choose a market folder you may write"):
        store.append(KEY, walk(3))


def test_root_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(StoreError, match="cannot write"):
        MarketStore(tmp_path / "f").append(KEY, walk(3))


@needs_real_bars
def test_real_bars_resample_to_whole_hours_without_gaps() -> None:
    from engine.market.bars import gaps

    store = MarketStore(REAL / "spot-5m")
    for symbol in store.symbols("binance", "5m"):
        bars = store.read(SeriesKey("binance", symbol, "5m"))
        hourly = store.read(SeriesKey("binance", symbol, "1h"))
        assert len(bars) == 69_408
        assert len(hourly) == 69_408 // 12
        assert gaps(bars, "5m") == []
        assert gaps(hourly, "1h") == []
        assert hourly.close[-1] == bars.close[-1]
        assert hourly.volume.sum() == pytest.approx(bars.volume.sum(), rel=1e-12)


@needs_real_bars
def test_real_bars_keep_their_hash() -> None:
    store = MarketStore(REAL / "spot-5m")
    key = SeriesKey("binance", "BTC/USDT", "1h")
    expected = "d67ff7afdc957a96b7bdb0af514755517499f6de0dabe1a9344efcaeda67a0a7"
    assert store.read(key).content_hash() == store.read(key).content_hash() == expected


@needs_real_bars
def test_real_hourly_perpetuals_are_read() -> None:
    store = MarketStore(REAL / "perp-1h")
    assert store.exchanges() == ["binance-perp"]
    assert len(store.symbols("binance-perp", "4h")) == 12
    assert len(store.read(SeriesKey("binance-perp", "SOL/USDT", "1d"))) == 912
