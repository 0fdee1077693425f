"""What a strategy trader is restored from: its fills, in the order of the journal."""

from __future__ import annotations

from collections.abc import Iterable

from engine.trade.exchange import Fill
from engine.trade.instrument import ZERO
from engine.trade.journal_line import JournalLine
from engine.trade.orders import Side
from engine.trade.positions import quote_of
from engine.trade.records import AdoptRecord, FillRecord

Key = tuple[str, str]
"""Strategy id and symbol."""


def fills_by_trader(lines: Iterable[JournalLine]) -> dict[Key, list[Fill]]:
    """Return every fill in a journal, by whose position it changed, each once.

    A difference that the operator took over counts as a fill without an order and without a fee.
    """
    found: dict[Key, dict[str, Fill]] = {}
    for line in lines:
        record = line.record
        if isinstance(record, FillRecord):
            mine = found.setdefault((record.strategy_id, record.fill.symbol), {})
            mine.setdefault(record.fill.id, record.fill)
        elif isinstance(record, AdoptRecord) and record.signed_base:
            fill = adopted_fill(record, line.seq, line.at)
            found.setdefault((record.strategy_id, record.symbol), {})[fill.id] = fill
    return {key: list(fills.values()) for key, fills in found.items()}


def adopted_fill(record: AdoptRecord, seq: int, at: int) -> Fill:
    """Return the fill that an adopted difference counts as.

    Parameters
    ----------
    seq, at : of its line
    """
    return Fill(
        id=f"adopted-{seq}",
        client_id="",
        symbol=record.symbol,
        side=Side.BUY if record.signed_base > 0 else Side.SELL,
        qty_base=record.signed_base.copy_abs(),
        price=record.price,
        fee=ZERO,
        fee_asset=quote_of(record.symbol),
        at=at,
    )
