"""The trade log as CSV: one closed trade a row, numbers unrounded, instants in UTC ms."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from engine.report.facts import TradeFacts

COLUMNS = (
    "symbol",
    "segment",
    "side",
    "entry_at",
    "entry_quote",
    "exit_at",
    "exit_quote",
    "reason",
    "qty_base",
    "pnl_quote",
    "net_return_frac",
    "equity_after_quote",
)


def trades_csv(symbol: str, trades: Iterable[TradeFacts]) -> str:
    """Return the log with its header; numbers read back as exactly the same float64."""
    output = io.StringIO(newline="")
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trade in trades:
        writer.writerow((symbol, *(getattr(trade, name) for name in COLUMNS[1:])))
    return output.getvalue()
