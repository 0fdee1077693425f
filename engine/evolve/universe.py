"""What a cycle draws genomes for, and in which proportions: values frozen at its start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import ConfigError
from engine.types import TIMEFRAME_MS, timeframe_ms

MarketType = Literal["spot", "perp"]


@dataclass(frozen=True, slots=True)
class Universe:
    """The ground a cycle searches.

    Attributes
    ----------
    timeframe : the timeframe of every genome
    market_type : `spot` is long only with leverage 1, `perp` allows both sides
    higher_timeframes : timeframes that operands may read besides; each a multiple of `timeframe`
    symbols : the symbols of the cycle; genomes are drawn for all of them

    Raises
    ------
    ConfigError : an unknown market type, or a higher timeframe that is not a longer multiple.
    DataError : an unknown timeframe.
    """

    timeframe: str
    market_type: MarketType = "spot"
    higher_timeframes: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.market_type not in ("spot", "perp"):
            raise ConfigError(
                f"market type {self.market_type!r} is neither spot nor perp",
                market_type=self.market_type,
            )
        own_ms = timeframe_ms(self.timeframe)
        for higher in self.higher_timeframes:
            other_ms = timeframe_ms(higher)
            if other_ms <= own_ms or other_ms % own_ms:
                raise ConfigError(
                    f"higher timeframe {higher} is not a longer multiple of {self.timeframe}: "
                    "remove it from the universe",
                    timeframe=higher,
                )

    @property
    def is_perp(self) -> bool:
        """Return whether both sides and leverage are allowed."""
        return self.market_type == "perp"

    @classmethod
    def of(
        cls,
        timeframe: str,
        market_type: MarketType,
        timeframes: tuple[str, ...],
        symbols: tuple[str, ...] = (),
    ) -> Universe:
        """Return a universe whose higher timeframes are those of `timeframes` that fit."""
        own_ms = timeframe_ms(timeframe)
        higher = tuple(
            sorted(
                (
                    t
                    for t in timeframes
                    if timeframe_ms(t) > own_ms and not timeframe_ms(t) % own_ms
                ),
                key=TIMEFRAME_MS.__getitem__,
            )
        )
        return cls(timeframe, market_type, higher, symbols)


@dataclass(frozen=True, slots=True)
class Shares:
    """Where candidates come from, as fractions that add up to 1.

    The language model's share is taken from the three others alike and is not drawn here: `propose`
    divides what it is asked for among the three in their own proportion.
    """

    genetic: float = 0.70
    pattern: float = 0.15
    immigrant: float = 0.15

    def __post_init__(self) -> None:
        parts = (self.genetic, self.pattern, self.immigrant)
        if min(parts) < 0 or abs(sum(parts) - 1.0) > 1e-9:
            raise ConfigError(
                f"shares {self.genetic:g} + {self.pattern:g} + {self.immigrant:g} must be >= 0 and "
                "add up to 1",
                shares=parts,
            )


@dataclass(frozen=True, slots=True)
class EvolveSettings:
    """How genomes are bred and what is remembered.

    Attributes
    ----------
    population : most genomes kept per timeframe
    elite : best genomes that stay in the pool whatever their niche or age
    mutation_rate : chance, per gene, that a child's gene is drawn anew
    crossover_rate : chance that a child has two parents
    pattern_decay : weight that pattern statistics keep from one cycle to the next
    pattern_min_backtests : backtests seen before patterns guide proposals
    exploration : bonus for patterns seldom tried, in units of the reward (0 to 1)
    arm_decay : weight that statistics of prompts and models keep from one cycle to the next
    """

    population: int = 100
    elite: int = 10
    mutation_rate: float = 0.15
    crossover_rate: float = 0.70
    pattern_decay: float = 0.98
    pattern_min_backtests: int = 1000
    exploration: float = 0.1
    arm_decay: float = 0.95
