"""What trading costs, applied to every fill."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Costs:
    """Commission and slippage of one fill.

    Attributes
    ----------
    commission_frac : fraction of the notional, in [0, 0.1]
    slippage_frac : fraction of the price, against the trader, in [0, 0.1]
    """

    commission_frac: float = 0.001
    slippage_frac: float = 0.0005

    def __post_init__(self) -> None:
        for name in ("commission_frac", "slippage_frac"):
            value = getattr(self, name)
            if not 0.0 <= value <= 0.1:
                raise ConfigError(f"{name} = {value!r} is outside 0 to 0.1", key=name, value=value)

    @property
    def hash(self) -> str:
        """Return 16 hex digits naming these costs in the ledger."""
        text = f"{self.commission_frac.hex()} {self.slippage_frac.hex()}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]
