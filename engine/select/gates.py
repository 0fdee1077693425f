"""Gates: evidence in, verdict out, with every rule, its number and its limit. Pure.

A gate judges one strategy on one symbol and never rounds in the strategy's favour: an undefined
number fails its rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.settings import Gate, LiveGate, PaperGate, ScreenGate

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule applied.

    Attributes
    ----------
    name : the rule
    number : what was measured, nan when undefined or not measured
    limit : what is asked
    passed : whether the number keeps to the limit
    where : the segment it was measured on
    """

    name: str
    number: float
    limit: float
    passed: bool
    where: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says.

    Attributes
    ----------
    gate : screen, paper or live
    rules : every rule, also those after the first failure
    """

    gate: str
    rules: tuple[Rule, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule passed; a verdict without rules never does."""
        return bool(self.rules) and all(rule.passed for rule in self.rules)

    @property
    def failures(self) -> tuple[Rule, ...]:
        """Return the rules that failed."""
        return tuple(rule for rule in self.rules if not rule.passed)

    def in_words(self) -> str:
        """Return `passed screen`, or the rules that failed with number and limit."""
        if self.passed:
            return f"passed {self.gate}"
        told = [
            f"{rule.name}{f' on {rule.where}' if rule.where else ''}"
            f" {rule.number:.4g} (limit {rule.limit:.4g})"
            for rule in self.failures
        ]
        return f"failed {self.gate}: {'; '.join(told) or 'no evidence'}"


def screen(evidence: Mapping[str, Metrics], gate: ScreenGate) -> Verdict:
    """Judge a strategy on one symbol by the screening gate.

    Parameters
    ----------
    evidence : metrics by name for each segment judged, normally `fit` and `validation`
    gate : the limits; each must hold on every segment
    """
    rules: list[Rule] = []
    for where in sorted(evidence):
        rules += _shared_rules(evidence[where], gate, where)
        rules.append(_at_most("total_return", evidence[where], gate.total_return_max, where))
    return Verdict("screen", tuple(rules))


def paper(
    metrics: Metrics,
    gate: PaperGate,
    *,
    deflated_sharpe: float = math.nan,
    overfit_probability: float = math.nan,
    look_ahead_findings: int = 0,
    where: str = "holdout",
    chosen_on: str = "fit and validation",
) -> Verdict:
    """Judge a strategy on one symbol by the paper gate.

    Parameters
    ----------
    metrics : measured on bars that nothing has learned from; empty when that was not done
    deflated_sharpe, overfit_probability : in [0, 1]; nan, not computed, fails
    look_ahead_findings : decisions or fills that changed with bars that came after them
    where, chosen_on : the segments that the metrics and the overfit probability come from
    """
    rules = _shared_rules(metrics, gate, where)
    rules.append(
        Rule(
            "deflated_sharpe",
            deflated_sharpe,
            gate.deflated_sharpe_min,
            deflated_sharpe >= gate.deflated_sharpe_min,
            where,
        )
    )
    rules.append(
        Rule(
            "overfit_probability",
            overfit_probability,
            gate.overfit_probability_max,
            overfit_probability <= gate.overfit_probability_max,
            chosen_on,
        )
    )
    rules.append(
        Rule("look_ahead", float(look_ahead_findings), 0.0, look_ahead_findings == 0, chosen_on)
    )
    return Verdict("paper", tuple(rules))


