"""What the console knows at one instant: frozen values, built off the screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from console.drill_record import DrillRecord
from console.runtime_process import RuntimeView
from engine.risk.latch import LatchReading
from engine.trade.accounts import PAPER

if TYPE_CHECKING:
    from console.pages import PagesView
    from console.strategy_facts import StrategyFacts
    from console.trading_view import TradingView
    from engine.store.accounts import AccountRow
    from engine.store.commands import CommandRow
    from engine.store.curves import StoredCurve
    from engine.store.cycles import CycleRow, StageRow
    from engine.store.events import EventRow
    from engine.store.heartbeats import HeartbeatRow
    from engine.store.strategies import LineageRow, StrategyRow
    from engine.store.verdicts import VerdictRow

FRESH_POLLS = 3


@dataclass(frozen=True, slots=True)
class LeaderboardQuery:
    """Which strategies to list.

    Attributes
    ----------
    sort : str, one of `engine.store.strategies.SORTS`
    descending : bool
    text : str, words that must be found
    limit : int, rows
    """

    sort: str = "fitness"
    descending: bool = True
    text: str = ""
    limit: int = 500


@dataclass(frozen=True, slots=True)
class FitScore:
    """A strategy's means over symbols on the fit segment, nan when undefined."""

    fitness: float
    sharpe: float


@dataclass(frozen=True, slots=True)
class LeaderboardView:
    """One page of strategies; `total` is how many match on all pages."""

    query: LeaderboardQuery
    rows: tuple[StrategyRow, ...]
    fit: Mapping[str, FitScore]
    total: int


@dataclass(frozen=True, slots=True)
class EvaluationView:
    """The metrics of one strategy on one symbol and segment.

    Attributes
    ----------
    metrics : mapping of metric name to value, nan when undefined; empty when it failed
    error : str, why it failed, empty when it did not
    """

    symbol: str
    segment: str
    exchange: str
    timeframe: str
    window_start_at: int
    window_end_at: int
    metrics: Mapping[str, float]
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class StrategyView:
    """Everything about one strategy.

    Attributes
    ----------
    history : its changes of status, oldest first
    verdicts : what the gates said of it, newest first
    facts : trades, bands, versions, parents; None where only the numbers were asked for
    """

    row: StrategyRow
    genome: str
    evaluations: tuple[EvaluationView, ...]
    lineage: tuple[LineageRow, ...]
    curves: tuple[StoredCurve, ...]
    history: tuple[EventRow, ...]
    verdicts: tuple[VerdictRow, ...] = ()
    facts: StrategyFacts | None = None


@dataclass(frozen=True, slots=True)
class ControlsView:
    """The negative controls of one cycle.

    Attributes
    ----------
    counts : candidates, screened, passed and passed_naive by control
    is_suspicious : whether more of them passed than chance allows
    """

    cycle_id: int
    counts: Mapping[str, Mapping[str, int]]
    is_suspicious: bool


@dataclass(frozen=True, slots=True)
class StoreView:
    """What the store held when it was last read.

    Attributes
    ----------
    read_at : int, UTC ms
    cycle : the cycle that is worked on, else the newest, None before the first
    best_fitness : (cycle id, best mean validation fitness) of recent cycles, oldest first
    controls : of the newest cycle that has ended with some, None before
    busy : share of the last seconds each backtester computed, by its name
    statuses : number of strategies by status
    trading : accounts, orders, positions, alerts; None before it was read
    pages : of runs, learners, events, deployments; None before they were read
    """

    read_at: int
    cycle: CycleRow | None = None
    stages: tuple[StageRow, ...] = ()
    recent_cycles: tuple[CycleRow, ...] = ()
    best_fitness: tuple[tuple[int, float], ...] = ()
    controls: ControlsView | None = None
    heartbeats: tuple[HeartbeatRow, ...] = ()
    busy: Mapping[str, float] = field(default_factory=dict)
    events: tuple[EventRow, ...] = ()
    commands: tuple[CommandRow, ...] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)
    trials_total: int | None = None
    leaderboard: LeaderboardView | None = None
    strategy: StrategyView | None = None
    trading: TradingView | None = None
    pages: PagesView | None = None

    @property
    def is_cycle_unfinished(self) -> bool:
        """Return whether the newest cycle is running or paused."""
        return self.cycle is not None and self.cycle.status in ("running", "paused")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it.

    Attributes
    ----------
    taken_at : int, UTC ms
    account : str, whose trading is shown
    latch : of that account
    latches : of every account, by name
    read_only : why this console only looks, empty when it may act
    drill : the last test of the kill switch, None before the first
    store : StoreView, the last one that could be read; None when there is no database yet
    problem : str, why the store could not be read this time, empty when it could
    market_label, edge : str, where the bars of that cycle come from (before the first: of the next)
    """

    taken_at: int
    latch: LatchReading
    runtime: RuntimeView
    store: StoreView | None
    problem: str
    market_label: str
    edge: str
    account: str = PAPER
    latches: Mapping[str, LatchReading] = field(default_factory=dict)
    drill: DrillRecord | None = None
    read_only: str = ""

    @property
    def trading(self) -> TradingView | None:
        """Return what is known of trading, None before it was read."""
        return None if self.store is None else self.store.trading

    @property
    def account_row(self) -> AccountRow | None:
        """Return the account that is shown as its gateway told it last, None before."""
        return None if self.trading is None else self.trading.account

    def is_stale(self, poll_s: float) -> bool:
        """Return whether what the store held is older than three polls."""
        return self.store is not None and (
            self.taken_at - self.store.read_at > FRESH_POLLS * poll_s * 1000
        )
