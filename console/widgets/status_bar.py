"""The first three rows of every screen: what runs, the screens there are, where one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.widgets import Static

from console.bindings import Place, find_by_word
from console.format import age, clipped, clock_time, drawdown, percent, signed_percent
from console.limit_use import WARN_FRAC, limit_colour, limit_share
from console.money import quote
from console.snapshot import Snapshot
from console.states import HALTED, runtime_words, state_style, trading_style, trading_words
from engine.risk.latch import LatchCause

if TYPE_CHECKING:
    from console.app import PaddockApp

MARKET_STYLES = {
    "GENERATED": "bold $background on $accent",
    "STORE": "bold $background on $primary",
    "LIVE": "bold $background on $warning",
}
MARK_STYLE = "bold $background on $secondary"
LAG_WARN_MS = 250.0
_DRAWDOWN_RULE = "drawdown_reduce_frac"
ACCOUNT_STYLES = {
    "paper": "bold $background on $primary",
    "live": "bold $background on $warning",
}
ACCOUNT_FRESH_MS = 10_000
# Key, name, and the name where there is no room for it.
SCREENS = (
    ("1", "Overview", "Over"),
    ("2", "Strategies", "Str"),
    ("3", "Backtests", "Back"),
    ("4", "Learners", "Lea"),
    ("5", "Orders", "Ord"),
    ("6", "Deploy", "Dep"),
    ("7", "Risk", "Risk"),
    ("8", "Events", "Ev"),
    ("9", "Settings", "Set"),
)


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """What the first row shows.

    Attributes
    ----------
    now_at : int, UTC ms
    lag_ms : float, how late the screen's loop was
    mark : what is said before everything else, empty for nothing
    """

    snapshot: Snapshot | None
    now_at: int
    poll_s: float
    lag_ms: float = 0.0
    is_starting: bool = False
    mark: str = ""


def status_content(facts: StatusFacts, width: int) -> Content:
    """Return the first row, least important parts dropped until it fits."""
    parts = [part for part in _parts(facts) if part[1].plain]
    for rank in sorted((rank for rank, _ in parts), reverse=True):
        if sum(content.cell_length + 2 for _, content in parts) - 2 <= width or rank == 0:
            break
        parts = [part for part in parts if part[0] != rank]
    return Content("  ").join(content for _, content in parts)


def _parts(facts: StatusFacts) -> list[tuple[int, Content]]:
    # Each part with its rank; the highest rank is dropped first, 0 never.
    clock_style = "$warning" if facts.lag_ms > LAG_WARN_MS else "$muted"
    clock = (9, Content.styled(clock_time(facts.now_at), clock_style))
    snapshot = facts.snapshot
    title = (8, Content.styled(" PADDOCK", "bold"))
    if snapshot is None:
        return [title, (1, Content.styled("reading the store…", "$muted")), clock]
    runtime = snapshot.runtime
    runtime_style = state_style(
        "starting" if facts.is_starting and not runtime.is_alive else runtime.word
    )
    words = runtime_words(runtime, facts.now_at, is_starting=facts.is_starting)
    trading = trading_style(snapshot.latch)
    # On the red bar of a halted account the colour is the row's own.
    trading_colour = "bold" if trading is HALTED else f"${trading.colour}"
    is_stale, data = _data_age(facts, snapshot)
    return [
        title,
        (0, _labels(snapshot, facts.mark)),
        (7, _edge(snapshot)),
        (0, Content.assemble((trading.glyph, trading_colour), " ", _trading(snapshot))),
        (
            3,
            Content.assemble(
                "runtime ", (runtime_style.glyph, f"${runtime_style.colour}"), f" {words}"
            ),
        ),
        (1, _others(snapshot)),
        (1 if is_stale else 4, data),
        *_account_parts(snapshot, facts.now_at),
        clock,
    ]


def _labels(snapshot: Snapshot, mark: str) -> Content:
    looks = " RO " if snapshot.read_only else ""
    account = f" {snapshot.account.upper()} "
    market = f" {snapshot.market_label} "
    return Content.assemble(
        (f" {mark} " if mark else "", MARK_STYLE),
        (looks, "bold reverse"),
        (account, ACCOUNT_STYLES.get(snapshot.account, "bold")),
        (market, MARKET_STYLES.get(snapshot.market_label, "bold")),
    )


def _others(snapshot: Snapshot) -> Content:
    """Name the other accounts that are halted: the first row is about one account only."""
    halted = [
        f"■ {name} HALTED"
        for name, reading in snapshot.latches.items()
        if name != snapshot.account and trading_style(reading) is HALTED
    ]
    return Content.styled("  ".join(halted), "bold $error")


def _edge(snapshot: Snapshot) -> Content:
    if snapshot.edge and snapshot.edge != "none":
        return Content(f"planted {snapshot.edge}")
    return Content("no edge" if snapshot.market_label == "GENERATED" else "")


def _account_parts(snapshot: Snapshot, now_at: int) -> list[tuple[int, Content]]:
    view, row = snapshot.trading, snapshot.account_row
    n_unseen = 0 if view is None else view.n_unseen
    alerts = (1, Content.styled(f"▲{n_unseen}" if n_unseen else "", "bold $warning"))
    if row is None:
        return [alerts]
    is_old = now_at - row.updated_at > ACCOUNT_FRESH_MS
    style = "$muted" if is_old else ""
    old = f" ▲{age(row.updated_at, now_at)}" if is_old else ""
    equity = f"eq {quote(row.equity_quote, 0)} {row.quote_asset}{old}"
    day_frac = None
    if row.day_start_quote:
        day_frac = float(row.equity_quote / row.day_start_quote) - 1.0
    limit = next((u for u in row.detail.limits if u.rule == _DRAWDOWN_RULE), None)
    share = None if limit is None else limit_share(limit)
    of = "" if limit is None else f"/-{percent(limit.limit, 0)}"
    colour = limit_colour(share) if share is not None and share >= WARN_FRAC else style
    return [
        (2, Content.styled(equity, style)),
        (6, Content.styled(f"day {signed_percent(day_frac, 2)}", style)),
        (5, Content.styled(f"DD {drawdown(row.drawdown_frac)}{of}", colour)),
        alerts,
    ]


def _trading(snapshot: Snapshot) -> str:
    if snapshot.latch.cause is LatchCause.NOT_ARMED:
        return "NOT ARMED"
    return clipped(trading_words(snapshot.latch), 40)


def _data_age(facts: StatusFacts, snapshot: Snapshot) -> tuple[bool, Content]:
    if snapshot.store is None:
        word = "no database yet" if not snapshot.problem else "store unreadable"
        is_bad = bool(snapshot.problem)
        return is_bad, Content.styled(word, "$error" if is_bad else "$muted")
    read_at = snapshot.store.read_at
    is_stale = facts.now_at - read_at > 3_000 * facts.poll_s
    text = f"data {age(read_at, facts.now_at)}"
    words = f"▲ {text} STALE" if is_stale else text
    return is_stale, Content.styled(words, "$warning" if is_stale else "")


class StatusBar(Static):
    """Row 1; red while trading is halted by an act."""

    DEFAULT_CSS = """
    StatusBar { height: 1; width: 100%; background: $panel; }
    StatusBar.-halted { background: $halt; color: #ffffff; text-style: bold; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def show(self, facts: StatusFacts) -> None:
        """Show these facts."""
        snapshot = facts.snapshot
        halted = snapshot is not None and trading_style(snapshot.latch) is HALTED
        self.set_class(halted, "-halted")
        self.update(status_content(facts, self.size.width or 120), layout=False)


class NavBar(Static):
    """Row 2: the screens that exist, the current one marked, and the key that stops trading."""

    DEFAULT_CSS = "NavBar { height: 1; width: 100%; background: $surface; }"

    def __init__(self, current: str) -> None:
        super().__init__("", markup=False)
        self._current = current
        self._places: list[tuple[int, int, str]] = []

    def on_resize(self) -> None:
        """Put the halt key at the right edge."""
        self.draw()

    def draw(self) -> None:
        """Draw the row as the account stands now."""
        right = "^k/F9 HALT "
        room = (self.size.width or 120) - len(right) - 1
        left = self._names(short=False)
        if cell_len(left.plain) > room:
            left = self._names(short=True)
        gap = max(1, self.size.width - cell_len(left.plain) - len(right))
        style = "bold #ffffff" if self.screen.has_class("-halted") else "bold $error"
        self.update(Content.assemble(left, " " * gap, (right, style)), layout=False)

    def on_click(self, event: Click) -> None:
        """Go to the screen under the mouse."""
        console = cast("PaddockApp", self.app)
        for start, stop, key in self._places:
            if start <= event.x < stop:
                entry = find_by_word(key, Place.EVERYWHERE)
                if entry is not None:
                    console.run_entry(entry)

    def _names(self, *, short: bool) -> Content:
        line = Content("")
        gap = "" if short else " "
        self._places = []
        for key, name, brief in SCREENS:
            is_current = name == self._current
            shown = brief if short and not is_current else name
            start = line.cell_length
            line = line.append(
                Content.styled(f" {key} {shown}{gap}", "bold reverse" if is_current else "")
            )
            self._places.append((start, line.cell_length, key))
        return line


class Crumbs(Static):
    """Row 3: where one is, and how the list there is filtered and sorted."""

    DEFAULT_CSS = "Crumbs { height: 1; width: 100%; color: $muted; }"

    def __init__(self, text: str) -> None:
        super().__init__("", markup=False)
        self._text = text
        self._shown = ""

    def show(self, text: str) -> None:
        """Show this place."""
        self._text = text
        self.on_resize()

    def on_resize(self) -> None:
        """Draw the line to the right edge."""
        width = self.size.width or 120
        text = clipped(self._text, width - 6)
        line = f"── {text} " + "─" * max(0, width - cell_len(text) - 4)
        if line != self._shown:
            self._shown = line
            self.update(line, layout=False)
