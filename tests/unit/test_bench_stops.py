"""When a price reached a stop, worked out from the exchange's own walk."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from bench.stops import SPEED, Sent, _late_ms
from engine.trade.instrument import Instrument
from engine.trade.simulated.price_feed import BarFeed
from engine.types import Bars

START_AT = 1_700_000_100_000 // 300_000 * 300_000
BTC = "BTC/USDT"


def falling() -> BarFeed:
    """Return a price that falls from 100 to 99 between the seconds 100 and 200 of a bar."""
    column = np.ones(1)
    bars = Bars(
        np.array([START_AT]), 100.0 * column, 100.0 * column, 99.0 * column, 99.0 * column, column
    )
    listed = Instrument(BTC, "perp", Decimal("0.001"), Decimal("0.001"))
    return BarFeed({BTC: bars}, "5m", {BTC: listed})


def late_ms(*sent: Sent) -> list[float]:
    """Return how late orders were that left at monotonic seconds which begin with the bar."""
    end_at = START_AT + 299_000
    return _late_ms(falling(), list(sent), lambda s: START_AT + s * 1000 * SPEED, START_AT, end_at)


def test_an_order_is_as_late_as_the_price_has_been_at_its_stop() -> None:
    sent_s = 180 / SPEED
    (late,) = late_ms(Sent(BTC, 99.5, START_AT + 1_000, sent_s))
    assert late == pytest.approx(30_000 / SPEED, abs=5.0)


def test_an_order_that_left_above_its_stop_is_none_of_these() -> None:
    assert late_ms(Sent(BTC, 98.0, START_AT + 1_000, 180 / SPEED)) == []


def test_a_position_opened_beyond_its_stop_is_late_from_its_opening() -> None:
    (late,) = late_ms(Sent(BTC, 99.9, START_AT + 150_000, 180 / SPEED))
    assert late == pytest.approx(30_000 / SPEED, abs=5.0)
