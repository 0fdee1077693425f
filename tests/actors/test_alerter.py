"""The alerter over a real store and a real webhook, without Ray and with a clock of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import actors.alerter as alerter_module
import actors.journal_watch as watch_module
from actors.alerter import Alerter
from actors.journal_watch import JournalWatch
from actors.ports import PeerLost
from actors.recorder import Recorder
from actors.roster import PartSpec, part_names
from engine.clock import FakeClock
from engine.config import database_url
from engine.settings import Config
from engine.store.account_detail import AccountDetail, BreakerState
from engine.store.accounts import AccountRow, save_accounts
from engine.store.alerts import acknowledge_alert, active_alerts, get_alert, raise_alert
from engine.store.commands import recent_commands
from engine.store.cycles import create_cycle
from engine.store.database import Store
from engine.store.events import Event, add_events, events_page
from engine.store.heartbeats import HeartbeatRow, beat
from engine.store.paper_trades import PaperTrade, save_paper_trades
from engine.store.strategies import CandidateRow, StatusChange, add_candidates, change_statuses
from engine.trade.accounts import account_folder, account_latch
from engine.trade.journal import Journal
from engine.trade.orders import Side
from tests.journal_records import one_of_each
from tests.webhook import SECRET, Hook, closed_port, served_hook

# apprise imports a module that a later Python will drop.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOW_AT = 1_767_620_460_000
ID = "a3f1c2d4e5f60718"


def an_account(at: int, equity: str = "100000") -> AccountRow:
    money = Decimal(equity)
    return AccountRow(
        name="paper",
        mode="paper",
        venue="simulated",
        market_label="GENERATED",
        quote_asset="USDT",
        equity_quote=money,
        balance_quote=money,
        day_start_quote=money,
        week_start_quote=money,
        month_start_quote=money,
        peak_quote=money,
        drawdown_frac=0.0,
        unprotected_quote=Decimal(0),
        gross_quote=Decimal(0),
        net_quote=Decimal(0),
        latch_state="ACTIVE",
        latch_cause="armed",
        lease_age_s=1.0,
        reconcile_state="clean",
        reconcile_words="",
        clock_skew_ms=0,
        last_bar_at=None,
        updated_at=at,
    )


class Local:
    """The recorder as a peer in this process, which may be away."""

    def __init__(self, recorder: Recorder) -> None:
        self.name = "recorder"
        self.recorder = recorder
        self.is_away = False

    async def call(self, method: str, *args: Any, timeout_s: float = 30.0) -> Any:
        if self.is_away:
            raise PeerLost("recorder is down")
        return await getattr(self.recorder, method)(*args)


class Lab:
    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.config = Config.model_validate({"paths": {"home": home, "store": home / "market"}})
        self.clock = FakeClock(NOW_AT)
        self.environment = environment
        self.failures: list[BaseException] = []

    async def open(self) -> None:
        self.store = await Store.open(database_url(self.config))
        self.recorder = Recorder(self.spec("recorder"), self.clock, self.fail)
        await self.recorder.start()
        self.peer = Local(self.recorder)
        self.alerter = self.made()
        await self.beat()

    async def close(self) -> None:
        await self.alerter.stop()
        await self.recorder.stop()
        await self.store.close()
        assert self.failures == []

    def spec(self, name: str, *, scheduled: bool = True) -> PartSpec:
        return PartSpec(name, name, self.config, 1, "mark", "code", scheduled)

    def made(self) -> Alerter:
        return Alerter(
            self.spec("alerter"), lambda _: self.peer, self.clock, self.fail, self.environment
        )

    async def fail(self, error: BaseException) -> None:
        self.failures.append(error)

    async def start(self) -> None:
        await self.alerter.start()
        await self.look(0.0)

    async def restart(self) -> None:
        """Start anew; nobody beats in the meantime."""
        await self.alerter.stop()
        self.alerter = self.made()
        await self.alerter.start()
        await self.settle()

    async def beat(self, *silent: str) -> None:
        expected = part_names(1, trading=self.config.trading)
        names = [name for name in expected if name not in silent]
        await beat(self.store, [HeartbeatRow(n, n, self.clock.now_at(), "idle", {}) for n in names])

    async def look(self, seconds: float = 5.0, *silent: str) -> None:
        """Let time pass, let the parts beat, look, and wait for what is sent."""
        self.clock.advance(seconds)
        await self.beat(*silent)
        await self.settle()

    async def settle(self) -> None:
        await self.alerter.look()
        if self.alerter._sending is not None:
            await self.alerter._sending
            await self.alerter._write_all()

    async def keys(self) -> set[str]:
        return {row.key for row in await active_alerts(self.store)}

    async def trade_badly(self, status: str = "paper", pnl_quote: int = -200) -> None:
        """Make a strategy that has lost, of a capital of 1,000."""
        cycle = await create_cycle(
            self.store,
            seed=1,
            count=1,
            symbols=["BTC/USDT"],
            timeframe="5m",
            days=9,
            exchange="x",
            market_label="GENERATED",
            created_at=1,
        )
        row = CandidateRow(
            0, ID, origin="genetic", type="momentum", timeframe="5m", direction="long",
            genome="{}", created_at=1,
        )  # fmt: skip
        await add_candidates(self.store, cycle.id, [row])
        for step in ("screened", "paper", status):
            change = StatusChange(ID, step, "test", "test")
            await change_statuses(self.store, [change], NOW_AT)
        at = self.clock.now_at()
        account = replace(an_account(at=at, equity="100000"), last_bar_at=at)
        await save_accounts(self.store, [account])
        account_latch(self.config.paths.home, "paper").arm("ana", "test", at)
        trade = PaperTrade(
            "paper", ID, "BTC/USDT", Side.BUY, at - 600_000, Decimal(100), at - 300_000,
            Decimal(90), "stop", Decimal(1), Decimal(pnl_quote), -0.2,
        )  # fmt: skip
        await save_paper_trades(self.store, [trade])


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with served_hook() as hook:
        yield hook


@pytest.fixture(autouse=True)
def _slow_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests look themselves, and wait for nothing.
    monkeypatch.setattr("engine.alerts.PAUSES_S", ())
    monkeypatch.setattr(alerter_module, "LOOK_S", 3_600.0)


@pytest.fixture
async def lab(tmp_path: Path, hook: Hook) -> AsyncIterator[Lab]:
    lab = Lab(tmp_path, {"PADDOCK_ALERT_URLS": hook.address})
    await lab.open()
    yield lab
    await lab.close()


async def test_quiet_house_raises_sends_and_stores_nothing(lab: Lab, hook: Hook) -> None:
    await lab.start()
    await lab.look()
    assert await lab.keys() == set()
    assert hook.letters == []
    assert lab.alerter.pulse()[0] == "idle"


async def test_silent_part_is_told_once_repeated_after_an_hour_and_over_when_it_answers(
    lab: Lab, hook: Hook
) -> None:
    await lab.start()
    await lab.look(61.0, "feeder")
    assert await lab.keys() == {"silence:feeder"}
    assert lab.alerter.pulse()[0] == "alert"
    for _ in range(5):
        await lab.look(60.0, "feeder")
    assert len(hook.letters) == 1
    assert "feeder is silent" in str(hook.letters[0]["title"])
    await lab.look(3_600.0, "feeder")
    assert len(hook.letters) == 2
    await lab.look()
    assert await lab.keys() == set()
    assert hook.letters[-1]["message"] == "Over: feeder is silent"
    assert hook.letters[-1]["type"] == "success"


async def test_acknowledged_alert_is_not_repeated_and_a_restart_remembers_it(
    lab: Lab, hook: Hook
) -> None:
    await lab.start()
    await lab.look(61.0, "feeder")
    assert await acknowledge_alert(lab.store, "silence:feeder", "ana", lab.clock.now_at())
    await lab.look(4_000.0, "feeder")
    assert len(hook.letters) == 1
    assert lab.alerter.pulse()[0] == "idle"
    await lab.restart()
    await lab.look(4_000.0, "feeder")
    assert len(hook.letters) == 1
    row = await get_alert(lab.store, "silence:feeder")
    assert row is not None
    assert row.acknowledged_by == "ana"


async def test_restart_neither_sends_again_nor_forgets_what_ends_in_the_meantime(
    lab: Lab, hook: Hook
) -> None:
    await lab.start()
    await lab.look(61.0, "feeder", "learner")
    row = await get_alert(lab.store, "silence:feeder")
    assert row is not None
    assert row.sent_at == lab.clock.now_at()
    lab.clock.advance(5)
    await lab.beat("learner")
    await lab.restart()
    # One is silent still and one has come back: the first is not told anew, the second is over.
    assert await lab.keys() == {"silence:learner"}
    assert [letter["message"] for letter in hook.letters[1:]] == ["Over: feeder is silent"]
    await lab.look(61.0, "learner")
    assert len(hook.letters) == 2


async def test_strategy_that_lost_a_tenth_within_an_hour_is_paused_once(
    lab: Lab, hook: Hook
) -> None:
    await lab.trade_badly(pnl_quote=-120)
    await lab.start()
    assert await lab.keys() >= {f"strategy.hour_loss:paper:{ID}", f"strategy.drawdown:paper:{ID}"}
    for _ in range(3):
        await lab.look(31.0)
    await lab.restart()
    (command,) = await recent_commands(lab.store)
    assert (command.name, command.who, command.status) == ("strategy.pause", "alerts", "waiting")
    assert command.arguments["strategy_id"] == ID
    assert "lost 12.0 % of its capital within an hour" in command.arguments["reason"]
    assert "Paddock pauses it." in str(hook.letters[0]["message"])


async def test_strategy_under_its_deepest_drawdown_is_stopped_even_when_paused(lab: Lab) -> None:
    await lab.trade_badly("paused", pnl_quote=-150)
    await lab.start()
    (command,) = await recent_commands(lab.store)
    assert command.name == "strategy.retire"


async def test_strategy_that_was_retired_is_left_alone(lab: Lab) -> None:
    await lab.trade_badly("retired", pnl_quote=-500)
    await lab.start()
    assert await recent_commands(lab.store) == []
    assert await lab.keys() == set()


async def test_halt_breaker_and_difference_of_an_account_are_told_and_over(
    lab: Lab, hook: Hook
) -> None:
    latch = account_latch(lab.config.paths.home, "paper")
    latch.arm("ana", "start", NOW_AT)
    detail = AccountDetail(breakers=(BreakerState("daily_loss", True, "5.2 % of 5 %", NOW_AT),))
    account = replace(
        an_account(at=NOW_AT),
        reconcile_state="differs",
        reconcile_words="BTC/USDT: 1 here, 2 there",
        detail=detail,
    )
    await save_accounts(lab.store, [account])
    await lab.start()
    assert await lab.keys() == {"breaker.daily_loss:paper", "reconcile:paper"}
    assert "BTC/USDT: 1 here, 2 there" in str(hook.letters[0]["message"])
    await save_accounts(lab.store, [an_account(at=NOW_AT + 1)])
    latch.halt("ana", "F9", NOW_AT)
    await lab.look()
    assert await lab.keys() == {"latch:paper"}
    assert "paper is HALTED by ana: F9" in str(hook.letters[-1]["message"])
    latch.arm("ana", "all clear", NOW_AT)
    await lab.look()
    assert await lab.keys() == set()


async def test_account_that_was_never_traded_is_not_told_of_for_being_unarmed(lab: Lab) -> None:
    await lab.start()
    assert await lab.keys() == set()
    await save_accounts(lab.store, [an_account(at=NOW_AT)])
    await lab.look()
    row = await get_alert(lab.store, "latch:paper")
    assert row is not None
    assert row.level == "warn"


async def test_changed_byte_of_a_journal_is_told_with_its_place(lab: Lab, hook: Hook) -> None:
    journal = Journal.open(account_folder(lab.config.paths.home, "paper"), "paper", now_at=NOW_AT)
    journal.append(one_of_each(), NOW_AT)
    await lab.start()
    assert "journal:paper" not in await lab.keys()
    whole = journal.path.read_bytes()
    journal.append(one_of_each()[:1], NOW_AT)
    journal.path.write_bytes(whole.replace(b"29999.9", b"29999.8", 1))
    await lab.look(61.0)
    assert "journal:paper" in await lab.keys()
    assert "line 3 (seq 2)" in str(hook.letters[-1]["message"])
    journal.close()


async def test_error_event_is_told_once_and_forgotten_after_an_hour_of_quiet(
    lab: Lab, hook: Hook
) -> None:
    old = Event(NOW_AT - 3_600_000, "error", "actor.crashed", "feeder crashed", "feeder")
    await add_events(lab.store, [old])
    await lab.start()
    assert await lab.keys() == set()
    for n in range(3):
        words = f"order {n}: No space left on device"
        event = Event(lab.clock.now_at(), "error", "journal.full", words, "account:paper")
        await add_events(lab.store, [event, replace(event, level="warn", kind="order.refused")])
        await lab.look()
    assert await lab.keys() == {"event.journal.full:account:paper"}
    assert len(hook.letters) == 1
    await lab.restart()
    assert await lab.keys() == {"event.journal.full:account:paper"}
    await lab.look(3_601.0)
    assert await lab.keys() == set()
    assert len(hook.letters) == 1


async def test_failing_requests_of_a_part_are_told(lab: Lab) -> None:
    await lab.start()
    for n_requests, n_failed in ((100, 0), (200, 50)):
        lab.clock.advance(10)
        await lab.beat()
        detail = {"n_requests": n_requests, "n_failed": n_failed}
        at = lab.clock.now_at()
        await beat(lab.store, [HeartbeatRow("feeder", "feeder", at, "busy", detail)])
        await lab.alerter.look()
    row = await get_alert(lab.store, "errors:feeder")
    assert row is not None
    assert "50 of 100 requests of feeder failed" in row.message


async def test_alert_that_another_part_raised_is_sent_and_left_to_it(lab: Lab, hook: Hook) -> None:
    await lab.start()
    await raise_alert(
        lab.store, key="worker.behind:x", level="error", title="behind", message="words", at=NOW_AT
    )
    await lab.look()
    assert len(hook.letters) == 1
    await lab.look(120.0)
    row = await get_alert(lab.store, "worker.behind:x")
    assert row is not None
    assert (row.count, row.resolved_at, row.sent_at) == (1, None, NOW_AT + 5_000)


async def test_dead_channel_is_told_once_tried_with_pauses_and_told_when_it_lives_again(
    lab: Lab, hook: Hook
) -> None:
    await lab.start()
    hook.answers = [500, 500, 500]
    await lab.look(61.0, "feeder")
    assert "error=500" in lab.alerter.pulse()[1]["undelivered"]["1 (JSON)"]
    await lab.look(5.0, "feeder")
    assert hook.n_calls == 1
    await lab.look(31.0, "feeder")
    await lab.look(31.0, "feeder")
    assert hook.n_calls == 2
    for _ in range(4):
        await lab.look(61.0, "feeder")
    assert len(hook.letters) == 1
    assert lab.alerter.pulse()[1]["undelivered"] == {}
    told = [row.message for row in await events_page(lab.store, kind="alerts.channel")]
    assert len(told) == 2
    assert "takes no alerts" in told[0]
    assert "takes alerts again" in told[1]


async def test_hanging_channel_does_not_hold_up_a_look(lab: Lab, hook: Hook) -> None:
    await lab.start()
    hook.hangs = True
    lab.clock.advance(61)
    await lab.beat("feeder")
    await asyncio.wait_for(lab.alerter.look(), 2.0)
    lab.clock.advance(5)
    await lab.beat("feeder", "learner")
    await asyncio.wait_for(lab.alerter.look(), 2.0)
    assert "silence:feeder" in await lab.keys()
    hook.hang.set()


async def test_recorder_that_is_away_holds_up_no_message_and_gets_it_all_later(
    lab: Lab, hook: Hook
) -> None:
    await lab.start()
    lab.peer.is_away = True
    await lab.look(61.0, "feeder")
    assert len(hook.letters) == 1
    assert await lab.keys() == set()
    lab.peer.is_away = False
    await lab.look(5.0, "feeder")
    row = await get_alert(lab.store, "silence:feeder")
    assert row is not None
    assert row.sent_at is not None


async def test_wrong_address_is_told_without_being_shown(tmp_path: Path, hook: Hook) -> None:
    lab = Lab(tmp_path, {"PADDOCK_ALERT_URLS": f"nonsense://{SECRET} {hook.address}"})
    await lab.open()
    await lab.start()
    await lab.look()
    (row,) = await active_alerts(lab.store)
    assert row.message.startswith("address 1 of PADDOCK_ALERT_URLS is none that apprise knows")
    events = await events_page(lab.store)
    assert SECRET not in repr((row, events, hook.letters))
    assert len(hook.letters) == 1
    await lab.close()


async def test_switched_off_alerts_are_kept_and_not_sent(tmp_path: Path, hook: Hook) -> None:
    lab = Lab(tmp_path, {"PADDOCK_ALERT_URLS": hook.address})
    values = {"paths": {"home": tmp_path, "store": tmp_path / "market"}}
    lab.config = Config.model_validate({**values, "alerts": {"enabled": False}})
    await lab.open()
    await lab.start()
    await lab.look(61.0, "feeder")
    assert await lab.keys() == {"silence:feeder"}
    assert hook.n_calls == 0
    await lab.close()


async def test_watcher_outside_hears_of_us_while_we_look(tmp_path: Path, hook: Hook) -> None:
    lab = Lab(tmp_path, {"PADDOCK_HEARTBEAT_URL": hook.watcher})
    await lab.open()
    hook.called.clear()
    await lab.start()
    await asyncio.wait_for(hook.called.wait(), 10.0)
    assert hook.letters == []
    await lab.close()


async def test_watcher_that_is_gone_is_told_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {"PADDOCK_HEARTBEAT_URL": f"http://127.0.0.1:{closed_port()}/{SECRET}"})
    await lab.open()
    await lab.start()
    while not lab.alerter.pulse()[1]["watcher"]:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await lab.look()
    (event,) = await events_page(lab.store, kind="alerts.watcher")
    assert event.message == "heartbeat: the watcher cannot be reached (ClientConnectorError)"
    await lab.close()


async def test_private_runtime_looks_at_nothing(lab: Lab) -> None:
    alerter = Alerter(
        lab.spec("alerter", scheduled=False), lambda _: lab.peer, lab.clock, lab.fail, {}
    )
    await alerter.start()
    await alerter.look()
    assert alerter.pulse()[1]["alerts"] == 0
    await alerter.stop()
    assert "alerter" in part_names(2)
    assert "alerter" not in part_names(2, is_private=True)


def test_journal_watch_sees_new_damage_lost_lines_and_a_file_that_is_gone(tmp_path: Path) -> None:
    watch = JournalWatch("paper", tmp_path / "journal.jsonl")
    assert watch.look(0).problem == ""
    journal = Journal.open(tmp_path, "paper", reserve_bytes=65_536, now_at=1)
    journal.append(one_of_each(), 2)
    assert watch.look(1).problem == ""
    journal.append(one_of_each(), 3)
    assert watch.look(2).problem == ""
    journal.close()
    whole = journal.path.read_bytes()
    lines = whole.splitlines(keepends=True)

    journal.path.write_bytes(b"".join(lines[:-1]))
    assert "no longer holds line 27 (seq 26)" in watch.look(3).problem
    journal.path.write_bytes(whole)
    assert watch.look(4).problem == ""

    minute_ms = 60_000
    journal.path.write_bytes(whole.replace(b"29999.9", b"29999.8", 1))
    assert "line 3 (seq 2)" in watch.look(minute_ms).problem
    assert "line 3 (seq 2)" in watch.look(minute_ms + 1).problem

    journal.path.unlink()
    assert "is gone" in watch.look(minute_ms + 2).problem
    other = Journal.open(tmp_path, "paper", reserve_bytes=65_536, now_at=7)
    other.append([*one_of_each(), *one_of_each(), *one_of_each()], 8)
    other.close()
    assert "no longer holds line 27" in watch.look(minute_ms + 3).problem
    journal.path.write_bytes(whole)
    assert watch.look(minute_ms + 4).problem == ""


def test_journal_watch_reads_a_long_journal_whole_only_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(tmp_path, "paper", reserve_bytes=65_536, now_at=1)
    journal.append(one_of_each(), 2)
    watch = JournalWatch("paper", journal.path)
    seconds = iter(range(1_000))
    monkeypatch.setattr(watch_module.time, "monotonic", lambda: float(next(seconds)))
    assert watch.look(0).problem == ""
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole.replace(b"29999.9", b"29999.8", 1))
    # It took a second, so that it is read whole again after a thousand; new damage is seen at once.
    assert watch.look(999_999).problem == ""
    journal.append(one_of_each(), 3)
    text = journal.path.read_bytes()
    journal.path.write_bytes(text[:-200] + b"X" + text[-199:])
    assert "line 3 (seq 2)" in watch.look(999_999).problem
    journal.path.write_bytes(text)
    assert "line 3 (seq 2)" in watch.look(1_000_000).problem
    journal.path.write_bytes(text.replace(b"29999.8", b"29999.9", 1))
    assert watch.look(1_000_001).problem == ""
    journal.close()
