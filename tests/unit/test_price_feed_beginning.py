"""Bars asked for from before the market began."""

from __future__ import annotations

import numpy as np

from engine.trade.simulated.price_feed import BarFeed
from engine.types import Bars
from tests.venues.simulated_desk import BTC, instrument

BEGAN_AT = 1_700_000_100_000 // 3_600_000 * 3_600_000
DAY_MS = 86_400_000


async def test_a_question_from_before_the_beginning_is_answered_from_there() -> None:
    n = 48
    close = np.full(n, 100.0)
    stamps = BEGAN_AT + 300_000 * np.arange(n, dtype=np.int64)
    bars = Bars(stamps, close, close, close, close, np.ones(n))
    feed = BarFeed({BTC: bars}, "5m", {BTC: instrument()})
    long_before_at = BEGAN_AT - 365 * DAY_MS
    end_at = BEGAN_AT + n * 300_000
    rows = await feed.klines(BTC, "1h", long_before_at, end_at, 1000)
    assert [row.open_at for row in rows] == [BEGAN_AT + i * 3_600_000 for i in range(4)]
