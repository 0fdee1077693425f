"""What the overview says of trading: an account's equity, and what needs a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.content import Content

from console.block_chart import block_rows
from console.format import clock_time, day, drawdown, short, signed_percent
from console.money import quote, signed_quote
from console.states import state_style
from console.widgets.live_table import LiveCell, LiveColumn, Row

if TYPE_CHECKING:
    from decimal import Decimal

    from console.snapshot import Snapshot
    from console.trading_view import TradingView
    from engine.store.accounts import AccountRow
    from engine.store.alerts import AlertRow

ALERT_COLUMNS = (
    LiveColumn("level", "", 1),
    LiveColumn("when", "since", 9),
    LiveColumn("title", "what", 22),
    LiveColumn("message", "why", 20, takes_rest=True),
)
NOTHING_NEEDED = "Nothing needs you."
_UNWATCHED = "Positions are held and nobody watches them: {runtime.start} starts the runtime."
_LABEL_WIDTH = 8
_WHOLE_FROM = 10_000
_SCREEN_OF_SUBJECT = {"account": "risk", "symbol": "orders"}


def nothing_needed(snapshot: Snapshot) -> str:
    """Return what stands in place of alerts; who would raise them may be down himself."""
    view = snapshot.trading
    is_held = view is not None and bool(view.every_position)
    return _UNWATCHED if is_held and not snapshot.runtime.is_alive else NOTHING_NEEDED


def equity_title(snapshot: Snapshot) -> str:
    """Return the title of the equity pane."""
    row = snapshot.account_row
    unit = "" if row is None else f" ({row.quote_asset})"
    return f"Equity, {snapshot.account}, 30 days{unit}"


def equity_content(snapshot: Snapshot, width: int, height: int) -> Content:
    """Return an account's equity in numbers and as a line, or which key brings one."""
    view, row = snapshot.trading, snapshot.account_row
    if view is None or row is None:
        return Content("\n").join(
            [
                Content(f"Account {snapshot.account} has not traded yet."),
                Content.assemble(
                    (" {go.strategies} ", "bold reverse"),
                    " lists strategies, ",
                    (" {strategies.strategy.promote} ", "bold reverse"),
                    " promotes one to paper",
                ),
            ]
        )
    lines = _numbers(row)
    return Content("\n").join([*lines, *_line(view, width, height - len(lines))])


def alerts_title(view: TradingView | None) -> str:
    """Return the title of what needs a person."""
    if view is None or not view.alerts:
        return "Needs you"
    seen = len(view.alerts) - view.n_unseen
    return f"Needs you ({view.n_unseen}{f', {seen} seen' if seen else ''})"


def alert_cells(row: AlertRow, colours: Mapping[str, str]) -> Row:
    """Return the cells of one alert; one that was seen is grey."""
    style = state_style(row.level)
    is_seen = row.acknowledged_at is not None
    own = colours["muted"] if is_seen else colours[style.colour]
    times = f" ({row.count}×)" if row.count > 1 else ""
    by = f"seen by {row.acknowledged_by} · " if is_seen else ""
    return {
        "level": LiveCell(style.glyph, own),
        "when": LiveCell(clock_time(row.raised_at), colours["muted"]),
        "title": LiveCell(row.title, own),
        "message": LiveCell(f"{by}{row.message}{times}", colours["muted"] if is_seen else ""),
    }


def object_of(row: AlertRow) -> tuple[str, str]:
    """Return where an alert's object is shown: (screen, id); the id is empty for a whole screen."""
    kind, _, name = row.subject.partition(":")
    if kind in ("strategy", "order") and name:
        return kind, name
    return _SCREEN_OF_SUBJECT.get(kind, "overview"), name if kind == "account" else ""


def _numbers(row: AccountRow) -> list[Content]:
    changes = "  ".join(
        f"{name} {signed_percent(_change(row.equity_quote, start), 2)}"
        for name, start in (
            ("day", row.day_start_quote),
            ("week", row.week_start_quote),
            ("month", row.month_start_quote),
        )
    )
    has_unprotected = row.unprotected_quote != 0
    digits = 0 if row.equity_quote >= _WHOLE_FROM else 2
    return [
        Content.assemble((quote(row.equity_quote, digits), "bold"), f"  {changes}"),
        Content.assemble(
            f"DD {drawdown(row.drawdown_frac)}  gross {quote(row.gross_quote, 0)}  "
            f"net {signed_quote(row.net_quote, 0)}  ",
            (
                f"unprotected {quote(row.unprotected_quote, 0)}",
                "$warning" if has_unprotected else "$muted",
            ),
        ),
    ]


def _line(view: TradingView, width: int, height: int) -> list[Content]:
    marks = view.equity
    if len(marks) < 2 or height < 2:
        return []
    values = [float(value) for _, value in marks]
    rows = block_rows(values, max(1, width - _LABEL_WIDTH - 1), height - 1)
    labels = [""] * len(rows)
    labels[0], labels[-1] = short(max(values)), short(min(values))
    lines = [
        Content.assemble((f"{label:>{_LABEL_WIDTH}} ", "$muted"), (row, "$primary"))
        for label, row in zip(labels, rows, strict=True)
    ]
    if len(rows) == 1:
        lines = [
            Content.assemble((f"{labels[0]:>{_LABEL_WIDTH}} ", "$muted"), (rows[0], "$primary"))
        ]
    first, last = day(marks[0][0])[5:], day(marks[-1][0])[5:]
    gap = max(1, len(rows[0]) - len(first) - len(last))
    lines.append(Content.styled(f"{' ' * (_LABEL_WIDTH + 1)}{first}{' ' * gap}{last}", "$muted"))
    return lines


def _change(now: Decimal, start: Decimal) -> float | None:
    return float(now / start) - 1.0 if start else None
