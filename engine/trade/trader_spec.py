"""What a strategy trader is made for."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.backtest.rules import Rules
from engine.errors import InvariantError
from engine.trade.exchange import Capabilities
from engine.trade.instrument import Instrument


@dataclass(frozen=True, slots=True)
class TraderSpec:
    """What a strategy trader is made for; all of it fixed while it lives.

    Attributes
    ----------
    bar_ms : length of a bar
    rules : exits, size; always with a stop (`exit_levels.with_defaults`)
    capital_quote : what was allocated to it at its start, > 0; gains and losses of its own trades
        come on top
    commission_frac : of notional, for the size of an entry: it is paid out of the capital
    entry_timeout_ms : age at which what is left of an entry is cancelled
    stale_ms : an entry is sent at most so long after the close of the bar that decided it
    """

    account: str
    strategy_id: str
    symbol: str
    bar_ms: int
    rules: Rules
    capital_quote: Decimal
    commission_frac: float
    instrument: Instrument
    capabilities: Capabilities
    entry_timeout_ms: int = 30_000
    stale_ms: int = 60_000

    def __post_init__(self) -> None:
        if self.rules.stop_frac is None:
            raise InvariantError(f"strategy {self.strategy_id} would trade without a stop")
        if not (self.capital_quote.is_finite() and self.capital_quote > 0):
            raise InvariantError(f"strategy {self.strategy_id} has no capital to trade with")
