"""What a strategy's own screen is given beside its row, its metrics and its curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.store.deployments import DeploymentRow
    from engine.store.events import EventRow
    from engine.store.paper_trades import PaperTrade


@dataclass(frozen=True, slots=True, eq=False)
class BandView:
    """Where the equity of a segment, or of an account, was expected to run.

    Attributes
    ----------
    name : validation, holdout or the account's name
    start_at, end_at : UTC ms
    low, middle, high : ndarray of shape (n_days + 1,), multiples of the capital at the start
    n_known : days of the fit segment that it was drawn from
    """

    symbol: str
    name: str
    start_at: int
    end_at: int
    low: npt.NDArray[np.float32]
    middle: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    n_known: int


@dataclass(frozen=True, slots=True, eq=False)
class TradedView:
    """What it made in one account on one symbol, by its closed trades.

    Attributes
    ----------
    equity : ndarray of shape (n_days + 1,), multiples of the capital at the start
    start_at, end_at : UTC ms
    capital_quote : what the trades are measured by
    """

    account: str
    symbol: str
    equity: npt.NDArray[np.float32]
    start_at: int
    end_at: int
    capital_quote: float


@dataclass(frozen=True, slots=True)
class StrategyFacts:
    """The rest that is known of a strategy.

    Attributes
    ----------
    parents : genomes by id, those of its parents that are stored
    versions : deployed versions, oldest first
    told : what was told of its deployments, oldest first
    trades : closed trades of accounts, oldest first
    """

    parents: Mapping[str, str] = field(default_factory=dict)
    versions: tuple[DeploymentRow, ...] = ()
    told: tuple[EventRow, ...] = ()
    trades: tuple[PaperTrade, ...] = ()
    traded: tuple[TradedView, ...] = ()
    bands: tuple[BandView, ...] = ()
