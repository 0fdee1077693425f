"""Read the settings once: config.toml, then `PADDOCK_SECTION__KEY`, into frozen models.

What is unknown, of the wrong type or out of range is refused with the file and line, the key, the
nearest key that exists, and what would be allowed. Nothing changes a configuration afterwards.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from engine.errors import ConfigError
from engine.setting import Section
from engine.settings import Config, Paths

__all__ = [
    "Config",
    "allowed_values",
    "config_file",
    "config_hash",
    "database_url",
    "load_config",
    "setting_places",
    "setting_unit",
    "table_place",
    "with_settings",
]

PROJECT_CONFIG = Path(__file__).resolve().parents[1] / "config.toml"

_PREFIX = "PADDOCK_"
_CONFIG_VARIABLE = "PADDOCK_CONFIG"
_HASHED_SECTIONS = (
    "market",
    "generated",
    "cycle",
    "genetic",
    "patterns",
    "language_model",
    "evolve",
    "backtest",
    "screen",
    "paper",
    "live",
    "limits",
    "pools",
)
# When and how patiently a cycle runs does not change what it finds.
_UNHASHED_KEYS = {
    "cycle": {"schedule", "schedule_enabled", "time_limit_s", "max_llm_in_flight"},
    "language_model": {"base_url", "timeout_s", "retries", "patience_s"},
}
_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_TYPE_WORDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    Path: "a folder in quotes",
    tuple: "a list of texts",
    dict: "a table of texts",
}

Table = dict[str, Any]


@dataclass
class _Source:
    """Raw values of one file and the environment, and where each came from."""

    path: Path
    text: str = ""
    values: Table = field(default_factory=dict)
    variables: dict[tuple[str, str], str] = field(default_factory=dict)

    def place(self, section: str, key: str) -> tuple[int, str]:
        """Return a line to sort by and the place in words."""
        variable = self.variables.get((section, key))
        if variable:
            return 0, f"environment variable {variable}"
        line = _line_of(self.text, section, key)
        return line, f"{self.path}:{line}"


def config_file(path: Path | None = None, env: Mapping[str, str] | None = None) -> Path:
    """Return the file that `load_config` reads.

    The first of: `path`, `PADDOCK_CONFIG`, `./config.toml`, the project's own config.toml.
    """
    env = os.environ if env is None else env
    if path is not None:
        return path.expanduser().absolute()
    named = env.get(_CONFIG_VARIABLE, "")
    if named:
        return Path(named).expanduser().absolute()
    local = Path.cwd() / "config.toml"
    return local if local.is_file() else PROJECT_CONFIG


def load_config(path: Path | None = None, env: Mapping[str, str] | None = None) -> Config:
    """Read, check and freeze the settings.

    Parameters
    ----------
    path : Path, optional
        The file to read; by default the one `config_file` finds.
    env : mapping, optional
        The environment; by default the process's own. `PADDOCK_CYCLE__COUNT=50` overrides
        `[cycle] count`; a value is read as TOML, else taken as text.

    Returns
    -------
    Config, its relative folders anchored to the folder of the file that was read.

    Raises
    ------
    ConfigError : an unreadable or invalid file, an unknown key, a wrong type, a value out of
        range. One line, naming file:line or the variable, the key and what is allowed.
    """
    env = os.environ if env is None else env
    source = _read(config_file(path, env))
    _apply_environment(source, env)
    try:
        config = Config.model_validate(_listed_as_tuples(source.values))
    except ValidationError as exc:
        raise _explain(exc, source.place) from exc
    return _anchored(config, source.path.parent)


def setting_places(
    path: Path | None = None, env: Mapping[str, str] | None = None
) -> dict[tuple[str, str], str]:
    """Return where each (section, key) that is set somewhere is set; the others are defaults.

    Returns
    -------
    dict of `file.toml:line` or `env PADDOCK_SECTION__KEY`

    Raises
    ------
    ConfigError : an unreadable file, or one that is not TOML.
    """
    env = os.environ if env is None else env
    source = _read(config_file(path, env))
    _apply_environment(source, env)
    places: dict[tuple[str, str], str] = {}
    for section, keys in source.values.items():
        for key in keys if isinstance(keys, dict) else ():
            variable = source.variables.get((section, key))
            line = _line_of(source.text, section, key)
            places[section, key] = f"env {variable}" if variable else f"{source.path.name}:{line}"
    return places


def table_place(path: Path, table: str, key: str) -> str:
    """Return where a key of a table stands, as file:line, or the variable that gave the table.

    Parameters
    ----------
    table : name of the table, as `console.keys`
    """
    section, _, name = table.partition(".")
    variable = f"{_PREFIX}{section}__{name}".upper()
    if variable in os.environ:
        return f"environment variable {variable}"
    text = _read(path).text
    line = _line_of(text, table, key)
    # The table may as well stand in one line of its section.
    return f"{path}:{line if line > 1 else _line_of(text, section, name)}"


def setting_unit(section: str, key: str) -> str:
    """Return the unit of a setting, empty when it has none.

    Raises
    ------
    KeyError : no such setting.
    """
    return _unit(_sections()[section].model_fields[key])


def with_settings(config: Config, changes: Mapping[str, Mapping[str, Any]], origin: str) -> Config:
    """Return a checked copy of `config` with some settings replaced.

    Parameters
    ----------
    changes : section to key to value, as in {"cycle": {"count": 50}}
    origin : str
        Where the changes come from, in words for the error: "command line".

    Raises
    ------
    ConfigError : as `load_config`.
    """
    values: Table = config.model_dump()
    for section, keys in changes.items():
        values.setdefault(section, {}).update(keys)
    moved = changes.get("paths", {})
    if "home" in moved and "store" not in moved:
        if config.paths.store == config.paths.home / "market":
            values["paths"]["store"] = ""
    try:
        return Config.model_validate(_listed_as_tuples(values))
    except ValidationError as exc:
        raise _explain(exc, lambda _section, _key: (0, origin)) from exc


def config_hash(config: Config) -> str:
    """Return the SHA-256 (hex) of the settings that influence results, as canonical JSON.

    Places, database, runtime, fetching, console and the schedule stay out: the same cycle on
    another machine, or with another number of workers, has the same hash.
    """
    kept = config.model_dump(mode="json", include=set(_HASHED_SECTIONS), exclude=_UNHASHED_KEYS)
    canonical = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def database_url(config: Config) -> str:
    """Return the database address: the one configured, else SQLite in the home folder."""
    return config.database.url or f"sqlite+aiosqlite:///{config.paths.home / 'paddock.db'}"


def allowed_values(section: str, key: str) -> str:
    """Say which values a setting takes: type, range and unit, as 'a number, > 0 (s)'.

    Raises
    ------
    KeyError : no such setting.
    """
    info = _sections()[section].model_fields[key]
    choices = [repr(choice) for choice in get_args(info.annotation) if isinstance(choice, str)]
    if choices:
        return "one of " + ", ".join(choices).replace("'", '"')
    kind = next(k for k in _TYPE_WORDS if k is info.annotation or k in _origins(info))
    bounds = [
        f"{sign} {getattr(rule, name):g}"
        for rule in info.metadata
        for name, sign in _BOUNDS.items()
        if hasattr(rule, name)
    ]
    words = ", ".join([_TYPE_WORDS[kind], " and ".join(bounds)] if bounds else [_TYPE_WORDS[kind]])
    unit = _unit(info)
    return words if unit in {"", words} else f"{words} ({unit})"


def _origins(info: FieldInfo) -> tuple[object, ...]:
    return (getattr(info.annotation, "__origin__", None),)


def _unit(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    return str(extra["unit"]) if isinstance(extra, dict) and "unit" in extra else ""


def _sections() -> dict[str, type[Section]]:
    return {name: type(info.default) for name, info in Config.model_fields.items()}


def _read(path: Path) -> _Source:
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as exc:
        raise ConfigError(
            f"{path}: no such configuration file; copy the project's config.toml there, "
            f"or point {_CONFIG_VARIABLE} at yours",
            path=str(path),
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not UTF-8 text; save it as UTF-8", path=str(path)) from exc
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise ConfigError(f"{path}: cannot be read: {reason}", path=str(path)) from exc
    try:
        return _Source(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        found = re.search(r"at line (\d+)", str(exc))
        line = int(found[1]) if found else text.count("\n") + 1
        raise ConfigError(
            f"{path}:{line}: not valid TOML: {exc}", path=str(path), line=line
        ) from exc


def _line_of(text: str, section: str, key: str) -> int:
    """Return the line that sets `key`, else the section's header, else 1."""
    current, header = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        opening = re.match(r"\s*\[+\s*([^\]#]+?)\s*\]", line)
        if opening:
            current = opening[1].strip("\"'")
            if current == section:
                header = number
            continue
        name = re.match(r"\s*([^=#]+?)\s*=", line)
        if not name:
            continue
        dotted = ".".join(part.strip().strip("\"'") for part in name[1].split("."))
        full = f"{current}.{dotted}" if current else dotted
        if full == (f"{section}.{key}" if key else section):
            return number
        if not header and full.split(".")[0] == section:
            header = number
    return header or 1


