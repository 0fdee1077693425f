"""What a strategy did: metrics, equity, months and trades, each segment apart from the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.report import number_text as write
from engine.report.facts import CurveFacts, SegmentFacts, TearSheet, TradeFacts
from engine.report.markup import Html, cell, element, section, table
from engine.report.svg_chart import drawdown_of, equity_chart
from engine.types import FloatArray, Segment, timeframe_ms

N_TRADES_SHOWN = 200
SEGMENT_NOTES = {
    "fit": "in sample",
    "validation": "out of sample, selects",
    "holdout": "out of sample, unseen",
}
_OUT_OF_SAMPLE = (Segment.VALIDATION.value, Segment.HOLDOUT.value)
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CHARTS_WIDTH = 1064.0
_CHARTS_GAP = 20.0
_N_TINTS = 4


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    label: str
    unit: str
    written: Callable[[float], str]


def _count(value: float) -> str:
    return write.number(value, 0)


def _loss(value: float) -> str:
    return write.loss_percent(value)


def _tiny(value: float) -> str:
    return write.UNDEFINED if math.isnan(value) else f"{value:.3e}".replace("-", "−")


_GROUPS: tuple[tuple[str, tuple[_Metric, ...]], ...] = (
    (
        "Return",
        (
            _Metric("fitness", "Fitness", "log growth a year less weighted drawdown", write.signed),
            _Metric("total_return", "Total return", "of capital", write.signed_percent),
            _Metric("annual_return", "Annual return", "a year of 365 days", write.signed_percent),
            _Metric("annual_log_growth", "Log growth", "a year", write.signed),
            _Metric("final_equity_quote", "Final equity", "quote", write.number),
        ),
    ),
    (
        "Return for risk",
        (
            _Metric("sharpe", "Sharpe", "annual", write.signed),
            _Metric("sortino", "Sortino", "annual", write.signed),
            _Metric("calmar", "Calmar", "annual return ÷ drawdown", write.signed),
        ),
    ),
    (
        "Risk",
        (
            _Metric("max_drawdown", "Deepest drawdown", "of the peak", _loss),
            _Metric("max_drawdown_bars", "Longest drawdown", "bars", _count),
            _Metric("value_at_risk", "Value at risk, 95%", "loss in a UTC day", write.percent),
            _Metric(
                "expected_shortfall", "Expected shortfall", "loss, worst 5% of days", write.percent
            ),
        ),
    ),
    (
        "Trades",
        (
            _Metric("n_trades", "Trades", "closed", _count),
            _Metric("win_rate", "Trades won", "of all", write.percent),
            _Metric("profit_factor", "Profit factor", "gross profit ÷ gross loss", write.number),
            _Metric("expectancy_quote", "Expectancy", "quote a trade", write.signed),
            _Metric(
                "average_trade_return", "Average trade", "of equity committed", write.signed_percent
            ),
            _Metric("average_trade_bars", "Average holding", "bars", lambda v: write.number(v, 1)),
            _Metric("win_streak", "Longest run of wins", "trades", _count),
            _Metric("loss_streak", "Longest run of losses", "trades", _count),
        ),
    ),
    (
        "Activity and costs",
        (
            _Metric("exposure", "Exposure", "of bars", write.percent),
            _Metric("turnover_per_day", "Turnover", "× equity a day", write.number),
            _Metric("gross_profit_quote", "Gross profit", "quote", write.number),
            _Metric("gross_loss_quote", "Gross loss", "quote", write.number),
            _Metric("commission_quote", "Commission paid", "quote", write.number),
            _Metric("slippage_quote", "Slippage paid", "quote", write.number),
        ),
    ),
    (
        "Returns by bar",
        (
            _Metric("n_bars", "Bars", "", _count),
            _Metric("return_mean", "Mean", "a bar", _tiny),
            _Metric("return_std", "Standard deviation", "a bar", _tiny),
            _Metric("return_skewness", "Skewness", "", write.signed),
            _Metric("return_kurtosis", "Kurtosis", "3 is normal", write.number),
            _Metric("return_autocorrelation", "Autocorrelation", "one bar apart", write.signed),
        ),
    ),
)
_OTHER_LABELS = {
    "deflated_sharpe": "Deflated Sharpe",
    "overfit_probability": "Probability of overfitting",
    "look_ahead": "Look-ahead findings",
}
_METRICS = {metric.name: metric for _, group in _GROUPS for metric in group}


def metric_text(name: str, value: float) -> str:
    """Return a metric as the page prints it; a name that is not on the page as a plain number."""
    metric = _METRICS.get(name)
    if metric:
        return metric.written(value)
    return write.number(value, 0 if not math.isfinite(value) or value == round(value) else 4)


def metric_label(name: str) -> str:
    """Return a metric's name in words."""
    metric = _METRICS.get(name)
    return metric.label if metric else _OTHER_LABELS.get(name, name.replace("_", " "))


