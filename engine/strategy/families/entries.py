"""What opens a position in the families, by theme: trend, momentum, breakout, reversion."""

from __future__ import annotations

from engine.strategy.families.parts import (
    CLOSE,
    Conditions,
    Entry,
    SeriesOperand,
    Write,
    line,
    over,
    when,
)
from engine.strategy.genome import CompareOp, Condition, StrategyType
from engine.strategy.search_space import Values

_TREND = StrategyType.TREND_FOLLOWING
_MOMENTUM = StrategyType.MOMENTUM
_BREAKOUT = StrategyType.BREAKOUT
_REVERSION = StrategyType.MEAN_REVERSION

_LENGTHS = (10, 20, 34, 50, 80, 100)
_CROSSING = (over("fast_length", 5, 8, 12, 20), over("slow_length", 26, 34, 50, 80))
_MACD = (over("macd_fast", 8, 12, 16), over("macd_slow", 26, 34, 50))


def _crossed(left: SeriesOperand, right: SeriesOperand) -> tuple[Conditions, Conditions]:
    return (when(left, "crosses_above", right),), (when(left, "crosses_below", right),)


def _crosses(left: str, right: str) -> tuple[Write, Write]:
    """Return entry and exit of a fast average crossing a slow one."""

    def both(v: Values) -> tuple[Conditions, Conditions]:
        return _crossed(line(left, length=v["fast_length"]), line(right, length=v["slow_length"]))

    return (lambda v: both(v)[0]), (lambda v: both(v)[1])


def _price_over(name: str, parameter: str) -> tuple[Write, Write]:
    """Return entry and exit of the close crossing an average."""
    return (
        lambda v: (when(CLOSE, "crosses_above", line(name, length=v[parameter])),),
        lambda v: (when(CLOSE, "crosses_below", line(name, length=v[parameter])),),
    )


# Trend

SMA = Entry(
    "the close crosses above its SMA",
    _TREND,
    (over("sma_length", *_LENGTHS),),
    *_price_over("sma", "sma_length"),
)
EMA = Entry(
    "the close crosses above its EMA",
    _TREND,
    (over("ema_length", *_LENGTHS),),
    *_price_over("ema", "ema_length"),
)
SMA_EMA = Entry("a fast EMA crosses above a slow SMA", _TREND, _CROSSING, *_crosses("ema", "sma"))
EMA_EMA = Entry("a fast EMA crosses above a slow EMA", _TREND, _CROSSING, *_crosses("ema", "ema"))
SMA_SMA = Entry("a fast SMA crosses above a slow SMA", _TREND, _CROSSING, *_crosses("sma", "sma"))
MACD = Entry(
    "MACD crosses above its signal",
    _TREND,
    (*_MACD, over("macd_signal", 5, 9)),
    lambda v: (_macd_cross(v, "crosses_above"),),
    lambda v: (_macd_cross(v, "crosses_below"),),
)
MACD_ZERO = Entry(
    "MACD crosses above zero",
    _TREND,
    _MACD,
    lambda v: (
        when(line("macd", "macd", fast=v["macd_fast"], slow=v["macd_slow"]), "crosses_above", 0.0),
    ),
    lambda v: (
        when(line("macd", "macd", fast=v["macd_fast"], slow=v["macd_slow"]), "crosses_below", 0.0),
    ),
)
DIRECTIONAL = Entry(
    "+DI crosses above -DI while ADX shows a trend",
    _TREND,
    (over("adx_length", 7, 10, 14, 20), over("adx_min", 15, 20, 25)),
    lambda v: (
        when(
            line("adx", "plus_di", length=v["adx_length"]),
            "crosses_above",
            line("adx", "minus_di", length=v["adx_length"]),
        ),
        when(line("adx", "adx", length=v["adx_length"]), ">", v["adx_min"]),
    ),
)
AROON = Entry(
    "Aroon up crosses above Aroon down",
    _TREND,
    (over("aroon_length", 10, 14, 20, 25, 50),),
    lambda v: (
        when(
            line("aroon", "up", length=v["aroon_length"]),
            "crosses_above",
            line("aroon", "down", length=v["aroon_length"]),
        ),
    ),
)

# Momentum

