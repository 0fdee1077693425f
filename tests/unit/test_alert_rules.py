"""The alert rules, each from both sides of its number."""

from __future__ import annotations

import math

import pytest

from engine.alert import Alert, AlertAction, AlertLevel
from engine.alert_facts import (
    HOUR_MS,
    ClosedTrade,
    Mark,
    RequestWindow,
    counters_of,
    kept_marks,
    strategy_facts,
)
from engine.alert_rules import (
    DISK_ERROR_BYTES,
    DISK_WARN_BYTES,
    AccountFacts,
    BreakerFacts,
    DiskFacts,
    EventFacts,
    JournalFacts,
    LimitFacts,
    PartFacts,
    RequestFacts,
    StrategyFacts,
    account_alerts,
    disk_alerts,
    event_alert,
    journal_alerts,
    request_alerts,
    silence_alerts,
    strategy_alerts,
)
from engine.risk.latch import LatchCause, LatchReading, TradingState
from engine.trading_settings import Alerts
from engine.types import MS_PER_DAY

SETTINGS = Alerts()
NOW_AT = 1_700_000_000_000
ID = "a3f1c2d4e5"
ARMED = LatchReading(TradingState.ACTIVE, LatchCause.ARMED, "armed")


def strategy(**changes: object) -> StrategyFacts:
    values: dict[str, object] = {
        "strategy_id": ID,
        "account": "paper",
        "is_paused": False,
        "n_trades": 30,
        "sharpe": 1.5,
        "drawdown_frac": 0.05,
        "win_rate_frac": 0.6,
        "hour_return_frac": 0.0,
    }
    return StrategyFacts(**(values | changes))  # type: ignore[arg-type]


def causes(facts: StrategyFacts) -> list[str]:
    return [a.key.partition(":")[0] for a in strategy_alerts(facts, SETTINGS, NOW_AT)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"sharpe": 1.0}, []),
        ({"sharpe": 0.99}, ["strategy.sharpe"]),
        ({"sharpe": math.nan, "win_rate_frac": math.nan}, []),
        ({"sharpe": -3.0, "win_rate_frac": 0.0, "n_trades": 9}, []),
        ({"sharpe": -3.0, "n_trades": 10}, ["strategy.sharpe"]),
        ({"drawdown_frac": 0.10}, []),
        ({"drawdown_frac": 0.1001}, ["strategy.drawdown"]),
        ({"win_rate_frac": 0.5}, []),
        ({"win_rate_frac": 0.499}, ["strategy.win_rate"]),
        ({"hour_return_frac": -0.0999}, []),
        ({"hour_return_frac": -0.10}, ["strategy.hour_loss"]),
        ({"drawdown_frac": 0.1499}, ["strategy.drawdown"]),
        ({"drawdown_frac": 0.15}, ["strategy.drawdown_stop", "strategy.drawdown"]),
        (
            {"drawdown_frac": 0.2, "hour_return_frac": -0.2},
            ["strategy.drawdown_stop", "strategy.drawdown"],
        ),
        ({"is_paused": True, "hour_return_frac": -0.2, "sharpe": 0.0}, []),
        ({"is_paused": True, "drawdown_frac": 0.15}, ["strategy.drawdown_stop"]),
    ],
)
def test_strategy_is_told_of_from_its_number_on(
    changes: dict[str, object], expected: list[str]
) -> None:
    assert causes(strategy(**changes)) == expected


def test_loss_of_an_hour_pauses_and_deep_drawdown_stops() -> None:
    (pause,) = strategy_alerts(strategy(hour_return_frac=-0.125), SETTINGS, NOW_AT)
    assert (pause.action, pause.level, pause.tells_end) == (
        AlertAction.PAUSE,
        AlertLevel.ERROR,
        False,
    )
    assert pause.subject == f"strategy:{ID}"
    assert pause.message == (
        "strategy a3f1c2d4 in account paper: it lost 12.5 % of its capital within an hour, at or "
        "over 10.0 %: it is paused"
    )
    stop, warning = strategy_alerts(strategy(drawdown_frac=0.16), SETTINGS, NOW_AT)
    assert (stop.action, stop.level) == (AlertAction.STOP, AlertLevel.ERROR)
    assert (warning.action, warning.level) == (AlertAction.NONE, AlertLevel.WARN)


@pytest.mark.parametrize(
    ("n_requests", "n_failed", "is_told"),
    [
        (0, 0, False),
        (1, 1, False),
        (10, 2, False),
        (10, 3, True),
        (20, 1, False),
        (20, 2, True),
        (100, 5, False),
        (100, 6, True),
        (1_000, 3, False),
    ],
)
def test_more_than_five_percent_of_failed_requests_is_told(
    n_requests: int, n_failed: int, is_told: bool
) -> None:
    facts = [RequestFacts("trader", n_requests, n_failed)]
    assert bool(request_alerts(facts, SETTINGS, NOW_AT)) == is_told


