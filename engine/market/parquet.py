"""One series of bars as one Parquet file: every fault named, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import DataError, NonFiniteError, StoreError
from engine.market.bars import VALUE_COLUMNS
from engine.types import Bars, FloatArray, IntArray

COLUMNS = ("timestamp", *VALUE_COLUMNS)
_SCHEMA = pa.schema([("timestamp", pa.int64()), *((name, pa.float64()) for name in VALUE_COLUMNS)])


def read_bars_file(path: Path) -> Bars:
    """Return the six columns of a Parquet file; their values are not checked here.

    Raises
    ------
    DataError : unreadable, truncated or not Parquet, a column missing or of another type, empty.
    NonFiniteError : a null in any column.
    """
    table = _read_table(path)
    if table.num_rows == 0:
        raise DataError(
            f"{path} holds no bars: delete it and fetch the series again", path=str(path)
        )
    stamps = np.asarray(_column(table, "timestamp", path), dtype=np.int64)
    values = {
        name: np.asarray(_column(table, name, path), dtype=np.float64) for name in COLUMNS[1:]
    }
    return Bars(timestamp=stamps, **values)


def write_bars_file(path: Path, bars: Bars) -> None:
    """Replace `path` by these bars in one step: temporary file, fsync, rename, fsync of the folder.

    Raises
    ------
    StoreError : the folder cannot be written, or the disk is full; the old file is untouched.
    """
    arrays = [pa.array(getattr(bars, name)) for name in COLUMNS]
    table = pa.Table.from_arrays(arrays, schema=_SCHEMA)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".part", dir=path.parent
        )
        with os.fdopen(handle, "wb") as file:
            pq.write_table(
                table, file, compression="zstd", write_page_checksum=True, use_dictionary=False
            )
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        _sync_folder(path.parent)
    except (OSError, pa.ArrowException) as exc:
        raise StoreError(
            f"cannot write {path}: {exc}: free the disk, or choose a market folder you may write",
            path=str(path),
        ) from exc
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _read_table(path: Path) -> pa.Table:
    try:
        with path.open("rb") as file:
            names = pq.read_schema(file).names
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise DataError(
                    f"{path} lacks the column {' '.join(missing)} (it has {' '.join(names)}): "
                    f"a market file holds {' '.join(COLUMNS)}",
                    path=str(path),
                    missing=missing,
                )
            file.seek(0)
            return pq.read_table(
                file,
                columns=list(COLUMNS),
                use_threads=False,
                page_checksum_verification=True,
            )
    except (pa.ArrowException, UnicodeDecodeError, MemoryError) as exc:
        raise DataError(
            f"{path} is truncated or not a Parquet file: delete it and fetch the series again",
            path=str(path),
        ) from exc
    except OSError as exc:
        raise DataError(
            f"cannot read {path}: {exc.strerror or exc}: check the file, or delete it and fetch "
            "the series again",
            path=str(path),
        ) from exc


def _column(table: pa.Table, name: str, path: Path) -> IntArray | FloatArray:
    column = table.column(name)
    wanted = _SCHEMA.field(name).type
    if column.type != wanted:
        raise DataError(
            f"{path}: column {name} is {column.type} and must be {wanted}: rewrite the file",
            path=str(path),
            column=name,
        )
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy()))
        raise NonFiniteError(
            f"{path}: column {name} is empty at row {row}: delete the file and fetch the series "
            "again",
            path=str(path),
            column=name,
            row=row,
        )
    values: IntArray | FloatArray = column.to_numpy()
    return values


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
