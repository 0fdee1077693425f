"""The indicators: every output of each, over all bars at once, and how many bars each needs.

What exists and which parameters it takes stands in `indicator_specs.py`; the loops are in
`averages.py`, `channels.py`, `oscillators.py` and `volume_flow.py`. Each formula is plain float64
arithmetic (+ - x / and square root) in one written order, so that a Worker repeats it bit for bit,
one closed bar at a time. Definitions and seeds follow TA-Lib (1e-9 after warm-up); where a
definition has a hole (no range, no volume, no deviation) the docstring says what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.errors import StrategyError
from engine.strategy.averages import (
    smoothed_nb,
    window_deviation_nb,
    window_mean_deviation_nb,
    window_mean_nb,
)
from engine.strategy.channels import (
    bars_since_highest_nb,
    percent_of_range,
    true_range,
    window_highest_nb,
    window_lowest,
)
from engine.strategy.compiled import read_only
from engine.strategy.indicator_specs import IndicatorSpec, indicator_spec
from engine.strategy.oscillators import directional_nb, relative_strength_nb
from engine.strategy.volume_flow import (
    TIE_FRAC,
    day_vwap_nb,
    money_flow_index,
    on_balance_volume,
    typical_price,
)
from engine.types import Bars, FloatArray

Outputs = dict[str, FloatArray]
Parameters = Mapping[str, float]


@dataclass(slots=True)
class SharedSeries:
    """What several indicators of the same bars are made of, worked out once.

    Attributes
    ----------
    windows : mean and deviation of the close by length, for bands of several widths
    """

    windows: dict[int, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    _ranges: FloatArray | None = None

    def true_range(self, bars: Bars) -> FloatArray:
        """Return the true range of the bars, read-only."""
        if self._ranges is None:
            self._ranges = read_only(true_range(bars.high, bars.low, bars.close))
        return self._ranges


@dataclass(frozen=True, slots=True)
class _Indicator:
    compute: Callable[..., Outputs]
    warmup: Callable[[Parameters], int]
    takes_shared: bool = False


def compute_indicator(name: str, params: Mapping[str, float], bars: Bars) -> dict[str, FloatArray]:
    """Return every output of one indicator over all bars.

    Parameters
    ----------
    name : a key of `INDICATOR_SPECS`
    params : values by parameter name; what is missing takes its default
    bars : Bars, finite, any number of them

    Returns
    -------
    dict of ndarray of shape (n_bars,), float64, by output name in the order of the specification;
    units as there. NaN during the warm-up (all NaN when there are too few bars) and where a
    docstring below says so. The value at bar t depends on bars up to t only.

    Raises
    ------
    StrategyError : unknown indicator or parameter, or a parameter outside its range.
    """
    return compute_among(name, params, read_only_bars(bars), SharedSeries())


def compute_among(
    name: str, params: Mapping[str, float], bars: Bars, shared: SharedSeries
) -> dict[str, FloatArray]:
    """Do what `compute_indicator` does for one of many indicators of the same bars.

    Parameters
    ----------
    bars : made by `read_only_bars`
    shared : of these bars, read and added to
    """
    spec = indicator_spec(name)
    complete = _complete(spec, params)
    indicator = _INDICATORS[name]
    arguments = (shared,) if indicator.takes_shared else ()
    outputs = indicator.compute(bars, complete, *arguments)
    return {output.name: outputs[output.name] for output in spec.outputs}


def warmup_bars(name: str, params: Mapping[str, float]) -> int:
    """Return the index of the first bar at which every output of the indicator is defined.

    Raises
    ------
    StrategyError : unknown indicator or parameter, or a parameter outside its range.
    """
    complete = _complete(indicator_spec(name), params)
    return _INDICATORS[name].warmup(complete)


def _complete(spec: IndicatorSpec, params: Mapping[str, float]) -> dict[str, float]:
    complete = {parameter.name: parameter.default for parameter in spec.parameters}
    unknown = params.keys() - complete.keys()
    if unknown:
        known = ", ".join(complete) or "none"
        raise StrategyError(
            f"{spec.name} has no parameter {min(unknown)!r}: it takes {known}", indicator=spec.name
        )
    complete.update(params)
    for parameter in spec.parameters:
        value = complete[parameter.name]
        if not parameter.low <= value <= parameter.high:
            raise StrategyError(
                f"{spec.name}.{parameter.name} = {value:g}: use {parameter.low:g} to "
                f"{parameter.high:g}",
                indicator=spec.name,
                parameter=parameter.name,
            )
        if parameter.is_integer and value != int(value):
            raise StrategyError(
                f"{spec.name}.{parameter.name} = {value:g}: use a whole number",
                indicator=spec.name,
                parameter=parameter.name,
            )
    if spec.name == "macd" and complete["fast"] >= complete["slow"]:
        raise StrategyError(
            f"macd.fast = {complete['fast']:g} must be below macd.slow = {complete['slow']:g}",
            indicator="macd",
            parameter="fast",
        )
    return complete


def read_only_bars(bars: Bars) -> Bars:
    """Return the bars with read-only columns; see `read_only`."""
    timestamp = np.ascontiguousarray(bars.timestamp, dtype=np.int64).view()
    timestamp.flags.writeable = False
    return Bars(
        timestamp,
        read_only(bars.open),
        read_only(bars.high),
        read_only(bars.low),
        read_only(bars.close),
        read_only(bars.volume),
    )


def _length(params: Parameters) -> int:
    return int(params["length"])


def _ema(values: FloatArray, length: int, start: int = 0) -> FloatArray:
    return smoothed_nb(read_only(values), start, length, 2.0 / (length + 1))


def _average_true_range(bars: Bars, length: int, shared: SharedSeries) -> FloatArray:
    return smoothed_nb(shared.true_range(bars), 1, length, 1.0 / length)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    # A quotient over zero is undefined: NaN, never infinite.
    quotient = np.full(numerator.shape[0], np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0.0)
    return quotient


def _sma(bars: Bars, params: Parameters) -> Outputs:
    """Mean of the last `length` closes."""
    return {"value": window_mean_nb(bars.close, _length(params))}


def _exponential(bars: Bars, params: Parameters) -> Outputs:
    """Start from a mean, then e += (close - e) x 2 / (length + 1).

    The seed, at bar length - 1, is the mean of the first `length` closes.
    """
    return {"value": _ema(bars.close, _length(params))}


def _rsi(bars: Bars, params: Parameters) -> Outputs:
    """Wilder 1978; see `relative_strength_nb`."""
    return {"value": relative_strength_nb(bars.close, _length(params))}


def _macd(bars: Bars, params: Parameters) -> Outputs:
    """Fast EMA - slow EMA, its EMA, and their difference (Appel 1979).

    Both averages start at bar slow - 1, the fast one with the mean of the `fast` closes up to there
    (TA-Lib); the signal starts with the mean of the first `signal` values.
    """
    fast, slow, signal = int(params["fast"]), int(params["slow"]), int(params["signal"])
    spread = _ema(bars.close, fast, slow - fast) - _ema(bars.close, slow)
    signal_line = _ema(spread, signal, slow - 1)
    return {"macd": spread, "signal": signal_line, "histogram": spread - signal_line}


def _bollinger(bars: Bars, params: Parameters, shared: SharedSeries) -> Outputs:
    """Mean of the close plus and minus `width` population standard deviations (Bollinger 2001).

    percent_b = (close - lower) / (upper - lower), NaN without deviation; bandwidth = (upper -
    lower) / middle.
    """
    length = _length(params)
    held = shared.windows.get(length)
    if held is None:
        mean = window_mean_nb(bars.close, length)
        held = (mean, window_deviation_nb(bars.close, read_only(mean), length))
        shared.windows[length] = held
    middle, deviation = held
    reach = params["width"] * deviation
    upper, lower = middle + reach, middle - reach
    spread = upper - lower
    return {
        "upper": upper,
        "middle": middle,
        "lower": lower,
        "percent_b": _ratio(bars.close - lower, spread),
        "bandwidth": _ratio(spread, middle),
    }


def _atr(bars: Bars, params: Parameters, shared: SharedSeries) -> Outputs:
    """True range smoothed with weight 1 / length (Wilder 1978).

    The seed, at bar `length`, is the mean of bars 1 to length.
    percent = value / close, a fraction.
    """
    value = _average_true_range(bars, _length(params), shared)
    return {"value": value, "percent": _ratio(value, bars.close)}


def _obv(bars: Bars, params: Parameters) -> Outputs:
    """Granville 1963; see `on_balance_volume`. average = its mean over `length` bars."""
    value = on_balance_volume(bars.close, bars.volume)
    return {"value": value, "average": window_mean_nb(read_only(value), _length(params))}


def _adx(bars: Bars, params: Parameters, shared: SharedSeries) -> Outputs:
    """Wilder 1978; see `directional_nb`."""
    ranges = shared.true_range(bars)
    adx, plus_di, minus_di = directional_nb(bars.high, bars.low, ranges, _length(params))
    return {"adx": adx, "plus_di": plus_di, "minus_di": minus_di}


def _stochastic(bars: Bars, params: Parameters) -> Outputs:
    """Where the close stands in the range of `length` bars, percent (Lane 1984).

    k = the mean of that over `smooth` bars, d = the mean of k over `signal` bars.
    A range of zero counts as 0.0 (TA-Lib).
    """
    length = _length(params)
    lowest = window_lowest(bars.low, length)
    spread = window_highest_nb(bars.high, length) - lowest
    fast_k = percent_of_range(bars.close - lowest, spread)
    k = window_mean_nb(read_only(fast_k), int(params["smooth"]))
    return {"k": k, "d": window_mean_nb(read_only(k), int(params["signal"]))}


def _aroon(bars: Bars, params: Parameters) -> Outputs:
    """How fresh the extremes of the last length + 1 bars are, percent (Chande 1995).

    up = 100 x (length - bars since the highest high) / length, down the same of the lowest low,
    oscillator = up - down in one division. Of equal extremes the newest counts.
    """
    length = _length(params)
    since_high = bars_since_highest_nb(bars.high, length)
    since_low = bars_since_highest_nb(read_only(-bars.low), length)
    return {
        "up": 100.0 * (length - since_high) / length,
        "down": 100.0 * (length - since_low) / length,
        "oscillator": 100.0 * (since_low - since_high) / length,
    }


def _mfi(bars: Bars, params: Parameters) -> Outputs:
    """Quong and Soudack 1989; see `money_flow_index`."""
    typical = typical_price(bars.high, bars.low, bars.close)
    return {"value": money_flow_index(typical, bars.volume, _length(params))}


def _cci(bars: Bars, params: Parameters) -> Outputs:
    """(typical - mean) / (0.015 x mean absolute deviation) of the typical price (Lambert 1980).

    0.0 where the deviation is zero or a rounding of the mean (TA-Lib; see `TIE_FRAC`).
    """
    length = _length(params)
    typical = read_only(typical_price(bars.high, bars.low, bars.close))
    mean = window_mean_nb(typical, length)
    deviation = window_mean_deviation_nb(typical, read_only(mean), length)
    value = np.where(np.isnan(mean), np.nan, 0.0)
    moved = deviation > TIE_FRAC * mean
    np.divide(typical - mean, 0.015 * deviation, out=value, where=moved)
    return {"value": value}


def _donchian(bars: Bars, params: Parameters) -> Outputs:
    """Highest high and lowest low of `length` bars, the bar included (Donchian 1960).

    middle = (upper + lower) / 2; prior_upper and prior_lower cover the `length` bars before the
    bar.
    """
    length = _length(params)
    upper = window_highest_nb(bars.high, length)
    lower = window_lowest(bars.low, length)
    return {
        "upper": upper,
        "middle": (upper + lower) / 2.0,
        "lower": lower,
        "prior_upper": _one_bar_later(upper),
        "prior_lower": _one_bar_later(lower),
    }


def _one_bar_later(values: FloatArray) -> FloatArray:
    later = np.full(values.shape[0], np.nan)
    later[1:] = values[:-1]
    return later


def _keltner(bars: Bars, params: Parameters, shared: SharedSeries) -> Outputs:
    """EMA of the close plus and minus `multiple` average true ranges, both over `length`.

    Keltner 1960, in the form Raschke gave it: EMA and ATR in place of plain averages.
    """
    length = _length(params)
    middle = _ema(bars.close, length)
    reach = params["multiple"] * _average_true_range(bars, length, shared)
    return {"upper": middle + reach, "middle": middle, "lower": middle - reach}


def _vwap(bars: Bars, params: Parameters) -> Outputs:
    """Berkowitz, Logue, Noser 1988; see `day_vwap_nb`. NaN while the UTC day has no volume."""
    typical = read_only(typical_price(bars.high, bars.low, bars.close))
    return {"value": day_vwap_nb(bars.timestamp, typical, bars.volume)}


def _roc(bars: Bars, params: Parameters) -> Outputs:
    """100 x (close / close `length` bars ago - 1), percent."""
    length = _length(params)
    value = np.full(len(bars), np.nan)
    if len(bars) > length:
        value[length:] = (bars.close[length:] / bars.close[:-length] - 1.0) * 100.0
    return {"value": value}


def _williams_r(bars: Bars, params: Parameters) -> Outputs:
    """100 x (close - highest high) / (highest high - lowest low) over `length` bars.

    Williams 1973. In [-100, 0]; 0.0 without range (TA-Lib).
    """
    length = _length(params)
    highest = window_highest_nb(bars.high, length)
    spread = highest - window_lowest(bars.low, length)
    return {"value": percent_of_range(bars.close - highest, spread)}


def _volume_ratio(bars: Bars, params: Parameters) -> Outputs:
    """Volume over its mean of `length` bars, the bar included; NaN where that mean is zero."""
    return {"value": _ratio(bars.volume, window_mean_nb(bars.volume, _length(params)))}


def _volume_sma(bars: Bars, params: Parameters) -> Outputs:
    """Mean of the last `length` volumes."""
    return {"value": window_mean_nb(bars.volume, _length(params))}


def _one_window(params: Parameters) -> int:
    return _length(params) - 1


def _one_change_more(params: Parameters) -> int:
    return _length(params)


def _macd_warmup(params: Parameters) -> int:
    return int(params["slow"]) + int(params["signal"]) - 2


def _adx_warmup(params: Parameters) -> int:
    return 2 * _length(params) - 1


def _stochastic_warmup(params: Parameters) -> int:
    return _length(params) + int(params["smooth"]) + int(params["signal"]) - 3


def _no_warmup(params: Parameters) -> int:
    return 0


_INDICATORS: dict[str, _Indicator] = {
    "sma": _Indicator(_sma, _one_window),
    "ema": _Indicator(_exponential, _one_window),
    "rsi": _Indicator(_rsi, _one_change_more),
    "macd": _Indicator(_macd, _macd_warmup),
    "bollinger": _Indicator(_bollinger, _one_window, takes_shared=True),
    "atr": _Indicator(_atr, _one_change_more, takes_shared=True),
    "obv": _Indicator(_obv, _one_window),
    "adx": _Indicator(_adx, _adx_warmup, takes_shared=True),
    "stochastic": _Indicator(_stochastic, _stochastic_warmup),
    "aroon": _Indicator(_aroon, _one_change_more),
    "mfi": _Indicator(_mfi, _one_change_more),
    "cci": _Indicator(_cci, _one_window),
    "donchian": _Indicator(_donchian, _one_change_more),
    "keltner": _Indicator(_keltner, _one_change_more, takes_shared=True),
    "vwap": _Indicator(_vwap, _no_warmup),
    "roc": _Indicator(_roc, _one_change_more),
    "williams_r": _Indicator(_williams_r, _one_window),
    "volume_ratio": _Indicator(_volume_ratio, _one_window),
    "volume_sma": _Indicator(_volume_sma, _one_window),
}
