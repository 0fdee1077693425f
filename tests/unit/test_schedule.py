from __future__ import annotations

from datetime import UTC, datetime

from actors.schedule import missed_at, next_due_at

DAILY = "0 3 * * *"


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_the_daily_cycle_is_due_at_three_utc() -> None:
    assert next_due_at(DAILY, at("2026-03-01T02:59:59")) == at("2026-03-01T03:00:00")
    assert next_due_at(DAILY, at("2026-03-01T03:00:00")) == at("2026-03-02T03:00:00")


def test_nothing_is_missed_before_the_next_instant() -> None:
    last = at("2026-03-01T03:00:00")
    assert missed_at(DAILY, last, at("2026-03-02T02:59:59")) is None


def test_an_instant_that_has_come_is_due_once() -> None:
    last, now = at("2026-03-01T03:00:00"), at("2026-03-02T03:00:00")
    assert missed_at(DAILY, last, now) == now
    assert missed_at(DAILY, now, now + 5_000) is None


def test_however_many_were_missed_the_newest_stands_for_all() -> None:
    last, now = at("2026-03-01T03:00:00"), at("2026-03-09T11:00:00")
    assert missed_at(DAILY, last, now) == at("2026-03-09T03:00:00")


def test_a_new_schedule_has_missed_nothing() -> None:
    assert missed_at(DAILY, None, at("2026-03-09T11:00:00")) is None
