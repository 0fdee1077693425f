"""What a strategy's own screen says, as pure functions of its view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from textual.content import Content

from console.commands.strategies import by_symbol, metric_text
from console.format import (
    age,
    clock_time,
    day,
    number,
    percent,
    short_id,
    signed,
    signed_percent,
)
from console.snapshot import StrategyView
from console.states import state_style
from console.verdict_words import (
    RuleWords,
    fact_sentences,
    failed_words,
    judged_words,
    no_verdict_words,
    outcome_word,
    rules_by_place,
)
from console.widgets.curve_plot import Curve
from console.wording import genome_sentences
from engine.trade.accounts import PAPER

if TYPE_CHECKING:
    from engine.store.verdicts import VerdictRow

METRICS = (
    ("fitness", "fitness"),
    ("sharpe", "Sharpe /yr"),
    ("sortino", "Sortino /yr"),
    ("total_return", "return"),
    ("annual_return", "return /yr"),
    ("max_drawdown", "max drawdown"),
    ("n_trades", "trades"),
    ("win_rate", "trades won"),
    ("profit_factor", "profit factor"),
    ("expectancy_quote", "per trade, quote"),
    ("exposure", "exposure"),
    ("turnover_per_day", "turnover /day"),
)
SEGMENT_COLOURS = {"fit": "blue", "validation": "green", "holdout": "magenta"}
_PAPER_COLOUR, _LIVE_COLOUR = "cyan", "orange"
_LABEL_WIDTH = 17
_VALUE_WIDTH = 11
# For a pane too narrow to show all segments of one symbol side by side otherwise.
_NARROW_WIDTH = 8
_NARROW_WORDS = {
    "fit": "fit",
    "validation": "valid.",
    "holdout": "holdout",
    "paper": "paper",
    "replay": "replay",
}
_RULE_WIDTH = 19


def metrics_content(view: StrategyView, symbol: str, width: int, now_at: int) -> Content:
    """Return the metrics, one column a segment, the chosen symbol first and the others after it.

    What it made in accounts follows, one line an account.
    """
    measured = by_symbol(view)
    traded = account_lines(view, now_at)
    if not measured:
        words = (
            "It has not been evaluated yet: {cycle.start} on screen 1 starts a cycle, "
            "which does that."
        )
        return Content("\n").join([Content.styled(words, "$muted"), *traded])
    order = (
        [symbol, *(name for name in measured if name != symbol)]
        if symbol in measured
        else list(measured)
    )
    is_narrow = _LABEL_WIDTH + _VALUE_WIDTH * len(measured[order[0]]) > width
    value_width = _NARROW_WIDTH if is_narrow else _VALUE_WIDTH
    n_fitting = max(1, (width - _LABEL_WIDTH) // value_width)
    shown: list[tuple[str, str]] = []
    for name in order:
        # Segments of one symbol are read side by side: a symbol is shown whole, or not at all.
        if not shown or len(shown) + len(measured[name]) <= n_fitting:
            shown += [(name, segment) for segment in measured[name]][:n_fitting]
    head = Content(" " * _LABEL_WIDTH)
    for name in dict.fromkeys(name for name, _ in shown):
        style = "bold $primary" if name == symbol else "bold"
        group_width = value_width * sum(1 for other, _ in shown if other == name)
        head = head.append(Content.styled(f"{f'{name:>{value_width}}':<{group_width}}", style))
    segments = [_NARROW_WORDS[s] if is_narrow else s for _, s in shown]
    lines = [head, Content.styled(_row("", segments, value_width), "$muted")]
    for key, label in METRICS:
        values = [metric_text(key, measured[name][seg].metrics.get(key)) for name, seg in shown]
        lines.append(Content(_row(label, values, value_width)))
    failed = [item for item in view.evaluations if item.error]
    lines += [
        Content.styled(f"✗ {item.symbol} {item.segment}: {item.error}", "$error") for item in failed
    ]
    hidden = sum(len(by_segment) for by_segment in measured.values()) - len(shown)
    if hidden:
        lines.append(
            Content.styled(f"{hidden} more columns: {{symbol.next}} changes the symbol", "$muted")
        )
    return Content("\n").join([*lines, *traded])


def account_lines(view: StrategyView, now_at: int) -> list[Content]:
    """Return what it made in each account, by its closed trades."""
    trades = () if view.facts is None else view.facts.trades
    lines = []
    for name in sorted({trade.account for trade in trades}):
        mine = [trade for trade in trades if trade.account == name]
        pnl = float(sum(trade.pnl_quote for trade in mine))
        won = sum(trade.pnl_quote > 0 for trade in mine) / len(mine)
        lines.append(
            Content.assemble(
                (f"{name}  ", "bold"),
                f"{len(mine):,} trades, {percent(won, 0)} won, {signed(pnl)} quote, the last "
                f"{age(mine[-1].exit_at, now_at)} ago",
            )
        )
    return lines


def account_colour(account: str) -> str:
    """Return the colour of an account's curve."""
    return _PAPER_COLOUR if account == PAPER else _LIVE_COLOUR


