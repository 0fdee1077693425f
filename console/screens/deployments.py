"""Screen 6: what trades now, where, and since when."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content

from console.bindings import Place, bindings_of
from console.format import age, bar, drawdown, number, percent, short_id
from console.money import quote, signed_quote
from console.pages import PagesWatch
from console.poller import Watch
from console.screens.tables import TablesScreen
from console.snapshot import Snapshot
from console.states import state_style
from console.trading_view import TradingView
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from console.widgets.panel import Panel

if TYPE_CHECKING:
    from engine.store.deployments import DeploymentRow
    from engine.store.heartbeats import HeartbeatRow
    from engine.store.strategies import StrategyRow

# Of engine.deploy.rollout, whose import a picture does not need.
_STEPS_FRAC = (0.05, 0.25, 0.50, 1.0)
_COLUMNS = (
    LiveColumn("strategy", "strategy", 8),
    LiveColumn("type", "type", 16, min_screen=90),
    LiveColumn("mode", "mode", 9),
    LiveColumn("bars", "bars", 4),
    LiveColumn("fitness", "val fitness", 11, is_number=True, min_screen=100),
    LiveColumn("sharpe", "val Sharpe", 10, is_number=True, min_screen=110),
    LiveColumn("drawdown", "val DD", 6, is_number=True, min_screen=120),
    LiveColumn("held", "positions", 9, is_number=True),
    LiveColumn("notional", "exposure", 12, is_number=True),
    LiveColumn("pnl", "open PnL", 10, is_number=True),
)
_VERSIONS = (
    LiveColumn("strategy", "strategy", 8),
    LiveColumn("version", "ver", 3, is_number=True),
    LiveColumn("account", "account", 7, min_screen=100),
    LiveColumn("target", "target", 10, min_screen=100),
    LiveColumn("share", "rollout", 12),
    LiveColumn("state", "state", 13),
    LiveColumn("reason", "why", 16, takes_rest=True),
    LiveColumn("age", "since", 6, is_number=True),
)
_NOTHING = "Nothing trades: + on screen 2 promotes a strategy to paper."
_NO_VERSION = "No strategy was ever deployed as a Worker; what trades is below."


class DeploymentsScreen(TablesScreen):
    """The strategies that trade on paper or with real money, and the process that runs them."""

    PLACE = Place.DEPLOYMENTS
    NAME = "Deploy"
    AUTO_FOCUS = "#versions"
    BINDINGS = bindings_of(Place.DEPLOYMENTS, "screen")
    # Textual declares it so; it is never changed.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012

    DEFAULT_CSS = """
    DeploymentsScreen #versions { height: 1fr; }
    DeploymentsScreen #list { height: 1fr; }
    DeploymentsScreen #where { height: 8; }
    DeploymentsScreen.-narrow #where { height: 6; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, StrategyRow] = {}
        self._versions: dict[str, DeploymentRow] = {}

    def body(self) -> ComposeResult:
        """Yield the versions that were deployed, what trades, and where."""
        yield LiveTable(_VERSIONS, "versions")
        yield LiveTable(_COLUMNS, "list")
        yield Panel("Where it runs", "where")

    def crumbs(self) -> str:
        """Return how many trade, by mode."""
        counts = [
            f"{mode} {sum(1 for row in self._rows.values() if row.status == mode)}"
            for mode in ("live", "paper", "paused")
        ]
        return f"deployments · {' · '.join(counts)}"

    def watch_for(self) -> Watch:
        """Return that this is wanted."""
        return Watch(pages=PagesWatch(deployments=True))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """List what trades."""
        table = self.query_one("#list", LiveTable)
        versions = self.query_one("#versions", LiveTable)
        versions.border_title = "Versions as Workers"
        versions.say_when_empty(snapshot.problem or _NO_VERSION)
        table.border_title = "Strategies that trade"
        table.say_when_empty(snapshot.problem or _NOTHING)
        store = snapshot.store
        pages = None if store is None else store.pages
        if pages is not None and pages.deployed is not None:
            self._rows = {row.id: row for row in pages.deployed}
            self._versions = {_version_key(row): row for row in pages.versions}
        colours, view, rows = self.app.theme_variables, snapshot.trading, self._rows
        table.show_rows(tuple(rows), lambda key: deployment_cells(rows[key], view, colours))
        deployed = self._versions
        versions.show_rows(
            tuple(deployed), lambda key: version_cells(deployed[key], now_at, colours)
        )
        stale = self.console.is_stale(now_at) and store is not None
        table.border_subtitle = (
            f"▲ {age(store.read_at, now_at)} old" if stale and store is not None else ""
        )
        self._show_where()

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Show the version under the cursor."""
        event.stop()
        self._show_where()

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Open the strategy under the cursor."""
        event.stop()
        self.console.open_strategy(self._strategy_id() or event.key)

    def action_id_copy(self) -> None:
        """Copy the id of the strategy under the cursor."""
        self.console.copy_id(self._strategy_id())

    def action_strategy_promote(self) -> None:
        """Promote the strategy under the cursor, after a question."""
        if (row := self._row()) is not None:
            self.console.desk.promote(row)

    def action_strategy_pause(self) -> None:
        """Pause the strategy under the cursor, or resume it, after a yes."""
        if (row := self._row()) is not None:
            self.console.desk.pause_or_resume(row)

    def action_strategy_retire(self) -> None:
        """Retire the strategy under the cursor, after a yes."""
        if (row := self._row()) is not None:
            self.console.desk.retire(row)

    def _strategy_id(self) -> str | None:
        key = self.table.selected_key
        version = self._versions.get(key or "")
        return key if version is None else version.strategy_id

    def _show_where(self) -> None:
        snapshot = self.console.snapshot
        if snapshot is None:
            return
        panel = self.query_one("#where", Panel)
        now_at = self.console.clock.now_at()
        version = self._versions.get(self.query_one("#versions", LiveTable).selected_key or "")
        if version is not None and self.table.id == "versions":
            title = f"Version {version.version} of {short_id(version.strategy_id)}"
            panel.show(version_content(version, now_at), title=title)
        else:
            panel.show(where_content(snapshot, now_at), title="Where it runs")

    def _row(self) -> StrategyRow | None:
        row = self._rows.get(self._strategy_id() or "")
        if row is None:
            self.console.say(_NOTHING, "warn")
        return row


