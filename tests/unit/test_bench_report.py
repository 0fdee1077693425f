from __future__ import annotations

import json

import numpy as np
import pytest

from bench.report import COMPARED, agreement, line, rounded

ROW = [0.1, 2.0, 0.05, 0.4, 1.3, 12.0]


def rows(*changes: tuple[str, float]) -> np.ndarray:
    found = np.array([ROW, ROW], dtype=np.float64)
    for name, value in changes:
        found[1, COMPARED.index(name)] = value
    return found


def test_equal_results_agree() -> None:
    found = agreement(rows(), rows())
    assert found.is_equal
    assert found.mismatched_trades == 0
    assert set(found.differences) == set(COMPARED)


def test_one_trade_more_is_a_mismatch() -> None:
    found = agreement(rows(), rows(("n_trades", 13.0)))
    assert found.mismatched_trades == 1
    assert not found.is_equal


def test_a_return_off_by_more_than_a_billionth_is_unequal() -> None:
    assert agreement(rows(), rows(("total_return", 0.1 + 5e-10))).is_equal
    found = agreement(rows(), rows(("total_return", 0.1 + 5e-9)))
    assert not found.is_equal
    assert found.mismatched_trades == 0


def test_both_undefined_is_equal_and_one_undefined_is_not() -> None:
    undefined, infinite = rows(("profit_factor", np.nan)), rows(("profit_factor", np.inf))
    assert agreement(undefined, infinite).is_equal
    assert not agreement(rows(), undefined).is_equal


def test_results_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 6\) and \(1, 6\)"):
        agreement(rows(), rows()[:1])


def test_a_line_is_one_json_object_without_nan() -> None:
    text = line(
        "W9", seconds=1.23456789, trades=np.int64(4), broken=float("nan"), deep={"a": [1.0]}
    )
    assert "\n" not in text
    assert json.loads(text) == {
        "workload": "W9",
        "seconds": 1.2346,
        "trades": 4,
        "broken": None,
        "deep": {"a": [1.0]},
    }


def test_rounding_keeps_whole_numbers_whole() -> None:
    assert rounded(25_920) == 25_920
    assert rounded(np.float64(123_456.7)) == 123_460.0
