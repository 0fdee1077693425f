"""Screen 9: what is configured, where that stands, and whether all that is needed is there."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult, SuspendNotSupported
from textual.containers import Horizontal

from console.bindings import Place, bindings_of
from console.key_words import with_keys
from console.keymap import Keymap
from console.poller import Watch
from console.reload_desk import ReloadDesk
from console.screens.help import KeymapScreen
from console.screens.tables import TablesScreen
from console.setting_rows import SettingRow, SettingsView, read_settings, secrets_set
from console.snapshot import Snapshot
from console.states import state_style
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row

if TYPE_CHECKING:
    from console.commands.doctor import CheckResult

EVERYTHING, NOT_RUNNING, NOT_DEFAULT = "all", "other than what runs", "other than the defaults"
_KEPT = (EVERYTHING, NOT_RUNNING, NOT_DEFAULT)
DOCTOR, SECRETS, KEYS = "doctor", "secrets", "keys"
_SECTIONS = (LiveColumn("name", "section", 14, takes_rest=True),)
_VALUES = (
    LiveColumn("key", "key", 22),
    LiveColumn("value", "value", 13, takes_rest=True),
    LiveColumn("unit", "unit", 14, min_screen=100),
    LiveColumn("source", "source", 14),
    LiveColumn("running", "running", 16, min_screen=116),
)
_FINDINGS = (
    LiveColumn("state", "state", 7),
    LiveColumn("subject", "what", 12),
    LiveColumn("found", "found", 30, takes_rest=True),
)


class SettingsScreen(TablesScreen):
    """Values are read-only here; e edits the file, r reads it again."""

    PLACE = Place.SETTINGS
    NAME = "Settings"
    AUTO_FOCUS = "#sections"
    BINDINGS = bindings_of(Place.SETTINGS, "screen")
    # Textual declares it so; it is never changed.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012

    DEFAULT_CSS = """
    SettingsScreen #sections { width: 24; height: 1fr; }
    SettingsScreen.-narrow #sections { width: 20; }
    SettingsScreen #values { width: 1fr; height: 1fr; }
    SettingsScreen #findings { width: 1fr; height: 1fr; display: none; }
    SettingsScreen.-doctor #values { display: none; }
    SettingsScreen.-doctor #findings { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._settings: SettingsView | None = None
        self._results: tuple[CheckResult, ...] | None = None
        self._kept = EVERYTHING
        self._is_reading = False

    def body(self) -> ComposeResult:
        """Yield the sections and what is in the chosen one."""
        with Horizontal():
            yield LiveTable(_SECTIONS, "sections")
            yield LiveTable(_VALUES, "values")
            yield LiveTable(_FINDINGS, "findings")

    def on_screen_resume(self) -> None:
        """Read the file and look at everything again."""
        self._read()

    def crumbs(self) -> str:
        """Return the file, and whether it is valid."""
        path = self.console.session.config_path
        name = "made in memory" if path is None else path.name
        view = self._settings
        if view is None:
            return f"settings · {name} · reading…"
        if view.problem:
            return f"settings · {name} · ✗ {view.problem}"
        words = f"settings · {name} (valid)"
        if any(not row.is_same for row in view.rows):
            words += " · changed since this console read it: {reload}"
        if view.is_newer:
            words += " · changed after the runtime started: paddock down, then up"
        return words if self._kept == EVERYTHING else f"{words} · only {self._kept}"

    def watch_for(self) -> Watch:
        """Return that nothing more is read from the store."""
        return Watch()

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """Show what was read last."""
        sections = self.query_one("#sections", LiveTable)
        sections.border_title = "Sections"
        own = tuple(dict.fromkeys(row.section for row in self._rows()))
        names = (DOCTOR, *own, SECRETS, KEYS) if self._kept == EVERYTHING else (DOCTOR, *own)
        rows: dict[str, Row] = {name: {"name": LiveCell(self._label(name))} for name in names}
        sections.show_rows(names, lambda key: rows[key])
        self._show_section()

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Show the section under the cursor."""
        event.stop()
        self._show_section()

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Go from a section to its values."""
        event.stop()
        if self.table.id == "sections":
            self.focus_next()

    def action_edit(self) -> None:
        """Open the file in the operator's editor, then read it again."""
        path = self.console.session.config_path
        if path is None:
            self.console.say("there is no file: the settings were made in memory", "warn")
            return
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        try:
            with self.app.suspend():
                # The operator's own editor, on the operator's own file.
                subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603
        except SuspendNotSupported:
            self.console.say(f"no terminal to edit in: {path} is the file", "warn")
        except (OSError, ValueError) as exc:
            self.console.say(f"{editor} cannot be started ({exc}): set EDITOR", "error")
        self._read()

    def action_reload(self) -> None:
        """Read the file again, and apply what may change now, after a yes."""
        self.console.questions.begin(self._reload())

    def action_changed_only(self) -> None:
        """Show only what differs from what runs, then from the defaults, then all again."""
        self._kept = _KEPT[(_KEPT.index(self._kept) + 1) % len(_KEPT)]
        self.refresh_all()

    def action_theme_change(self) -> None:
        """Change the colours."""
        self.console.action_theme_next()

    def action_keymap(self) -> None:
        """Show every key, and how it may be changed."""
        self.app.push_screen(KeymapScreen(self.console.keymap))

    def action_id_copy(self) -> None:
        """Copy the name of the setting under the cursor."""
        key = self.query_one("#values", LiveTable).selected_key
        self.console.copy_id(key)

    @work(exclusive=True, group="settings")
    async def _read(self) -> None:
        if self._is_reading:
            return
        self._is_reading = True
        try:
            snapshot = self.console.snapshot
            file = None if snapshot is None else snapshot.runtime.file
            session = self.console.session
            self._settings = await asyncio.to_thread(
                read_settings, session, None if file is None else file.started_at
            )
            self.refresh_all()
            from console.commands.doctor import examine

            self._results = tuple(await asyncio.to_thread(examine, session))
        finally:
            self._is_reading = False
        self.refresh_all()

    async def _reload(self) -> None:
        await ReloadDesk(self.console).reload()
        self._read()

    def _label(self, name: str) -> str:
        if name == DOCTOR and self._results is not None:
            worst = next((s for s in ("fail", "warn") if self._count(s)), "ok")
            return f"{state_style(worst).glyph} doctor ({self._count('fail', 'warn')})"
        if self._kept == EVERYTHING:
            return f"  {name}"
        return f"  {name} ({sum(1 for row in self._rows() if row.section == name)})"

    def _count(self, *states: str) -> int:
        return sum(1 for result in self._results or () if result.state in states)

    def _show_section(self) -> None:
        name = self.query_one("#sections", LiveTable).selected_key or DOCTOR
        self.set_class(name == DOCTOR, "-doctor")
        colours = self.app.theme_variables
        if name == DOCTOR:
            self._show_findings(colours)
            return
        table = self.query_one("#values", LiveTable)
        table.border_title = name
        if name == SECRETS:
            table.border_subtitle = "from the environment only; values are never shown"
            rows = _secret_rows(colours)
        elif name == KEYS:
            table.border_subtitle = with_keys(
                self, "{keymap} says how to change them; F9 and ctrl+k always halt"
            )
            rows = _key_rows(self.console.keymap)
        else:
            mine = [row for row in self._rows() if row.section == name]
            table.border_subtitle = with_keys(self, "{edit} edits the file")
            rows = {f"{row.section}.{row.key}": setting_cells(row, colours) for row in mine}
        table.say_when_empty(f"Nothing is {self._kept}: {{changed.only}} goes on.")
        table.show_rows(tuple(rows), lambda key: rows[key])

    def _show_findings(self, colours: dict[str, str]) -> None:
        table = self.query_one("#findings", LiveTable)
        table.border_title = "Doctor: what is installed, reachable and configured"
        table.say_when_empty("looking…")
        order = {"fail": 0, "warn": 1, "ok": 2}
        found = sorted(self._results or (), key=lambda result: order[result.state])
        rows = {
            f"finding-{place}": finding_cells(result, colours, self.console.session.shown)
            for place, result in enumerate(found)
        }
        table.show_rows(tuple(rows), lambda key: rows[key])

    def _rows(self) -> tuple[SettingRow, ...]:
        rows = () if self._settings is None else self._settings.rows
        if self._kept == NOT_RUNNING:
            return tuple(row for row in rows if not row.is_same)
        return tuple(row for row in rows if self._kept == EVERYTHING or not row.is_default)


