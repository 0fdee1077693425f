"""Indicators by hand: small numbers anyone can check, degenerate input, and refused parameters."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from engine.errors import StrategyError
from engine.strategy.averages import (
    smoothed_nb,
    window_deviation_nb,
    window_mean_deviation_nb,
    window_mean_nb,
    window_sum_nb,
)
from engine.strategy.channels import bars_since_highest_nb, true_range, window_highest_nb
from engine.strategy.columns import compute_columns
from engine.strategy.compiled import read_only
from engine.strategy.genome import IndicatorOperand
from engine.strategy.indicator_specs import INDICATOR_SPECS
from engine.strategy.indicators import compute_indicator, warmup_bars
from engine.strategy.oscillators import directional_nb, relative_strength_nb
from engine.strategy.volume_flow import day_vwap_nb
from engine.types import MS_PER_DAY, Bars

NAN = math.nan
NOON = 19_000 * MS_PER_DAY + MS_PER_DAY // 2
# The only outputs that may be NaN after warm-up: quotients whose divisor can be zero.
MAY_BE_UNDEFINED = {("bollinger", "percent_b"), ("volume_ratio", "value"), ("vwap", "value")}


def made(
    close: list[float],
    high: list[float] | None = None,
    low: list[float] | None = None,
    volume: list[float] | None = None,
    start_at: int = NOON,
    step_ms: int = 300_000,
) -> Bars:
    """Bars whose ranges are points unless told otherwise."""
    prices = np.array(close, dtype=np.float64)
    return Bars(
        start_at + step_ms * np.arange(len(close), dtype=np.int64),
        prices.copy(),
        prices.copy() if high is None else np.array(high, dtype=np.float64),
        prices.copy() if low is None else np.array(low, dtype=np.float64),
        prices,
        np.ones(len(close)) if volume is None else np.array(volume, dtype=np.float64),
    )


def flat(price: float, n_bars: int, volume: float = 0.0) -> Bars:
    return made([price] * n_bars, volume=[volume] * n_bars)


def noisy(n_bars: int) -> Bars:
    rng = np.random.default_rng(5)
    close = 100.0 + np.cumsum(rng.normal(0.0, 0.5, n_bars))
    high = close + rng.random(n_bars) + 0.01
    low = close - rng.random(n_bars) - 0.01
    volume = rng.gamma(2.0, 5.0, n_bars) + 0.1
    return made(close.tolist(), high.tolist(), low.tolist(), volume.tolist())


def column(name: str, output: str, bars: Bars, **params: float) -> list[float]:
    return [float(x) for x in compute_indicator(name, params, bars)[output]]


def same(values: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(values, expected, rtol=1e-14, atol=0.0, equal_nan=True)


def test_sma_is_the_mean_of_its_window() -> None:
    same(column("sma", "value", made([1, 2, 6, 3]), length=3), [NAN, NAN, 3.0, 11 / 3])


def test_ema_starts_with_a_mean_and_moves_by_its_weight() -> None:
    # Weight 2 / 4: 3 is the seed, then halfway to 7, then halfway to 1.
    same(column("ema", "value", made([1, 2, 6, 7, 1]), length=3), [NAN, NAN, 3.0, 5.0, 3.0])


def test_rsi_weighs_gains_against_gains_and_losses() -> None:
    # Seed: gains (1 + 0) / 2, losses (0 + 3) / 2; then a gain of 1: 0.75 against 0.75.
    values = column("rsi", "value", made([5, 6, 3, 4]), length=2)
    same(values, [NAN, NAN, 25.0, 50.0])


def test_macd_seeds_the_fast_average_where_the_slow_one_begins() -> None:
    bars = made([1, 2, 4, 8, 16])
    # At bar 2: mean(2, 4) - mean(1, 2, 4); weights 2/3 and 1/2 from there on.
    fast = [3.0, 3.0 + 5.0 * 2 / 3]
    slow = [7 / 3, 7 / 3 + (8 - 7 / 3) / 2]
    values = compute_indicator("macd", {"fast": 2, "slow": 3, "signal": 2}, bars)
    same(values["macd"][:4].tolist(), [NAN, NAN, fast[0] - slow[0], fast[1] - slow[1]])
    signal = (fast[0] - slow[0] + fast[1] - slow[1]) / 2
    same(values["signal"][:4].tolist(), [NAN, NAN, NAN, signal])
    same(values["histogram"][:4].tolist(), [NAN, NAN, NAN, fast[1] - slow[1] - signal])


def test_bollinger_bands_stand_a_population_deviation_apart() -> None:
    values = compute_indicator("bollinger", {"length": 4, "width": 2}, made([2, 4, 4, 6]))
    deviation = math.sqrt(2.0)
    assert values["middle"][3] == 4.0
    assert values["upper"][3] == pytest.approx(4.0 + 2 * deviation, rel=1e-15)
    assert values["lower"][3] == pytest.approx(4.0 - 2 * deviation, rel=1e-15)
    assert values["percent_b"][3] == pytest.approx((2 + 2 * deviation) / (4 * deviation))
    assert values["bandwidth"][3] == pytest.approx(deviation)


def test_atr_counts_gaps_and_skips_the_first_bar() -> None:
    # True ranges: none, 4 (gap up from 10 to 14), 5 (gap down from 13 to 8), 2.
    bars = made([10, 13, 9, 10], high=[11, 14, 10, 11], low=[9, 12, 8, 9])
    values = compute_indicator("atr", {"length": 2}, bars)
    same(values["value"].tolist(), [NAN, NAN, 4.5, 3.25])
    same(values["percent"].tolist(), [NAN, NAN, 0.5, 0.325])


def test_obv_adds_rising_and_subtracts_falling_volume() -> None:
    bars = made([5, 6, 6, 4], volume=[10, 3, 8, 4])
    values = compute_indicator("obv", {"length": 2}, bars)
    assert values["value"].tolist() == [10, 13, 13, 9]
    same(values["average"].tolist(), [NAN, 11.5, 13.0, 11.0])


def test_adx_of_a_steady_climb_is_one_hundred() -> None:
    close = [float(i) for i in range(10, 20)]
    bars = made(close, high=[x + 1 for x in close], low=[x - 1 for x in close])
    values = compute_indicator("adx", {"length": 3}, bars)
    # Each bar moves up 1 and ranges over 2: half of the range is directional.
    same(values["plus_di"][3:].tolist(), [50.0] * 7)
    assert values["minus_di"][3:].tolist() == [0.0] * 7
    same(values["adx"][5:].tolist(), [100.0] * 5)
    assert np.isnan(values["adx"][:5]).all()


def test_stochastic_places_the_close_in_its_range_and_smooths_twice() -> None:
    bars = made([5, 5, 8, 2], high=[10, 10, 10, 10], low=[0, 0, 0, 0])
    values = compute_indicator("stochastic", {"length": 2, "smooth": 2, "signal": 1}, bars)
    same(values["k"].tolist(), [NAN, NAN, 65.0, 50.0])
    same(values["d"].tolist(), [NAN, NAN, 65.0, 50.0])


def test_aroon_takes_the_newest_of_equal_extremes() -> None:
    bars = made([2, 2, 2, 2], high=[9, 5, 9, 4], low=[1, 2, 2, 2])
    values = compute_indicator("aroon", {"length": 3}, bars)
    assert values["up"][3] == pytest.approx(100 * 2 / 3)
    assert values["down"][3] == 0.0
    assert values["oscillator"][3] == pytest.approx(100 * 2 / 3)


def test_mfi_weighs_flows_by_the_typical_price() -> None:
    bars = made([10, 12, 11, 11], volume=[1, 5, 4, 100])
    # Inflow 12 x 5, outflow 11 x 4, and an unchanged bar that flows nowhere.
    same(column("mfi", "value", bars, length=2), [NAN, NAN, 6000 / 104, 0.0])


def test_mfi_does_not_read_a_direction_out_of_rounding() -> None:
    # Both bars sum to 9767.81; their thirds differ in the last bit.
    bars = made(
        [3250.07, 3260.8, 3255.41, 3265.01],
        high=[3263.5, 3260.99, 3260.8, 3266.64],
        low=[3248.56, 3246.02, 3251.6, 3251.0],
        volume=[1, 2, 1000, 2],
    )
    assert column("mfi", "value", bars, length=3)[3] == 100.0


def test_cci_scales_by_the_mean_absolute_deviation() -> None:
    # Typical 1, 2, 6: mean 3, deviations 2 + 1 + 3 over 3.
    assert column("cci", "value", made([1, 2, 6]), length=3)[2] == pytest.approx(3 / (0.015 * 2))


def test_donchian_prior_bands_leave_the_bar_itself_out() -> None:
    bars = made([2, 3, 9], high=[3, 4, 10], low=[1, 2, 8])
    values = compute_indicator("donchian", {"length": 2}, bars)
    same(values["upper"].tolist(), [NAN, 4, 10])
    same(values["middle"].tolist(), [NAN, 2.5, 6.0])
    same(values["lower"].tolist(), [NAN, 1, 2])
    same(values["prior_upper"].tolist(), [NAN, NAN, 4])
    same(values["prior_lower"].tolist(), [NAN, NAN, 1])


def test_keltner_bands_are_average_true_ranges_around_the_ema() -> None:
    bars = made([10, 13, 9], high=[11, 14, 10], low=[9, 12, 8])
    values = compute_indicator("keltner", {"length": 2, "multiple": 2}, bars)
    middle = 11.5 + (9 - 11.5) * 2 / 3
    same(values["middle"].tolist(), [NAN, 11.5, middle])
    same(values["upper"].tolist(), [NAN, NAN, middle + 9.0])
    same(values["lower"].tolist(), [NAN, NAN, middle - 9.0])


def test_vwap_restarts_with_the_utc_day() -> None:
    last_hour = 19_000 * MS_PER_DAY - 3_600_000
    bars = made([10, 20, 40, 10], volume=[1, 3, 2, 2], start_at=last_hour, step_ms=1_800_000)
    same(column("vwap", "value", bars), [10.0, 17.5, 40.0, 25.0])


def test_vwap_is_undefined_until_the_day_has_volume() -> None:
    bars = made([10, 20, 40], volume=[0, 0, 2])
    same(column("vwap", "value", bars), [NAN, NAN, 40.0])


def test_roc_is_a_percentage_of_the_old_close() -> None:
    same(column("roc", "value", made([4, 5, 3]), length=2), [NAN, NAN, -25.0])


def test_williams_r_runs_from_minus_one_hundred_to_zero() -> None:
    bars = made([5, 0, 10], high=[10, 10, 10], low=[0, 0, 0])
    same(column("williams_r", "value", bars, length=2), [NAN, -100.0, 0.0])


def test_volume_ratio_is_undefined_while_nothing_trades() -> None:
    bars = made([1, 1, 1, 1], volume=[0, 0, 3, 1])
    same(column("volume_ratio", "value", bars, length=2), [NAN, NAN, 2.0, 0.5])
    same(column("volume_sma", "value", bars, length=2), [NAN, 0.0, 1.5, 2.0])


@pytest.mark.parametrize("name", sorted(INDICATOR_SPECS))
def test_every_output_of_the_specification_is_computed(name: str) -> None:
    bars = noisy(60)
    values = compute_indicator(name, {}, bars)
    assert list(values) == [output.name for output in INDICATOR_SPECS[name].outputs]
    for output in values.values():
        assert output.dtype == np.float64
        assert output.shape == (60,)


@pytest.mark.parametrize("name", sorted(INDICATOR_SPECS))
def test_warm_up_ends_where_every_output_is_defined(name: str) -> None:
    for offset in range(len(INDICATOR_SPECS[name].parameters) + 1):
        params = {
            parameter.name: parameter.default + (1 if offset == i + 1 else 0)
            for i, parameter in enumerate(INDICATOR_SPECS[name].parameters)
        }
        warmup = warmup_bars(name, params)
        values = np.array(list(compute_indicator(name, params, noisy(120)).values()))
        assert not np.isnan(values[:, warmup:]).any()
        assert warmup == 0 or np.isnan(values[:, warmup - 1]).any()


@pytest.mark.parametrize("name", sorted(INDICATOR_SPECS))
def test_too_few_bars_give_nothing_instead_of_an_error(name: str) -> None:
    warmup = warmup_bars(name, {})
    for n_bars in {0, 1, 2, max(warmup - 1, 0), warmup}:
        values = compute_indicator(name, {}, noisy(n_bars))
        assert all(output.shape == (n_bars,) for output in values.values())
        assert n_bars == 0 or warmup == 0 or any(np.isnan(output[-1]) for output in values.values())
    longest = {p.name: p.high for p in INDICATOR_SPECS[name].parameters if p.name == "length"}
    if longest and name != "obv":
        values = compute_indicator(name, longest, noisy(30))
        assert all(np.isnan(output).all() for output in values.values())


@pytest.mark.parametrize("price", [0.1, 1 / 3, 61_234.57, 1e-7])
@pytest.mark.parametrize("name", sorted(INDICATOR_SPECS))
def test_a_flat_market_without_volume_has_its_documented_values(name: str, price: float) -> None:
    expected = {
        "rsi": 0.0,
        "mfi": 0.0,
        "cci": 0.0,
        "roc": 0.0,
        "williams_r": 0.0,
        "volume_sma": 0.0,
        "volume_ratio": NAN,
        "vwap": NAN,
    }
    by_output = {
        "macd": {"macd": 0.0, "signal": 0.0, "histogram": 0.0},
        "bollinger": {
            "upper": price,
            "middle": price,
            "lower": price,
            "percent_b": NAN,
            "bandwidth": 0.0,
        },
        "atr": {"value": 0.0, "percent": 0.0},
        "obv": {"value": 0.0, "average": 0.0},
        "adx": {"adx": 0.0, "plus_di": 0.0, "minus_di": 0.0},
        "stochastic": {"k": 0.0, "d": 0.0},
        "aroon": {"up": 100.0, "down": 100.0, "oscillator": 0.0},
    }
    values = compute_indicator(name, {}, flat(price, 70))
    for output, column_ in values.items():
        # Averages and channels of equal prices are that price, to the last bit.
        wanted = by_output.get(name, {}).get(output, expected.get(name, price))
        last = float(column_[-1])
        assert last == wanted or (math.isnan(last) and math.isnan(wanted)), (output, last, wanted)
        assert not math.isnan(last) or (name, output) in MAY_BE_UNDEFINED


def test_read_only_and_strided_bars_give_the_same_bits() -> None:
    bars = noisy(90)
    wide = np.array([bars.open, bars.high, bars.low, bars.close, bars.volume]).T.copy()
    wide.flags.writeable = False
    strided = Bars(bars.timestamp, *(wide[:, i] for i in range(5)))
    for name in INDICATOR_SPECS:
        ours = compute_indicator(name, {}, bars)
        theirs = compute_indicator(name, {}, strided)
        for output in ours:
            assert ours[output].tobytes() == theirs[output].tobytes()


def test_bars_are_left_as_they_were() -> None:
    bars = noisy(90)
    before = bars.content_hash()
    for name in INDICATOR_SPECS:
        compute_indicator(name, {}, bars)
    assert bars.content_hash() == before
    assert bars.close.flags.writeable


def kernel_calls() -> list[tuple[Any, tuple[Any, ...]]]:
    bars = noisy(700)
    price, volume = read_only(bars.close), read_only(bars.volume)
    high, low = read_only(bars.high), read_only(bars.low)
    mean = read_only(window_mean_nb(price, 20))
    ranges = read_only(true_range(high, low, price))
    timestamp = bars.timestamp.view()
    timestamp.flags.writeable = False
    return [
        (window_sum_nb, (price, 20)),
        (window_mean_nb, (price, 20)),
        (window_deviation_nb, (price, mean, 20)),
        (window_mean_deviation_nb, (price, mean, 20)),
        (smoothed_nb, (price, 3, 14, 1.0 / 14)),
        (window_highest_nb, (price, 21)),
        (bars_since_highest_nb, (price, 25)),
        (relative_strength_nb, (price, 14)),
        (directional_nb, (high, low, ranges, 14)),
        (day_vwap_nb, (timestamp, price, volume)),
    ]


@pytest.mark.parametrize("call", kernel_calls(), ids=lambda call: call[0].__name__)
def test_compiled_loops_give_the_bits_of_the_interpreter(call: tuple[Any, Any]) -> None:
    # A fused multiply-add or a reordered sum, which a Worker cannot repeat, would show here.
    kernel, arguments = call
    ours = kernel(*arguments)
    interpreted = kernel.py_func(*arguments)
    for compiled, plain in zip(np.atleast_2d(ours), np.atleast_2d(interpreted), strict=True):
        assert compiled.tobytes() == plain.tobytes()


def test_every_loop_is_compiled_for_one_kind_of_argument_only() -> None:
    writable = noisy(60)
    shared = noisy(60)
    for column_ in (shared.open, shared.high, shared.low, shared.close, shared.volume):
        column_.flags.writeable = False
    for name in INDICATOR_SPECS:
        compute_indicator(name, {}, writable)
        compute_indicator(name, {}, shared)
    assert {kernel.__name__: len(kernel.signatures) for kernel, _ in kernel_calls()} == {
        kernel.__name__: 1 for kernel, _ in kernel_calls()
    }


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("smma", {}, "unknown indicator 'smma'"),
        ("sma", {"len": 5}, "no parameter 'len': it takes length"),
        ("vwap", {"length": 5}, "no parameter 'length': it takes none"),
        ("sma", {"length": 1}, "sma.length = 1: use 2 to 500"),
        ("sma", {"length": NAN}, "sma.length = nan: use 2 to 500"),
        ("sma", {"length": 5.5}, "sma.length = 5.5: use a whole number"),
        ("bollinger", {"width": 0.0}, "bollinger.width = 0: use 0.1 to 10"),
        ("macd", {"fast": 26, "slow": 26}, "macd.fast = 26 must be below macd.slow = 26"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(
    name: str, params: dict[str, float], words: str
) -> None:
    with pytest.raises(StrategyError, match=re.escape(words)):
        compute_indicator(name, params, noisy(10))
    with pytest.raises(StrategyError, match=re.escape(words)):
        warmup_bars(name, params)


def test_emas_computed_together_have_the_bits_of_each_alone() -> None:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(8).standard_normal(700) * 0.01))
    bars = Bars(np.arange(700) * 300_000, close, close, close, close, np.ones(700))
    lengths = (2, 5, 9, 12, 26, 200, 500)
    emas = [IndicatorOperand(name="ema", params={"length": length}) for length in lengths]
    for kept in (700, 300, 3):
        part = bars.slice(0, kept)
        together = compute_columns(part, "5m", emas)
        for ema in emas:
            alone = compute_indicator("ema", ema.params, part)["value"]
            np.testing.assert_array_equal(together.get(ema.key), alone)
