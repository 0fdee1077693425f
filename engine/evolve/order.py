"""What a language model is asked for at one place of a cycle: a value, the same whenever asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.evolve.analysis import Analysis
from engine.evolve.arms import Arm, author_generator, choose_arm
from engine.evolve.draws import Draws
from engine.evolve.language_model import Message
from engine.evolve.learned_state import LearnedState, Member, PatternStatistic
from engine.evolve.population import parents_for, select_parent
from engine.evolve.prompts import PROMPTS, Brief, Prompt, first_messages
from engine.evolve.rounds import Trial
from engine.evolve.universe import Universe
from engine.evolve.vocabulary import DRAWN_TYPES
from engine.strategy.written import is_written, module_of

LEAST_WEIGHT = 5.0
N_GOOD, N_BAD = 16, 10
N_TRIED = 30
_EVIDENCE = "evidence of the pool"

Material = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Subject:
    """The one strategy that an evolution improves.

    Attributes
    ----------
    document : a genome's canonical JSON or a module's document
    generation : its own
    tried : versions of earlier rounds
    """

    strategy_id: str
    document: str
    type: str
    generation: int
    analysis: Analysis
    tried: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """One question to one model.

    Attributes
    ----------
    type : of the strategy asked for
    parent_id : of the strategy to improve, None without one
    generation : of the child
    """

    index: int
    arm: Arm
    type: str
    messages: tuple[Message, ...]
    parent_id: str | None = None
    generation: int = 0


def owed_places(count: int, first: int, share: float) -> tuple[int, ...]:
    """Return which places of a cycle the language model fills, evenly among the others.

    Parameters
    ----------
    count : candidates of the cycle
    first : places below it are taken
    share : of all candidates, in [0, 1]
    """
    room = max(0, count - first)
    wanted = min(room, round(count * share))
    if not wanted:
        return ()
    return tuple(first + k for k in range(room) if (k + 1) * wanted // room > k * wanted // room)


def order_for(
    cycle_seed: int,
    index: int,
    state: LearnedState,
    universe: Universe,
    models: Sequence[str],
    subject: Subject | None = None,
) -> Order:
    """Return what is asked for at `index`: arm, type, parent and words.

    Parameters
    ----------
    state : what was learned before the cycle, frozen at its start
    subject : the strategy to improve; None asks for new ones
    """
    generator = author_generator(cycle_seed, index)
    members = parents_for(state, universe.timeframe)
    prompts = _prompts(state, members, subject)
    arm = choose_arm([Arm(p, m) for p in prompts for m in models], state.arms, generator)
    draws = Draws(generator)
    kind = draws.pick(DRAWN_TYPES).value
    if subject is not None:
        return _order(
            index,
            arm,
            subject.type or kind,
            universe,
            _subject_material(subject),
            parent_id=subject.strategy_id,
            generation=subject.generation + 1,
        )
    if arm.prompt.needs_parent:
        member = select_parent(members, draws)
        return _order(
            index,
            arm,
            member.genome.type.value,
            universe,
            [*_member_material(member), ("pool", _evidence(state))],
            parent_id=member.strategy_id,
            generation=member.generation + 1,
        )
    material = [("pool", _evidence(state))] if arm.prompt.has_evidence else []
    return _order(index, arm, kind, universe, material)


def _order(
    index: int,
    arm: Arm,
    kind: str,
    universe: Universe,
    material: Sequence[tuple[str, str]],
    parent_id: str | None = None,
    generation: int = 0,
) -> Order:
    brief = Brief(
        kind,
        universe.timeframe,
        universe.market_type,
        universe.higher_timeframes,
        universe.symbols,
    )
    messages = first_messages(arm.prompt, brief, material)
    return Order(index, arm, kind, messages, parent_id, generation)


def _prompts(
    state: LearnedState, members: Sequence[Member], subject: Subject | None
) -> list[Prompt]:
    if subject is not None:
        form = "script" if is_written(subject.document) else "genome"
        return [p for p in PROMPTS if p.needs_parent and p.form == form]
    return [
        p
        for p in PROMPTS
        if (p.form == "genome" or not p.needs_parent)
        and (not p.needs_parent or members)
        and (not p.has_evidence or state.patterns)
    ]


def _subject_material(subject: Subject) -> Material:
    document = subject.document
    text = module_of(document) if is_written(document) else document
    tried = [
        f"{trial.id[:8]} in round {trial.round}: "
        + ("refused or hardly traded" if trial.sharpe is None else f"Sharpe {trial.sharpe:.2f}")
        for trial in subject.tried[-N_TRIED:]
    ]
    lineage = [("tried before", "\n".join(tried))] if tried else []
    return [("strategy", text), ("analysis", subject.analysis.as_text()), *lineage]


def _member_material(member: Member) -> Material:
    measured = (
        f"fitness {member.fitness:.4f} on validation, {member.standing:.4f} on the weaker segment\n"
        f"holding time and exposure {member.niche}"
    )
    return [("strategy", member.genome_json), ("measured", measured)]


def _evidence(state: LearnedState) -> str:
    """Return the choices with the highest and lowest mean rank of their strategies."""
    known: str | None = state.memo.get(_EVIDENCE)
    if known is None:
        known = state.memo[_EVIDENCE] = _evidence_of(state.patterns)
    return known


def _evidence_of(patterns: Mapping[str, PatternStatistic]) -> str:
    seen = [(name, s) for name, s in patterns.items() if s.weight >= LEAST_WEIGHT]
    ranked = sorted(seen, key=lambda item: (-item[1].mean, item[0]))
    good, bad = ranked[:N_GOOD], ranked[N_GOOD:][-N_BAD:]
    lines = ["did well (mean rank of 1):", *(f"{s.mean:.2f} {name}" for name, s in good)]
    if bad:
        lines += ["did badly:", *(f"{s.mean:.2f} {name}" for name, s in bad)]
    return "\n".join(lines)