def test_failed_requests_are_told_with_their_numbers() -> None:
    (alert,) = request_alerts([RequestFacts("trader", 200, 50)], SETTINGS, NOW_AT)
    assert alert.message == (
        "50 of 200 requests of trader failed in five minutes: 25.0 %, over 5.0 %"
    )


def test_part_is_silent_after_its_time_and_not_before() -> None:
    parts = [PartFacts("recorder", NOW_AT), PartFacts("trader", NOW_AT - 60_000)]
    assert silence_alerts(parts, SETTINGS, NOW_AT) == []
    (alert,) = silence_alerts(parts, SETTINGS, NOW_AT + 1)
    assert (alert.key, alert.level) == ("silence:trader", AlertLevel.ERROR)
    assert alert.message == "trader has not been heard of for 60 s, over 60 s"


def test_silent_recorder_is_told_alone_for_it_carries_the_beats_of_all() -> None:
    parts = [PartFacts(name, NOW_AT - 61_000) for name in ("recorder", "trader", "feeder")]
    keys = [alert.key for alert in silence_alerts(parts, SETTINGS, NOW_AT)]
    assert keys == ["silence:recorder"]


@pytest.mark.parametrize(
    ("state", "cause", "level"),
    [
        (TradingState.ACTIVE, LatchCause.ARMED, None),
        (TradingState.REDUCING, LatchCause.REDUCE_FILE, AlertLevel.WARN),
        (TradingState.HALTED, LatchCause.NOT_ARMED, AlertLevel.WARN),
        (TradingState.HALTED, LatchCause.HALT_FILE, AlertLevel.ERROR),
        (TradingState.HALTED, LatchCause.FOREIGN, AlertLevel.ERROR),
        (TradingState.HALTED, LatchCause.UNREADABLE, AlertLevel.ERROR),
    ],
)
def test_latch_that_holds_back_is_told_with_its_cause(
    state: TradingState, cause: LatchCause, level: AlertLevel | None
) -> None:
    reading = LatchReading(state, cause, "the fact", who="ana", reason="F9")
    alerts = account_alerts(AccountFacts("paper", reading), NOW_AT)
    assert [alert.level for alert in alerts] == ([] if level is None else [level])
    for alert in alerts:
        assert alert.key == "latch:paper"
        assert alert.message == f"account paper is {state} by ana: F9 (the fact)"


def test_tripped_breakers_differences_and_soft_limits_are_told_and_quiet_ones_are_not() -> None:
    facts = AccountFacts(
        "paper",
        ARMED,
        reconcile_state="differs",
        reconcile_words="BTC/USDT: 0.5 here, 0.4 there",
        breakers=(
            BreakerFacts("daily_loss", True, "lost 5.2 % today: reduce-only until 00:00Z"),
            BreakerFacts("weekly_loss", False, "1 %"),
        ),
        soft_limits=(
            LimitFacts("position_age_warn_s", 4_000.0, 3_600.0, "s", "ETH/USDT"),
            LimitFacts("position_age_warn_s_2", 3_600.0, 3_600.0, "s", ""),
            LimitFacts("unknown", None, 1.0, "s", ""),
        ),
    )
    alerts = {alert.key: alert for alert in account_alerts(facts, NOW_AT)}
    assert set(alerts) == {
        "breaker.daily_loss:paper",
        "reconcile:paper",
        "limit.position_age_warn_s:paper",
    }
    assert "BTC/USDT: 0.5 here, 0.4 there" in alerts["reconcile:paper"].message
    assert alerts["limit.position_age_warn_s:paper"].level is AlertLevel.WARN
    for state in ("clean", "pending", ""):
        assert account_alerts(AccountFacts("paper", ARMED, reconcile_state=state), NOW_AT) == []


def test_damaged_journal_and_full_disk_are_told() -> None:
    assert journal_alerts(JournalFacts("paper", ""), NOW_AT) == []
    (damage,) = journal_alerts(JournalFacts("paper", "line 5 (seq 4): changed"), NOW_AT)
    assert (damage.key, damage.level) == ("journal:paper", AlertLevel.ERROR)
    assert disk_alerts(DiskFacts("/home", DISK_WARN_BYTES), NOW_AT) == []
    (near,) = disk_alerts(DiskFacts("/home", DISK_WARN_BYTES - 1), NOW_AT)
    (full,) = disk_alerts(DiskFacts("/home", DISK_ERROR_BYTES - 1), NOW_AT)
    assert (near.level, full.level) == (AlertLevel.WARN, AlertLevel.ERROR)
    assert near.key == full.key
    assert "stops new entries" in full.message


@pytest.mark.parametrize("level", ["debug", "info", "warn"])
def test_event_under_an_error_is_no_alert(level: str) -> None:
    assert event_alert(EventFacts(NOW_AT, level, "journal.full", "", "words")) is None


def test_event_of_an_error_is_an_alert_by_kind_and_subject() -> None:
    alert = event_alert(EventFacts(NOW_AT, "error", "journal.dead", "account:paper", "words"))
    assert alert is not None
    assert alert.key == "event.journal.dead:account:paper"
    assert (alert.title, alert.message, alert.at) == ("journal dead", "words", NOW_AT)
    # What tells of alerts must not raise more of them.
    assert event_alert(EventFacts(NOW_AT, "error", "alert.undelivered", "", "words")) is None


