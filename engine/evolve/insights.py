"""What the results of a cycle say about genes, allowing for how many questions were asked.

Results enter as ranks of fitness within the cycle (undefined fitness ranks last), so that no
distribution is assumed. Within each kind of insight the false discovery rate is held at 5 %
(Benjamini and Hochberg, 1995, J. R. Stat. Soc. B 57).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from engine.evolve.features import Features, genome_features
from engine.evolve.outcomes import Outcome
from engine.evolve.patterns import rank_rewards
from engine.types import BoolArray, FloatArray

InsightKind = Literal["correlation", "segment", "range", "indicator"]
FALSE_DISCOVERY_RATE = 0.05
LEAST_OUTCOMES = 40
LEAST_GROUP = 15
N_SEGMENTS = 4


@dataclass(frozen=True)
class Insight:
    """One finding.

    Attributes
    ----------
    kind : `correlation`, `segment`, `range` or `indicator`
    subject : the gene, trait, parameter or indicator it is about
    value : correlation in [-1, 1], or difference of mean rank in [-1, 1]
    p_value : of that difference arising by chance, before correction
    payload : `q_value` (after correction), `is_significant`, `n`, and what the kind adds
    """

    kind: InsightKind
    subject: str
    value: float
    p_value: float
    payload: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_significant(self) -> bool:
        """Return whether it survived the correction."""
        return bool(self.payload.get("is_significant", False))


def find_insights(outcomes: Sequence[Outcome]) -> list[Insight]:
    """Return every insight of a cycle, grouped by kind, surest first; none below 40 outcomes.

    Notes
    -----
    Independent of the order of the outcomes. O(n_outcomes log n_outcomes) per feature.
    """
    if len(outcomes) < LEAST_OUTCOMES:
        return []
    ordered = sorted(outcomes, key=lambda outcome: outcome.strategy_id)
    fitness = np.array([outcome.fitness for outcome in ordered], dtype=np.float64)
    rewards = rank_rewards(fitness)
    features = [genome_features(outcome.genome) for outcome in ordered]
    numbers = {
        **_columns(features, "numbers"),
        **_columns(features, "parameters"),
    }
    traits = _trait_columns(features)
    segments = [s for name, x in numbers.items() if (s := _segment(name, x, rewards, fitness))]
    groups: list[list[Insight | None]] = [
        [
            *(_rank_correlation(name, x, rewards) for name, x in numbers.items()),
            *(_trait_correlation(name, has, rewards) for name, has in traits.items()),
        ],
        [*segments],
        [_range(s, numbers[s.subject], rewards) for s in segments],
        [
            _indicator(name.removeprefix("indicator="), has, rewards, fitness)
            for name, has in traits.items()
            if name.startswith("indicator=")
        ],
    ]
    found: list[Insight] = []
    for group in groups:
        found.extend(_corrected([insight for insight in group if insight is not None]))
    return found


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return the q value of each p value: the least false discovery rate at which it would be kept.

    Parameters
    ----------
    p_values : each in [0, 1]
    """
    n_tests = len(p_values)
    order = sorted(range(n_tests), key=lambda i: p_values[i])
    q_values = [1.0] * n_tests
    least = 1.0
    for rank in range(n_tests, 0, -1):
        index = order[rank - 1]
        least = min(least, p_values[index] * n_tests / rank)
        q_values[index] = least
    return q_values


def _corrected(insights: list[Insight]) -> list[Insight]:
    q_values = benjamini_hochberg([insight.p_value for insight in insights])
    corrected = [
        replace(
            insight,
            payload=MappingProxyType(
                {**insight.payload, "q_value": q, "is_significant": q <= FALSE_DISCOVERY_RATE}
            ),
        )
        for insight, q in zip(insights, q_values, strict=True)
    ]
    return sorted(corrected, key=lambda i: (i.p_value, -abs(i.value), i.subject))


def _columns(features: Sequence[Features], part: str) -> dict[str, FloatArray]:
    """Return one column per gene, NaN where a genome lacks it."""
    columns: dict[str, FloatArray] = {}
    for row, feature in enumerate(features):
        for name, value in getattr(feature, part).items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = np.full(len(features), np.nan)
            column[row] = value
    return {name: columns[name] for name in sorted(columns)}


def _trait_columns(features: Sequence[Features]) -> dict[str, BoolArray]:
    columns: dict[str, BoolArray] = {}
    for row, feature in enumerate(features):
        for name in feature.traits:
            column = columns.get(name)
            if column is None:
                column = columns[name] = np.zeros(len(features), dtype=np.bool_)
            column[row] = True
    return {name: columns[name] for name in sorted(columns)}


