"""What a genome looks like to statistics: numbers, yes-or-no traits, indicators and parameters."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strategy.genome import Genome, IndicatorOperand


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one genome.

    Attributes
    ----------
    numbers : by gene name (`stop`, `hold`, `n_entry`); absent where the genome has no such gene
    traits : names of what holds for it (`type=momentum`, `has_target`, `indicator=rsi`)
    parameters : by `indicator.parameter`, the value of its first use
    """

    numbers: dict[str, float]
    traits: frozenset[str]
    parameters: dict[str, float]


def genome_features(genome: Genome) -> Features:
    """Return what statistics may correlate with the results of a genome."""
    exits, risk = genome.exits, genome.risk
    # Either side will do: mirroring changes neither indicators nor parameters.
    entries = genome.long_entry or genome.short_entry
    exit_conditions = exits.long_conditions or exits.short_conditions
    traits = {f"type={genome.type}", f"direction={genome.direction}", f"sizing={risk.sizing}"}
    numbers = {
        "stop": exits.stop_frac,
        "n_entry": float(len(entries)),
        "n_filters": float(len(genome.filters)),
        "confidence": genome.confidence,
        "notional": genome.notional_frac(),
    }
    optional = {
        "target": exits.target_frac,
        "trailing": exits.trailing_frac,
        "hold": exits.max_bars,
    }
    for name, value in optional.items():
        if value is not None:
            numbers[name] = float(value)
            traits.add(f"has_{name}")
    if exit_conditions:
        traits.add("has_exit")
    if exits.on_opposite:
        traits.add("on_opposite")
    parameters: dict[str, float] = {}
    for condition in (*entries, *genome.filters, *exit_conditions):
        if condition.left.timeframe is not None:
            traits.add("is_higher")
        for side in (condition.left, condition.right):
            if isinstance(side, IndicatorOperand):
                traits.add(f"indicator={side.name}")
                for name, value in side.params.items():
                    parameters.setdefault(f"{side.name}.{name}", value)
    return Features(numbers, frozenset(traits), parameters)
