"""One line of a journal in words an operator reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from console.format import short_id
from engine.risk.verdict import RiskVerdict
from engine.store.json_text import storable
from engine.trade.journal_line import JournalLine
from engine.trade.orders import OrderRequest, OrderType
from engine.trade.record_json import plain
from engine.trade.records import (
    AdoptRecord,
    CashRecord,
    DisownRecord,
    FillRecord,
    GenesisRecord,
    IntentRecord,
    LatchRecord,
    MarkRecord,
    NoteRecord,
    OrderRecord,
    VerdictRecord,
)

_KIND_WIDTH = 7


def line_words(line: JournalLine) -> str:
    """Return the instant, the number, the kind and what happened, on one line."""
    at = datetime.fromtimestamp(line.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    words = " ".join(_WORDS[line.record.kind](line.record).split())
    # A venue's words may hold anything; a terminal is not to obey them.
    safe = "".join(letter if letter.isprintable() else "�" for letter in words)
    return f"{at}Z #{line.seq} {line.record.kind:<{_KIND_WIDTH}} {safe}"


def line_json(line: JournalLine) -> Mapping[str, Any]:
    """Return the line as plain JSON values, amounts as exact decimal strings."""
    return {
        "seq": line.seq,
        "at": line.at,
        "kind": line.record.kind,
        "body": _whole_letters(plain(line.record)),
        "hash": line.hash,
    }


def _whole_letters(value: Any) -> Any:
    """Return `value` without the halves of letters that no output can hold."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(key): _whole_letters(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_letters(item) for item in value]
    return value


def _amount(value: Decimal) -> str:
    return f"{value:f}"


def _signed(value: Decimal) -> str:
    return f"{value:+f}"


def _order(request: OrderRequest) -> str:
    base, _, quote = request.symbol.partition("/")
    if request.qty_base is not None:
        size = f"{_amount(request.qty_base)} {base}"
    else:
        size = f"{_amount(cast('Decimal', request.notional_quote))} {quote} worth of {base}"
    at = {
        OrderType.MARKET: "at market",
        OrderType.LIMIT: f"at {request.price} or better",
        OrderType.STOP: f"at market when stopped at {request.stop_price}",
        OrderType.TARGET: f"at market when {request.stop_price} is reached",
    }[request.type]
    reduce = ", reduce-only" if request.reduce_only else ""
    return (
        f"{request.side} {size} ({request.symbol}) {at}{reduce} as {request.purpose} of "
        f"{short_id(request.strategy_id)}, order {request.client_id}"
    )


def _verdict(verdict: RiskVerdict) -> str:
    failed = [rule.message for rule in verdict.rules if not rule.passed]
    reason = verdict.reason or "; ".join(failed)
    if not verdict.allowed:
        return f"refused: {reason or 'no reason given'}"
    if verdict.qty_base is not None or verdict.notional_quote is not None:
        return f"allowed, made smaller: {reason}"
    return f"allowed by {len(verdict.rules)} rules"


def _genesis(record: GenesisRecord) -> str:
    return f"journal of account {record.account} begins, format {record.format}"


def _intent(record: IntentRecord) -> str:
    asked = "no verdict needed" if record.verdict is None else _verdict(record.verdict)
    return f"{_order(record.request)}; {asked}"


def _state(record: OrderRecord) -> str:
    venue = f" as {record.venue_id}" if record.venue_id else ""
    reason = f": {record.reason}" if record.reason else ""
    return f"order {record.client_id} is {record.state}{venue}{reason}"


def _fill(record: FillRecord) -> str:
    fill = record.fill
    base, _, _ = fill.symbol.partition("/")
    whose = f"order {fill.client_id}" if fill.client_id else "an order that is not ours"
    fee = f", fee {_amount(fill.fee)} {fill.fee_asset}" if fill.fee else ", no fee"
    return (
        f"{fill.side} {_amount(fill.qty_base)} {base} ({fill.symbol}) at {_amount(fill.price)}"
        f"{fee}, for {short_id(record.strategy_id)}, {whose}, fill {fill.id}"
    )


def _refusal(record: VerdictRecord) -> str:
    return f"{_order(record.request)}; {_verdict(record.verdict)}"


def _cash(record: CashRecord) -> str:
    return f"{_signed(record.amount)} {record.asset}: {record.reason or 'no reason given'}"


def _adopt(record: AdoptRecord) -> str:
    base, _, _ = record.symbol.partition("/")
    return (
        f"{record.who} gave {short_id(record.strategy_id)} {_signed(record.signed_base)} {base} "
        f"({record.symbol}) at {_amount(record.price)}: {record.reason}"
    )


def _disown(record: DisownRecord) -> str:
    return (
        f"{record.who} says that {_signed(record.amount)} of {record.subject} is not ours: "
        f"{record.reason}"
    )


def _mark(record: MarkRecord) -> str:
    why = f" ({record.reason})" if record.reason else ""
    return f"the account is worth {_amount(record.equity_quote)}{why}"


def _latch(record: LatchRecord) -> str:
    who, reason = record.who or "somebody unknown", record.reason or "no reason given"
    return f"{record.state} by {who}: {reason}"


def _note(record: NoteRecord) -> str:
    return f"{record.topic}: {record.message}"


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "genesis": _genesis,
    "intent": _intent,
    "order": _state,
    "fill": _fill,
    "verdict": _refusal,
    "cash": _cash,
    "adopt": _adopt,
    "disown": _disown,
    "mark": _mark,
    "latch": _latch,
    "note": _note,
}
