"""Between us and ccxt: contracts, triggers, states, steps, and what its errors mean."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import aiohttp
import ccxt
import ccxt.async_support
import pytest
from ccxt.base import errors as ccxt_errors
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import OrderStateUnknown, VenueError, VenueRejected, VenueUnavailable
from engine.trade.instrument import Instrument, round_price, round_qty
from engine.trade.listing import Listing, exact, listings
from engine.trade.live_errors import MEANINGS, Question, Refusal, meaning_of, translated
from engine.trade.live_orders import fill_of, order_call, venue_order, why_imprecise, why_too_cheap
from engine.trade.orders import OrderState, OrderType, Purpose, Side
from tests.venues.live_account import limit, order, stop

D = Decimal
S = OrderState
STOPS = {"stopLossPrice": True, "takeProfitPrice": True, "triggerPrice": True}
SWAP = Listing(
    Instrument("BTC/USDT", "perp", D("0.1"), D("0.0001"), D("0.0001")), "BTC/USDT:USDT", D("0.01")
)
SPOT = Listing(Instrument("BTC/USDT", "spot", D("0.01"), D("0.00001")), "BTC/USDT", D(1))


def target(number: str, price: str) -> Any:
    return order(
        number,
        type=OrderType.TARGET,
        purpose=Purpose.TARGET,
        side=Side.SELL,
        stop_price=D(price),
    )


# Contracts


def test_perpetuals_are_counted_in_contracts_there_and_in_base_here() -> None:
    call = order_call(order("a", qty_base=D("0.1234")), SWAP, STOPS)
    assert call.amount == 12.34
    told = {"id": "7", "side": "buy", "amount": "12.34", "filled": "5", "status": "open"}
    seen = venue_order(told, SWAP, 1)
    assert (seen.qty_base, seen.filled_base, seen.state) == (D("0.1234"), D("0.05"), S.PARTIAL)
    trade = {"id": "9", "side": "buy", "amount": "5", "price": "100.5", "timestamp": 3}
    assert fill_of(trade, SWAP, "pk-a").qty_base == D("0.05")


def test_reduce_only_is_said_on_perpetuals_and_meant_on_spot() -> None:
    leaving = order("a", side=Side.SELL, purpose=Purpose.EXIT)
    assert order_call(leaving, SWAP, STOPS).params["reduceOnly"] is True
    assert "reduceOnly" not in order_call(leaving, SPOT, STOPS).params
    told = {"id": "7", "side": "sell", "amount": "1", "status": "open", "reduceOnly": None}
    assert venue_order(told, SPOT, 1).reduce_only
    assert not venue_order(told, SWAP, 1).reduce_only
    assert venue_order({**told, "info": {"closePosition": True}}, SWAP, 1).reduce_only


# Stops and targets


def test_stops_and_targets_use_what_the_exchange_has() -> None:
    assert order_call(stop("a", "80"), SWAP, STOPS).params["stopLossPrice"] == 80.0
    assert order_call(target("a", "120"), SWAP, STOPS).params["takeProfitPrice"] == 120.0
    plain = {"triggerPrice": True}
    falling = order_call(stop("a", "80"), SWAP, plain).params
    assert (falling["triggerPrice"], falling["triggerDirection"]) == (80.0, "descending")
    rising = order_call(target("a", "120"), SWAP, plain).params
    assert (rising["triggerPrice"], rising["triggerDirection"]) == (120.0, "ascending")
    with pytest.raises(VenueRejected, match="holds no stop orders") as caught:
        order_call(stop("a", "80"), SWAP, {})
    assert caught.value.fields["refusal"] is Refusal.UNSUPPORTED


# States

TOLD: list[tuple[str | None, str, str, OrderState]] = [
    ("open", "0", "1", S.ACCEPTED),
    ("open", "0.4", "1", S.PARTIAL),
    ("closed", "1", "1", S.FILLED),
    ("closed", "0.4", "1", S.CANCELED),
    ("canceled", "0.4", "1", S.CANCELED),
    ("canceling", "0.4", "1", S.PARTIAL),
    ("expired", "0", "1", S.EXPIRED),
    ("rejected", "0", "1", S.REJECTED),
    (None, "0", "1", S.ACCEPTED),
    ("something new", "0", "1", S.ACCEPTED),
]


@pytest.mark.parametrize(("status", "filled", "amount", "state"), TOLD)
def test_states_are_read(status: str | None, filled: str, amount: str, state: OrderState) -> None:
    told = {"id": "7", "side": "buy", "amount": amount, "filled": filled, "status": status}
    assert venue_order(told, SPOT, 1).state is state


def test_a_triggered_stop_without_fills_still_works() -> None:
    told = {"id": "7", "side": "sell", "amount": "1", "filled": "0", "status": "closed"}
    assert venue_order({**told, "triggerPrice": "80"}, SWAP, 1).state is S.ACCEPTED


def test_short_answers_are_filled_in_from_what_was_asked() -> None:
    asked = limit("a", "90", qty_base=D("0.5"))
    seen = venue_order({"id": "7", "clientOrderId": None}, SPOT, 5, asked)
    assert (seen.client_id, seen.side, seen.qty_base, seen.at) == ("pk-a", Side.BUY, D("0.5"), 5)


@pytest.mark.parametrize("told", [{}, {"id": "7"}, {"side": "buy", "amount": "1"}])
def test_answers_that_say_too_little_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"an order without|is not a valid Side"):
        venue_order(told, SPOT, 1)


def test_fills_without_their_fee_in_an_answer_are_asked_for_later() -> None:
    trade = {"id": "9", "amount": "1", "price": "100", "side": "buy", "timestamp": 3}
    told = {"id": "7", "side": "buy", "amount": "1", "filled": "1", "status": "closed"}
    assert venue_order({**told, "trades": [trade]}, SPOT, 1).fills == ()
    fee = {"fee": {"cost": "0.1", "currency": "BNB"}}
    (fill,) = venue_order({**told, "trades": [trade | fee]}, SPOT, 1).fills
    assert (fill.fee, fill.fee_asset) == (D("0.1"), "BNB")
    with pytest.raises(ValueError, match="a fill without"):
        fill_of({**trade, "timestamp": None}, SPOT, "")


# Steps

STEPS = st.sampled_from(["0.00000001", "0.00001", "0.001", "0.05", "0.1", "0.25", "0.5", "1", "10"])
PRICES = st.decimals(min_value=D("0.0001"), max_value=D("1000000"), allow_nan=False, places=9)


@given(tick=STEPS, lot=STEPS, price=PRICES, qty=PRICES)
def test_what_is_on_its_steps_is_sent_to_the_digit(
    tick: str, lot: str, price: Decimal, qty: Decimal
) -> None:
    listed = Instrument("BTC/USDT", "spot", D(tick), D(lot))
    wanted = round_qty(qty + D(lot), listed)
    level = round_price(price + D(tick), listed, "up")
    asked = limit("a", str(level), qty_base=wanted)
    assert why_imprecise(asked, listed) is None
    try:
        call = order_call(asked, Listing(listed, "BTC/USDT", D(1)), {})
    except VenueRejected as exc:
        assert "more digits than can be sent exactly" in exc.message
        return
    client = ccxt.async_support.binance()
    precision = {"amount": lot, "price": tick}
    client.markets = {"BTC/USDT": {"symbol": "BTC/USDT", "precision": precision}}
    assert D(client.amount_to_precision("BTC/USDT", call.amount)) == wanted
    assert D(client.price_to_precision("BTC/USDT", call.price)) == level


@given(tick=STEPS, price=PRICES)
def test_what_is_off_its_steps_is_refused(tick: str, price: Decimal) -> None:
    listed = Instrument("BTC/USDT", "spot", D(tick), D(1))
    problem = why_imprecise(limit("a", str(price), qty_base=D(3)), listed)
    assert (problem is None) == (price % D(tick) == 0)


def test_what_only_reduces_has_no_minimum_value() -> None:
    listed = Instrument("BTC/USDT", "spot", D(1), D(1), D(0), D(500))
    assert "under the minimum of 500" in why_too_cheap(order("a"), listed)
    assert why_too_cheap(order("a", purpose=Purpose.EXIT, side=Side.SELL), listed) == ""


def test_listings_keep_what_can_be_traded_exactly() -> None:
    swap: dict[str, Any] = {
        "base": "BTC",
        "quote": "USDT",
        "linear": True,
        "contractSize": "0.01",
        "precision": {"amount": "0.1", "price": "0.1"},
        "limits": {"amount": {"min": "0.1"}, "cost": {"min": None}, "market": {"max": "500"}},
    }
    markets = {
        "BTC/USDT:USDT": swap,
        "BTC/USDT:USDT-261225": swap,
        "ETH/USDT:USDT": {**swap, "active": False},
        "SOL/USDT:USDT": {**swap, "precision": {"amount": None, "price": "0.1"}},
        "BTC/USD:BTC": {**swap, "linear": False},
    }
    found = listings("okx-perp", markets, ccxt.TICK_SIZE)
    assert set(found) == {"BTC/USDT", "BTC/USDT:USDT-261225", "ETH/USDT:USDT"}
    assert [name for name, item in found.items() if not item.is_active] == ["ETH/USDT:USDT"]
    listed = found["BTC/USDT"].instrument
    assert (listed.lot, listed.min_qty_base, listed.max_market_base) == (
        D("0.001"),
        D("0.001"),
        D(5),
    )
    places = {"BTC/USDT": {**swap, "spot": True, "precision": {"amount": "5", "price": "2"}}}
    spot = listings("some", places, ccxt.DECIMAL_PLACES)["BTC/USDT"].instrument
    assert (spot.tick, spot.lot) == (D("0.01"), D("0.00001"))
    assert listings("bitfinex", places, ccxt.SIGNIFICANT_DIGITS) == {}


@pytest.mark.parametrize(
    ("told", "number"),
    [("1.10", D("1.10")), (0.1, D("0.1")), (7, D(7)), (None, None), ("x", None), ("NaN", None)],
)
def test_numbers_are_taken_as_they_are_written(told: Any, number: Decimal | None) -> None:
    assert exact(told) == number


# Errors


def told_as(error: Exception, asked: Any) -> VenueError:
    question = Question("binance", asked, "order pk-a for BTC/USDT", {"client_id": "pk-a"})
    return translated(error, question, lambda text: text.replace("secret", "(hidden)"))


ANSWERS: list[tuple[Exception, type[VenueError], type[VenueError]]] = [
    (ccxt.RequestTimeout("x"), OrderStateUnknown, VenueUnavailable),
    (ccxt.NetworkError("x"), OrderStateUnknown, VenueUnavailable),
    (ccxt.ExchangeNotAvailable("x"), OrderStateUnknown, VenueUnavailable),
    (ccxt.OnMaintenance("x"), OrderStateUnknown, VenueUnavailable),
    (ccxt.BadResponse("x"), OrderStateUnknown, VenueUnavailable),
    (ccxt.NullResponse("x"), OrderStateUnknown, VenueUnavailable),
    (ccxt.OperationFailed("-1006 status unknown"), OrderStateUnknown, VenueUnavailable),
    (KeyError("side"), OrderStateUnknown, VenueUnavailable),
    (ccxt.DDoSProtection("x"), VenueUnavailable, VenueUnavailable),
    (ccxt.RateLimitExceeded("x"), VenueUnavailable, VenueUnavailable),
    (ccxt.InvalidNonce("x"), VenueRejected, VenueRejected),
    (ccxt.InvalidOrder("x"), VenueRejected, VenueRejected),
    (ccxt.InsufficientFunds("x"), VenueRejected, VenueRejected),
    (ccxt.BadSymbol("x"), VenueRejected, VenueRejected),
    (ccxt.BadRequest("x"), VenueRejected, VenueRejected),
    (ccxt.AuthenticationError("x"), VenueRejected, VenueRejected),
    (ccxt.PermissionDenied("x"), VenueRejected, VenueRejected),
    (ccxt.AccountSuspended("x"), VenueRejected, VenueRejected),
    (ccxt.NotSupported("x"), VenueRejected, VenueRejected),
    (ccxt.ExchangeError("x"), VenueRejected, VenueRejected),
]


@pytest.mark.parametrize(
    ("error", "sent", "read"), ANSWERS, ids=[type(error).__name__ for error, _, _ in ANSWERS]
)
def test_every_error_has_one_meaning(
    error: Exception, sent: type[VenueError], read: type[VenueError]
) -> None:
    for asked in ("submit", "cancel"):
        assert type(told_as(error, asked)) is sent
    assert type(told_as(error, "read")) is read
    assert told_as(error, "submit").fields["client_id"] == "pk-a"


def test_the_table_leaves_no_error_of_ccxts_out() -> None:
    kinds = [kind for kind in vars(ccxt_errors).values() if isinstance(kind, type)]
    assert len(kinds) > 30
    for kind in kinds:
        assert any(issubclass(kind, meaning.kinds) for meaning in MEANINGS), kind


def test_an_answer_that_broke_off_is_not_a_refusal() -> None:
    error = ccxt.ExchangeError("binance POST https://h/order")
    error.__cause__ = aiohttp.ClientPayloadError()
    assert type(told_as(error, "submit")) is OrderStateUnknown


@pytest.mark.parametrize(
    "words",
    [
        'binance {"code":-4116,"msg":"ClientOrderId is duplicated."}',
        'binance {"code":-20132,"msg":"The client algo id is duplicated"}',
        "binance Duplicate order sent.",
        'bybit {"retMsg":"OrderLinkedID is duplicate"}',
        'okx {"sMsg":"Duplicate Client Order ID"}',
        "gate duplicate client id",
        'kucoin {"msg":"Duplicate clientOid"}',
    ],
)
def test_a_doubled_id_is_recognized_in_words(words: str) -> None:
    assert meaning_of(ccxt.ExchangeError(words)).refusal is Refusal.DUPLICATE_ID
    assert meaning_of(ccxt.InvalidOrder(words)).refusal is Refusal.DUPLICATE_ID


def test_other_words_are_no_doubled_id() -> None:
    for words in ("balance is insufficient", "duplicate request of leverage", "price too high"):
        assert meaning_of(ccxt.InvalidOrder(words)).refusal is Refusal.ORDER


def test_messages_name_remedy_and_wait_and_hide_secrets() -> None:
    error = ccxt.RateLimitExceeded("slow down, secret")
    vars(error)["retry_after_s"] = 3.0
    told = told_as(error, "submit")
    assert told.fields["retry_after_s"] == 3.0
    assert told.message == (
        "binance did not do order pk-a for BTC/USDT (RateLimitExceeded: slow down, (hidden)): too "
        "many requests: nothing was done; ask again after the wait of 3 s"
    )
    assert "fund the account" in told_as(ccxt.InsufficientFunds("no"), "submit").message
