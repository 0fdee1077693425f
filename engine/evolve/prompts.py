"""What a language model is told: prompts as values, each with a version made of its text.

Everything that comes from a market, a strategy or the validator stands in fenced blocks
(`engine.evolve.fence`); the rest of a prompt is ours alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from engine.evolve.fence import RULE, fenced
from engine.evolve.language_model import Message
from engine.strategy.genome import Genome
from engine.strategy.indicator_specs import INDICATOR_SPECS
from engine.strategy.javascript.contract import LOOKBACK_MAX_BARS, STATE_MAX_BYTES
from engine.validate.findings import Finding

Form = Literal["genome", "script"]
"""What an answer holds: a genome as JSON, or a module of JavaScript."""

RISK_LIMIT_FRAC = 0.02
TARGET_PROFIT_FRAC = 0.015
_MOST_FINDINGS = 12

_TASK = (
    "You write trading strategies that are backtested with 0.1 % commission and 0.05 % slippage on"
    " every fill. Decisions are made at the close of a bar and filled at the next open. What counts"
    " is growth minus twice the deepest drawdown on bars you have not seen, so few, well-founded"
    " rules beat many fitted ones, and a strategy that hardly trades counts for nothing. "
)
_GENOME = (
    "Answer with one JSON object that follows the schema, and nothing else. A condition compares"
    " `left` with `right` by <, >, crosses_above or crosses_below (then `bars` is null), or says"
    " that `left` is rising or falling over `bars` bars (then `right` is null). Both sides need the"
    " same unit; index, ratio and spread outputs compare with constants. Entries hold when the"
    " share `confidence` of their conditions does, filters must all hold. direction long needs"
    " long_entry only, short needs short_entry only, both needs both. exits.stop_frac is required."
    " Fractions: 0.02 is 2 %. Indicators, with outputs (unit) and parameters (range):\n"
)
_SCRIPT = (
    "Answer with one JavaScript ES module in one ```js block, and nothing else:\n"
    "export const meta = {name, lookback, timeframe, direction, type};\n"
    "export function decide(bars, state) { ... }\n"
    "bars has the read-only columns t open high low close volume, oldest first, of at most"
    f" meta.lookback (1 to {LOOKBACK_MAX_BARS}) closed bars; at the start there are fewer. state"
    f" is the JSON value (at most {STATE_MAX_BYTES} bytes) that the call before returned, null at"
    " first. Return {intent, stop, target, trailing, max_bars, size, confidence, state}: intent is"
    ' "long", "short", "flat" or "hold"; an entry needs stop (a fraction such as 0.02); the rest is'
    " optional. direction is long, short or both; going short needs short or both. Forbidden:"
    " imports, module state, network, timers, Date, Math.random, eval, Function, classes, async,"
    " regular expressions, and any global but Math, JSON, Array, Object, Number, String."
    " The same bars and state must give the same answer.\n"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One way to ask.

    Attributes
    ----------
    form : of the answer
    needs_parent : asks to improve a strategy
    has_evidence : tells what the pattern memory holds
    """

    name: str
    form: Form
    words: str
    needs_parent: bool = False
    has_evidence: bool = False

    @property
    def version(self) -> str:
        """Return eight hex digits over everything that the prompt says by itself."""
        text = json.dumps([self.name, self.words, system_words(self.form)])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def label(self) -> str:
        """Return name and version."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Brief:
    """What is asked for.

    Attributes
    ----------
    type : of strategy
    timeframe, market_type, higher_timeframes : what it is for
    symbols : what it is tested on
    """

    type: str
    timeframe: str
    market_type: str
    higher_timeframes: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()


PROMPTS: tuple[Prompt, ...] = (
    Prompt("plain", "genome", "Write one strategy of the type asked for, from what you know."),
    Prompt(
        "evidence",
        "genome",
        "Write one strategy of the type asked for. The material lists choices that did well and"
        " badly in thousands of backtests: use what did well where it makes sense together.",
        has_evidence=True,
    ),
    Prompt("script", "script", "Write one strategy of the type asked for, from what you know."),
    Prompt(
        "improve",
        "genome",
        "Improve the strategy in the material. Keep what its strengths rest on, change what its"
        " weaknesses name, and do not repeat what was tried before without gain.",
        needs_parent=True,
    ),
    Prompt(
        "improve-script",
        "script",
        "Improve the strategy in the material. Keep what its strengths rest on, change what its"
        " weaknesses name, and do not repeat what was tried before without gain.",
        needs_parent=True,
    ),
)


def first_messages(
    prompt: Prompt, brief: Brief, material: Sequence[tuple[str, str]] = ()
) -> tuple[Message, ...]:
    """Return the opening of a conversation.

    Parameters
    ----------
    material : (name, text) of each block of material
    """
    sides = (
        "long and short, leverage at most 3"
        if brief.market_type == "perp"
        else "long only, no leverage"
    )
    slower = ", ".join(brief.higher_timeframes) or "none"
    asked = (
        f"{prompt.words}\n\nType: {brief.type}. Timeframe: {brief.timeframe} (slower timeframes an"
        f" operand may read: {slower}). Market: {brief.market_type}, {sides}.\n"
        f"Risk limit: at most {RISK_LIMIT_FRAC:.0%} of equity lost at the stop of a trade. Target"
        f" profit of a trade: {TARGET_PROFIT_FRAC:.1%}."
    )
    blocks = [*([("symbols", ", ".join(brief.symbols))] if brief.symbols else []), *material]
    text = "\n\n".join([asked, *(fenced(name, content) for name, content in blocks)])
    return Message("system", system_words(prompt.form)), Message("user", text)


def repair_messages(
    form: Form, answer: str, findings: Sequence[Finding], answer_max: int = 20_000
) -> tuple[Message, ...]:
    """Return what follows an answer that the validator refused."""
    listed = "\n".join(_finding_line(finding) for finding in findings[:_MOST_FINDINGS])
    what = "JSON object" if form == "genome" else "module in one ```js block"
    words = (
        f"This cannot be used as it is. Mend what the validator found and answer with the whole"
        f" {what} again, and nothing else."
    )
    return (
        Message("assistant", answer[:answer_max] or "(nothing)"),
        Message("user", f"{words}\n\n{fenced('findings', listed)}"),
    )


def schema_of(form: Form) -> Mapping[str, Any] | None:
    """Return the JSON schema of an answer, None for free text."""
    return _genome_schema() if form == "genome" else None


@cache
def system_words(form: Form) -> str:
    """Return what every conversation about this form begins with."""
    rules = _GENOME + _catalogue() if form == "genome" else _SCRIPT
    return f"{_TASK}{RULE}\n\n{rules}"


@cache
def _genome_schema() -> Mapping[str, Any]:
    return Genome.model_json_schema()


@cache
def _catalogue() -> str:
    lines = []
    for spec in INDICATOR_SPECS.values():
        outputs = ", ".join(f"{output.name} ({output.unit})" for output in spec.outputs)
        parameters = ", ".join(
            f"{parameter.name} {parameter.low:g} to {parameter.high:g}"
            for parameter in spec.parameters
        )
        lines.append(f"{spec.name}: {outputs}; {parameters or 'no parameters'}")
    return "\n".join(lines)


def _finding_line(finding: Finding) -> str:
    at = f" line {finding.line}:{finding.column}" if finding.line is not None else ""
    place = f" {finding.place}" if finding.place else ""
    return f"{finding.severity.value} {finding.code}{place}{at}: {finding.message}"
