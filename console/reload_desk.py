"""Read the settings again: what may change now is applied, the rest is told to wait.

Limits go the way of screen 7: less risk with a yes, more with a typed name, a reason and a record.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from textual.content import Content

from console.limit_change import lets_more_pass
from console.limit_desk import LimitDesk
from console.screens.typed import TypedQuestion
from console.session import operator
from console.setting_rows import HOT_SECTION, SettingRow, SettingsView, read_settings
from console.theme import THEME_NAMES

if TYPE_CHECKING:
    from console.app import PaddockApp

_LIMITS = "limits"
_MOST_LINES = 14


class ReloadDesk:
    """Ask, and apply.

    Parameters
    ----------
    app : PaddockApp
    """

    def __init__(self, app: PaddockApp) -> None:
        self._app = app

    async def reload(self) -> None:
        """Read the file and the environment again, and apply what may change now."""
        view = await asyncio.to_thread(read_settings, self._app.session, None)
        if view.problem:
            self._app.say(f"nothing was changed: {view.problem}", "error")
            return
        changed = [row for row in view.rows if not row.is_same]
        if not changed:
            self._app.say("nothing has changed in the file and the environment")
            return
        hot = [row for row in changed if row.section == HOT_SECTION]
        limits = [row for row in changed if row.section == _LIMITS]
        cold = [row for row in changed if row not in hot and row not in limits]
        lines = [f"now: {_change(row)}" for row in (*hot, *limits)]
        lines += [f"with a restart of console and runtime: {_change(row)}" for row in cold]
        if not await self._is_wanted(view, limits, lines[:_MOST_LINES]):
            return
        config = self._app.session.config.model_copy(
            update={HOT_SECTION: view.config.console, _LIMITS: view.config.limits}
        )
        self._app.session = replace(self._app.session, config=config)
        if hot:
            self._app.theme = THEME_NAMES.get(view.config.console.theme, "paddock")
            self._app.apply_poll(view.config.console.poll_s)
        if limits:
            words = ", ".join(f"{row.key} {row.running} → {row.value}" for row in limits)
            values = view.config.limits.model_dump(mode="json")
            await LimitDesk(self._app).apply(values, f"{words}: from the file")
            return
        waits = f"; {len(cold)} wait for a restart" if cold else ""
        self._app.say(f"{len(hot)} applied{waits}", "ok")

    async def _is_wanted(
        self, view: SettingsView, limits: list[SettingRow], lines: list[str]
    ) -> bool:
        looser = self._looser(view, limits)
        if not looser:
            is_wanted = await self._app.questions.is_confirmed("Reload?", lines, "Reload")
            if is_wanted and limits:
                await self._record(limits, "applied with a key")
            return is_wanted
        question = TypedQuestion(
            title="Reload, and let more pass?",
            effects=[
                *map(Content, lines),
                Content.styled(f"▲ More can be lost: {', '.join(looser)}", "$warning"),
            ],
            verb="Reload",
            name=_LIMITS,
            asks_reason=True,
        )
        answer = await self._app.questions.typed(question)
        if answer is None:
            return False
        if problem := await self._record(limits, answer.reason):
            self._app.say(f"nothing was applied, for it cannot be recorded: {problem}", "error")
            return False
        return True

    def _looser(self, view: SettingsView, limits: list[SettingRow]) -> list[str]:
        """Return the limits that would let more pass; one that is no number counts as such."""
        old, new = self._app.session.config.limits, view.config.limits
        found = []
        for row in limits:
            before, after = getattr(old, row.key), getattr(new, row.key)
            is_number = isinstance(before, int | float) and isinstance(after, int | float)
            if not is_number or lets_more_pass(row.key, before, after):
                found.append(row.key)
        return found

    async def _record(self, limits: list[SettingRow], reason: str) -> str:
        from engine.store.events import Event

        who, at = operator(), self._app.clock.now_at()
        words = ", ".join(f"{row.key} {row.running} → {row.value}" for row in limits)
        fields = {
            "who": who,
            "before": {row.key: row.running for row in limits},
            "after": {row.key: row.value for row in limits},
            "reason": reason,
        }
        told = f"limits of the file applied by {who}: {words}: {reason}"
        return await self._app.tell(Event(at, "warn", "risk.limit", told, "limits", fields=fields))


def _change(row: SettingRow) -> str:
    return f"[{row.section}] {row.key}: {row.running} → {row.value}"
