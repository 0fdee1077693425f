"""The alert book: one cause, told once, again while it lasts, and once when it is over."""

from __future__ import annotations

import random

import pytest

from engine.alert import Alert, AlertAction, AlertLevel
from engine.alert_book import FORGET_MS, STORE_AGAIN_MS, AlertBook, AlertState, Due
from engine.alert_words import MOST_LINES, letter_of

REPEAT_S = 3_600.0
REPEAT_MS = 3_600_000


def alert(
    key: str = "a", at: int = 0, level: AlertLevel = AlertLevel.WARN, *, tells_end: bool = True
) -> Alert:
    return Alert(key, level, f"title {key}", f"message {key}", at, tells_end=tells_end)


@pytest.fixture
def book() -> AlertBook:
    return AlertBook(REPEAT_S)


def send(book: AlertBook, now_at: int) -> Due:
    due = book.due(now_at)
    book.sent(due, now_at)
    return due


def keys(due: Due) -> list[str]:
    return [alert.key for alert in due.alerts]


def test_new_cause_is_told_once_and_repeated_after_its_time_while_it_lasts(
    book: AlertBook,
) -> None:
    assert book.settle([alert()], 0).new == (alert(),)
    assert keys(send(book, 0)) == ["a"]
    for at in range(5_000, REPEAT_MS, 300_000):
        assert book.settle([alert(at=at)], at).new == ()
        assert book.due(at).is_empty
    book.settle([alert(at=REPEAT_MS)], REPEAT_MS)
    assert keys(send(book, REPEAT_MS)) == ["a"]


def test_cause_that_is_gone_is_over_and_told_once(book: AlertBook) -> None:
    book.settle([alert()], 0)
    send(book, 0)
    assert book.settle([], 5_000).resolved == ("a",)
    due = send(book, 5_000)
    assert (keys(due), [a.key for a in due.ended]) == ([], ["a"])
    assert book.due(6_000).is_empty
    assert book.settle([], 6_000).resolved == ()


def test_cause_that_was_over_before_anybody_was_told_is_not_told(book: AlertBook) -> None:
    book.settle([alert()], 0)
    book.settle([], 1_000)
    assert book.due(1_000).is_empty


def test_end_that_says_nothing_is_not_told(book: AlertBook) -> None:
    book.settle([alert(tells_end=False)], 0)
    send(book, 0)
    book.settle([], 1_000)
    assert book.due(1_000).is_empty


def test_cause_that_comes_and_goes_is_not_told_more_often(book: AlertBook) -> None:
    told: list[int] = []
    for at in range(0, 3 * REPEAT_MS, 10_000):
        found = [alert(at=at)] if at // 10_000 % 2 == 0 else []
        book.settle(found, at)
        told += [at] if keys(send(book, at)) else []
    assert told == [0, REPEAT_MS, 2 * REPEAT_MS]


def test_acknowledged_cause_is_quiet_until_it_gets_worse_or_begins_anew(book: AlertBook) -> None:
    book.settle([alert()], 0)
    send(book, 0)
    assert book.acknowledge("a", "ana")
    assert not book.acknowledge("a", "bob")
    assert not book.acknowledge("z", "ana")
    assert book["a"].acknowledged_by == "ana"
    book.settle([alert(at=2 * REPEAT_MS)], 2 * REPEAT_MS)
    assert book.due(2 * REPEAT_MS).is_empty

    worse = alert(at=2 * REPEAT_MS + 1, level=AlertLevel.ERROR)
    assert book.settle([worse], worse.at).to_store == (worse,)
    assert keys(send(book, worse.at)) == ["a"]
    assert book["a"].acknowledged_by == ""

    book.acknowledge("a", "ana")
    book.settle([], worse.at + 1)
    again = alert(at=worse.at + REPEAT_MS)
    assert book.settle([again], again.at).new == (again,)
    assert keys(send(book, again.at)) == ["a"]


def test_acknowledged_before_it_was_sent_is_not_sent(book: AlertBook) -> None:
    book.settle([alert()], 0)
    book.acknowledge("a", "ana")
    assert book.due(0).is_empty


