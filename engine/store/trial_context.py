"""What an evaluation depends on besides its strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class TrialContext:
    """Everything but the strategy that an evaluation depends on; ordered as the digest wants it.

    Attributes
    ----------
    series_hash : content hash of the bars
    window_start_at, window_end_at : UTC ms, first bar's open and last bar's close
    segment : fit, validation or holdout
    costs_hash : hash of commission, slippage, capital and market type
    engine_version : version of decisions, kernel and metrics
    """

    exchange: str
    symbol: str
    timeframe: str
    series_hash: str
    window_start_at: int
    window_end_at: int
    segment: str
    costs_hash: str
    engine_version: str


CONTEXT_COLUMNS = tuple(field.name for field in fields(TrialContext))


def context_of(mapping: Mapping[Any, Any]) -> TrialContext:
    """Return the context whose columns are in a row's mapping."""
    return TrialContext(*(mapping[name] for name in CONTEXT_COLUMNS))
