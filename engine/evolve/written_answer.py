"""From a model's words to a strategy: the JSON or the module in them, whatever stands around."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from engine.evolve.prompts import Form
from engine.strategy.genome import Genome
from engine.strategy.javascript.contract import SOURCE_MAX_BYTES
from engine.strategy.written import written_document, written_id
from engine.validate.findings import Finding, Severity
from engine.validate.genome_check import read_genome

_FENCE = re.compile(r"```[ \t]*([\w+-]*)[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
_EXPORT = re.compile(r"^\s*export\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Draft:
    """A strategy as it was answered, not validated yet.

    Attributes
    ----------
    id : of its content
    document : what is stored: a genome's canonical JSON, or a module's document
    genome : None for a module
    module : None for a genome
    """

    id: str
    document: str
    genome: Genome | None = None
    module: str | None = None


def read_answer(form: Form, text: str, finish: str) -> tuple[Draft | None, list[Finding]]:
    """Return the strategy in an answer, or why there is none."""
    if finish == "length":
        message = "the answer ended at its limit of tokens: write a shorter strategy"
        return None, [_error("answer.length", message)]
    if not text.strip():
        return None, [_error("answer.empty", "the answer is empty")]
    return _read_genome(text) if form == "genome" else _read_module(text)


def _read_genome(text: str) -> tuple[Draft | None, list[Finding]]:
    found = _object_in(text)
    if found is None:
        return None, [_error("answer.json", "the answer holds no JSON object")]
    genome, findings = read_genome(found)
    if genome is None:
        return None, findings
    return Draft(genome.id, genome.canonical_json(), genome=genome), []


def _object_in(text: str) -> str | None:
    """Return the largest JSON object in a text."""
    decoder = json.JSONDecoder()
    best, at = "", 0
    while (start := text.find("{", at)) >= 0:
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
            continue
        best = max(best, text[start:end], key=len)
        at = end
    return best or None


def _read_module(text: str) -> tuple[Draft | None, list[Finding]]:
    blocks = [match[2] for match in _FENCE.finditer(text) if _EXPORT.search(match[2])]
    module = max(blocks, key=len) if blocks else text
    if not _EXPORT.search(module):
        message = "the answer holds no module: export `meta` and `decide` in one ```js block"
        return None, [_error("answer.module", message)]
    module = module.replace("\r\n", "\n").strip() + "\n"
    size = len(module.encode(errors="replace"))
    if size > SOURCE_MAX_BYTES:
        message = f"the module has {size:,} bytes, at most {SOURCE_MAX_BYTES:,} are read"
        return None, [_error("script.size", message)]
    return Draft(written_id(module), written_document(module), module=module), []


def _error(code: str, message: str) -> Finding:
    return Finding(code, Severity.ERROR, message, "answer")
