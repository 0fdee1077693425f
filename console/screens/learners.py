"""Screen 4: what was learned, from which cycles, and what it draws the next strategies from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from console.bindings import Place, bindings_of
from console.block_chart import block_rows
from console.format import age, number, percent, short, short_id, signed
from console.pages import LearnersView, Lesson, PagesWatch, Parent, Weighed
from console.poller import Watch
from console.row_order import RowOrder
from console.screens.tables import TablesScreen
from console.snapshot import Snapshot
from console.states import state_style
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from console.widgets.panel import Panel
from console.widgets.titles import entitle

_LEARNERS = (
    LiveColumn("name", "learner", 20),
    LiveColumn("state", "state", 9),
    LiveColumn("holds", "holds", 24, takes_rest=True),
    LiveColumn("from", "learned from", 28, min_screen=110),
    LiveColumn("best", "best", 7, is_number=True, min_screen=90),
    LiveColumn("age", "age", 6, is_number=True),
)
_LISTS = ("pool", "patterns", "options", "insights", "models")
_COLUMNS = (
    LiveColumn("rank", "#", 4, is_number=True),
    LiveColumn("name", "", 30, takes_rest=True),
    LiveColumn("value", "value", 10, is_number=True),
    LiveColumn("more", "evidence", 20, is_number=True),
)
_ABSENT = (
    ("price predictor", "nothing: not in this version"),
    ("trading agent", "nothing: not in this version"),
)
_NOTHING = (
    "Nothing was learned yet: {cycle.start} on screen 1 starts a cycle, which ends by learning."
)
_EMPTY = {
    "pool": "The pool is empty: strategies with a defined fitness on validation enter it.",
    "patterns": "No pattern is remembered yet.",
    "options": "Nothing is favoured: no insight has survived the correction yet.",
    "insights": "The newest cycle gave no insight: 40 outcomes are the least.",
    "models": "No language model was ever asked: `paddock evolve` and [language_model] do.",
}
_TITLES = {
    "pool": "Genetic pool (parents of the next cycle)",
    "patterns": "Pattern memory (mean rank of strategies that have it, 0.5 is chance)",
    "options": "Favoured options (weight in the next drawing, 1 is neutral)",
    "insights": "Statistics of the newest cycle (false discovery rate 5%)",
    "models": "Prompts and models (mean reward)",
}


# What each list is sorted by; the first is how its rows come.
_KEYS: Mapping[str, Mapping[str, Any]] = {
    "pool": {
        "standing": None,
        "fitness": lambda member: member.fitness,
        "generation": lambda member: member.generation,
        "cycle": lambda member: member.cycle,
        "niche": lambda member: member.niche,
    },
    "insights": {
        "sureness": None,
        "value": lambda row: row.value,
        "p": lambda row: row.p_value,
        "subject": lambda row: row.subject,
    },
    "options": {"weight": None, "name": lambda row: row.name},
    "patterns": {"value": None, "evidence": lambda row: row.weight, "name": lambda row: row.name},
    "models": {"value": None, "evidence": lambda row: row.weight, "name": lambda row: row.name},
}


class LearnersScreen(TablesScreen):
    """The learners there are, their curves over cycles, and what they hold."""

    PLACE = Place.LEARNERS
    NAME = "Learners"
    AUTO_FOCUS = "#held"
    BINDINGS = bindings_of(Place.LEARNERS, "screen")
    # Textual declares it so; it is never changed.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012

    DEFAULT_CSS = """
    LearnersScreen #learners { height: 9; }
    LearnersScreen #curves { height: 9; }
    LearnersScreen #curves Panel { width: 1fr; height: 1fr; }
    LearnersScreen #held { height: 1fr; }
    LearnersScreen.-narrow #curves { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._list = _LISTS[0]
        self._ids: dict[str, str] = {}
        self.row_orders = {name: RowOrder(_KEYS[name]) for name in _LISTS}

    def body(self) -> ComposeResult:
        """Yield the learners, their curves and what they hold."""
        yield LiveTable(_LEARNERS, "learners")
        with Horizontal(id="curves"):
            yield Panel("Best fitness of the pool by cycle", "best", wraps=False)
            yield Panel("Median fitness of the pool by cycle", "median", wraps=False)
        yield LiveTable(_COLUMNS, "held")

    def focus_body(self) -> None:
        """Give the keys to the list of what is held."""
        self.set_focus(self.query_one("#held"))

    def crumbs(self) -> str:
        """Return which list is shown, and how it is sorted."""
        order = self.row_orders[self._list]
        sort = "" if order.is_usual else f" {order.words}"
        steps = "{lesson.previous} {lesson.next}"
        return f"learners › {self._list}{sort} · {steps} {' '.join(_LISTS)}"

    def row_order(self) -> RowOrder[Any] | None:
        """Return the order of the list; the learners keep their places."""
        return self.row_orders[self._list] if self.table.id == "held" else None

    def watch_for(self) -> Watch:
        """Return that this is wanted."""
        return Watch(pages=PagesWatch(learners=True))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """Show what is known."""
        view = self._view()
        colours = self.app.theme_variables
        learners = self.query_one("#learners", LiveTable)
        entitle(learners, title="Learners", foot="" if view is None else view.problem)
        rows = learner_rows(view, _is_learning(snapshot), now_at, colours)
        learners.show_rows(tuple(rows), lambda key: rows[key])
        lessons = () if view is None else view.lessons
        for name in ("best", "median"):
            panel = self.query_one(f"#{name}", Panel)
            panel.show(
                curve_content(lessons, name, panel.text_width, max(1, panel.size.height)),
                title=f"{name.capitalize()} fitness of the pool by cycle",
            )
        self._show_held(snapshot, view, colours)

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Open the strategy under the cursor."""
        event.stop()
        if strategy_id := self._ids.get(event.key):
            self.console.open_strategy(strategy_id)
        else:
            self.console.say(
                "enter opens strategies of the pool: {lesson.previous} {lesson.next} goes there",
                "warn",
            )

    def action_lesson_next(self) -> None:
        """Show the next list."""
        self._step(1)

    def action_lesson_previous(self) -> None:
        """Show the previous list."""
        self._step(-1)

    def action_id_copy(self) -> None:
        """Copy the id of the strategy under the cursor."""
        key = self.query_one("#held", LiveTable).selected_key or ""
        self.console.copy_id(self._ids.get(key))

    def _step(self, step: int) -> None:
        self._list = _LISTS[(_LISTS.index(self._list) + step) % len(_LISTS)]
        self.refresh_all()

    def _show_held(
        self, snapshot: Snapshot, view: LearnersView | None, colours: dict[str, str]
    ) -> None:
        table = self.query_one("#held", LiveTable)
        entitle(table, title=_TITLES[self._list])
        has_lessons = view is not None and bool(view.lessons)
        table.say_when_empty(snapshot.problem or (_EMPTY[self._list] if has_lessons else _NOTHING))
        rows, self._ids = held_rows(view, self._list, self.row_orders[self._list], colours)
        table.show_rows(tuple(rows), lambda key: rows[key])
        entitle(table, foot=f"{len(rows):,} rows" if rows else "")

    def _view(self) -> LearnersView | None:
        snapshot = self.console.snapshot
        store = None if snapshot is None else snapshot.store
        return None if store is None or store.pages is None else store.pages.learners


def learner_rows(
    view: LearnersView | None, is_learning: bool, now_at: int, colours: dict[str, str]
) -> dict[str, Row]:
    """Return a row for every learner, also for those that this version does not have."""
    lesson = view.lessons[-1] if view is not None and view.lessons else None
    busy = state_style("busy" if is_learning else "idle")
    state = LiveCell(f"{busy.glyph} {'learning' if is_learning else 'idle'}", colours[busy.colour])
    aged = LiveCell(age(None if lesson is None else lesson.created_at, now_at), colours["muted"])
    learned = "" if lesson is None else f"{lesson.n_outcomes:,} outcomes"
    tested = "" if lesson is None else f"{short(lesson.n_backtests)} backtests, all cycles"
    n_insights = 0 if view is None else len(view.insights)
    sure = 0 if view is None else sum(1 for row in view.insights if row.payload.get(_SURE))
    n_arms = 0 if view is None else len(view.arms)
    best = LiveCell(number(None if lesson is None else lesson.best))
    rows: dict[str, Row] = {
        "pool": {
            "name": LiveCell("genetic pool"),
            "state": state,
            "holds": LiveCell(f"{0 if lesson is None else lesson.n_population:,} parents"),
            "from": LiveCell(learned),
            "best": best,
            "age": aged,
        },
        "patterns": {
            "name": LiveCell("pattern memory"),
            "state": state,
            "holds": LiveCell(f"{0 if lesson is None else lesson.n_patterns:,} patterns"),
            "from": LiveCell(tested),
            "age": aged,
        },
        "statistics": {
            "name": LiveCell("statistics"),
            "state": state,
            "holds": LiveCell(f"{n_insights:,} insights, {sure:,} sure"),
            "from": LiveCell("the newest cycle that has some"),
            "age": aged,
        },
        "models": {
            "name": LiveCell("prompts and models"),
            "state": state,
            "holds": LiveCell(f"{n_arms:,} ways to ask"),
            "from": LiveCell("strategies that models wrote"),
            "age": aged,
        },
    }
    absent = state_style("down")
    for name, words in _ABSENT:
        rows[name] = {
            "name": LiveCell(name, colours["muted"]),
            "state": LiveCell(f"{absent.glyph} absent", colours[absent.colour]),
            "holds": LiveCell(words, colours["muted"]),
        }
    return rows


_SURE = "is_significant"


def held_rows(
    view: LearnersView | None, name: str, order: RowOrder[Any], colours: dict[str, str]
) -> tuple[dict[str, Row], dict[str, str]]:
    """Return the rows of one list in order, and the strategy of each row that has one."""
    if view is None:
        return {}, {}
    if name == "pool":
        pool = {f"pool-{m.strategy_id}": (i, m) for i, m in _ranked(view.pool, order)}
        rows = {key: _pool_row(i, member) for key, (i, member) in pool.items()}
        return rows, {key: member.strategy_id for key, (_, member) in pool.items()}
    if name == "insights":
        found = sorted(view.insights, key=lambda row: not row.payload.get(_SURE))
        return {
            f"insight-{row.id}": {
                "rank": LiveCell(str(place)),
                "name": LiveCell(
                    f"{row.kind} of {row.subject}",
                    "" if row.payload.get(_SURE) else colours["muted"],
                ),
                "value": LiveCell(signed(row.value)),
                "more": LiveCell(_sureness(row.p_value, row.payload.get("q_value"))),
            }
            for place, row in _ranked(found, order)
        }, {}
    weighed = {"patterns": view.patterns, "options": view.options, "models": view.arms}[name]
    return {f"{name}-{row.name}": _weighed_row(i, row) for i, row in _ranked(weighed, order)}, {}


def _ranked(rows: Sequence[Any], order: RowOrder[Any]) -> list[tuple[int, Any]]:
    """Return the rows in order, each with the place that it came at, which is its rank."""
    places = {id(row): place for place, row in enumerate(rows, start=1)}
    return [(places[id(row)], row) for row in order.applied(rows)]


def curve_content(lessons: tuple[Lesson, ...], name: str, width: int, height: int) -> Content:
    """Return one number of the pool over cycles, with its last value."""
    values = [getattr(lesson, name) for lesson in lessons]
    defined = [value for value in values if math.isfinite(value)]
    if not defined:
        return Content.styled("none yet", "$muted")
    change = f" ({signed(defined[-1] - defined[-2])})" if len(defined) > 1 else ""
    last = Content.assemble(
        (number(defined[-1]), "bold"),
        change,
        (f"  {len(defined)} cycles, from {number(defined[0])}", "$muted"),
    )
    rows = block_rows(defined[-width:], width, height - 1)
    return Content("\n").join([last, *(Content.styled(row, "$primary") for row in rows)])


def _pool_row(place: int, member: Parent) -> Row:
    return {
        "rank": LiveCell(str(place)),
        "name": LiveCell(
            f"{short_id(member.strategy_id)}  born in generation {member.generation}, joined in "
            f"cycle {member.cycle}  niche {member.niche}"
        ),
        "value": LiveCell(number(member.fitness)),
        "more": LiveCell(f"ranked by {number(member.standing)}"),
    }


def _weighed_row(place: int, row: Weighed) -> Row:
    evidence = "" if math.isnan(row.weight) else f"{number(row.weight, 1)} outcomes"
    return {
        "rank": LiveCell(str(place)),
        "name": LiveCell(row.name),
        "value": LiveCell(number(row.value, 3)),
        "more": LiveCell(evidence),
    }


def _sureness(p_value: float, q_value: object) -> str:
    words = f"p {number(p_value, 4)}"
    return f"{words}, FDR {percent(float(q_value))}" if isinstance(q_value, float) else words


def _is_learning(snapshot: Snapshot) -> bool:
    beats = () if snapshot.store is None else snapshot.store.heartbeats
    return any(beat.kind == "learner" and beat.state == "busy" for beat in beats)
