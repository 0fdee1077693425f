"""The ways out of a position that families choose from.

The stop also decides the size: at most 2 % of equity is lost at it.
"""

from __future__ import annotations

from engine.strategy.families.parts import Leaving, over

_STOP = over("stop_frac", 0.02, 0.03, 0.05)

TARGET = Leaving("a stop or a target", (_STOP, over("target_frac", 0.03, 0.05, 0.08)))
TRAILING = Leaving("a stop that trails", (_STOP, over("trailing_frac", 0.01, 0.02, 0.04)))
TIME = Leaving("a stop or after some bars", (_STOP, over("max_bars", 6, 12, 24, 48)))
SIGNAL = Leaving("a stop or when the signal is over", (_STOP,), takes_signal=True)
CLASSIC = Leaving("a stop or a target", (_STOP, over("target_frac", 0.05, 0.07, 0.10)))
