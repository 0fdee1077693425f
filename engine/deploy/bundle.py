"""One file of JavaScript from a strategy and what every strategy shares."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache, cached_property

from engine.deploy.instrument import Instrumented, instrumented, with_fuel
from engine.errors import StrategyError
from engine.strategy.javascript.allowed import CLOSED_GLOBALS, CLOSED_NAMES, TAKING, WALKING
from engine.strategy.javascript.contract import STATE_MAX_BYTES
from engine.strategy.javascript.library import library_names, library_text, worker_text
from engine.strategy.javascript.source import Source, parse_source

DECIDE_FUEL = 500_000
"""Units of fuel for one bar; a loop over 500 bars with a short body takes a few thousand."""

_NO_HASH = "0" * 64
_OWN_HASH = re.compile(r'^const \$\$BUNDLE = "([0-9a-f]{64})";$', re.MULTILINE)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# Names of a closed door cannot be those of parameters.
_NOT_PARAMETERS = frozenset({"eval", "arguments"})


@dataclass(frozen=True)
class Bundle:
    """A strategy ready to run.

    Attributes
    ----------
    text : the whole file
    strategy_line : line of `text` on which the strategy's first line stands, 1-based
    strategy : the guarded source inside it
    """

    text: str
    strategy_line: int
    strategy: Instrumented

    @cached_property
    def sha256(self) -> str:
        """Return the hash (hex) that names this bundle; its own, where written, counts as zeros."""
        written = _OWN_HASH.search(self.text)
        text = self.text if written is None else self.text.replace(written[1], _NO_HASH)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def n_bytes(self) -> int:
        """Return its size."""
        return len(self.text.encode())

    def source_offset(self, line: int, column: int) -> int | None:
        """Return the offset in the source of a place in `text`, None outside the strategy."""
        own = line - self.strategy_line + 1
        if not 1 <= own <= self.strategy.text.count("\n") + 1:
            return None
        return self.strategy.source_offset(own, column)


def bundled(source: Source, shell: str) -> Bundle:
    """Return a strategy between the guards and a shell that calls it.

    Parameters
    ----------
    source : without findings of `engine.validate.syntax`
    shell : JavaScript that uses `$$strategy()`, which returns {meta, decide}
    """
    return assembled(instrumented(source), shell)


def worker_bundle(source: Source, version: str) -> Bundle:
    """Return the one file of a Worker: the same on workerd and on Cloudflare.

    Parameters
    ----------
    source : without findings of `engine.validate.syntax`
    version : what this deployment calls it; the Worker says it in every answer, with the hash of
        its own text (`bundle`), in which that hash is written as zeros

    Raises
    ------
    StrategyError : a version that is no plain word.
    """
    if not _VERSION.fullmatch(version):
        raise StrategyError(
            f"version {version!r} is no plain word: use letters, digits, dots and dashes",
            version=version,
        )
    constants = f'const $$VERSION = "{version}";\nconst $$BUNDLE = "{_NO_HASH}";\n'
    blank = bundled(source, constants + worker_text("worker.js"))
    text = blank.text.replace(_NO_HASH, blank.sha256)
    return Bundle(text, blank.strategy_line, blank.strategy)


def assembled(strategy: Instrumented, shell: str) -> Bundle:
    """Return a guarded source between the guards and a shell."""
    opening = "\n".join((_shared(), _door(), ""))
    closing = "\n".join(("", "return { meta, decide };", "})();", "};", shell))
    return Bundle(opening + strategy.text + closing, opening.count("\n") + 1, strategy)


@cache
def _shared() -> str:
    """Return what stands before every strategy."""
    closed = sorted({*CLOSED_NAMES, *WALKING, *TAKING})
    return "\n".join(
        (
            '"use strict";',
            f"const $$CLOSED = {json.dumps(closed)};",
            f"const $$STATE_MAX = {STATE_MAX_BYTES};",
            f"const $$FUEL = {DECIDE_FUEL};",
            worker_text("guard.js"),
            worker_text("answer.js"),
            "const $$library = (() => {",
            with_fuel(parse_source(library_text())),
            f"const all = {{ {', '.join(library_names())} }};",
            "for (const name of Object.keys(all)) Object.freeze(all[name]);",
            "return Object.freeze(all);",
            "})();",
        )
    )


@cache
def _door() -> str:
    """Return the function around a strategy: open names are ours, closed ones are undefined."""
    closed = sorted(name for name in CLOSED_GLOBALS if name not in _NOT_PARAMETERS)
    return "\n".join(
        (
            "const $$strategy = () => {",
            "const { Math, Object, Array, String, Map, Set, Float64Array, Float32Array } = $$OPEN;",
            "const { Int32Array, Uint32Array, Int16Array, Uint16Array } = $$OPEN;",
            "const { Int8Array, Uint8Array, Error, TypeError, RangeError } = $$OPEN;",
            f"let {', '.join(closed)};",
            "return (() => {",
        )
    )