def summary_section(sheet: TearSheet) -> Html:
    """Return every metric, one column a segment."""
    columns = [(segment.value, sheet.segment(segment.value)) for segment in Segment]
    head: list[object] = ["", *(_segment_head(name, found) for name, found in columns)]
    head.append(cell("", "unit", tag="th"))
    rows: list[Sequence[object]] = []
    n_cells = len(columns) + 1
    for title, group in _GROUPS:
        rows.append((cell(title, "group", tag="th"), *(cell("", "group") for _ in range(n_cells))))
        for metric in group:
            values = [
                cell(
                    metric.written(found.metrics.get(metric.name, math.nan))
                    if found
                    else write.UNDEFINED,
                    "n",
                )
                for _, found in columns
            ]
            unit = metric.unit.replace("quote", quote_of(sheet.symbol))
            rows.append((metric.label, *values, cell(unit, "unit")))
    caption = (
        f"{sheet.symbol}. Each column is measured on its own days, from its own "
        f"{write.number(sheet.capital_quote, 0)} {quote_of(sheet.symbol)}; {write.UNDEFINED} is "
        "undefined or not measured."
    )
    return section("summary", "Summary", *_remarks(sheet), table(caption, head, rows, "summary"))


def equity_section(sheet: TearSheet) -> Html:
    """Return equity and drawdown of every segment on scales that compare."""
    drawn = [
        (item, item.curve, _growth(item.curve, sheet.capital_quote))
        for item in sheet.segments
        if item.curve is not None
    ]
    if not drawn:
        return section("equity", "Equity and drawdown", element("p", "There is nothing to draw."))
    growths = [growth for _, _, growth in drawn]
    growth_range = (min(float(g.min()) for g in growths), max(float(g.max()) for g in growths))
    deepest = max(-float(drawdown_of(growth).min()) for growth in growths)
    n = len(drawn)
    charts = [
        equity_chart(
            item.name,
            SEGMENT_NOTES.get(item.name, ""),
            curve.point_at,
            growth,
            is_shaded=item.name in _OUT_OF_SAMPLE,
            growth_range=growth_range,
            deepest_frac=deepest,
            width=(_CHARTS_WIDTH - _CHARTS_GAP * (n - 1)) / n,
        )
        for item, curve, growth in drawn
    ]
    note = (
        "Above, equity as change from the capital at the segment's start, marked to market at "
        "every close, costs included. Below, how far it stands under its peak. Shaded is out of "
        "sample. All share one vertical scale; each has its own days."
    )
    grid = element("div", *charts, class_=f"charts {('', 'one', 'two', 'three')[min(n, 3)]}")
    return section("equity", "Equity and drawdown", element("p", note, class_="quiet"), grid)


def months_section(sheet: TearSheet) -> Html:
    """Return the return of each UTC month, one row a segment and year."""
    rows: list[Sequence[object]] = []
    curves = [(item, item.curve) for item in sheet.segments if item.curve is not None]
    largest = max((abs(v) for _, curve in curves for v in curve.months.values()), default=0.0)
    for item, curve in curves:
        for year in sorted({month[:4] for month in curve.months}):
            rows.append(_year_row(item, curve, year, largest))
    if not rows:
        return section("months", "Monthly returns", element("p", "No month was measured."))
    head = [
        "segment, year",
        *(cell(name, tag="th") for name in _MONTH_NAMES),
        cell("year", tag="th"),
    ]
    caption = (
        "Change of equity from the last close of the month before (the first from the capital), "
        "UTC months. The first and the last month of a segment are rarely whole. Months compound "
        "to the year."
    )
    return section("months", "Monthly returns", table(caption, head, rows, "months"))


