"""Which prompt and model to ask: a bandit on what their strategies gain on validation.

An arm is a prompt, by version, with a model. Its reward is what a child gained over its parent, or
over the middle of its cycle when it has none, squeezed into [0, 1]; a child that was refused or
never traded enough earns nothing. Evidence decays. Thompson sampling as in
`engine.evolve.patterns`; the draw is keyed by (cycle seed, candidate index).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.evolve.learned_state import PatternStatistic
from engine.evolve.prompts import Prompt

PRIOR_WEIGHT = 2.0
REWARD_STD = 0.29
LEAST_STD = 0.03
_STREAM = 0x41524D
"""Keeps these draws apart from those of proposals."""
_UNSEEN = PatternStatistic(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to ask one model."""

    prompt: Prompt
    model: str

    @property
    def label(self) -> str:
        """Return what it is remembered under."""
        return f"{self.prompt.label}|{self.model}"


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """What one question came to.

    Attributes
    ----------
    label : of the arm
    gain : fitness of the child less what it is compared with; NaN when refused or undefined
    """

    label: str
    gain: float


def author_generator(cycle_seed: int, index: int) -> np.random.Generator:
    """Return the generator of what is asked of a language model at a place of a cycle."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence((cycle_seed, index, 0, _STREAM)))
    )


def choose_arm(
    arms: Sequence[Arm], known: Mapping[str, PatternStatistic], generator: np.random.Generator
) -> Arm:
    """Return the arm whose sampled reward is the highest.

    Parameters
    ----------
    arms : at least one
    known : statistics by label, frozen at the cycle's start
    """
    noise = generator.standard_normal(len(arms)).tolist()
    sampled = []
    for arm, normal in zip(arms, noise, strict=True):
        seen = known.get(arm.label, _UNSEEN)
        weight = seen.weight + PRIOR_WEIGHT
        mean = (seen.reward_sum + 0.5 * PRIOR_WEIGHT) / weight
        sampled.append(mean + normal * max(REWARD_STD / math.sqrt(weight), LEAST_STD))
    return arms[sampled.index(max(sampled))]


def reward_of(gain: float) -> float:
    """Return a gain in fitness as a reward in [0, 1]; 0.5 is no gain, NaN earns 0."""
    return 0.0 if math.isnan(gain) else 0.5 * (1.0 + math.tanh(gain))


def updated_arms(
    known: Mapping[str, PatternStatistic], outcomes: Iterable[ArmOutcome], decay: float
) -> dict[str, PatternStatistic]:
    """Return the decayed statistics with one cycle's rewards added, by label in order.

    Parameters
    ----------
    outcomes : in a fixed order, on which the sums depend in their last bits
    """
    told = list(outcomes)
    if not told:
        return dict(known)
    sums = {
        label: [seen.weight * decay, seen.reward_sum * decay, seen.square_sum * decay]
        for label, seen in known.items()
    }
    for outcome in told:
        reward = reward_of(outcome.gain)
        entry = sums.setdefault(outcome.label, [0.0, 0.0, 0.0])
        entry[0] += 1.0
        entry[1] += reward
        entry[2] += reward * reward
    return {label: PatternStatistic(*sums[label]) for label in sorted(sums)}
