"""The accounts of a home: their names, their folders, their latches.

Light on purpose: whoever halts imports this and the latch, and nothing else of the money path.
"""

from __future__ import annotations

import socket
from pathlib import Path

from engine.errors import UsageError
from engine.risk.latch import ARMED_FILE, Latch

PAPER = "paper"
LIVE = "live"
ACCOUNTS = (PAPER, LIVE)
ALL = "all"

_LATCH_FOLDERS = {PAPER: "halt", LIVE: "halt-live"}


def account_names(live_exchange: str) -> tuple[str, ...]:
    """Return the accounts that exist: paper always, live when it has an exchange.

    Parameters
    ----------
    live_exchange : [trading] live_exchange
    """
    return ACCOUNTS if live_exchange else (PAPER,)


def account_folder(home: Path, account: str) -> Path:
    """Return the folder of an account's journal and records.

    Raises
    ------
    UsageError : no such account.
    """
    return home / "accounts" / _known(account)


def latch_folder(home: Path, account: str) -> Path:
    """Return the folder of an account's latch.

    Raises
    ------
    UsageError : no such account.
    """
    return home / _LATCH_FOLDERS[_known(account)]


def account_latch(home: Path, account: str, *, host: str | None = None, epoch: int = 0) -> Latch:
    """Return the latch of an account.

    Parameters
    ----------
    host : where the account's gateway runs; by default this machine
    epoch : the account's life; see `Latch`

    Raises
    ------
    UsageError : no such account.
    """
    return Latch(latch_folder(home, account), account, host or socket.gethostname(), epoch)


def latched_accounts(home: Path, live_exchange: str) -> tuple[str, ...]:
    """Return the accounts that halting everything has to latch.

    An account that was configured once may still be traded by a process that read that
    configuration: its journal, or a latch that is armed, is enough.
    """
    known = account_names(live_exchange)
    return tuple(name for name in ACCOUNTS if name in known or _has_traces(home, name))


def chosen_accounts(choice: str, home: Path, live_exchange: str) -> tuple[str, ...]:
    """Return the accounts that an `--account` option names.

    Raises
    ------
    UsageError : no such account, or one without an exchange.
    """
    if choice == ALL:
        return latched_accounts(home, live_exchange)
    if _known(choice) in latched_accounts(home, live_exchange):
        return (choice,)
    raise UsageError(
        f"there is no account {choice} here: [trading] live_exchange is empty; name a ccxt "
        "exchange there first",
        account=choice,
    )


def _has_traces(home: Path, account: str) -> bool:
    armed = latch_folder(home, account) / ARMED_FILE
    return account_folder(home, account).exists() or armed.exists() or armed.is_symlink()


def _known(account: str) -> str:
    if account not in ACCOUNTS:
        raise UsageError(
            f"there is no account {account!r}: use one of {' '.join(ACCOUNTS)}", account=account
        )
    return account
