"""What screen 7 says, as pure functions of a snapshot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from console.format import (
    age,
    clipped,
    clock_time,
    count,
    day,
    duration,
    instant,
    number,
    percent,
    short,
)
from console.limit_use import limit_bar, limit_colour, limit_share
from console.money import quote
from console.screens.halt_text import step_line
from console.states import state_style, trading_style, trading_words
from engine.risk.latch import LatchCause, TradingState
from engine.trade.kill_step import Step

if TYPE_CHECKING:
    from console.drill_record import DrillRecord
    from console.snapshot import Snapshot
    from engine.store.account_detail import LimitUse
    from engine.store.accounts import AccountRow
    from engine.store.events import EventRow
    from engine.trading_settings import Limits

DRILL_EVERY_MS = 7 * 86_400_000
_FRACTION = "fraction"
_LEVEL_GLYPHS = {"warn": ("▲", "$warning"), "error": ("✗", "$error")}
_LIMIT_WIDTH = 46
"""What a limit's line takes beside its bar and its words."""
_STATES = (
    (TradingState.ACTIVE, "─{reduce}→"),
    (TradingState.REDUCING, "─^k→"),
    (TradingState.HALTED, "─{rearm}→ ACTIVE"),
)


def state_content(
    snapshot: Snapshot, now_at: int, latch_file: str, drill: DrillRecord | None
) -> Content:
    """Return the trading state, and everything that would stop it."""
    reading = snapshot.latch
    style = trading_style(reading)
    since = ""
    if reading.state is TradingState.ACTIVE and reading.at is not None:
        since = f"  since {instant(reading.at)}{f' by {reading.who}' if reading.who else ''}"
    lines = [
        Content.assemble(
            (f"{style.glyph} {trading_words(reading)}", f"bold ${style.colour}"), since
        ),
    ]
    if reading.reason:
        lines.append(Content.styled(f"  reason: {reading.reason}", "$muted"))
    if reading.cause is LatchCause.NOT_ARMED:
        lines.append(Content("  never armed here: {rearm} arms it"))
    lines += [_ladder(reading.state), _latch_line(snapshot, now_at, latch_file)]
    row = snapshot.account_row
    if row is None:
        words = "gateway: has told nothing yet; {runtime.start} starts the runtime"
        lines.append(Content.styled(words, "$warning"))
    else:
        lines += _gateway_lines(snapshot, row, now_at)
    lines += _drill_lines(drill, now_at)
    return Content("\n").join(lines)


def limits_content(row: AccountRow | None, width: int, configured: Limits) -> Content:
    """Return one line a limit: value, limit, share with its bar; colours at 70 and 90 %.

    Parameters
    ----------
    configured : as the file has them; what the officer goes by may be older
    """
    if row is None or not row.detail.limits:
        return Content("No limit has been measured yet: the gateway of this account tells them.")
    return Content("\n").join(
        _limit_line(use, width, getattr(configured, use.rule, None)) for use in row.detail.limits
    )


def audit_content(
    row: AccountRow | None, events: Sequence[EventRow], steps: Sequence[Step], width: int
) -> Content:
    """Return the acts under way, breakers that hold trading back, and what was done about risk."""
    lines = [step_line(step, width) for step in steps]
    for breaker in () if row is None else row.detail.breakers:
        if breaker.is_tripped:
            lines.append(
                Content.assemble(
                    (day(breaker.at), "$muted"),
                    f" {clock_time(breaker.at)} ",
                    ("✗ breaker ", "bold $error"),
                    clipped(f"{breaker.name}: {breaker.words}", width - 30),
                )
            )
    for event in reversed(events):
        glyph, style = _LEVEL_GLYPHS.get(event.level, ("·", "$muted"))
        head = Content.assemble(
            (f"{day(event.at)[5:]} {clock_time(event.at)}", "$muted"),
            " ",
            (glyph, style),
            f" {event.kind:<18} ",
        )
        lines.append(
            Content.assemble(head, clipped(event.message, max(10, width - head.cell_length)))
        )
    if not lines:
        quiet = (
            "Nothing was done about risk yet. {reduce} reduces, ^k halts, {drill} tests the switch."
        )
        lines = [Content.styled(quiet, "$muted")]
    return Content("\n").join(lines)


def breakers_title(row: AccountRow | None) -> str:
    """Return the title of the lower pane: how many breakers hold trading back."""
    if row is None:
        return "Breakers and audit"
    tripped = sum(1 for breaker in row.detail.breakers if breaker.is_tripped)
    return f"Breakers ({tripped} of {len(row.detail.breakers)} tripped) and audit, newest first"


def _ladder(state: TradingState) -> Content:
    parts: list[Content | tuple[str, str]] = [("  ", "")]
    for name, arrow in _STATES:
        parts.append((str(name), "bold reverse" if name is state else "$muted"))
        parts.append((f" {arrow} ", "$muted"))
    return Content.assemble(*parts)


def _latch_line(snapshot: Snapshot, now_at: int, latch_file: str) -> Content:
    is_there = snapshot.latch.cause is LatchCause.HALT_FILE
    mark = ("present ■", "$error") if is_there else ("absent ✓", "$success")
    read = age(snapshot.taken_at, now_at)
    return Content.assemble(("latch       ", "$muted"), f"{latch_file} ", mark, f" {read}")


