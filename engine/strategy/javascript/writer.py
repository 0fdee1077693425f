"""A genome as JavaScript: one module, by the contract of written strategies, made to be read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.errors import StrategyError
from engine.strategy.decisions import VOLATILITY_BARS
from engine.strategy.genome import (
    BarOperand,
    Condition,
    Genome,
    IndicatorOperand,
    Sizing,
)
from engine.strategy.javascript.contract import LOOKBACK_MAX_BARS, STATE_MAX_BYTES
from engine.strategy.javascript.library import LIBRARY_NAME
from engine.strategy.javascript.operands import (
    NUMBER_BYTES,
    constant_name,
    number_text,
    operand_text,
    reading,
)
from engine.types import bars_per_year, timeframe_ms

_WIDTH = 92
_KEY_BYTES = 24
_COLUMN_ORDER = ("t", "open", "high", "low", "close", "volume")


def javascript_of(genome: Genome, name: str = "") -> str:
    """Return `genome` as the source of one module, equal to the engine on every bar.

    Parameters
    ----------
    name : what people call it; the start of its id when empty

    Raises
    ------
    StrategyError : its state would not fit the contract, or it looks back too far.
    """
    needed = state_bytes(genome)
    if needed > STATE_MAX_BYTES:
        raise StrategyError(
            f"strategy {genome.id[:8]} cannot be written as JavaScript: what it remembers may take "
            f"{needed:,} bytes of {STATE_MAX_BYTES:,}; use shorter lengths on longer timeframes",
            strategy=genome.id,
            state_bytes=needed,
        )
    lookback = lookback_bars(genome)
    if lookback > LOOKBACK_MAX_BARS:
        raise StrategyError(
            f"strategy {genome.id[:8]} cannot be written as JavaScript: it looks back {lookback:,} "
            f"bars of {LOOKBACK_MAX_BARS:,}; use timeframes closer to its own",
            strategy=genome.id,
            lookback_bars=lookback,
        )
    return _Writer(genome, name or genome.id[:8]).text()


def lookback_bars(genome: Genome) -> int:
    """Return how many of its own bars a genome's module asks for."""
    needed = [1]
    for condition in genome.conditions():
        left = condition.left
        if condition.bars is not None and isinstance(left, BarOperand) and left.timeframe is None:
            needed.append(condition.bars + 1)
        for operand in condition.operands():
            if operand.timeframe is not None:
                ratio = timeframe_ms(operand.timeframe) // timeframe_ms(genome.timeframe)
                needed.append(ratio + 1)
            elif isinstance(operand, IndicatorOperand):
                needed.append(reading(operand).window_bars)
    if genome.risk.volatility_target is not None:
        needed.append(VOLATILITY_BARS + 1)
    return max(needed)


def state_bytes(genome: Genome) -> int:
    """Return about how large the state of a genome's module can grow, as JSON."""
    plan = _Plan.of(genome)
    total = 2 * _KEY_BYTES
    for operand in plan.indicators.values():
        total += _KEY_BYTES + NUMBER_BYTES * reading(operand).memory_numbers
    total += len(plan.crossings) * 2 * _KEY_BYTES
    total += sum(2 * _KEY_BYTES + NUMBER_BYTES * bars for _, bars in plan.distances)
    for keep in plan.longer.values():
        total += 2 * _KEY_BYTES + sum(10 + NUMBER_BYTES * bars for bars in keep.values())
    return total


@dataclass(slots=True)
class _Plan:
    """What the module has to work out on every bar, each thing once, in order of first use.

    Attributes
    ----------
    fields, indicators : operands by the name of their constant
    crossings : pairs of expressions whose crossing is asked for
    distances : (expression, bars) whose earlier value is asked for
    longer : of each longer timeframe, the bars to keep by column
    """

    fields: dict[str, BarOperand] = field(default_factory=dict)
    indicators: dict[str, IndicatorOperand] = field(default_factory=dict)
    crossings: dict[tuple[str, str], None] = field(default_factory=dict)
    distances: dict[tuple[str, int], None] = field(default_factory=dict)
    longer: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, genome: Genome) -> _Plan:
        plan = cls()
        for condition in genome.conditions():
            for operand in condition.operands():
                plan._add_operand(operand)
            if condition.op in ("crosses_above", "crosses_below"):
                plan.crossings[_sides(condition)] = None
            if condition.bars is not None and not _is_own_field(condition.left):
                plan.distances[operand_text(condition.left), condition.bars] = None
        return plan

    def _add_operand(self, operand: BarOperand | IndicatorOperand) -> None:
        name = constant_name(operand)
        if isinstance(operand, BarOperand):
            self.fields[name] = operand
            columns: tuple[str, ...] = (operand.field,)
            bars = 1
        else:
            self.indicators[name] = operand
            found = reading(operand)
            columns, bars = found.columns, found.window_bars
        if operand.timeframe is not None:
            keep = self.longer.setdefault(operand.timeframe, {})
            for column in columns:
                keep[column] = max(keep.get(column, 1), bars)


