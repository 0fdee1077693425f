"""Pattern memory: which choices, and which combinations of choices, were rewarded.

A pattern is a name such as `entry=rsi.value < level`, `hold=48`, or a combination
`type=momentum|entry=roc.value > level`. Any genome, whoever wrote it, has its patterns read off;
the same names are asked for when a genome is drawn, so that `Guided` draws are a bandit over gene
combinations (Thompson sampling on Gaussian posteriors, plus a bonus for what was seldom tried).
Rewards are ranks of fitness within a cycle, so that no scale matters; old evidence decays.

Source of the sampling rule: Thompson (1933), Biometrika 25; Gaussian form: Agrawal and Goyal
(2013), AISTATS.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from engine.evolve.draws import Draws, choice_name
from engine.evolve.learned_state import LearnedState, PatternStatistic
from engine.evolve.mirror import condition_shape, mirrored
from engine.strategy.genome import Condition, ConstantOperand, Direction, Genome, IndicatorOperand
from engine.types import FloatArray

T = TypeVar("T")
MAX_PATTERNS = 6000
PRIOR_WEIGHT = 4.0
CONTEXT_WEIGHT = 8.0
REWARD_STD = 0.29
"""Standard deviation of a rank, uniform on [0, 1]."""
LEAST_STD = 0.02
"""Rewards drift as the population improves, so no posterior gets narrower than this."""
_UNSEEN = PatternStatistic(0.0, 0.0, 0.0)


def genome_patterns(genome: Genome) -> list[str]:
    """Return the names of every pattern of a genome, each once."""
    return PatternReader().patterns(genome)


class PatternReader:
    """Read the patterns of many genomes, remembering those of each condition seen."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, bool], tuple[str, tuple[str, ...]]] = {}

    def patterns(self, genome: Genome) -> list[str]:
        """Return the names of every pattern of a genome, each once."""
        is_short = genome.direction is Direction.SHORT
        exits = genome.exits
        parameters: set[str] = set()
        kind = f"type={genome.type}"
        entries = genome.short_entry if is_short else genome.long_entry
        entry_shapes = self._shapes("entry", entries, is_short, parameters)
        ways_out = exits.short_conditions if is_short else exits.long_conditions
        exit_shapes = self._shapes("exit", ways_out, is_short, parameters)
        names = [kind, *entry_shapes, *exit_shapes]
        names.extend(f"{kind}|{shape}" for shape in (*entry_shapes, *exit_shapes))
        names.extend(f"{a}|{b}" for a in entry_shapes for b in entry_shapes if a != b)
        names.extend(self._shapes("filter", genome.filters, is_short, parameters))
        names.extend(_rule_patterns(genome, len(entries)))
        if exits.max_bars is not None:
            names.extend(f"{shape}|hold={exits.max_bars}" for shape in entry_shapes)
        names.extend(sorted(parameters))
        return names

    def _shapes(
        self, gene: str, conditions: tuple[Condition, ...], is_short: bool, parameters: set[str]
    ) -> list[str]:
        """Return `gene=shape` of each condition as for the long side, and note their parameters."""
        shapes: set[str] = set()
        for condition in conditions:
            key = (condition.key, is_short)
            read = self._read.get(key)
            if read is None:
                condition = mirrored(condition) if is_short else condition
                read = condition_shape(condition), _condition_patterns(condition)
                self._read[key] = read
            shapes.add(f"{gene}={read[0]}")
            parameters.update(read[1])
        return sorted(shapes)


def _rule_patterns(genome: Genome, n_entry: int) -> list[str]:
    exits, risk = genome.exits, genome.risk
    names = [
        f"direction={genome.direction}",
        f"n_entry={n_entry}",
        f"n_filters={len(genome.filters)}",
        f"stop={exits.stop_frac:g}",
        f"on_opposite={exits.on_opposite}",
        f"has_target={exits.target_frac is not None}",
        f"has_trailing={exits.trailing_frac is not None}",
        f"has_hold={exits.max_bars is not None}",
        f"has_exit={bool(exits.long_conditions or exits.short_conditions)}",
        f"sizing={risk.sizing}",
        f"size={risk.size_frac:g}",
        f"leverage={risk.leverage:g}",
        f"risk={risk.risk_per_trade_frac:g}",
    ]
    if n_entry > 1:
        names.append(f"confidence={genome.confidence:g}")
    if exits.target_frac is not None:
        names.append(f"target={exits.target_frac:g}")
    if exits.trailing_frac is not None:
        names.append(f"trailing={exits.trailing_frac:g}")
    if exits.max_bars is not None:
        names.append(f"hold={exits.max_bars}")
    return names


