"""Look-ahead: every planted leak is caught, and nothing honest is accused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from engine.backtest.run import Trade
from engine.errors import StrategyError
from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.market.bars import check_bars
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.market.resampling import last_closed_index, resample
from engine.strategy.library import LIBRARY, ema_trend, library_genome
from engine.types import MS_PER_DAY, Bars, FloatArray, SeriesKey, timeframe_ms
from engine.validate.findings import Severity
from engine.validate.futures import MIXED_FUTURES, STEADY_FUTURES, with_future, with_inside
from engine.validate.look_ahead import (
    Behaviour,
    behaviour_findings,
    genome_behaviour,
    look_ahead_findings,
)

SEEDS = range(4)
START_AT = 1_735_689_600_000
Decide = Callable[[Bars], Any]


def walk(n_bars: int, seed: int) -> Bars:
    """Return a random walk of 5m bars, 0.3 % a bar."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.003, n_bars)))
    open_ = np.concatenate(([100.0], close[:-1]))
    up, down = 1.0 + 0.003 * rng.random((2, n_bars))
    return Bars(
        timestamp=START_AT + timeframe_ms("5m") * np.arange(n_bars, dtype=np.int64),
        open=open_,
        high=np.maximum(open_, close) * up,
        low=np.minimum(open_, close) / down,
        close=close,
        volume=rng.lognormal(3.0, 0.5, n_bars),
    )


def decided(decide: Decide, bars: Bars) -> Behaviour:
    return Behaviour({"long_entry": decide(bars)})


def ahead(values: FloatArray, n: int) -> FloatArray:
    """Return the values n bars later, NaN where there is none yet."""
    out = np.full(values.shape[0], np.nan)
    if values.shape[0] > n:
        out[:-n] = values[n:]
    return out


def sma(values: FloatArray, length: int) -> FloatArray:
    out = np.full(values.shape[0], np.nan)
    if values.shape[0] >= length:
        sums = np.lib.stride_tricks.sliding_window_view(values, length).sum(axis=1)
        out[length - 1 :] = sums / length
    return out


def later_close(n: int, bars: Bars) -> Any:
    return ahead(bars.close, n) > bars.close


def next_bar_rises(bars: Bars) -> Any:
    return ahead(bars.close / bars.open, 1) > 1.0


def next_range_is_wide(bars: Bars) -> Any:
    return ahead(bars.high / bars.low, 1) > 1.006


def next_volume_is_high(bars: Bars) -> Any:
    return ahead(bars.volume, 1) > sma(bars.volume, 20)


def rare_and_next_close(bars: Bars) -> Any:
    # Honest on all but a few bars: a cut must fall on one of those.
    return (bars.close < 0.985 * sma(bars.close, 20)) & later_close(1, bars)