def deployment_cells(row: StrategyRow, view: TradingView | None, colours: dict[str, str]) -> Row:
    """Return the cells of one strategy that trades."""
    style = state_style(row.status)
    held = [] if view is None else [p for p in view.every_position if p.strategy_id == row.id]
    exposed = [abs(p.notional_quote) for p in held if p.notional_quote is not None]
    gained = [p.unrealized_quote for p in held if p.unrealized_quote is not None]
    return {
        "strategy": LiveCell(short_id(row.id)),
        "type": LiveCell(row.type.replace("_", " ")),
        "mode": LiveCell(f"{style.glyph} {row.status}", colours[style.colour]),
        "bars": LiveCell(row.timeframe),
        "fitness": LiveCell(number(row.fitness)),
        "sharpe": LiveCell(number(row.sharpe)),
        "drawdown": LiveCell(drawdown(row.max_drawdown)),
        "held": LiveCell(str(len(held))),
        "notional": LiveCell(quote(sum(exposed, Decimal(0)), 0) if exposed else "–"),
        "pnl": LiveCell(signed_quote(sum(gained, Decimal(0))) if gained else "–"),
    }


def version_cells(row: DeploymentRow, now_at: int, colours: dict[str, str]) -> Row:
    """Return the cells of one version."""
    style = state_style(row.state if row.state != "ended" else row.outcome or "ended")
    word = row.outcome if row.state == "ended" and row.outcome else row.state
    return {
        "strategy": LiveCell(short_id(row.strategy_id)),
        "version": LiveCell(str(row.version)),
        "account": LiveCell(row.account),
        "target": LiveCell(row.target),
        "share": LiveCell(f"{bar(row.share_frac, 1.0, 6)} {row.share_frac:>4.0%}"),
        "state": LiveCell(f"{style.glyph} {word}", colours[style.colour]),
        "reason": LiveCell(row.reason),
        "age": LiveCell(age(row.changed_at, now_at), colours["muted"]),
    }


def version_content(row: DeploymentRow, now_at: int) -> Content:
    """Return one version in words: its steps, its reason, what was measured last."""
    steps = " → ".join(
        f"{step:.0%}{' ✓' if step < row.share_frac else ' ●' if step == row.share_frac else ''}"
        for step in _STEPS_FRAC
    )
    where = f" at {row.url}" if row.url else ""
    facts = "  ".join(f"{name.replace('_', ' ')} {_fact(v)}" for name, v in row.facts.items())
    return Content("\n").join(
        [
            Content(f"{steps}   this share for {age(row.step_at, now_at)}"),
            Content(row.reason or "no reason was told"),
            Content.styled(
                f"{row.target}{where} · asked by {row.who} {age(row.created_at, now_at)} ago · "
                f"{percent(row.allocation_frac)} of equity · rolled back at a loss of "
                f"{percent(row.stop_frac)} · bundle {row.bundle[:10] or '–'}",
                "$muted",
            ),
            Content(facts),
        ]
    )


def _version_key(row: DeploymentRow) -> str:
    return f"{row.strategy_id}/{row.version}"


def _fact(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def where_content(snapshot: Snapshot, now_at: int) -> Content:
    """Return the processes that trade, and that Workers are not among them yet."""
    store = snapshot.store
    beats = [] if store is None else [b for b in store.heartbeats if b.kind == "trader"]
    lines = [_trader_line(beat, now_at) for beat in beats]
    if not lines:
        lines = [Content("No trader has told of itself: u starts the runtime, which has one.")]
    lines.append(
        Content.styled(
            "A strategy without a version as a Worker is decided in the trader itself.",
            "$muted",
        )
    )
    return Content("\n").join(lines)


def _trader_line(beat: HeartbeatRow, now_at: int) -> Content:
    style = state_style(beat.state)
    facts = "  ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in beat.detail.items()
        if isinstance(value, int | float | str) and value != ""
    )
    return Content.assemble(
        (style.glyph, f"${style.colour}"),
        f" {beat.name}  {beat.state}  heard {age(beat.at, now_at)} ago  ",
        (facts, "$muted"),
    )
