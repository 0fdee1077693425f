"""Laws of the simulated exchange: nothing is made or lost, and reduce-only only reduces."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.clock import FakeClock
from engine.errors import OrderStateUnknown, VenueRejected, VenueUnavailable
from engine.trade.exchange import Fill
from engine.trade.orders import OrderState, OrderType, Purpose, Side
from engine.trade.simulated.accounts import SpotAccount
from engine.trade.simulated.book_order import TimeInForce, VenueEvent
from engine.trade.simulated.exchange import SimulatedExchange
from engine.trade.simulated.faults import FaultPlan
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.perp_account import PerpAccount
from engine.trade.simulated.rules import VenueRules
from tests.venues.simulated_desk import BTC, ETH, engine_of, order, request

OPENING = {"USDT": Decimal(10_000), "BTC": Decimal(3)}
prices = st.integers(50_00, 200_00).map(lambda cents: Decimal(cents) / 100)
sizes = st.integers(1, 40_000).map(lambda lots: Decimal(lots) / 1000)

orders = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from((BTC, ETH)),
        "side": st.sampled_from(("buy", "sell")),
        "kind": st.sampled_from(("market", "limit", "stop", "target")),
        "qty": sizes,
        "level": prices,
        "reduce_only": st.booleans(),
        "by_notional": st.booleans(),
        "time_in_force": st.sampled_from(list(TimeInForce)),
    }
)
actions = st.one_of(
    st.tuples(st.just("place"), orders),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.sampled_from(("open", "move", "trade", "close")), prices),
    st.tuples(st.just("inside"), st.tuples(prices, prices)),
    st.tuples(st.just("quote"), st.tuples(prices, sizes)),
    st.tuples(st.just("depth"), st.tuples(prices, sizes)),
)
rules = st.builds(
    VenueRules,
    commission_frac=st.sampled_from((Decimal(0), Decimal("0.001"), Decimal("0.0137"))),
    slippage_frac=st.sampled_from((Decimal(0), Decimal("0.0005"))),
    commission_in=st.sampled_from(("quote", "received")),
    partial_fill_chance=st.sampled_from((0.0, 0.5, 1.0)),
    fills_on_touch=st.booleans(),
    stops_lock=st.booleans(),
    leverage=st.sampled_from((Decimal(1), Decimal(20))),
    maintenance_frac=st.sampled_from((Decimal(0), Decimal("0.01"))),
)


class Witness:
    """Count what the venue tells, and hold it to its word."""

    def __init__(self, engine: MatchingEngine) -> None:
        self.engine = engine
        self.fills: dict[str, Fill] = {}
        self.base: dict[str, Decimal] = defaultdict(Decimal)
        self.cost: Decimal = Decimal(0)
        self.fees: dict[str, Decimal] = defaultdict(Decimal)
        self.ended: dict[str, OrderState] = {}

    def hear(self, event: VenueEvent) -> None:
        told, fill = event.order, event.fill
        before = self.ended.get(told.client_id)
        assert before is None or (before is told.state and fill is None)
        if told.state.is_final:
            self.ended[told.client_id] = told.state
        if fill is None:
            return
        assert fill.id not in self.fills
        self.fills[fill.id] = fill
        held = self.base[fill.symbol]
        if told.reduce_only and self.engine.is_perp:
            assert held * fill.side.sign < 0
            assert fill.qty_base <= abs(held)
        if told.price is not None:
            assert (told.price - fill.price) * fill.side.sign >= 0
        assert told.qty_base is None or told.filled_base <= told.qty_base
        self.base[fill.symbol] += fill.side.sign * fill.qty_base
        self.cost += fill.side.sign * fill.qty_base * fill.price
        self.fees[fill.fee_asset] += fill.fee

    def check(self) -> None:
        account = self.engine.account
        for found in self.engine.book.orders.values():
            assert sum((f.qty_base for f in found.fills), Decimal(0)) == found.filled_base
            assert found.is_open == (found.number in self.engine.book.open[found.new.symbol])
        if isinstance(account, PerpAccount):
            self._check_perp(account)
        else:
            self._check_spot(account)

    def _check_perp(self, account: PerpAccount) -> None:
        held = {symbol: p.signed_base for symbol, p in account.held.items()}
        assert held == {symbol: base for symbol, base in self.base.items() if base}
        open_cost = sum((p.cost_quote for p in account.held.values()), Decimal(0))
        paid = self.cost + self.fees["USDT"] - account.insured_quote
        assert account.wallet - open_cost == OPENING["USDT"] - paid

    def _check_spot(self, account: SpotAccount) -> None:
        wanted = dict(OPENING)
        for symbol, base in self.base.items():
            asset = symbol.partition("/")[0]
            wanted[asset] = wanted.get(asset, Decimal(0)) + base
        wanted["USDT"] -= self.cost
        for asset, fee in self.fees.items():
            wanted[asset] = wanted.get(asset, Decimal(0)) - fee
        assert account.balances() == {asset: value for asset, value in wanted.items() if value}
        assert all(value >= 0 for value in account.total.values())
        locked: dict[str, Decimal] = defaultdict(Decimal)
        for found in self.engine.book.orders.values():
            if found.is_open and found.locked:
                locked[found.locked_asset] += found.locked
            assert found.is_open or not found.locked
        assert {a: v for a, v in account.locked.items() if v} == dict(locked)
        assert all(value <= account.total[asset] for asset, value in locked.items())


def play(engine: MatchingEngine, witness: Witness, action: tuple[str, Any], at: int) -> None:
    name, given_ = action
    events: list[VenueEvent] = []
    if name == "place":
        try:
            new = new_order(given_)
            events = engine.place(new, at)
            events += engine.settle(new.symbol)
        except VenueRejected:
            return
    elif name == "cancel":
        known = list(engine.book.orders.values())
        if given_ < len(known):
            new = known[given_].new
            events = engine.cancel(new.symbol, new.client_id, at)
    elif name == "inside":
        low, high = sorted(given_)
        events = engine.on_bar_inside(BTC, low, high, at)
    elif name == "quote":
        bid, size = given_
        ask = bid + Decimal("0.5")
        events = engine.on_quote(BTC, bid, ask, at, size, size)
    elif name == "depth":
        engine.on_depth(BTC, Side.SELL, *given_)
    else:
        call = {"open": engine.on_bar_open, "move": engine.on_move, "trade": engine.on_trade}
        events = call.get(name, engine.on_bar_close)(BTC, given_, at)
        events += engine.on_move(ETH, 2 * given_, at)
    for event in events:
        witness.hear(event)


def new_order(values: Mapping[str, Any]) -> Any:
    kind = values["kind"]
    by_notional = values["by_notional"] and kind == "market"
    return order(
        values["side"],
        kind,
        None if by_notional else values["qty"],
        symbol=values["symbol"],
        price=values["level"] if kind == "limit" else None,
        stop=values["level"] if kind in ("stop", "target") else None,
        notional=values["qty"] * 100 if by_notional else None,
        reduce_only=values["reduce_only"],
        time_in_force=values["time_in_force"] if kind == "limit" else TimeInForce.UNTIL_CANCELED,
    )


@pytest.mark.parametrize("market_type", ["perp", "spot"])
@settings(max_examples=150)
@given(rules=rules, todo=st.lists(actions, min_size=5, max_size=60))
def test_nothing_is_made_or_lost_whatever_is_done(
    market_type: Any, rules: VenueRules, todo: list[tuple[str, Any]]
) -> None:
    opening = OPENING if market_type == "spot" else {"USDT": OPENING["USDT"]}
    engine = engine_of(market_type, rules, opening, (BTC, ETH), seed=5)
    witness = Witness(engine)
    with localcontext() as context:
        context.prec = 80
        for at, action in enumerate([("open", Decimal(100)), *todo]):
            play(engine, witness, action, at)
            witness.check()


async def _unlucky(plan: FaultPlan, todo: list[tuple[str, Any]], rules: VenueRules) -> Witness:
    engine = engine_of("perp", rules, {"USDT": OPENING["USDT"]}, (BTC, ETH))
    witness, clock = Witness(engine), FakeClock(0)
    seen: list[VenueEvent] = []
    exchange = SimulatedExchange(engine, clock, faults=plan, on_news=seen.append)
    await exchange.bar_open(BTC, Decimal(100), 0)
    sent: list[str] = []
    for name, given_ in todo:
        clock.advance(1.5)
        try:
            if name == "place":
                sent.append(await _submit(exchange, given_, len(sent)))
            elif name == "cancel" and given_ < len(sent):
                await exchange.cancel(BTC, sent[given_])
            elif name == "inside":
                low, high = sorted(given_)
                await exchange.bar_inside(BTC, low, high, clock.now_at())
            elif name in ("open", "move", "trade", "close"):
                await exchange.move(BTC, given_, clock.now_at())
        except (VenueRejected, VenueUnavailable, OrderStateUnknown):
            continue
    for fill in engine.book.trades[BTC]:
        owner = engine.order(fill.client_id)
        assert owner is not None
        witness.base[BTC] += fill.side.sign * fill.qty_base
        witness.cost += fill.side.sign * fill.qty_base * fill.price
        witness.fees[fill.fee_asset] += fill.fee
    numbers = [event.fill.id for event in seen if event.fill is not None]
    assert set(numbers) <= {fill.id for fill in engine.book.trades[BTC]}
    return witness


async def _submit(exchange: SimulatedExchange, values: Mapping[str, Any], n: int) -> str:
    kind = OrderType(values["kind"])
    client_id = f"o-{n // 2}"  # every second id was used before
    wanted = request(
        values["side"],
        kind.value,
        values["qty"],
        purpose=Purpose.EXIT if values["reduce_only"] else Purpose.ENTRY,
        price=values["level"] if kind is OrderType.LIMIT else None,
        stop=values["level"] if kind in (OrderType.STOP, OrderType.TARGET) else None,
        client_id=client_id,
    )
    await exchange.submit(wanted)
    return client_id


@settings(max_examples=100)
@given(
    seed=st.integers(0, 10_000),
    chance=st.sampled_from((0.1, 0.5, 0.9)),
    todo=st.lists(actions, min_size=5, max_size=60),
    rules=rules,
)
def test_nothing_is_made_or_lost_and_no_id_is_used_twice_under_any_faults(
    seed: int, chance: float, todo: list[tuple[str, Any]], rules: VenueRules
) -> None:
    plan = FaultPlan(seed, chance)
    with localcontext() as context:
        context.prec = 80
        witness = asyncio.run(_unlucky(plan, todo, rules))
        witness.check()
    ids = [found.new.client_id for found in witness.engine.book.orders.values()]
    assert len(ids) == len(set(ids))
    again = asyncio.run(_unlucky(plan, todo, replace(rules)))
    assert again.engine.book.trades == witness.engine.book.trades


def test_a_reduce_only_order_filled_in_parts_holds_back_no_more_than_there_is() -> None:
    wanted = {
        "symbol": "BTC/USDT",
        "side": "buy",
        "kind": "market",
        "qty": Decimal("0.001"),
        "level": Decimal(50),
        "reduce_only": False,
        "by_notional": False,
        "time_in_force": TimeInForce.UNTIL_CANCELED,
    }
    beyond = {"side": "sell", "kind": "limit", "qty": Decimal("3.001"), "reduce_only": True}
    sale = {**wanted, **beyond, "level": Decimal("100.01")}
    for seed in range(8):
        engine = engine_of(
            "spot", VenueRules(partial_fill_chance=0.5), OPENING, (BTC, ETH), seed=seed
        )
        witness = Witness(engine)
        todo = [("open", Decimal(100)), ("place", sale), ("open", Decimal("100.02"))]
        for at, action in enumerate(todo):
            play(engine, witness, action, at)
            witness.check()
