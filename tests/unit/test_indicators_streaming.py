"""A second writing of every indicator, one closed bar at a time as a Worker will: same bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from engine.strategy.indicators import compute_indicator
from engine.types import MS_PER_DAY, Bars

NAN = math.nan
Row = dict[str, float]
Stream = Callable[[list[Row]], dict[str, float]]
TIE_FRAC = 1e-14


def mean(window: list[float]) -> float:
    oldest = window[0]
    excess = 0.0
    for value in window[1:]:
        excess += value - oldest
    return oldest + excess / len(window)


class Smooth:
    """s += (value - s) x weight after a mean of the first values; None does not count as one."""

    def __init__(self, length: int, weight: float) -> None:
        self.length, self.weight = length, weight
        self.first: list[float] = []
        self.level = NAN

    def __call__(self, value: float | None) -> float:
        if value is None:
            return NAN
        if len(self.first) < self.length:
            self.first.append(value)
            if len(self.first) == self.length:
                self.level = mean(self.first)
            return self.level
        self.level += (value - self.level) * self.weight
        return self.level


class Window:
    """The last values, oldest first; `full` once there are enough."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.values: list[float] = []

    def add(self, value: float) -> bool:
        self.values = [*self.values, value][-self.length :]
        return len(self.values) == self.length and not any(math.isnan(x) for x in self.values)


def of(past: list[Row], field: str, length: int, back: int = 0) -> list[float] | None:
    """The last `length` values of a field, skipping the newest `back` bars."""
    rows = past[: len(past) - back][-length:]
    return [row[field] for row in rows] if len(rows) == length else None


def true_range(past: list[Row]) -> float | None:
    if len(past) < 2:
        return None
    bar, before = past[-1], past[-2]["close"]
    gap = max(abs(bar["high"] - before), abs(bar["low"] - before))
    return max(bar["high"] - bar["low"], gap)


def typical(row: Row) -> float:
    return (row["high"] + row["low"] + row["close"]) / 3.0


def share(distance: float, spread: float) -> float:
    return distance / spread * 100.0 if spread != 0.0 else 0.0


def sma(length: int, field: str = "close") -> Stream:
    def step(past: list[Row]) -> dict[str, float]:
        window = of(past, field, length)
        return {"value": mean(window) if window else NAN}

    return step


def ema(length: int) -> Stream:
    smooth = Smooth(length, 2.0 / (length + 1))
    return lambda past: {"value": smooth(past[-1]["close"])}


def rsi(length: int) -> Stream:
    state = {"gain": 0.0, "loss": 0.0}

    def step(past: list[Row]) -> dict[str, float]:
        t = len(past) - 1
        if t == 0:
            return {"value": NAN}
        change = past[-1]["close"] - past[-2]["close"]
        moves = {"gain": max(change, 0.0), "loss": max(-change, 0.0)}
        for side, move in moves.items():
            if t <= length:
                state[side] += move
                if t == length:
                    state[side] /= length
            else:
                state[side] += (move - state[side]) * (1.0 / length)
        total = state["gain"] + state["loss"]
        if t < length:
            return {"value": NAN}
        return {"value": 100.0 * (state["gain"] / total) if total > 0.0 else 0.0}

    return step


def macd(fast: int, slow: int, signal: int) -> Stream:
    quick, steady = Smooth(fast, 2.0 / (fast + 1)), Smooth(slow, 2.0 / (slow + 1))
    line = Smooth(signal, 2.0 / (signal + 1))

    def step(past: list[Row]) -> dict[str, float]:
        close = past[-1]["close"]
        spread = quick(close if len(past) > slow - fast else None) - steady(close)
        average = line(None if math.isnan(spread) else spread)
        return {"macd": spread, "signal": average, "histogram": spread - average}

    return step


def bollinger(length: int, width: float) -> Stream:
    def step(past: list[Row]) -> dict[str, float]:
        window = of(past, "close", length)
        if window is None:
            return dict.fromkeys(("upper", "middle", "lower", "percent_b", "bandwidth"), NAN)
        middle = mean(window)
        squares = 0.0
        for value in window:
            squares += (value - middle) * (value - middle)
        reach = width * math.sqrt(squares / length)
        upper, lower = middle + reach, middle - reach
        spread = upper - lower
        return {
            "upper": upper,
            "middle": middle,
            "lower": lower,
            "percent_b": (window[-1] - lower) / spread if spread != 0.0 else NAN,
            "bandwidth": spread / middle,
        }

    return step


def atr(length: int) -> Stream:
    smooth = Smooth(length, 1.0 / length)

    def step(past: list[Row]) -> dict[str, float]:
        value = smooth(true_range(past))
        return {"value": value, "percent": value / past[-1]["close"]}

    return step


def obv(length: int) -> Stream:
    state = [0.0]
    window = Window(length)

    def step(past: list[Row]) -> dict[str, float]:
        bar = past[-1]
        before = past[-2]["close"] if len(past) > 1 else 0.0
        if bar["close"] > before:
            state[0] += bar["volume"]
        elif bar["close"] < before:
            state[0] -= bar["volume"]
        full = window.add(state[0])
        return {"value": state[0], "average": mean(window.values) if full else NAN}

    return step


