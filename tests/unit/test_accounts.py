"""Accounts: names, folders, latches, and which of them a halt must reach."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from console.session import Session
from engine.config import load_config
from engine.errors import UsageError
from engine.risk.latch import LatchCause, TradingState
from engine.trade.accounts import (
    account_folder,
    account_latch,
    account_names,
    chosen_accounts,
    latched_accounts,
)


def test_live_exists_when_it_has_an_exchange() -> None:
    assert account_names("") == ("paper",)
    assert account_names("bybit") == ("paper", "live")


def test_the_sessions_latch_is_that_of_paper(tmp_path: Path) -> None:
    config = load_config(None, {"PADDOCK_PATHS__HOME": str(tmp_path)})
    account_latch(tmp_path, "paper").arm("ana", "test", 1)
    assert Session(config, None).latch.read().state is TradingState.ACTIVE
    assert account_latch(tmp_path, "live").read().cause is LatchCause.NOT_ARMED


def test_a_latch_of_another_host_or_life_is_foreign(tmp_path: Path) -> None:
    account_latch(tmp_path, "paper", host="desk-1", epoch=2).arm("ana", "test", 1)
    for host, epoch in (("desk-2", 2), ("desk-1", 3), (None, 2)):
        reading = account_latch(tmp_path, "paper", host=host, epoch=epoch).read()
        assert (reading.state, reading.cause) == (TradingState.HALTED, LatchCause.FOREIGN)
    assert socket.gethostname() != "desk-1"


def test_a_halt_reaches_an_account_that_was_configured_once(tmp_path: Path) -> None:
    assert latched_accounts(tmp_path, "") == ("paper",)
    account_latch(tmp_path, "live").halt("ana", "test", 1)
    assert latched_accounts(tmp_path, "") == ("paper",), "halted already, and nothing to see"
    account_latch(tmp_path, "live").arm("ana", "test", 2)
    assert latched_accounts(tmp_path, "") == ("paper", "live")
    account_latch(tmp_path, "live").halt("ana", "test", 3)
    account_folder(tmp_path, "live").mkdir(parents=True)
    assert chosen_accounts("all", tmp_path, "") == ("paper", "live")


def test_unknown_accounts_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="use one of paper live"):
        account_folder(tmp_path, "../../etc")
    with pytest.raises(UsageError, match="no account live here"):
        chosen_accounts("live", tmp_path, "")
    assert chosen_accounts("live", tmp_path, "bybit") == ("live",)
