"""Structured logs: one line an event, UTC, with ids, without secrets.

stdout is data, so events go to stderr or to a file. A process calls `configure_log` once, at its
start; everything else asks `get_log` for a logger that already carries its ids.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.types import FilteringBoundLogger, Processor

from engine.clock import Clock, SystemClock
from engine.errors import ConfigError, PaddockError

HIDDEN = "(hidden)"

_SECRET_WORDS = ("key", "secret", "token", "password")
_PASSWORD_IN_ADDRESS = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@]+(?=@)", re.I)
_LINE_BREAKS = str.maketrans(
    {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), 127, 0x85)}
    | {"\u2028": "\\u2028", "\u2029": "\\u2029"}
)
_ALREADY_HELD = frozenset({"event", "level", "at", "error"})


def configure_log(
    form: Literal["json", "logfmt"] = "logfmt",
    *,
    path: Path | None = None,
    stream: TextIO | None = None,
    level: Literal["debug", "info", "warning", "error"] = "info",
    clock: Clock | None = None,
) -> TextIO:
    """Send this process's events to a file or a stream, one line each.

    Parameters
    ----------
    form : "logfmt" for people, "json" for machines
    path : Path, optional
        File to append to; its folder is made. Wins over `stream`.
    stream : TextIO, optional
        By default stderr.
    level : the lowest level that is written
    clock : Clock, optional
        Stamps each event; by default the machine's.

    Returns
    -------
    The stream that events go to; a file stays open until the caller or the process ends it.

    Raises
    ------
    ConfigError : the file cannot be opened.
    """
    out = _opened(path) if path is not None else (stream or sys.stderr)
    render: Processor = structlog.processors.JSONRenderer()
    if form == "logfmt":
        render = structlog.processors.LogfmtRenderer(
            key_order=["at", "level", "event"], bool_as_flag=False
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp(clock or SystemClock()),
            _error_fields,
            structlog.processors.format_exc_info,
            redact,
            *([_escape] if form == "logfmt" else []),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        # A cached logger would keep writing to the stream of before.
        cache_logger_on_first_use=False,
    )
    return out


def get_log(**ids: object) -> FilteringBoundLogger:
    """Return a logger that adds `ids` (cycle_id=..., order_id=...) to each of its events."""
    if not structlog.is_configured():
        # structlog's own default is stdout, which belongs to data.
        configure_log()
    return cast("FilteringBoundLogger", structlog.get_logger(**ids))


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Hide every value whose name speaks of a secret, and passwords inside addresses."""
    return {name: _redacted(name, value) for name, value in event.items()}


def _redacted(name: str, value: object) -> object:
    lowered = name.lower()
    if any(word in lowered for word in _SECRET_WORDS):
        return HIDDEN
    if isinstance(value, str):
        return _PASSWORD_IN_ADDRESS.sub(rf"\g<before>{HIDDEN}", value)
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), held) for key, held in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_redacted("", held) for held in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _redacted("", str(value))


def _stamp(clock: Clock) -> Processor:
    def stamp(_l: object, _m: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        instant = datetime.fromtimestamp(clock.now_at() / 1000, tz=UTC)
        event["at"] = instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event

    return stamp


def _error_fields(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Spell an error of ours out as its code, message and fields."""
    error = event.get("error")
    if isinstance(error, BaseException):
        event["error"] = str(error) or type(error).__name__
        event["error_type"] = type(error).__name__
    if isinstance(error, PaddockError):
        event["error_code"] = error.code
        for name, value in error.fields.items():
            if name not in _ALREADY_HELD:
                event.setdefault(name, value)
    return event


def _escape(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Keep one event on one line, whatever a message contains."""
    return {
        re.sub(r"\s", "_", name): value.translate(_LINE_BREAKS) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _opened(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise ConfigError(f"{path}: cannot write the log: {reason}", path=str(path)) from exc
