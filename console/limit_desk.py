"""Change a limit: into its file first, then into the officer that is at work.

Less risk needs a yes, more its name and a reason. What cannot be recorded is not raised; what
could not be written leaves the file as it was.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from textual.content import Content

from console.limit_change import LimitRow, Number, lets_more_pass, limit_rows, limit_text
from console.screens.limit import LimitScreen
from console.screens.typed import TypedQuestion
from console.session import operator
from engine.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from console.app import PaddockApp
    from engine.config import Config

_SECTION = "limits"


class LimitDesk:
    """Questions about limits, and what follows.

    Parameters
    ----------
    app : PaddockApp
    """

    def __init__(self, app: PaddockApp) -> None:
        self._app = app

    def edit(self) -> None:
        """Change one limit."""
        if self._app.is_allowed("limit.edit"):
            self._app.questions.begin(self._edit())

    async def apply(self, limits: dict[str, Any], words: str) -> None:
        """Ask the runtime, if there is one, to trade under the limits that the file has now."""
        snapshot = self._app.snapshot
        if snapshot is None or snapshot.runtime.word == "down":
            self._app.say(f"{words}: in the file; the runtime takes it when it starts", "ok")
            return
        await self._app.send("limits.apply", {"limits": limits, "words": words})

    async def _edit(self) -> None:
        path = self._app.session.config_path
        if path is None:
            self._app.say("there is no file: the settings were made in memory", "warn")
            return
        try:
            config = await asyncio.to_thread(_load, path)
        except ConfigError as exc:
            problem = exc.message.replace(str(path), path.name)
            self._app.say(f"no limit can be changed: {problem}", "error")
            return
        rows = limit_rows(config.limits, self._in_force())
        wish = await self._app.push_screen_wait(LimitScreen(rows))
        if wish is None:
            await self._app.record("limit.edit", "cancelled", "no limit was changed")
            return
        row, value = wish
        is_raise = lets_more_pass(row.key, stricter_of(row), value)
        reason = await self._confirmed(row, value, is_raise=is_raise)
        if reason is not None:
            await self._change(path, row, value, reason)

    async def _confirmed(self, row: LimitRow, value: Number, *, is_raise: bool) -> str | None:
        """Return the reason, None without a yes."""
        shown = f"{limit_text(row.in_file, row.unit)} → {limit_text(value, row.unit)}"
        effects = [f"[limits] {row.key}: {shown} ({row.unit})", row.words, *self._effects()]
        if not is_raise:
            title = f"Lower {row.key} to {limit_text(value, row.unit)}?"
            is_wanted = await self._app.questions.is_confirmed(title, effects, "Lower")
            return "lowered with a key" if is_wanted else None
        question = TypedQuestion(
            title=f"Raise {row.key} to {limit_text(value, row.unit)}?",
            effects=[
                *map(Content, effects),
                Content.styled("▲ More can be lost than the limit let pass until now.", "$warning"),
            ],
            verb="Raise",
            name=row.key,
            asks_reason=True,
        )
        answer = await self._app.questions.typed(question)
        if answer is None:
            return None
        wanted = f"wants {row.key} {shown}: {answer.reason}"
        if problem := await self._record(row, value, "asked", wanted, answer.reason):
            self._app.say(f"not raised, for it cannot be recorded: {problem}", "error")
            return None
        return answer.reason

    async def _change(self, path: Path, row: LimitRow, value: Number, reason: str) -> None:
        shown = f"{row.key} {limit_text(row.in_file, row.unit)} → {limit_text(value, row.unit)}"
        try:
            config = await asyncio.to_thread(_write, path, row, value)
        except ConfigError as exc:
            problem = exc.message.replace(str(path), path.name)
            self._app.say(f"nothing was changed: {problem}", "error")
            await self._record(row, value, "failed", f"{shown}: {problem}", reason)
            return
        session = self._app.session
        own = session.config.model_copy(update={_SECTION: config.limits})
        self._app.session = replace(session, config=own)
        words = f"{shown}: {reason}"
        problem = await self._record(row, value, "changed", words, reason)
        await self.apply(config.limits.model_dump(mode="json"), words)
        if problem:
            self._app.say(f"{shown} stands, but could not be recorded: {problem}", "warn")

    async def _record(
        self, row: LimitRow, value: Number, result: str, words: str, reason: str
    ) -> str:
        from engine.store.events import Event

        who = operator()
        fields = {
            "who": who,
            "what": row.key,
            "before": row.in_file,
            "after": value,
            "reason": reason,
            "result": result,
        }
        at = self._app.clock.now_at()
        level = "warn" if result == "changed" else "info"
        told = f"limit {result} by {who}: {words}"
        return await self._app.tell(Event(at, level, "risk.limit", told, "limits", fields=fields))

    def _effects(self) -> list[str]:
        snapshot = self._app.snapshot
        if snapshot is None or snapshot.runtime.word == "down":
            return ["The file is written; the runtime takes it when it starts."]
        return [
            "The file is written; then the traders start anew with it, in seconds.",
            "Stops at the exchange stay meanwhile. Cycles use it after a restart.",
        ]

    def _in_force(self) -> dict[str, float]:
        snapshot = self._app.snapshot
        row = None if snapshot is None else snapshot.account_row
        return {} if row is None else {use.rule: use.limit for use in row.detail.limits}


def stricter_of(row: LimitRow) -> Number:
    """Return the stricter of what the file has and what is in force: what counts as now."""
    if row.in_force is None:
        return row.in_file
    return row.in_force if lets_more_pass(row.key, row.in_force, row.in_file) else row.in_file


def _load(path: Path) -> Config:
    from engine.config import load_config

    return load_config(path)


def _write(path: Path, row: LimitRow, value: Number) -> Config:
    from engine.setting_edit import edit_setting

    if value == row.in_file:
        # The file has it already; the officer does not.
        return _load(path)
    return edit_setting(path, _SECTION, row.key, value, expected=row.in_file).config
