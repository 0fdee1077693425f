"""Screen 6: what trades now, where, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from console.bindings import Place, bindings_of
from console.deploy_desk import DeployDesk
from console.format import age, bar, drawdown, number, short_id
from console.money import quote, signed_quote
from console.pages import PagesWatch
from console.poller import Watch
from console.row_order import RowOrder
from console.screens.deployment_text import version_content, version_title, workers_content
from console.screens.tables import TablesScreen
from console.snapshot import Snapshot
from console.states import state_style
from console.trading_view import TradingView
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from console.widgets.panel import Panel
from console.widgets.titles import entitle

if TYPE_CHECKING:
    from engine.store.deployments import DeploymentRow
    from engine.store.strategies import StrategyRow

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
# What the tables are sorted by; the first is how their rows come.
_VERSION_KEYS: Mapping[str, Any] = {
    "state": None,
    "since": lambda row: row.changed_at,
    "rollout": lambda row: row.share_frac,
    "strategy": lambda row: row.strategy_id,
    "account": lambda row: row.account,
}
_KEYS: Mapping[str, Any] = {
    "fitness": None,
    "mode": lambda row: row.status,
    "type": lambda row: row.type,
    "Sharpe": lambda row: row.sharpe,
    "drawdown": lambda row: row.max_drawdown,
}
_ORDER = ("rolling", "checking", "live", "draining", "ended")
_NOTHING = "Nothing trades: {strategies.strategy.promote} on screen 2 promotes a strategy to paper."
_NO_VERSION = (
    "No strategy was ever deployed as a Worker: tab, then {deploy.new} deploys one that trades."
)
_TRADES_NOT = "that strategy does not trade any more: tab goes to those that do"
_NO_CHOICE = "No version of the strategy under the cursor was deployed: {deploy.new} deploys it."


class DeploymentsScreen(TablesScreen):
    """The strategies that trade on paper or with real money, and the process that runs them."""

    PLACE = Place.DEPLOYMENTS
    NAME = "Deploy"
    AUTO_FOCUS = "#versions"
    BINDINGS = bindings_of(Place.DEPLOYMENTS, "screen")
    HOLDS: ClassVar = {"versions": "versions", "list": "strategies"}
    MARKABLE = ("versions", "list")
    # Textual declares it so; it is never changed.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012

    DEFAULT_CSS = """
    DeploymentsScreen #versions { height: 1fr; }
    DeploymentsScreen #list { height: 1fr; }
    DeploymentsScreen #lower { height: 13; }
    DeploymentsScreen #version { width: 1fr; height: 1fr; }
    DeploymentsScreen #where { width: 1fr; height: 1fr; }
    DeploymentsScreen.-narrow #lower { height: 9; }
    DeploymentsScreen.-narrow #where { display: none; }
    DeploymentsScreen.-narrow #where.-zoomed { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, StrategyRow] = {}
        self._versions: dict[str, DeploymentRow] = {}
        self.row_orders = {"versions": RowOrder(_VERSION_KEYS), "list": RowOrder(_KEYS)}

    def body(self) -> ComposeResult:
        """Yield the versions that were deployed, what trades, one version's gates, and where."""
        yield LiveTable(_VERSIONS, "versions")
        yield LiveTable(_COLUMNS, "list")
        with Horizontal(id="lower"):
            yield Panel("Rollout", "version")
            yield Panel("Versions and workers", "where", wraps=False)

    def crumbs(self) -> str:
        """Return how many trade, by mode, what is marked, and how tables are sorted."""
        counts = [
            f"{mode} {sum(1 for row in self._rows.values() if row.status == mode)}"
            for mode in ("live", "paper", "paused")
        ]
        return " · ".join(["deployments", *counts, *self.marked_words(), *self.order_words()])

    def watch_for(self) -> Watch:
        """Return that this is wanted."""
        return Watch(pages=PagesWatch(deployments=True))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """List what trades."""
        table = self.query_one("#list", LiveTable)
        versions = self.query_one("#versions", LiveTable)
        entitle(versions, title="Versions as Workers")
        versions.say_when_empty(snapshot.problem or _NO_VERSION)
        entitle(table, title="Strategies that trade")
        table.say_when_empty(snapshot.problem or _NOTHING)
        store = snapshot.store
        pages = None if store is None else store.pages
        if pages is not None and pages.deployed is not None:
            self._rows = {row.id: row for row in pages.deployed}
            ranked = sorted(pages.versions, key=lambda row: _ORDER.index(row.state))
            self._versions = {_version_key(row): row for row in ranked}
        colours, view = self.app.theme_variables, snapshot.trading
        self.list_rows(
            "list",
            self._rows.values(),
            lambda row: row.id,
            lambda row: deployment_cells(row, view, colours),
        )
        self.list_rows(
            "versions",
            self._versions.values(),
            _version_key,
            lambda row: version_cells(row, now_at, colours),
        )
        stale = self.console.is_stale(now_at) and store is not None
        old = f"▲ {age(store.read_at, now_at)} old" if stale and store is not None else ""
        entitle(table, foot=old)
        self._show_version()

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Show the version under the cursor."""
        event.stop()
        self._show_version()

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Open the strategy under the cursor."""
        event.stop()
        self.console.open_strategy(self._strategy_id() or event.key)

    def action_id_copy(self) -> None:
        """Copy the id of the strategy under the cursor."""
        self.console.copy_id(self._strategy_id())

    def action_deploy_new(self) -> None:
        """Bring the strategy under the cursor out as a Worker, after a yes."""
        if self.console.is_allowed("deploy.new") and (row := self._row()) is not None:
            self._desk.deploy(row)

    def action_rollout_raise(self) -> None:
        """Give the version under the cursor more of its capital, after its id is typed."""
        if self.console.is_allowed("rollout.raise") and (row := self._version_row()) is not None:
            self._desk.raise_share(row)

    def action_rollout_lower(self) -> None:
        """Give the version under the cursor less of its capital, after a yes."""
        if self.console.is_allowed("rollout.lower") and (row := self._version_row()) is not None:
            self._desk.lower_share(row)

    def action_rollback(self) -> None:
        """Take the marked versions back, else the one under the cursor, after a yes."""
        if not self.console.is_allowed("rollback"):
            return
        found = map(self._version_of, self.chosen_keys())
        if rows := [row for row in found if row is not None]:
            self._desk.roll_back(rows, self.unmark)
        else:
            self._say_no_version()

    def action_entries_pause(self) -> None:
        """Let the marked strategies, else the one under the cursor, enter nothing more, at once."""
        if self.console.is_allowed("entries.pause") and (rows := self._chosen_rows()):
            self._desk.pause_entries(rows)
            self.unmark()

    def action_strategy_retire(self) -> None:
        """Retire the marked strategies, else the one under the cursor, after a yes."""
        if rows := self._chosen_rows():
            self.console.desk.retire(rows, self.unmark)

    def action_workers(self) -> None:
        """Show versions and workers alone, with what was measured, or all again."""
        where = self.query_one("#where", Panel)
        self.zoom(None if self.is_zoomed else where)
        self._show_version()

    @property
    def _desk(self) -> DeployDesk:
        return DeployDesk(self.console)

    def _strategy_id(self) -> str | None:
        key = self.table.selected_key
        return None if key is None else self._strategy_of(key)

    def _strategy_of(self, key: str) -> str:
        version = self._versions.get(key)
        return key if version is None else version.strategy_id

    def _show_version(self) -> None:
        snapshot = self.console.snapshot
        if snapshot is None:
            return
        now_at = self.console.clock.now_at()
        version = self._chosen_version()
        panel = self.query_one("#version", Panel)
        if version is None:
            panel.show(Content(_NO_CHOICE if self._rows else _NO_VERSION), title="Rollout")
        else:
            settings = self.console.session.config.deploy
            panel.show(version_content(version, settings, now_at), title=version_title(version))
        own = tuple(
            row
            for row in self._versions.values()
            if self.is_zoomed or (version is not None and row.strategy_id == version.strategy_id)
        )
        words = workers_content(snapshot, own, now_at, is_whole=self.is_zoomed)
        self.query_one("#where", Panel).show(words)

    def _chosen_version(self) -> DeploymentRow | None:
        """Return the version under the cursor, or the newest of the strategy under it."""
        key = self.table.selected_key
        return None if key is None else self._version_of(key)

    def _version_of(self, key: str) -> DeploymentRow | None:
        if self.table.id == "versions":
            return self._versions.get(key)
        own = [row for row in self._versions.values() if row.strategy_id == key]
        return max(own, key=lambda row: (row.state != "ended", row.version), default=None)

    def _version_row(self) -> DeploymentRow | None:
        row = self._chosen_version()
        if row is None:
            self._say_no_version()
        return row

    def _say_no_version(self) -> None:
        self.console.say(_NO_CHOICE if self._rows else _NO_VERSION, "warn")

    def _row(self) -> StrategyRow | None:
        row = self._rows.get(self._strategy_id() or "")
        if row is None:
            self._say_no_strategy()
        return row

    def _chosen_rows(self) -> list[StrategyRow]:
        """Return the marked strategies, those of marked versions, else the one under the cursor."""
        ids = dict.fromkeys(map(self._strategy_of, self.chosen_keys()))
        rows = [row for row in map(self._rows.get, ids) if row is not None]
        if not rows:
            self._say_no_strategy()
        return rows

    def _say_no_strategy(self) -> None:
        self.console.say(_TRADES_NOT if self._rows else _NOTHING, "warn")


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


def _version_key(row: DeploymentRow) -> str:
    return f"{row.strategy_id}/{row.version}"
