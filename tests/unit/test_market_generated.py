from __future__ import annotations

import numpy as np
import pytest

from engine.errors import DataError, UsageError
from engine.market.bars import check_bars, gaps
from engine.market.edges import describe_edge
from engine.market.generated import (
    GENERATED_END_AT,
    GENERATED_START_AT,
    generate_bars,
    symbol_character,
)
from engine.market.resampling import resample
from engine.types import MS_PER_DAY, Bars, FloatArray, SeriesKey

COST_FRAC = 0.0015


def log_returns(bars: Bars) -> FloatArray:
    returns: FloatArray = np.diff(np.log(bars.close))
    return returns


def correlation(left: FloatArray, right: FloatArray) -> float:
    return float(np.corrcoef(left, right)[0, 1])


def excess_kurtosis(values: FloatArray) -> float:
    centred = values - values.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2 - 3)


def trend_rule_sharpe(bars: Bars, sign: int, span_bars: int = 24, band_frac: float = 0.01) -> float:
    """Annual Sharpe after costs: side with (or against) the distance from an hourly average."""
    hourly = resample(bars.slice(len(bars) - 365 * 288, len(bars)), "5m", "1h")
    average, position, weight = hourly.close[0], 0, 2 / (span_bars + 1)
    held = np.zeros(len(hourly))
    for i, close in enumerate(hourly.close):
        held[i] = position
        average += weight * (close - average)
        distance = sign * (close / average - 1)
        if abs(distance) > band_frac:
            position = 1 if distance > 0 else -1
    moves = np.append(hourly.open[1:], hourly.close[-1]) / hourly.open - 1
    net = held * moves - COST_FRAC * np.abs(np.diff(held, prepend=0))
    return float(net.mean() / net.std() * np.sqrt(8760))


def mean_sharpe(kind: str, strength: float, sign: int) -> float:
    return float(
        np.mean(
            [
                trend_rule_sharpe(generate_bars(symbol, seed, kind, strength), sign)
                for symbol in ("BTC/USDT", "SOL/USDT")
                for seed in (1, 2, 3)
            ]
        )
    )


@pytest.mark.parametrize("symbol", ["BTC/USDT", "DOGE/USDT", "NEWCOIN/EUR"])
def test_every_symbol_gives_sound_bars_without_gaps(symbol: str) -> None:
    bars = generate_bars(symbol, 7)
    check_bars(bars, SeriesKey("generated", symbol, "5m"), "here")
    assert gaps(bars, "5m", GENERATED_START_AT, GENERATED_END_AT) == []
    assert len(bars) == 730 * 288
    assert bars.open[0] == pytest.approx(symbol_character(symbol).price_quote, rel=1e-5)


def test_same_seed_gives_the_same_bars_and_another_seed_others() -> None:
    bars = generate_bars("BTC/USDT", 7)
    assert bars.content_hash() == generate_bars("BTC/USDT", 7).content_hash()
    assert bars.content_hash() != generate_bars("BTC/USDT", 8).content_hash()
    assert bars.content_hash() != generate_bars("ETH/USDT", 7).content_hash()


def test_same_instants_give_the_same_bars_whatever_the_end() -> None:
    whole = generate_bars("ETH/USDT", 3, "reversion", 0.4)
    early = generate_bars(
        "ETH/USDT", 3, "reversion", 0.4, GENERATED_END_AT - 77 * MS_PER_DAY - 600_000
    )
    assert early.content_hash() == whole.slice(0, len(early)).content_hash()
    assert len(early) == len(whole) - 77 * 288 - 2


def test_without_an_edge_nothing_is_predictable_but_volatility() -> None:
    for kind, strength in (("none", 0.7), ("momentum", 0.0), ("reversion", 0.0)):
        bars = generate_bars("BTC/USDT", 5, kind, strength)
        assert bars.content_hash() == generate_bars("BTC/USDT", 5, "none", 0).content_hash()
    walks = [log_returns(generate_bars("BTC/USDT", seed, "none", 0)) for seed in range(6)]
    for lag in (1, 2, 3, 12, 48, 288):
        pooled = np.mean([correlation(returns[:-lag], returns[lag:]) for returns in walks])
        # Six seeds of 210,240 bars with kurtosis near 15: one standard error is about 0.0017.
        assert abs(pooled) < 0.006