def adx(length: int) -> Stream:
    sums = {"up": 0.0, "down": 0.0, "range": 0.0}
    index = [0.0]

    def step(past: list[Row]) -> dict[str, float]:
        t = len(past) - 1
        nothing = {"adx": NAN, "plus_di": NAN, "minus_di": NAN}
        width = true_range(past)
        if width is None:
            return nothing
        up = past[-1]["high"] - past[-2]["high"]
        down = past[-2]["low"] - past[-1]["low"]
        moves = {
            "up": up if up > max(down, 0.0) else 0.0,
            "down": down if down > max(up, 0.0) else 0.0,
            "range": width,
        }
        for side, move in moves.items():
            decay = 0.0 if t < length else sums[side] * (1.0 / length)
            sums[side] = sums[side] - decay + move
        if t < length:
            return nothing
        plus = 100.0 * (sums["up"] / sums["range"]) if sums["range"] > 0.0 else 0.0
        minus = 100.0 * (sums["down"] / sums["range"]) if sums["range"] > 0.0 else 0.0
        total = plus + minus
        strength = 100.0 * (abs(plus - minus) / total) if total > 0.0 else 0.0
        if t < 2 * length:
            index[0] += strength
            if t == 2 * length - 1:
                index[0] /= length
        elif total > 0.0:
            index[0] += (strength - index[0]) * (1.0 / length)
        return {
            "adx": index[0] if t >= 2 * length - 1 else NAN,
            "plus_di": plus,
            "minus_di": minus,
        }

    return step


def stochastic(length: int, smooth: int, signal: int) -> Stream:
    first, second = Window(smooth), Window(signal)

    def step(past: list[Row]) -> dict[str, float]:
        highs, lows = of(past, "high", length), of(past, "low", length)
        if highs is None or lows is None:
            return {"k": NAN, "d": NAN}
        lowest = min(lows)
        k, d = NAN, NAN
        if first.add(share(past[-1]["close"] - lowest, max(highs) - lowest)):
            k = mean(first.values)
            if second.add(k):
                d = mean(second.values)
        return {"k": k, "d": d}

    return step


def aroon(length: int) -> Stream:
    def step(past: list[Row]) -> dict[str, float]:
        highs, lows = of(past, "high", length + 1), of(past, "low", length + 1)
        if highs is None or lows is None:
            return {"up": NAN, "down": NAN, "oscillator": NAN}
        since_high = highs[::-1].index(max(highs))
        since_low = lows[::-1].index(min(lows))
        return {
            "up": 100.0 * (length - since_high) / length,
            "down": 100.0 * (length - since_low) / length,
            "oscillator": 100.0 * (since_low - since_high) / length,
        }

    return step


def mfi(length: int) -> Stream:
    def step(past: list[Row]) -> dict[str, float]:
        if len(past) <= length:
            return {"value": NAN}
        inflow, outflow = 0.0, 0.0
        for t in range(len(past) - length, len(past)):
            now, before = typical(past[t]), typical(past[t - 1])
            tie = TIE_FRAC * (now + before)
            if now - before > tie:
                inflow += now * past[t]["volume"]
            elif now - before < -tie:
                outflow += now * past[t]["volume"]
        total = inflow + outflow
        return {"value": inflow / total * 100.0 if total > 0.0 else 0.0}

    return step


def cci(length: int) -> Stream:
    def step(past: list[Row]) -> dict[str, float]:
        window = [typical(row) for row in past[-length:]]
        if len(window) < length:
            return {"value": NAN}
        middle = mean(window)
        distance = 0.0
        for value in window:
            distance += abs(value - middle)
        distance /= length
        if not distance > TIE_FRAC * middle:
            return {"value": 0.0}
        return {"value": (window[-1] - middle) / (0.015 * distance)}

    return step


def donchian(length: int) -> Stream:
    def edges(past: list[Row], back: int) -> tuple[float, float]:
        highs, lows = of(past, "high", length, back), of(past, "low", length, back)
        return (max(highs), min(lows)) if highs and lows else (NAN, NAN)

    def step(past: list[Row]) -> dict[str, float]:
        upper, lower = edges(past, 0)
        prior_upper, prior_lower = edges(past, 1)
        return {
            "upper": upper,
            "middle": (upper + lower) / 2.0,
            "lower": lower,
            "prior_upper": prior_upper,
            "prior_lower": prior_lower,
        }

    return step


def keltner(length: int, multiple: float) -> Stream:
    centre, width = ema(length), atr(length)

    def step(past: list[Row]) -> dict[str, float]:
        middle, reach = centre(past)["value"], multiple * width(past)["value"]
        return {"upper": middle + reach, "middle": middle, "lower": middle - reach}

    return step


