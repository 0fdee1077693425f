"""Where one console or command works: its configuration, home, latch and clock."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.clock import Clock, SystemClock
from engine.risk.latch import Latch
from engine.trade.accounts import PAPER, account_latch, latched_accounts

if TYPE_CHECKING:
    from engine.config import Config
    from engine.store.database import Store


@dataclass(frozen=True, slots=True)
class Session:
    """The configuration that was read, and what follows from it.

    Attributes
    ----------
    config : Config
    config_path : Path, the file it came from, None when it was made in memory
    clock : Clock
    """

    config: Config
    config_path: Path | None
    clock: Clock = field(default_factory=SystemClock)

    @property
    def is_recorded(self) -> bool:
        """Return whether a recording is played: then there is no home to run anything in."""
        return False

    @property
    def home(self) -> Path:
        """Return the folder that state lives in."""
        return self.config.paths.home

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return the accounts that exist, and those that an earlier configuration had."""
        return latched_accounts(self.home, self.config.trading.live_exchange)

    @property
    def latch(self) -> Latch:
        """Return the latch of the paper account."""
        return self.latch_of(PAPER)

    def latch_of(self, account: str) -> Latch:
        """Return the latch of an account."""
        return account_latch(self.home, account)

    def shown(self, words: str) -> str:
        """Return words for the screen: the home folder by its name alone."""
        return words.replace(str(self.home), self.home.name)

    @property
    def database_url(self) -> str:
        """Return the address of the store."""
        from engine.config import database_url

        return database_url(self.config)

    def has_database(self) -> bool:
        """Return whether there is a database to open; a server's is taken to be there."""
        from engine.store.database import DATABASE_NAME

        return bool(self.config.database.url) or (self.home / DATABASE_NAME).exists()

    async def open_store(self, *, read_only: bool) -> Store:
        """Open the store; for writing it is created and brought up to date.

        Raises
        ------
        StoreError : missing (read only), locked, damaged, of a newer version.
        """
        from engine.store.database import Store

        settings = self.config.database
        return await Store.open(
            self.database_url,
            read_only=read_only,
            create=not read_only,
            pool_size=2,
            max_overflow=2,
            pool_timeout_s=settings.pool_timeout_s,
            pool_recycle_s=settings.pool_recycle_s,
            busy_timeout_s=2.0,
        )


def open_session(config_path: Path | None) -> Session:
    """Read the configuration.

    Raises
    ------
    ConfigError : it cannot be read, or says something it may not.
    """
    from engine.config import config_file, load_config

    return Session(load_config(config_path), config_file(config_path))


def operator() -> str:
    """Return who is at the keyboard, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "operator"
