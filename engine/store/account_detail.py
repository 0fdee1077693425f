"""What is known of an account beyond its numbers: limits in use, timers, drill, breakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit and how much of it is used.

    Attributes
    ----------
    rule : its name in the settings, such as drawdown_reduce_frac
    value, limit : in `unit`; None when the value is not known yet
    unit : as in the settings, such as fraction of equity, USDT, orders a minute
    is_hard : a breach halts, reduces or refuses; otherwise it is an alert only
    words : what it is about (the symbol that is largest), may be empty
    """

    rule: str
    value: float | None
    limit: float
    unit: str
    is_hard: bool = True
    words: str = ""


@dataclass(frozen=True, slots=True)
class BreakerState:
    """One breaker.

    Attributes
    ----------
    name : such as daily_loss
    is_tripped : whether it holds trading back now
    words : the numbers, and what it did, for the operator
    at : UTC ms of the trip, None when it is not tripped
    """

    name: str
    is_tripped: bool
    words: str = ""
    at: int | None = None


@dataclass(frozen=True, slots=True)
class AccountDetail:
    """The rest of an account.

    Attributes
    ----------
    limits : most important first
    breakers : every breaker, tripped or not
    has_dead_man : whether the venue cancels all orders when it is not told that we live
    dead_man_s : that timer in s, None without one
    dead_man_at : UTC ms when it was told last
    lease_s : the age in s at which the gateway's lease ends
    reconciled_at : UTC ms of the last clean reconciliation
    n_unknown : orders whose fate is being asked for
    clock_at : UTC ms of the account's own clock when this was told, which a replayed market has of
        another year; None where it is the venue's
    """

    limits: tuple[LimitUse, ...] = ()
    breakers: tuple[BreakerState, ...] = ()
    has_dead_man: bool = False
    dead_man_s: float | None = None
    dead_man_at: int | None = None
    lease_s: float | None = None
    reconciled_at: int | None = None
    n_unknown: int = 0
    clock_at: int | None = None


def detail_values(detail: AccountDetail) -> dict[str, Any]:
    """Return the detail as JSON values."""
    return asdict(detail)


def detail_of(values: Mapping[str, Any]) -> AccountDetail:
    """Return the detail that `detail_values` was given; what is missing or unknown is left out."""
    given = {name: value for name, value in values.items() if name in _NAMES}
    given["limits"] = _items(LimitUse, given.get("limits", ()))
    given["breakers"] = _items(BreakerState, given.get("breakers", ()))
    return AccountDetail(**given)


_NAMES = frozenset(field.name for field in fields(AccountDetail))


def _items(kind: Any, rows: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    names = {field.name for field in fields(kind)}
    return tuple(kind(**{key: row[key] for key in row if key in names}) for row in rows)
