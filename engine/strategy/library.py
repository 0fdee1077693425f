"""Hand-written strategies as genomes: the seeds of a fresh population and examples to read.

`momentum_breakout`, `momentum`, `bollinger_reversion` and `ema_trend` are written here.
Cross-exchange arbitrage holds one symbol on two exchanges at once, which no genome can say: it is
`engine.backtest.pair`, run by `paddock arbitrage`. The ml strategy needs a trained model, for which
genome v1 has no word, so it is not here. Where the original names no stop or target,
the defaults of the risk section stand: 2 % and 6 %.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import UsageError
from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Direction,
    Exits,
    Genome,
    IndicatorOperand,
    StrategyType,
)

DEFAULT_STOP_FRAC = 0.02
DEFAULT_TARGET_FRAC = 0.06


def momentum_breakout(timeframe: str) -> Genome:
    """Return: close above the highest high of the 20 bars before on 1.5 times the average volume.

    Out below the lowest low of the 10 bars before, or at +3 %.
    """
    return Genome(
        type=StrategyType.BREAKOUT,
        timeframe=timeframe,
        direction=Direction.LONG,
        long_entry=(
            Condition(
                left=BarOperand(field="close"),
                op=">",
                right=_indicator("donchian", "prior_upper", length=20),
            ),
        ),
        filters=(
            Condition(
                left=_indicator("volume_ratio", "value", length=20),
                op=">",
                right=ConstantOperand(value=1.5),
            ),
        ),
        exits=Exits(
            stop_frac=DEFAULT_STOP_FRAC,
            target_frac=0.03,
            long_conditions=(
                Condition(
                    left=BarOperand(field="close"),
                    op="<",
                    right=_indicator("donchian", "prior_lower", length=10),
                ),
            ),
        ),
    )


def momentum(timeframe: str) -> Genome:
    """Return: the close has risen more than 2 % over 14 bars."""
    return Genome(
        type=StrategyType.MOMENTUM,
        timeframe=timeframe,
        direction=Direction.LONG,
        long_entry=(
            Condition(
                left=_indicator("roc", "value", length=14),
                op=">",
                right=ConstantOperand(value=2.0),
            ),
        ),
        exits=Exits(stop_frac=DEFAULT_STOP_FRAC, target_frac=DEFAULT_TARGET_FRAC),
    )


def bollinger_reversion(timeframe: str) -> Genome:
    """Return: below the lower band (20, 2 deviations) with RSI(14) < 30; out at the middle."""
    band = {"length": 20.0, "width": 2.0}
    return Genome(
        type=StrategyType.MEAN_REVERSION,
        timeframe=timeframe,
        direction=Direction.LONG,
        long_entry=(
            Condition(
                left=BarOperand(field="close"),
                op="<",
                right=_indicator("bollinger", "lower", **band),
            ),
            Condition(
                left=_indicator("rsi", "value", length=14),
                op="<",
                right=ConstantOperand(value=30.0),
            ),
        ),
        exits=Exits(
            stop_frac=DEFAULT_STOP_FRAC,
            target_frac=DEFAULT_TARGET_FRAC,
            long_conditions=(
                Condition(
                    left=BarOperand(field="close"),
                    op=">",
                    right=_indicator("bollinger", "middle", **band),
                ),
            ),
        ),
    )


def ema_trend(timeframe: str) -> Genome:
    """Return: in when EMA(12) crosses above EMA(26), out when it crosses back."""
    fast = _indicator("ema", "value", length=12)
    slow = _indicator("ema", "value", length=26)
    return Genome(
        type=StrategyType.TREND_FOLLOWING,
        timeframe=timeframe,
        direction=Direction.LONG,
        long_entry=(Condition(left=fast, op="crosses_above", right=slow),),
        exits=Exits(
            stop_frac=DEFAULT_STOP_FRAC,
            target_frac=DEFAULT_TARGET_FRAC,
            long_conditions=(Condition(left=fast, op="crosses_below", right=slow),),
        ),
    )


LIBRARY: dict[str, Callable[[str], Genome]] = {
    "momentum_breakout": momentum_breakout,
    "momentum": momentum,
    "bollinger_reversion": bollinger_reversion,
    "ema_trend": ema_trend,
}


def library_genome(name: str, timeframe: str, market_type: str = "spot") -> Genome:
    """Return the library strategy called `name`; all are long only, so they run everywhere.

    Raises
    ------
    UsageError : no strategy of that name, or an unknown market type.
    """
    if market_type not in ("spot", "perp"):
        raise UsageError(
            f"market type {market_type!r} is neither spot nor perp", market_type=market_type
        )
    try:
        write = LIBRARY[name]
    except KeyError:
        known = ", ".join(LIBRARY)
        raise UsageError(
            f"no library strategy is called {name!r}: use one of {known}", name=name
        ) from None
    return write(timeframe)


def _indicator(name: str, output: str, **params: float) -> IndicatorOperand:
    return IndicatorOperand(name=name, output=output, params=params)