def _condition_patterns(condition: Condition) -> tuple[str, ...]:
    names: set[str] = set()
    left, right = condition.left, condition.right
    timeframe = left.timeframe
    names.add(f"is_higher={timeframe is not None}")
    if timeframe is not None:
        names.add(f"higher_timeframe={timeframe}")
    if isinstance(right, ConstantOperand):
        names.add(f"{condition_shape(condition)}.level={right.value:g}")
    if condition.bars is not None:
        names.add(f"{condition_shape(condition)}.bars={condition.bars}")
    sides = [side for side in (left, right) if isinstance(side, IndicatorOperand)]
    for side in sides:
        suffix = "" if timeframe is None else f"@{timeframe}"
        names.add(f"indicator={side.name}{suffix}")
    if len(sides) == 2 and sides[0].name == sides[1].name and sides[0].name in ("sma", "ema"):
        short, long = sorted((sides[0].params["length"], sides[1].params["length"]))
        names.add(f"{sides[0].name}.short={short:g}")
        names.add(f"{sides[0].name}.long={long:g}")
        return tuple(sorted(names))
    for side in sides:
        names.update(f"{side.name}.{name}={value:g}" for name, value in side.params.items())
    return tuple(sorted(names))


def rank_rewards(fitness: FloatArray) -> FloatArray:
    """Return the rank of every fitness within the cycle, in [0, 1].

    Parameters
    ----------
    fitness : ndarray of shape (n_outcomes,), float64; NaN is undefined and ranks below everything,
        at 0

    Returns
    -------
    ndarray of shape (n_outcomes,): share of outcomes beaten, ties sharing their mean rank.
    """
    # Late: scipy is needed where outcomes are learned from, not where candidates are proposed.
    from scipy.stats import rankdata

    n_outcomes = fitness.shape[0]
    rewards = np.zeros(n_outcomes)
    defined = np.isfinite(fitness)
    n_defined = int(defined.sum())
    if n_outcomes < 2 or n_defined == 0:
        return rewards
    ranks = rankdata(fitness[defined]) + (n_outcomes - n_defined)
    rewards[defined] = (ranks - 1.0) / (n_outcomes - 1.0)
    return rewards


def updated_patterns(
    patterns: Mapping[str, PatternStatistic],
    genomes: Iterable[Genome],
    rewards: FloatArray,
    decay: float,
) -> dict[str, PatternStatistic]:
    """Return the decayed statistics with one cycle's rewards added; the most seen are kept.

    Parameters
    ----------
    genomes, rewards : of the same length and in a fixed order, on which the sums depend in their
        last bits
    decay : weight kept of what was known before
    """
    sums: dict[str, list[float]] = {
        name: [s.weight * decay, s.reward_sum * decay, s.square_sum * decay]
        for name, s in patterns.items()
    }
    reader = PatternReader()
    for genome, reward in zip(genomes, rewards.tolist(), strict=True):
        square = reward * reward
        for name in reader.patterns(genome):
            entry = sums.get(name)
            if entry is None:
                sums[name] = [1.0, reward, square]
            else:
                entry[0] += 1.0
                entry[1] += reward
                entry[2] += square
    kept = sorted(sums, key=lambda name: (-sums[name][0], name))[:MAX_PATTERNS]
    return {name: PatternStatistic(*sums[name]) for name in sorted(kept)}


class Guided(Draws):
    """Draws that follow the pattern memory."""

    def __init__(
        self, generator: np.random.Generator, state: LearnedState, exploration: float
    ) -> None:
        super().__init__(generator)
        self._patterns = state.patterns
        self._memo = state.memo
        self._exploration = exploration

    def choose(self, gene: str, options: Sequence[T], contexts: tuple[str, ...] = ()) -> T:
        """Return the option with the best sampled reward, given the choices in `contexts`."""
        key = (gene, self._exploration, contexts, tuple(options))
        posterior = self._memo.get(key)
        if posterior is None:
            unique = tuple(dict.fromkeys(options))
            names = [choice_name(gene, option) for option in unique]
            posterior = unique, [self._posterior(name, contexts) for name in names]
            self._memo[key] = posterior
        noise = self.generator.standard_normal(len(posterior[0])).tolist()
        sampled = [
            mean + spread * normal
            for (mean, spread), normal in zip(posterior[1], noise, strict=True)
        ]
        best: T = posterior[0][sampled.index(max(sampled))]
        return best

    def _posterior(self, name: str, contexts: tuple[str, ...]) -> tuple[float, float]:
        """Return the mean reward of an option, exploration bonus included, and its deviation."""
        patterns = self._patterns
        marginal = patterns.get(name, _UNSEEN)
        mean = (marginal.reward_sum + 0.5 * PRIOR_WEIGHT) / (marginal.weight + PRIOR_WEIGHT)
        evidence = marginal.weight + PRIOR_WEIGHT
        if contexts:
            # Each context refines the marginal, which counts as CONTEXT_WEIGHT observations of it.
            joints = [patterns.get(f"{context}|{name}", _UNSEEN) for context in contexts]
            evidence = CONTEXT_WEIGHT + sum(joint.weight for joint in joints)
            mean = sum(
                (joint.reward_sum + CONTEXT_WEIGHT * mean) / (joint.weight + CONTEXT_WEIGHT)
                for joint in joints
            ) / len(joints)
        bonus = self._exploration / math.sqrt(marginal.weight + 1.0)
        return mean + bonus, max(REWARD_STD / math.sqrt(evidence), LEAST_STD)
