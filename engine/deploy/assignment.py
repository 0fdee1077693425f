"""Which version decides: a position keeps the one that opened it, a new one is assigned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

ENGINE = 0
"""In place of a version: the engine decided, before anything was deployed."""

ZERO = Decimal(0)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Running:
    """A version that may open positions.

    Attributes
    ----------
    is_rolling : on its way; a live one has what the rolling one leaves
    share_frac : of the capital
    """

    version: int
    is_rolling: bool
    share_frac: float


@dataclass(frozen=True, slots=True)
class Assigned:
    """Who decides a new position, and which part of the full size it may have."""

    version: int
    scale_frac: float


def assigned(key: Key, bar_at: int, running: Sequence[Running]) -> Assigned | None:
    """Return who decides a position that would be opened at a bar; None when nobody may.

    Beside a live version a rolling one gets its share of all positions, each at full size; alone
    it gets all of them, at its share of the size. Either way it is its share of the capital, and
    the same bar is always assigned alike.

    Parameters
    ----------
    key : (strategy id, symbol)
    bar_at : UTC ms of the open of the bar that decides
    running : at most one live and one rolling version
    """
    rolling = next((one for one in running if one.is_rolling), None)
    live = next((one for one in running if not one.is_rolling), None)
    if rolling is None:
        return None if live is None else Assigned(live.version, 1.0)
    if live is None:
        return Assigned(rolling.version, rolling.share_frac)
    draw = hashlib.sha256(f"{key[0]} {key[1]} {bar_at}".encode()).digest()
    is_drawn = int.from_bytes(draw[:8], "big") < rolling.share_frac * 2**64
    return Assigned(rolling.version if is_drawn else live.version, 1.0)


@dataclass(slots=True)
class Owners:
    """Who opened what, and what came of it: a fold over the journal's notes."""

    _since: dict[Key, tuple[int, Decimal]] = field(default_factory=dict)
    _closed: dict[tuple[Key, int], Decimal] = field(default_factory=dict)

    def take(self, key: Key, version: int, net_quote: Decimal) -> None:
        """Take that positions of `key` are opened by `version` from now on, told while flat.

        Parameters
        ----------
        net_quote : what its positions had gained by then, after fees
        """
        before = self._since.get(key)
        if before is not None:
            owner, since = before
            self._closed[key, owner] = self._closed.get((key, owner), ZERO) + net_quote - since
        self._since[key] = (version, net_quote)

    def owner(self, key: Key) -> int:
        """Return which version opened the position that is there, or opened the last one."""
        return self._since.get(key, (ENGINE, ZERO))[0]

    def gains_quote(self, key: Key, version: int, net_quote: Decimal) -> Decimal:
        """Return what a version's positions have gained.

        Parameters
        ----------
        net_quote : what all positions of `key` have gained by now, after fees, open ones included
        """
        total = self._closed.get((key, version), ZERO)
        owner, since = self._since.get(key, (ENGINE, ZERO))
        return total + net_quote - since if owner == version else total

    def versions(self) -> Mapping[Key, int]:
        """Return the newest owner of each (strategy id, symbol)."""
        return {key: version for key, (version, _) in self._since.items()}
