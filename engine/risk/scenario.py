"""A way that prices may go: one path for each symbol, or for each class of assets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from engine.errors import NonFiniteError, UsageError
from engine.types import FloatArray


class AssetClass(StrEnum):
    """Assets that fell alike in past crashes."""

    BITCOIN = "bitcoin"
    ETHER = "ether"
    ALTCOIN = "altcoin"
    STABLECOIN = "stablecoin"


_CLASSES = {
    AssetClass.BITCOIN: ("BTC", "XBT", "WBTC"),
    AssetClass.ETHER: ("ETH", "WETH", "STETH"),
    AssetClass.STABLECOIN: ("USDT", "USDC", "DAI", "FDUSD", "TUSD", "BUSD", "USDP", "PYUSD"),
}
_CLASS_OF = {base: kind for kind, bases in _CLASSES.items() for base in bases}


def asset_class_of(symbol: str) -> AssetClass:
    """Return the class of a symbol's base currency; what is not known by name is an altcoin."""
    return _CLASS_OF.get(symbol.partition("/")[0], AssetClass.ALTCOIN)


@dataclass(frozen=True, slots=True, eq=False)
class PricePath:
    """Steps of a price, relative to where it stood before them (1.0 = unchanged).

    Between open and close of a step every price from low to high can be traded; between the close
    of a step and the open of the next none can: a stop in between is gapped through.

    Attributes
    ----------
    open, low, high, close : ndarray of shape (n_steps,), float64, > 0, low <= open, close <= high
    """

    open: FloatArray
    low: FloatArray
    high: FloatArray
    close: FloatArray

    def __post_init__(self) -> None:
        columns = np.array([self.open, self.low, self.high, self.close])
        if columns.shape[1] == 0:
            raise UsageError("a price path needs at least one step")
        if not (np.all(np.isfinite(columns)) and np.all(columns > 0.0)):
            raise NonFiniteError("a price path must be finite and above 0")
        if np.any(self.low > np.minimum(self.open, self.close)) or np.any(
            self.high < np.maximum(self.open, self.close)
        ):
            raise UsageError("a price path must lie between its lows and highs")

    def __len__(self) -> int:
        return int(self.open.shape[0])

    @classmethod
    def of_steps(cls, *steps: tuple[float, float, float, float]) -> PricePath:
        """Return the path of (open, low, high, close) steps."""
        columns = np.array(steps, dtype=np.float64).T
        return cls(columns[0], columns[1], columns[2], columns[3])


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """Prices that go their way together.

    Attributes
    ----------
    name : short, unique, for tables
    title : one line for the operator
    source : where its numbers come from
    paths : by symbol or asset class, all of one length
    """

    name: str
    title: str
    source: str
    paths: Mapping[str, PricePath]

    def __post_init__(self) -> None:
        if len({len(path) for path in self.paths.values()}) != 1:
            raise UsageError(f"scenario {self.name} needs paths, all of one length")

    def path_of(self, symbol: str, *, is_long: bool) -> tuple[PricePath, bool]:
        """Return the path of a symbol, and whether it had to be assumed.

        A symbol without one goes the way of its class, and without that the way that is worst for
        who holds it.
        """
        known = self.paths.get(symbol, self.paths.get(asset_class_of(symbol)))
        if known is not None:
            return known, False
        paths = self.paths.values()
        if is_long:
            return min(paths, key=lambda path: float(path.close[-1])), True
        return max(paths, key=lambda path: float(path.close[-1])), True
