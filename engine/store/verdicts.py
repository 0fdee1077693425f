"""What the gates said, kept with the numbers they said it of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from engine.select.gates import Rule
from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.json_text import from_text, to_text
from engine.store.tables import verdicts

_COLUMNS = ("strategy_id", "cycle_id", "gate", "symbol", "passed", "rules", "facts", "judged_at")
_OVERWRITE = (
    "ON CONFLICT (strategy_id, cycle_id, gate, symbol) DO UPDATE SET passed = excluded.passed,"
    " rules = excluded.rules, facts = excluded.facts, judged_at = excluded.judged_at"
)


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One gate's verdict on one strategy and symbol, in one cycle.

    Attributes
    ----------
    gate : screen, paper or live
    rules : every rule with number, limit and where it was measured
    facts : what else was known, by name: trials counted and why, unseen days, probation; a number
        that is undefined is None
    judged_at : UTC ms
    """

    strategy_id: str
    cycle_id: int
    gate: str
    symbol: str
    passed: bool
    rules: tuple[Rule, ...]
    facts: Mapping[str, Any]
    judged_at: int


async def save_verdicts(store: Store, rows: Sequence[VerdictRow]) -> None:
    """Store verdicts in one transaction, in place of earlier ones of the same cycle."""
    values = [
        (
            row.strategy_id,
            row.cycle_id,
            row.gate,
            row.symbol,
            int(row.passed),
            to_text([_rule_values(rule) for rule in row.rules]),
            to_text({name: _defined(value) for name, value in row.facts.items()}),
            row.judged_at,
        )
        for row in rows
    ]
    async with store.write() as connection:
        await insert_rows(connection, verdicts, _COLUMNS, values, _OVERWRITE)


async def verdicts_of(store: Store, strategy_id: str) -> list[VerdictRow]:
    """Return every verdict on a strategy, newest first."""
    return await _found(store, verdicts.c.strategy_id == strategy_id)


async def verdicts_of_cycle(store: Store, cycle_id: int) -> list[VerdictRow]:
    """Return every verdict of a cycle, ordered by strategy, gate and symbol."""
    rows = await _found(store, verdicts.c.cycle_id == cycle_id)
    return sorted(rows, key=lambda row: (row.strategy_id, row.gate, row.symbol))


async def _found(store: Store, condition: Any) -> list[VerdictRow]:
    statement = (
        select(verdicts)
        .where(condition)
        .order_by(verdicts.c.judged_at.desc(), verdicts.c.gate, verdicts.c.symbol)
    )
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all()
    return [
        VerdictRow(
            strategy_id=str(row.strategy_id),
            cycle_id=int(row.cycle_id),
            gate=str(row.gate),
            symbol=str(row.symbol),
            passed=bool(row.passed),
            rules=tuple(_rule_of(values) for values in from_text(row.rules)),
            facts=from_text(row.facts),
            judged_at=int(row.judged_at),
        )
        for row in rows
    ]


def _rule_values(rule: Rule) -> list[Any]:
    return [rule.name, _stored(rule.number), _stored(rule.limit), rule.passed, rule.where]


def _rule_of(values: Sequence[Any]) -> Rule:
    name, number, limit, passed, where = values
    return Rule(name, _number(number), _number(limit), bool(passed), where)


def _stored(number: float) -> float | str | None:
    """JSON has no word for infinity, and null stands for what is undefined."""
    if math.isnan(number):
        return None
    return number if math.isfinite(number) else repr(number)


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def _defined(value: Any) -> Any:
    return _stored(value) if isinstance(value, float) else value
