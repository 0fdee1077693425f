"""How each operand of a genome reads in JavaScript, and what it needs of the bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.strategy.genome import BarOperand, ConstantOperand, IndicatorOperand

Parameters = Mapping[str, float]

NUMBER_BYTES = 20
"""Room of one remembered number in the state, as JSON, with its comma."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One call into the indicator library.

    Attributes
    ----------
    call : name of the library function
    arguments : after the tape, in order
    columns : of the tape that it reads
    window_bars : bars it looks back over, its newest included
    memory_numbers : numbers it remembers from bar to bar
    is_single : it returns a number, not an object of outputs
    """

    call: str
    arguments: tuple[float, ...]
    columns: tuple[str, ...]
    window_bars: int
    memory_numbers: int
    is_single: bool


_Describe = Callable[[Parameters], Reading]
_CLOSE = ("close",)
_RANGE = ("high", "low")
_TRUE_RANGE = ("high", "low", "close")
_FLOW = ("close", "volume")
_TYPICAL = ("high", "low", "close")


def reading(operand: IndicatorOperand) -> Reading:
    """Return the library call that gives `operand`."""
    if operand.name == "obv" and operand.output == "average":
        length = int(operand.params["length"])
        return Reading("obvAverage", (length,), _FLOW, length + 1, 1, True)
    return _READINGS[operand.name](operand.params)


def number_text(value: float) -> str:
    """Return a number as JavaScript reads it back to the same bits."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def constant_name(operand: BarOperand | IndicatorOperand) -> str:
    """Return the name under which generated code keeps an operand's source."""
    suffix = "" if operand.timeframe is None else f"On{operand.timeframe}"
    if isinstance(operand, BarOperand):
        return f"{operand.field}{suffix}"
    found = reading(operand)
    numbers = "x".join(number_text(value).replace(".", "_") for value in found.arguments)
    # A name of its own: the call's is taken by the library.
    return f"{found.call}{numbers or 'Now'}{suffix}"


def operand_text(operand: BarOperand | IndicatorOperand | ConstantOperand) -> str:
    """Return the expression that reads `operand` in generated code."""
    if isinstance(operand, ConstantOperand):
        return number_text(operand.value)
    if isinstance(operand, BarOperand) or reading(operand).is_single:
        return constant_name(operand)
    return f"{constant_name(operand)}.{operand.output}"


def _length(params: Parameters) -> int:
    return int(params["length"])


def _window(call: str, columns: tuple[str, ...], more: int = 0) -> _Describe:
    def describe(params: Parameters) -> Reading:
        length = _length(params)
        return Reading(call, (length,), columns, length + more, 0, True)

    return describe


def _recurrence(
    call: str, columns: tuple[str, ...], numbers: int, *, window: int = 2, single: bool = True
) -> _Describe:
    def describe(params: Parameters) -> Reading:
        return Reading(call, (_length(params),), columns, window, numbers, single)

    return describe


def _macd(params: Parameters) -> Reading:
    lengths = (params["fast"], params["slow"], params["signal"])
    return Reading("macd", lengths, _CLOSE, 1, 6, False)


def _bollinger(params: Parameters) -> Reading:
    return Reading(
        "bollinger", (params["length"], params["width"]), _CLOSE, _length(params), 0, False
    )


def _keltner(params: Parameters) -> Reading:
    arguments = (params["length"], params["multiple"])
    return Reading("keltner", arguments, _TRUE_RANGE, 2, 4, False)


def _stochastic(params: Parameters) -> Reading:
    smooth, signal = int(params["smooth"]), int(params["signal"])
    arguments = (params["length"], params["smooth"], params["signal"])
    window = _length(params) + smooth + signal - 2
    return Reading("stochastic", arguments, _TRUE_RANGE, window, 0, False)


def _several(call: str, columns: tuple[str, ...], more: int) -> _Describe:
    def describe(params: Parameters) -> Reading:
        length = _length(params)
        return Reading(call, (length,), columns, length + more, 0, False)

    return describe


def _obv(_params: Parameters) -> Reading:
    return Reading("obv", (), _FLOW, 2, 1, True)


def _vwap(_params: Parameters) -> Reading:
    return Reading("vwap", (), ("t", "high", "low", "close", "volume"), 1, 3, True)


_READINGS: dict[str, _Describe] = {
    "sma": _window("sma", _CLOSE),
    "ema": _recurrence("ema", _CLOSE, 2, window=1),
    "rsi": _recurrence("rsi", _CLOSE, 2),
    "macd": _macd,
    "bollinger": _bollinger,
    "atr": _recurrence("atr", _TRUE_RANGE, 2, single=False),
    "obv": _obv,
    "adx": _recurrence("adx", _TRUE_RANGE, 4, single=False),
    "stochastic": _stochastic,
    "aroon": _several("aroon", _RANGE, 1),
    "mfi": _window("mfi", (*_TYPICAL, "volume"), 1),
    "cci": _window("cci", _TYPICAL),
    "donchian": _several("donchian", _RANGE, 1),
    "keltner": _keltner,
    "vwap": _vwap,
    "roc": _window("roc", _CLOSE, 1),
    "williams_r": _window("williamsR", _TYPICAL),
    "volume_ratio": _window("volumeRatio", ("volume",)),
    "volume_sma": _window("volumeSma", ("volume",)),
}
