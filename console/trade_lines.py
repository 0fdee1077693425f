"""Trades of a strategy as rows: of a backtest, of an account, or of both side by side."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.store.paper_trades import PaperTrade

MOST_LINES = 10_000


@dataclass(frozen=True, slots=True)
class TradeLine:
    """One closed trade; what is not known is nan, None or empty.

    Attributes
    ----------
    where : segment of a backtest, or account
    side : long or short
    entry_at, exit_at : UTC ms; None while it is open
    pnl_quote : after fees
    net_return : fraction of the notional at entry, after costs
    """

    where: str
    symbol: str
    side: str
    entry_at: int
    entry: float
    exit_at: int | None
    exit: float
    reason: str
    qty_base: float
    pnl_quote: float
    net_return: float


@dataclass(frozen=True, slots=True)
class PairLine:
    """A trade of the backtest beside its trade on paper; one of them may be missing.

    Attributes
    ----------
    cause : why they differ, empty when they do not
    differs : in what
    """

    decided_at: int
    backtest: TradeLine | None
    paper: TradeLine | None
    cause: str
    differs: str


def read_trades(path: Path) -> list[TradeLine]:
    """Return a trade log that `paddock report strategy` wrote, oldest first.

    Raises
    ------
    OSError : the file cannot be read.
    ValueError, KeyError : it is no such log.
    """
    with path.open(newline="", encoding="utf-8") as lines:
        return [_of_report(row) for row in _rows(lines)]


def read_pairs(path: Path) -> list[PairLine]:
    """Return the two logs side by side that `paddock paper --trades` wrote.

    Raises
    ------
    OSError : the file cannot be read.
    ValueError, KeyError : it is no such log.
    """
    with path.open(newline="", encoding="utf-8") as lines:
        return [
            PairLine(
                int(row["decided_at"]),
                _of_pair(row, "backtest"),
                _of_pair(row, "paper"),
                row["cause"],
                row["differences"],
            )
            for row in _rows(lines)
        ]


def stored_trades(trades: Iterable[PaperTrade]) -> list[TradeLine]:
    """Return closed trades of accounts as rows."""
    return [
        TradeLine(
            trade.account,
            trade.symbol,
            "long" if trade.side.value == "buy" else "short",
            trade.entry_at,
            float(trade.entry),
            trade.exit_at,
            float(trade.exit),
            trade.reason,
            float(trade.qty_base),
            float(trade.pnl_quote),
            trade.net_return,
        )
        for trade in trades
    ]


def _rows(lines: Iterable[str]) -> list[dict[str, str]]:
    # Of a longer log the newest are shown; all are in the file.
    return list(csv.DictReader(lines))[-MOST_LINES:]


def _of_report(row: Mapping[str, str]) -> TradeLine:
    return TradeLine(
        row["segment"],
        row["symbol"],
        row["side"],
        int(row["entry_at"]),
        float(row["entry_quote"]),
        int(row["exit_at"]),
        float(row["exit_quote"]),
        row["reason"],
        float(row["qty_base"]),
        float(row["pnl_quote"]),
        float(row["net_return_frac"]),
    )


def _of_pair(row: Mapping[str, str], whose: str) -> TradeLine | None:
    if not row[f"{whose}_side"]:
        return None
    exit_at = row[f"{whose}_exit_at"]
    return TradeLine(
        whose,
        row["symbol"],
        row[f"{whose}_side"],
        int(row[f"{whose}_entry_at"]),
        float(row[f"{whose}_entry_quote"]),
        int(exit_at) if exit_at else None,
        _real(row[f"{whose}_exit_quote"]),
        row[f"{whose}_reason"],
        math.nan,
        _real(row[f"{whose}_pnl_quote"]),
        math.nan,
    )


def _real(text: str) -> float:
    return float(text) if text else math.nan
