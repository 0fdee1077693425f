"""What a gate said, in words: the same on the command line and on a strategy's screen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from console.format import count, drawdown, instant, number, percent, signed_percent

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.snapshot import StrategyView
    from engine.select.gates import Rule
    from engine.store.verdicts import VerdictRow


@dataclass(frozen=True, slots=True)
class RuleWords:
    """One rule as it is shown.

    Attributes
    ----------
    measured, limit : with their unit; the limit with the side that is asked for
    said : `✓ passed` or `✗ failed`
    where : the segment that it was measured on
    """

    label: str
    measured: str
    limit: str
    said: str
    passed: bool
    where: str


def _share(value: float) -> str:
    return number(value, 3)


# Its name in words, how its number is written, and the side of the limit that is asked for; where
# that is empty the rule comes in both kinds, and the verdict itself tells.
_RULES: dict[str, tuple[str, Callable[[float], str], str]] = {
    "sharpe": ("Sharpe /yr", number, "≥ "),
    # Stored as a magnitude and written as the loss it is, which turns the side.
    "max_drawdown": ("max drawdown", drawdown, "≥ "),
    "n_trades": ("trades", count, "≥ "),
    "profit_factor": ("profit factor", number, "≥ "),
    "total_return": ("return", signed_percent, ""),
    "win_rate": ("trades won", percent, "≥ "),
    "average_trade_return": ("return per trade", signed_percent, "≥ "),
    "deflated_sharpe": ("deflated Sharpe", _share, "≥ "),
    "overfit_probability": ("overfit probability", _share, "≤ "),
    "look_ahead": ("look-ahead found", count, "≤ "),
    "track_record": ("days on paper", count, "≥ "),
}


def rule_words(rule: Rule) -> RuleWords:
    """Return one rule as it is shown; a rule without a name here keeps its own."""
    label, written, side = _RULES.get(rule.name, (rule.name.replace("_", " "), number, ""))
    return RuleWords(
        label=label,
        measured=_written(written, rule.number),
        limit=(side or _side(rule)) + _written(written, rule.limit),
        said="✓ passed" if rule.passed else "✗ failed",
        passed=rule.passed,
        where=rule.where,
    )


def rules_by_place(verdict: VerdictRow) -> list[tuple[str, list[RuleWords]]]:
    """Return the rules in their order, grouped by the segment they were measured on."""
    told = [rule_words(rule) for rule in verdict.rules]
    return [(place, list(rules)) for place, rules in groupby(told, lambda rule: rule.where)]


def table_lines(verdict: VerdictRow) -> list[str]:
    """Return the rules as a table of plain text, one line each."""
    told = [rule_words(rule) for rule in verdict.rules]
    head = f"{'rule':<21}{'measured':>10}  {'limit':<11}{'':<10}measured on"
    rows = [
        f"{rule.label:<21}{rule.measured:>10}  {rule.limit:<11}{rule.said:<10}{rule.where}"
        for rule in told
    ]
    return [head, *rows]


def outcome_word(verdict: VerdictRow) -> str:
    """Return whether it passed, with a sign: `✓ passed` or `✗ refused`."""
    return "✓ passed" if verdict.passed else "✗ refused"


def failed_words(verdict: VerdictRow) -> str:
    """Return which rules failed, empty when none did."""
    labels = dict.fromkeys(rule_words(rule).label for rule in verdict.rules if not rule.passed)
    return f"✗ failed: {', '.join(labels)}" if labels else ""


def judged_words(verdict: VerdictRow) -> str:
    """Return when, and in which cycle, it was judged."""
    return f"judged {instant(verdict.judged_at)} in cycle {verdict.cycle_id}"


def fact_sentences(verdict: VerdictRow) -> list[str]:
    """Return what the verdict rests on: the days judged, the trials counted, and luck's part."""
    facts = verdict.facts
    sentences = [
        f"By hand, by {facts.get('who')}: {facts['by_hand']}." if facts.get("by_hand") else "",
        _days(verdict),
        f"Trials counted: {facts['why']}." if facts.get("why") else "",
        _luck(facts),
        _days_needed(facts),
        _choice(facts),
    ]
    return [sentence for sentence in sentences if sentence]


def no_verdict_words(view: StrategyView) -> str:
    """Return why there is no verdict yet."""
    begin = "no gate has judged it yet"
    if view.row.status == "rejected":
        return f"{begin}: it was refused before any backtest"
    if not view.evaluations:
        return f"{begin}: it has not been evaluated"
    if view.row.status == "generated":
        return f"{begin}: it did not pass the screen of a cycle"
    if view.row.status == "screened":
        return f"{begin}: it passed the screen, but no cycle has put it before the paper gate"
    return f"no gate's verdict is stored, although it is {view.row.status}"


def _written(write: Callable[[float], str], value: float) -> str:
    return write(value) if math.isfinite(value) else number(value)


def _side(rule: Rule) -> str:
    if math.isnan(rule.number):
        return ""
    # A least return must be exceeded, a highest one may be reached.
    return "> " if rule.passed == (rule.number > rule.limit) else "≤ "


def _fact(facts: Mapping[str, Any], name: str) -> float:
    """Return a fact as a number: nan when it is undefined; infinity is stored as a word."""
    value = facts.get(name)
    return math.nan if value is None else float(value)


def _days(verdict: VerdictRow) -> str:
    if "unseen_days" not in verdict.facts:
        return ""
    days = f"{number(_fact(verdict.facts, 'unseen_days'), 0)} unseen days"
    if not verdict.facts.get("is_probation"):
        return f"Judged on {days}."
    if verdict.passed:
        return f"On probation: with only {days}, validation bars judged it."
    return f"With only {days}, validation bars judged it."


def _luck(facts: Mapping[str, Any]) -> str:
    luck, own = _fact(facts, "luck_sharpe"), _fact(facts, "sharpe_daily")
    if math.isnan(luck) or math.isnan(own):
        return ""
    corrected = _fact(facts, "sharpe_corrected")
    more = "" if math.isnan(corrected) else f" ({number(corrected)} corrected for autocorrelation)"
    return (
        f"Sharpe a year of its daily returns {number(own)}{more}; the best of that many trials"
        f" without skill reaches {number(luck)} by luck."
    )


def _days_needed(facts: Mapping[str, Any]) -> str:
    judged, needed = _fact(facts, "n_days"), _fact(facts, "days_needed")
    if math.isnan(judged) or math.isnan(needed):
        return ""
    if math.isinf(needed):
        return f"{count(judged)} days judged; no number of such days would show a Sharpe above 0."
    return (
        f"{count(judged)} days judged; 95% confidence that its Sharpe is above 0 takes"
        f" {number(math.ceil(needed), 0)}."
    )


def _choice(facts: Mapping[str, Any]) -> str:
    forward = _fact(facts, "choice_walk_forward_sharpe")
    low, median = (
        _fact(facts, "choice_path_sharpe_low"),
        _fact(facts, "choice_path_sharpe_median"),
    )
    if math.isnan(forward) and math.isnan(median):
        return ""
    among = count(_fact(facts, "chosen_among"))
    return (
        f"Choosing the best of {among} on earlier days earns a Sharpe of {number(forward)} on later"
        f" ones; over all purged paths {number(median)} in the middle, {number(low)} at the lowest."
    )
