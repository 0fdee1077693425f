"""The genetic pool: who stays, and who becomes a parent.

The pool is rebuilt after every cycle from itself and the cycle's outcomes. The elite stays whatever
its age; the rest is filled from the best down, with at most a few of a family (same entry
conditions up to parameters) and of a niche (holding time and exposure), so that one lucky strategy
does not become the whole pool.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from engine.evolve.draws import Draws
from engine.evolve.learned_state import LearnedState, Member
from engine.evolve.mirror import condition_shape, long_entries
from engine.evolve.outcomes import Outcome
from engine.evolve.universe import EvolveSettings
from engine.strategy.genome import Genome

TOURNAMENT = 3
LEAST_PARENTS = 4
MAX_AGE_CYCLES = 10
FAMILY_MAX = 4
NICHE_SHARE = 0.3


def niche(average_trade_bars: float, exposure: float) -> str:
    """Return the behaviour cell of a strategy: holding time in octaves, exposure in fifths.

    Parameters
    ----------
    average_trade_bars : mean length of a trade in bars, >= 0 or NaN
    exposure : share of bars in a position, in [0, 1] or NaN
    """
    octave = int(math.log2(max(average_trade_bars, 1.0))) if average_trade_bars > 0 else 0
    fifth = min(int(exposure * 5.0), 4) if exposure > 0 else 0
    return f"{octave}|{fifth}"


def family(genome: Genome) -> str:
    """Return what near-duplicates share: the sides and the shapes of the entry conditions."""
    shapes = sorted({condition_shape(condition) for condition in long_entries(genome)})
    return f"{genome.timeframe} {genome.direction} {' & '.join(shapes)}"


def updated_population(
    state: LearnedState, outcomes: Sequence[Outcome], settings: EvolveSettings
) -> tuple[Member, ...]:
    """Return the next pool, best first; outcomes without a fitness stay out.

    Parameters
    ----------
    outcomes : unique by id and in id order
    """
    cycle = state.n_cycles + 1
    known = {member.strategy_id for member in state.population}
    by_timeframe: dict[str, list[Member | Outcome]] = {}
    for member in state.population:
        by_timeframe.setdefault(member.genome.timeframe, []).append(member)
    for outcome in outcomes:
        if math.isfinite(outcome.fitness) and outcome.strategy_id not in known:
            by_timeframe.setdefault(outcome.genome.timeframe, []).append(outcome)
    kept: list[Member] = []
    for timeframe in sorted(by_timeframe):
        kept.extend(_survivors(sorted(by_timeframe[timeframe], key=_rank), cycle, settings))
    return tuple(sorted(kept, key=_rank))


def _rank(entry: Member | Outcome) -> tuple[float, str]:
    return -entry.standing, entry.strategy_id


def parents_for(state: LearnedState, timeframe: str) -> tuple[Member, ...]:
    """Return the members of a timeframe, best first; none when they are too few to breed."""
    members = state.members_of(timeframe)
    return members if len(members) >= LEAST_PARENTS else ()


def select_parent(members: Sequence[Member], draws: Draws) -> Member:
    """Return the best of `TOURNAMENT` members drawn at random; `members` are best first."""
    return members[min(draws.below(len(members)) for _ in range(TOURNAMENT))]


def _member(outcome: Outcome, cycle: int) -> Member:
    metrics = outcome.metrics
    return Member(
        strategy_id=outcome.strategy_id,
        genome_json=outcome.genome.canonical_json(),
        fitness=outcome.fitness,
        standing=outcome.standing,
        generation=outcome.generation,
        cycle=cycle,
        niche=niche(metrics.get("average_trade_bars", math.nan), metrics.get("exposure", math.nan)),
    )


def _survivors(
    ranked: list[Member | Outcome], cycle: int, settings: EvolveSettings
) -> list[Member]:
    """Return the pool of one timeframe from entries sorted best first."""
    kept: list[Member] = []
    crowded: list[Member] = []
    families: Counter[str] = Counter()
    niches: Counter[str] = Counter()
    seen: set[tuple[float, float]] = set()
    niche_max = max(1, int(settings.population * NICHE_SHARE))
    for entry in ranked:
        if len(kept) == settings.population:
            break
        is_elite = len(kept) < settings.elite
        is_old = isinstance(entry, Member) and cycle - entry.cycle >= MAX_AGE_CYCLES
        result = (entry.fitness, entry.standing)
        # Equal results to the last bit mean equal trades: a gene that changed nothing.
        if result in seen or (is_old and not is_elite):
            continue
        seen.add(result)
        own_family = family(entry.genome)
        is_crowded = families[own_family] >= FAMILY_MAX
        if is_crowded and len(crowded) >= settings.population:
            continue
        member = entry if isinstance(entry, Member) else _member(entry, cycle)
        if is_crowded or (not is_elite and niches[member.niche] >= niche_max):
            crowded.append(member)
            continue
        families[own_family] += 1
        niches[member.niche] += 1
        kept.append(member)
    return [*kept, *crowded[: settings.population - len(kept)]]
