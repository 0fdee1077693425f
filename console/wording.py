"""A genome in words, so that a person can read what a strategy does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from engine.strategy.genome import Genome
from engine.strategy.written import is_written, module_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.strategy.genome import Condition, Operand

_NAMES = {
    "sma": "SMA",
    "ema": "EMA",
    "rsi": "RSI",
    "macd": "MACD",
    "bollinger": "Bollinger",
    "atr": "ATR",
    "obv": "OBV",
    "adx": "ADX",
    "stochastic": "Stochastic",
    "aroon": "Aroon",
    "mfi": "MFI",
    "cci": "CCI",
    "donchian": "Donchian",
    "keltner": "Keltner",
    "vwap": "VWAP",
    "roc": "ROC",
    "williams_r": "Williams %R",
}
_OPERATORS = {
    "<": "below",
    ">": "above",
    "crosses_above": "crosses above",
    "crosses_below": "crosses below",
}
_DIRECTIONS = {"long": "long only", "short": "short only", "both": "long and short"}


def genome_sentences(text: str) -> list[str]:
    """Return the sentences that describe a genome's canonical JSON, in the order of a trade's life.

    A genome that this version cannot read yields one sentence that says so.
    """
    if is_written(text):
        return _module_lines(module_of(text))
    try:
        genome = Genome.from_json(text)
    except ValidationError as exc:
        return [f"This version cannot read the genome: {exc.errors()[0]['msg']}."]
    kind = genome.type.value.replace("_", " ")
    where = f" on {', '.join(genome.symbols)}" if genome.symbols else ""
    sentences = [
        f"{kind.capitalize()} on {genome.timeframe} bars, {_DIRECTIONS[genome.direction]}{where}."
    ]
    for side, entry in (("long", genome.long_entry), ("short", genome.short_entry)):
        if entry:
            sentences.append(
                f"Goes {side} when {_all_of(entry, genome.needed(len(entry)))} at a bar's close."
            )
    if genome.filters:
        sentences.append(f"Only while {_joined(genome.filters, ' and ')}.")
    sentences.append(_exit_sentence(genome))
    for side, exits in (
        ("a long", genome.exits.long_conditions),
        ("a short", genome.exits.short_conditions),
    ):
        if exits:
            sentences.append(f"Leaves {side} when {_joined(exits, ' or ')}.")
    sentences.append(_risk_sentence(genome))
    return sentences


def condition_words(condition: Condition) -> str:
    """Return one condition in words (`RSI(14) below 30`)."""
    left = operand_words(condition.left)
    if condition.right is None:
        return f"{left} {condition.op} over {condition.bars} bars"
    return f"{left} {_OPERATORS[condition.op]} {operand_words(condition.right)}"


def operand_words(operand: Operand) -> str:
    """Return one operand in words (`upper Bollinger(20, 2) on 1h`)."""
    if operand.kind == "constant":
        return f"{operand.value:g}"
    suffix = f" on {operand.timeframe}" if operand.timeframe else ""
    if operand.kind == "bar":
        return f"{operand.field}{suffix}"
    name = _NAMES.get(operand.name, operand.name.replace("_", " "))
    values = ", ".join(f"{value:g}" for value in operand.params.values())
    called = f"{name}({values})" if values else name
    if operand.output in ("value", operand.name):
        return f"{called}{suffix}"
    return f"{called} {operand.output.replace('_', ' ')}{suffix}"


def _all_of(conditions: Sequence[Condition], needed: int) -> str:
    n_conditions = len(conditions)
    listed = _joined(conditions, " and ")
    if n_conditions == 1 or needed == n_conditions:
        return listed
    return f"at least {needed} of {n_conditions} hold: {_joined(conditions, '; ')}"


def _joined(conditions: Sequence[Condition], between: str) -> str:
    return between.join(condition_words(condition) for condition in conditions)


def _exit_sentence(genome: Genome) -> str:
    exits = genome.exits
    ways = [f"a stop at {exits.stop_frac * 100:.3g}% loss"]
    if exits.target_frac is not None:
        ways.append(f"a target at {exits.target_frac * 100:.3g}% gain")
    if exits.trailing_frac is not None:
        ways.append(f"a stop trailing by {exits.trailing_frac * 100:.3g}%")
    if exits.max_bars is not None:
        ways.append(f"{exits.max_bars:,} bars of holding")
    if exits.on_opposite and genome.direction == "both":
        ways.append("an opposite entry")
    return f"Leaves by {', '.join(ways[:-1])}{' or ' if ways[:-1] else ''}{ways[-1]}."


def _risk_sentence(genome: Genome) -> str:
    risk = genome.risk
    how = {"fixed": "", "kelly": ", less by Kelly", "volatility": ", less by volatility"}
    return (
        f"Puts {genome.notional_frac() * 100:.3g}% of equity into a position{how[risk.sizing]}"
        f" (leverage {risk.leverage:g}, at most {risk.risk_per_trade_frac * 100:.3g}% lost at "
        "the stop)."
    )


def _module_lines(module: str) -> list[str]:
    """Return a module's lines, without what could move a terminal's cursor."""
    lines = module.rstrip("\n").split("\n")
    plain = ["".join(c if c.isprintable() else "·" for c in line) for line in lines]
    return [f"Written in JavaScript, {len(lines)} lines:", *plain]
