"""Steps of the kill switch in words: a line for people, a JSON object for whoever follows."""

from __future__ import annotations

from typing import Any

from engine.trade.kill_step import Step

_GLYPHS = {"ok": "✓", "moving": "◐", "failed": "✗"}


def step_values(step: Step, now_at: int) -> dict[str, Any]:
    """Return a step as JSON values."""
    return {
        "at": now_at,
        "account": step.account,
        "name": step.name,
        "state": step.state,
        "words": step.words,
        "done": step.done,
        "total": step.total,
        "spent_ms": round(step.spent_ms, 3),
        **step.fields,
    }


def step_line(step: Step) -> str:
    """Return a step as one line."""
    count = f" {step.done}/{step.total}" if step.total else ""
    spent = ""
    if step.spent_ms >= 1000:
        spent = f"  {step.spent_ms / 1000:.2f} s"
    elif step.spent_ms > 0:
        spent = f"  {step.spent_ms:.1f} ms"
    return f"{_GLYPHS[step.state]} {step.account}  {step.name}{count}  {step.words}{spent}"


def is_worth_a_line(step: Step, before: Step | None) -> bool:
    """Return whether people want to read a step after the last one of its account and name.

    Counting upwards is for those who draw it; a line is written when something else changes.
    """
    if before is None or step.state != before.state:
        return step.state != "moving" or step.name != "cancel"
    return step.state != "moving" or (step.words != before.words and step.name != "cancel")
