"""What a journal holds: one frozen value per kind of line, and their JSON bodies.

A record tells what happened, never what follows from it: orders, positions and cash are folds over
records (`account_book.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from engine.errors import DataError, InvariantError, PaddockError
from engine.risk.latch import TradingState
from engine.risk.verdict import RiskVerdict
from engine.trade.exchange import Fill
from engine.trade.orders import OrderRequest, OrderState
from engine.trade.record_json import plain, rebuilt

JOURNAL_FORMAT = 1


@dataclass(frozen=True, slots=True)
class GenesisRecord:
    """The first line of a journal.

    Attributes
    ----------
    account : whose journal it is
    format : version of the file's format
    created_at : UTC ms
    """

    kind: ClassVar[str] = "genesis"
    account: str
    format: int
    created_at: int


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """An order that is about to be sent, exactly as it will be sent.

    Attributes
    ----------
    verdict : what the risk officer said; None where nobody was asked (reduce-only)
    """

    kind: ClassVar[str] = "intent"
    request: OrderRequest
    verdict: RiskVerdict | None = None


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """A change of an order's state.

    Attributes
    ----------
    venue_id : the exchange's number, empty when it brought none
    reason : why, in words; empty when the state says it all
    """

    kind: ClassVar[str] = "order"
    client_id: str
    state: OrderState
    venue_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FillRecord:
    """An execution, counted once however often it is written.

    Attributes
    ----------
    strategy_id : whose position it changes
    """

    kind: ClassVar[str] = "fill"
    fill: Fill
    strategy_id: str


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """An order that the risk officer refused; it was never sent."""

    kind: ClassVar[str] = "verdict"
    request: OrderRequest
    verdict: RiskVerdict


@dataclass(frozen=True, slots=True)
class CashRecord:
    """Money that came or went without a fill: an opening balance, a deposit, funding.

    Attributes
    ----------
    asset : currency
    amount : signed, in `asset`
    """

    kind: ClassVar[str] = "cash"
    asset: str
    amount: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class AdoptRecord:
    """A difference to the exchange that the operator took over into a position.

    It counts like a fill of `signed_base` at `price` without a fee. What the exchange's cash
    differs by beyond that is a `CashRecord` of its own.

    Attributes
    ----------
    strategy_id : who owns it from now on
    signed_base : base currency, what the position changes by
    price : quote currency, > 0, taken as entry or exit price
    who : the operator
    """

    kind: ClassVar[str] = "adopt"
    strategy_id: str
    symbol: str
    signed_base: Decimal
    price: Decimal
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class DisownRecord:
    """A difference to the exchange that is somebody else's and not counted as ours.

    Attributes
    ----------
    subject : a symbol, a currency, or an exchange's number of a foreign order
    amount : signed, what the exchange has beyond the journal; adds up with earlier ones
    who : the operator
    """

    kind: ClassVar[str] = "disown"
    subject: str
    amount: Decimal
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class MarkRecord:
    """The account's worth at an instant: the end of a day, a new peak.

    Attributes
    ----------
    at : UTC ms that it is of
    equity_quote : quote currency of the account
    reason : what made it worth writing down, such as `day` or `peak`
    """

    kind: ClassVar[str] = "mark"
    at: int
    equity_quote: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LatchRecord:
    """A change of the latch, as it was noticed; the latch itself is a file."""

    kind: ClassVar[str] = "latch"
    state: TradingState
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """Everything else that belongs in the audit.

    Attributes
    ----------
    topic : what it is about, dotted, such as `reconcile.report` or `breaker.daily_loss`
    message : one sentence for the operator
    fields : the same as plain JSON values; Decimals come back as strings
    """

    kind: ClassVar[str] = "note"
    topic: str
    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Record = (
    GenesisRecord
    | IntentRecord
    | OrderRecord
    | FillRecord
    | VerdictRecord
    | CashRecord
    | AdoptRecord
    | DisownRecord
    | MarkRecord
    | LatchRecord
    | NoteRecord
)

KINDS: Mapping[str, type[Record]] = {
    record.kind: record
    for record in (
        GenesisRecord,
        IntentRecord,
        OrderRecord,
        FillRecord,
        VerdictRecord,
        CashRecord,
        AdoptRecord,
        DisownRecord,
        MarkRecord,
        LatchRecord,
        NoteRecord,
    )
}


def body_of(record: Record) -> dict[str, Any]:
    """Return the record as plain JSON values, without its kind.

    Raises
    ------
    InvariantError : a note carries what JSON cannot.
    """
    body = plain(record)
    if not isinstance(body, dict):
        raise InvariantError(f"a {record.kind} record has no fields")
    return body


def record_of(kind: str, body: Mapping[str, Any]) -> Record:
    """Return the record that `body_of` made `body` of.

    Raises
    ------
    DataError : no such kind, or a body that does not fit it.
    """
    record = KINDS.get(kind)
    if record is None:
        raise DataError(f"no record is of kind {kind!r}: a newer version wrote it", kind=kind)
    try:
        rebuilt_record: Record = rebuilt(record, body)
    except PaddockError as exc:
        raise DataError(f"{kind} record: {exc.message}", kind=kind) from exc
    return rebuilt_record
