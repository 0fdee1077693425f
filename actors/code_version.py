"""Which code a runtime runs."""

from __future__ import annotations

import tomllib
from pathlib import Path

_PROJECT_FILE = Path(__file__).resolve().parents[1] / "pyproject.toml"


def code_version() -> str:
    """Return the project's version, such as `0.1.0`."""
    try:
        return str(tomllib.loads(_PROJECT_FILE.read_text())["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "0"
