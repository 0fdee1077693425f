"""What a ccxt error means for us: one table, from the kind of error and of request to our tree.

A submit or a cancel whose answer is missing may have happened; a read whose answer is missing has
not. An answer that says no is a refusal, and says what mends it. An answer that says "too many
requests" means that nothing was done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import aiohttp
import ccxt

from engine.errors import OrderStateUnknown, VenueError, VenueRejected, VenueUnavailable

Asked = Literal["submit", "cancel", "read"]
_TEXT_MAX = 300


class Refusal(StrEnum):
    """The reason of a `VenueRejected`, in its field `refusal`."""

    DUPLICATE_ID = "duplicate_id"
    """The id was used before: ask for the first order."""
    UNKNOWN_ORDER = "unknown_order"
    UNKNOWN_SYMBOL = "unknown_symbol"
    PRICE_STEP = "price_step"
    QTY_STEP = "qty_step"
    QTY_MIN = "qty_min"
    NOTIONAL_MIN = "notional_min"
    BALANCE = "balance"
    CLOCK = "clock"
    KEYS = "keys"
    PERMISSION = "permission"
    IMMEDIATE_TRIGGER = "immediate_trigger"
    ORDER = "order"
    UNSUPPORTED = "unsupported"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one kind of ccxt error means.

    Attributes
    ----------
    kinds : ccxt classes; the first row of the table that fits counts
    missing : no answer about what was asked; a submit or cancel may have happened
    refusal : why, when the venue said no; None when it did not
    remedy : what mends it, in words
    """

    kinds: tuple[type[Exception], ...]
    missing: bool = False
    refusal: Refusal | None = None
    remedy: str = ""


MEANINGS: tuple[Meaning, ...] = (
    Meaning(
        (ccxt.DDoSProtection, ccxt.RateLimitExceeded),
        remedy="too many requests: nothing was done; ask again after the wait",
    ),
    Meaning(
        (ccxt.InvalidNonce,),
        refusal=Refusal.CLOCK,
        remedy="set this machine's clock (time synchronisation on)",
    ),
    # Everything else that failed on its way: time-outs, lost connections, maintenance, garbage.
    Meaning((ccxt.OperationFailed,), missing=True),
    Meaning(
        (ccxt.DuplicateOrderId,),
        refusal=Refusal.DUPLICATE_ID,
        remedy="an order by this id is there already: ask for it",
    ),
    Meaning(
        (ccxt.OrderNotFound,), refusal=Refusal.UNKNOWN_ORDER, remedy="there is no such open order"
    ),
    Meaning(
        (ccxt.InsufficientFunds,),
        refusal=Refusal.BALANCE,
        remedy="the balance does not cover it: make it smaller, or fund the account",
    ),
    Meaning(
        (ccxt.OrderImmediatelyFillable,),
        refusal=Refusal.IMMEDIATE_TRIGGER,
        remedy="the price is past its trigger already",
    ),
    Meaning((ccxt.InvalidOrder,), refusal=Refusal.ORDER, remedy="change the order"),
    Meaning((ccxt.BadSymbol,), refusal=Refusal.UNKNOWN_SYMBOL, remedy="check the symbol"),
    Meaning(
        (ccxt.PermissionDenied, ccxt.AccountSuspended, ccxt.RestrictedLocation),
        refusal=Refusal.PERMISSION,
        remedy="give the key the right to trade this market from this address",
    ),
    Meaning(
        (ccxt.AuthenticationError,),
        refusal=Refusal.KEYS,
        remedy="check the account's keys in the environment",
    ),
    Meaning(
        (ccxt.NotSupported, ccxt.ArgumentsRequired),
        refusal=Refusal.UNSUPPORTED,
        remedy="this exchange cannot do it through its interface",
    ),
    Meaning((ccxt.BaseError,), refusal=Refusal.OTHER),
)

# What ccxt's parsers raise on an answer that is not what the exchange documents.
PARSER_ERRORS = (TypeError, ValueError, KeyError, AttributeError, IndexError)
# Exchanges that have no class of error for it say so in words.
_DUPLICATE = re.compile(
    r"duplicat\w*[ _]*(?:order|client|cl_?ord)"
    r"|(?:client|link)[\w ]*id[\w ]* duplicat",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked when it went wrong.

    Attributes
    ----------
    venue : name of the exchange, for messages
    what : such as `order pk-1f for BTC/USDT`
    fields : the same as values
    """

    venue: str
    asked: Asked
    what: str
    fields: dict[str, object]


def meaning_of(error: Exception) -> Meaning:
    """Return what an error means, whatever was asked."""
    if isinstance(error, ccxt.BaseError):
        # ccxt reports an answer that broke off half-way as if the exchange had said no.
        if isinstance(error.__cause__, aiohttp.ClientError):
            return Meaning((type(error),), missing=True)
        if isinstance(error, ccxt.ExchangeError) and _DUPLICATE.search(str(error)):
            return next(m for m in MEANINGS if m.refusal is Refusal.DUPLICATE_ID)
        return next(m for m in MEANINGS if isinstance(error, m.kinds))
    return Meaning((type(error),), missing=True)


def translated(error: Exception, question: Question, redacted: Callable[[str], str]) -> VenueError:
    """Return our error for one of ccxt's, or of an answer that cannot be read.

    Parameters
    ----------
    redacted : takes secrets out of a text
    """
    meaning = meaning_of(error)
    said = words_of(error, redacted)
    fields = {"exchange": question.venue, **question.fields}
    if meaning.refusal is not None:
        remedy = f": {meaning.remedy}" if meaning.remedy else ""
        return VenueRejected(
            f"{question.venue} refused {question.what} ({said}){remedy}",
            refusal=meaning.refusal,
            **fields,
        )
    if not meaning.missing:
        wait_s = getattr(error, "retry_after_s", 0.0)
        return VenueUnavailable(
            f"{question.venue} did not do {question.what} ({said}): {meaning.remedy}"
            + (f" of {wait_s:g} s" if wait_s else ""),
            retry_after_s=wait_s,
            **fields,
        )
    if question.asked == "read":
        return VenueUnavailable(
            f"{question.venue} gave no usable answer about {question.what} ({said}): ask again",
            **fields,
        )
    verb = "whether it was placed" if question.asked == "submit" else "how it ended"
    return OrderStateUnknown(
        f"{question.venue} gave no usable answer to {question.what} ({said}): ask {verb}, do not "
        "send it again",
        **fields,
    )


def words_of(error: BaseException, redacted: Callable[[str], str]) -> str:
    """Return the first line of an error, without secrets, led by its kind."""
    text = redacted((str(error).splitlines() or [""])[0])[:_TEXT_MAX]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
