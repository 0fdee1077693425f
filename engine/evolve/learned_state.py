"""What evolution has learned so far: one frozen, content-addressed value.

A cycle freezes the state it starts from; every proposal of the cycle is a function of it. The
canonical JSON is the state's identity: keys sorted, floats as `repr` writes them, so equal states
have equal text and equal hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from engine.errors import DataError
from engine.strategy.genome import Genome

STATE_VERSION = 1


@dataclass(frozen=True)
class Member:
    """One genome of the population.

    Attributes
    ----------
    strategy_id : the genome's id
    genome_json : its canonical JSON
    fitness : mean over symbols of the validation fitness, finite
    standing : what it is ranked by, see `engine.evolve.outcomes`; at most its fitness
    generation : how many births lie between it and its oldest random ancestor
    cycle : value of `LearnedState.n_cycles` when it joined
    niche : behaviour, `holding time|exposure`, see `engine.evolve.population`
    """

    strategy_id: str
    genome_json: str
    fitness: float
    standing: float
    generation: int
    cycle: int
    niche: str

    @cached_property
    def genome(self) -> Genome:
        """Return the genome, parsed once."""
        return Genome.from_json(self.genome_json)


@dataclass(frozen=True, slots=True)
class PatternStatistic:
    """Decayed evidence about one pattern; rewards are ranks within a cycle, in [0, 1]."""

    weight: float
    reward_sum: float
    square_sum: float

    @property
    def mean(self) -> float:
        """Return the mean reward; 0.5, the mean of all ranks, without evidence."""
        return self.reward_sum / self.weight if self.weight > 0 else 0.5


@dataclass(frozen=True)
class LearnedState:
    """Everything that the next cycle's proposals may depend on.

    Attributes
    ----------
    population : best first; unique by id
    patterns : statistic of every pattern remembered, by name
    priors : weight of every option that the insights favour or disfavour, by `gene=option`; 1 is
        neutral
    arms : reward of every prompt and model asked, by label, see `engine.evolve.arms`
    n_cycles, n_outcomes, n_backtests : what it was learned from
    earliest_read_at : UTC ms of the oldest bar that any lesson has read; None before the first
    parent_hash : hash of the state before; None for the first
    """

    population: tuple[Member, ...] = ()
    patterns: Mapping[str, PatternStatistic] = field(default_factory=lambda: MappingProxyType({}))
    priors: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    arms: Mapping[str, PatternStatistic] = field(default_factory=lambda: MappingProxyType({}))
    n_cycles: int = 0
    n_outcomes: int = 0
    n_backtests: int = 0
    earliest_read_at: int | None = None
    parent_hash: str | None = None

    @classmethod
    def empty(cls) -> LearnedState:
        """Return the state that knows nothing."""
        return cls()

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was learned yet."""
        return self.n_cycles == 0

    @cached_property
    def hash(self) -> str:
        """Return the SHA-256 (hex) of the canonical JSON."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    @cached_property
    def memo(self) -> dict[Any, Any]:
        """Return what was derived from this state while proposing; no part of its value."""
        return {}

    def members_of(self, timeframe: str) -> tuple[Member, ...]:
        """Return the population of one timeframe, best first."""
        return self._by_timeframe.get(timeframe, ())

    @cached_property
    def _by_timeframe(self) -> dict[str, tuple[Member, ...]]:
        members: dict[str, tuple[Member, ...]] = {}
        for member in self.population:
            timeframe = member.genome.timeframe
            members[timeframe] = (*members.get(timeframe, ()), member)
        return members

    def canonical_json(self) -> str:
        """Return the one text of this state."""
        document = {
            "version": STATE_VERSION,
            "population": [
                [
                    member.strategy_id,
                    member.genome_json,
                    member.fitness,
                    member.standing,
                    member.generation,
                    member.cycle,
                    member.niche,
                ]
                for member in self.population
            ],
            "patterns": {
                name: [s.weight, s.reward_sum, s.square_sum] for name, s in self.patterns.items()
            },
            "priors": dict(self.priors),
            "n_cycles": self.n_cycles,
            "n_outcomes": self.n_outcomes,
            "n_backtests": self.n_backtests,
            "earliest_read_at": self.earliest_read_at,
            "parent_hash": self.parent_hash,
        }
        # Left out while no model was ever asked, so that such states keep their hashes.
        if self.arms:
            document["arms"] = {
                label: [s.weight, s.reward_sum, s.square_sum] for label, s in self.arms.items()
            }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> LearnedState:
        """Read a state back.

        Raises
        ------
        DataError : the text is not a learned state of this version.
        """
        try:
            document = json.loads(text)
            if document["version"] != STATE_VERSION:
                raise DataError(
                    f"learned state has version {document['version']!r}, expected {STATE_VERSION}: "
                    "start from an empty state",
                    version=document["version"],
                )
            return cls._from_document(document)
        except (ValueError, KeyError, TypeError) as exc:
            raise DataError(
                f"learned state cannot be read ({exc}): start from an empty state"
            ) from exc

    @classmethod
    def _from_document(cls, document: Mapping[str, Any]) -> LearnedState:
        return cls(
            population=tuple(Member(*row) for row in document["population"]),
            patterns=MappingProxyType(
                {name: PatternStatistic(*row) for name, row in document["patterns"].items()}
            ),
            priors=MappingProxyType(dict(document["priors"])),
            arms=MappingProxyType(
                {label: PatternStatistic(*row) for label, row in document.get("arms", {}).items()}
            ),
            n_cycles=document["n_cycles"],
            n_outcomes=document["n_outcomes"],
            n_backtests=document["n_backtests"],
            earliest_read_at=document["earliest_read_at"],
            parent_hash=document["parent_hash"],
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Mapping proxies do not pickle; the text does, and is the state's identity anyway.
        return (LearnedState.from_json, (self.canonical_json(),))
