from __future__ import annotations

import pytest

from engine.errors import UsageError
from engine.strategy.genome import Condition, Direction, Genome, StrategyType
from engine.strategy.library import LIBRARY, library_genome


def keys(conditions: tuple[Condition, ...]) -> list[str]:
    return [condition.key for condition in conditions]


def test_momentum_breakout_has_the_numbers_of_the_library() -> None:
    genome = library_genome("momentum_breakout", "5m")
    assert genome.type is StrategyType.BREAKOUT
    assert keys(genome.long_entry) == ["close > donchian(20).prior_upper"]
    assert keys(genome.filters) == ["volume_ratio(20).value > 1.5"]
    assert keys(genome.exits.long_conditions) == ["close < donchian(10).prior_lower"]
    assert (genome.exits.stop_frac, genome.exits.target_frac) == (0.02, 0.03)


def test_plain_momentum_asks_for_two_percent_over_fourteen_bars() -> None:
    genome = library_genome("momentum", "1h")
    assert genome.type is StrategyType.MOMENTUM
    assert keys(genome.long_entry) == ["roc(14).value > 2.0"]
    assert (genome.exits.stop_frac, genome.exits.target_frac) == (0.02, 0.06)


def test_bollinger_reversion_leaves_at_the_middle_band() -> None:
    genome = library_genome("bollinger_reversion", "15m")
    assert genome.type is StrategyType.MEAN_REVERSION
    assert keys(genome.long_entry) == ["close < bollinger(20,2).lower", "rsi(14).value < 30.0"]
    assert genome.needed(2) == 2
    assert keys(genome.exits.long_conditions) == ["close > bollinger(20,2).middle"]


def test_ema_trend_follows_the_12_26_crossing() -> None:
    genome = library_genome("ema_trend", "4h")
    assert genome.type is StrategyType.TREND_FOLLOWING
    assert keys(genome.long_entry) == ["ema(12).value crosses_above ema(26).value"]
    assert keys(genome.exits.long_conditions) == ["ema(12).value crosses_below ema(26).value"]


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize("market_type", ["spot", "perp"])
@pytest.mark.parametrize("timeframe", ["5m", "1h"])
def test_library_genomes_are_valid_everywhere(name: str, market_type: str, timeframe: str) -> None:
    genome = library_genome(name, timeframe, market_type)
    assert genome.timeframe == timeframe
    assert genome.direction is Direction.LONG
    assert genome.risk.leverage == 1.0
    assert Genome.from_json(genome.canonical_json()).id == genome.id


def test_unknown_library_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'grid'.*momentum_breakout, momentum,"):
        library_genome("grid", "5m")
    with pytest.raises(UsageError, match="'margin' is neither spot nor perp"):
        library_genome("momentum", "5m", "margin")
