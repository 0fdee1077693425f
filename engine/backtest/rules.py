"""What the kernel needs to know of a strategy besides its decisions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from engine.backtest.costs import Costs
from engine.strategy.genome import Genome, Sizing
from engine.types import FloatArray


class ExitReason(IntEnum):
    """Why a trade ended."""

    STOP = 0
    TRAILING = 1
    TARGET = 2
    SIGNAL = 3
    TIME = 4
    RUIN = 5


# Positions in the rules vector that the kernel reads.
STOP, TARGET, TRAILING, MAX_BARS, SIZE, KELLY, ON_OPPOSITE, COMMISSION, SLIPPAGE, INITIAL = range(
    10
)
N_RULES = 10
N_EXIT_RULES = 4
"""The first of them, which may differ from entry to entry."""

NEVER = 2.0**62


@dataclass(frozen=True, slots=True)
class Rules:
    """Exits, size and costs of one run.

    Attributes
    ----------
    stop_frac, target_frac, trailing_frac : fraction of the entry's fill price, None for none
    max_bars : exit at the open of entry bar + max_bars, None for never
    size_frac : notional at entry as a fraction of equity, in (0, 3]; commission is paid out of it
    kelly : lower the size by the half-Kelly fraction of the trades so far
    on_opposite : an opposite entry closes, and opens at the same open
    """

    stop_frac: float | None = None
    target_frac: float | None = None
    trailing_frac: float | None = None
    max_bars: int | None = None
    size_frac: float = 1.0
    kelly: bool = False
    on_opposite: bool = True

    @classmethod
    def of(cls, genome: Genome) -> Rules:
        """Return the rules of a genome."""
        exits = genome.exits
        return cls(
            stop_frac=exits.stop_frac,
            target_frac=exits.target_frac,
            trailing_frac=exits.trailing_frac,
            max_bars=exits.max_bars,
            size_frac=genome.notional_frac(),
            kelly=genome.risk.sizing is Sizing.KELLY,
            on_opposite=exits.on_opposite,
        )

    def write(self, out: FloatArray, costs: Costs, initial_capital_quote: float) -> None:
        """Write the kernel's rules vector, shape (N_RULES,), NaN for what is absent."""
        out[STOP] = self.stop_frac
        out[TARGET] = self.target_frac
        out[TRAILING] = self.trailing_frac
        out[MAX_BARS] = NEVER if self.max_bars is None else self.max_bars
        out[SIZE] = self.size_frac
        out[KELLY] = self.kelly
        out[ON_OPPOSITE] = self.on_opposite
        out[COMMISSION] = costs.commission_frac
        out[SLIPPAGE] = costs.slippage_frac
        out[INITIAL] = initial_capital_quote
