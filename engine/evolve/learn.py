"""Turn a cycle's outcomes, in whatever order they come, into the next learned state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from engine.evolve.arms import ArmOutcome, updated_arms
from engine.evolve.insights import find_insights
from engine.evolve.learned_state import LearnedState
from engine.evolve.outcomes import Outcome
from engine.evolve.patterns import rank_rewards, updated_patterns
from engine.evolve.population import updated_population
from engine.evolve.priors import updated_priors
from engine.evolve.universe import EvolveSettings


def learn(
    state: LearnedState,
    outcomes: Sequence[Outcome],
    settings: EvolveSettings | None = None,
    *,
    earliest_read_at: int | None = None,
    asked: Sequence[ArmOutcome] = (),
) -> LearnedState:
    """Return the state after a cycle; `state` is unchanged.

    Parameters
    ----------
    outcomes : of this cycle, in any order; repeated ids count once
    earliest_read_at : UTC ms of the first bar that the cycle's fit and validation segments read
    asked : what came of each question to a language model, in order of the candidates

    Notes
    -----
    Reads validation only. With the same arguments the result has the same hash on every machine of
    a kind.
    """
    settings = settings or EvolveSettings()
    unique = {outcome.strategy_id: outcome for outcome in outcomes}
    ordered = [unique[strategy_id] for strategy_id in sorted(unique)]
    fitness = np.array([outcome.fitness for outcome in ordered], dtype=np.float64)
    patterns = updated_patterns(
        state.patterns,
        (outcome.genome for outcome in ordered),
        rank_rewards(fitness),
        settings.pattern_decay,
    )
    read_at = [at for at in (state.earliest_read_at, earliest_read_at) if at is not None]
    return LearnedState(
        population=updated_population(state, ordered, settings),
        patterns=MappingProxyType(patterns),
        priors=MappingProxyType(updated_priors(state.priors, find_insights(ordered))),
        arms=MappingProxyType(updated_arms(state.arms, asked, settings.arm_decay)),
        n_cycles=state.n_cycles + 1,
        n_outcomes=state.n_outcomes + len(ordered),
        n_backtests=state.n_backtests + sum(outcome.n_backtests for outcome in ordered),
        earliest_read_at=min(read_at) if read_at else None,
        parent_hash=state.hash,
    )


def learn_arms(
    state: LearnedState,
    asked: Sequence[ArmOutcome],
    settings: EvolveSettings,
    *,
    earliest_read_at: int,
) -> LearnedState:
    """Return the state with nothing learned but what prompts and models are worth.

    A few versions of one strategy say nothing about the pool; nobody asked leaves it as it is.
    """
    if not asked:
        return state
    arms = MappingProxyType(updated_arms(state.arms, asked, settings.arm_decay))
    read_at = min(at for at in (state.earliest_read_at, earliest_read_at) if at is not None)
    return replace(state, arms=arms, earliest_read_at=read_at, parent_hash=state.hash)
