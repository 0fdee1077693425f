"""Every setting with its value, its unit, where it is set, and what the console runs with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.session import Session
    from engine.config import Config

SECRETS = {
    "live API key": ("PADDOCK_LIVE_API_KEY",),
    "live API secret": ("PADDOCK_LIVE_API_SECRET",),
    "live API password": ("PADDOCK_LIVE_API_PASSWORD",),
    "kill switch's API key": ("PADDOCK_LIVE_KILL_API_KEY",),
    "kill switch's API secret": ("PADDOCK_LIVE_KILL_API_SECRET",),
    "kill switch's API password": ("PADDOCK_LIVE_KILL_API_PASSWORD",),
    "language model's key": ("PADDOCK_OPENAI_API_KEY", "OPENAI_API_KEY"),
    "Cloudflare's token": ("PADDOCK_CLOUDFLARE_API_TOKEN",),
}
# What may change while the console runs; everything else is read once, at the start.
HOT_SECTION = "console"
_HIDDEN_KEYS = (("database", "url"), ("alerts", "urls"))


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting.

    Attributes
    ----------
    value : as the file and the environment have it now
    source : file:line, environment variable, or `default`
    running : what this console was started with
    """

    section: str
    key: str
    value: str
    unit: str
    source: str
    running: str
    is_default: bool

    @property
    def is_same(self) -> bool:
        """Return whether the console runs with what is set now."""
        return self.value == self.running


@dataclass(frozen=True, slots=True)
class SettingsView:
    """All of them, by section.

    Attributes
    ----------
    problem : why the file could not be read now, empty when it could
    is_newer : whether the file was changed after the runtime started
    """

    rows: tuple[SettingRow, ...]
    config: Config
    problem: str
    is_newer: bool

    @property
    def sections(self) -> tuple[str, ...]:
        """Return the names of the sections, in the file's order."""
        return tuple(dict.fromkeys(row.section for row in self.rows))


def read_settings(session: Session, runtime_started_at: int | None) -> SettingsView:
    """Read the file and the environment again; nothing is applied."""
    from engine.config import load_config, setting_places
    from engine.errors import ConfigError
    from engine.settings import Config

    problem = ""
    config, places = session.config, {}
    if session.config_path is not None:
        try:
            config = load_config(session.config_path)
            places = setting_places(session.config_path)
        except ConfigError as exc:
            problem = str(exc)
    return SettingsView(
        rows=setting_rows(config, session.config, Config(), places),
        config=config,
        problem=problem,
        is_newer=_is_newer(session.config_path, runtime_started_at),
    )


def setting_rows(
    now: Config, running: Config, defaults: Config, places: Mapping[tuple[str, str], str]
) -> tuple[SettingRow, ...]:
    """Return a row for every setting."""
    from engine.config import setting_unit

    rows: list[SettingRow] = []
    for section in type(now).model_fields:
        mine, theirs, usual = (getattr(c, section) for c in (now, running, defaults))
        for key in type(mine).model_fields:
            is_hidden = (section, key) in _HIDDEN_KEYS
            value, used, default = (
                _text(getattr(part, key), is_hidden) for part in (mine, theirs, usual)
            )
            rows.append(
                SettingRow(
                    section=section,
                    key=key,
                    value=value,
                    unit=setting_unit(section, key),
                    source=places.get((section, key), "default"),
                    running=used,
                    is_default=value == default,
                )
            )
    return tuple(rows)


def secrets_set(environment: Mapping[str, str] | None = None) -> dict[str, tuple[bool, str]]:
    """Return, for each secret, whether it is set and by which variable; never its value."""
    env = os.environ if environment is None else environment
    found: dict[str, tuple[bool, str]] = {}
    for name, variables in SECRETS.items():
        used = next((variable for variable in variables if env.get(variable)), "")
        found[name] = (bool(used), used or variables[0])
    return found


def _text(value: Any, is_hidden: bool) -> str:
    if is_hidden:
        # An address may hold a password.
        return "set, never shown" if value else "unset"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:_}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return " ".join(f"{name}={text}" for name, text in value.items()) or "(none)"
    if isinstance(value, tuple | list):
        return " ".join(str(part) for part in value) or "(none)"
    return str(value) if str(value) else "(empty)"


def _is_newer(path: Path | None, started_at: int | None) -> bool:
    if path is None or not started_at:
        return False
    try:
        return path.stat().st_mtime * 1000 > started_at
    except OSError:
        return False