def trade(exit_at: int, pnl_quote: float, entry_at: int = 0) -> ClosedTrade:
    return ClosedTrade(entry_at, exit_at, pnl_quote)


def test_facts_of_a_strategy_without_trades_are_undefined_and_alert_nothing() -> None:
    facts = strategy_facts(ID, "paper", [], [], 1_000.0)
    assert math.isnan(facts.sharpe)
    assert math.isnan(facts.win_rate_frac)
    assert (facts.drawdown_frac, facts.hour_return_frac, facts.n_trades) == (0.0, 0.0, 0)
    assert causes(facts) == []


def test_drawdown_is_from_the_peak_of_closed_gains_and_counts_what_is_open() -> None:
    trades = [trade(1_000, 100.0), trade(2_000, -22.0)]
    assert strategy_facts(ID, "paper", trades, [], 1_000.0).drawdown_frac == pytest.approx(0.02)
    open_loss = [Mark(3_000, -88.0)]
    facts = strategy_facts(ID, "paper", trades, open_loss, 1_000.0)
    assert facts.drawdown_frac == pytest.approx(0.10)
    recovered = strategy_facts(ID, "paper", trades, [Mark(3_000, 50.0)], 1_000.0)
    assert recovered.drawdown_frac == 0.0
    assert strategy_facts(ID, "p", [trade(1, -2_000.0)], [], 1_000.0).drawdown_frac == 1.0


def test_daily_sharpe_counts_idle_days_and_equals_the_one_by_hand() -> None:
    # Gains of 3, 0, -1, 2 on four days: mean 1, sample deviation √(10/3).
    days = [(0, 3.0), (2, -1.0), (3, 2.0)]
    trades = [trade(day * MS_PER_DAY + 5, gain) for day, gain in days]
    facts = strategy_facts(ID, "paper", trades, [], 1_000.0)
    assert facts.sharpe == pytest.approx(1.0 / math.sqrt(10 / 3) * math.sqrt(365))
    assert facts.win_rate_frac == pytest.approx(2 / 3)
    assert math.isnan(strategy_facts(ID, "p", [trade(5, 1.0)], [], 1.0).sharpe)


def test_gain_of_the_hour_counts_closed_trades_and_the_change_of_what_is_open() -> None:
    now = 10 * HOUR_MS
    trades = [trade(now - HOUR_MS, 500.0), trade(now - HOUR_MS + 1, -30.0)]
    marks = [
        Mark(now - 2 * HOUR_MS, 0.0),
        Mark(now - HOUR_MS, 40.0),
        Mark(now - 60_000, 10.0),
        Mark(now, -50.0),
    ]
    facts = strategy_facts(ID, "paper", trades, marks, 1_000.0)
    assert facts.hour_return_frac == pytest.approx((-30.0 - 90.0) / 1_000.0)
    # Right after a start there is no mark of an hour ago: the oldest counts.
    facts = strategy_facts(ID, "paper", [], marks[2:], 1_000.0)
    assert facts.hour_return_frac == pytest.approx(-0.06)


def test_marks_are_kept_for_an_hour_and_one_before_it() -> None:
    marks: tuple[Mark, ...] = ()
    for minute in range(200):
        marks = kept_marks(marks, Mark(minute * 60_000, float(minute)))
    assert [mark.at // 60_000 for mark in marks] == list(range(139, 200))
    assert kept_marks(marks, Mark(1_000, 0.0)) == (Mark(1_000, 0.0),)


def test_request_window_forgets_after_five_minutes_and_survives_a_restart_of_the_part() -> None:
    window = RequestWindow()
    window.sample("trader", 0, 1_000, 900)
    assert window.facts(0) == [RequestFacts("trader", 0, 0)]
    window.sample("trader", 100_000, 1_100, 910)
    window.sample("trader", 200_000, 50, 5)
    assert window.facts(200_000) == [RequestFacts("trader", 150, 15)]
    assert window.facts(400_000) == [RequestFacts("trader", 50, 5)]
    window.sample("trader", 900_000, 50, 5)
    assert window.facts(900_000) == [RequestFacts("trader", 0, 0)]


def test_counters_are_read_from_a_pulse_that_has_them() -> None:
    assert counters_of({"n_requests": 3, "n_failed": 1}) == (3, 1)
    assert counters_of({"n_requests": 3}) is None
    assert counters_of({"n_requests": "3", "n_failed": 1}) is None


def test_every_alert_has_words() -> None:
    alerts: list[Alert] = [
        *strategy_alerts(strategy(sharpe=0.0, drawdown_frac=0.5), SETTINGS, NOW_AT),
        *disk_alerts(DiskFacts("/home", 0), NOW_AT),
    ]
    assert all(alert.title and alert.message and alert.at == NOW_AT for alert in alerts)
