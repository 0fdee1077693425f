"""The tear sheet: facts in, one page out that needs nothing else and hides nothing."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from engine.backtest.metric_names import METRIC_NAMES
from engine.backtest.metrics import monthly_returns
from engine.report import number_text
from engine.report.facts import CurveFacts, Difference, SegmentFacts, TearSheet, TradeFacts
from engine.report.origin_sections import fact_text
from engine.report.svg_chart import drawdown_of, thinned, ticks
from engine.report.tear_sheet import tear_sheet_html
from engine.report.trade_log import COLUMNS, trades_csv
from engine.select.gates import Rule
from engine.store.cycles import CycleRow
from engine.store.events import EventRow
from engine.store.strategies import LineageRow, StrategyRow
from engine.store.verdicts import VerdictRow

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
# 2025-10-01 00:00 UTC
START_AT = 1_759_276_800_000
HOSTILE = "<script>alert('x')</script>\"&'"
ANCHORS = (
    "summary",
    "equity",
    "months",
    "trades",
    "gates",
    "lineage",
    "genome",
    "reproduce",
)
_VOID = {"meta", "br"}


class Page(HTMLParser):
    """A page as a person would check it: tags balanced, text by section, table cells by row."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.text = ""
        self._section = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in _VOID:
            return
        self.open.append(tag)
        if tag == "section":
            self._section = str(dict(attrs)["id"])
            self.sections[self._section] = ""
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "section":
            self._section = ""

    def handle_data(self, text: str) -> None:
        if "style" in self.open:
            return
        self.text += text
        if self._section:
            self.sections[self._section] += text
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += text

    def row(self, first: str) -> list[str]:
        (found,) = [row for row in self.rows if row and row[0] == first]
        return found


def strategy_row(id: str = "ab12cd34" + "0" * 56, **changes: object) -> StrategyRow:
    values: dict[str, object] = {
        "id": id,
        "type": "mean_reversion",
        "origin": "genetic",
        "name": "",
        "timeframe": "1h",
        "direction": "both",
        "generation": 2,
        "parent_a": "c" * 64,
        "parent_b": None,
        "cycle_id": 4,
        "created_at": START_AT,
        "status": "screened",
        "fitness": 0.51,
        "best_symbol": "BTC/USDT",
        "sharpe": 1.5,
        "max_drawdown": 0.04,
        "n_trades": 30.0,
        "total_return": 0.1,
        "win_rate": 0.5,
        "profit_factor": 1.4,
        "earliest_read_at": None,
    }
    return StrategyRow(**{**values, **changes})  # type: ignore[arg-type]


def cycle_row(**changes: object) -> CycleRow:
    values: dict[str, object] = {
        "id": 4,
        "seed": 77,
        "status": "done",
        "stage": "promote",
        "count": 60,
        "symbols": ("BTC/USDT", "ETH/USDT"),
        "timeframe": "1h",
        "days": 90,
        "exchange": "generated",
        "market_label": "GENERATED",
        "edge": "momentum 0.15",
        "workers": 2,
        "settings": {},
        "config_hash": "c0ffee" * 10,
        "data_hash": "da7a" * 16,
        "state_hash": "57a7e" * 12,
        "code_version": "0.1.0+engine.1",
        "created_at": START_AT,
        "started_at": START_AT,
        "finished_at": START_AT,
        "results_digest": "d19e57" * 10,
        "summary": None,
        "error": None,
        "wave": 0,
        "window_start_at": START_AT,
        "window_end_at": START_AT + 90 * DAY_MS,
    }
    return CycleRow(**{**values, **changes})  # type: ignore[arg-type]


def trade(segment: str, at: int, pnl_quote: float = 12.5) -> TradeFacts:
    return TradeFacts(
        segment=segment,
        side="short",
        entry_at=at,
        entry_quote=50_000.25,
        exit_at=at + 5 * HOUR_MS,
        exit_quote=49_000.125,
        reason="trailing_stop",
        qty_base=0.123456,
        pnl_quote=pnl_quote,
        net_return_frac=0.0125,
        equity_after_quote=10_012.5,
    )