def vwap() -> Stream:
    state = {"day": -1.0, "turnover": 0.0, "traded": 0.0}

    def step(past: list[Row]) -> dict[str, float]:
        bar = past[-1]
        day = bar["timestamp"] // MS_PER_DAY
        if day != state["day"]:
            state.update(day=day, turnover=0.0, traded=0.0)
        state["turnover"] += typical(bar) * bar["volume"]
        state["traded"] += bar["volume"]
        return {"value": state["turnover"] / state["traded"] if state["traded"] > 0.0 else NAN}

    return step


def roc(length: int) -> Stream:
    def step(past: list[Row]) -> dict[str, float]:
        if len(past) <= length:
            return {"value": NAN}
        return {"value": (past[-1]["close"] / past[-1 - length]["close"] - 1.0) * 100.0}

    return step


def williams_r(length: int) -> Stream:
    def step(past: list[Row]) -> dict[str, float]:
        highs, lows = of(past, "high", length), of(past, "low", length)
        if highs is None or lows is None:
            return {"value": NAN}
        return {"value": share(past[-1]["close"] - max(highs), max(highs) - min(lows))}

    return step


def volume_ratio(length: int) -> Stream:
    average = sma(length, "volume")

    def step(past: list[Row]) -> dict[str, float]:
        usual = average(past)["value"]
        return {"value": past[-1]["volume"] / usual if usual != 0.0 else NAN}

    return step


CASES: list[tuple[str, dict[str, float], Callable[[], Stream]]] = [
    ("sma", {"length": 7}, lambda: sma(7)),
    ("ema", {"length": 9}, lambda: ema(9)),
    ("rsi", {"length": 14}, lambda: rsi(14)),
    ("macd", {"fast": 5, "slow": 11, "signal": 4}, lambda: macd(5, 11, 4)),
    ("bollinger", {"length": 20, "width": 2.5}, lambda: bollinger(20, 2.5)),
    ("atr", {"length": 14}, lambda: atr(14)),
    ("obv", {"length": 10}, lambda: obv(10)),
    ("adx", {"length": 7}, lambda: adx(7)),
    ("stochastic", {"length": 9, "smooth": 3, "signal": 5}, lambda: stochastic(9, 3, 5)),
    ("stochastic", {"length": 5, "smooth": 1, "signal": 1}, lambda: stochastic(5, 1, 1)),
    ("aroon", {"length": 14}, lambda: aroon(14)),
    ("mfi", {"length": 7}, lambda: mfi(7)),
    ("cci", {"length": 20}, lambda: cci(20)),
    ("cci", {"length": 2}, lambda: cci(2)),
    ("donchian", {"length": 15}, lambda: donchian(15)),
    ("keltner", {"length": 10, "multiple": 1.5}, lambda: keltner(10, 1.5)),
    ("vwap", {}, vwap),
    ("roc", {"length": 5}, lambda: roc(5)),
    ("williams_r", {"length": 7}, lambda: williams_r(7)),
    ("volume_ratio", {"length": 10}, lambda: volume_ratio(10)),
    ("volume_sma", {"length": 10}, lambda: sma(10, "volume")),
]


def made(kind: str) -> Bars:
    rng = np.random.default_rng(11)
    n_bars = 1_300 if kind == "walk" else 600
    step = rng.normal(0.0, 2e-3, n_bars) * rng.choice([0.0, 1.0], n_bars, p=[0.2, 0.8])
    close = 27.0 * np.exp(np.cumsum(step))
    high = close * (1.0 + rng.random(n_bars) * 2e-3)
    low = close * (1.0 - rng.random(n_bars) * 2e-3)
    volume = rng.gamma(1.5, 40.0, n_bars)
    if kind == "ticks":
        # Coarse ticks make ties, ranges of zero, flat stretches and bars without volume.
        close, high, low = (np.round(x * 5.0) / 5.0 for x in (close, high, low))
        volume *= rng.choice([0.0, 1.0], n_bars, p=[0.5, 0.5])
        volume[100:130] = 0.0
    timestamp = 1_704_067_200_000 + 900_000 * np.arange(n_bars, dtype=np.int64)
    return Bars(timestamp, close.copy(), high, low, close, volume)


def rows(bars: Bars) -> Iterator[Row]:
    for t in range(len(bars)):
        yield {
            "timestamp": int(bars.timestamp[t]),
            "high": float(bars.high[t]),
            "low": float(bars.low[t]),
            "close": float(bars.close[t]),
            "volume": float(bars.volume[t]),
        }


@pytest.mark.parametrize("kind", ["walk", "ticks"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}{tuple(case[1].values())}")
def test_one_bar_at_a_time_gives_the_same_bits(
    case: tuple[str, dict[str, float], Callable[[], Stream]], kind: str
) -> None:
    name, params, start = case
    bars = made(kind)
    at_once = compute_indicator(name, params, bars)
    step, past = start(), []
    for t, row in enumerate(rows(bars)):
        past.append(row)
        for output, value in step(past).items():
            ours = float(at_once[output][t])
            same = ours == value or (math.isnan(ours) and math.isnan(value))
            assert same, f"{name}.{output} at bar {t}: {ours!r} at once, {value!r} bar by bar"
