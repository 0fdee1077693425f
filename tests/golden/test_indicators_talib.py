"""TA-Lib is the oracle for what each indicator means: 1e-9 after warm-up, real and made bars."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import talib
from talib import MA_Type  # type: ignore[attr-defined]

from engine.strategy.indicator_specs import INDICATOR_SPECS
from engine.strategy.indicators import compute_indicator
from engine.types import Bars, FloatArray

MARKET = Path(__file__).parents[2] / ".." / "shared" / "market" / "spot-5m" / "binance"
N_REAL_BARS = 25_920
SMA = MA_Type.SMA
SERIES = ("walk", "cents", "BTC-USDT", "ETH-USDT")
Oracle = Callable[[Bars], dict[str, FloatArray]]


def walk(n_bars: int = 6_000, tick: float = 0.0) -> Bars:
    """A random walk with quiet stretches; with a tick, prices repeat and ranges of zero occur."""
    rng = np.random.default_rng(20240101)
    step = rng.normal(0.0, 2e-3, n_bars) * rng.choice([0.0, 1.0], n_bars, p=[0.1, 0.9])
    close = 20.0 * np.exp(np.cumsum(step))
    open_ = np.concatenate(([close[0]], close[:-1]))
    high = np.maximum(open_, close) * (1.0 + rng.random(n_bars) * 2e-3)
    low = np.minimum(open_, close) * (1.0 - rng.random(n_bars) * 2e-3)
    if tick > 0.0:
        open_, high, low, close = (np.round(x / tick) * tick for x in (open_, high, low, close))
    volume = np.round(rng.gamma(1.5, 40.0, n_bars), 3) + 1.0
    timestamp = 1_704_067_200_000 + 300_000 * np.arange(n_bars, dtype=np.int64)
    return Bars(timestamp, open_, high, low, close, volume)


def real(name: str) -> Bars:
    path = MARKET / f"{name}-5m.parquet"
    if not path.exists():
        pytest.skip(f"no real bars at ../shared/market: {path.name}")
    table = pq.read_table(path).slice(0, N_REAL_BARS)
    columns = [table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    return Bars(table["timestamp"].to_numpy(), *columns)


@pytest.fixture(scope="module", params=SERIES)
def bars(request: pytest.FixtureRequest) -> Bars:
    if request.param == "walk":
        return walk()
    if request.param == "cents":
        return walk(tick=0.05)
    return real(request.param)


def by_name(names: str, values: tuple[FloatArray, ...] | FloatArray) -> dict[str, FloatArray]:
    columns = values if isinstance(values, tuple) else (values,)
    return dict(zip(names.split(), columns, strict=True))


def lines(length: int) -> Oracle:
    return lambda b: {
        "adx": talib.ADX(b.high, b.low, b.close, length),
        "plus_di": talib.PLUS_DI(b.high, b.low, b.close, length),
        "minus_di": talib.MINUS_DI(b.high, b.low, b.close, length),
    }


def aroon(length: int) -> Oracle:
    return lambda b: {
        **by_name("down up", talib.AROON(b.high, b.low, length)),
        "oscillator": talib.AROONOSC(b.high, b.low, length),
    }


def donchian(length: int) -> Oracle:
    def compute(b: Bars) -> dict[str, FloatArray]:
        upper, lower = talib.MAX(b.high, length), talib.MIN(b.low, length)
        return {
            "upper": upper,
            "lower": lower,
            "middle": (upper + lower) / 2.0,
            "prior_upper": np.concatenate(([np.nan], upper[:-1])),
            "prior_lower": np.concatenate(([np.nan], lower[:-1])),
        }

    return compute


def keltner(length: int, multiple: float) -> Oracle:
    def compute(b: Bars) -> dict[str, FloatArray]:
        middle = talib.EMA(b.close, length)
        reach = multiple * talib.ATR(b.high, b.low, b.close, length)
        return {"upper": middle + reach, "middle": middle, "lower": middle - reach}

    return compute


def obv(length: int) -> Oracle:
    def compute(b: Bars) -> dict[str, FloatArray]:
        value = talib.OBV(b.close, b.volume)
        return {"value": value, "average": talib.SMA(value, length)}

    return compute


def bollinger(length: int, width: float) -> Oracle:
    def compute(b: Bars) -> dict[str, FloatArray]:
        upper, middle, lower = talib.BBANDS(b.close, length, width, width)
        bandwidth = (upper - lower) / middle
        return {"upper": upper, "middle": middle, "lower": lower, "bandwidth": bandwidth}

    return compute


def atr(length: int) -> Oracle:
    def compute(b: Bars) -> dict[str, FloatArray]:
        value = talib.ATR(b.high, b.low, b.close, length)
        return {"value": value, "percent": value / b.close}

    return compute


def stochastic(length: int, smooth: int, signal: int) -> Oracle:
    return lambda b: by_name(
        "k d", talib.STOCH(b.high, b.low, b.close, length, smooth, SMA, signal, SMA)
    )


def macd(fast: int, slow: int, signal: int) -> Oracle:
    return lambda b: by_name("macd signal histogram", talib.MACD(b.close, fast, slow, signal))


def value(function: Callable[[Bars, int], FloatArray], length: int) -> Oracle:
    return lambda b: {"value": function(b, length)}


SIMPLE: dict[str, Callable[[Bars, int], FloatArray]] = {
    "sma": lambda b, n: talib.SMA(b.close, n),
    "ema": lambda b, n: talib.EMA(b.close, n),
    "rsi": lambda b, n: talib.RSI(b.close, n),
    "mfi": lambda b, n: talib.MFI(b.high, b.low, b.close, b.volume, n),
    "cci": lambda b, n: talib.CCI(b.high, b.low, b.close, n),
    "roc": lambda b, n: talib.ROC(b.close, n),
    "williams_r": lambda b, n: talib.WILLR(b.high, b.low, b.close, n),
    "volume_sma": lambda b, n: talib.SMA(b.volume, n),
    "volume_ratio": lambda b, n: b.volume / talib.SMA(b.volume, n),
}

CASES: list[tuple[str, dict[str, float], Oracle]] = [
    *(
        (name, {"length": float(length)}, value(function, length))
        for name, function in SIMPLE.items()
        for length in (2, 5, 14, 50, 200)
    ),
    *(("atr", {"length": float(n)}, atr(n)) for n in (2, 5, 14, 50, 200)),
    *(("adx", {"length": float(n)}, lines(n)) for n in (2, 7, 14, 30)),
    *(("aroon", {"length": float(n)}, aroon(n)) for n in (2, 10, 25, 50)),
    *(("donchian", {"length": float(n)}, donchian(n)) for n in (2, 20, 55, 100)),
    *(("obv", {"length": float(n)}, obv(n)) for n in (2, 20, 100)),
    *(
        ("keltner", {"length": float(n), "multiple": m}, keltner(n, m))
        for n, m in ((20, 2.0), (50, 1.5))
    ),
    *(
        ("bollinger", {"length": float(n), "width": w}, bollinger(n, w))
        for n, w in ((20, 2.0), (10, 1.5), (100, 3.0))
    ),
    *(
        ("stochastic", {"length": float(n), "smooth": float(s), "signal": float(g)}, oracle)
        for n, s, g in ((14, 3, 3), (5, 1, 3), (34, 5, 5), (9, 1, 1))
        for oracle in (stochastic(n, s, g),)
    ),
    *(
        ("macd", {"fast": float(f), "slow": float(s), "signal": float(g)}, macd(f, s, g))
        for f, s, g in ((12, 26, 9), (6, 80, 5), (20, 50, 12))
    ),
]


def label(case: tuple[str, dict[str, float], Oracle]) -> str:
    return f"{case[0]}({','.join(f'{v:g}' for v in case[1].values())})"


@pytest.mark.parametrize("case", CASES, ids=label)
def test_every_output_that_talib_has_agrees_after_its_warm_up(
    bars: Bars, case: tuple[str, dict[str, float], Oracle]
) -> None:
    name, params, oracle = case
    ours = compute_indicator(name, params, bars)
    for output, theirs in oracle(bars).items():
        defined = ~np.isnan(theirs)
        assert defined[-1], f"TA-Lib gave nothing for {name}.{output}"
        # Where TA-Lib speaks we do; the scale is the column's, because values near zero have none.
        scale = float(np.max(np.abs(theirs[defined])))
        error = np.abs(ours[output][defined] - theirs[defined])
        worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
        allowed = 1e-9 * np.maximum(np.abs(theirs[defined]), 1e-3 * scale)
        assert np.all(error <= allowed), f"{name}.{output}: {error[worst]} at defined bar {worst}"


@pytest.mark.parametrize(("length", "width"), [(20, 2.0), (10, 1.5), (100, 3.0)])
def test_percent_b_agrees_to_a_billionth_of_the_band(bars: Bars, length: int, width: float) -> None:
    # It passes zero where the close meets the band, so there it has no relative precision.
    ours = compute_indicator("bollinger", {"length": length, "width": width}, bars)
    upper, _, lower = talib.BBANDS(bars.close, length, width, width)
    has_band = ours["upper"] > ours["lower"]
    assert np.mean(has_band[length:]) > 0.9
    assert np.all(np.isnan(ours["percent_b"][~has_band]))
    theirs = (bars.close - lower)[has_band] / (upper - lower)[has_band]
    np.testing.assert_allclose(ours["percent_b"][has_band], theirs, rtol=0.0, atol=1e-9)


def test_every_output_of_every_indicator_but_one_is_compared() -> None:
    bars = walk(500)
    compared: dict[str, set[str]] = {}
    for name, _, oracle in CASES:
        compared.setdefault(name, set()).update(oracle(bars))
    compared["bollinger"].add("percent_b")
    # TA-Lib has no average by volume that begins anew each day.
    wanted = {
        name: {output.name for output in spec.outputs}
        for name, spec in INDICATOR_SPECS.items()
        if name != "vwap"
    }
    assert compared == wanted
