"""What the screens of runs, learners and events ask for, and what they are given: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.changes import ChangesView
    from engine.store.deployments import DeploymentRow
    from engine.store.events import EventRow
    from engine.store.insights import InsightRow
    from engine.store.strategies import StrategyRow


@dataclass(frozen=True, slots=True)
class EventsQuery:
    """Which events to list.

    Attributes
    ----------
    level : this one and those more severe
    text : words that must be found
    before_id : the last events before this id, None for the newest
    after_id : the first events after this id, None otherwise
    limit : rows
    """

    level: str = "info"
    text: str = ""
    before_id: int | None = None
    after_id: int | None = None
    limit: int = 500


@dataclass(frozen=True, slots=True)
class EventsView:
    """One page of events.

    Attributes
    ----------
    rows : oldest first
    n_newer : events of the query that were told after the last row
    """

    query: EventsQuery
    rows: tuple[EventRow, ...]
    n_newer: int = 0


@dataclass(frozen=True, slots=True)
class RunsQuery:
    """Which evaluations to list, newest first.

    Attributes
    ----------
    failed_only : only those that failed
    text : the start of a strategy's id, a symbol, a segment or a cycle's number
    limit : rows
    """

    failed_only: bool = False
    text: str = ""
    limit: int = 500


@dataclass(frozen=True, slots=True)
class RunRow:
    """One evaluation of the ledger; metrics are nan when undefined or failed.

    Attributes
    ----------
    error : why it failed, empty when it did not
    metrics : by name
    """

    id: int
    strategy_id: str
    exchange: str
    symbol: str
    timeframe: str
    segment: str
    window_start_at: int
    window_end_at: int
    cycle_id: int
    seed: int
    series_hash: str
    engine_version: str
    status: str
    error: str
    created_at: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunsView:
    """One page of evaluations.

    Attributes
    ----------
    n_failed : how many of all recorded evaluations failed, None before they were counted
    """

    query: RunsQuery
    rows: tuple[RunRow, ...]
    n_failed: int | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """What had been learned by the end of one cycle.

    Attributes
    ----------
    best, median : fitness of the population, nan when it is empty
    """

    hash: str
    cycle_id: int | None
    created_at: int
    n_population: int
    best: float
    median: float
    n_patterns: int
    n_outcomes: int
    n_backtests: int


@dataclass(frozen=True, slots=True)
class Parent:
    """One member of the genetic pool."""

    strategy_id: str
    fitness: float
    standing: float
    generation: int
    cycle: int
    niche: str


@dataclass(frozen=True, slots=True)
class Weighed:
    """One remembered pattern, model arm or favoured option.

    Attributes
    ----------
    value : mean reward in [0, 1], or the weight of an option (1 is neutral)
    weight : evidence behind it, in outcomes that have decayed; nan for options
    """

    name: str
    value: float
    weight: float


@dataclass(frozen=True, slots=True)
class LearnersView:
    """What the learners know.

    Attributes
    ----------
    lessons : oldest first
    pool : best first, of the newest lesson
    patterns, arms, options : of the newest lesson, strongest first
    insights : of the newest cycle that has some
    problem : why the newest lesson could not be read, empty when it could
    """

    lessons: tuple[Lesson, ...] = ()
    pool: tuple[Parent, ...] = ()
    patterns: tuple[Weighed, ...] = ()
    arms: tuple[Weighed, ...] = ()
    options: tuple[Weighed, ...] = ()
    insights: tuple[InsightRow, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PagesWatch:
    """Which of these pages the visible screen wants."""

    events: EventsQuery | None = None
    runs: RunsQuery | None = None
    learners: bool = False
    deployments: bool = False
    changes: bool = False


@dataclass(frozen=True, slots=True)
class PagesView:
    """The pages that were asked for; None for the others.

    Attributes
    ----------
    deployed : strategies that trade on paper or live, or are paused
    versions : as Workers: those that are not over, and the newest of each strategy
    changes : of the last day
    """

    events: EventsView | None = None
    runs: RunsView | None = None
    learners: LearnersView | None = None
    deployed: tuple[StrategyRow, ...] | None = None
    versions: tuple[DeploymentRow, ...] = ()
    changes: ChangesView | None = None
