"""What tests of Workers share: the runtime where it is installed, small strategies, bundles."""

from __future__ import annotations

import pytest

from engine.deploy.bundle import Bundle, worker_bundle
from engine.deploy.instrument import Instrumented
from engine.deploy.workerd import workerd_path
from engine.errors import RuntimeUnavailable
from engine.strategy.javascript.source import parse_source

TOKEN = "a token for tests only, long enough"
HEAD = 'export const meta = { name: "tested", lookback: 3 };\n'


def need_workerd() -> None:
    """Skip where the Worker runtime is not installed, saying so."""
    try:
        workerd_path()
    except RuntimeUnavailable as exc:
        pytest.skip(exc.message)


def worker_of(body: str, version: str = "v1") -> Bundle:
    """Return the Worker of a strategy whose `decide` has this body."""
    source = f"{HEAD}export function decide(bars, state) {{\n{body}\n}}\n"
    return worker_bundle(parse_source(source), version)


def raw_worker(text: str) -> Bundle:
    """Return a module that nobody checked."""
    return Bundle(text, 1, Instrumented(text, ()))