def _gateway_lines(snapshot: Snapshot, row: AccountRow, now_at: int) -> list[Content]:
    is_old = now_at - row.updated_at > 10_000
    sees = row.latch_state == str(snapshot.latch.state)
    life_s = row.detail.lease_s
    has_lease = row.lease_age_s is not None and life_s is not None and row.lease_age_s < life_s
    told = f"{age(row.updated_at, now_at)} ago"
    lease_words = (
        "never renewed"
        if row.lease_age_s is None
        else f"{row.lease_age_s:.1f}s{f' / {life_s:g}s' if life_s is not None else ''}"
    )
    clean = state_style(row.reconcile_state)
    view = snapshot.trading
    account_at = now_at if view is None else view.account_at(now_at)
    skew = "its own" if row.clock_skew_ms is None else f"venue {_skew(row.clock_skew_ms)}"
    return [
        _fact("gateway", f"{row.name} on {row.venue}, told {told}", not is_old),
        _fact("", f"sees {row.latch_state} ({row.latch_cause})", sees),
        _fact("lease", lease_words, has_lease),
        _dead_man(row, now_at),
        Content.assemble(
            (f"{'reconciled':<12}", "$muted"),
            (f"{clean.glyph} {row.reconcile_state}", f"${clean.colour}"),
            f" {row.reconcile_words or age(row.detail.reconciled_at, now_at)}",
        ),
        _fact("unknown", f"{row.detail.n_unknown} orders", row.detail.n_unknown == 0),
        _fact(
            "unprotected",
            f"{quote(row.unprotected_quote)} {row.quote_asset}",
            row.unprotected_quote == 0,
        ),
        Content.assemble(
            (f"{'clock':<12}", "$muted"),
            f"{skew}; last bar {age(row.last_bar_at, account_at)} old",
        ),
    ]


def _dead_man(row: AccountRow, now_at: int) -> Content:
    detail = row.detail
    if not detail.has_dead_man:
        words = "none at this venue: the lease alone"
        return Content.assemble((f"{'dead-man':<12}", "$muted"), (words, "$muted"))
    timeout_s = detail.dead_man_s or 0.0
    if detail.dead_man_at is None:
        return _fact("dead-man", f"{timeout_s:g}s, never refreshed", False)
    spent_ms = now_at - detail.dead_man_at
    words = f"{timeout_s:g}s, refreshed {duration(spent_ms)} ago"
    return _fact("dead-man", words, spent_ms < timeout_s * 1000)


def _fact(name: str, words: str, is_well: bool) -> Content:
    mark = ("✓", "$success") if is_well else ("✗", "$error")
    return Content.assemble((f"{name:<12}", "$muted"), words, " ", mark)


def _skew(skew_ms: int) -> str:
    if abs(skew_ms) >= 10_000:
        return f"{'ahead' if skew_ms > 0 else 'behind'} by {duration(abs(skew_ms))}"
    return f"{skew_ms:+d} ms"


def _drill_lines(drill: DrillRecord | None, now_at: int) -> list[Content]:
    name = ("last drill  ", "$muted")
    if drill is None:
        return [Content.assemble(name, ("▲ never: {drill} tests the switch", "$warning"))]
    when = f"{age(drill.at, now_at)} ago"
    if now_at - drill.at > DRILL_EVERY_MS:
        head = Content.assemble(name, (f"▲ {when}: {{drill}} tests the switch", "$warning"))
    else:
        head = Content.assemble(
            name, f"{when} ", ("✓", "$success") if drill.passed else ("✗", "$error")
        )
    told = f"  {day(drill.at)[5:]} {drill.words}"
    return [head, Content.styled(told, "$muted" if drill.passed else "$error")]


def _limit_line(use: LimitUse, width: int, configured: float | None) -> Content:
    share = limit_share(use)
    colour = limit_colour(share)
    room = max(8, width - _LIMIT_WIDTH)
    bar_width = min(20, (room + 1) // 2)
    mark = "✗" if share is not None and share >= 1.0 else " "
    about = use.words if use.is_hard else f"soft {use.words}"
    style = "$muted"
    if configured is not None and configured != use.limit:
        # It matters more than the bar, and the share stays.
        about, style, bar_width = f"▲ file {_amount(configured, use.unit)}", "$warning", 4
    return Content.assemble(
        f"{clipped(_limit_name(use.rule), 17):<17} {_amount(use.value, use.unit):>8} / ",
        f"{_amount(use.limit, use.unit):>8}  ",
        (limit_bar(share, bar_width), colour),
        " ",
        (f"{percent(share, 0):>4}{mark}", colour),
        (f" {clipped(about, room - bar_width)}", style),
    )


def _limit_name(rule: str) -> str:
    name = rule.removesuffix("_frac").removesuffix("_max")
    return name.removesuffix("_close_s").replace("_", " ")


def _amount(value: float | None, unit: str) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    if unit.startswith(_FRACTION):
        return percent(value)
    if unit.startswith("orders"):
        return f"{count(value)}/min"
    if unit == "s":
        return duration(value * 1000)
    if unit == "x":
        return f"{number(value)}x"
    if abs(value) >= 1_000:
        return short(value)
    return number(value)