def live(
    backtest: Metrics,
    paper: Metrics,
    gate: LiveGate,
    *,
    deflated_sharpe: float = math.nan,
    paper_deflated_sharpe: float = math.nan,
    overfit_probability: float = math.nan,
    paper_days: float = math.nan,
    paper_days_needed: float = math.nan,
    look_ahead_findings: int = 0,
    where: str = "backtest",
) -> Verdict:
    """Judge a strategy on one symbol by the live gate.

    Parameters
    ----------
    backtest : metrics over the last `gate.backtest_days` days
    paper : metrics of what it traded on paper, on bars that came after it was made
    deflated_sharpe, paper_deflated_sharpe : in [0, 1], of either's daily returns, counting every
        strategy that was ever on paper; nan, not computed, fails
    overfit_probability : in [0, 1], of the choice that put it on paper; nan fails
    paper_days, paper_days_needed : length of its paper record and the minimum track record length,
        days; nan, undefined, fails
    look_ahead_findings : decisions or fills that changed with bars that came after them

    Notes
    -----
    Trades count in both together. What paper is too short to tell (Sharpe ratio, profit factor, win
    rate) is asked of the backtest alone; what paper must not show (a loss, a drawdown) of both.
    """
    both = f"{where} and paper"
    n_trades = _number(backtest, "n_trades") + _number(paper, "n_trades")
    rules = [
        _at_least("n_trades", {"n_trades": n_trades}, float(gate.n_trades_min), both)
        if rule.name == "n_trades"
        else rule
        for rule in _shared_rules(backtest, gate, where)
    ]
    earned = _number(paper, "total_return")
    least = gate.total_return_min
    rules.append(Rule("total_return", earned, least, earned > least, "paper"))
    rules.append(_at_most("max_drawdown", paper, gate.max_drawdown_max, "paper"))
    for number, place in ((deflated_sharpe, where), (paper_deflated_sharpe, "paper")):
        limit = gate.deflated_sharpe_min
        rules.append(Rule("deflated_sharpe", number, limit, number >= limit, place))
    most = gate.overfit_probability_max
    passed = overfit_probability <= most
    rules.append(Rule("overfit_probability", overfit_probability, most, passed, where))
    is_long_enough = paper_days >= paper_days_needed
    rules.append(Rule("track_record", paper_days, paper_days_needed, is_long_enough, "paper"))
    rules.append(
        Rule("look_ahead", float(look_ahead_findings), 0.0, look_ahead_findings == 0, where)
    )
    return Verdict("live", tuple(rules))


def paper_without_evidence(metrics: Metrics, gate: PaperGate, *, where: str) -> Verdict:
    """Judge by the paper gate's plain numbers alone, as a gate that does not count trials would.

    Never promotes anything: it shows what counting the trials is for.
    """
    return Verdict("paper without evidence", tuple(_shared_rules(metrics, gate, where)))


def best_symbol(fitness: Mapping[str, float]) -> str | None:
    """Return the symbol of highest fitness, undefined last, ties by name; None without symbols."""
    ranked: Sequence[str] = sorted(
        fitness, key=lambda name: (math.isnan(fitness[name]), -_or_zero(fitness[name]), name)
    )
    return ranked[0] if ranked else None


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _shared_rules(metrics: Metrics, gate: Gate, where: str) -> list[Rule]:
    rules = [
        _at_least("sharpe", metrics, gate.sharpe_min, where),
        _at_most("max_drawdown", metrics, gate.max_drawdown_max, where),
        _at_least("n_trades", metrics, float(gate.n_trades_min), where),
        _at_least("profit_factor", metrics, gate.profit_factor_min, where),
    ]
    total = _number(metrics, "total_return")
    rules.append(
        Rule("total_return", total, gate.total_return_min, total > gate.total_return_min, where)
    )
    if gate.win_rate_enabled:
        rules.append(_at_least("win_rate", metrics, gate.win_rate_min, where))
    if gate.profit_per_trade_min_frac > 0:
        rules.append(
            _at_least("average_trade_return", metrics, gate.profit_per_trade_min_frac, where)
        )
    return rules


def _at_least(name: str, metrics: Metrics, limit: float, where: str) -> Rule:
    number = _number(metrics, name)
    return Rule(name, number, limit, number >= limit, where)


def _at_most(name: str, metrics: Metrics, limit: float, where: str) -> Rule:
    number = _number(metrics, name)
    return Rule(name, number, limit, number <= limit, where)


def _number(metrics: Metrics, name: str) -> float:
    return float(metrics.get(name, math.nan))
