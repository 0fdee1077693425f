"""Generate bars in a process of their own, which takes its compiler and its memory along.

The venue lives for months and needs new bars once a day: what makes them need not stay.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from engine.errors import DataError, PaddockError
from engine.market.bars import VALUE_COLUMNS
from engine.types import MS_PER_DAY, Bars

MODULE = "engine.trade.simulated.generation"
_TIMEOUT_S = 300.0
_COLUMNS = ("timestamp", *VALUE_COLUMNS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which bars.

    Attributes
    ----------
    seed, edge_kind, edge_strength : of the market
    start_at : where the bars of cycles end and the venue's begin, UTC ms; None for the fixed date
    until_at : there must be bars up to here, UTC ms
    ahead_ms : and so much longer than the later of the two
    """

    symbols: tuple[str, ...]
    seed: int
    edge_kind: str
    edge_strength: float
    start_at: int | None
    until_at: int
    ahead_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class GeneratedBars:
    """Bars by symbol, from the market's first on, and where the venue's begin."""

    start_at: int
    timeframe: str
    series: dict[str, Bars]


def generate_apart(wanted: Wanted) -> GeneratedBars:
    """Return the bars of each symbol, made by another process.

    Raises
    ------
    DataError : it failed; its last words are told.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own program, our own arguments
            [sys.executable, "-m", MODULE, json.dumps(asdict(wanted))],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as exc:
        words = exc.stderr.decode(errors="replace").strip().splitlines() or ["no word"]
        raise DataError(f"the generated market cannot be generated: {words[-1]}") from exc
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise DataError(f"the generated market cannot be generated: {exc}") from exc
    columns = np.load(io.BytesIO(done.stdout), allow_pickle=False)
    series = {
        symbol: Bars(*(columns[f"{i} {name}"] for name in _COLUMNS))
        for i, symbol in enumerate(wanted.symbols)
    }
    return GeneratedBars(int(columns["start_at"]), str(columns["timeframe"]), series)


def main(argv: Sequence[str]) -> int:
    """Write the bars that the one argument asks for to standard output."""
    # Imported here: the caller needs this module, and not the compiler that this brings.
    from engine.market import generated

    wanted = Wanted(**json.loads(argv[0]))
    start_at = wanted.start_at or generated.GENERATED_END_AT
    last_at = generated.GENERATED_START_AT + generated.LONGEST_DAYS * MS_PER_DAY
    end_at = min(last_at, max(start_at, wanted.until_at) + wanted.ahead_ms)
    columns: dict[str, np.ndarray] = {
        "start_at": np.array(start_at),
        "timeframe": np.array(generated.GENERATED_TIMEFRAME),
    }
    try:
        for i, symbol in enumerate(wanted.symbols):
            bars = generated.generate_bars(
                symbol, wanted.seed, wanted.edge_kind, wanted.edge_strength, end_at
            )
            columns |= {f"{i} {name}": getattr(bars, name) for name in _COLUMNS}
    except PaddockError as exc:
        sys.stderr.write(f"{exc.message}\n")
        return 1
    out = io.BytesIO()
    np.savez(out, **columns)  # type: ignore[arg-type]
    sys.stdout.buffer.write(out.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
