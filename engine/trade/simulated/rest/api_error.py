"""Binance's errors: code, words and HTTP status, and which refusal becomes which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import VenueRejected
from engine.trade.simulated.refusals import Refusal


class ApiError(Exception):
    """An answer that says no.

    Parameters
    ----------
    code : Binance's, negative
    message : Binance's words
    status : HTTP status
    headers : further headers, such as Retry-After
    """

    def __init__(
        self,
        code: int,
        message: str,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the JSON object that is sent."""
        return {"code": self.code, "msg": self.message}


_SPOT: dict[Refusal, tuple[int, str]] = {
    Refusal.DUPLICATE_ID: (-2010, "Duplicate order sent."),
    Refusal.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    Refusal.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Refusal.PRICE_STEP: (-1013, "Filter failure: PRICE_FILTER"),
    Refusal.QTY_STEP: (-1013, "Filter failure: LOT_SIZE"),
    Refusal.QTY_MIN: (-1013, "Filter failure: LOT_SIZE"),
    Refusal.QTY_MAX: (-1013, "Filter failure: MARKET_LOT_SIZE"),
    Refusal.NOTIONAL_MIN: (-1013, "Filter failure: NOTIONAL"),
    Refusal.BALANCE: (-2010, "Account has insufficient balance for requested action."),
    Refusal.MARGIN: (-2019, "Margin is insufficient."),
    Refusal.NOTHING_TO_REDUCE: (-2022, "ReduceOnly Order is rejected."),
    Refusal.IMMEDIATE_TRIGGER: (-2010, "Stop price would trigger immediately."),
    Refusal.IMMEDIATE_MATCH: (-2010, "Order would immediately match and take."),
    Refusal.TOO_MANY_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    Refusal.NO_PRICE: (-2010, "Market is closed."),
    Refusal.LEVERAGE: (-4028, "Leverage is not valid"),
    Refusal.PLANNED: (-2010, "This action is disabled on this account."),
}

_PERP: dict[Refusal, tuple[int, str]] = {
    Refusal.DUPLICATE_ID: (-4116, "ClientOrderId is duplicated."),
    Refusal.PRICE_STEP: (-4014, "Price not increased by tick size."),
    Refusal.QTY_STEP: (-4023, "Qty not increased by step size."),
    Refusal.QTY_MIN: (-4004, "Quantity less than min quantity."),
    Refusal.QTY_MAX: (-4005, "Quantity greater than max quantity."),
    Refusal.NOTIONAL_MIN: (
        -4164,
        "Order's notional must be no smaller than 5 (unless you choose reduce only).",
    ),
    Refusal.IMMEDIATE_TRIGGER: (-2021, "Order would immediately trigger."),
    Refusal.IMMEDIATE_MATCH: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
    Refusal.TOO_MANY_ORDERS: (-2025, "Reach max open order limit."),
}


def of_refusal(error: VenueRejected, *, is_perp: bool) -> ApiError:
    """Return what Binance answers for a refusal of the engine."""
    reason = error.fields.get("refusal")
    if not isinstance(reason, Refusal):
        return ApiError(-1000, error.message)
    if is_perp and reason in _PERP:
        return ApiError(*_PERP[reason])
    return ApiError(*_SPOT[reason])


def absent() -> ApiError:
    """Return the error of asking for an order that does not exist."""
    return ApiError(-2013, "Order does not exist.")


def unknown() -> ApiError:
    """Return the error of cancelling an order that does not rest."""
    return ApiError(-2011, "Unknown order sent.")


def unavailable() -> ApiError:
    """Return the error of a venue that fails: what was asked for may have happened, or not."""
    words = "Unknown error, please check your request or try again later."
    return ApiError(-1000, words, status=503)


def missing(name: str) -> ApiError:
    """Return the error of a parameter that was not sent."""
    return ApiError(
        -1102,
        f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
    )


def malformed(name: str) -> ApiError:
    """Return the error of a number that is none."""
    legal = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
    return ApiError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def too_many_requests(limit: int, wait_s: float) -> ApiError:
    """Return the error of a client that asks too much."""
    return ApiError(
        -1003,
        f"Too many requests; current limit of IP is {limit} request weight per 1 MINUTE.",
        status=429,
        headers={"Retry-After": str(max(1, round(wait_s)))},
    )


def banned(until_at: int, wait_s: float) -> ApiError:
    """Return the error of a client that did not stop when told to."""
    return ApiError(
        -1003,
        f"Way too much request weight used; IP banned until {until_at}.",
        status=418,
        headers={"Retry-After": str(max(1, round(wait_s)))},
    )


def too_many_orders(limit: int) -> ApiError:
    """Return the error of too many orders at once."""
    return ApiError(
        -1015, f"Too many new orders; current limit is {limit} orders per 10 SECOND.", status=429
    )
