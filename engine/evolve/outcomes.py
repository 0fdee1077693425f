"""What became of a candidate on validation and fit: all that learning may look at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from engine.backtest.metric_names import METRIC_INDEX, METRIC_NAMES, N_METRICS
from engine.errors import DataError
from engine.strategy.genome import Genome
from engine.types import FloatArray, Segment


@dataclass(frozen=True)
class Outcome:
    """One evaluated candidate.

    Attributes
    ----------
    fitness : mean over symbols of the validation fitness; NaN where it is undefined on any of them
    n_backtests : symbols it was evaluated on
    metrics : mean over symbols of each validation metric, NaN where undefined
    generation : from its proposal
    fit_fitness : as `fitness`, on the fit segment; NaN where undefined or not given
    """

    genome: Genome
    fitness: float
    n_backtests: int = 1
    metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    generation: int = 0
    fit_fitness: float = math.nan

    @property
    def strategy_id(self) -> str:
        """Return the genome's id."""
        return self.genome.id

    @property
    def standing(self) -> float:
        """Return what parents are chosen by: the lesser of validation and fit fitness.

        The best of many on one segment is mostly lucky there; what holds on both is less so. It
        never exceeds the fitness, and is NaN where that is.
        """
        if math.isnan(self.fitness) or math.isnan(self.fit_fitness):
            return self.fitness
        return min(self.fitness, self.fit_fitness)

    @classmethod
    def of(
        cls,
        genome: Genome,
        validation: FloatArray,
        generation: int = 0,
        fit: FloatArray | None = None,
    ) -> Outcome:
        """Build an outcome from the rows of every symbol.

        Parameters
        ----------
        validation, fit : ndarray of shape (n_symbols, N_METRICS), float64; a failed evaluation is
            a row of NaN

        Notes
        -----
        A strategy that trades under ten times on one symbol has no fitness there, and a mean over
        the others would reward picking its symbols: so its fitness is undefined (NaN), it joins no
        population, and its patterns earn the reward of the worst.
        """
        means = _means(validation, Segment.VALIDATION)
        fit_means = None if fit is None else _means(fit, Segment.FIT)
        return cls(
            genome=genome,
            fitness=means[METRIC_INDEX["fitness"]],
            fit_fitness=math.nan if fit_means is None else fit_means[METRIC_INDEX["fitness"]],
            n_backtests=validation.shape[0],
            metrics=MappingProxyType(dict(zip(METRIC_NAMES, means, strict=True))),
            generation=generation,
        )


def _means(rows: FloatArray, segment: Segment) -> list[float]:
    if rows.ndim != 2 or rows.shape[1] != N_METRICS or len(rows) == 0:
        raise DataError(
            f"{segment} rows have shape {rows.shape}, expected (n_symbols, {N_METRICS})",
            shape=rows.shape,
        )
    means: list[float] = rows.mean(axis=0).tolist()
    return means
