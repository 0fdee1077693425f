"""Why a strategy stands where it stands: gates, lineage, genome, and how to get it again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.report import number_text as write
from engine.report.facts import TearSheet
from engine.report.markup import Html, cell, element, facts, section, table
from engine.report.result_sections import metric_label, metric_text, quote_of

if TYPE_CHECKING:
    from engine.select.gates import Rule
    from engine.store.strategies import LineageRow, StrategyRow
    from engine.store.verdicts import VerdictRow

N_ANCESTORS_SHOWN = 300
_SHORT = 8
# What a gate counted comes before what it measured.
_COUNTED = ("n_scored", "n_effective", "why", "is_probation", "unseen_days")
_INFINITIES = {"inf": "∞", "-inf": "−∞"}
_PROBABILITIES = ("deflated_sharpe", "overfit_probability")


def gates_section(sheet: TearSheet) -> Html:
    """Return every verdict on this symbol with all its rules, and the others in a line each."""
    own = [verdict for verdict in sheet.verdicts if verdict.symbol == sheet.symbol]
    others = [verdict for verdict in sheet.verdicts if verdict.symbol != sheet.symbol]
    parts: list[Html] = []
    for verdict in own:
        parts += _verdict(verdict)
    if not own:
        where = f" on {sheet.symbol}" if others else ""
        parts.append(element("p", f"No gate has judged it yet{where}."))
    if others:
        parts.append(element("h3", "On other symbols"))
        parts.append(element("ul", *(element("li", _in_a_line(verdict)) for verdict in others)))
    parts.append(element("h3", "Changes of status"))
    if sheet.history:
        rows = [
            (cell(write.minute(event.at), "wrapless", tag="th"), event.message, _who(event.fields))
            for event in sheet.history
        ]
        caption = f"It is {sheet.strategy.status} now."
        parts.append(table(caption, ("when, UTC", "what and why", "by"), rows))
    else:
        parts.append(element("p", f"It is {sheet.strategy.status}; no change was recorded."))
    return section("gates", "Gates", *parts)


def lineage_section(sheet: TearSheet) -> Html:
    """Return the strategy and its ancestors up to those that were bred from nothing."""
    shown = sheet.lineage[:N_ANCESTORS_SHOWN]
    stored = {item.row.id for item in sheet.lineage}
    rows = [_ancestor(item, stored) for item in shown]
    n_ancestors = max(0, len(sheet.lineage) - 1)
    caption = (
        f"{n_ancestors:,} {'ancestor' if n_ancestors == 1 else 'ancestors'}, nearest first. "
        "Fitness is the mean over symbols on validation."
    )
    if len(shown) < len(sheet.lineage):
        caption += f" The nearest {len(shown):,} rows are shown."
    head = (
        "strategy",
        "relation",
        "origin",
        cell("generation", "n", tag="th"),
        "status",
        cell("fitness", "n", tag="th"),
        "parents",
    )
    return section("lineage", "Lineage", table(caption, head, rows))


def genome_section(sheet: TearSheet) -> Html:
    """Return what it does in sentences, and the genome itself."""
    return section(
        "genome",
        "What it does",
        *(element("p", sentence) for sentence in sheet.words),
        element("h3", "Genome"),
        element("pre", element("code", sheet.genome)),
    )


def reproduction_section(sheet: TearSheet) -> Html:
    """Return what must be the same for these numbers to come out again."""
    cycle = sheet.cycle
    window = f"{write.minute(cycle.window_start_at)} to {write.minute(cycle.window_end_at)} UTC"
    listed = (
        ("strategy", _code(sheet.strategy.id)),
        ("cycle", f"{cycle.id} of {write.day(cycle.created_at)}, {cycle.status}"),
        ("seed", str(cycle.seed)),
        ("candidates asked for", f"{cycle.count:,}"),
        ("symbols", ", ".join(cycle.symbols)),
        ("timeframe", cycle.timeframe),
        ("window", f"{cycle.days} days"),
        ("from, to", window),
        ("exchange", f"{sheet.exchange}, {sheet.market_type}"),
        ("capital", f"{write.number(sheet.capital_quote)} {quote_of(sheet.symbol)}"),
        ("commission", f"{write.percent(sheet.commission_frac, 3)} of each fill"),
        ("slippage", f"{write.percent(sheet.slippage_frac, 3)} against each fill"),
        ("configuration", _code(cycle.config_hash)),
        ("bars of all symbols", _code(cycle.data_hash)),
        (f"bars of {sheet.symbol}", _code(sheet.series_hash)),
        ("learned state", _code(cycle.state_hash)),
        ("code", _code(cycle.code_version)),
        ("engine", _code(sheet.engine_version)),
        ("results digest", _code(cycle.results_digest or "")),
    )
    note = (
        "The same seed, configuration, bars, learned state and code give the same numbers on the "
        "same kind of processor."
    )
    return section("reproduce", "To get it again", element("p", note), facts(listed))


def _verdict(verdict: VerdictRow) -> list[Html]:
    said = "passed" if verdict.passed else "failed"
    n_failed = sum(not rule.passed for rule in verdict.rules)
    caption = (
        f"Judged {write.minute(verdict.judged_at)} UTC in cycle {verdict.cycle_id}: "
        f"{len(verdict.rules)} rules, {n_failed} failed."
    )
    head = (
        "rule",
        "where",
        cell("number", "n", tag="th"),
        cell("limit", "n", tag="th"),
        "verdict",
    )
    parts = [
        element("h3", f"{verdict.gate.capitalize()} gate: ", _mark(verdict.passed, said)),
        table(caption, head, [_rule_row(rule) for rule in verdict.rules]),
    ]
    if verdict.facts:
        names = [name for name in _COUNTED if name in verdict.facts]
        names += [name for name in verdict.facts if name not in names]
        parts.append(facts((_words(name), fact_text(verdict.facts[name])) for name in names))
    return parts


def _rule_row(rule: Rule) -> Sequence[object]:
    return (
        metric_label(rule.name),
        rule.where or write.UNDEFINED,
        cell(_rule_number(rule.name, rule.number), "n"),
        cell(f"{_limit_sign(rule)}{_rule_number(rule.name, rule.limit)}", "n"),
        element("td", _mark(rule.passed, "passed" if rule.passed else "failed")),
    )


def _rule_number(name: str, value: float) -> str:
    if name in _PROBABILITIES:
        return write.number(value, 3)
    return metric_text(name, value)


def _limit_sign(rule: Rule) -> str:
    """Return which side of the limit is asked for, as far as the verdict itself tells."""
    if math.isnan(rule.number) or rule.number == rule.limit:
        return ""
    asks_more = rule.passed == (rule.number > rule.limit)
    # A drawdown is stored as a magnitude and written as the loss it is, which turns the side.
    if rule.name == "max_drawdown":
        asks_more = not asks_more
    if asks_more and rule.name == "total_return":
        return "> "
    return "≥ " if asks_more else "≤ "


def fact_text(value: Any) -> str:
    """Return a fact of a verdict as text: what is not known is `–`."""
    if value is None:
        return write.UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value) or value == round(value):
            return write.number(value, 0)
        return f"{value:.4g}".replace("-", "−")
    if isinstance(value, int):
        return write.number(value, 0)
    if isinstance(value, list | tuple):
        return ", ".join(fact_text(item) for item in value) or write.UNDEFINED
    if isinstance(value, dict):
        return "; ".join(f"{_words(name)}: {fact_text(item)}" for name, item in value.items())
    # The store keeps infinities as words.
    return _INFINITIES.get(value, str(value))


def _in_a_line(verdict: VerdictRow) -> Html:
    failed = [metric_label(rule.name) for rule in verdict.rules if not rule.passed]
    why = f": {', '.join(dict.fromkeys(failed))}" if failed else ""
    said = "passed" if verdict.passed else "failed"
    day = write.day(verdict.judged_at)
    return Html(
        element("span", f"{verdict.symbol}, {verdict.gate} gate, {day}: ")
        + _mark(verdict.passed, said)
        + element("span", why)
    )


def _mark(is_passed: bool, said: str) -> Html:
    sign, style = ("✓", "pass") if is_passed else ("✗", "fail")
    return element("span", f"{sign} {said}", class_=style)


def _ancestor(item: LineageRow, stored: set[str]) -> Sequence[object]:
    row = item.row
    relation = {0: "this strategy", 1: "parent", 2: "grandparent"}.get(
        item.depth, f"{item.depth} generations up"
    )
    return (
        element("th", _code(row.id[:_SHORT]), scope="row", title=row.id),
        relation,
        _words(row.origin),
        cell(str(row.generation), "n"),
        row.status,
        cell(write.signed(row.fitness), "n"),
        _parents(row, stored),
    )


def _parents(row: StrategyRow, stored: set[str]) -> Html | str:
    parents = list(dict.fromkeys(p for p in (row.parent_a, row.parent_b) if p))
    if not parents:
        return "none: a root"
    shown = [
        Html(_code(p[:_SHORT]) + ("" if p in stored else " (not in the store)")) for p in parents
    ]
    return Html(", ".join(shown))


def _who(fields: Any) -> str:
    return str(fields.get("who") or write.UNDEFINED)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _code(value: str) -> Html | str:
    return element("code", value) if value else write.UNDEFINED
