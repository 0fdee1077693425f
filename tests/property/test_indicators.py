"""What must hold for every indicator on any bars: causality, memory, bounds, scale."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.strategy.indicator_specs import INDICATOR_SPECS
from engine.strategy.indicators import compute_indicator, warmup_bars
from engine.types import Bars, FloatArray

# Compiling at the first example takes longer than any deadline.
PROPERTY = settings(deadline=None, max_examples=60)

# Indicators whose value is a function of the last warmup_bars + 1 bars and of nothing before.
# OBV's level and the smoothed ones remember more.
WINDOWED = (
    "sma",
    "bollinger",
    "stochastic",
    "aroon",
    "mfi",
    "cci",
    "donchian",
    "roc",
    "williams_r",
    "volume_ratio",
    "volume_sma",
)
BOUNDS = {
    ("rsi", "value"): (0.0, 100.0),
    ("mfi", "value"): (0.0, 100.0),
    ("adx", "adx"): (0.0, 100.0),
    ("adx", "plus_di"): (0.0, 100.0),
    ("adx", "minus_di"): (0.0, 100.0),
    ("stochastic", "k"): (0.0, 100.0),
    ("stochastic", "d"): (0.0, 100.0),
    ("aroon", "up"): (0.0, 100.0),
    ("aroon", "down"): (0.0, 100.0),
    ("aroon", "oscillator"): (-100.0, 100.0),
    ("williams_r", "value"): (-100.0, 0.0),
    ("roc", "value"): (-100.0, np.inf),
    ("atr", "value"): (0.0, np.inf),
    ("atr", "percent"): (0.0, np.inf),
    ("bollinger", "bandwidth"): (0.0, np.inf),
    ("volume_ratio", "value"): (0.0, np.inf),
    ("volume_sma", "value"): (0.0, np.inf),
}
# The quotients whose divisor may be zero at any time; all else is defined after warm-up.
MAY_BE_UNDEFINED = {("bollinger", "percent_b"), ("volume_ratio", "value"), ("vwap", "value")}

ROW = st.tuples(
    st.integers(-3, 3), st.integers(0, 2), st.integers(0, 2), st.integers(0, 4)
)  # close step, ticks above, ticks below, volume


@st.composite
def some_bars(draw: st.DrawFn, min_bars: int = 1, max_bars: int = 60) -> Bars:
    """Bars on a tick grid, so that ties, flat stretches and silent bars are common."""
    table = np.array(draw(st.lists(ROW, min_size=min_bars, max_size=max_bars)), dtype=np.float64)
    tick = draw(st.sampled_from([1.0, 0.1, 1e-5, 12.34]))
    close = (200.0 + np.cumsum(table[:, 0])) * tick
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) + table[:, 1] * tick
    low = np.minimum(open_, close) - table[:, 2] * tick
    volume = table[:, 3] * draw(st.sampled_from([1.0, 0.001, 77.7]))
    # Two-hour bars: a UTC day begins every twelve.
    timestamp = 1_700_000_000_000 + 7_200_000 * np.arange(len(close), dtype=np.int64)
    return Bars(timestamp, open_, high, low, close, volume)


@st.composite
def some_request(
    draw: st.DrawFn, names: tuple[str, ...] = tuple(INDICATOR_SPECS)
) -> tuple[str, dict[str, float]]:
    name = draw(st.sampled_from(names))
    params: dict[str, float] = {}
    for parameter in INDICATOR_SPECS[name].parameters:
        if parameter.is_integer:
            high = min(int(parameter.high), 15)
            params[parameter.name] = float(draw(st.integers(int(parameter.low), high)))
        else:
            params[parameter.name] = draw(st.floats(parameter.low, parameter.high))
    if name == "macd" and params["fast"] >= params["slow"]:
        params["fast"], params["slow"] = 2.0, params["fast"] + 1.0
    return name, params


def bits(values: FloatArray) -> bytes:
    return np.where(np.isnan(values), np.nan, values).tobytes()


@PROPERTY
@given(some_request(), some_bars(), some_bars(), st.data())
def test_bars_after_t_change_nothing_up_to_t(
    request: tuple[str, dict[str, float]], bars: Bars, other: Bars, data: st.DataObject
) -> None:
    name, params = request
    known = data.draw(st.integers(1, len(bars)))
    future = len(other)
    changed = Bars(
        bars.timestamp[0] + 7_200_000 * np.arange(known + future, dtype=np.int64),
        *(
            np.concatenate((getattr(bars, field)[:known], getattr(other, field)))
            for field in ("open", "high", "low", "close", "volume")
        ),
    )
    whole = compute_indicator(name, params, bars)
    ended = compute_indicator(name, params, bars.slice(0, known))
    turned = compute_indicator(name, params, changed)
    for output, values in whole.items():
        assert bits(values[:known]) == bits(ended[output]), output
        assert bits(values[:known]) == bits(turned[output][:known]), output


@PROPERTY
@given(some_request(WINDOWED), some_bars(min_bars=2))
def test_a_window_indicator_forgets_what_left_its_window(
    request: tuple[str, dict[str, float]], bars: Bars
) -> None:
    name, params = request
    warmup = warmup_bars(name, params)
    whole = compute_indicator(name, params, bars)
    for t in range(warmup, len(bars)):
        window = compute_indicator(name, params, bars.slice(t - warmup, t + 1))
        for output, values in window.items():
            assert bits(values[-1:]) == bits(whole[output][t : t + 1]), (output, t)


@PROPERTY
@given(some_request(), some_bars())
def test_values_are_finite_after_warm_up_and_within_bounds(
    request: tuple[str, dict[str, float]], bars: Bars
) -> None:
    name, params = request
    warmup = warmup_bars(name, params)
    for output, values in compute_indicator(name, params, bars).items():
        assert values.shape == (len(bars),)
        assert not np.isinf(values).any(), output
        if (name, output) not in MAY_BE_UNDEFINED:
            assert not np.isnan(values[warmup:]).any(), output
        low, high = BOUNDS.get((name, output), (-np.inf, np.inf))
        defined = values[~np.isnan(values)]
        # Means and Wilder sums may pass a bound by a rounding, never by more.
        assert np.all(defined >= low - 1e-9), output
        assert np.all(defined <= high + 1e-9), output


@PROPERTY
@given(some_bars(min_bars=2), st.integers(2, 15))
def test_averages_and_channels_stay_within_the_prices(bars: Bars, length: int) -> None:
    params = {"length": float(length)}
    slack = 1e-12 * float(bars.high.max())
    channel = compute_indicator("donchian", params, bars)
    defined = ~np.isnan(channel["upper"])
    assert np.all(channel["upper"][defined] >= bars.high[defined])
    assert np.all(channel["lower"][defined] <= bars.low[defined])
    sma = compute_indicator("sma", params, bars)["value"][defined]
    assert np.all(sma <= channel["upper"][defined] + slack)
    assert np.all(sma >= channel["lower"][defined] - slack)
    ema = compute_indicator("ema", params, bars)["value"][defined]
    assert np.all(ema <= bars.close.max() + slack)
    assert np.all(ema >= bars.close.min() - slack)


@PROPERTY
@given(some_request(), some_bars(), st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**14]))
def test_oscillators_do_not_depend_on_the_unit_of_account(
    request: tuple[str, dict[str, float]], bars: Bars, unit: float
) -> None:
    # A power of two scales prices without rounding: ratios keep every bit, prices scale exactly.
    name, params = request
    scaled = Bars(
        bars.timestamp,
        bars.open * unit,
        bars.high * unit,
        bars.low * unit,
        bars.close * unit,
        bars.volume,
    )
    ours = compute_indicator(name, params, bars)
    theirs = compute_indicator(name, params, scaled)
    for output in INDICATOR_SPECS[name].outputs:
        factor = unit if output.unit in ("price", "spread") else 1.0
        assert bits(ours[output.name] * factor) == bits(theirs[output.name]), output.name


@PROPERTY
@given(some_request(), st.floats(1e-8, 1e8), st.integers(1, 80))
def test_constant_prices_leave_averages_exactly_on_the_price(
    request: tuple[str, dict[str, float]], price: float, n_bars: int
) -> None:
    name, params = request
    flat = np.full(n_bars, price)
    timestamp = 7_200_000 * np.arange(n_bars, dtype=np.int64)
    bars = Bars(timestamp, flat, flat, flat, flat, np.zeros(n_bars))
    for spec in INDICATOR_SPECS[name].outputs:
        values = compute_indicator(name, params, bars)[spec.name]
        defined = values[~np.isnan(values)]
        if spec.unit == "price":
            assert np.all(defined == price), spec.name
        elif name != "aroon":
            assert np.all(defined == 0.0), spec.name
