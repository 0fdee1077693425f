"""What the overview says, as pure functions of a snapshot."""

from __future__ import annotations

import math
from functools import lru_cache
from textwrap import wrap
from typing import TYPE_CHECKING

from textual.content import Content

from console.controls_words import controls_words
from console.format import (
    age,
    bar,
    clipped,
    clock_time,
    count,
    day,
    duration,
    number,
    percent,
    short,
    signed,
    sparkline,
)
from console.runtime_process import ALIVE_WITHIN_MS
from console.snapshot import Snapshot, StoreView
from console.states import set_aside_word, state_style

if TYPE_CHECKING:
    from engine.store.commands import CommandRow
    from engine.store.cycles import CycleRow, StageRow
    from engine.store.heartbeats import HeartbeatRow

_ACTOR_FACTS = (
    ("writes_waiting", "waiting"),
    ("candidates", "done"),
    ("rows_written", "rows"),
)
_N_LEFT_OUT = 2
_EVENT_STYLES = {"warn": ("▲", "$warning"), "error": ("✗", "$error")}


def cycle_title(snapshot: Snapshot, now_at: int) -> str:
    """Return the cycle pane's title: which cycle, for how long, on what."""
    store = snapshot.store
    if store is None or store.cycle is None:
        return "Cycle"
    cycle = store.cycle
    began_at = cycle.started_at or cycle.created_at
    if cycle.status == "running" and not snapshot.runtime.is_alive:
        return f"Cycle {cycle.id} · kept, goes on when the runtime is up · seed {cycle.seed}"
    spent = duration((cycle.finished_at or now_at) - began_at)
    wave = f" · wave {cycle.wave}" if cycle.wave else ""
    return (
        f"Cycle {cycle.id}{wave} · {cycle.status} {spent} · seed {cycle.seed} · {cycle.timeframe}"
    )


def cycle_content(snapshot: Snapshot, now_at: int, width: int, height: int) -> Content:
    """Return the stages of the newest cycle, its rates, and the best fitness by cycle."""
    store = snapshot.store
    if store is None or store.cycle is None:
        return _no_cycle(snapshot, width)
    lines = [_stage_line(stage, now_at, width) for stage in store.stages]
    if not lines:
        lines.append(Content.styled("waiting for the first stage", "$muted"))
    below = [
        *_outcome_lines(store.cycle, width),
        *_controls_lines(store, width),
        _throughput_line(store, now_at),
        _best_line(store, width),
        _universe_line(store.cycle, width),
        _stored_line(store),
    ]
    # The last lines say what rarely changes: where there is no room, the others go before them.
    below = below[: max(height - len(lines), len(below) - _N_LEFT_OUT)]
    gap = [Content("")] if len(lines) + len(below) < height else []
    return Content("\n").join([*lines, *gap, *below])


def actors_title(snapshot: Snapshot, now_at: int) -> str:
    """Return the actors pane's title with how many of them are heard."""
    beats = () if snapshot.store is None else snapshot.store.heartbeats
    if not beats:
        return "Actors"
    heard = sum(1 for beat in beats if now_at - beat.at <= ALIVE_WITHIN_MS)
    return f"Actors {heard}/{len(beats)}"


def actors_content(snapshot: Snapshot, now_at: int, width: int, *, is_starting: bool) -> Content:
    """Return one line an actor: state, share of time busy, work, age of its last beat."""
    beats = () if snapshot.store is None else snapshot.store.heartbeats
    busy = {} if snapshot.store is None else snapshot.store.busy
    listed = [_actor_line(beat, now_at, width, busy.get(beat.name)) for beat in beats]
    if snapshot.runtime.is_alive and beats:
        return Content("\n").join(listed)
    words = {
        "down": "The runtime is down.",
        "dead": "The runtime's process has ended without a word.",
        "silent": "The runtime's process is there, but its conductor is silent.",
        "alive": "The runtime answers; no actor has reported yet.",
    }[snapshot.runtime.word]
    if is_starting and not snapshot.runtime.is_alive:
        words = "The runtime is starting; this takes some seconds."
    lines = [Content.styled(words, "$warning" if snapshot.runtime.word != "alive" else "")]
    if not snapshot.runtime.is_alive and not is_starting:
        lines.append(_keyed("runtime.start", "starts it; commands wait until it answers"))
    if beats:
        lines.append(Content(""))
        lines += listed
    return Content("\n").join(lines)


def events_content(store: StoreView | None, width: int) -> Content:
    """Return events, newest first."""
    if store is None or not store.events:
        return Content.styled("Nothing has happened yet.", "$muted")
    told = tuple((row.at, row.level, row.kind, row.message) for row in reversed(store.events))
    return _event_lines(told, width)


# A hundred lines cost as much as the rest of the screen, and few are new from one look to the next.
@lru_cache(maxsize=2)
def _event_lines(told: tuple[tuple[int, str, str, str], ...], width: int) -> Content:
    return Content("\n").join(_event_line(*words, width) for words in told)


