"""Sub-tab Deploys: its versions as Workers, how far each came, and what was told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from console.format import age, clock_time, day, percent, short_id
from console.screens.deployment_text import version_content, version_title
from console.screens.strategy_tab import Chosen, StrategyTab
from console.snapshot import Snapshot, StrategyView
from console.states import state_style
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from console.widgets.panel import Panel

if TYPE_CHECKING:
    from engine.store.deployments import DeploymentRow

_COLUMNS = (
    LiveColumn("version", "ver", 4),
    LiveColumn("state", "state", 13),
    LiveColumn("share", "share", 6, is_number=True),
    LiveColumn("account", "account", 10),
    LiveColumn("target", "target", 10, min_screen=100),
    LiveColumn("allocation", "of equity", 9, is_number=True),
    LiveColumn("stop", "stop", 6, is_number=True, min_screen=100),
    LiveColumn("bundle", "bundle", 10, min_screen=110),
    LiveColumn("who", "by", 8, min_screen=90),
    LiveColumn("age", "age", 7, is_number=True),
)
_NOTHING = (
    "It was never deployed. {deploy.new} brings it out as a Worker once it trades on paper or "
    "live; {strategy.promote} promotes it."
)


class DeploysTab(StrategyTab):
    """Versions; `<` and `>` choose one."""

    NAME = "Deploys"
    # Its looks depend on a class of the screen.
    SCOPED_CSS = False

    DEFAULT_CSS = """
    DeploysTab #versions { height: 8; }
    DeploysTab #version, DeploysTab #told { height: 1fr; width: 1fr; }
    StrategyScreen.-narrow DeploysTab #deploy-lower { layout: vertical; }
    StrategyScreen.-narrow DeploysTab #versions { height: 6; }
    """

    def __init__(self) -> None:
        super().__init__(id="deploys-tab")
        self._rows: dict[str, DeploymentRow] = {}
        self._fact: object = None
        self._followed: int | None = None

    def compose(self) -> ComposeResult:
        """Yield the versions, and the chosen one with what was told."""
        table = LiveTable(_COLUMNS, "versions")
        table.border_title = "Versions as Workers"
        yield table
        with Horizontal(id="deploy-lower"):
            yield Panel("Version", "version")
            yield Panel("What was told of them, newest first", "told")

    def show(self, view: StrategyView, chosen: Chosen, snapshot: Snapshot, now_at: int) -> None:
        """List the versions."""
        table, facts = self.query_one("#versions", LiveTable), view.facts
        versions = () if facts is None else facts.versions
        fact = (versions, now_at // 10_000)
        if fact != self._fact:
            self._fact = fact
            self._rows = {str(row.version): row for row in reversed(versions)}
            rows, colours = self._rows, self.app.theme_variables
            table.say_when_empty(_NOTHING)
            table.show_rows(tuple(rows), lambda key: _cells(rows[key], now_at, colours))
        if chosen.version is not None and chosen.version != self._followed:
            self._followed = chosen.version
            places = list(self._rows)
            if str(chosen.version) in places:
                table.move_cursor(places.index(str(chosen.version)))
        self._show_one(now_at)
        told = () if facts is None else facts.told
        lines = [
            Content.assemble((f"{day(row.at)} {clock_time(row.at)}  ", "$muted"), row.message)
            for row in reversed(told)
        ] or [Content.styled("Nothing was told of its deployments.", "$muted")]
        self.query_one("#told", Panel).show(Content("\n").join(lines))

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Show the version under the cursor."""
        event.stop()
        self._show_one(self.console.clock.now_at())

    @property
    def version(self) -> int | None:
        """Return the version under the cursor, None where there is none."""
        key = self.query_one("#versions", LiveTable).selected_key
        return None if key is None else int(key)

    def _show_one(self, now_at: int) -> None:
        panel = self.query_one("#version", Panel)
        row = self._rows.get(self.query_one("#versions", LiveTable).selected_key or "")
        if row is None:
            panel.show(Content.styled(_NOTHING, "$muted"), title="Version")
            return
        words = version_content(row, self.console.session.config.deploy, now_at)
        panel.show(words, title=version_title(row))


def _cells(row: DeploymentRow, now_at: int, colours: dict[str, str]) -> Row:
    state = row.outcome if row.state == "ended" and row.outcome else row.state
    style = state_style(state)
    return {
        "version": LiveCell(f"v{row.version}"),
        "state": LiveCell(f"{style.glyph} {state}", colours[style.colour]),
        "share": LiveCell(percent(row.share_frac, 0)),
        "account": LiveCell(row.account),
        "target": LiveCell(row.target),
        "allocation": LiveCell(percent(row.allocation_frac)),
        "stop": LiveCell(percent(row.stop_frac)),
        "bundle": LiveCell(short_id(row.bundle), colours["muted"]),
        "who": LiveCell(row.who),
        "age": LiveCell(age(row.created_at, now_at), colours["muted"]),
    }
