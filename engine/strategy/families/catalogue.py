"""Every named family: one row of entry, confirmations and way out each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from engine.strategy.families import confirmations as also
from engine.strategy.families import entries as on
from engine.strategy.families.leavings import CLASSIC, SIGNAL, TARGET, TIME, TRAILING
from engine.strategy.families.parts import Confirmation, Entry, Leaving, family, line, over, when
from engine.strategy.search_space import SearchSpace

_CLASSIC_VOLUME = Confirmation(
    "volume is a multiple of its 20-bar average",
    (over("volume", 1.2, 1.5, 2.0, 2.5),),
    filters=lambda v: (when(line("volume_ratio", length=20), ">", v["volume"]),),
)

_TREND: tuple[tuple[str, Entry, Sequence[Confirmation], Leaving], ...] = (
    ("SMA_RSI", on.SMA, (also.RSI,), TARGET),
    ("SMA_ADX", on.SMA, (also.ADX,), TRAILING),
    ("SMA_MFI", on.SMA, (also.MFI,), TARGET),
    ("SMA_VOLUME", on.SMA, (also.VOLUME,), SIGNAL),
    ("EMA_RSI", on.EMA, (also.RSI,), TRAILING),
    ("EMA_STOCHASTIC", on.EMA, (also.STOCHASTIC,), TARGET),
    ("EMA_ADX", on.EMA, (also.ADX,), SIGNAL),
    ("EMA_CCI", on.EMA, (also.CCI,), TIME),
    ("SMA_CROSSOVER", on.SMA_SMA, (), SIGNAL),
    ("EMA_CROSSOVER", on.EMA_EMA, (), TARGET),
    ("SMA_EMA_CROSSOVER", on.SMA_EMA, (), TRAILING),
    ("SMA_EMA_RSI", on.SMA_EMA, (also.RSI,), TARGET),
    ("EMA_CROSSOVER_ADX", on.EMA_EMA, (also.ADX,), SIGNAL),
    ("EMA_CROSSOVER_VOLUME", on.EMA_EMA, (also.VOLUME,), TARGET),
    ("SMA_CROSSOVER_ATR", on.SMA_SMA, (also.ATR,), TRAILING),
    ("MACD_RSI", on.MACD, (also.RSI,), TARGET),
    ("MACD_ADX", on.MACD, (also.ADX,), TRAILING),
    ("MACD_EMA", on.MACD, (also.TREND,), SIGNAL),
    ("MACD_STOCHASTIC", on.MACD, (also.STOCHASTIC,), TIME),
    ("MACD_OBV", on.MACD, (also.OBV,), TARGET),
    ("MACD_ZERO_VOLUME", on.MACD_ZERO, (also.VOLUME,), SIGNAL),
    ("ADX_STOCHASTIC", on.DIRECTIONAL, (also.STOCHASTIC,), TARGET),
    ("ADX_RSI", on.DIRECTIONAL, (also.RSI,), TRAILING),
    ("ADX_MFI", on.DIRECTIONAL, (also.MFI,), TIME),
    ("ADX_EMA", on.DIRECTIONAL, (also.TREND,), TARGET),
    ("AROON_MFI", on.AROON, (also.MFI,), TARGET),
    ("AROON_ADX", on.AROON, (also.ADX,), TRAILING),
    ("AROON_RSI", on.AROON, (also.RSI,), TIME),
    ("AROON_VOLUME", on.AROON, (also.VOLUME,), TARGET),
)
_MOMENTUM: tuple[tuple[str, Entry, Sequence[Confirmation], Leaving], ...] = (
    ("ROC_VOLUME", on.ROC, (also.VOLUME,), TARGET),
    ("ROC_ADX", on.ROC, (also.ADX,), SIGNAL),
    ("ROC_RSI", on.ROC, (also.RSI,), TIME),
    ("ROC_MFI", on.ROC, (also.MFI,), TRAILING),
    ("RSI_MOMENTUM", on.RSI_RISING, (), SIGNAL),
    ("RSI_VOLUME", on.RSI_RISING, (also.VOLUME,), TARGET),
    ("RSI_EMA", on.RSI_RISING, (also.TREND,), TRAILING),
    ("CCI_ADX", on.CCI_RISING, (also.ADX,), TARGET),
    ("CCI_VOLUME", on.CCI_RISING, (also.VOLUME,), SIGNAL),
    ("CCI_MACD", on.CCI_RISING, (also.MACD,), TIME),
    ("OBV_EMA", on.OBV, (also.TREND,), SIGNAL),
    ("OBV_RSI", on.OBV, (also.RSI,), TARGET),
    ("OBV_ROC", on.OBV, (also.ROC,), TRAILING),
    ("AROON_ROC", on.AROON_OSCILLATOR, (also.ROC,), TARGET),
    ("VWAP_VOLUME", on.VWAP, (also.VOLUME,), TARGET),
    ("VWAP_ADX", on.VWAP, (also.ADX,), SIGNAL),
    ("VWAP_ROC", on.VWAP, (also.ROC,), TRAILING),
)
_BREAKOUT: tuple[tuple[str, Entry, Sequence[Confirmation], Leaving], ...] = (
    ("CLASSIC_BREAKOUT", on.CLASSIC, (_CLASSIC_VOLUME,), CLASSIC),
    ("DONCHIAN_BREAKOUT", on.TURTLE, (), SIGNAL),
    ("DONCHIAN_ADX", on.DONCHIAN, (also.ADX,), TRAILING),
    ("DONCHIAN_VOLUME", on.TURTLE, (also.VOLUME,), SIGNAL),
    ("DONCHIAN_ATR", on.DONCHIAN, (also.ATR,), TIME),
    ("BOLLINGER_BREAKOUT", on.BOLLINGER_BREAK, (), SIGNAL),
    ("BOLLINGER_SQUEEZE", on.BOLLINGER_BREAK, (also.SQUEEZE,), TARGET),
    ("BOLLINGER_VOLUME", on.BOLLINGER_BREAK, (also.VOLUME,), TRAILING),
    ("KELTNER_BREAKOUT", on.KELTNER_BREAK, (), TARGET),
    ("KELTNER_ADX", on.KELTNER_BREAK, (also.ADX,), SIGNAL),
    ("KELTNER_VOLUME", on.KELTNER_BREAK, (also.VOLUME,), TARGET),
    ("KELTNER_OBV", on.KELTNER_BREAK, (also.OBV,), TRAILING),
)
_REVERSION: tuple[tuple[str, Entry, Sequence[Confirmation], Leaving], ...] = (
    ("RSI_REVERSION", on.RSI_TURN, (), SIGNAL),
    ("RSI_PULLBACK", on.RSI_TURN, (also.TREND,), TARGET),
    ("BOLLINGER_RSI", on.BOLLINGER_LOW, (also.RSI_LOW,), SIGNAL),
    ("BOLLINGER_MFI", on.BOLLINGER_LOW, (also.MFI_LOW,), TARGET),
    ("BOLLINGER_STOCHASTIC", on.BOLLINGER_LOW, (also.STOCHASTIC_LOW,), TIME),
    ("BOLLINGER_ADX", on.BOLLINGER_LOW, (also.ADX_LOW,), SIGNAL),
    ("KELTNER_RSI", on.KELTNER_LOW, (also.RSI_LOW,), SIGNAL),
    ("KELTNER_CCI", on.KELTNER_LOW, (also.CCI_LOW,), TARGET),
    ("STOCHASTIC_RSI", on.STOCHASTIC_TURN, (also.RSI_LOW,), TARGET),
    ("STOCHASTIC_EMA", on.STOCHASTIC_TURN, (also.TREND,), SIGNAL),
    ("MFI_STOCHASTIC", on.MFI_TURN, (also.STOCHASTIC_LOW,), TARGET),
    ("MFI_ADX", on.MFI_TURN, (also.ADX_LOW,), TIME),
    ("CCI_STOCHASTIC", on.CCI_TURN, (also.STOCHASTIC_LOW,), SIGNAL),
    ("CCI_EMA", on.CCI_TURN, (also.TREND,), TARGET),
    ("WILLIAMS_CCI", on.WILLIAMS_TURN, (also.CCI_LOW,), TARGET),
    ("WILLIAMS_RSI", on.WILLIAMS_TURN, (also.RSI_LOW,), TIME),
    ("WILLIAMS_EMA", on.WILLIAMS_TURN, (also.TREND,), SIGNAL),
    ("VWAP_REVERSION", on.VWAP_FALL, (), SIGNAL),
    ("VWAP_RSI", on.VWAP_LOW, (also.RSI_LOW,), SIGNAL),
    ("VWAP_MFI", on.VWAP_LOW, (also.MFI_LOW,), TARGET),
)

FAMILIES: Mapping[str, SearchSpace] = MappingProxyType(
    {row[0]: family(*row) for row in (*_TREND, *_MOMENTUM, *_BREAKOUT, *_REVERSION)}
)
