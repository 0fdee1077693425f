"""How insights bias the next cycle's drawing: mildly, and only where they survived the correction.

Priors act on genes that mutation draws anew; random immigrants stay unbiased, so that there is
always a fair sample to compare with. A prior is a weight between 1/2 and 2; what is no longer
confirmed fades back to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from engine.evolve.draws import Draws, choice_name
from engine.evolve.insights import Insight
from engine.evolve.random_genome import RISKS, SIZES, STOPS, TARGETS, TRAILINGS, hold_grid
from engine.strategy.indicator_specs import INDICATOR_SPECS
from engine.types import TIMEFRAME_MS

T = TypeVar("T")
RANGE_WEIGHT = 1.5
INDICATOR_GAIN = 2.0
HEAVIEST = 2.0
KEPT = 0.5
NEUTRAL = 0.02


def updated_priors(priors: Mapping[str, float], insights: Sequence[Insight]) -> dict[str, float]:
    """Return the geometric mean of the old weights and what the insights now ask for.

    Returns
    -------
    dict of `gene=option` or `indicator=name` to a weight in [0.5, 2]; neutral ones are left out.
    """
    asked: dict[str, float] = {}
    for insight in insights:
        if not insight.is_significant:
            continue
        if insight.kind == "indicator":
            weight = math.exp(INDICATOR_GAIN * insight.value)
            asked[f"indicator={insight.subject}"] = min(max(weight, 1 / HEAVIEST), HEAVIEST)
        elif insight.kind == "range" and insight.value > 0:
            asked.update(_range_weights(insight))
    logs: dict[str, float] = {}
    for name in sorted({*priors, *asked}):
        log = KEPT * math.log(priors.get(name, 1.0)) + (1 - KEPT) * math.log(asked.get(name, 1.0))
        if abs(log) > NEUTRAL:
            logs[name] = math.exp(log)
    return logs


def _range_weights(insight: Insight) -> dict[str, float]:
    low, high = insight.payload["low"], insight.payload["high"]
    return {
        choice_name(insight.subject, option): RANGE_WEIGHT
        for option in _options(insight.subject)
        if low <= option <= high
    }


def _options(gene: str) -> Sequence[float]:
    """Return the grid of a gene, empty when it has none."""
    rules: dict[str, Sequence[float]] = {
        "stop": STOPS,
        "target": TARGETS,
        "trailing": TRAILINGS,
        "size": SIZES,
        "risk": RISKS,
    }
    if gene == "hold":
        return sorted({bars for timeframe in TIMEFRAME_MS for bars in hold_grid(timeframe)})
    if gene in rules:
        return rules[gene]
    indicator, _, parameter = gene.partition(".")
    for spec in INDICATOR_SPECS[indicator].parameters if indicator in INDICATOR_SPECS else ():
        if spec.name == parameter:
            return spec.grid
    return ()


class Biased(Draws):
    """Draws weighted by the priors of a learned state."""

    def __init__(self, generator: np.random.Generator, priors: Mapping[str, float]) -> None:
        super().__init__(generator)
        self._priors = priors

    def choose(self, gene: str, options: Sequence[T], contexts: tuple[str, ...] = ()) -> T:
        """Return an option with a chance in proportion to its weight."""
        if not self._priors:
            return super().choose(gene, options, contexts)
        weights = [self._weight(gene, option) for option in options]
        left = self.uniform() * sum(weights)
        for option, weight in zip(options, weights, strict=True):
            left -= weight
            if left < 0:
                return option
        return options[-1]

    def _weight(self, gene: str, option: object) -> float:
        if gene not in ("entry", "filter", "exit"):
            return self._priors.get(choice_name(gene, option), 1.0)
        weight = 1.0
        for indicator in {word.split(".")[0] for word in str(option).split() if "." in word}:
            weight *= self._priors.get(f"indicator={indicator}", 1.0)
        return weight