def words_content(view: StrategyView) -> Content:
    """Return what the strategy does, in sentences."""
    return Content("\n").join(Content(sentence) for sentence in genome_sentences(view.genome))


def gates_content(view: StrategyView) -> Content:
    """Return its newest change of status, each verdict with its rules, and the older changes."""
    changes = [
        Content.assemble((f"{day(e.at)} {clock_time(e.at)} ", "$muted"), e.message)
        for e in reversed(view.history)
    ]
    lines = changes[:1] or [Content.styled("No change of status has been recorded.", "$muted")]
    if not view.verdicts:
        words = no_verdict_words(view)
        lines += [Content(""), Content.styled(f"{words[0].upper()}{words[1:]}.", "$muted")]
    for verdict in view.verdicts:
        lines += [Content(""), *_verdict_lines(verdict)]
    if len(changes) > 1:
        lines += [Content(""), Content.styled("Earlier changes of status", "bold"), *changes[1:]]
    return Content("\n").join(lines)


def title_of(view: StrategyView) -> str:
    """Return the crumb of a strategy."""
    row = view.row
    kind = row.type.replace("_", " ")
    return f"strategies › {short_id(row.id)}  {kind} · {row.timeframe} · {row.status}"


def ancestor_label(view: StrategyView, place: int) -> Content:
    """Return one line of the lineage: nearer ancestors further left."""
    item = view.lineage[place]
    style = state_style(item.row.status)
    how = {0: "this", 1: "parent"}.get(item.depth, f"{item.depth} generations up")
    line = (
        f"{'  ' * item.depth}{short_id(item.row.id)}  {number(item.row.fitness)}  {how}, "
        f"{item.row.origin.replace('_', ' ')}, generation {item.row.generation}"
    )
    return Content.assemble((f"{style.glyph} ", f"${style.colour}"), line)


def equity_curves(view: StrategyView, symbol: str, segment: str) -> list[Curve]:
    """Return the equity of a symbol as multiples of the capital, one curve a segment.

    Parameters
    ----------
    segment : fit, validation, holdout, or empty for all
    """
    found: list[Curve] = []
    for name in segments_of(view, symbol):
        if segment and name != segment:
            continue
        mine = [c for c in view.curves if c.context.symbol == symbol and c.context.segment == name]
        curve = max(mine, key=lambda c: c.curve.end_at).curve
        equity = curve.points.astype(np.float64)
        if equity.shape[0] < 2 or not np.isfinite(equity).all() or (equity <= 0).any():
            continue
        found.append(Curve(name, curve.start_at, curve.end_at, equity, SEGMENT_COLOURS[name]))
    return found


def drawdown_curves(curves: list[Curve]) -> list[Curve]:
    """Return the drawdown of equity curves, as fractions at or below 0."""
    return [
        replace(curve, values=curve.values / np.maximum.accumulate(curve.values) - 1.0)
        for curve in curves
    ]


def curve_title(symbol: str, curves: list[Curve]) -> str:
    """Return the plot's title: the symbol and the return of each curve."""
    shown = "  ".join(
        f"{curve.label} {signed_percent(float(curve.values[-1] / curve.values[0] - 1.0))}"
        for curve in curves
    )
    return f"Equity {symbol} (×capital)  {shown}"


def symbols_of(view: StrategyView) -> list[str]:
    """Return the symbols that there is something to show of, the best one first."""
    found = list(by_symbol(view))
    found += [c.context.symbol for c in view.curves if c.context.symbol not in found]
    names = list(dict.fromkeys(found))
    best = view.row.best_symbol
    return sorted(names, key=lambda name: (name != best, names.index(name)))


def segments_of(view: StrategyView, symbol: str) -> list[str]:
    """Return the segments that a symbol has curves of."""
    return [
        name
        for name in SEGMENT_COLOURS
        if any(c.context.symbol == symbol and c.context.segment == name for c in view.curves)
    ]


def _verdict_lines(verdict: VerdictRow) -> list[Content]:
    style = "bold $success" if verdict.passed else "bold $error"
    lines = [
        Content.assemble(
            (f"{verdict.gate} gate on {verdict.symbol} ", "bold"), (outcome_word(verdict), style)
        ),
        Content.styled(judged_words(verdict), "$muted"),
    ]
    failed = failed_words(verdict)
    if failed:
        lines.append(Content.styled(failed, "$error"))
    for place, rules in rules_by_place(verdict):
        head = f"{place:<{_RULE_WIDTH}}{'measured':>9}  limit"
        lines.append(Content.styled(head, "$muted"))
        lines += [_rule_line(rule) for rule in rules]
    return [*lines, *(Content(sentence) for sentence in fact_sentences(verdict))]


def _rule_line(rule: RuleWords) -> Content:
    return Content.assemble(
        f"{rule.label:<{_RULE_WIDTH}}{rule.measured:>9}  {rule.limit:<9} ",
        (rule.said, "$success" if rule.passed else "$error"),
    )


def _row(label: str, values: list[str], value_width: int) -> str:
    return f"{label:<{_LABEL_WIDTH}}" + "".join(f"{value:>{value_width}}" for value in values)
