"""Homes and consoles for the tests of the screens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from console.app import PaddockApp
from console.kill_port import KillSwitch
from engine.clock import FakeClock
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_store import fill, session_of, write_runtime_file
from tests.console.filled_trading import fill_trading

MakeConsole = Callable[..., PaddockApp]


@pytest.fixture(autouse=True)
def operator_is_ana(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the operator, who appears on screens and in records."""
    monkeypatch.setenv("LOGNAME", "ana")


@pytest.fixture
async def filled_home(tmp_path: Path) -> AsyncIterator[Path]:
    """Return a home with two finished cycles, one running, and a runtime that is alive."""
    home = tmp_path / "home"
    await fill(home)
    write_runtime_file(home)
    yield home


@pytest.fixture
async def trading_home(tmp_path: Path) -> AsyncIterator[Path]:
    """Return a home whose paper account is armed, holds positions, and has open orders."""
    home = tmp_path / "home"
    await fill_trading(home)
    yield home


@pytest.fixture
def make_console() -> MakeConsole:
    """Return a maker of consoles that never start a runtime, nor a process of the kill switch."""

    def make(
        home: Path,
        switch: KillSwitch | None = None,
        clock: FakeClock | None = None,
        live_exchange: str = "",
    ) -> PaddockApp:
        session = session_of(home, clock, live_exchange)
        return PaddockApp(session, starts_runtime=False, kill_switch=switch or FakeSwitch())

    return make
