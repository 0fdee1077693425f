"""What a module answered on every bar, as arrays, and what the kernel makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.backtest.rules import N_EXIT_RULES, NEVER, Rules
from engine.strategy.bits import pack
from engine.strategy.decisions import Decisions
from engine.strategy.javascript.contract import INTENTS, ScriptMeta
from engine.types import BoolArray, FloatArray, IntArray

HOLD, LONG, SHORT, FLAT = range(len(INTENTS))


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a module wants at the close of each bar.

    Attributes
    ----------
    intent, leave : ndarray of shape (n_bars,), int64, positions in `contract.INTENTS` and `LEAVES`
    stop_frac, target_frac, trailing_frac, max_bars, size_frac, confidence : ndarray of shape
        (n_bars,), float64, of the entry decided there; NaN for what is absent and without an entry
    place : ndarray of shape (n_bars,), int64, offset in the source of what was given back
    fuel : ndarray of shape (n_bars,), int64, units of fuel the bar took
    state_bytes : ndarray of shape (n_bars,), int64, of the state as JSON
    """

    intent: IntArray
    leave: IntArray
    stop_frac: FloatArray
    target_frac: FloatArray
    trailing_frac: FloatArray
    max_bars: FloatArray
    size_frac: FloatArray
    confidence: FloatArray
    place: IntArray
    fuel: IntArray
    state_bytes: IntArray

    @classmethod
    def of(cls, results: FloatArray) -> Answers:
        """Return the columns of a sandbox's results, shape (n_bars, 11)."""
        intent, leave, *numbers, place, fuel, state_bytes = np.ascontiguousarray(results.T)
        codes = (column.astype(np.int64) for column in (intent, leave))
        measures = (column.astype(np.int64) for column in (place, fuel, state_bytes))
        return cls(*codes, *numbers, *measures)

    def __len__(self) -> int:
        return int(self.intent.shape[0])

    @property
    def enters(self) -> BoolArray:
        """Return where an entry is decided, shape (n_bars,)."""
        found: BoolArray = (self.intent == LONG) | (self.intent == SHORT)
        return found

    def leaves(self, is_long: bool) -> BoolArray:
        """Return where positions of a side are to be left, shape (n_bars,)."""
        bit = 1 if is_long else 2
        found: BoolArray = (self.intent == FLAT) | ((self.leave & bit) != 0)
        return found

    def sizes(self, meta: ScriptMeta, risk_per_trade_frac: float) -> FloatArray:
        """Return the notional of each entry as a fraction of equity, shape (n_bars,).

        An entry that names no size is as large as its stop and the leverage allow.
        """
        most = np.minimum(meta.leverage, risk_per_trade_frac / self.stop_frac)
        return np.where(np.isnan(self.size_frac), most, self.size_frac)

    def decisions(self, meta: ScriptMeta, risk_per_trade_frac: float) -> Decisions:
        """Return what the kernel runs; each entry carries its own exits and size."""
        max_bars = np.where(np.isnan(self.max_bars), NEVER, self.max_bars)
        exits = np.stack((self.stop_frac, self.target_frac, self.trailing_frac, max_bars), axis=1)
        return Decisions(
            pack(self.intent == LONG),
            pack(self.intent == SHORT),
            pack(self.leaves(is_long=True)),
            pack(self.leaves(is_long=False)),
            self.sizes(meta, risk_per_trade_frac),
            np.ascontiguousarray(exits.reshape(-1, N_EXIT_RULES)),
        )


def rules_of(meta: ScriptMeta) -> Rules:
    """Return what does not differ from entry to entry."""
    return Rules(kelly=meta.is_kelly, on_opposite=meta.on_opposite)
