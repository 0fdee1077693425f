"""What the gates said, as `paddock show` and `paddock cycle` print it."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import console.cli
from console.commands import cycle
from console.controls_words import controls_words
from console.verdict_words import (
    fact_sentences,
    failed_words,
    no_verdict_words,
    outcome_word,
    rule_words,
    rules_by_place,
    table_lines,
)
from engine.select.gates import Rule, screen
from engine.settings import ScreenGate
from engine.store.database import Store, sqlite_url
from engine.store.events import Event, add_events
from engine.store.strategies import leaderboard
from engine.store.verdicts import VerdictRow
from tests.console.filled_store import CONTROLS, fill, session_of

REFUSED = VerdictRow(
    strategy_id="a" * 32,
    cycle_id=7,
    gate="paper",
    symbol="BTC/USDT",
    passed=False,
    rules=(
        Rule("sharpe", 1.2, 1.0, True, "holdout"),
        Rule("max_drawdown", 0.21, 0.15, False, "holdout"),
        Rule("deflated_sharpe", math.nan, 0.9, False, "holdout"),
        Rule("look_ahead", 0.0, 0.0, True, "fit and validation"),
    ),
    facts={"why": "9 strategies ever scored", "unseen_days": 210.0, "is_probation": False},
    judged_at=1_767_534_060_000,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "config.toml"
    config.write_text('[paths]\nhome = "./var"\n')
    monkeypatch.setenv("PADDOCK_CONFIG", str(config))
    monkeypatch.setenv("LOGNAME", "ana")
    asyncio.run(fill(tmp_path / "var"))
    return tmp_path / "var"


def ids_by_fitness(home: Path) -> list[str]:
    async def read() -> list[str]:
        store = await Store.open(sqlite_url(home), read_only=True)
        try:
            return [row.id for row in (await leaderboard(store, limit=50))[0]]
        finally:
            await store.close()

    return asyncio.run(read())


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert console.cli.run(list(arguments)) == 0
    return capsys.readouterr().out


def test_show_prints_each_rule_with_number_limit_sign_and_place(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = shown(capsys, "show", ids_by_fitness(home)[0])
    for words in (
        "paper gate on ETH/USDT: ✗ refused, judged 2026-01-04 13:41Z in cycle 2",
        "max drawdown              -4.2%  ≥ -15.0%   ✓ passed  holdout",
        "overfit probability       0.310  ≤ 0.200    ✗ failed  fit and validation",
        "Trials counted: 41 strategies ever scored on unseen bars of ETH/USDT.",
        "Judged on 275 unseen days.",
        "Sharpe a year of its daily returns 1.30 (1.18 corrected",
        "by luck",
    ):
        assert words in told, words
    # Three columns where unseen bars judged it, two elsewhere: never one number for both.
    heads = [line.split() for line in told.splitlines() if line.startswith("  ETH/USDT ")]
    assert heads == [["ETH/USDT", "fit", "validation", "holdout"]]
    assert ["BTC/USDT", "fit", "validation"] in [line.split() for line in told.splitlines()]


def test_show_as_json_carries_the_verdicts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (verdict,) = json.loads(shown(capsys, "show", ids_by_fitness(home)[0], "--json"))["verdicts"]
    assert (verdict["gate"], verdict["passed"], verdict["cycle_id"]) == ("paper", False, 2)
    failed = [rule["name"] for rule in verdict["rules"] if not rule["passed"]]
    assert failed == ["deflated_sharpe", "overfit_probability"]
    assert verdict["facts"]["luck_sharpe"] == pytest.approx(0.94)


def test_show_of_a_strategy_that_no_gate_has_judged_says_so(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worst = ids_by_fitness(home)[-1]
    told = shown(capsys, "show", worst)
    assert "no gate has judged it yet: it did not pass the screen of a cycle" in told
    assert json.loads(shown(capsys, "show", worst, "--json"))["verdicts"] == []


def test_rules_keep_their_order_and_are_grouped_by_where_they_were_measured() -> None:
    places = [(place, [rule.label for rule in rules]) for place, rules in rules_by_place(REFUSED)]
    assert places == [
        ("holdout", ["Sharpe /yr", "max drawdown", "deflated Sharpe"]),
        ("fit and validation", ["look-ahead found"]),
    ]
    assert outcome_word(REFUSED) == "✗ refused"
    assert failed_words(REFUSED) == "✗ failed: max drawdown, deflated Sharpe"
    assert failed_words(replace(REFUSED, rules=REFUSED.rules[:1])) == ""


def test_number_that_was_not_measured_is_a_dash_and_fails() -> None:
    words = rule_words(REFUSED.rules[2])
    assert (words.measured, words.limit, words.said) == ("–", "≥ 0.900", "✗ failed")
    assert "–" in table_lines(REFUSED)[3]


def test_return_has_a_least_and_a_highest_limit_and_each_says_which_it_is() -> None:
    metrics = {"total_return": 6.0}
    rules = screen({"fit": metrics}, ScreenGate()).rules
    least, highest = (rule_words(rule) for rule in rules if rule.name == "total_return")
    assert (least.limit, least.said) == ("> -50.0%", "✓ passed")
    assert (highest.limit, highest.said) == ("≤ +500.0%", "✗ failed")
    at_limit = [Rule("total_return", 0.0, 0.0, passed) for passed in (False, True)]
    assert [rule_words(rule).limit for rule in at_limit] == ["> 0.0%", "≤ 0.0%"]


def test_every_rule_of_the_gates_has_words_of_its_own() -> None:
    gate = ScreenGate(profit_per_trade_min_frac=0.005)
    names = [rule.name for rule in screen({"fit": {}}, gate).rules]
    names += ["deflated_sharpe", "overfit_probability", "look_ahead"]
    labels = [rule_words(Rule(name, 1.0, 2.0, False)).label for name in names]
    assert not [label for label in labels if "_" in label]
    assert all(len(label) <= 19 for label in labels)
    assert rule_words(Rule("average_trade_return", 0.004, 0.005, False)).limit == "≥ +0.5%"


@pytest.mark.parametrize(
    ("facts", "passed", "words"),
    [
        ({"unseen_days": 12.0, "is_probation": True}, True, "On probation: with only 12 unseen"),
        ({"unseen_days": 12.0, "is_probation": True}, False, "With only 12 unseen days, valid"),
        ({"unseen_days": 300.0, "is_probation": False}, True, "Judged on 300 unseen days."),
        ({"n_days": 30, "days_needed": "inf"}, False, "no number of such days would show"),
        ({"n_days": 30, "days_needed": 411.2}, False, "takes 412."),
        ({"sharpe_daily": 1.0, "luck_sharpe": 2.5}, False, "skill reaches 2.50 by luck."),
    ],
)
def test_facts_become_sentences(facts: dict[str, Any], passed: bool, words: str) -> None:
    (sentence,) = fact_sentences(replace(REFUSED, facts=facts, passed=passed))
    assert words in sentence


def test_facts_that_are_undefined_are_not_told() -> None:
    names = ("sharpe_daily", "luck_sharpe", "days_needed", "choice_walk_forward_sharpe")
    assert fact_sentences(replace(REFUSED, facts=dict.fromkeys(names))) == []
    assert fact_sentences(replace(REFUSED, facts={})) == []


@pytest.mark.parametrize(
    ("status", "evaluations", "words"),
    [
        ("rejected", (), "refused before any backtest"),
        ("generated", (), "has not been evaluated"),
        ("generated", (1,), "did not pass the screen"),
        ("screened", (1,), "no cycle has put it before the paper gate"),
        ("paper", (1,), "although it is paper"),
    ],
)
def test_missing_verdict_is_explained_by_where_the_strategy_stands(
    status: str, evaluations: tuple[int, ...], words: str
) -> None:
    view: Any = SimpleNamespace(row=SimpleNamespace(status=status), evaluations=evaluations)
    assert words in no_verdict_words(view)


def test_controls_are_told_in_full_or_where_there_is_little_room_in_short() -> None:
    full = "0 of 100 permuted, 0 of 100 skill-free pass; naive gate 1, 0"
    assert controls_words(CONTROLS) == full
    assert controls_words(CONTROLS, len(full)) == full
    short = controls_words(CONTROLS, len(full) - 1)
    assert short == "permuted 0/100, skill-free 0/100; naive 1, 0"
    assert controls_words({"skill_free": {"candidates": 0}}) == ""


def test_cycle_prints_promoted_and_controls(capsys: pytest.CaptureFixture[str]) -> None:
    cycle._print_summary({"cycle_id": 3, "promoted": 2, "controls": CONTROLS})
    told = capsys.readouterr().out
    assert "  promoted               2\n" in told
    assert "  controls    0 of 100 permuted, 0 of 100 skill-free pass; naive gate 1, 0\n" in told
    cycle._print_summary({"cycle_id": 3})
    assert "controls" not in capsys.readouterr().out


def test_cycle_warns_when_its_controls_were_too_many(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def follow() -> None:
        store = await Store.open(sqlite_url(home))
        try:
            told = [
                Event(1, level, "cycle.controls", f"{level} words", cycle_id=2)
                for level in ("info", "error")
            ]
            await add_events(store, told)
            follower = cycle.Follower(session_of(home), store, is_private=False)
            await follower.rejoin(2)
        finally:
            await store.close()

    asyncio.run(follow())
    said = capsys.readouterr().err
    assert "paddock: ▲ error words" in said
    assert "info words" not in said