ROC = Entry(
    "the rate of change crosses above a level",
    _MOMENTUM,
    (over("roc_length", 5, 10, 14, 20, 30), over("roc_min", 0.0, 0.5, 1.0, 2.0)),
    lambda v: (when(line("roc", length=v["roc_length"]), "crosses_above", v["roc_min"]),),
    lambda v: (when(line("roc", length=v["roc_length"]), "<", 0.0),),
)
RSI_RISING = Entry(
    "RSI crosses above a level from its middle up",
    _MOMENTUM,
    (over("rsi_length", 7, 9, 14, 20), over("rsi_level", 50, 55, 60, 65)),
    lambda v: (when(line("rsi", length=v["rsi_length"]), "crosses_above", v["rsi_level"]),),
    lambda v: (when(line("rsi", length=v["rsi_length"]), "<", 45.0),),
)
CCI_RISING = Entry(
    "CCI crosses above a level",
    _MOMENTUM,
    (over("cci_length", 10, 14, 20, 34), over("cci_level", 50, 100, 150)),
    lambda v: (when(line("cci", length=v["cci_length"]), "crosses_above", v["cci_level"]),),
    lambda v: (when(line("cci", length=v["cci_length"]), "<", 0.0),),
)
OBV = Entry(
    "on-balance volume crosses above its average",
    _MOMENTUM,
    (over("obv_length", 10, 20, 34, 50, 100),),
    lambda v: _crossed(
        line("obv", length=v["obv_length"]), line("obv", "average", length=v["obv_length"])
    )[0],
    lambda v: _crossed(
        line("obv", length=v["obv_length"]), line("obv", "average", length=v["obv_length"])
    )[1],
)
AROON_OSCILLATOR = Entry(
    "the Aroon oscillator crosses above a level",
    _MOMENTUM,
    (over("aroon_length", 10, 14, 20, 25, 50), over("aroon_level", 0, 25, 50, 75)),
    lambda v: (
        when(
            line("aroon", "oscillator", length=v["aroon_length"]), "crosses_above", v["aroon_level"]
        ),
    ),
)
VWAP = Entry(
    "the close crosses above the day's VWAP",
    _MOMENTUM,
    (),
    lambda _v: (when(CLOSE, "crosses_above", line("vwap")),),
    lambda _v: (when(CLOSE, "crosses_below", line("vwap")),),
)

# Breakout

DONCHIAN = Entry(
    "the close breaks the highest high of the bars before",
    _BREAKOUT,
    (over("donchian_length", 10, 15, 20, 25, 30, 55),),
    lambda v: (when(CLOSE, ">", line("donchian", "prior_upper", length=v["donchian_length"])),),
)
TURTLE = Entry(
    "the close breaks the highest high of the bars before",
    _BREAKOUT,
    (over("donchian_length", 20, 25, 30, 55), over("leave_length", 5, 10, 15)),
    lambda v: (when(CLOSE, ">", line("donchian", "prior_upper", length=v["donchian_length"])),),
    lambda v: (when(CLOSE, "<", line("donchian", "prior_lower", length=v["leave_length"])),),
)
CLASSIC = Entry(
    "the close breaks the highest high of the bars before",
    _BREAKOUT,
    (over("lookback", 10, 15, 20, 25, 30),),
    lambda v: (when(CLOSE, ">", line("donchian", "prior_upper", length=v["lookback"])),),
)
BOLLINGER_BREAK = Entry(
    "the close crosses above the upper Bollinger band",
    _BREAKOUT,
    (over("bollinger_length", 10, 20, 34, 50), over("bollinger_width", 1.5, 2.0, 2.5)),
    lambda v: (when(CLOSE, "crosses_above", _bollinger(v, "upper")),),
    lambda v: (when(CLOSE, "<", _bollinger(v, "middle")),),
)
KELTNER_BREAK = Entry(
    "the close crosses above the upper Keltner line",
    _BREAKOUT,
    (over("keltner_length", 10, 20, 34, 50), over("keltner_multiple", 1.0, 1.5, 2.0)),
    lambda v: (when(CLOSE, "crosses_above", _keltner(v, "upper")),),
    lambda v: (when(CLOSE, "<", _keltner(v, "middle")),),
)