def segment(
    name: str, start_day: int, n_days: int, n_trades: int = 3, seed: int = 1
) -> SegmentFacts:
    start_at = START_AT + start_day * DAY_MS
    n_bars = n_days * 24
    stamps = start_at + np.arange(n_bars, dtype=np.int64) * HOUR_MS
    steps = np.random.default_rng(seed).normal(0.0001, 0.002, n_bars)
    equity = 10_000.0 * np.concatenate(([1.0], np.exp(np.cumsum(steps))))
    metrics = {metric: 0.1 + 0.01 * i for i, metric in enumerate(METRIC_NAMES)}
    return SegmentFacts(
        name=name,
        window_start_at=start_at,
        window_end_at=start_at + n_days * DAY_MS,
        metrics=metrics,
        error="",
        curve=CurveFacts(
            point_at=np.concatenate((stamps[:1], stamps + HOUR_MS)),
            equity_quote=equity,
            months=monthly_returns(equity, stamps),
            trades=tuple(trade(name, start_at + i * DAY_MS // 20) for i in range(n_trades)),
            is_open_at_end=False,
        ),
    )


def tear_sheet(**changes: object) -> TearSheet:
    row = strategy_row()
    root = strategy_row("c" * 64, parent_a=None, generation=0, origin="immigrant", fitness=-0.2)
    values: dict[str, object] = {
        "strategy": row,
        "words": ("Goes long when RSI(14) below 30 at a bar's close.",),
        "genome": '{"version":1,"type":"mean_reversion"}',
        "cycle": cycle_row(),
        "symbol": "BTC/USDT",
        "exchange": "generated",
        "market_type": "perp",
        "series_hash": "5e71e5" * 10,
        "engine_version": "1",
        "segments": (segment("fit", 0, 60), segment("validation", 60, 30, seed=2)),
        "n_compared": 64,
        "differences": (),
        "warnings": (),
        "verdicts": (),
        "lineage": (LineageRow(0, row), LineageRow(1, root)),
        "history": (),
        "capital_quote": 10_000.0,
        "commission_frac": 0.001,
        "slippage_frac": 0.0005,
        "trades_file": "ab12cd34-BTC-USDT-trades.csv",
        "written_at": START_AT + 91 * DAY_MS,
    }
    return TearSheet(**{**values, **changes})  # type: ignore[arg-type]


def verdict(symbol: str = "BTC/USDT", *, passed: bool = False, gate: str = "paper") -> VerdictRow:
    rules = (
        Rule("sharpe", 1.2345, 1.0, True, "holdout"),
        Rule("max_drawdown", 0.21, 0.15, False, "holdout"),
        Rule("total_return", -0.2, 0.0, False, "holdout"),
        Rule("deflated_sharpe", math.nan, 0.9, False, "holdout"),
    )
    return VerdictRow(
        strategy_id=strategy_row().id,
        cycle_id=4,
        gate=gate,
        symbol=symbol,
        passed=passed,
        rules=rules,
        facts={
            "n_scored": 1234,
            "n_effective": 56.789,
            "why": "1,234 strategies ever scored there amount to 56.8 independent trials",
            "is_probation": False,
            "days_needed": None,
        },
        judged_at=START_AT + 90 * DAY_MS,
    )


def test_page_is_balanced_and_has_every_section_with_a_link_to_it() -> None:
    page = Page(tear_sheet_html(tear_sheet()))
    assert tuple(page.sections) == ANCHORS
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == [f"#{anchor}" for anchor in ANCHORS]
    assert all(text.strip() for text in page.sections.values())


def test_title_says_what_it_is_and_the_generated_market_is_said_loudly() -> None:
    page = Page(tear_sheet_html(tear_sheet()))
    for words in (
        "Mean reversion ab12cd34",
        "1h bars",
        "long and short",
        "origin genetic",
        "generation 2",
        "market GENERATED",
        "GENERATED MARKET",
        "planted edge (momentum 0.15)",
    ):
        assert words in page.text, words


def test_a_real_market_has_no_notice_of_a_generated_one() -> None:
    real = tear_sheet(cycle=cycle_row(market_label="STORE", edge=""), exchange="binance")
    page = Page(tear_sheet_html(real))
    assert "market STORE" in page.text
    assert "GENERATED" not in page.text


def test_page_refers_to_nothing_outside_itself() -> None:
    text = tear_sheet_html(tear_sheet(verdicts=(verdict(),)))
    assert "http" not in text
    page = Page(text)
    assert {"script", "link", "img", "iframe", "object", "embed"} & {
        t for t, _ in page.tags
    } == set()
    outside = {"src", "srcset", "xlink:href", "action", "data"}
    assert [a for _, a in page.tags if outside & a.keys()] == []
    assert "url(" not in text
    assert "@import" not in text


def test_everything_from_outside_is_escaped() -> None:
    row = strategy_row(
        type=HOSTILE, origin=HOSTILE, name=HOSTILE, direction=HOSTILE, status=HOSTILE
    )
    event = EventRow(1, START_AT, "info", "strategy.status", row.id, HOSTILE, 4, {"who": HOSTILE})
    rule = Rule(HOSTILE, 1.0, 2.0, False, HOSTILE)
    hostile = replace(verdict(), gate=HOSTILE, rules=(rule,), facts={HOSTILE: HOSTILE})
    sheet = tear_sheet(
        strategy=row,
        words=(HOSTILE,),
        genome=HOSTILE,
        cycle=cycle_row(edge=HOSTILE, code_version=HOSTILE, config_hash=HOSTILE),
        symbol=f"BTC/{HOSTILE}",
        exchange=HOSTILE,
        verdicts=(hostile, replace(hostile, symbol=f"BTC/{HOSTILE}")),
        lineage=(LineageRow(0, row),),
        history=(event,),
        warnings=(HOSTILE,),
        differences=(Difference(HOSTILE, HOSTILE, 1.0, 2.0),),
        trades_file=HOSTILE,
    )
    text = tear_sheet_html(sheet)
    page = Page(text)
    assert "<script" not in text
    assert {"script"} & {tag for tag, _ in page.tags} == set()
    assert page.text.count("<script>alert('x')</script>\"&'") >= 15
    # No attribute was ended early: handlers and loose words would show up as attributes.
    assert [a for _, a in page.tags if any("script" in name for name in a)] == []


def test_segments_stand_side_by_side_and_never_mix() -> None:
    fit, validation = segment("fit", 0, 60), segment("validation", 60, 30)
    fit = replace(fit, metrics={**fit.metrics, "sharpe": -1.5, "max_drawdown": 0.123})
    validation = replace(validation, metrics={**validation.metrics, "sharpe": 2.25})
    page = Page(tear_sheet_html(tear_sheet(segments=(fit, validation))))
    assert page.row("Sharpe")[1:] == ["−1.50", "+2.25", "–", "annual"]
    assert page.row("Deepest drawdown")[1] == "−12.30%"
    assert page.row("Expectancy")[4] == "USDT a trade"
    assert "never scored on holdout" in page.sections["summary"]


def test_every_metric_of_the_ledger_is_in_the_summary() -> None:
    values = {name: 1_000.0 + i for i, name in enumerate(METRIC_NAMES)}
    only = replace(segment("fit", 0, 60), metrics=values)
    page = Page(tear_sheet_html(tear_sheet(segments=(only,))))
    shown = [row for row in page.rows if len(row) == 5 and row[1] and row[0] and row[1] != "–"]
    assert len(shown) == len(METRIC_NAMES)


def test_holdout_has_its_column_its_chart_and_no_excuse() -> None:
    segments = (
        segment("fit", 0, 60),
        segment("validation", 60, 30),
        segment("holdout", -100, 100),
    )
    page = Page(tear_sheet_html(tear_sheet(segments=segments)))
    charts = [a for tag, a in page.tags if tag == "svg"]
    assert len(charts) == 3
    assert "never scored on holdout" not in page.text
    assert page.row("Sharpe")[3] != "–"
    shaded = [a for tag, a in page.tags if tag == "rect" and a["class"] == "ground shaded"]
    assert len(shaded) == 4  # equity and drawdown of validation and of holdout
    assert "out of sample, unseen" in page.sections["equity"]


def test_undefined_is_a_dash_wherever_it_stands() -> None:
    empty = replace(segment("fit", 0, 60), metrics=dict.fromkeys(METRIC_NAMES, math.nan))
    sheet = tear_sheet(segments=(empty,), strategy=strategy_row(fitness=math.nan))
    text = tear_sheet_html(sheet)
    assert "nan" not in re.sub(r"<style>.*</style>", "", text, flags=re.S).lower()
    page = Page(text)
    assert page.row("Sharpe")[1:4] == ["–", "–", "–"]
    assert page.row("Mean")[1] == "–"


def test_strategy_without_trades_says_so_and_still_draws() -> None:
    quiet = segment("validation", 60, 30, n_trades=0)
    flat = np.full_like(quiet.curve.equity_quote, 10_000.0)  # type: ignore[union-attr]
    months = {"2025-11": 0.0, "2025-12": 0.0}
    curve = replace(quiet.curve, equity_quote=flat, months=months)  # type: ignore[type-var]
    sheet = tear_sheet(segments=(replace(quiet, curve=curve),))
    page = Page(tear_sheet_html(sheet))
    assert "It closed no trade." in page.sections["trades"]
    assert "0.00%" in page.row("validation 2025")
    assert [tag for tag, _ in page.tags if tag == "svg"] == ["svg"]


def test_strategy_that_failed_everywhere_says_why() -> None:
    broken = replace(segment("fit", 0, 60), metrics={}, curve=None, error="division by zero")
    sheet = tear_sheet(segments=(broken,), n_compared=0, warnings=("It could not be run again.",))
    page = Page(tear_sheet_html(sheet))
    assert "fit could not be evaluated: division by zero" in page.sections["summary"]
    assert "There is nothing to draw." in page.sections["equity"]
    assert "could not be checked" in page.text
    assert "It could not be run again." in page.text


def test_months_carry_sign_and_colour_and_compound_to_the_year() -> None:
    one = segment("fit", 0, 60)
    months = {"2024-12": 0.5, "2025-01": 0.10, "2025-02": -0.10, "2025-03": -0.001}
    curve = replace(one.curve, months=months)  # type: ignore[type-var]
    text = tear_sheet_html(tear_sheet(segments=(replace(one, curve=curve),)))
    page = Page(text)
    assert page.row("fit 2025")[1:5] == ["+10.00%", "−10.00%", "−0.10%", ""]
    assert page.row("fit 2025")[-1] == "−1.10%"
    assert page.row("fit 2024")[12:] == ["+50.00%", "+50.00%"]
    assert '<td class="g4">+50.00%</td>' in text
    assert '<td class="l1">−10.00%</td>' in text


def test_page_lists_the_last_two_hundred_trades_and_the_log_all() -> None:
    sheet = tear_sheet(
        segments=(segment("fit", 0, 60, n_trades=180), segment("validation", 60, 30, n_trades=120))
    )
    page = Page(tear_sheet_html(sheet))
    listed = [row for row in page.rows if len(row) == 10 and row[2] == "short"]
    assert len(listed) == 200
    assert [row[1] for row in listed] == ["validation"] * 120 + ["fit"] * 80
    assert listed[0][3:6] == ["50,000.2", "49,000.1", "5 h"]
    assert listed[0][9] == "trailing stop"
    assert "The last 200 of 300 closed trades" in page.sections["trades"]
    logged = list(csv.DictReader(io.StringIO(trades_csv(sheet.symbol, sheet.trades))))
    assert len(logged) == 300
    assert tuple(logged[0]) == COLUMNS
    assert float(logged[0]["qty_base"]) == 0.123456
    entries = [int(row["entry_at"]) for row in logged]
    assert entries == sorted(entries)


def test_gates_show_every_rule_with_number_limit_and_what_was_counted() -> None:
    others = verdict("ETH/USDT", gate="screen")
    page = Page(tear_sheet_html(tear_sheet(verdicts=(verdict(), others))))
    gates = page.sections["gates"]
    assert "Paper gate: ✗ failed" in gates
    assert ["Sharpe", "holdout", "+1.23", "≥ +1.00", "✓ passed"] in page.rows
    assert ["Deepest drawdown", "holdout", "−21.00%", "≥ −15.00%", "✗ failed"] in page.rows
    assert ["Total return", "holdout", "−20.00%", "> 0.00%", "✗ failed"] in page.rows
    assert ["Deflated Sharpe", "holdout", "–", "0.900", "✗ failed"] in page.rows
    for words in ("n scored", "1,234", "56.79", "1,234 strategies ever scored there", "no"):
        assert words in gates, words
    assert "ETH/USDT, screen gate" in gates
    assert "Deepest drawdown, Total return, Deflated Sharpe" in gates


def test_without_a_verdict_the_page_says_that_no_gate_has_judged() -> None:
    page = Page(tear_sheet_html(tear_sheet()))
    assert "No gate has judged it yet." in page.sections["gates"]
    other = Page(tear_sheet_html(tear_sheet(verdicts=(verdict("ETH/USDT"),))))
    assert "No gate has judged it yet on BTC/USDT." in other.sections["gates"]


def test_lineage_goes_up_to_the_roots_and_names_parents_that_are_missing() -> None:
    row = strategy_row(parent_b="d" * 64)
    root = strategy_row("c" * 64, parent_a=None, origin="immigrant")
    sheet = tear_sheet(strategy=row, lineage=(LineageRow(0, row), LineageRow(1, root)))
    page = Page(tear_sheet_html(sheet))
    assert page.row("ab12cd34")[6] == "cccccccc, dddddddd (not in the store)"
    assert page.row("cccccccc")[1:3] == ["parent", "immigrant"]
    assert page.row("cccccccc")[6] == "none: a root"
    assert "1 ancestor," in page.sections["lineage"]


def test_reproduction_names_seed_hashes_and_code() -> None:
    page = Page(tear_sheet_html(tear_sheet()))
    for words in ("77", "c0ffee" * 10, "da7a" * 16, "57a7e" * 12, "0.1.0+engine.1", "0.100%"):
        assert words in page.sections["reproduce"], words


def test_rerun_that_agrees_is_said_calmly_and_one_that_does_not_loudly() -> None:
    assert "all 64 numbers equal the ledger's" in Page(tear_sheet_html(tear_sheet())).text
    changed = tear_sheet(
        differences=(Difference("fit", "sharpe", 1.5, math.nan),),
        warnings=("The bars of fit and validation have changed since cycle 4.",),
    )
    text = tear_sheet_html(changed)
    page = Page(text)
    assert "Not the ledger's numbers." in page.text
    assert "1 of 64 numbers came out otherwise" in page.text
    assert page.row("fit: Sharpe")[1:] == ["+1.50", "–", "1.5", "nan"]
    assert "have changed since cycle 4" in page.text
    assert "equal the ledger's" not in page.text


def test_same_facts_give_the_same_page() -> None:
    assert tear_sheet_html(tear_sheet()) == tear_sheet_html(tear_sheet())


@pytest.mark.parametrize(
    ("value", "digits", "words"),
    [
        (1234.5678, 2, "1,234.57"),
        (-0.001, 2, "0.00"),
        (-1234.5, 1, "−1,234.5"),
        (math.nan, 2, "–"),
        (math.inf, 2, "∞"),
        (-math.inf, 2, "−∞"),
    ],
)
def test_numbers_carry_a_true_minus_and_what_rounds_to_nothing_has_no_sign(
    value: float, digits: int, words: str
) -> None:
    assert number_text.number(value, digits) == words


def test_fractions_become_percent_and_losses_minus() -> None:
    assert number_text.signed_percent(0.1234) == "+12.34%"
    assert number_text.signed_percent(0.0) == "0.00%"
    assert number_text.signed_percent(math.inf) == "∞%"
    assert number_text.loss_percent(0.041) == "−4.10%"
    assert number_text.loss_percent(0.0) == "0.00%"
    assert number_text.percent(math.nan) == "–"


def test_spans_of_time_take_two_units_at_most() -> None:
    spans = (35 * 60_000, HOUR_MS, 5 * HOUR_MS + 10 * 60_000, DAY_MS, 3 * DAY_MS + 4 * HOUR_MS)
    assert [number_text.duration(ms) for ms in spans] == [
        "35 min",
        "1 h",
        "5 h 10 min",
        "1 d",
        "3 d 4 h",
    ]


def test_facts_of_a_verdict_are_told_whatever_they_are() -> None:
    assert fact_text(None) == "–"
    assert fact_text(True) == "yes"
    assert fact_text(12_345) == "12,345"
    assert fact_text(-0.0123456) == "−0.01235"
    assert fact_text([1, "two"]) == "1, two"
    assert fact_text({"a_b": 1.0}) == "a b: 1"
    assert fact_text("inf") == "∞"
    assert fact_text("why not") == "why not"


def test_no_extreme_is_lost_between_pixels() -> None:
    values = np.zeros(100_000)
    values[12_345], values[77_777] = 5.0, -7.0
    kept = thinned(values, 300)
    assert kept.shape[0] <= 602
    assert {0, 12_345, 77_777, 99_999} <= set(kept.tolist())
    assert bool(np.all(np.diff(kept) > 0))
    assert thinned(values[:10], 300).tolist() == list(range(10))


def test_ticks_are_round_inside_and_hold_zero_exactly() -> None:
    found = ticks(-0.137, 0.162, 4)
    assert found == pytest.approx([-0.1, 0.0, 0.1])
    assert 0.0 in found
    assert ticks(0.0, 1.0, 4) == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    with pytest.raises(ValueError, match="no room"):
        ticks(1.0, 1.0, 4)


def test_drawdown_is_the_share_below_the_peak_so_far() -> None:
    growth = np.array([0.0, 0.2, -0.4, 0.3])
    assert drawdown_of(growth) == pytest.approx([0.0, 0.0, -0.5, 0.0])
