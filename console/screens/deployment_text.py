"""What screen 6 says of one version and of where everything runs, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.content import Content

from console.format import age, day, duration, percent, short_id
from console.states import state_style

if TYPE_CHECKING:
    from console.snapshot import Snapshot
    from engine.deploy_settings import Deploy
    from engine.store.deployments import DeploymentRow
    from engine.store.heartbeats import HeartbeatRow

# Of engine.deploy.rollout, whose import a picture does not need.
STEPS_FRAC = (0.05, 0.25, 0.50, 1.0)


@dataclass(frozen=True, slots=True)
class RolloutGate:
    """One thing a version must have for its next step, or must not lose.

    Attributes
    ----------
    now, need : in words, with their units
    """

    name: str
    now: str
    need: str
    passed: bool


def step_after(share_frac: float) -> float | None:
    """Return the next larger step, None when there is none."""
    return next((step for step in STEPS_FRAC if step > share_frac), None)


def step_before(share_frac: float) -> float | None:
    """Return the next smaller step, None when there is none."""
    return next((step for step in reversed(STEPS_FRAC) if step < share_frac), None)


def rollout_gates(row: DeploymentRow, settings: Deploy, now_at: int) -> tuple[RolloutGate, ...]:
    """Return what the next step of a rollout asks for, with the numbers that were told last."""
    facts = row.facts
    n_step = _whole(facts, "n_compared_step")
    held_s = max(0.0, (now_at - row.step_at) / 1000)
    steps = (
        RolloutGate(
            f"time at {row.share_frac:.0%}",
            duration(held_s * 1000),
            f"≥ {duration(settings.step_s * 1000)}",
            held_s >= settings.step_s,
        ),
        RolloutGate(
            "equal decisions",
            f"{n_step}",
            f"≥ {settings.step_decisions}",
            n_step >= settings.step_decisions,
        ),
    )
    return (*(steps if row.state == "rolling" else ()), *_health(row, settings))


def version_content(row: DeploymentRow, settings: Deploy, now_at: int) -> Content:
    """Return one version in words: its steps, its gates with numbers, its reason."""
    if row.state in ("rolling", "live"):
        lines = [_gate_head(row), *map(_gate_line, rollout_gates(row, settings, now_at))]
    elif row.state == "checking":
        words = f"compared with the engine on {settings.parity_bars} bars, then 5% of its capital"
        lines = [Content(words)]
    else:
        lines = [Content(f"{row.outcome or row.state} {age(row.changed_at, now_at)} ago")]
    lines.append(Content(row.reason or "no reason was told"))
    difference = str(row.facts.get("difference") or row.facts.get("problem") or "")
    if difference:
        lines.append(Content.styled(f"✗ {difference}", "$error"))
    lines.append(
        Content.styled(
            f"asked by {row.who} {age(row.created_at, now_at)} ago · {percent(row.allocation_frac)}"
            f" of equity · rolled back at a loss of {percent(row.stop_frac)} of that",
            "$muted",
        )
    )
    return Content("\n").join(lines)


def version_title(row: DeploymentRow) -> str:
    """Return the title of one version: its steps up to where it is."""
    steps = " → ".join(
        f"{step:.0%}{' ✓' if step < row.share_frac else ' ●' if step == row.share_frac else ''}"
        for step in STEPS_FRAC
    )
    return f"Rollout {short_id(row.strategy_id)} v{row.version}  {steps}"


def workers_content(
    snapshot: Snapshot, versions: tuple[DeploymentRow, ...], now_at: int, *, is_whole: bool
) -> Content:
    """Return the versions of one strategy and the processes that trade.

    Parameters
    ----------
    is_whole : with addresses and measured numbers, one more line a version
    """
    lines: list[Content] = []
    for row in sorted(versions, key=lambda one: -one.version):
        lines.append(_worker_line(row, now_at, short_id(row.strategy_id) if is_whole else ""))
        if is_whole:
            lines.append(Content.styled(f"   {_worker_facts(row)}", "$muted"))
    store = snapshot.store
    beats = [] if store is None else list(store.heartbeats)
    lines += [_part_line(beat, now_at) for beat in beats if beat.kind in ("trader", "deployer")]
    if not any(beat.kind == "trader" for beat in beats):
        words = "No trader has told of itself: :up starts the runtime, which has one."
        lines.append(Content(words))
    if not versions:
        words = "A strategy without a version as a Worker is decided in the trader itself."
        lines.append(Content.styled(words, "$muted"))
    return Content("\n").join(lines)


def _health(row: DeploymentRow, settings: Deploy) -> tuple[RolloutGate, ...]:
    facts = row.facts
    n_failed, n_requests = _whole(facts, "n_failed"), _whole(facts, "n_requests")
    share = n_failed / n_requests if n_requests else 0.0
    latency_ms = _number(facts, "latency_ms")
    gain, capital = _number(facts, "pnl_quote"), _number(facts, "capital_quote")
    limit = row.stop_frac * capital if capital > 0 else math.nan
    silent_s = _number(facts, "silent_s")
    n_differing = _whole(facts, "n_differing")
    return (
        RolloutGate("other decisions", f"{n_differing}", "0", n_differing == 0),
        RolloutGate(
            "failed in 5 min",
            f"{n_failed} of {n_requests}",
            f"≤ {settings.error_rate_max:.0%}",
            share <= settings.error_rate_max,
        ),
        RolloutGate(
            "slowest 1 %",
            "–" if math.isnan(latency_ms) else f"{latency_ms:.1f} ms",
            f"≤ {settings.latency_max_ms:g} ms",
            not latency_ms > settings.latency_max_ms,
        ),
        RolloutGate(
            "gain",
            "–" if math.isnan(gain) else f"{gain:+,.2f}",
            "–" if math.isnan(limit) else f"> {-limit:,.2f}",
            math.isnan(gain) or math.isnan(limit) or gain > -limit,
        ),
        RolloutGate(
            "answered",
            "–" if math.isnan(silent_s) else f"{silent_s:.0f} s ago",
            f"< {settings.silence_s:g} s",
            not silent_s >= settings.silence_s,
        ),
    )


def _gate_head(row: DeploymentRow) -> Content:
    following = step_after(row.share_frac)
    if row.state == "live":
        words = "live: watched, and taken back by itself"
    elif following is None:
        words = "gate to being live"
    else:
        words = f"gate to {following:.0%}"
    return Content.styled(f"{words:<19} {'now':>12}   need", "$muted")


def _gate_line(gate: RolloutGate) -> Content:
    mark = ("✓", "$success") if gate.passed else ("✗", "$warning")
    return Content.assemble(mark, f" {gate.name:<17} {gate.now:>12}   {gate.need}")


def _worker_line(row: DeploymentRow, now_at: int, strategy: str) -> Content:
    word = row.outcome if row.state == "ended" and row.outcome else row.state
    style = state_style(word)
    where = row.url.removeprefix("http://") if row.url else "no address"
    if row.state == "ended":
        where = f"ended {age(row.ended_at or row.changed_at, now_at)} ago"
    return Content.assemble(
        (style.glyph, f"${style.colour}"),
        f" {strategy}{' ' if strategy else ''}v{row.version} {row.bundle[:6] or '–':<6}"
        f" {day(row.created_at)} {row.share_frac:>4.0%} {word:<11} ",
        (where, "" if row.url else "$muted"),
    )


def _worker_facts(row: DeploymentRow) -> str:
    shown = {
        name: value
        for name, value in row.facts.items()
        if name not in ("difference", "problem") and value is not None
    }
    words = "  ".join(f"{name.replace('_', ' ')} {_fact(value)}" for name, value in shown.items())
    return words or "nothing was measured yet"


def _part_line(beat: HeartbeatRow, now_at: int) -> Content:
    style = state_style(beat.state)
    facts = "  ".join(
        f"{name.replace('_', ' ')} {_fact(value)}"
        for name, value in beat.detail.items()
        if name not in ("pid", "host", "began_at") and _is_shown(value)
    )
    return Content.assemble(
        (style.glyph, f"${style.colour}"),
        f" {beat.name} {beat.state}, heard {age(beat.at, now_at)} ago  ",
        (facts, "$muted"),
    )


def _is_shown(value: object) -> bool:
    return bool(value) and isinstance(value, int | float | str | list | tuple)


def _fact(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list | tuple):
        return " ".join(str(part) for part in value)
    return str(value)


def _whole(facts: Mapping[str, Any], name: str) -> int:
    value = facts.get(name)
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def _number(facts: Mapping[str, Any], name: str) -> float:
    value = facts.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and value is not None else math.nan
