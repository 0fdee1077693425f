"""On what terms bars are replayed: capital, costs, limits, and how much goes wrong."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from engine.backtest.costs import Costs
from engine.strategy.genome import Genome
from engine.trade.decision import decimal_of
from engine.trade.instrument import Instrument, MarketType
from engine.trade.simulated.faults import NO_FAULTS, Faults
from engine.trade.simulated.listing import instrument_like
from engine.trade.simulated.rules import CommissionIn, VenueRules
from engine.trading_settings import Limits, Orders
from engine.types import FloatArray

_DIGITS = 22
"""Steps of an exact instrument, relative to prices and quantities: far below a float's own."""
_EXACT_FEE_STEP = Decimal("1e-24")


@dataclass(frozen=True, slots=True)
class Entrant:
    """One strategy on one symbol.

    Attributes
    ----------
    name : for people; `strategy_id` is what orders are made out to
    """

    strategy_id: str
    name: str
    genome: Genome
    symbol: str


@dataclass(frozen=True, slots=True)
class ReplayTerms:
    """What a replay does not take from its bars.

    Attributes
    ----------
    capital_quote : > 0, of each entrant
    balance_quote : > 0, of one account that all entrants share; None gives each an account of its
        own that holds its capital
    limits : of the risk officer; None asks no officer
    default_stop_frac, default_target_frac : of an entrant that names no stop
    stale_ms : an entry is sent at most so long after the close that decided it
    is_exact : prices and quantities of any fineness, so that rounding decides nothing; otherwise
        steps and minimum sizes as real venues have them
    latency_ms : between a request and its effect, >= 0
    faults : what goes wrong at the venue
    commission_in : currency of the commission
    """

    market_type: MarketType = "perp"
    capital_quote: Decimal = Decimal(10_000)
    balance_quote: Decimal | None = None
    costs: Costs = field(default_factory=Costs)
    limits: Limits | None = None
    orders: Orders = field(default_factory=Orders)
    default_stop_frac: float = 0.02
    default_target_frac: float = 0.06
    stale_ms: int = 60_000
    is_exact: bool = True
    latency_ms: int = 0
    faults: Faults = NO_FAULTS
    commission_in: CommissionIn = "quote"

    @property
    def is_shared(self) -> bool:
        """Return whether all entrants trade in one account."""
        return self.balance_quote is not None

    @property
    def is_instant(self) -> bool:
        """Return whether nothing takes time and nothing goes wrong."""
        return self.latency_ms == 0 and self.faults == NO_FAULTS

    def hash_of(self, costs_hash: str, entrants: Sequence[Entrant]) -> str:
        """Return 16 hex digits over all that changes a result besides bars and strategy.

        Parameters
        ----------
        costs_hash : of the backtest on the same terms
        entrants : who trades; in a shared account each changes what the others may do
        """
        names = [f"{entrant.strategy_id} {entrant.symbol}" for entrant in entrants]
        parts = (
            costs_hash,
            self.market_type,
            str(self.capital_quote),
            str(self.balance_quote),
            repr(self.limits),
            repr(self.orders),
            str(self.stale_ms),
            str(self.is_exact),
            str(self.latency_ms),
            repr(self.faults),
            self.commission_in,
            *(sorted(names) if self.is_shared else ()),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def venue_rules(self) -> VenueRules:
        """Return the rules of the simulated venue."""
        return VenueRules(
            commission_frac=decimal_of(self.costs.commission_frac),
            slippage_frac=decimal_of(self.costs.slippage_frac),
            commission_in=self.commission_in,
            stops_lock=self.market_type == "spot" and not self.is_exact,
            fee_step=_EXACT_FEE_STEP if self.is_exact else Decimal("1e-8"),
        )

    def instrument(self, symbol: str, prices: FloatArray) -> Instrument:
        """Return what the venue lists for a symbol with these prices."""
        if not self.is_exact:
            return instrument_like(symbol, self.market_type, prices)
        price_digits = math.floor(math.log10(float(prices[-1])))
        capital_digits = math.floor(math.log10(float(self.capital_quote)))
        return Instrument(
            symbol=symbol,
            market_type=self.market_type,
            tick=Decimal(1).scaleb(price_digits - _DIGITS),
            lot=Decimal(1).scaleb(capital_digits - price_digits - _DIGITS),
        )
