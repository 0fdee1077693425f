"""The conditions that generators draw from: which comparisons suit which type of strategy.

All templates are written for the long side; `engine.evolve.mirror` gives the short side. A template
with levels compares with a constant; `slower` templates compare an average with a longer one of the
same kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from engine.strategy.genome import StrategyType

BAR_FIELDS = frozenset({"open", "high", "low", "close", "volume"})
Op = Literal["<", ">", "crosses_above", "crosses_below", "rising", "falling"]


@dataclass(frozen=True)
class Template:
    """One way to write a condition.

    Attributes
    ----------
    left, right : `close`, `ema` (output `value`) or `bollinger.upper`; `right` None compares with a
        level
    levels : constants on timeframes under one hour
    coarse_levels : constants from one hour up, where bars move more; empty means `levels`
    bars : distances of `rising` and `falling`
    is_slower : the right average is longer than the left one
    """

    left: str
    op: Op
    right: str | None = None
    levels: tuple[float, ...] = ()
    coarse_levels: tuple[float, ...] = ()
    bars: tuple[int, ...] = ()
    is_slower: bool = False

    @cached_property
    def shape(self) -> str:
        """Name this template as `condition_shape` names its conditions."""
        left = _full(self.left)
        if self.bars:
            return f"{left} {self.op}"
        return f"{left} {self.op} {'level' if self.right is None else _full(self.right)}"

    @property
    def is_shared(self) -> bool:
        """Return whether both sides are outputs of one indicator with the same parameters."""
        return (
            self.right is not None
            and not self.is_slower
            and self.left.split(".")[0] == self.right.split(".")[0]
        )


def _full(name: str) -> str:
    return name if name in BAR_FIELDS or "." in name else f"{name}.value"


_TREND = (
    Template("close", ">", "ema"),
    Template("close", ">", "sma"),
    Template("ema", ">", "ema", is_slower=True),
    Template("sma", ">", "sma", is_slower=True),
    Template("macd.macd", ">", levels=(0.0,)),
    Template("macd.macd", ">", "macd.signal"),
    Template("adx.plus_di", ">", "adx.minus_di"),
    Template("aroon.up", ">", "aroon.down"),
    Template("aroon.oscillator", ">", levels=(0.0, 50.0)),
    Template("ema", "rising", bars=(3, 5, 10)),
    Template("close", ">", "vwap"),
    Template("rsi", ">", levels=(50.0,)),
    Template("close", ">", "bollinger.middle"),
)
_TREND_TRIGGERS = (
    Template("ema", "crosses_above", "ema", is_slower=True),
    Template("sma", "crosses_above", "sma", is_slower=True),
    Template("close", "crosses_above", "ema"),
    Template("close", "crosses_above", "sma"),
    Template("macd.macd", "crosses_above", "macd.signal"),
    Template("macd.macd", "crosses_above", levels=(0.0,)),
    Template("adx.plus_di", "crosses_above", "adx.minus_di"),
    Template("aroon.up", "crosses_above", "aroon.down"),
    Template("ema", ">", "ema", is_slower=True),
    Template("sma", ">", "sma", is_slower=True),
    Template("close", ">", "ema"),
    Template("ema", "rising", bars=(3, 5, 10)),
)
_MOMENTUM_TRIGGERS = (
    Template("roc", ">", levels=(0.0, 0.5, 1.0), coarse_levels=(0.5, 1.0, 2.0, 3.0)),
    Template("roc", "crosses_above", levels=(0.0, 0.5), coarse_levels=(0.0, 1.0, 2.0)),
    Template("rsi", "crosses_above", levels=(50.0, 60.0, 65.0)),
    Template("rsi", ">", levels=(50.0, 60.0, 65.0, 70.0)),
    Template("macd.macd", "crosses_above", "macd.signal"),
    Template("macd.histogram", "crosses_above", levels=(0.0,)),
    Template("macd.histogram", "rising", bars=(1, 2, 3)),
    Template("stochastic.k", "crosses_above", "stochastic.d"),
    Template("stochastic.k", ">", levels=(50.0, 70.0, 80.0)),
    Template("cci", "crosses_above", levels=(0.0, 50.0, 100.0)),
    Template("cci", ">", levels=(50.0, 100.0)),
    Template("mfi", ">", levels=(50.0, 60.0, 65.0)),
    Template("williams_r", "crosses_above", levels=(-50.0, -30.0)),
    Template("adx.plus_di", "crosses_above", "adx.minus_di"),
    Template("obv.value", "crosses_above", "obv.average"),
)
_REVERSION_TRIGGERS = (
    Template("rsi", "<", levels=(25.0, 30.0, 35.0, 40.0)),
    Template("rsi", "crosses_above", levels=(25.0, 30.0, 35.0, 40.0)),
    Template("close", "<", "bollinger.lower"),
    Template("close", "crosses_above", "bollinger.lower"),
    Template("bollinger.percent_b", "<", levels=(0.0, 0.1, 0.2)),
    Template("close", "<", "keltner.lower"),
    Template("stochastic.k", "<", levels=(10.0, 20.0, 30.0)),
    Template("stochastic.k", "crosses_above", levels=(20.0, 30.0)),
    Template("williams_r", "<", levels=(-90.0, -80.0)),
    Template("cci", "<", levels=(-150.0, -100.0)),
    Template("cci", "crosses_above", levels=(-150.0, -100.0)),
    Template("mfi", "<", levels=(20.0, 25.0, 30.0, 35.0)),
    Template("roc", "<", levels=(-1.0, -0.5), coarse_levels=(-3.0, -2.0, -1.0)),
    Template("low", "<", "donchian.prior_lower"),
)
_BREAKOUT_TRIGGERS = (
    Template("close", ">", "donchian.prior_upper"),
    Template("high", ">", "donchian.prior_upper"),
    Template("close", "crosses_above", "bollinger.upper"),
    Template("close", ">", "bollinger.upper"),
    Template("close", "crosses_above", "keltner.upper"),
    Template("close", ">", "keltner.upper"),
    Template("bollinger.percent_b", ">", levels=(0.9, 1.0)),
    Template("aroon.up", ">", levels=(70.0, 90.0)),
    Template("close", "crosses_above", "vwap"),
)
_REVERSION_CONTEXTS = (
    Template("close", "<", "vwap"),
    Template("close", "<", "ema"),
    Template("rsi", "<", levels=(40.0, 50.0)),
    Template("stochastic.k", "<", levels=(30.0, 50.0)),
    Template("close", "<", "bollinger.middle"),
    *_TREND[:4],
)
_VOLUME_CONTEXTS = (
    Template("volume_ratio", ">", levels=(0.8, 1.0, 1.2)),
    Template("obv.value", ">", "obv.average"),
    Template("volume", ">", "volume_sma"),
)

FILTERS = (
    Template("volume_ratio", ">", levels=(0.5, 0.8, 1.0, 1.2, 1.5)),
    Template("volume", ">", "volume_sma"),
    Template("adx.adx", ">", levels=(15.0, 20.0, 25.0)),
    Template("adx.adx", "<", levels=(25.0, 30.0, 40.0)),
    Template("atr.percent", ">", levels=(0.001, 0.002, 0.003), coarse_levels=(0.003, 0.005, 0.01)),
    Template("atr.percent", "<", levels=(0.003, 0.005, 0.01), coarse_levels=(0.01, 0.02)),
    Template("bollinger.bandwidth", ">", levels=(0.01, 0.02), coarse_levels=(0.02, 0.03, 0.05)),
)
"""Undirected, so that they hold for both sides alike."""

TREND_FILTERS = (*_TREND[:4], Template("adx.plus_di", ">", "adx.minus_di"))
"""Directed: for one-sided genomes only."""

TRIGGERS: dict[StrategyType, tuple[Template, ...]] = {
    StrategyType.MOMENTUM: _MOMENTUM_TRIGGERS,
    StrategyType.MEAN_REVERSION: _REVERSION_TRIGGERS,
    StrategyType.BREAKOUT: _BREAKOUT_TRIGGERS,
    StrategyType.TREND_FOLLOWING: _TREND_TRIGGERS,
    StrategyType.HYBRID: (
        *_TREND_TRIGGERS,
        *_MOMENTUM_TRIGGERS,
        *_REVERSION_TRIGGERS,
        *_BREAKOUT_TRIGGERS,
    ),
}
CONTEXTS: dict[StrategyType, tuple[Template, ...]] = {
    StrategyType.MOMENTUM: (*_TREND, *_VOLUME_CONTEXTS),
    StrategyType.MEAN_REVERSION: _REVERSION_CONTEXTS,
    StrategyType.BREAKOUT: (*_TREND, *_VOLUME_CONTEXTS),
    StrategyType.TREND_FOLLOWING: (*_TREND, *_VOLUME_CONTEXTS),
    StrategyType.HYBRID: (*_TREND, *_REVERSION_CONTEXTS[:5], *_VOLUME_CONTEXTS),
}
_FADING = (
    Template("rsi", "<", levels=(35.0, 40.0, 50.0)),
    Template("macd.macd", "crosses_below", "macd.signal"),
    Template("close", "crosses_below", "ema"),
    Template("ema", "crosses_below", "ema", is_slower=True),
    Template("close", "<", "donchian.prior_lower"),
    Template("close", "crosses_below", "bollinger.middle"),
)
_REVERTED = (
    Template("close", ">", "bollinger.middle"),
    Template("close", ">", "bollinger.upper"),
    Template("rsi", ">", levels=(50.0, 60.0, 70.0)),
    Template("stochastic.k", ">", levels=(70.0, 80.0)),
    Template("close", ">", "vwap"),
    Template("close", ">", "ema"),
)
EXITS: dict[StrategyType, tuple[Template, ...]] = {
    StrategyType.MOMENTUM: _FADING,
    StrategyType.MEAN_REVERSION: _REVERTED,
    StrategyType.BREAKOUT: _FADING,
    StrategyType.TREND_FOLLOWING: _FADING,
    StrategyType.HYBRID: (*_FADING, *_REVERTED),
}
DRAWN_TYPES: tuple[StrategyType, ...] = tuple(TRIGGERS)
"""The types a genome can express by drawing; arbitrage and ml need inputs that no genome has."""