def _sides(condition: Condition) -> tuple[str, str]:
    if condition.right is None:
        raise StrategyError(f"{condition.key}: a crossing has two sides")
    return operand_text(condition.left), operand_text(condition.right)


def _is_own_field(operand: BarOperand | IndicatorOperand) -> bool:
    return isinstance(operand, BarOperand) and operand.timeframe is None


class _Writer:
    """Write one module."""

    def __init__(self, genome: Genome, name: str) -> None:
        self._genome = genome
        self._name = name
        self._plan = _Plan.of(genome)
        self._used: set[str] = {"follow", "entering"}

    def text(self) -> str:
        body = self._body()
        return "\n".join([*self._opening(), "", *self._meta(), "", *body, ""])

    def _opening(self) -> list[str]:
        genome = self._genome
        words = str(genome.type).replace("_", " ")
        sides = {"long": "long only", "short": "short only", "both": "long and short"}
        title = f"// {self._name}: {words} on {genome.timeframe} bars, {sides[genome.direction]}."
        names = ", ".join(sorted(self._used))
        imported = f'import {{ {names} }} from "{LIBRARY_NAME}";'
        if len(imported) > _WIDTH:
            lines = _wrapped(sorted(self._used), "  ")
            imported = "\n".join(["import {", *lines, f'}} from "{LIBRARY_NAME}";'])
        return [title, imported]

    def _meta(self) -> list[str]:
        genome = self._genome
        fields: dict[str, object] = {
            "name": self._name,
            "type": str(genome.type),
            "genome": genome.id,
            "timeframe": genome.timeframe,
            "direction": str(genome.direction),
            "lookback": lookback_bars(genome),
        }
        if genome.symbols:
            fields["symbols"] = list(genome.symbols)
        if genome.risk.leverage != 1.0:
            leverage = genome.risk.leverage
            fields["leverage"] = int(leverage) if leverage % 1 == 0 else leverage
        if not genome.exits.on_opposite:
            fields["on_opposite"] = False
        if genome.risk.sizing is Sizing.KELLY:
            fields["sizing"] = "kelly"
        lines = [f"  {key}: {json.dumps(value)}," for key, value in fields.items()]
        return ["export const meta = {", *lines, "};"]

    def _body(self) -> list[str]:
        lines = [
            "export function decide(bars, state) {",
            f'  const own = follow("{self._genome.timeframe}", bars, state);',
            *self._longer_lines(),
            *self._value_lines(),
            "",
            *self._decision_lines(),
            "",
            *self._answer_lines(),
            "}",
        ]
        return lines

    def _longer_lines(self) -> list[str]:
        lines = []
        for timeframe in sorted(self._plan.longer, key=timeframe_ms):
            keep = self._plan.longer[timeframe]
            kept = ", ".join(f"{name}: {keep[name]}" for name in _COLUMN_ORDER if name in keep)
            self._used.add("longer")
            lines.append(f'  const tape{timeframe} = longer(own, "{timeframe}", {{ {kept} }});')
        return lines

    def _value_lines(self) -> list[str]:
        lines = [""]
        for name, operand in self._plan.fields.items():
            self._used.add("newest")
            lines.append(f"  const {name} = newest({_tape(operand)}.{operand.field});")
        for name, indicator in self._plan.indicators.items():
            found = reading(indicator)
            self._used.add(found.call)
            arguments = [_tape(indicator), *map(number_text, found.arguments)]
            lines.append(f"  const {name} = {found.call}({', '.join(arguments)});")
        for i, (left, right) in enumerate(self._plan.crossings, 1):
            self._used.add("crossing")
            key = json.dumps(f"{left} x {right}")
            lines.append(f"  const cross{i} = crossing(own, {key}, {left}, {right});")
        for left, bars in self._plan.distances:
            self._used.add("ago")
            name = _ago_name(left, bars)
            lines.append(f'  const {name} = ago(own, "{left} {bars} ago", {left}, {bars});')
        return lines

    def _decision_lines(self) -> list[str]:
        genome = self._genome
        lines = []
        if genome.filters:
            lines += self._all_of("allowed", self._texts(genome.filters))
        for side, conditions in (("Long", genome.long_entry), ("Short", genome.short_entry)):
            if not conditions:
                continue
            texts = self._texts(conditions)
            also = ["allowed"] if genome.filters else []
            needed = genome.needed(len(texts))
            if needed == len(texts):
                lines += self._all_of(f"enter{side}", [*texts, *also])
                continue
            self._used.add("holding")
            lines += _statement(f"const holds{side} = holding(", texts, ",", ");")
            lines += self._all_of(f"enter{side}", [f"holds{side} >= {needed}", *also])
        for side, conditions in (
            ("Long", genome.exits.long_conditions),
            ("Short", genome.exits.short_conditions),
        ):
            if conditions:
                texts = self._texts(conditions)
                lines += _statement(f"const leave{side} =", texts, " ||", ";")
        return lines

    @staticmethod
    def _all_of(name: str, texts: Sequence[str]) -> list[str]:
        return _statement(f"const {name} =", texts, " &&", ";")

    def _texts(self, conditions: Iterable[Condition]) -> list[str]:
        return [self._condition(condition) for condition in conditions]

    def _condition(self, condition: Condition) -> str:
        left = operand_text(condition.left)
        if condition.bars is not None:
            sign = ">" if condition.op == "rising" else "<"
            if _is_own_field(condition.left):
                self._used.add("earlier")
                return f'{left} {sign} earlier(own, "{left}", {condition.bars})'
            return f"{left} {sign} {_ago_name(left, condition.bars)}"
        sides = _sides(condition)
        if condition.op in ("<", ">"):
            return f"{sides[0]} {condition.op} {sides[1]}"
        number = list(self._plan.crossings).index(sides) + 1
        return f"cross{number}.{condition.op.removeprefix('crosses_')}"

    def _answer_lines(self) -> list[str]:
        genome = self._genome
        exits = genome.exits
        long = "enterLong" if genome.long_entry else "false"
        short = "enterShort" if genome.short_entry else "false"
        leaves_long = "leaveLong" if exits.long_conditions else "false"
        leaves_short = "leaveShort" if exits.short_conditions else "false"
        fields = {"intent": f"entering({long}, {short})"}
        if exits.long_conditions or exits.short_conditions:
            self._used.add("leaving")
            fields["leave"] = f"leaving({leaves_long}, {leaves_short})"
        fields["stop"] = number_text(exits.stop_frac)
        for key, value in (
            ("target", exits.target_frac),
            ("trailing", exits.trailing_frac),
            ("max_bars", exits.max_bars),
        ):
            if value is not None:
                fields[key] = number_text(value)
        fields["size"] = self._size()
        fields["confidence"] = self._confidence()
        fields["state"] = "own.memory"
        return [
            "  return {",
            *(f"    {key}: {value}," for key, value in fields.items()),
            "  };",
        ]

    def _size(self) -> str:
        genome = self._genome
        most = number_text(genome.notional_frac())
        target = genome.risk.volatility_target
        if target is None:
            return most
        self._used.add("sizeFor")
        per_year = number_text(bars_per_year(genome.timeframe))
        return f"sizeFor(own, {number_text(target)}, {per_year}, {most})"

    def _confidence(self) -> str:
        genome = self._genome
        shares = [
            f"holds{side} / {len(conditions)}"
            if genome.needed(len(conditions)) < len(conditions)
            else "1"
            for side, conditions in (("Long", genome.long_entry), ("Short", genome.short_entry))
            if conditions
        ]
        if len(shares) == 1 or shares[0] == shares[1]:
            return shares[0]
        return f"enterLong ? {shares[0]} : {shares[1]}"


def _tape(operand: BarOperand | IndicatorOperand) -> str:
    return "own" if operand.timeframe is None else f"tape{operand.timeframe}"


def _ago_name(left: str, bars: int) -> str:
    return f"{left.replace('.', '_')}Ago{bars}"


def _statement(opening: str, parts: Sequence[str], joint: str, closing: str) -> list[str]:
    """Return one statement, over several lines when it is long."""
    gap = "" if opening.endswith("(") else " "
    line = f"  {opening}{gap}{(joint + ' ').join(parts)}{closing}"
    if len(line) <= _WIDTH:
        return [line]
    ending = "," if opening.endswith("(") else ""
    lines = [f"    {part}{joint}" for part in parts[:-1]]
    last = f"    {parts[-1]}{ending or closing}"
    return [f"  {opening}", *lines, last, *([f"  {closing}"] if ending else [])]


def _wrapped(names: Sequence[str], indent: str) -> list[str]:
    lines, line = [], indent
    for name in names:
        if len(line) + len(name) + 2 > _WIDTH:
            lines.append(line.rstrip())
            line = indent
        line += f"{name}, "
    return [*lines, line.rstrip()]
