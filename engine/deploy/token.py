"""The token that every question to a Worker carries: from the environment, or the home's own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from engine.deploy.workerd import TOKEN_VARIABLE
from engine.errors import ConfigError

FOLDER = "workers"
_FILE = "token"
_LEAST = 16


def workers_folder(home: Path) -> Path:
    """Return the folder of a home's bundles, processes and token."""
    return home / FOLDER


def worker_token(home: Path, environment: Mapping[str, str] | None = None) -> str:
    """Return the token: PADDOCK_WORKER_TOKEN, or one that was drawn for this home once.

    The home's own is in a file that only its owner reads. Never logged, never in the store.

    Raises
    ------
    ConfigError : one that is too short.
    """
    given = (os.environ if environment is None else environment).get(TOKEN_VARIABLE, "")
    if given:
        return _long_enough(given, TOKEN_VARIABLE)
    path = workers_folder(home) / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        path.chmod(0o600)
        return _long_enough(path.read_text(encoding="utf-8").strip(), str(path))
    with os.fdopen(handle, "w") as file:
        drawn = secrets.token_hex(32)
        file.write(drawn)
    return drawn


def _long_enough(token: str, place: str) -> str:
    if len(token) < _LEAST:
        raise ConfigError(f"{place}: a Worker's token has at least {_LEAST} characters: draw one")
    return token
