"""What became of the commands this console asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.store.commands import CommandRow

_LEVELS = {"done": "ok", "refused": "warn", "failed": "error"}


class Outcomes:
    """Remember what was asked for until it is answered; each answer is told once."""

    def __init__(self) -> None:
        self._waiting: set[int] = set()

    def expect(self, command_id: int) -> None:
        """Wait for the answer to a command."""
        self._waiting.add(command_id)

    def settled(self, commands: Sequence[CommandRow]) -> list[tuple[str, str]]:
        """Return (sentence, level) of the answers that have come, oldest first."""
        answered = [
            row for row in commands if row.id in self._waiting and row.finished_at is not None
        ]
        self._waiting.difference_update(row.id for row in answered)
        return [_told(row) for row in sorted(answered, key=lambda row: row.id)]


def asked_words(name: str, numbers: Sequence[int]) -> str:
    """Return what was asked for, in a sentence."""
    if len(numbers) == 1:
        outcome = "its outcome is told here and on screen 1"
        return f"asked for {name} (request {numbers[0]}); {outcome}"
    return (
        f"asked for {name} {len(numbers)} times (requests {numbers[0]} to {numbers[-1]}); "
        "the outcomes are told here and on screen 1"
    )


def _told(row: CommandRow) -> tuple[str, str]:
    words = row.reason
    if not words and isinstance(row.result, dict):
        words = _result_words(row.result)
    sentence = f"{row.name} (request {row.id}): {row.status}{f', {words}' if words else ''}"
    return sentence, _LEVELS.get(row.status, "info")


def _result_words(result: dict[str, object]) -> str:
    if result.get("from") and result.get("to"):
        return f"{result['from']} → {result['to']}"
    told = result.get("message") or result.get("words") or result.get("state")
    return str(told) if told else ""
