"""What is good and bad about a measured strategy, in words and numbers a person can check.

Pure: from metrics, trades and what the pool has learned to sentences. It says what was measured and
never reads the future: only fit and validation come in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.backtest.run import Trade

N_WORST_TRADES = 8
N_HINTS = 8
_LEAST_TRADES = 5
_FALLEN_FRAC = 0.5

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class WorstTrade:
    """One of the trades that cost the most."""

    symbol: str
    side: str
    net_return: float
    n_bars: int
    reason: str


@dataclass(frozen=True)
class Analysis:
    """What was found.

    Attributes
    ----------
    strengths, weaknesses, areas : sentences; areas say what to work on
    worst : the worst trades on validation, worst first
    numbers : mean over symbols of the metrics they rest on, by `segment.metric`
    hints : choices that thousands of backtests favour (weight over 1) or not, surest first
    """

    strengths: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    worst: tuple[WorstTrade, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    hints: tuple[tuple[str, float], ...] = ()

    def as_text(self) -> str:
        """Return the analysis as lines of text."""
        parts = [
            ("Measured", [f"{name} {value:.4g}" for name, value in self.numbers.items()]),
            ("Strengths", self.strengths),
            ("Weaknesses", self.weaknesses),
            ("To improve", self.areas),
            ("Worst trades on validation", [_trade_line(trade) for trade in self.worst]),
            (
                "Choices favoured (over 1) or not in the pool",
                [f"{n} {w:.2f}" for n, w in self.hints],
            ),
        ]
        return "\n".join(
            f"{title}:\n" + "\n".join(f"- {line}" for line in lines)
            for title, lines in parts
            if lines
        )


def analyse(
    fit: Mapping[str, Metrics],
    validation: Mapping[str, Metrics],
    trades: Mapping[str, Sequence[Trade]],
    priors: Mapping[str, float],
) -> Analysis:
    """Return what speaks for a strategy, what against it and what to work on.

    Parameters
    ----------
    fit, validation : metrics by symbol, as `METRIC_NAMES`; NaN where undefined
    trades : closed trades on validation, by symbol
    priors : weights of choices, as `LearnedState.priors`
    """
    numbers = {
        **{f"fit.{name}": _mean(fit, name) for name in ("sharpe", "total_return", "n_trades")},
        **{f"validation.{name}": _mean(validation, name) for name in _MEASURED},
    }
    found = _Found(numbers, fit, validation, trades)
    for judge in _JUDGES:
        judge(found)
    hints = sorted(priors.items(), key=lambda item: (-abs(math.log(item[1])), item[0]))
    return Analysis(
        strengths=tuple(found.strengths),
        weaknesses=tuple(found.weaknesses),
        areas=tuple(found.areas),
        worst=_worst(trades),
        numbers={name: value for name, value in numbers.items() if math.isfinite(value)},
        hints=tuple(hints[:N_HINTS]),
    )


_MEASURED = (
    "sharpe",
    "total_return",
    "max_drawdown",
    "n_trades",
    "win_rate",
    "profit_factor",
    "exposure",
    "average_trade_bars",
)


@dataclass(slots=True)
class _Found:
    numbers: Mapping[str, float]
    fit: Mapping[str, Metrics]
    validation: Mapping[str, Metrics]
    trades: Mapping[str, Sequence[Trade]]
    strengths: list[str] = field(default_factory=list)
    weaknesses: list[str] = field(default_factory=list)
    areas: list[str] = field(default_factory=list)

    def of(self, name: str) -> float:
        return self.numbers.get(f"validation.{name}", math.nan)

    def good(self, words: str) -> None:
        self.strengths.append(words)

    def bad(self, words: str, area: str) -> None:
        self.weaknesses.append(words)
        self.areas.append(area)


def _judge_trades(found: _Found) -> None:
    n_trades = found.of("n_trades")
    if not n_trades >= _LEAST_TRADES:
        found.bad(
            f"{n_trades:.0f} trades a symbol", "loosen the entry so that it trades more often"
        )
    elif n_trades >= 30:
        found.good(f"{n_trades:.0f} trades a symbol: enough to judge")


def _judge_sharpe(found: _Found) -> None:
    sharpe = found.of("sharpe")
    if sharpe >= 1.0:
        found.good(f"annual Sharpe {sharpe:.2f} on validation")
    elif sharpe < 0.5:
        found.bad(f"annual Sharpe {sharpe:.2f} on validation", "find a better reason to enter")


def _judge_fall(found: _Found) -> None:
    fitted, seen = found.numbers.get("fit.sharpe", math.nan), found.of("sharpe")
    if fitted > 0.5 and seen < fitted * _FALLEN_FRAC:
        words = f"Sharpe falls from {fitted:.2f} on fit to {seen:.2f} on validation"
        found.bad(words, "use fewer conditions and rounder parameters: it looks fitted")
    elif fitted > 0.0 and seen >= fitted:
        found.good(f"holds what it promised: Sharpe {fitted:.2f} on fit, {seen:.2f} on validation")


def _judge_drawdown(found: _Found) -> None:
    drawdown = found.of("max_drawdown")
    if drawdown > 0.15:
        found.bad(f"drawdown {drawdown:.1%}", "lower the size or tighten the stop")
    elif drawdown <= 0.08:
        found.good(f"drawdown only {drawdown:.1%}")


def _judge_winners(found: _Found) -> None:
    win_rate, factor = found.of("win_rate"), found.of("profit_factor")
    if win_rate < 0.35:
        found.bad(f"only {win_rate:.0%} of trades win", "filter entries or take profit earlier")
    elif win_rate >= 0.55:
        found.good(f"{win_rate:.0%} of trades win")
    if factor < 1.0:
        found.bad(f"profit factor {factor:.2f}", "cut losers sooner or let winners run longer")
    elif factor >= 1.3:
        found.good(f"profit factor {factor:.2f}")


def _judge_symbols(found: _Found) -> None:
    returns = {name: row.get("total_return", math.nan) for name, row in found.validation.items()}
    losing = sorted(name for name, value in returns.items() if value < 0.0)
    if losing and len(losing) < len(returns):
        words = f"loses on {', '.join(losing)} and earns elsewhere"
        found.bad(words, "make the rules fit every symbol, or measure in units of volatility")
    elif returns and not losing:
        found.good("earns on every symbol")


def _judge_sides(found: _Found) -> None:
    for side, name in ((1, "long"), (-1, "short")):
        own = [t.net_return for rows in found.trades.values() for t in rows if t.side == side]
        if len(own) >= _LEAST_TRADES and sum(own) < 0.0:
            words = f"{name} trades lose {sum(own):.1%} of the equity committed in all"
            found.bad(words, f"change the {name} entry, or leave that side out")


def _judge_exits(found: _Found) -> None:
    by_reason: dict[str, list[float]] = {}
    for rows in found.trades.values():
        for trade in rows:
            by_reason.setdefault(trade.reason or "open", []).append(trade.net_return)
    n_all = sum(len(own) for own in by_reason.values())
    for reason, own in sorted(by_reason.items()):
        if n_all < _LEAST_TRADES or len(own) < n_all * 0.3:
            continue
        mean = sum(own) / len(own)
        words = f"{len(own)} of {n_all} trades end by {reason}, on average {mean:+.2%}"
        if mean < 0.0:
            found.bad(words, f"look at the exit by {reason}")
        else:
            found.good(words)


_JUDGES: tuple[Callable[[_Found], None], ...] = (
    _judge_trades,
    _judge_sharpe,
    _judge_fall,
    _judge_drawdown,
    _judge_winners,
    _judge_symbols,
    _judge_sides,
    _judge_exits,
)


def _worst(trades: Mapping[str, Sequence[Trade]]) -> tuple[WorstTrade, ...]:
    rows = [
        WorstTrade(
            symbol=symbol,
            side="long" if trade.side > 0 else "short",
            net_return=trade.net_return,
            n_bars=(trade.exit_bar or trade.entry_bar) - trade.entry_bar,
            reason=trade.reason or "open",
        )
        for symbol, own in trades.items()
        for trade in own
        if trade.net_return < 0.0
    ]
    rows.sort(key=lambda row: (row.net_return, row.symbol, row.n_bars))
    return tuple(rows[:N_WORST_TRADES])


def _mean(rows: Mapping[str, Metrics], name: str) -> float:
    values = [row.get(name, math.nan) for row in rows.values()]
    return sum(values) / len(values) if values else math.nan


def _trade_line(trade: WorstTrade) -> str:
    return (
        f"{trade.symbol} {trade.side} {trade.net_return:+.2%} after {trade.n_bars} bars,"
        f" by {trade.reason}"
    )