def _apply_environment(source: _Source, env: Mapping[str, str]) -> None:
    sections = _sections()
    flat = {f"{_PREFIX}{s}_{k}".upper(): (s, k) for s in sections for k in sections[s].model_fields}
    for variable, text in env.items():
        if not variable.startswith(_PREFIX) or variable == _CONFIG_VARIABLE:
            continue
        section, two, key = variable.removeprefix(_PREFIX).lower().partition("__")
        if not two:
            if variable in flat:
                right = "__".join(flat[variable])
                raise ConfigError(
                    f"environment variable {variable}: did you mean {_PREFIX}{right.upper()}?",
                    variable=variable,
                )
            continue
        source.variables[(section, key)] = variable
        if section not in sections or key not in sections[section].model_fields:
            raise _unknown(section, key, f"environment variable {variable}")
        table = source.values.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = _literal(text, sections[section].model_fields[key])


def _literal(text: str, info: FieldInfo) -> object:
    """Read an environment value as TOML where the setting is not plain text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    if set(parsed) != {"value"}:
        return text
    value: object = parsed["value"]
    # A folder named 2024 is text, whatever TOML makes of it.
    is_text = info.annotation in {str, Path} or bool(get_args(info.annotation)[:1] == ("",))
    return text if is_text and not isinstance(value, str) else value


def _listed_as_tuples(values: Table) -> Table:
    return {
        section: {k: tuple(v) if isinstance(v, list) else v for k, v in keys.items()}
        if isinstance(keys, dict)
        else keys
        for section, keys in values.items()
    }


def _anchored(config: Config, folder: Path) -> Config:
    paths = {
        name: Path(os.path.normpath(folder / getattr(config.paths, name).expanduser()))
        for name in Paths.model_fields
    }
    return config.model_copy(update={"paths": Paths(**paths)})


def _explain(error: ValidationError, place: Callable[[str, str], tuple[int, str]]) -> ConfigError:
    """Turn the first finding, by place, into one sentence."""
    found: list[tuple[int, ConfigError]] = []
    for detail in error.errors(include_url=False):
        location = [str(part) for part in detail["loc"]] + ["", ""]
        section = location[0]
        key = location[1] or str(detail.get("ctx", {}).get("key", ""))
        line, where = place(section, key)
        found.append((line, _finding(section, key, where, dict(detail))))
    found.sort(key=lambda pair: pair[0])
    first = found[0][1]
    if len(found) > 1:
        return ConfigError(f"{first.message} (and {len(found) - 1} more)", **first.fields)
    return first


def _finding(section: str, key: str, where: str, detail: Table) -> ConfigError:
    if detail["type"] == "extra_forbidden":
        return _unknown(section, key, where, detail["input"])
    facts = {"place": where, "section": section, "key": key}
    if not key:
        return ConfigError(f"{where}: [{section}] must be a section of settings", **facts)
    if detail["type"] == "clash":
        return ConfigError(f"{where}: [{section}] {detail['msg']}", **facts)
    if detail["type"] == "value_error":
        reason = str(detail["ctx"]["error"])
        return ConfigError(f"{where}: [{section}] {key}: {reason}", **facts)
    # An address may hold a password, and this sentence may reach a log.
    value = "(hidden)" if section == "database" and key == "url" else _shown(detail["input"])
    allowed = allowed_values(section, key)
    return ConfigError(
        f"{where}: [{section}] {key} = {value} is not allowed: needs {allowed}",
        value=value,
        allowed=allowed,
        **facts,
    )


def _shown(value: object) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    try:
        return json.dumps(plain)
    except TypeError:
        return str(plain)


def _unknown(section: str, key: str, where: str, value: object = None) -> ConfigError:
    """Name what does not exist, and the nearest thing that does."""
    sections = _sections()
    homes = {k: s for s in sections for k in sections[s].model_fields}
    facts: Table = {"place": where, "section": section, "key": key}
    if section not in sections:
        if not isinstance(value, dict) and section in homes and not key:
            hint = f"it belongs under [{homes[section]}]"
            return ConfigError(f"{where}: {section!r} stands in no section: {hint}", **facts)
        near = _nearest(section, sections)
        facts["nearest"] = near
        return ConfigError(f"{where}: unknown section [{section}]; nearest: [{near}]", **facts)
    if key in homes:
        facts["nearest"] = f"{homes[key]}.{key}"
        hint = f"{key} belongs to [{homes[key]}]"
    else:
        facts["nearest"] = _nearest(key, sections[section].model_fields)
        hint = f"nearest: {facts['nearest']}"
    return ConfigError(f"{where}: unknown setting {key!r} in [{section}]; {hint}", **facts)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]
