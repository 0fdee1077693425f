"""The position monitor's rules: losses, ages, stops that are missing or were missed. Pure.

They only ever make a position smaller. Loss and age are the risk officer's own rules
(`engine/risk/position_rules.py`), by the account's clock, as the market counts; how long a stop may
be overdue is of the monotonic clock, for there it is we who are late.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from engine.risk.position_rules import PositionAction, judge_position
from engine.risk.view import Holding, TradePlan
from engine.trade.exchange import Ticker
from engine.trade.instrument import ZERO
from engine.trading_settings import Limits

STOP_OVERDUE_S = 1.0
"""How long the venue has to execute a stop whose trigger was seen."""
PROTECT_AFTER_S = 3.0
"""How long a position may be without a stop before somebody else sees to it."""
GIVE_UP_AFTER_S = 30.0
"""How long it may stay so before it is closed."""


class CloseCause(StrEnum):
    """Why a monitor closes a position."""

    LIMIT = "limit"
    """Its loss or its age."""
    STOP_MISSED = "stop missed"
    UNPROTECTED = "unprotected"
    ORPHAN = "orphan"
    """Its strategy trades no more."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One position, as far as the rules need it.

    Attributes
    ----------
    plan : what its strategy declares, None when nothing is known
    wanted_stop : where a stop should rest, quote currency; used while none does
    leaving_base : how much orders that close it at market are still working on, unsigned
    is_dust : too small for the venue to be traded
    is_orphan : its strategy trades no more
    rests_stops : the venue holds stops; where it does not, a known stop is watched by us alone
    """

    holding: Holding
    plan: TradePlan | None = None
    wanted_stop: Decimal | None = None
    leaving_base: Decimal = ZERO
    is_dust: bool = False
    is_orphan: bool = False
    rests_stops: bool = True

    @property
    def can_be_protected(self) -> bool:
        """Return whether a stop at the venue is worth insisting on.

        Where no stop can rest, insisting would close every position half a minute after its entry;
        one whose stop nobody knows is closed there all the same.
        """
        return self.rests_stops or self.stop_price is None

    @property
    def stop_price(self) -> Decimal | None:
        """Return where its stop rests, or should; None when nobody said."""
        return self.wanted_stop if self.holding.stop_price is None else self.holding.stop_price

    @property
    def is_leaving(self) -> bool:
        """Return whether orders are already closing all of it."""
        return self.leaving_base >= abs(self.holding.signed_base)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of a position before; the rules' only memory.

    Attributes
    ----------
    touched_s : monotonic s at which the price was first seen at its stop, None while it is not
    naked_s : monotonic s since which it has no full protection, None while it has
    warned : rules that were warned about already
    """

    touched_s: float | None = None
    naked_s: float | None = None
    warned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Close:
    """Close a position at market, reduce-only."""

    strategy_id: str
    symbol: str
    cause: CloseCause
    reason: str


@dataclass(frozen=True, slots=True)
class Protect:
    """Put a stop where there is none."""

    strategy_id: str
    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell the operator."""

    strategy_id: str
    symbol: str
    reason: str


PositionWish = Close | Protect | Warn


def watch_position(
    position: Watched,
    ticker: Ticker | None,
    now_at: int,
    now_s: float,
    seen: Sighting,
    limits: Limits,
) -> tuple[tuple[PositionWish, ...], Sighting]:
    """Return what is to be done about a position, and what to remember of it.

    Parameters
    ----------
    ticker : newest quotes, None when there are none: then only its age and its stop are judged
    now_at : UTC ms, the account's clock
    now_s : monotonic clock
    """
    if position.is_dust:
        return (), Sighting()
    holding = position.holding
    now = _with_sight(position, ticker, now_s, seen)
    price = None if ticker is None else (ticker.bid if holding.signed_base > 0 else ticker.ask)
    verdict = judge_position(holding, price, position.plan, now_at, limits)
    is_over = verdict.action is PositionAction.CLOSE
    cause, reason = _why_close(position, verdict.reason if is_over else "", now_s, now)
    name = (holding.strategy_id, holding.symbol)
    if cause is not None:
        close = Close(*name, cause, reason)
        return (() if position.is_leaving else (close,)), now
    wishes: list[PositionWish] = []
    if now.naked_s is not None and now_s - now.naked_s >= PROTECT_AFTER_S:
        if position.can_be_protected and not position.is_leaving:
            wishes.append(Protect(*name, "no stop at the exchange covers it"))
    # Without quotes nothing is known of its loss, and there will be some in a moment.
    if verdict.action is PositionAction.WARN and ticker is not None:
        if verdict.reason and "warn" not in now.warned:
            wishes.append(Warn(*name, verdict.reason))
            now = replace(now, warned=frozenset({"warn"}))
    elif ticker is not None:
        now = replace(now, warned=frozenset())
    return tuple(wishes), now


def _with_sight(position: Watched, ticker: Ticker | None, now_s: float, seen: Sighting) -> Sighting:
    touched_s = seen.touched_s
    if ticker is not None and position.stop_price is not None:
        if _is_touched(position.holding, position.stop_price, ticker.last):
            touched_s = now_s if touched_s is None else touched_s
        else:
            touched_s = None
    naked_s: float | None = None
    if position.holding.unprotected_base > 0:
        naked_s = now_s if seen.naked_s is None else seen.naked_s
    return replace(seen, touched_s=touched_s, naked_s=naked_s)


def _why_close(
    position: Watched, over_limit: str, now_s: float, now: Sighting
) -> tuple[CloseCause | None, str]:
    if position.is_orphan:
        return CloseCause.ORPHAN, "its strategy trades no more"
    if over_limit:
        return CloseCause.LIMIT, over_limit
    is_naked = now.naked_s is not None
    # Without a stop at the venue there is nobody to wait for.
    wait_s = 0.0 if is_naked else STOP_OVERDUE_S
    if now.touched_s is not None and now_s - now.touched_s >= wait_s:
        said = f"the price has reached its stop at {position.stop_price} and it is still open"
        return CloseCause.STOP_MISSED, said
    is_given_up = now.naked_s is not None and now_s - now.naked_s >= GIVE_UP_AFTER_S
    if now.naked_s is not None and is_given_up and position.can_be_protected:
        return CloseCause.UNPROTECTED, f"no stop could be placed for {now_s - now.naked_s:.0f} s"
    return None, ""


def _is_touched(holding: Holding, stop: Decimal, price: Decimal) -> bool:
    return price <= stop if holding.signed_base > 0 else price >= stop
