"""The market store: one Parquet file a series, `<root>/<exchange>/<BASE>-<QUOTE>-<tf>.parquet`.

Reading checks every promise of `Bars`, so that nothing behind this door ever sees a broken bar.
"""

from __future__ import annotations

import difflib
import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine.errors import DataError, StoreError
from engine.market.bars import VALUE_COLUMNS, check_bars, series_text, utc_text
from engine.market.parquet import read_bars_file, write_bars_file
from engine.market.resampling import resample
from engine.types import TIMEFRAME_MS, Bars, SeriesKey, timeframe_ms

_EXCHANGE = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SYMBOL = re.compile(r"[^\s/\\:.-][^\s/\\:-]*/[^\s/\\:.-][^\s/\\:-]*")


class MarketStore:
    """Read and write the bars under one folder.

    Parameters
    ----------
    root : Path
        May be missing until the first write, and may be read-only when nothing is written.

    Notes
    -----
    Files are replaced whole (rename), so a kill at any moment leaves the old series or the new one.
    `append` holds a lock on the exchange's folder; two writers of one series lose nothing.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, key: SeriesKey) -> Path:
        """Return the file that holds (or would hold) a series.

        Raises
        ------
        DataError : a name that cannot be an exchange, a BASE/QUOTE symbol or a timeframe.
        """
        timeframe_ms(key.timeframe)
        if not _EXCHANGE.fullmatch(key.exchange):
            raise DataError(
                f"{key.exchange!r} is not an exchange name: use small letters, digits, - and _",
                exchange=key.exchange,
            )
        if not _SYMBOL.fullmatch(key.symbol):
            raise DataError(
                f"{key.symbol!r} is not a symbol: write it as BASE/QUOTE, such as BTC/USDT",
                symbol=key.symbol,
            )
        name = f"{key.symbol.replace('/', '-')}-{key.timeframe}.parquet"
        return self.root / key.exchange / name

    def exchanges(self) -> list[str]:
        """Return the exchanges that hold at least one series, sorted.

        Raises
        ------
        DataError : the folder is missing, is not a folder, or holds no series.
        """
        if not self.root.is_dir():
            fault = "is not a folder" if self.root.exists() else "does not exist"
            raise DataError(f"market folder {self.root} {fault}: {_remedy()}", path=str(self.root))
        try:
            found = sorted(p.name for p in self.root.iterdir() if p.is_dir() and any(_series_in(p)))
        except OSError as exc:
            raise DataError(
                f"cannot read market folder {self.root}: {exc.strerror or exc}", path=str(self.root)
            ) from exc
        if not found:
            raise DataError(
                f"market folder {self.root} holds no series (expected "
                f"EXCHANGE/BASE-QUOTE-TIMEFRAME.parquet): {_remedy()}",
                path=str(self.root),
            )
        return found

    def symbols(self, exchange: str, timeframe: str) -> list[str]:
        """Return the symbols that `read` can serve at a timeframe, stored or resampled, sorted.

        Raises
        ------
        DataError : unknown exchange or timeframe.
        """
        step_ms = timeframe_ms(timeframe)
        return sorted(
            {
                symbol
                for symbol, stored in _series_in(self._folder(exchange))
                if step_ms % TIMEFRAME_MS[stored] == 0
            }
        )

    def timeframes(self, exchange: str, symbol: str) -> list[str]:
        """Return the timeframes stored for a symbol, shortest first; empty when it is unknown.

        Raises
        ------
        DataError : unknown exchange.
        """
        found = {tf for name, tf in _series_in(self._folder(exchange)) if name == symbol}
        return sorted(found, key=timeframe_ms)

    def read(self, key: SeriesKey, start_at: int | None = None, end_at: int | None = None) -> Bars:
        """Return the checked bars of a series with start_at <= open < end_at.

        Parameters
        ----------
        key : SeriesKey
            When its timeframe is not stored, the longest stored one that divides it is resampled.
        start_at, end_at : int, UTC ms, optional

        Returns
        -------
        Bars : possibly empty when the span holds none.

        Raises
        ------
        DataError, NonFiniteError : missing folder, unknown exchange, symbol or timeframe (naming
            the nearest that exist), broken file, broken bars.
        """
        self.path(key)
        stored = self._stored_timeframe(key)
        stored_key = SeriesKey(key.exchange, key.symbol, stored)
        bars = self._read_stored(stored_key)
        bars = resample(bars, stored, key.timeframe)
        start, stop = 0, len(bars)
        if start_at is not None:
            start = int(np.searchsorted(bars.timestamp, start_at))
        if end_at is not None:
            stop = int(np.searchsorted(bars.timestamp, end_at))
        return bars.slice(start, max(start, stop))

    def write(self, key: SeriesKey, bars: Bars) -> None:
        """Replace a series by these bars, whole or not at all.

        Raises
        ------
        DataError : broken or no bars; nothing is written.
        StoreError : the file cannot be written.
        """
        path = self.path(key)
        check_bars(bars, key, f"what was to be written to {path}")
        if len(bars) == 0:
            raise DataError(f"{series_text(key)}: no bars to write to {path}", path=str(path))
        write_bars_file(path, bars)

    def append(self, key: SeriesKey, bars: Bars) -> Bars:
        """Merge bars into a series, whole or not at all, and return the merged series.

        Notes
        -----
        Equal bars merge silently. The last stored bar may be replaced by a different one, because
        exchanges revise it shortly after its close. Any older stored bar is history: a different
        one is refused, because two truths about the past make results unrepeatable.

        Raises
        ------
        DataError : broken bars, or a bar that contradicts history; nothing is written.
        StoreError : the file cannot be written.
        """
        path = self.path(key)
        check_bars(bars, key, f"what was to be added to {path}")
        with self._locked(path.parent):
            if not path.exists():
                self.write(key, bars)
                return bars
            stored = self._read_stored(key)
            merged = _merge(stored, bars, key, path)
            if merged is not stored:
                write_bars_file(path, merged)
            return merged

    def read_stored(self, key: SeriesKey) -> Bars | None:
        """Return the checked bars of exactly this series, or None when it is not stored.

        Raises
        ------
        DataError, NonFiniteError : broken file or bars.
        """
        return self._read_stored(key) if self.path(key).exists() else None

    def _read_stored(self, key: SeriesKey) -> Bars:
        path = self.path(key)
        bars = read_bars_file(path)
        check_bars(bars, key, str(path))
        return bars

    def _folder(self, exchange: str) -> Path:
        known = self.exchanges()
        if exchange not in known:
            raise DataError(
                f"unknown exchange {exchange!r} in {self.root}: {_nearest(exchange, known)}",
                exchange=exchange,
                known=known,
            )
        return self.root / exchange

    def _stored_timeframe(self, key: SeriesKey) -> str:
        stored = self.timeframes(key.exchange, key.symbol)
        if not stored:
            known = sorted({name for name, _ in _series_in(self._folder(key.exchange))})
            raise DataError(
                f"unknown symbol {key.symbol} on {key.exchange} in {self.root}: "
                f"{_nearest(key.symbol, known)}, or run "
                f"`paddock fetch {key.exchange} {key.symbol} --timeframe {key.timeframe}`",
                symbol=key.symbol,
                known=known,
            )
        fitting = [tf for tf in stored if timeframe_ms(key.timeframe) % timeframe_ms(tf) == 0]
        if not fitting:
            raise DataError(
                f"{key.exchange} {key.symbol} is stored in {self.root} at {' '.join(stored)}, and "
                f"{key.timeframe} bars cannot be built from that: run "
                f"`paddock fetch {key.exchange} {key.symbol} --timeframe {key.timeframe}`",
                symbol=key.symbol,
                stored=stored,
            )
        return fitting[-1]

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
        except OSError as exc:
            raise StoreError(
                f"cannot write into {folder}: {exc.strerror or exc}: "
                "choose a market folder you may write",
                path=str(folder),
            ) from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _series_in(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.glob("*.parquet"):
        parts = path.name.removesuffix(".parquet").rsplit("-", 2)
        if len(parts) == 3 and parts[2] in TIMEFRAME_MS and not path.name.startswith("."):
            yield f"{parts[0]}/{parts[1]}", parts[2]


def _merge(stored: Bars, fresh: Bars, key: SeriesKey, path: Path) -> Bars:
    last_at = int(stored.timestamp[-1])
    places = np.searchsorted(stored.timestamp, fresh.timestamp)
    is_known = np.zeros(len(fresh), dtype=np.bool_)
    inside = places < len(stored)
    is_known[inside] = stored.timestamp[places[inside]] == fresh.timestamp[inside]
    is_changed = np.zeros(len(fresh), dtype=np.bool_)
    for name in VALUE_COLUMNS:
        old, new = getattr(stored, name), getattr(fresh, name)
        is_changed[is_known] |= old[places[is_known]] != new[is_known]
    conflicts = np.flatnonzero(is_changed & (fresh.timestamp != last_at))
    if conflicts.size:
        row = int(conflicts[0])
        at = int(fresh.timestamp[row])
        raise DataError(
            f"{series_text(key)}: the bar of {utc_text(at)} differs from the one in {path} "
            f"({_values_text(stored, int(places[row]))} stored, {_values_text(fresh, row)} new): "
            "stored history is never changed; delete the file and fetch the series again",
            path=str(path),
            at=at,
        )
    if is_known.all() and not is_changed.any():
        return stored
    kept = ~np.isin(stored.timestamp, fresh.timestamp)
    stamps = np.concatenate((stored.timestamp[kept], fresh.timestamp))
    order = np.argsort(stamps, kind="stable")
    values = {
        name: np.concatenate((getattr(stored, name)[kept], getattr(fresh, name)))[order]
        for name in VALUE_COLUMNS
    }
    return Bars(timestamp=stamps[order], **values)


def _values_text(bars: Bars, row: int) -> str:
    return " ".join(f"{float(getattr(bars, name)[row]):g}" for name in VALUE_COLUMNS)


def _nearest(name: str, known: Iterable[str]) -> str:
    names = {item.upper(): item for item in known}
    close = difflib.get_close_matches(name.upper(), names, n=1, cutoff=0.5)
    listed = " ".join(names.values())
    if close:
        return f"did you mean {names[close[0]]}? There is {listed}"
    return f"there is {listed}"


def _remedy() -> str:
    return "check --market, or run `paddock fetch EXCHANGE SYMBOL --timeframe T --days N`"
