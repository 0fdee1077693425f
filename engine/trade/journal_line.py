"""One line of a journal: its form, its hash, and what is wrong with it.

    {"seq":7,"prev":"<64 hex>","at":1700000000000,"kind":"fill","body":{...},"hash":"<64 hex>"}

The hash is SHA-256 over every byte before `,"hash":`, so it covers the hash of the line before. Of
a line that ends in its newline no byte can change unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from engine.errors import DataError, InvariantError
from engine.trade.record_json import canonical
from engine.trade.records import Record, body_of, record_of

NO_HASH = "0" * 64
"""What the first line follows."""

MAX_LINE_BYTES = 1 << 20

_HASH_KEY = b',"hash":"'
_END = b'"}\n'
_TAIL_BYTES = len(_HASH_KEY) + 64 + len(_END)
_ENDING = re.compile(rb',"hash":"[0-9a-f]{64}"\}')
_SEQ = re.compile(rb'\{"seq":([0-9]{1,15}),')


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A line that was read.

    Attributes
    ----------
    seq : 0 for the genesis line, then without a gap
    at : UTC ms of the append
    hash : 64 hex digits
    """

    seq: int
    at: int
    record: Record
    hash: str


def encoded(seq: int, previous_hash: str, at: int, record: Record) -> tuple[bytes, str]:
    """Return a line with its newline, and its hash.

    Raises
    ------
    InvariantError : longer than a line may be, or not writable as JSON.
    """
    body = canonical(body_of(record))
    text = (
        f'{{"seq":{seq},"prev":"{previous_hash}","at":{at},"kind":"{record.kind}","body":{body}'
    ).encode("ascii")
    if len(text) + _TAIL_BYTES > MAX_LINE_BYTES:
        raise InvariantError(f"a {record.kind} record of {len(text)} bytes is too long to journal")
    digest = hashlib.sha256(text).hexdigest()
    return text + _HASH_KEY + digest.encode("ascii") + _END, digest


def hash_of(line: bytes) -> str | None:
    """Return the hash of a whole line, None when the line does not match its own hash."""
    text = line[:-_TAIL_BYTES]
    digest = hashlib.sha256(text).hexdigest()
    whole = line[-_TAIL_BYTES:] == _HASH_KEY + digest.encode("ascii") + _END
    return digest if whole and text else None


def why_out_of_place(line: bytes, seq: int, previous_hash: str) -> str:
    """Say why a line that matches its own hash cannot stand at `seq`; empty when it can."""
    if line.startswith(f'{{"seq":{seq},"prev":"{previous_hash}",'.encode("ascii")):
        return ""
    found = _SEQ.match(line)
    number = f"its seq is {int(found[1])}" if found else "it has no seq"
    return f"it does not follow the line before it ({number}): lines were taken out, added or moved"


def decoded(line: bytes) -> JournalLine:
    """Return what a whole line says.

    Raises
    ------
    DataError : it was hashed as it is, but this version cannot read it.
    """
    try:
        fields = json.loads(line)
        seq, at, digest = fields["seq"], fields["at"], fields["hash"]
        kind, body = fields["kind"], fields["body"]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise DataError(f"it is not a journal line: {exc}") from exc
    if type(seq) is not int or type(at) is not int:
        raise DataError("its seq and at are not whole numbers")
    return JournalLine(seq, at, record_of(kind, body), digest)


def previous_hash_of(line: bytes) -> str:
    """Return the hash that a whole line says it follows."""
    return str(json.loads(line)["prev"])


def seq_of(line: bytes) -> int | None:
    """Return the seq that a line says it has, None when it says none."""
    found = _SEQ.match(line)
    return int(found[1]) if found else None


def is_torn(end: bytes) -> bool:
    """Return whether bytes after the last newline are the start of a line, cut off by a crash.

    What has a line's ending was once whole: it was acknowledged, and then damaged.
    """
    return _ENDING.search(end) is None
