"""Random draws of one proposal: a stream keyed by (cycle seed, candidate index, attempt).

The stream does not depend on the process, the chunk or the order in which candidates are proposed.
Uniforms are taken in one batch, because a call into numpy costs more than a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
BATCH = 128


class Draws:
    """Uniform draws; `choose` is the one place where subclasses prefer some options.

    Parameters
    ----------
    generator : the only source of randomness
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self._batch: list[float] = generator.random(BATCH).tolist()

    @classmethod
    def keyed(cls, cycle_seed: int, index: int, attempt: int = 0) -> Draws:
        """Return the stream of one attempt at one candidate."""
        return cls(keyed_generator(cycle_seed, index, attempt))

    def uniform(self) -> float:
        """Return a float in [0, 1)."""
        if not self._batch:
            self._batch = self.generator.random(BATCH).tolist()
        return self._batch.pop()

    def chance(self, probability: float) -> bool:
        """Return True with `probability`."""
        return self.uniform() < probability

    def below(self, stop: int) -> int:
        """Return an integer in [0, stop)."""
        return int(self.uniform() * stop)

    def pick(self, options: Sequence[T]) -> T:
        """Return one of `options`, all alike."""
        return options[int(self.uniform() * len(options))]

    def choose(self, gene: str, options: Sequence[T], contexts: tuple[str, ...] = ()) -> T:
        """Return the value of `gene`, one of `options`; here all alike.

        Parameters
        ----------
        gene : name of what is chosen; with the option it names a pattern (`engine.evolve.patterns`)
        options : repeated options are likelier
        contexts : earlier choices, as `gene=option`, that this one may depend on
        """
        return options[int(self.uniform() * len(options))]


def keyed_generator(cycle_seed: int, index: int, attempt: int) -> np.random.Generator:
    """Return the generator of (cycle seed, candidate index, attempt), all >= 0."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence((cycle_seed, index, attempt)))
    )


def choice_name(gene: str, option: object) -> str:
    """Return `gene=option`, the name of a choice; 14 and 14.0 are the same option."""
    return f"{gene}={option:g}" if isinstance(option, float) else f"{gene}={option}"