@lru_cache(maxsize=256)
def _event_line(at: int, level: str, kind: str, message: str, width: int) -> Content:
    glyph, style = _EVENT_STYLES.get(level, ("·", "$muted"))
    head = Content.assemble((clock_time(at), "$muted"), " ", (glyph, style), f" {kind:<15} ")
    return Content.assemble(head, clipped(message, max(10, width - head.cell_length)))


def commands_content(store: StoreView | None, now_at: int, width: int) -> Content:
    """Return what operators asked for and what came of it, newest first."""
    if store is None or not store.commands:
        return Content.styled("Nobody has asked for anything yet.", "$muted")
    return Content("\n").join(_command_line(row, now_at, width) for row in store.commands)


def _no_cycle(snapshot: Snapshot, width: int) -> Content:
    edge = f" (planted edge: {snapshot.edge})" if snapshot.edge else ""
    if snapshot.problem:
        return Content("\n").join(
            [
                Content.styled("The store cannot be read:", "$error"),
                # A line of this pane is cut; what mends it stands at the end.
                *map(Content, wrap(snapshot.problem, width)),
            ]
        )
    return Content("\n").join(
        [
            Content("No cycle has run in this home yet."),
            Content(""),
            _keyed("cycle.start", "starts one: breed strategies, backtest, learn"),
            _keyed("paper.arm", "arms the paper account, once the runtime is up: until then no"),
            Content("   strategy trades, not even on paper"),
            _keyed("help", "lists every key"),
            Content(""),
            Content.styled(f"Bars: {snapshot.market_label}{edge}", "$muted"),
        ]
    )


def _keyed(name: str, words: str) -> Content:
    return Content.assemble((f" {{{name}}} ", "bold reverse"), f" {words}")


def _stage_line(stage: StageRow, now_at: int, width: int) -> Content:
    style = {
        "running": "$primary",
        "done": "$success",
        "failed": "$error",
    }.get(stage.status, "$muted")
    bar_width = max(6, min(30, width - 48))
    is_empty_done = stage.status == "done" and stage.total == 0
    drawn = "█" * bar_width if is_empty_done else bar(stage.done, stage.total, bar_width)
    share = f"{stage.done:,}/{stage.total:,}" if stage.total else ""
    head = Content.assemble(
        (state_style(stage.status).glyph, style),
        f" {clipped(stage.name, 9):<9} ",
        (drawn, style),
        f" {share:>13}  ",
    )
    return Content.assemble(head, *_stage_words(stage, now_at, width - head.cell_length))


def _stage_words(stage: StageRow, now_at: int, width: int) -> list[Content]:
    rate = f"{short(stage.rate_per_s)}/s" if stage.rate_per_s else ""
    word, is_fault = set_aside_word(stage.name)
    aside = f"{stage.failed:,} {word}" if stage.failed else ""
    if is_fault and aside:
        aside = f"✗ {stage.failed:,}"
    marked = Content.styled(aside, "$error" if is_fault else "$muted")
    if stage.status == "running":
        return [Content(f"{rate:>8} {_time_left(stage, now_at):>8} "), marked]
    if stage.finished_at is None or stage.started_at is None:
        return [marked]
    spent = f"{duration(stage.finished_at - stage.started_at):>6}  "
    if aside:
        return [Content(spent), marked]
    return [Content(spent), Content.styled(clipped(stage.note or rate, width - 8), "$muted")]


def _time_left(stage: StageRow, now_at: int) -> str:
    if stage.rate_per_s and stage.total > stage.done:
        return f"eta {duration((stage.total - stage.done) / stage.rate_per_s * 1000)}"
    return age(stage.started_at, now_at)


def _outcome_lines(cycle: CycleRow, width: int) -> list[Content]:
    if cycle.status == "paused":
        return [Content.assemble(("▲ paused ", "bold $warning"), "{cycle.pause} resumes it")]
    if cycle.status in ("failed", "cancelled"):
        reason = clipped(cycle.error or "no reason was recorded", width - 12)
        return [Content.assemble((f"✗ {cycle.status} ", "bold $error"), reason)]
    if cycle.summary is None:
        return []
    counted = cycle.summary
    words = "  ".join(
        f"{name} {int(counted[name]):,}"
        for name in ("validated", "rejected", "passed", "promoted")
        if isinstance(counted.get(name), int | float)
    )
    return [Content(clipped(words, width))] if words else []


def _controls_lines(store: StoreView, width: int) -> list[Content]:
    """Return what the newest negative controls showed; too many that pass are a warning."""
    controls = store.controls
    if controls is None:
        return []
    head = "controls: "
    if store.cycle is not None and controls.cycle_id != store.cycle.id:
        head = f"controls of {controls.cycle_id}: "
    if controls.is_suspicious:
        head = f"▲ {head}"
    words = controls_words(controls.counts, width - len(head))
    style = "$warning" if controls.is_suspicious else ""
    return [Content.styled(clipped(head + words, width), style)] if words else []