def _rank_correlation(name: str, values: FloatArray, rewards: FloatArray) -> Insight | None:
    """Spearman's coefficient over the genomes that have the gene."""
    from scipy.stats import spearmanr

    x, y = _where_known(values, rewards)
    if x.shape[0] < LEAST_OUTCOMES or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    result = spearmanr(x, y)
    return Insight(
        "correlation",
        name,
        float(result.statistic),
        float(result.pvalue),
        {"n": x.shape[0], "method": "spearman"},
    )


def _trait_correlation(name: str, has: BoolArray, rewards: FloatArray) -> Insight | None:
    """Point-biserial coefficient of having the trait."""
    from scipy.stats import pointbiserialr

    n_having = int(has.sum())
    if min(n_having, has.shape[0] - n_having) < LEAST_GROUP or np.ptp(rewards) == 0:
        return None
    result = pointbiserialr(has, rewards)
    return Insight(
        "correlation",
        name,
        float(result.statistic),
        float(result.pvalue),
        {"n": n_having, "method": "point-biserial"},
    )


def _segment(
    name: str, values: FloatArray, rewards: FloatArray, fitness: FloatArray
) -> Insight | None:
    """Quantile segments of a gene; value is the best segment's mean rank minus the worst's."""
    from scipy.stats import kruskal

    known = np.isfinite(values)
    x, y, z = values[known], rewards[known], fitness[known]
    if x.shape[0] < LEAST_OUTCOMES or np.ptp(y) == 0:
        return None
    cuts = np.unique(np.quantile(x, np.linspace(0.0, 1.0, N_SEGMENTS + 1)))
    if cuts.shape[0] < 3:
        return None
    place = np.clip(np.searchsorted(cuts, x, side="right") - 1, 0, cuts.shape[0] - 2)
    groups, rows = [], []
    for i in range(cuts.shape[0] - 1):
        inside = place == i
        if int(inside.sum()) < LEAST_GROUP:
            continue
        groups.append(y[inside])
        rows.append(
            {
                "low": float(x[inside].min()),
                "high": float(x[inside].max()),
                "n": int(inside.sum()),
                "mean_rank": float(y[inside].mean()),
                "median_fitness": _median_or_none(z[inside]),
            }
        )
    if len(groups) < 2:
        return None
    means = [float(group.mean()) for group in groups]
    p_value = float(kruskal(*groups).pvalue)
    payload = {"n": x.shape[0], "segments": rows}
    return Insight("segment", name, max(means) - min(means), p_value, payload)


def _range(segment: Insight, values: FloatArray, rewards: FloatArray) -> Insight | None:
    """The run of neighbouring segments around the best that all beat the gene's mean rank."""
    rows = segment.payload["segments"]
    x, y = _where_known(values, rewards)
    mean = float(y.mean())
    best = max(range(len(rows)), key=lambda i: rows[i]["mean_rank"])
    first = last = best
    while first > 0 and rows[first - 1]["mean_rank"] > mean:
        first -= 1
    while last < len(rows) - 1 and rows[last + 1]["mean_rank"] > mean:
        last += 1
    low, high = rows[first]["low"], rows[last]["high"]
    inside = (x >= low) & (x <= high)
    if min(int(inside.sum()), int((~inside).sum())) < LEAST_GROUP:
        return None
    return Insight(
        "range",
        segment.subject,
        float(y[inside].mean()) - float(y[~inside].mean()),
        _difference_p_value(y[inside], y[~inside]),
        {"n": int(inside.sum()), "low": low, "high": high},
    )


def _indicator(
    name: str, has: BoolArray, rewards: FloatArray, fitness: FloatArray
) -> Insight | None:
    """Mean rank with the indicator minus without it."""
    with_it, without = rewards[has], rewards[~has]
    if min(with_it.shape[0], without.shape[0]) < LEAST_GROUP:
        return None
    return Insight(
        "indicator",
        name,
        float(with_it.mean()) - float(without.mean()),
        _difference_p_value(with_it, without),
        {"n": with_it.shape[0], "median_fitness": _median_or_none(fitness[has])},
    )


def _difference_p_value(a: FloatArray, b: FloatArray) -> float:
    from scipy.stats import mannwhitneyu

    p_value = float(mannwhitneyu(a, b, alternative="two-sided").pvalue)
    return p_value if math.isfinite(p_value) else 1.0


def _median_or_none(fitness: FloatArray) -> float | None:
    defined = fitness[np.isfinite(fitness)]
    return float(np.median(defined)) if defined.shape[0] else None


def _where_known(values: FloatArray, rewards: FloatArray) -> tuple[FloatArray, FloatArray]:
    known = np.isfinite(values)
    return values[known], rewards[known]
