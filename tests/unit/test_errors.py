from __future__ import annotations

import inspect
import pickle
import re

import pytest

from engine import errors
from engine.errors import PaddockError, VenueError

TREE: list[type[PaddockError]] = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, PaddockError)
]


def drawn_tree() -> dict[str, str]:
    """Return child -> parent as the module's docstring draws it."""
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"( +)([A-Z]\w+)( {2,}.*)?$", line)
        if not found:
            continue
        depth, name = len(found[1]), found[2]
        while stack and stack[-1][0] >= depth:
            stack.pop()
        parents[name] = stack[-1][1] if stack else "Exception"
        stack.append((depth, name))
    return parents


def test_the_docstring_draws_exactly_the_tree_that_exists() -> None:
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in TREE}
    assert drawn_tree() == real


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_an_error_keeps_message_code_and_fields(kind: type[PaddockError]) -> None:
    error = kind("bars missing", symbol="BTC/USDT", line=3)
    assert str(error) == error.message == "bars missing"
    assert error.fields == {"symbol": "BTC/USDT", "line": 3}


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_an_error_crosses_processes_whole(kind: type[PaddockError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("bars missing", symbol="BTC/USDT")))
    assert type(copy) is kind
    assert (copy.message, copy.fields) == ("bars missing", {"symbol": "BTC/USDT"})


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in TREE]
    assert len(set(codes)) == len(codes)


def test_a_code_extends_the_code_of_its_parent() -> None:
    for kind in TREE:
        parent = kind.__bases__[0]
        if parent is not PaddockError and issubclass(parent, PaddockError):
            assert kind.code.startswith(f"{parent.code}."), kind.__name__


def test_an_unknown_order_is_not_mistaken_for_something_to_retry() -> None:
    assert issubclass(errors.OrderStateUnknown, VenueError)
    assert not issubclass(errors.OrderStateUnknown, errors.VenueUnavailable)
