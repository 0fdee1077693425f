"""The page of what changed since yesterday, over whatever screen one is on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from textual.content import Content

from console.changes import AccountChange, ChangesView
from console.format import age, clock_time, day, short_id, signed_percent
from console.money import quote, signed_quote
from console.screens.help import PageScreen
from console.states import state_style

if TYPE_CHECKING:
    from console.app import PaddockApp

_LOOK_S = 0.2
_MOST_LINES = 6


class ChangesScreen(PageScreen):
    """Ask for what changed, and show it when it is there."""

    def __init__(self) -> None:
        super().__init__("Since yesterday", Content.styled("reading the store…", "$muted"))
        self._shown: ChangesView | None = None

    def on_mount(self) -> None:
        """Ask, beside what the screen below wants."""
        console = cast("PaddockApp", self.app)
        frame = console.frame
        if frame is not None:
            watch = frame.watch_for()
            console.look_at(replace(watch, pages=replace(watch.pages, changes=True)))
        self.set_interval(_LOOK_S, self._look)

    def _look(self) -> None:
        snapshot = cast("PaddockApp", self.app).snapshot
        if snapshot is None:
            return
        if snapshot.store is None:
            self.show(Content(snapshot.problem or "There is no database yet: nothing changed."))
            return
        pages = snapshot.store.pages
        changes = None if pages is None else pages.changes
        if changes is not None and changes is not self._shown:
            self._shown = changes
            self.show(changes_content(changes))


def changes_content(view: ChangesView) -> Content:
    """Return what changed, most important first."""
    parts: list[list[Content]] = [
        [Content.styled(f"Since {day(view.since_at)} {clock_time(view.since_at)}", "$muted")],
        _section("Money", [_account(row) for row in view.accounts], "no account trades here"),
        _section("Halts and re-arming", _switches(view), "none"),
        _section("Warnings and errors", _troubles(view), "none"),
        _section("Cycles", _cycles(view), "none ended"),
        _section("Strategies", _strategies(view), "none was made, none moved"),
        _section("Deployments", _versions(view), "none changed"),
        _section("Asked for", _commands(view), "nobody asked for anything"),
    ]
    return Content("\n").join(line for part in parts for line in [*part, Content("")])


def _section(title: str, lines: list[Content], nothing: str) -> list[Content]:
    head = Content.styled(title, "bold")
    if not lines:
        return [Content.assemble(head, (f"  {nothing}", "$muted"))]
    shown = lines[:_MOST_LINES]
    if len(lines) > len(shown):
        shown.append(Content.styled(f"  … and {len(lines) - len(shown)} more", "$muted"))
    return [head, *shown]


def _account(row: AccountChange) -> Content:
    before = row.before_quote
    gain = None if before is None else row.now_quote - before
    share = float(gain / before) if before and gain is not None else None
    style = "" if gain is None else ("$success" if gain >= 0 else "$error")
    return Content.assemble(
        f"  {row.name:<8} {quote(before, 0)} → {quote(row.now_quote, 0)} {row.quote_asset}  ",
        (f"{signed_quote(gain)} ({signed_percent(share, 2)})", style),
        f"  {row.n_fills:,} fills",
    )


def _switches(view: ChangesView) -> list[Content]:
    lines = []
    for row in view.switches:
        style = state_style("failed" if row.level == "error" else row.level)
        lines.append(
            Content.assemble(
                f"  {clock_time(row.at)} ",
                (style.glyph, f"${style.colour}"),
                f" {row.kind:<14} {row.message}",
            )
        )
    return lines


def _troubles(view: ChangesView) -> list[Content]:
    lines = []
    for row in view.troubles:
        style = state_style(row.level)
        lines.append(
            Content.assemble(
                "  ",
                (style.glyph, f"${style.colour}"),
                f" {row.n:>5,}× {row.kind:<20} last {age(row.last_at, view.read_at)} ago: ",
                row.message,
            )
        )
    return lines


def _cycles(view: ChangesView) -> list[Content]:
    lines = []
    for row in view.cycles:
        style = state_style(row.status)
        summary = row.summary or {}
        words = ", ".join(
            f"{summary[name]:,} {word}"
            for name, word in (
                ("validated", "fit to run"),
                ("passed", "passed the screen"),
                ("promoted", "promoted"),
            )
            if isinstance(summary.get(name), int)
        )
        lines.append(
            Content.assemble(
                f"  {clock_time(row.finished_at)} ",
                (style.glyph, f"${style.colour}"),
                f" cycle {row.id} {row.status}  {row.count:,} candidates  ",
                words or row.error or "",
            )
        )
    return lines


def _strategies(view: ChangesView) -> list[Content]:
    lines = [Content(f"  {view.n_new:,} new")] if view.n_new else []
    if view.moves:
        moves = ", ".join(f"{n:,} {before} → {after}" for before, after, n in view.moves)
        lines.append(Content(f"  {moves}"))
    for row in view.named:
        lines.append(
            Content(f"  {clock_time(row.at)} {short_id(row.subject)} {row.message}"),
        )
    return lines


def _versions(view: ChangesView) -> list[Content]:
    lines = []
    for row in view.versions:
        style = state_style(row.outcome or row.state)
        lines.append(
            Content.assemble(
                f"  {clock_time(row.changed_at)} ",
                (style.glyph, f"${style.colour}"),
                f" {short_id(row.strategy_id)} v{row.version} {row.outcome or row.state}  "
                f"{row.share_frac:.0%}  {row.reason}",
            )
        )
    return lines


def _commands(view: ChangesView) -> list[Content]:
    lines = []
    for row in view.commands:
        style = state_style(row.status)
        lines.append(
            Content.assemble(
                f"  {clock_time(row.created_at)} ",
                (style.glyph, f"${style.colour}"),
                f" {row.who}: {row.name} {row.status}  {row.reason}",
            )
        )
    return lines