# Reversion

RSI_TURN = Entry(
    "RSI comes back above an oversold level",
    _REVERSION,
    (over("rsi_length", 7, 9, 14, 20), over("rsi_level", 25, 30, 35, 40)),
    lambda v: (when(line("rsi", length=v["rsi_length"]), "crosses_above", v["rsi_level"]),),
    lambda v: (when(line("rsi", length=v["rsi_length"]), ">", 60.0),),
)
BOLLINGER_LOW = Entry(
    "the close is below the lower Bollinger band",
    _REVERSION,
    (over("bollinger_length", 10, 20, 34), over("bollinger_width", 1.0, 1.5, 2.0)),
    lambda v: (when(CLOSE, "<", _bollinger(v, "lower")),),
    lambda v: (when(CLOSE, ">", _bollinger(v, "middle")),),
)
KELTNER_LOW = Entry(
    "the close is below the lower Keltner line",
    _REVERSION,
    (over("keltner_length", 10, 20, 34), over("keltner_multiple", 1.0, 1.5, 2.0)),
    lambda v: (when(CLOSE, "<", _keltner(v, "lower")),),
    lambda v: (when(CLOSE, ">", _keltner(v, "middle")),),
)
STOCHASTIC_TURN = Entry(
    "the stochastic comes back above an oversold level",
    _REVERSION,
    (over("stochastic_length", 9, 14, 21), over("stochastic_level", 15, 20, 30)),
    lambda v: (
        when(
            line("stochastic", "k", length=v["stochastic_length"]),
            "crosses_above",
            v["stochastic_level"],
        ),
    ),
    lambda v: (when(line("stochastic", "k", length=v["stochastic_length"]), ">", 80.0),),
)
MFI_TURN = Entry(
    "the money flow index comes back above an oversold level",
    _REVERSION,
    (over("mfi_length", 7, 10, 14, 20), over("mfi_level", 20, 30, 40)),
    lambda v: (when(line("mfi", length=v["mfi_length"]), "crosses_above", v["mfi_level"]),),
)
CCI_TURN = Entry(
    "CCI comes back above an oversold level",
    _REVERSION,
    (over("cci_length", 10, 14, 20, 34), over("cci_level", -150, -100, -50)),
    lambda v: (when(line("cci", length=v["cci_length"]), "crosses_above", v["cci_level"]),),
    lambda v: (when(line("cci", length=v["cci_length"]), ">", 50.0),),
)
WILLIAMS_TURN = Entry(
    "Williams %R comes back above an oversold level",
    _REVERSION,
    (over("williams_length", 7, 14, 21), over("williams_level", -90, -80, -70)),
    lambda v: (
        when(line("williams_r", length=v["williams_length"]), "crosses_above", v["williams_level"]),
    ),
    lambda v: (when(line("williams_r", length=v["williams_length"]), ">", -20.0),),
)
VWAP_LOW = Entry(
    "the close is below the day's VWAP",
    _REVERSION,
    (),
    lambda _v: (when(CLOSE, "<", line("vwap")),),
    lambda _v: (when(CLOSE, ">", line("vwap")),),
)
VWAP_FALL = Entry(
    "the close is below the day's VWAP after a fall",
    _REVERSION,
    (over("roc_length", 3, 5, 10, 20), over("roc_max", -2.0, -1.5, -1.0, -0.5)),
    lambda v: (
        when(CLOSE, "<", line("vwap")),
        when(line("roc", length=v["roc_length"]), "<", v["roc_max"]),
    ),
    lambda _v: (when(CLOSE, ">", line("vwap")),),
)


def _macd_cross(v: Values, op: CompareOp) -> Condition:
    lengths = {"fast": v["macd_fast"], "slow": v["macd_slow"], "signal": v["macd_signal"]}
    return when(line("macd", "macd", **lengths), op, line("macd", "signal", **lengths))


def _bollinger(v: Values, output: str) -> SeriesOperand:
    return line("bollinger", output, length=v["bollinger_length"], width=v["bollinger_width"])


def _keltner(v: Values, output: str) -> SeriesOperand:
    return line("keltner", output, length=v["keltner_length"], multiple=v["keltner_multiple"])
