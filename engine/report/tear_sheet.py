"""The tear sheet: one strategy on one symbol, on one page that needs nothing else. Pure.

The page holds its own style and drawings and refers to nothing outside, so that it reads the same
from a disk, in a mail, and on paper.
"""

from __future__ import annotations

import math

from engine.report import number_text as write
from engine.report.facts import TearSheet
from engine.report.markup import Html, element, joined, table
from engine.report.origin_sections import (
    gates_section,
    genome_section,
    lineage_section,
    reproduction_section,
)
from engine.report.page_style import PAGE_STYLE
from engine.report.result_sections import (
    equity_section,
    metric_label,
    metric_text,
    months_section,
    summary_section,
    trades_section,
)
from engine.types import MarketLabel, Segment

_DIRECTIONS = {"long": "long only", "short": "short only", "both": "long and short"}
_TILES = ("total_return", "sharpe", "max_drawdown", "n_trades", "win_rate", "fitness")
_LINKS = (
    ("summary", "Summary"),
    ("equity", "Equity"),
    ("months", "Months"),
    ("trades", "Trades"),
    ("gates", "Gates"),
    ("lineage", "Lineage"),
    ("genome", "What it does"),
    ("reproduce", "To get it again"),
)


def tear_sheet_html(sheet: TearSheet) -> str:
    """Return the page as a whole HTML document.

    The same facts give the same text. Everything that comes from outside is escaped.
    """
    title = f"{sheet.strategy.id[:8]} {_kind(sheet)} on {sheet.symbol}"
    head = element(
        "head",
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        Html(f"<style>{PAGE_STYLE}</style>"),
    )
    main = element(
        "main",
        summary_section(sheet),
        equity_section(sheet),
        months_section(sheet),
        trades_section(sheet),
        gates_section(sheet),
        lineage_section(sheet),
        genome_section(sheet),
        reproduction_section(sheet),
    )
    footer = element(
        "footer",
        f"Written by Paddock {write.minute(sheet.written_at)} UTC. Backtests, not promises: fills "
        "are simulated from bars, costs included.",
    )
    body = element("body", _header(sheet), main, footer)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _header(sheet: TearSheet) -> Html:
    row = sheet.strategy
    facts = (
        f"{sheet.symbol} on {sheet.exchange} ({sheet.market_type})",
        f"{row.timeframe} bars",
        _DIRECTIONS.get(row.direction, row.direction),
        f"origin {row.origin.replace('_', ' ')}",
        f"generation {row.generation}",
        f"status {row.status}",
        f"market {sheet.cycle.market_label}",
    )
    name = f" “{row.name}”" if row.name else ""
    links = [element("a", words, href=f"#{anchor}") for anchor, words in _LINKS]
    return element(
        "header",
        element("p", "Paddock · strategy tear sheet", class_="kind"),
        element("h1", f"{_kind(sheet).capitalize()} ", element("code", row.id[:8]), name),
        element("p", " · ".join(facts), class_="lead"),
        _market_notice(sheet),
        _check_notice(sheet),
        _tiles(sheet),
        element("nav", joined(links), aria_label="Sections"),
    )


def _market_notice(sheet: TearSheet) -> Html:
    if sheet.cycle.market_label != MarketLabel.GENERATED:
        return Html("")
    edge = sheet.cycle.edge
    planted = (
        f"with a planted edge ({edge}) for strategies to find"
        if edge and edge != "none"
        else "with no edge in it, so that every profit is luck"
    )
    words = (
        f": these bars are made up, {planted}. Nothing on this page says anything about a real "
        "market."
    )
    return _notice("notice", element("strong", "GENERATED MARKET"), words)


def _check_notice(sheet: TearSheet) -> Html:
    """Say whether the backtest, run again for this page, agrees with the ledger."""
    warnings = [element("p", warning) for warning in sheet.warnings]
    if not sheet.differences:
        if sheet.warnings or not sheet.n_compared:
            words = "The numbers below are the ledger's"
            words += (
                f"; run again, all {sheet.n_compared:,} came out the same."
                if sheet.n_compared
                else "; they could not be checked by running the backtest again."
            )
            return element("div", element("p", words), *warnings, class_="notice", role="note")
        words = (
            f"Checked: the backtest was run again for this page, and all {sheet.n_compared:,} "
            "numbers equal the ledger's to the last bit."
        )
        return _notice("notice calm", element("span", "✓ ", class_="pass"), words)
    rows = [
        (
            f"{item.segment}: {metric_label(item.metric)}",
            metric_text(item.metric, item.in_ledger),
            metric_text(item.metric, item.in_rerun),
            repr(item.in_ledger),
            repr(item.in_rerun),
        )
        for item in sheet.differences
    ]
    words = (
        f" {len(sheet.differences):,} of {sheet.n_compared:,} numbers came out otherwise when the "
        "backtest was run again for this page. The summary shows the ledger's; equity, months and "
        "trades are of the new run."
    )
    return element(
        "div",
        element("p", element("strong", "✗ Not the ledger's numbers."), words),
        *warnings,
        table(
            "What differs",
            ("number", "ledger", "now", "ledger, exactly", "now, exactly"),
            rows,
        ),
        class_="notice bad",
        role="note",
    )


def _notice(style: str, *children: object) -> Html:
    return element("div", element("p", *children), class_=style, role="note")


def _tiles(sheet: TearSheet) -> Html:
    found = sheet.segment(Segment.VALIDATION.value)
    metrics = found.metrics if found else {}
    tiles = [
        element(
            "div",
            element("dt", metric_label(name)),
            element("dd", metric_text(name, metrics.get(name, math.nan))),
        )
        for name in _TILES
    ]
    days = (
        f", {write.day(found.window_start_at)} to {write.day(found.window_end_at - 1)}"
        if found
        else ": not scored"
    )
    over = element("p", f"On {sheet.symbol} validation{days}", class_="quiet over")
    return Html(over + element("dl", *tiles, class_="tiles"))


def _kind(sheet: TearSheet) -> str:
    return sheet.strategy.type.replace("_", " ")