def test_worse_within_the_time_is_told_at_once_and_better_is_not(book: AlertBook) -> None:
    book.settle([alert()], 0)
    send(book, 0)
    book.settle([alert(at=1_000, level=AlertLevel.ERROR)], 1_000)
    assert keys(send(book, 1_000)) == ["a"]
    book.settle([alert(at=2_000)], 2_000)
    assert book.due(2_000).is_empty
    book.settle([alert(at=3_000, level=AlertLevel.ERROR)], 3_000)
    assert book.due(3_000).is_empty


def test_of_two_alerts_with_one_key_the_worse_counts(book: AlertBook) -> None:
    worse = alert(level=AlertLevel.ERROR)
    assert book.settle([alert(), worse, alert()], 0).new == (worse,)


def test_lasting_cause_is_stored_anew_once_a_minute(book: AlertBook) -> None:
    assert book.settle([alert()], 0).to_store == (alert(),)
    stored = [at for at in range(5_000, 185_000, 5_000) if book.settle([alert(at=at)], at).to_store]
    assert stored == [STORE_AGAIN_MS, 2 * STORE_AGAIN_MS, 3 * STORE_AGAIN_MS]


def test_undelivered_alert_stays_due(book: AlertBook) -> None:
    book.settle([alert()], 0)
    assert keys(book.due(0)) == keys(book.due(60_000)) == ["a"]


def test_restart_neither_repeats_nor_acts_again(book: AlertBook) -> None:
    known = AlertState(
        alert(at=1_000), 0, 1_000, stored_at=1_000, sent_at=500, sent_level=AlertLevel.WARN
    )
    again = AlertBook(REPEAT_S, [known])
    assert again.settle([alert(at=2_000)], 2_000).new == ()
    assert again.due(2_000).is_empty
    again.settle([], 3_000)
    assert [a.key for a in again.due(3_000).ended] == ["a"]


def test_what_is_long_over_is_forgotten(book: AlertBook) -> None:
    book.settle([alert()], 0)
    book.settle([], 1_000)
    book.settle([], 1_001 + FORGET_MS)
    with pytest.raises(KeyError):
        book["a"]


def test_of_any_history_no_cause_is_told_twice_within_its_time_unless_it_got_worse(
    book: AlertBook,
) -> None:
    draws = random.Random(3)
    last: dict[str, tuple[int, AlertLevel]] = {}
    for at in range(0, 5 * REPEAT_MS, 20_000):
        found = [
            alert(key, at, draws.choice([AlertLevel.WARN, AlertLevel.ERROR]))
            for key in "abcdef"
            if draws.random() < 0.5
        ]
        book.settle(found, at)
        if draws.random() < 0.1:
            book.acknowledge(draws.choice("abcdef"), "ana")
        for told in send(book, at).alerts:
            before = last.get(told.key)
            if before is not None:
                assert at - before[0] >= REPEAT_MS or told.level.rank > before[1].rank
            last[told.key] = (at, told.level)
    assert set(last) == set("abcdef")


def test_many_alerts_are_one_letter_with_the_worst_first() -> None:
    alerts = [alert(f"k{n:02d}", n) for n in range(30)]
    book = AlertBook(REPEAT_S)
    book.settle([*alerts, alert("bad", 99, AlertLevel.ERROR)], 0)
    letter = letter_of(book.due(0), "desk")
    assert letter.title == "Paddock desk: 1 error, 30 warnings, first: title bad"
    assert letter.level is AlertLevel.ERROR
    lines = letter.body.splitlines()
    assert lines[0] == "ERROR 1970-01-01 00:00Z message bad"
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "… and 11 more: see the console"


def test_letter_of_one_alert_says_what_is_done_and_one_of_ends_is_no_alarm() -> None:
    pause = Alert("p", AlertLevel.ERROR, "paused", "it lost\n12 %.", 0, AlertAction.PAUSE)
    letter = letter_of(Due((pause,)), "desk")
    assert letter.title == "Paddock desk: paused"
    assert letter.body == "ERROR 1970-01-01 00:00Z it lost 12 %. Paddock pauses it."
    over = letter_of(Due((), (alert("a"), alert("b"))), "desk")
    assert (over.title, over.body) == ("Paddock desk: 2 over", "Over: title a, title b")
    assert over.level is None
