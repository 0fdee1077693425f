"""What is counted of a version while it decides: requests, latency, agreement with the engine."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

WINDOW_S = 300.0
LEAST_KEPT = 20
"""Requests that count however long ago they were: on long bars few are made in five minutes."""


@dataclass(frozen=True, slots=True)
class VersionReport:
    """How a version does in the account that it decides for.

    Attributes
    ----------
    state, share_frac : as the trader knows it
    n_requests, n_failed, n_latencies, latency_ms : of five minutes, or of the last twenty; the
        latency is of the slowest hundredth, nan without any
    n_compared, n_compared_step : decisions that the engine made as well, ever and at this share
    n_differing, difference : of them, not the engine's; the first in words
    pnl_quote, capital_quote : of its positions, and of the deployment
    is_holding : it has a position or an order
    problem : why it failed last, empty while it does not
    """

    strategy_id: str
    version: int
    state: str
    share_frac: float
    n_requests: int
    n_failed: int
    n_latencies: int
    latency_ms: float
    n_compared: int
    n_compared_step: int
    n_differing: int
    difference: str
    pnl_quote: float
    capital_quote: float
    is_holding: bool
    problem: str


class VersionWatch:
    """Count what one version does.

    Attributes
    ----------
    n_compared, n_compared_step, n_differing, difference : see `VersionReport`
    problem : why it failed last, empty after an answer
    """

    def __init__(self) -> None:
        self.n_compared = 0
        self.n_compared_step = 0
        self.n_differing = 0
        self.difference = ""
        self.problem = ""
        self._requests: deque[tuple[float, bool]] = deque()
        self._latencies: deque[tuple[float, float]] = deque()

    def answered(self, now_s: float, latency_ms: float | None) -> None:
        """Count an answer; its latency, where somebody waited for it."""
        self.problem = ""
        self._requests.append((now_s, True))
        if latency_ms is not None:
            self._latencies.append((now_s, latency_ms))

    def failed(self, now_s: float, words: str) -> None:
        """Count a request that came back without an answer, or not in time."""
        self.problem = words
        self._requests.append((now_s, False))

    def unreached(self, words: str) -> None:
        """Note that nobody was there: silence, and no request."""
        self.problem = words

    def compared(self, difference: str) -> None:
        """Count a decision that the engine made as well; empty words where they agree."""
        self.n_compared += 1
        self.n_compared_step += not difference
        self.n_differing += bool(difference)
        self.difference = self.difference or difference

    def requests(self, now_s: float) -> tuple[int, int]:
        """Return requests of five minutes, and how many of them failed."""
        while len(self._requests) > LEAST_KEPT and self._requests[0][0] < now_s - WINDOW_S:
            self._requests.popleft()
        return len(self._requests), sum(not is_good for _, is_good in self._requests)

    def latency(self, now_s: float) -> tuple[int, float]:
        """Return answers of five minutes, and the latency of the slowest hundredth, ms."""
        while len(self._latencies) > LEAST_KEPT and self._latencies[0][0] < now_s - WINDOW_S:
            self._latencies.popleft()
        if not self._latencies:
            return 0, math.nan
        values = [latency_ms for _, latency_ms in self._latencies]
        # The lower neighbour: one slow answer of a few is no hundredth.
        return len(values), float(np.quantile(values, 0.99, method="lower"))
