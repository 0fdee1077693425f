"""Where a replay stands, which moment is meant, and what recorded pages answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.replay_head import SPEEDS, PlayHead
from console.replay_place import moment_of
from engine.errors import UsageError

TIMES = (10_000, 11_000, 12_000, 20_000)
# 2026-01-05 13:41:00 UTC
AT = 1_767_620_460_000
DAY_MS = 86_400_000


def test_the_head_moves_with_the_clock_and_stops_at_the_last_picture() -> None:
    head = PlayHead(TIMES, now_s=100.0)
    assert [head.number(100.0 + s) for s in (0, 0.9, 1.0, 2.5, 9.9, 10, 99)] == [
        0,
        0,
        1,
        2,
        2,
        3,
        3,
    ]
    assert head.at(104.5) == 14_500
    assert head.at(1_000.0) == 20_000
    assert head.is_at_end(110.0)
    assert head.wait_s(102.5) == pytest.approx(7.5)
    assert head.wait_s(110.0) is None


def test_speed_changes_hold_the_place() -> None:
    head = PlayHead(TIMES, now_s=0.0)
    head.set_speed(4.0, 1.0)
    assert head.at(1.0) == 11_000
    assert head.at(1.5) == 13_000
    assert head.wait_s(1.5) == pytest.approx(1.75)
    head.change_speed(1, 1.5)
    assert (head.speed, head.at(1.5), head.at(2.0)) == (8.0, 13_000, 17_000)
    for _ in range(20):
        head.change_speed(1, 2.0)
    assert head.speed == SPEEDS[-1]
    for _ in range(20):
        head.change_speed(-1, 2.0)
    assert head.speed == SPEEDS[0]


def test_a_paused_head_stands_and_steps() -> None:
    head = PlayHead(TIMES, now_s=0.0)
    head.toggle(1.5)
    assert (head.at(99.0), head.is_playing, head.wait_s(99.0)) == (11_500, False, None)
    head.step(1, 99.0)
    assert head.at(99.0) == 12_000
    head.step(-1, 99.0)
    head.step(-5, 99.0)
    assert head.at(99.0) == 10_000
    head.step(9, 99.0)
    assert head.at(99.0) == 20_000
    head.toggle(100.0)
    assert (head.at(100.0), head.at(101.0), head.is_playing) == (10_000, 11_000, True)


@given(st.lists(st.integers(0, 9), min_size=1), st.data())
def test_the_head_is_never_outside_the_recording(gaps: list[int], data: st.DataObject) -> None:
    times = [1_000 + sum(gaps[:n]) for n in range(len(gaps))]
    head, now_s = PlayHead(times, 0.0), 0.0
    for _ in range(data.draw(st.integers(0, 8))):
        now_s += data.draw(st.floats(0, 1))
        act = data.draw(st.sampled_from(("toggle", "jump", "step", "speed")))
        if act == "toggle":
            head.toggle(now_s)
        elif act == "jump":
            head.jump(data.draw(st.integers(-9_999, 9_999)), now_s)
        elif act == "step":
            head.step(data.draw(st.integers(-3, 3)), now_s)
        else:
            head.set_speed(data.draw(st.floats(0, 99)), now_s)
        assert times[0] <= head.at(now_s) <= times[-1]
        assert times[head.number(now_s)] <= head.at(now_s)


@pytest.mark.parametrize(
    ("text", "moved_ms"),
    (
        ("13:42", 60_000),
        ("13:40:30", -30_000),
        ("+90", 90_000),
        ("+90s", 90_000),
        ("-1.5m", -90_000),
        ("+1h", 3_600_000),
        ("50%", 0),
        ("0%", -600_000),
        ("100%", 600_000),
        ("23:59", (10 * 60 + 18) * 60_000),
    ),
)
def test_a_moment_is_a_time_a_step_or_a_share(text: str, moved_ms: int) -> None:
    assert moment_of(text, AT, AT - 600_000, AT + 600_000) == AT + moved_ms


def test_a_time_of_day_is_of_the_day_that_was_recorded() -> None:
    midnight = AT - AT % DAY_MS
    first_at, last_at = midnight - 3_600_000, midnight + 3_600_000
    assert moment_of("00:30", midnight - 1_000, first_at, last_at) == midnight + 1_800_000
    assert moment_of("23:30", midnight + 1_000, first_at, last_at) == midnight - 1_800_000


@pytest.mark.parametrize("text", ("", "noon", "25:00", "12:60", "+", "+5x", "%", "1e3", "12:1"))
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="type a UTC time"):
        moment_of(text, AT, AT, AT)
