"""Records: what is written is what is read, to the last digit."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import pytest

from engine.errors import DataError, InvariantError
from engine.trade.orders import OrderState
from engine.trade.record_json import canonical
from engine.trade.records import (
    KINDS,
    IntentRecord,
    NoteRecord,
    OrderRecord,
    Record,
    body_of,
    record_of,
)
from tests.journal_records import one_of_each, request


def through_json(record: Record) -> Record:
    return record_of(record.kind, json.loads(canonical(body_of(record))))


def test_every_kind_is_covered_by_these_tests() -> None:
    assert {record.kind for record in one_of_each()} | {"genesis"} == set(KINDS)


@pytest.mark.parametrize("record", one_of_each()[:-1], ids=lambda record: record.kind)
def test_record_comes_back_equal(record: Record) -> None:
    assert through_json(record) == record


def test_decimals_keep_their_trailing_zeros_and_every_digit() -> None:
    digits = Decimal("0.12345678901234567890123456789012345678901234567890100")
    read = through_json(IntentRecord(request(qty=str(digits))))
    assert isinstance(read, IntentRecord)
    assert str(read.request.qty_base) == str(digits)


def test_note_fields_come_back_as_plain_values() -> None:
    note = NoteRecord(
        "t", "m", {"d": Decimal("1.10"), "f": math.nan, "s": OrderState.FILLED, "n": [1]}
    )
    read = through_json(note)
    assert isinstance(read, NoteRecord)
    assert read.fields == {"d": "1.10", "f": "nan", "s": "filled", "n": [1]}


def test_equal_records_are_equal_bytes_whatever_order_their_fields_came_in() -> None:
    one, two = NoteRecord("t", "m", {"a": 1, "b": 2}), NoteRecord("t", "m", {"b": 2, "a": 1})
    assert canonical(body_of(one)) == canonical(body_of(two))


def test_value_that_json_does_not_know_is_our_bug() -> None:
    with pytest.raises(InvariantError, match="object cannot be written to the journal"):
        body_of(NoteRecord("t", "m", {"a": object()}))


def test_field_that_was_added_later_takes_its_default() -> None:
    assert record_of("order", {"client_id": "a", "state": "filled"}) == OrderRecord(
        "a", OrderState.FILLED
    )


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("wire", {}, "no record is of kind 'wire': a newer version wrote it"),
        ("order", {"client_id": "a"}, "order record: OrderRecord has no state"),
        ("order", {"client_id": "a", "state": "lost"}, "'lost' is not a OrderState"),
        ("order", {"client_id": "a", "state": []}, "is not a OrderState"),
        ("order", {"client_id": 1, "state": "filled"}, "'1' is not a str"),
        ("order", {"client_id": "a", "state": "filled", "z": 1}, "has 'z': a newer version"),
        ("cash", {"asset": "A", "amount": "x", "reason": ""}, "'x' is not a number"),
        ("cash", {"asset": "A", "amount": 1.5, "reason": ""}, "'1.5' is not a number"),
        ("mark", {"at": True, "equity_quote": "1"}, "'True' is not a int"),
        ("mark", [], "is not a MarkRecord"),
        ("note", {"topic": "t", "message": "m", "fields": 3}, "'3' is not a dict"),
    ],
)
def test_body_that_does_not_fit_says_what_is_wrong(kind: str, body: dict, words: str) -> None:
    with pytest.raises(DataError) as caught:
        record_of(kind, body)
    assert words in caught.value.message


def test_request_that_no_order_could_be_is_refused() -> None:
    body = body_of(IntentRecord(request()))
    body["request"]["qty_base"] = "-1"
    with pytest.raises(DataError, match="qty_base -1 is not a positive number"):
        record_of("intent", body)