def trades_section(sheet: TearSheet) -> Html:
    """Return the last trades, newest first."""
    trades = sheet.trades
    still_open = [item.name for item in sheet.segments if item.curve and item.curve.is_open_at_end]
    remarks: list[Html] = []
    if still_open:
        remarks.append(
            element(
                "p",
                f"A position was still open at the end of {' and of '.join(still_open)}: it is "
                "marked to market in the equity and is no trade.",
                class_="quiet",
            )
        )
    if not trades:
        return section("trades", "Trades", element("p", "It closed no trade."), *remarks)
    shown = trades[-N_TRADES_SHOWN:][::-1]
    step_ms = timeframe_ms(sheet.strategy.timeframe)
    quote = quote_of(sheet.symbol)
    head = [
        "entry, UTC",
        "segment",
        "side",
        cell("entry", "n", tag="th"),
        cell("exit", "n", tag="th"),
        cell("held", "n", tag="th"),
        cell(f"quantity, {sheet.symbol.split('/')[0]}", "n", tag="th"),
        cell(f"profit, {quote}", "n", tag="th"),
        cell("of equity committed", "n", tag="th"),
        "closed by",
    ]
    which = "All" if len(shown) == len(trades) else f"The last {len(shown):,} of"
    caption = (
        f"{which} {len(trades):,} closed trades, newest first; prices include slippage, profit "
        f"includes all costs. {sheet.trades_file} has every one."
    )
    digits = write.price_digits(max(max(t.entry_quote, t.exit_quote) for t in shown))
    rows = [_trade_row(trade, step_ms, digits) for trade in shown]
    return section("trades", "Trades", *remarks, table(caption, head, rows))


def _segment_head(name: str, found: SegmentFacts | None) -> Html:
    days = (
        f"{write.day(found.window_start_at)} to {write.day(found.window_end_at - 1)}"
        if found
        else "not scored"
    )
    label = Html(name + element("small", days))
    return element("th", label, scope="col", class_=f"n {name}")


def _remarks(sheet: TearSheet) -> list[Html]:
    found = [
        element("p", f"{item.name} could not be evaluated: {item.error}", class_="fail")
        for item in sheet.segments
        if item.error
    ]
    if sheet.segment(Segment.HOLDOUT.value) is None:
        found.append(
            element(
                "p",
                "It was never scored on holdout: only what a gate sends there is. Nothing below "
                "comes from bars that the search has not seen.",
                class_="lead",
            )
        )
    return found


def _growth(curve: CurveFacts, capital_quote: float) -> FloatArray:
    return np.asarray(curve.equity_quote, dtype=np.float64) / capital_quote - 1.0


def _year_row(item: SegmentFacts, curve: CurveFacts, year: str, largest: float) -> list[Html | str]:
    row: list[Html | str] = [cell(f"{item.name} {year}", tag="th")]
    growth = 1.0
    for number in range(1, 13):
        value = curve.months.get(f"{year}-{number:02d}")
        if value is None:
            row.append(cell(""))
            continue
        growth *= 1.0 + value
        row.append(cell(write.signed_percent(value), _tint(value, largest)))
    row.append(element("td", element("b", write.signed_percent(growth - 1.0))))
    return row


def _tint(value: float, largest: float) -> str:
    if value == 0 or largest == 0 or not math.isfinite(value):
        return ""
    strength = min(_N_TINTS, 1 + int(_N_TINTS * abs(value) / largest))
    return f"{'g' if value > 0 else 'l'}{strength}"


def _trade_row(trade: TradeFacts, step_ms: int, digits: int) -> Sequence[object]:
    # A trade that ends inside the bar it began in was held for a part of it.
    held_ms = trade.exit_at - trade.entry_at
    held = write.duration(held_ms) if held_ms else f"< {write.duration(step_ms)}"
    return (
        cell(write.minute(trade.entry_at), "wrapless", tag="th"),
        trade.segment,
        trade.side,
        cell(write.number(trade.entry_quote, digits), "n"),
        cell(write.number(trade.exit_quote, digits), "n"),
        cell(held, "n"),
        cell(write.number(trade.qty_base, write.price_digits(trade.qty_base)), "n"),
        cell(write.signed(trade.pnl_quote), "n"),
        cell(write.signed_percent(trade.net_return_frac), "n"),
        cell(trade.reason.replace("_", " "), "wrapless"),
    )


def quote_of(symbol: str) -> str:
    """Return the quote currency of a symbol."""
    return symbol.partition("/")[2].partition(":")[0] or "quote"