def centred_window(length: int, bars: Bars) -> Any:
    return bars.close < ahead(sma(bars.close, length), length // 2)


def full_sample_z_score(level: float, bars: Bars) -> Any:
    return (bars.close - bars.close.mean()) / bars.close.std() > level


def full_sample_volume_rank(share: float, bars: Bars) -> Any:
    return bars.volume > np.quantile(bars.volume, share)


def unclosed_longer_bar(longer: str, field: str, bars: Bars) -> Any:
    step_ms = timeframe_ms(longer)
    bucket = bars.timestamp // step_ms
    last = np.searchsorted(bucket, bucket, side="right") - 1
    if field == "close":
        return bars.close < bars.close[last]
    highest = np.maximum.reduceat(bars.high, np.unique(bucket, return_index=True)[1])
    return bars.close < 0.995 * highest[bucket - bucket[0]]


def unclosed_longer_average(length: int, bars: Bars) -> Any:
    """Read the average of hourly closes, the hour that is still open included."""
    hour = bars.timestamp // timeframe_ms("1h")
    last = np.searchsorted(hour, np.unique(hour), side="right") - 1
    return bars.close > sma(bars.close[last], length)[hour - hour[0]]


def closed_longer_bar(longer: str, bars: Bars) -> Any:
    higher = resample(bars, "5m", longer)
    index = last_closed_index(bars.timestamp, "5m", higher.timestamp, longer)
    known = np.full(len(bars), np.nan)
    known[index >= 0] = higher.close[index[index >= 0]]
    return bars.close < known


LEAKS: dict[str, Decide] = {
    **{f"close {n} bars later": partial(later_close, n) for n in (1, 2, 5)},
    "next bar rises": next_bar_rises,
    "next range": next_range_is_wide,
    "next volume": next_volume_is_high,
    "rare and next close": rare_and_next_close,
    **{f"centred window {n}": partial(centred_window, n) for n in (3, 11, 51)},
    **{f"full-sample z > {z}": partial(full_sample_z_score, z) for z in (-1.0, 0.0, 1.0)},
    **{f"volume rank {q}": partial(full_sample_volume_rank, q) for q in (0.5, 0.9)},
    **{
        f"unclosed {longer} {name}": partial(unclosed_longer_bar, longer, name)
        for longer in ("15m", "1h", "4h")
        for name in ("close", "high")
    },
    **{f"unclosed hourly average {n}": partial(unclosed_longer_average, n) for n in (2, 10)},
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LEAKS)
def test_a_decision_that_reads_the_future_is_caught(name: str, seed: int) -> None:
    bars = walk(800, seed)
    found = behaviour_findings(partial(decided, LEAKS[name]), bars, "5m", first=200, seed=seed)
    (finding,) = found
    assert finding.code == "look_ahead.decision"
    assert finding.severity is Severity.ERROR
    assert finding.place.startswith("long_entry at 2025-01-0")
    assert finding.message.startswith(f"{finding.place} changed when only the bars after ")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "decide",
    [
        lambda bars: bars.close > sma(bars.close, 20),
        lambda bars: bars.volume > sma(bars.volume, 5),
        partial(closed_longer_bar, "15m"),
        partial(closed_longer_bar, "4h"),
        lambda bars: np.zeros(len(bars), dtype=np.bool_),
    ],
)
def test_an_honest_decision_is_not_accused(decide: Decide, seed: int) -> None:
    bars = walk(800, seed)
    assert behaviour_findings(partial(decided, decide), bars, "5m", first=200, seed=seed) == []


def test_a_leak_in_a_size_is_named_by_its_column() -> None:
    def sized(bars: Bars) -> Behaviour:
        entry = bars.close > sma(bars.close, 20)
        return Behaviour({"long_entry": entry, "size_frac": 1.0 / ahead(bars.close, 1)})

    (finding,) = behaviour_findings(sized, walk(800, 1), "5m", first=200)
    assert finding.place.startswith("size_frac at ")


def traded(
    bars: Bars,
    *,
    stop: str = "known",
    target: str = "known",
    trailing: str = "known",
    entry: str = "open",
    size: str = "known",
    side: int = 1,
    frac: float = 0.01,
    hold: int = 40,
) -> Behaviour:
    """Trade an average crossing with stop, target, trailing and time stop, bar by bar.

    Each of the named parts is honest ("known", "open") or reads the bar in which it fills.
    """
    # A short on these bars is a long on the same bars turned upside down.
    scale = bars if side > 0 else turned(bars)
    wants = scale.close > sma(scale.close, 20)
    trades: list[Trade] = []
    t, n_bars = 0, len(bars)
    while t + 1 < n_bars:
        if not wants[t]:
            t += 1
            continue
        first = t + 1
        price = {"open": scale.open, "low": scale.low, "close": scale.close}[entry][first]
        qty = {"known": 1.0, "range": scale.low[first] / scale.high[first]}[size]
        peak, gone = price, None
        for x in range(first, n_bars):
            seen = max(peak, scale.high[x]) if trailing == "same bar" else peak
            trail = (seen * (1.0 - frac), "trailing")
            fixed = (price * (1.0 - frac / 2), "stop")
            if stop == "same bar":
                fixed = (scale.low[x] * (1.0 + frac / 20), "stop")
            level, why = max(trail, fixed)
            goal = price * (1.0 + frac)
            if target == "same bar":
                goal = max(goal, scale.high[x] * (1.0 - frac / 20))
            if scale.open[x] <= level and x > first:
                gone = (x, scale.open[x], why)
            elif x == first + hold:
                gone = (x, scale.open[x], "time")
            elif scale.low[x] <= level:
                gone = (x, level, why)
            elif scale.high[x] >= goal:
                gone = (x, max(goal, scale.open[x]), "target")
            peak = max(peak, scale.high[x])
            if gone is not None:
                break
        trades.append(made(side, first, price, qty, gone))
        if gone is None:
            break
        t = gone[0]
    return Behaviour({"long_entry": wants}, tuple(trades))


