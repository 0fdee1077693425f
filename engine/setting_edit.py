"""Change one setting in its file: all of it or nothing, with every comment left where it is.

The new text is written beside the file, read back as a whole configuration, synced, and only then
put in the file's place by one rename.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import allowed_values, load_config, setting_places
from engine.errors import ConfigError
from engine.settings import Config

Number = int | float


@dataclass(frozen=True, slots=True)
class Edited:
    """A setting that was changed.

    Attributes
    ----------
    before : value until now, from the file or by default
    config : as it is read from the changed file
    place : `file.toml:line`
    """

    before: Number
    after: Number
    config: Config
    place: str


def edit_setting(
    path: Path,
    section: str,
    key: str,
    value: Number,
    *,
    expected: Number,
    env: Mapping[str, str] | None = None,
) -> Edited:
    """Change a number in a configuration file.

    Parameters
    ----------
    expected : what it is now; another value means that somebody else has changed it

    Returns
    -------
    Edited : after the file and its folder were synced

    Raises
    ------
    ConfigError : the file cannot be read, changed or written, an environment variable overrides
        the setting, somebody else has changed it, or the new value is not allowed; the file is
        as it was.
    """
    env = os.environ if env is None else env
    # A rename would put a file in place of a link.
    path = Path(os.path.realpath(path))
    variable = f"PADDOCK_{section}__{key}".upper()
    if variable in env:
        raise ConfigError(
            f"environment variable {variable} sets [{section}] {key}, whatever the file says: "
            "unset it and restart",
            variable=variable,
        )
    if not math.isfinite(value):
        needs = allowed_values(section, key)
        raise ConfigError(f"{path}: [{section}] {key} = {value} is not allowed: needs {needs}")
    found = getattr(getattr(load_config(path, env), section), key)
    if found != expected:
        raise ConfigError(
            f"{path}: [{section}] {key} is {found:g} now and not {expected:g}: look at it again",
            path=str(path),
        )
    try:
        old = path.read_bytes().decode()
        new = changed_text(old, section, key, value)
        config = _replace(path, old, new, env)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise ConfigError(
            f"{path}: cannot be written: {reason}; [{section}] {key} is still {found:g}",
            path=str(path),
        ) from exc
    place = setting_places(path, env).get((section, key), path.name)
    return Edited(found, value, config, place)


def changed_text(text: str, section: str, key: str, value: Number) -> str:
    """Return a TOML text with one number changed, or added where it was left to its default.

    Raises
    ------
    ConfigError : it is set in a way that is not understood here.
    """
    wanted = _values(text)
    is_set = key in wanted.get(section, {})
    wanted.setdefault(section, {})[key] = value
    lines = text.splitlines(keepends=True)
    place = _line_of(lines, section, key)
    end = "\r\n" if text.endswith("\r\n") else "\n"
    if place is not None:
        pattern = re.compile(r"^(\s*[^=]+=\s*)([^#\s]+)(.*)$", re.DOTALL)
        lines[place] = pattern.sub(rf"\g<1>{value!r}\g<3>", lines[place])
    elif not is_set:
        header = _header_of(lines, section)
        if header is None:
            if lines and not lines[-1].endswith("\n"):
                lines[-1] += end
            lines.append(f"{end}[{section}]{end}{key} = {value!r}{end}")
        else:
            if not lines[header].endswith("\n"):
                lines[header] += end
            lines.insert(header + 1, f"{key} = {value!r}{end}")
    new = "".join(lines)
    if _values(new) != wanted:
        raise ConfigError(
            f"[{section}] {key} is written in a way that is only changed by hand: e on screen 9"
        )
    return new


def _replace(path: Path, old: str, new: str, env: Mapping[str, str]) -> Config:
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with beside.open("xb") as handle:
            handle.write(new.encode())
            handle.flush()
            os.fchmod(handle.fileno(), path.stat().st_mode & 0o7777)
            os.fsync(handle.fileno())
        try:
            config = load_config(beside, env)
        except ConfigError as exc:
            raise ConfigError(exc.message.replace(str(beside), str(path)), **exc.fields) from exc
        if path.read_bytes().decode() != old:
            raise ConfigError(f"{path}: somebody else is changing it: look at it again")
        beside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return config


def _values(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"not valid TOML: {exc}") from exc


def _header_of(lines: list[str], section: str) -> int | None:
    pattern = re.compile(rf"^\s*\[\s*{re.escape(section)}\s*\]\s*(#.*)?$")
    return next((i for i, line in enumerate(lines) if pattern.match(line.rstrip("\r\n"))), None)


def _line_of(lines: list[str], section: str, key: str) -> int | None:
    """Return the line that sets `key` under its section's own header."""
    begin = _header_of(lines, section)
    if begin is None:
        return None
    for i in range(begin + 1, len(lines)):
        if lines[i].lstrip().startswith("["):
            return None
        if re.match(rf"^\s*{re.escape(key)}\s*=", lines[i]):
            return i
    return None
