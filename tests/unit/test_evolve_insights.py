from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from engine.evolve.draws import Draws, keyed_generator
from engine.evolve.features import genome_features
from engine.evolve.insights import Insight, benjamini_hochberg, find_insights
from engine.evolve.learn import learn
from engine.evolve.learned_state import LearnedState
from engine.evolve.outcomes import Outcome
from engine.evolve.priors import Biased, updated_priors
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.strategy.genome import Genome
from engine.strategy.library import library_genome

UNIVERSE = Universe("5m", "perp", ("1h",))


def genomes(n_genomes: int) -> list[Genome]:
    return [draw_genome(Draws.keyed(6, i), UNIVERSE) for i in range(n_genomes)]


def noise(i: int) -> float:
    return float(np.random.default_rng(i).standard_normal())


def by_subject(insights: list[Insight], kind: str) -> dict[str, Insight]:
    return {insight.subject: insight for insight in insights if insight.kind == kind}


def test_benjamini_hochberg_matches_the_published_example() -> None:
    # Benjamini and Hochberg (1995), table of 15 p values: four are kept at 5 %.
    p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip
    q_values = benjamini_hochberg(p_values[::-1])[::-1]
    assert sum(q <= 0.05 for q in q_values) == 4
    assert q_values[3] == pytest.approx(0.0095 * 15 / 4)
    assert q_values == sorted(q_values)
    assert benjamini_hochberg([]) == []


def test_a_planted_effect_is_found_in_every_kind_of_insight() -> None:
    results = []
    for i, genome in enumerate(genomes(900)):
        features = genome_features(genome)
        good = features.numbers["stop"] * 40 + 1.5 * ("indicator=roc" in features.traits)
        results.append(Outcome(genome, good + 0.5 * noise(i)))
    insights = find_insights(results)
    assert by_subject(insights, "correlation")["stop"].value > 0.4
    assert by_subject(insights, "correlation")["stop"].is_significant
    segments = by_subject(insights, "segment")["stop"].payload["segments"]
    ranks = [segment["mean_rank"] for segment in segments]
    assert ranks == sorted(ranks)
    best = by_subject(insights, "range")["stop"]
    assert best.is_significant
    assert best.payload["high"] == 0.06
    assert best.payload["low"] > 0.01
    ranking = [insight for insight in insights if insight.kind == "indicator"]
    assert (ranking[0].subject, ranking[0].is_significant) == ("roc", True)
    assert ranking[0].value > 0.2


def test_noise_yields_hardly_any_significant_insight() -> None:
    found = 0
    tested = 0
    for seed in range(5):
        results = [Outcome(g, noise(1000 * seed + i)) for i, g in enumerate(genomes(400))]
        insights = find_insights(results)
        tested += len(insights)
        found += sum(insight.is_significant for insight in insights)
    assert tested > 300
    # Four corrected families in each of five trials: one false family in twenty is expected.
    assert found / tested < 0.02


def test_undefined_fitness_counts_as_the_worst() -> None:
    results = []
    for i, genome in enumerate(genomes(400)):
        is_bad = genome.exits.target_frac is None
        results.append(Outcome(genome, math.nan if is_bad else noise(i)))
    correlation = by_subject(find_insights(results), "correlation")["has_target"]
    assert correlation.value > 0.5


def test_few_outcomes_yield_no_insight() -> None:
    assert find_insights([Outcome(g, noise(i)) for i, g in enumerate(genomes(39))]) == []


def test_equal_outcomes_yield_nothing_significant() -> None:
    insights = find_insights([Outcome(g, 1.0) for g in genomes(100)])
    assert not any(insight.is_significant for insight in insights)


def test_insights_do_not_depend_on_the_order_of_outcomes() -> None:
    results = [Outcome(g, noise(i)) for i, g in enumerate(genomes(200))]
    assert find_insights(results) == find_insights(results[::-1])


def test_features_of_a_library_strategy() -> None:
    features = genome_features(library_genome("momentum_breakout", "5m"))
    assert features.numbers["target"] == 0.03
    assert "hold" not in features.numbers
    assert {"type=breakout", "has_target", "has_exit", "indicator=donchian"} <= features.traits
    assert features.parameters["volume_ratio.length"] == 20.0


def significant(kind: str, subject: str, value: float, **payload: object) -> Insight:
    return Insight(kind, subject, value, 1e-6, {"is_significant": True, **payload})  # type: ignore[arg-type]


def test_insights_become_mild_priors_and_fade() -> None:
    insights = [
        significant("indicator", "rsi", 0.2),
        significant("indicator", "cci", -5.0),
        significant("range", "hold", 0.1, low=20, high=50),
        significant("range", "rsi.length", 0.1, low=9.0, high=14.0),
        Insight("indicator", "ema", 0.3, 0.5, {"is_significant": False}),
    ]
    priors = updated_priors({}, insights)
    assert priors["indicator=rsi"] == pytest.approx(math.exp(0.2))
    assert priors["indicator=cci"] == pytest.approx(math.sqrt(0.5))
    assert {"hold=24", "hold=48", "rsi.length=10"} <= set(priors)
    assert not {"hold=12", "rsi.length=20", "indicator=ema"} & set(priors)
    for _ in range(10):
        priors = updated_priors(priors, [])
    assert priors == {}


def test_biased_draws_prefer_without_excluding() -> None:
    biased = Biased(keyed_generator(1, 1, 1), {"hold=48": 2.0, "indicator=rsi": 0.5})
    holds = Counter(biased.choose("hold", (12, 24, 48)) for _ in range(4000))
    assert holds[48] == pytest.approx(2000, abs=150)
    assert holds[12] == pytest.approx(1000, abs=120)
    shapes = ("rsi.value < level", "cci.value < level", "close > ema.value")
    entries = Counter(biased.choose("entry", shapes) for _ in range(4000))
    assert entries["rsi.value < level"] == pytest.approx(800, abs=120)


def test_learning_turns_a_planted_effect_into_priors() -> None:
    results = [
        Outcome(g, 40 * g.exits.stop_frac + 0.3 * noise(i)) for i, g in enumerate(genomes(600))
    ]
    state = learn(LearnedState.empty(), results)
    assert state.priors["stop=0.06"] > 1.1
    assert "stop=0.005" not in state.priors