def turned(bars: Bars) -> Bars:
    open_, high, low, close = (1e4 / x for x in (bars.open, bars.low, bars.high, bars.close))
    return Bars(bars.timestamp, open_, high, low, close, bars.volume)


def made(
    side: int, bar: int, price: float, qty: float, gone: tuple[int, float, str] | None
) -> Trade:
    last, exit_price, reason = gone or (None, None, None)
    gained = float("nan") if exit_price is None else exit_price / price - 1.0
    return Trade(side, bar, price, last, exit_price, reason, qty, gained * qty, gained, 1e4)


LEAKING_TRADES: dict[str, dict[str, str]] = {
    "stop below the same bar's low": {"stop": "same bar"},
    "trailing from the same bar's high": {"trailing": "same bar"},
    "target under the same bar's high": {"target": "same bar"},
    "entry at the same bar's low": {"entry": "low"},
    "entry at the same bar's close": {"entry": "close"},
    "size from the same bar's range": {"size": "range"},
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("frac", [0.006, 0.02])
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("name", LEAKING_TRADES)
def test_a_fill_that_reads_its_own_bar_is_caught(
    name: str, side: int, frac: float, seed: int
) -> None:
    behave = partial(traded, side=side, frac=frac, **LEAKING_TRADES[name])  # type: ignore[arg-type]
    found = behaviour_findings(behave, walk(800, seed), "5m", first=100, seed=seed)
    assert {finding.code for finding in found} == {"look_ahead.fill"}
    wanted = "entry" if name.startswith(("entry", "size")) else "exit"
    assert wanted in {finding.place.split()[0] for finding in found}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("frac", [0.006, 0.02])
@pytest.mark.parametrize("side", [1, -1])
def test_an_honest_trader_is_not_accused(side: int, frac: float, seed: int) -> None:
    behave = partial(traded, side=side, frac=frac)
    bars = walk(800, seed)
    assert {trade.reason for trade in behave(bars).trades} >= {"stop", "target"}
    assert behaviour_findings(behave, bars, "5m", first=100, seed=seed) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_an_exit_that_reads_later_bars_is_caught(seed: int) -> None:
    def best_exit(bars: Bars) -> Behaviour:
        trades = []
        for first in range(10, len(bars) - 20, 40):
            x = first + int(np.argmax(bars.open[first + 1 : first + 20])) + 1
            price = float(bars.open[first])
            trades.append(made(1, first, price, 1.0, (x, float(bars.open[x]), "signal")))
        return Behaviour({}, tuple(trades))

    found = behaviour_findings(best_exit, walk(800, seed), "5m", first=100, seed=seed)
    assert "exit" in {finding.place.split()[0] for finding in found}


@pytest.fixture(scope="module")
def market() -> Bars:
    """Return ten days of generated 5m bars."""
    return generate_bars("BTC/USDT", 3, end_at=GENERATED_START_AT + 10 * MS_PER_DAY)


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_knows_nothing_of_the_future(name: str, market: Bars) -> None:
    genome = library_genome(name, "5m")
    for seed in SEEDS:
        assert look_ahead_findings(genome, market, "5m", seed=seed) == []


def test_a_thousand_random_genomes_know_nothing_of_the_future(market: Bars) -> None:
    universe = Universe("5m", "perp", ("15m",))
    bars = market.slice(0, 700)
    reasons = set()
    for i in range(1_000):
        genome = draw_genome(Draws.keyed(11, i), universe)
        assert look_ahead_findings(genome, bars, "5m", seed=i, n_cuts=1) == [], genome
        if i < 50:
            reasons |= {trade.reason for trade in genome_behaviour(genome, "5m", bars).trades}
    assert reasons >= {"stop", "trailing", "target", "signal", "time"}


def test_a_leak_inside_the_engine_is_caught(market: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the bars of a longer timeframe were read before they close.
    honest = last_closed_index
    monkeypatch.setattr(
        "engine.strategy.columns.last_closed_index",
        lambda *a: np.minimum(honest(*a) + 1, a[2].shape[0] - 1),
    )
    draws = (draw_genome(Draws.keyed(5, i), Universe("5m", "perp", ("1h",))) for i in range(200))
    reading = [g for g in draws if any(o.timeframe for o in g.operands())][:20]
    assert len(reading) == 20
    for genome in reading:
        found = look_ahead_findings(genome, market, "5m")
        assert any("@1h" in finding.place for finding in found), genome


def test_too_few_bars_are_a_warning_and_another_timeframe_is_refused(market: Bars) -> None:
    (finding,) = look_ahead_findings(ema_trend("5m"), market.slice(0, 80), "5m")
    assert finding.code == "look_ahead.too_few_bars"
    assert finding.severity is Severity.WARNING
    with pytest.raises(StrategyError, match="is for 1h bars, these are 5m"):
        look_ahead_findings(ema_trend("1h"), market, "5m")


def test_a_column_of_the_wrong_length_is_refused() -> None:
    def short(bars: Bars) -> Behaviour:
        return Behaviour({"long_entry": bars.close[1:] > bars.close[:-1]})

    with pytest.raises(StrategyError, match="one value for each bar"):
        behaviour_findings(short, walk(200, 1), "5m")


@pytest.mark.parametrize("kind", [*STEADY_FUTURES, *MIXED_FUTURES])
def test_another_future_is_valid_and_keeps_the_past(kind: str) -> None:
    bars = walk(300, 4)
    for cut in (0, 150, 298):
        other = with_future(bars, cut, kind, np.random.default_rng(cut))
        check_bars(other, SeriesKey("made", "BTC/USDT", "5m"), "a test")
        for name in ("timestamp", "open", "high", "low", "close", "volume"):
            past = getattr(bars, name)[: cut + 1]
            assert np.array_equal(getattr(other, name)[: cut + 1], past)
        if kind == "removed":
            assert len(other) == cut + 1
        else:
            assert len(other) == 300
            n_kept = np.count_nonzero(other.close[cut + 1 :] == bars.close[cut + 1 :])
            assert n_kept <= (cut == 298)


@pytest.mark.parametrize(("up", "down"), [(True, True), (True, False), (False, True)])
def test_a_bar_changed_inside_is_valid_and_keeps_its_open(up: bool, down: bool) -> None:
    bars = walk(50, 4)
    other = with_inside(bars, 20, up, down, np.random.default_rng(1))
    check_bars(other, SeriesKey("made", "BTC/USDT", "5m"), "a test")
    assert np.array_equal(other.open, bars.open)
    assert (other.high[20] > bars.high[20]) == up
    assert (other.low[20] < bars.low[20]) == down
    changed = np.flatnonzero(other.close != bars.close)
    assert changed.tolist() == [20]
