"""Where the simulated exchange of a home answers, and with which keys: one file for its clients."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import StoreError

FOLDER_NAME = "exchange"
FILE_NAME = "endpoint.json"
_KEYS_NAME = "keys.json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a client needs to know.

    Attributes
    ----------
    url : scheme, host and port
    pid, started_at : of the process; started_at in UTC ms, by this machine's clock
    api_key, secret : of the one account
    market_type : "spot" or "perp": which of Binance's two interfaces is spoken
    exchange_name : ccxt id for our live adapter, `binance` or `binance-perp`
    label : GENERATED, STORE or LIVE, where the prices come from
    speed : simulated seconds a second
    """

    url: str
    pid: int
    started_at: int
    api_key: str
    secret: str
    market_type: str
    exchange_name: str
    label: str
    speed: float

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, pid={self.pid}, market_type={self.market_type!r})"


def exchange_folder(home: Path) -> Path:
    """Return the folder of a home's simulated exchange."""
    return home / FOLDER_NAME


def read_endpoint(home: Path) -> Endpoint | None:
    """Return what the file says, None when it is missing or cannot be read."""
    try:
        return Endpoint(**json.loads((exchange_folder(home) / FILE_NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_endpoint(home: Path, endpoint: Endpoint) -> None:
    """Publish where the exchange answers, for its owner's eyes only."""
    _write_private(exchange_folder(home) / FILE_NAME, asdict(endpoint))


def remove_endpoint(home: Path) -> None:
    """Say that nothing answers any more."""
    (exchange_folder(home) / FILE_NAME).unlink(missing_ok=True)


def account_keys(home: Path) -> tuple[str, str]:
    """Return key and secret of the account, made when there are none yet.

    Raises
    ------
    StoreError : the file cannot be read or written.
    """
    path = exchange_folder(home) / _KEYS_NAME
    try:
        told = json.loads(path.read_text())
        return str(told["api_key"]), str(told["secret"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise StoreError(f"the simulated exchange's keys in {path} cannot be read: {exc}") from exc
    keys = secrets.token_hex(32), secrets.token_hex(32)
    _write_private(path, {"api_key": keys[0], "secret": keys[1]})
    return keys


def _write_private(path: Path, told: dict[str, object]) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(json.dumps(told, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as exc:
        raise StoreError(f"{path} cannot be written: {exc.strerror or exc}") from exc
