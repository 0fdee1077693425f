"""Which indicator outputs a crowd of genomes reads, and how often, straight from their JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import TypeAdapter

from engine.strategy.columns import SeriesOperandValue
from engine.strategy.genome import SeriesOperand
from engine.strategy.written import is_written


class OperandCensus:
    """Count operands without building genomes: ten times as fast, and flat in memory."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, genomes: Iterable[str]) -> None:
        """Count the operands of some genomes, given as canonical JSON; modules have none."""
        for text in genomes:
            if is_written(text):
                continue
            self._counts.update(set(_operand_texts(json.loads(text))))

    @property
    def n_distinct(self) -> int:
        """Return how many different operands there are."""
        return len(self._counts)

    def most_read(self, limit: int) -> list[SeriesOperandValue]:
        """Return at most `limit` operands, those read by the most genomes, ordered by key."""
        adapter: TypeAdapter[Any] = TypeAdapter(SeriesOperand)
        ranked = sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0]))
        chosen = [adapter.validate_json(text) for text, _ in ranked[:limit]]
        return sorted(chosen, key=lambda operand: str(operand.key))


def _operand_texts(genome: dict[str, Any]) -> Iterator[str]:
    exits = genome["exits"]
    lists = (
        genome["long_entry"],
        genome["short_entry"],
        genome["filters"],
        exits["long_conditions"],
        exits["short_conditions"],
    )
    for conditions in lists:
        for condition in conditions:
            for side in ("left", "right"):
                operand = condition[side]
                if operand is None or operand["kind"] == "constant":
                    continue
                # Fields of the bars themselves are read in place.
                if operand["kind"] == "bar" and operand["timeframe"] is None:
                    continue
                yield json.dumps(operand, separators=(",", ":"))
