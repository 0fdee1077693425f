"""A genome taken apart so that it can be bred: the long side, and the short one where it differs.

Most two-sided genomes mirror their long side; breeding keeps that symmetry by editing one side and
mirroring it again when the genome is put together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.evolve.mirror import all_mirrored, long_entries, long_exits, long_filters, mirrored
from engine.evolve.universe import Universe
from engine.strategy.genome import (
    Condition,
    Direction,
    Exits,
    Genome,
    Risk,
    StrategyType,
)

Conditions = tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The genes of a genome, editable by `dataclasses.replace`.

    Attributes
    ----------
    entry, filters, exit_conditions : as written for the long side
    short_entry, short_exit_conditions : None where the short side mirrors the long one
    """

    type: StrategyType
    timeframe: str
    direction: Direction
    confidence: float
    entry: Conditions
    filters: Conditions
    stop_frac: float
    target_frac: float | None
    trailing_frac: float | None
    max_bars: int | None
    on_opposite: bool
    exit_conditions: Conditions
    risk: Risk
    short_entry: Conditions | None = None
    short_exit_conditions: Conditions | None = None

    @classmethod
    def of(cls, genome: Genome, universe: Universe) -> Blueprint:
        """Take a genome apart and fit it to the universe (spot: long only, leverage 1)."""
        exits = genome.exits
        entry, exit_conditions = long_entries(genome), long_exits(genome)
        is_both = genome.direction is Direction.BOTH and universe.is_perp
        short_entry = genome.short_entry if is_both else None
        short_exits = exits.short_conditions if is_both else None
        risk = genome.risk
        if not universe.is_perp and risk.leverage != 1.0:
            risk = Risk.model_validate({**risk.model_dump(), "leverage": 1.0})
        return cls(
            type=genome.type,
            timeframe=universe.timeframe,
            direction=genome.direction if universe.is_perp else Direction.LONG,
            confidence=genome.confidence,
            entry=entry,
            filters=long_filters(genome),
            stop_frac=exits.stop_frac,
            target_frac=exits.target_frac,
            trailing_frac=exits.trailing_frac,
            max_bars=exits.max_bars,
            on_opposite=exits.on_opposite,
            exit_conditions=exit_conditions,
            risk=risk,
            short_entry=_unless_mirrored(entry, short_entry),
            short_exit_conditions=_unless_mirrored(exit_conditions, short_exits),
        )

    def facing(self, direction: Direction) -> Blueprint:
        """Return the blueprint turned to `direction`; two-sided: undirected filters only."""
        filters = self.filters
        if direction is Direction.BOTH and self.direction is not Direction.BOTH:
            filters = tuple(condition for condition in filters if mirrored(condition) is condition)
        return replace(self, direction=direction, filters=filters)

    def build(self) -> Genome:
        """Put the genome together and validate it."""
        is_long, is_short = (
            self.direction is not Direction.SHORT,
            self.direction is not Direction.LONG,
        )
        short_entry: Conditions = ()
        short_exits: Conditions = ()
        if is_short:
            short_entry = all_mirrored(self.entry) if self.short_entry is None else self.short_entry
            short_exits = (
                all_mirrored(self.exit_conditions)
                if self.short_exit_conditions is None
                else self.short_exit_conditions
            )
        return Genome(
            type=self.type,
            timeframe=self.timeframe,
            direction=self.direction,
            confidence=self.confidence,
            long_entry=self.entry if is_long else (),
            short_entry=short_entry,
            filters=self.filters if is_long else all_mirrored(self.filters),
            exits=Exits(
                stop_frac=self.stop_frac,
                target_frac=self.target_frac,
                trailing_frac=self.trailing_frac,
                max_bars=self.max_bars,
                on_opposite=self.on_opposite,
                long_conditions=self.exit_conditions if is_long else (),
                short_conditions=short_exits,
            ),
            risk=self.risk,
        )


def _unless_mirrored(long_side: Conditions, short_side: Conditions | None) -> Conditions | None:
    if short_side is None:
        return None
    keys = [condition.key for condition in all_mirrored(long_side)]
    return None if keys == [condition.key for condition in short_side] else short_side