def _throughput_line(store: StoreView, now_at: int) -> Content:
    cycle = store.cycle
    stage = next((stage for stage in store.stages if stage.name == "backtest"), None)
    words = ["throughput"]
    heard = {beat.name for beat in store.heartbeats if now_at - beat.at <= ALIVE_WITHIN_MS}
    busy = [share for name, share in store.busy.items() if name in heard]
    if stage is not None and stage.rate_per_s and cycle is not None:
        per_s = stage.rate_per_s * len(cycle.symbols)
        words.append(f"{short(per_s)} backtests/s")
        bars = window_bars(cycle)
        if stage.status == "running" and bars:
            words.append(f"{short(per_s * bars)} bars/s")
    if cycle is not None and cycle.summary is not None:
        rate = cycle.summary.get("bars_per_second")
        if isinstance(rate, int | float) and math.isfinite(rate):
            words.append(f"{short(float(rate))} bars/s")
    if busy:
        words.append(f"busy {percent(sum(busy) / len(busy), 0)}")
    return Content.styled("  ".join(words), "" if len(words) > 1 else "$muted")


def window_bars(cycle: CycleRow | None) -> float:
    """Return how many bars one backtest of a cycle runs over, 0 when unknown."""
    # Late: the types bring numpy, which the first picture does not need.
    from engine.types import MS_PER_DAY, TIMEFRAME_MS

    if cycle is None or cycle.timeframe not in TIMEFRAME_MS:
        return 0.0
    return cycle.days * MS_PER_DAY / TIMEFRAME_MS[cycle.timeframe]


def _universe_line(cycle: CycleRow, width: int) -> Content:
    until = f" · to {day(cycle.window_end_at)}" if cycle.window_end_at else ""
    words = f"{cycle.exchange} {' '.join(cycle.symbols)} · {cycle.days} days{until}"
    return Content.styled(clipped(words, width), "$muted")


def _stored_line(store: StoreView) -> Content:
    if store.trials_total is None:
        return Content.styled("stored: being counted", "$muted")
    words = f"stored {count(sum(store.statuses.values()))} strategies"
    words += f", {count(store.trials_total)} evaluations"
    return Content.styled(words, "$muted")


def _best_line(store: StoreView, width: int) -> Content:
    values = [value for _, value in store.best_fitness if math.isfinite(value)]
    label = "best fitness by cycle"
    if not values:
        return Content.styled(f"{label}  none yet", "$muted")
    change = f" ({signed(values[-1] - values[-2])})" if len(values) > 1 else ""
    room = max(5, width - len(label) - 22)
    return Content.assemble(
        f"{label}  ", (sparkline(values, room), "$primary"), f"  {number(values[-1])}{change}"
    )


def _actor_line(beat: HeartbeatRow, now_at: int, width: int, busy_frac: float | None) -> Content:
    heard_ms = now_at - beat.at
    is_heard = heard_ms <= ALIVE_WITHIN_MS
    style = state_style(beat.state) if is_heard else state_style("stale")
    state = beat.state if is_heard else "silent"
    detail = beat.detail
    facts = [] if busy_frac is None else [f"{percent(busy_frac, 0)} busy"]
    facts += [
        f"{count(float(detail[key]))} {label}"
        for key, label in _ACTOR_FACTS
        if isinstance(detail.get(key), int | float) and detail[key]
    ]
    if isinstance(detail.get("memory_bytes"), int | float) and detail["memory_bytes"]:
        facts.append(f"{detail['memory_bytes'] / 1e9:.1f} GB in all")
    if isinstance(detail.get("stage"), str) and detail["stage"]:
        facts.append(str(detail["stage"]))
    line = Content.assemble(
        (style.glyph, f"${style.colour}"),
        f" {clipped(beat.name, 16):<16} {clipped(state, 8):<8} ",
    )
    heard = f"{duration(heard_ms)}"
    room = max(0, width - line.cell_length - 6)
    return Content.assemble(
        line,
        f"{clipped(' '.join(facts), room):<{room}}",
        (f"{heard:>6}", "$muted" if is_heard else "$warning"),
    )


def _command_line(row: CommandRow, now_at: int, width: int) -> Content:
    style = state_style(row.status)
    if row.status in ("waiting", "taken"):
        outcome = f"for {age(row.created_at, now_at)}"
    elif row.reason:
        outcome = row.reason
    elif isinstance(row.result, dict) and row.result.get("cycle_id") is not None:
        outcome = f"cycle {row.result['cycle_id']}"
    else:
        outcome = ""
    head = Content.assemble(
        (clock_time(row.created_at), "$muted"),
        " ",
        (style.glyph, f"${style.colour}"),
        f" {row.status:<7} {row.name} ",
    )
    return Content.assemble(head, (clipped(outcome, max(8, width - head.cell_length)), "$muted"))