def test_volatility_clusters_and_tails_are_fat() -> None:
    returns = log_returns(generate_bars("BTC/USDT", 7, "none", 0))
    size = np.abs(returns)
    assert excess_kurtosis(returns) > 5
    assert correlation(size[:-1], size[1:]) > 0.15
    assert correlation(size[:-288], size[288:]) > 0.05


def test_symbols_move_together_and_volume_comes_with_movement() -> None:
    first, second = (generate_bars(symbol, 7, "none", 0) for symbol in ("BTC/USDT", "SOL/USDT"))
    assert 0.4 < correlation(log_returns(first), log_returns(second)) < 0.8
    assert correlation(np.log(first.volume[1:]), np.abs(log_returns(first))) > 0.3


def test_range_of_a_bar_fits_a_continuous_path() -> None:
    bars = generate_bars("BTC/USDT", 7, "none", 0)
    # A Brownian path of one bar has E[range] / E[|move|] = 2 exactly (Feller 1951).
    ratio = np.log(bars.high / bars.low).mean() / np.abs(np.log(bars.close / bars.open)).mean()
    assert ratio == pytest.approx(2.0, rel=0.03)


def test_buying_at_a_random_bar_with_stop_and_target_is_a_fair_game() -> None:
    # Brackets that are hit inside the bar must not earn by the way bars are drawn.
    rng = np.random.default_rng(1)
    outcomes = []
    for seed in range(3):
        bars = generate_bars("BTC/USDT", seed, "none", 0)
        for start in rng.integers(0, len(bars) - 3000, 1500):
            entry = bars.open[start]
            span = slice(start, start + 3000)
            low = bars.low[span] <= entry * 0.99
            high = bars.high[span] >= entry * 1.01
            first_low = np.argmax(low) if low.any() else 9999
            first_high = np.argmax(high) if high.any() else 9999
            if first_low != first_high:
                outcomes.append(1.0 if first_high < first_low else -1.0)
    mean = np.mean(outcomes)
    assert abs(mean) < 4 / np.sqrt(len(outcomes))


def test_simple_trend_rule_earns_with_momentum_and_not_without() -> None:
    assert mean_sharpe("momentum", 0.0, 1) < 0.5
    assert mean_sharpe("momentum", 0.5, 1) > 2.5


def test_default_edge_is_mild() -> None:
    assert 0.7 < mean_sharpe("momentum", 0.15, 1) < 3.0


def test_simple_contrary_rule_earns_with_reversion_and_not_without() -> None:
    assert mean_sharpe("reversion", 0.0, -1) < 0.5
    assert mean_sharpe("reversion", 0.5, -1) > 2.5


def test_edges_are_named() -> None:
    assert describe_edge("momentum", 0.15) == "momentum 0.15"
    assert describe_edge("reversion", 0.0) == "none"
    assert describe_edge("none", 0.5) == "none"


@pytest.mark.parametrize(("kind", "strength"), [("magic", 0.1), ("momentum", 1.5), ("none", -0.1)])
def test_edge_that_cannot_be_planted_is_refused(kind: str, strength: float) -> None:
    with pytest.raises(UsageError, match="planted edge"):
        generate_bars("BTC/USDT", 1, kind, strength)


def test_other_wrong_requests_are_named() -> None:
    with pytest.raises(UsageError, match="seed is -1"):
        generate_bars("BTC/USDT", -1)
    with pytest.raises(DataError, match="'BTCUSDT' is not a symbol"):
        generate_bars("BTCUSDT", 1)
    with pytest.raises(UsageError, match="cannot end at 2023"):
        generate_bars("BTC/USDT", 1, end_at=GENERATED_START_AT - MS_PER_DAY * 5)