def setting_cells(row: SettingRow, colours: dict[str, str]) -> Row:
    """Return the cells of one setting."""
    style = "" if row.is_same else colours["warning"]
    return {
        "key": LiveCell(row.key),
        "value": LiveCell(row.value, colours["primary"] if not row.is_default else ""),
        "unit": LiveCell(row.unit, colours["muted"]),
        "source": LiveCell(row.source, colours["muted"]),
        "running": LiveCell("same" if row.is_same else f"▲ {row.running}", style),
    }


def finding_cells(result: CheckResult, colours: dict[str, str], shown: object) -> Row:
    """Return the cells of one finding of the doctor."""
    style = state_style(result.state)
    words = result.message if not result.remedy else f"{result.message} → {result.remedy}"
    return {
        "state": LiveCell(f"{style.glyph} {result.state}", colours[style.colour]),
        "subject": LiveCell(result.subject),
        "found": LiveCell(str(shown(words)) if callable(shown) else words),
    }


def _secret_rows(colours: dict[str, str]) -> dict[str, Row]:
    return {
        f"secret-{name}": {
            "key": LiveCell(name),
            "value": LiveCell("set" if is_set else "unset", "" if is_set else colours["muted"]),
            "source": LiveCell(f"env {variable}", colours["muted"]),
        }
        for name, (is_set, variable) in secrets_set().items()
    }


def _key_rows(keymap: Keymap) -> dict[str, Row]:
    return {
        entry.name: {
            "key": LiveCell(f"{entry.place}: {entry.title}"),
            "value": LiveCell(entry.key_text or f":{entry.words[0]}"),
            "source": LiveCell("[console.keys]" if entry.name in keymap.changed else "usual"),
        }
        for entry in keymap.entries
    }
