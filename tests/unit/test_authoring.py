"""What is asked where, which prompt is chosen, what is new, and when evolving one strategy ends."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.evolution import Moves, replacement
from engine.backtest.run import BacktestSettings, Trade
from engine.errors import UsageError
from engine.evolve.analysis import Analysis, analyse
from engine.evolve.arms import (
    Arm,
    ArmOutcome,
    author_generator,
    choose_arm,
    reward_of,
    updated_arms,
)
from engine.evolve.draws import Draws
from engine.evolve.judge import Judge
from engine.evolve.learn import learn, learn_arms
from engine.evolve.learned_state import LearnedState, Member, PatternStatistic
from engine.evolve.novelty import likeness, nearest, positions_held
from engine.evolve.order import Subject, order_for, owed_places
from engine.evolve.prompts import PROMPTS
from engine.evolve.random_genome import draw_genome
from engine.evolve.rounds import (
    Evolution,
    Trial,
    improvement,
    next_round,
    read_evolution,
    round_outcome,
)
from engine.evolve.universe import EvolveSettings, Universe
from engine.strategy.library import LIBRARY, library_genome
from engine.strategy.written import written_document
from engine.types import Status
from engine.validate.genome_check import GenomeLimits
from tests.language_author import module_text

UNIVERSE = Universe.of("1h", "perp", ("1h", "4h"))
ARMS = [Arm(prompt, model) for prompt in PROMPTS[:2] for model in ("a", "b")]

# Places


@given(st.integers(0, 600), st.integers(0, 20), st.floats(0, 1))
def test_the_share_is_kept_to_the_candidate(count: int, first: int, share: float) -> None:
    places = owed_places(count, first, share)
    assert len(places) == min(max(0, count - first), round(count * share))
    assert len(set(places)) == len(places)
    assert all(first <= place < count for place in places)


def test_a_fifth_of_five_hundred_is_a_hundred_evenly_spread() -> None:
    places = owed_places(500, 4, 0.2)
    assert len(places) == 100
    assert max(b - a for a, b in pairwise(places)) == 5


# Orders


def test_an_order_is_the_same_whenever_asked() -> None:
    state = LearnedState.empty()
    asked = [order_for(7, index, state, UNIVERSE, ("a", "b")) for index in range(40)]
    assert asked == [order_for(7, index, state, UNIVERSE, ("a", "b")) for index in range(40)]
    assert {order.arm.model for order in asked} == {"a", "b"}
    assert len({order.type for order in asked}) > 3


def test_without_a_pool_nothing_is_improved_and_no_evidence_named() -> None:
    asked = [order_for(7, i, LearnedState.empty(), UNIVERSE, ("a",)) for i in range(60)]
    assert {order.arm.prompt.name for order in asked} == {"plain", "script"}
    assert all(order.parent_id is None for order in asked)


def test_with_a_pool_members_are_improved_and_evidence_is_told_as_material() -> None:
    genomes = [draw_genome(Draws.keyed(1, n), UNIVERSE) for n in range(6)]
    members = tuple(
        Member(genome.id, genome.canonical_json(), 1.0 - n, 0.5 - n, 0, 1, "3|1")
        for n, genome in enumerate(genomes)
    )
    patterns = {f"stop={n}": PatternStatistic(10.0, 1.0 + n, 1.0) for n in range(30)}
    state = LearnedState(population=members, patterns=patterns, n_cycles=1)
    asked = [order_for(7, index, state, UNIVERSE, ("a",)) for index in range(80)]
    names = {order.arm.prompt.name for order in asked}
    assert names == {"plain", "evidence", "script", "improve"}
    improving = [order for order in asked if order.arm.prompt.needs_parent]
    assert {order.parent_id for order in improving} <= {member.strategy_id for member in members}
    assert all(order.generation == 1 for order in improving)
    words = next(o for o in asked if o.arm.prompt.has_evidence).messages[1].content
    assert "[[DATA pool" in words
    assert words.index("2.90 stop=28") < words.index("did badly") < words.index("0.10 stop=0")


@pytest.mark.parametrize("form", ["genome", "script"])
def test_a_subject_is_improved_in_its_own_form_with_what_is_known_of_it(form: str) -> None:
    genome = library_genome(next(iter(LIBRARY)), "1h", "perp")
    document = genome.canonical_json() if form == "genome" else written_document(module_text(1))
    subject = Subject(
        "a" * 32,
        document,
        "momentum",
        3,
        Analysis(weaknesses=("loses on Mondays",)),
        (Trial("b" * 32, 1, 1.25), Trial("c" * 32, 2, None)),
    )
    order = order_for(1, 1, LearnedState.empty(), UNIVERSE, ("a",), subject)
    words = order.messages[1].content
    assert order.arm.prompt.form == form
    assert (order.parent_id, order.generation) == ("a" * 32, 4)
    assert "loses on Mondays" in words
    assert "bbbbbbbb in round 1: Sharpe 1.25" in words
    assert "cccccccc in round 2: refused" in words
    assert ("export function decide" if form == "script" else '"long_entry"') in words


# Arms


def test_the_better_arm_is_asked_more_and_the_other_still_sometimes() -> None:
    told = [ArmOutcome(ARMS[0].label, 1.5)] * 12 + [ArmOutcome(ARMS[1].label, -1.5)] * 12
    known = updated_arms({}, told, 0.95)
    chosen = Counter(
        choose_arm(ARMS[:2], known, author_generator(5, index)).label for index in range(300)
    )
    assert chosen[ARMS[0].label] > 280
    few = updated_arms({}, told[11:13], 0.95)
    chosen = Counter(choose_arm(ARMS[:2], few, author_generator(5, i)).label for i in range(300))
    assert 150 < chosen[ARMS[0].label] < 300


def test_a_bandit_finds_the_best_of_four_arms() -> None:
    gains = dict(zip((arm.label for arm in ARMS), (-0.4, 0.1, 0.9, -0.1), strict=True))
    known = updated_arms({}, [], 0.95)
    picks: list[str] = []
    for cycle in range(30):
        told = []
        for index in range(10):
            generator = author_generator(cycle, index)
            label = choose_arm(ARMS, known, generator).label
            told.append(ArmOutcome(label, gains[label] + 0.5 * generator.standard_normal()))
            picks.append(label)
        known = updated_arms(known, told, 0.95)
    best = ARMS[2].label
    assert picks[-100:].count(best) > 60
    assert picks[-100:].count(best) > picks[:100].count(best)


def test_rewards_lie_between_nought_and_one_and_refusal_earns_nothing() -> None:
    assert reward_of(math.nan) == 0.0
    assert reward_of(0.0) == 0.5
    assert reward_of(-1e9) == 0.0
    assert reward_of(1e9) == 1.0
    rewards = [reward_of(gain) for gain in (-1.0, -0.1, 0.1, 1.0)]
    assert rewards == sorted(rewards)


def test_evidence_of_arms_decays() -> None:
    known = updated_arms({}, [ArmOutcome("x", 0.0)], 0.5)
    later = updated_arms(known, [ArmOutcome("y", 0.0)], 0.5)
    assert (later["x"].weight, later["y"].weight) == (0.5, 1.0)
    assert updated_arms(known, [], 0.5) == known


def test_arms_belong_to_the_learned_state_and_to_its_hash() -> None:
    empty = LearnedState.empty()
    taught = learn_arms(empty, [ArmOutcome("x", 0.2)], EvolveSettings(), earliest_read_at=5)
    assert taught.hash != empty.hash
    assert LearnedState.from_json(taught.canonical_json()).arms == taught.arms
    assert (taught.n_cycles, taught.earliest_read_at, taught.parent_hash) == (0, 5, empty.hash)
    assert learn_arms(empty, [], EvolveSettings(), earliest_read_at=5) is empty
    assert learn(taught, []).arms == taught.arms
    assert "arms" not in learn(empty, []).canonical_json()


# Novelty


def a_trade(entry: int, stop: int | None, side: int = 1, net: float = 0.01) -> Trade:
    return Trade(side, entry, 100.0, stop, 101.0, "target", 1.0, net * 100, net, 100.0)


def test_positions_are_read_off_trades() -> None:
    held = positions_held([a_trade(1, 3), a_trade(4, 4, -1), a_trade(6, None)], 8)
    assert held.tolist() == [0, 1, 1, 0, -1, 0, 1, 1]


def test_likeness_is_undefined_for_who_never_trades() -> None:
    held, none = np.array([0.0, 1.0, 0.0, 1.0]), np.zeros(4)
    assert math.isnan(likeness(held, none))
    assert likeness(held, held) == pytest.approx(1.0)
    assert likeness(held, -held) == pytest.approx(-1.0)
    assert nearest(held, {"a": none, "b": -held, "c": held})[0] == "c"
    assert nearest(held, {})[0] == ""


def test_the_judge_refuses_what_is_known_alike_or_unchanged() -> None:
    genome = library_genome("ema_trend", "1h", "perp")
    judge = Judge(GenomeLimits("1h", "perp", 2_000), BacktestSettings(), 0.95)
    assert judge.judge("genome", genome.canonical_json(), "stop").is_accepted
    judge.know({genome.id: genome})

    def codes(text: str, parent_id: str | None = None) -> list[str]:
        return [f.code for f in judge.judge("genome", text, "stop", parent_id).findings]

    assert codes(genome.canonical_json()) == ["novelty.known"]
    renamed = genome.with_changes(type="momentum").canonical_json()
    assert codes(renamed) == ["novelty.alike"]
    assert codes(renamed, genome.id) == ["novelty.unchanged"]
    wider = genome.exits.model_copy(update={"stop_frac": 0.035, "target_frac": 0.02})
    assert codes(genome.with_changes(exits=wider).canonical_json(), genome.id) == []
    other = library_genome("bollinger_reversion", "1h", "perp")
    assert codes(other.canonical_json()) == []
    assert codes(library_genome("ema_trend", "4h", "perp").canonical_json()) == ["market.timeframe"]


def test_the_judge_runs_modules_in_a_sandbox_and_names_what_is_wrong() -> None:
    judge = Judge(GenomeLimits("1h", "perp", 2_000), BacktestSettings(), 0.95)
    good = judge.judge("script", module_text(4), "stop")
    assert good.is_accepted
    assert (good.type, good.direction, good.name) == ("momentum", "long", "Distance from a mean")
    endless = module_text(4).replace("let mean = 0;", "while (true) {}\n  let mean = 0;")
    assert not judge.judge("script", endless, "stop").is_accepted
    clock = module_text(4).replace("const n =", "const now = Date.now(); const n =")
    found = judge.judge("script", clock, "stop")
    assert any("Date" in finding.message for finding in found.findings)
    assert all(finding.line for finding in found.findings)


# Analysis


def metrics(**changes: float) -> dict[str, float]:
    base = {"sharpe": 1.2, "total_return": 0.1, "n_trades": 40.0, "max_drawdown": 0.05}
    return {**base, "win_rate": 0.6, "profit_factor": 1.5, **changes}


def test_an_analysis_says_what_is_good_and_what_is_bad_with_numbers() -> None:
    good = analyse({"A": metrics()}, {"A": metrics()}, {"A": []}, {})
    assert good.weaknesses == ()
    assert any("Sharpe 1.20" in words for words in good.strengths)
    bad = metrics(sharpe=0.1, total_return=-0.2, n_trades=2, max_drawdown=0.4, win_rate=0.2)
    trades = [a_trade(i, i + 3, -1, -0.01 * (i % 4)) for i in range(10)]
    found = analyse(
        {"A": metrics(sharpe=3.0), "B": metrics()},
        {"A": bad, "B": metrics()},
        {"A": trades, "B": []},
        {"indicator=rsi": 1.8, "stop=0.02": 0.6, "hold=4": 1.01},
    )
    text = found.as_text()
    for words in ("loses on A", "short trades lose", "10 of 10 trades end by target", "rsi 1.80"):
        assert words in text
    assert len(found.areas) == len(found.weaknesses) > 2
    assert [trade.net_return for trade in found.worst] == sorted(t.net_return for t in found.worst)
    assert found.hints[0][0] == "indicator=rsi"


def test_an_analysis_of_nothing_is_no_error() -> None:
    nan = {name: math.nan for name in metrics()}
    found = analyse({"A": nan}, {"A": nan}, {"A": []}, {})
    assert found.numbers == {}
    assert "nan trades" in found.as_text()


# Rounds


def evolution(**changes: object) -> Evolution:
    values = {"root": "r", "parent": "r", "rounds": 10, **changes}
    return Evolution(**values)  # type: ignore[arg-type]


def outcome(state: Evolution, old: float | None, *sharpes: float | None) -> tuple[str, str | None]:
    children = [Trial(f"c{i}", state.round, sharpe) for i, sharpe in enumerate(sharpes)]
    found = round_outcome(state, old, children, converged_frac=0.02, replace_frac=0.10)
    return found.best, found.ending


def test_improvement_is_measured_against_one_at_least() -> None:
    assert improvement(2.2, 2.0) == pytest.approx(0.1)
    assert improvement(0.3, 0.2) == pytest.approx(0.1)
    assert improvement(-1.8, -2.0) == pytest.approx(0.1)


def test_a_round_ends_by_threshold_convergence_or_number() -> None:
    assert outcome(evolution(), 2.0, 1.0, 2.2) == ("c1", "replaced")
    assert outcome(evolution(), 2.0, 2.03) == ("c0", "converged")
    assert outcome(evolution(), 2.0, 1.0, None) == ("r", "converged")
    assert outcome(evolution(), 2.0, 2.1) == ("c0", None)
    assert outcome(evolution(rounds=1), 2.0, 2.1) == ("c0", "rounds")
    # Steps add up: what counts for taking the place is the way from the root.
    later = evolution(parent="p", round=3, root_sharpe=2.0)
    assert outcome(later, 2.15, 2.2) == ("c0", "replaced")
    assert outcome(evolution(), None, 0.2) == ("c0", "replaced")


def test_the_next_round_starts_from_the_best_and_remembers() -> None:
    state = evolution()
    children = [Trial("c0", 1, 2.1), Trial("c1", 1, None)]
    found = round_outcome(state, 2.0, children, converged_frac=0.02, replace_frac=0.1)
    following = next_round(state, found, children)
    assert (following.parent, following.round, following.root_sharpe) == ("c0", 2, 2.0)
    assert following.tried == tuple(children)
    assert read_evolution({**following.as_json(), "outcome": {"ending": None}}) == following


@pytest.mark.parametrize(
    "given",
    [
        None,
        3,
        {},
        {"root": 1, "parent": "a", "rounds": 1},
        {"root": "a", "parent": "a", "rounds": 0},
        {"root": "a", "parent": "a", "rounds": 1, "speed": 2},
    ],
)
def test_what_is_no_evolution_is_refused(given: object) -> None:
    with pytest.raises(UsageError):
        read_evolution(given)


def test_a_better_version_never_trades_where_its_parent_does_not() -> None:
    for root in Status:
        for child in Status:
            for is_module in (False, True):
                moves = replacement(root, child, is_module=is_module)
                assert moves.child in (None, Status.PAPER)
                assert moves.root in (None, Status.RETIRED)
                if moves.child is Status.PAPER:
                    assert child is Status.SCREENED
                    assert root in (Status.PAPER, Status.LIVE)
                    assert not is_module
                if root is Status.LIVE:
                    assert moves.root is None
    paper = replacement(Status.PAPER, Status.SCREENED, is_module=False)
    assert paper == Moves(Status.RETIRED, Status.PAPER)
    assert replacement(Status.SCREENED, Status.GENERATED, is_module=False).root is Status.RETIRED
    assert replacement(Status.PAPER, Status.SCREENED, is_module=True).note
