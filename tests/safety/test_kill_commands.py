"""`paddock reduce | halt | cancel | flatten | rearm | drill` as an operator calls them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.risk.latch import TradingState
from engine.store.account_detail import AccountDetail, LimitUse
from engine.store.accounts import AccountRow, save_accounts
from engine.store.database import Store, sqlite_url
from engine.store.events import events_page
from engine.store.heartbeats import HeartbeatRow, beat
from engine.trade.accounts import account_folder, account_latch
from engine.trade.journal import Journal
from engine.trade.simulated import launch
from tests.venues.live_account import account_at, limit, order, stop
from tests.venues.trading_desk import API_KEY, SECRET, TradingDesk

D = Decimal
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def last(self, account: str, name: str) -> dict[str, Any]:
        return [s for s in self.steps if (s["account"], s["name"]) == (account, name)][-1]


@dataclass
class Home:
    """A home with a live account at a desk."""

    folder: Path
    settings: dict[str, str]

    async def paddock(self, *arguments: str, **environment: str) -> Answer:
        process = await self.start(*arguments, **environment)
        out, err = await asyncio.wait_for(process.communicate(), 120)
        return Answer(process.returncode or 0, out.decode(), err.decode())

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "console.cli", *arguments),
            cwd=ROOT,
            env={**os.environ, **self.settings, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    def state(self, account: str) -> TradingState:
        return account_latch(self.folder, account).read().state


@pytest.fixture
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[TradingDesk]:
    async with TradingDesk(is_perp=getattr(request, "param", "perp") == "perp") as opened:
        async with account_at(opened.url, is_perp=opened.is_perp) as venue:
            await venue.submit(order("held"))
            await venue.submit(stop("guard", "80"))
            for number in range(3):
                await venue.submit(limit(f"n{number}", "90"))
        opened.requests.clear()
        yield opened


@pytest.fixture
def home(tmp_path: Path, desk: TradingDesk) -> Home:
    made = Home(
        tmp_path / "home",
        {
            "PADDOCK_PATHS__HOME": str(tmp_path / "home"),
            "PADDOCK_TRADING__LIVE_EXCHANGE": "binance",
            "PADDOCK_TRADING__LIVE_TYPE": "perp" if desk.is_perp else "spot",
            "PADDOCK_TRADING__LIVE_API_URL": desk.url,
            "PADDOCK_LIVE_API_KEY": API_KEY,
            "PADDOCK_LIVE_API_SECRET": SECRET,
        },
    )
    for account in ("paper", "live"):
        account_latch(made.folder, account).arm("ana", "begin", 1)
    return made


@pytest.fixture
async def paper(tmp_path: Path) -> AsyncIterator[Home]:
    """A home whose paper account is armed, and whose checks are all green for a minute."""
    made = Home(
        tmp_path / "home",
        {"PADDOCK_PATHS__HOME": str(tmp_path / "home"), "PADDOCK_SIMULATED__LATENCY_MS": "0"},
    )
    now_at = time.time_ns() // 1_000_000 + 60_000
    account_latch(made.folder, "paper").arm("ana", "begin", 1)
    Journal.open(account_folder(made.folder, "paper"), "paper", reserve_bytes=4096).close()
    runtime = {"pid": os.getpid(), "started_at": 1, "host": "", "ray_address": "", "version": ""}
    (made.folder / "runtime.json").write_text(json.dumps(runtime))
    limits = (LimitUse("leverage_max", 0.0, 3.0, "notional / equity"),)
    worths = ("equity", "balance", "day_start", "week_start", "month_start", "peak")
    zeros = dict.fromkeys((*worths, "unprotected", "gross", "net"), D(0))
    row = AccountRow(
        name="paper",
        mode="paper",
        venue="simulated",
        market_label="GENERATED",
        quote_asset="USDT",
        drawdown_frac=0.0,
        latch_state="ACTIVE",
        latch_cause="armed",
        lease_age_s=1.0,
        reconcile_state="clean",
        reconcile_words="",
        clock_skew_ms=None,
        last_bar_at=None,
        updated_at=now_at,
        detail=AccountDetail(limits=limits),
        **{f"{name}_quote": zero for name, zero in zeros.items()},
    )
    store = await Store.open(sqlite_url(made.folder), create=True)
    try:
        await save_accounts(store, [row])
        await beat(store, [HeartbeatRow("conductor", "conductor", now_at, "idle")])
    finally:
        await store.close()
    yield made
    launch.stop(made.folder)


async def test_halt_latches_every_account_and_cancels_what_adds_exposure(
    home: Home, desk: TradingDesk
) -> None:
    answer = await home.paddock("halt", "--reason", "test", "--json")
    assert answer.code == 0, answer.err
    assert [step["name"] for step in answer.steps[:2]] == ["latch", "latch"]
    assert (home.state("paper"), home.state("live")) == (TradingState.HALTED,) * 2
    cancelled = answer.last("live", "cancel")
    assert (cancelled["state"], cancelled["done"], cancelled["n_kept"]) == ("ok", 3, 1)
    assert [made.client_id for made in desk.orders if made.is_open] == ["pk-guard"]
    assert "never had an exchange" in answer.last("paper", "cancel")["words"]
    told = await home.paddock("halt")
    assert "✓ live  latch  HALTED already, by" in told.err
    assert "no exposure-adding orders; 1 protective kept" in told.err
    assert told.out == ""


@pytest.mark.parametrize("desk", ["spot", "perp"], indirect=True)
async def test_cancel_all_takes_the_stops_and_flatten_closes(home: Home, desk: TradingDesk) -> None:
    answer = await home.paddock("cancel", "--account", "live", "--all", "--json")
    assert answer.code == 0, answer.err
    assert not any(made.is_open for made in desk.orders)
    assert (home.state("paper"), home.state("live")) == (TradingState.ACTIVE, TradingState.HALTED)
    flat = await home.paddock("flatten", "--account", "live", "--yes", "--json")
    assert flat.code == 0, flat.err
    assert flat.last("live", "flat")["words"] == "flat, looked twice"
    assert not any(desk.held.values())
    assert desk.is_perp or desk.balances["BTC"] == 0
    n_sent = len(desk.sent("POST order"))
    assert (await home.paddock("flatten", "--account", "live", "--yes")).code == 0
    assert len(desk.sent("POST order")) == n_sent == 1


async def test_flatten_that_nobody_can_answer_changes_nothing(home: Home) -> None:
    answer = await home.paddock("flatten")
    assert (answer.code, home.state("live")) == (2, TradingState.ACTIVE)
    assert "use --yes" in answer.err


async def test_reduce_allows_no_new_exposure(home: Home, desk: TradingDesk) -> None:
    answer = await home.paddock("reduce", "--account", "live", "--json")
    assert (answer.code, home.state("live")) == (0, TradingState.REDUCING)
    assert answer.steps[0]["words"] == "REDUCING: latch written and synced"
    assert desk.requests == []


async def test_dead_exchange_delays_no_latch_and_is_told(home: Home, desk: TradingDesk) -> None:
    await desk.shut()
    process = await home.start("halt", "--json")
    assert process.stdout is not None
    try:
        first = [json.loads(await process.stdout.readline()) for _ in range(2)]
        assert {step["latch"] for step in first} == {"HALTED"}
        assert (home.state("paper"), home.state("live")) == (TradingState.HALTED,) * 2
        assert process.returncode is None, "it goes on asking the exchange"
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("name", ["PADDOCK_LIVE_API_KEY", "PADDOCK_LIVE_API_SECRET"])
async def test_wrong_keys_halt_all_the_same_and_never_show(
    home: Home, desk: TradingDesk, name: str
) -> None:
    wrong = f"wrong-{name[-6:].lower()}-5e1f"
    answer = await home.paddock("flatten", "--yes", "--json", **{name: wrong})
    assert (answer.code, home.state("live")) == (1, TradingState.HALTED)
    assert "check the account's keys" in answer.last("live", "flat")["words"]
    assert answer.last("live", "page")["words"].endswith("https://www.binance.com")
    everything = answer.out + answer.err
    for text in (wrong, API_KEY, SECRET):
        assert text not in everything


async def test_missing_keys_are_named_and_halt_all_the_same(home: Home) -> None:
    answer = await home.paddock("halt", "--json", PADDOCK_LIVE_API_SECRET="")
    assert (answer.code, home.state("live")) == (1, TradingState.HALTED)
    assert "set PADDOCK_LIVE_API_SECRET" in answer.last("live", "connect")["words"]


async def test_rearm_needs_the_name_a_reason_and_green_checks(paper: Home) -> None:
    account_latch(paper.folder, "paper").halt("ana", "test", 2)
    for arguments in (
        ("--account", "paper"),
        ("--account", "paper", "--confirm", "live", "--reason", "all is well"),
        ("--account", "paper", "--confirm", "paper"),
        ("--account", "paper", "--confirm", "paper", "--reason", "x"),
        ("--account", "all", "--confirm", "all", "--reason", "all is well"),
        (),
    ):
        answer = await paper.paddock("rearm", *arguments)
        assert (answer.code, paper.state("paper")) == (2, TradingState.HALTED), arguments
    asked = ("--account", "paper", "--confirm", "paper", "--reason", "reconciled by hand")
    answer = await paper.paddock("rearm", *asked, "--json")
    assert answer.code == 0, answer.out
    assert paper.state("paper") is TradingState.ACTIVE
    assert {step["state"] for step in answer.steps} == {"ok"}
    assert answer.steps[-1]["words"] == "ACTIVE: reconciled by hand"
    (paper.folder / "runtime.json").unlink()
    account_latch(paper.folder, "paper").halt("ana", "test", 3)
    answer = await paper.paddock("rearm", *asked)
    assert (answer.code, paper.state("paper")) == (1, TradingState.HALTED)
    assert "✗ paper  runtime is up  down" in answer.err
    assert "stays HALTED" in answer.err


async def test_drill_measures_records_and_arms_again(paper: Home) -> None:
    answer = await paper.paddock("drill", "--json")
    assert answer.code == 0, answer.out + answer.err
    assert paper.state("paper") is TradingState.ACTIVE
    folder = account_folder(paper.folder, "paper")
    (record,) = map(json.loads, (folder / "drills.jsonl").read_text().splitlines())
    assert record == json.loads((folder / "drill.json").read_text())
    assert record["passed"] and record["is_rearmed"]
    assert 0 < record["latch_ms"] and 0 < record["cancel_s"] <= record["flat_s"]
    assert record["words"] == answer.steps[-1]["words"]
    store = await Store.open(sqlite_url(paper.folder), read_only=True)
    try:
        (event,) = await events_page(store, kind="kill.drill")
    finally:
        await store.close()
    assert record["words"] in event.message
    (paper.folder / "runtime.json").unlink()
    account_latch(paper.folder, "paper").halt("ana", "by hand", 2)
    assert (await paper.paddock("drill")).code == 0
    assert paper.state("paper") is TradingState.HALTED, "what a person halted stays halted"
    account_latch(paper.folder, "paper").arm("ana", "again", 3)
    failed = await paper.paddock("drill")
    assert (failed.code, paper.state("paper")) == (1, TradingState.HALTED)
    assert "runtime is up" in failed.err
    assert len((folder / "drills.jsonl").read_text().splitlines()) == 3
