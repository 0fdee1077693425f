"""No sequence of accepted orders breaks a limit, however they fill."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.risk.groups import Groups
from engine.risk.officer import RiskOfficer
from engine.risk.risk_model import RiskModel
from engine.risk.verdict import RiskVerdict
from engine.risk.view import LATE_FILL_MS, RECENT_MS, RiskView, TradePlan, view_of
from engine.trade.account_book import AccountBook
from engine.trade.exchange import Fill
from engine.trade.orders import Order, OrderRequest, OrderState, Side
from engine.trade.records import CashRecord, FillRecord, IntentRecord, OrderRecord
from engine.trading_settings import Limits
from tests.risk_values import EQUITY, NOW_AT, OPEN, SYMBOLS, entry_of, exit_of, marked

S = OrderState
ZERO = Decimal(0)
STRATEGIES = ("a", "b", "c")
STOPS = {"a": 0.02, "b": 0.25, "c": 0.5}
PLANS = {name: TradePlan(stop) for name, stop in STOPS.items()}
GROUPS = Groups.of(["large=BTC,ETH"])
# Near enough to each other that each of them is met.
ALL_LIMITS = Limits(
    risk_per_trade_frac=0.1,
    position_frac=0.5,
    strategy_frac=0.6,
    group_frac=0.7,
    leverage_max=1.0,
    correlation_max=0.7,
    value_at_risk_frac=0.02,
)
# And each of them alone, so that no other one hides what it lets through.
ONE_LIMIT = (
    OPEN.model_copy(update={"risk_per_trade_frac": 0.1}),
    OPEN.model_copy(update={"position_frac": 0.5}),
    OPEN.model_copy(update={"strategy_frac": 0.5}),
    OPEN.model_copy(update={"group_frac": 0.5}),
    OPEN.model_copy(update={"leverage_max": 1.0}),
    OPEN.model_copy(update={"correlation_max": 0.7}),
    OPEN.model_copy(update={"value_at_risk_frac": 0.02}),
)


def _model() -> RiskModel:
    # Some pairs move together, some against each other, and some do neither.
    between = np.array([[1.0, 0.3, 0.75], [0.3, 1.0, -0.8], [0.75, -0.8, 1.0]])
    rng = np.random.default_rng(3)
    covariance = 0.02**2 * (0.5 + 0.5 * np.eye(3))
    history = rng.multivariate_normal(np.zeros(3), covariance, 120)
    drawn = rng.multivariate_normal(np.zeros(3), covariance, 400)
    return RiskModel(SYMBOLS, NOW_AT, history, drawn, between)


MODEL = _model()


@dataclass
class Desk:
    """An account whose strategies ask for anything and whose venue fills in any way it likes."""

    limits: Limits = ALL_LIMITS
    prices: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(SYMBOLS, Decimal(100)))
    now_at: int = NOW_AT
    verdicts: list[RiskVerdict] = field(default_factory=list)
    ended_at: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.book = AccountBook("paper", "USDT")
        self.book.apply(CashRecord("USDT", EQUITY, "opening balance"), NOW_AT)
        self.officer = RiskOfficer(self.limits)

    def view(self) -> RiskView:
        return view_of(
            self.book,
            at=self.now_at,
            prices=self.prices,
            plans=PLANS,
            breakers=marked(),
            model=MODEL,
            groups=GROUPS,
        )

    def ask(
        self, strategy: str, symbol: str, side: Side, notional: int, *, by_notional: bool
    ) -> bool:
        request = entry_of(
            notional,
            symbol,
            strategy,
            side,
            sequence=len(self.verdicts),
            by_notional=by_notional,
            created_at=self.now_at,
        )
        verdict = self.officer.judge(request, self.view())
        self.verdicts.append(verdict)
        if not verdict.allowed:
            return False
        if verdict.qty_base is not None:
            request = replace(request, qty_base=verdict.qty_base)
        if verdict.notional_quote is not None:
            request = replace(request, notional_quote=verdict.notional_quote)
        self.book.apply(IntentRecord(request, verdict), self.now_at)
        self.book.apply(OrderRecord(request.client_id, S.SUBMITTED), self.now_at)
        self.book.apply(OrderRecord(request.client_id, S.ACCEPTED), self.now_at)
        return True

    def fillable(self) -> list[Order]:
        """Return the orders that may still fill, those that ended a moment ago included."""
        orders = []
        for order in self.book.orders.values():
            is_late = self.now_at - self.ended_at.get(order.client_id, 0) > LATE_FILL_MS
            if order.state is S.FILLED:
                is_late = self.now_at - order.request.created_at > RECENT_MS
            if self.left_of(order) > 0 and not (order.state.is_final and is_late):
                orders.append(order)
        return orders

    def left_of(self, order: Order) -> Decimal:
        """Return what may still fill, base currency at the mark."""
        if order.left_base is not None:
            return order.left_base
        left = (order.request.notional_quote or ZERO) - order.filled_quote
        return max(ZERO, left) / self.prices[order.request.symbol]

    def fill(self, order: Order, qty: Decimal, fee: Decimal = ZERO) -> None:
        request = order.request
        price = self.prices[request.symbol]
        self._count(request, qty, price, fee)
        order = self.book.orders[order.client_id]
        if not order.state.is_final:
            state = S.PARTIAL if self.left_of(order) > 0 else S.FILLED
            self.book.apply(OrderRecord(order.client_id, state), self.now_at)

    def end(self, order: Order, state: OrderState) -> None:
        self.book.apply(OrderRecord(order.client_id, state), self.now_at)
        self.ended_at[order.client_id] = self.now_at

    def reduce(self, strategy: str, symbol: str, share: Decimal) -> None:
        base = self.book.position(strategy, symbol).signed_base * share
        if base:
            side = Side.SELL if base > 0 else Side.BUY
            request = exit_of(1, symbol, strategy, side)
            assert self.officer.judge(request, self.view()).allowed
            self._count(request, abs(base), self.prices[symbol], ZERO)

    def _count(self, request: OrderRequest, qty: Decimal, price: Decimal, fee: Decimal) -> None:
        number = str(len(self.book.fill_ids(request.symbol)))
        fill = Fill(
            number, request.client_id, request.symbol, request.side, qty, price, fee, "USDT", NOW_AT
        )
        self.book.apply(FillRecord(fill, request.strategy_id), self.now_at)

    def held(self) -> dict[tuple[str, str], Decimal]:
        """Return the signed notional of each position at the marks."""
        return {
            key: position.signed_base * self.prices[key[1]]
            for key, position in self.book.positions.items()
            if position.signed_base
        }

    def equity(self) -> Decimal:
        return self.book.equity_quote(self.prices)


def usage(desk: Desk) -> dict[str, float]:
    """Return what is used of each limit on exposure, counted from the positions alone."""
    held, equity = desk.held(), float(desk.equity())
    symbols: Counter[str] = Counter()
    strategies: Counter[str] = Counter()
    groups: Counter[str] = Counter()
    for (strategy, symbol), quote in held.items():
        symbols[symbol] += float(abs(quote))
        strategies[strategy] += float(abs(quote))
        groups[GROUPS.group_of(symbol)] += float(abs(quote))
    at_risk = [float(abs(quote)) * STOPS[strategy] for (strategy, _), quote in held.items()]
    return {
        "risk_per_trade_frac": max(at_risk, default=0.0) / equity,
        "position_frac": max(symbols.values(), default=0.0) / equity,
        "strategy_frac": max(strategies.values(), default=0.0) / equity,
        "group_frac": max(groups.values(), default=0.0) / equity,
        "leverage_max": sum(symbols.values()) / equity,
    }


def highest_correlation(desk: Desk) -> float:
    held = desk.held()
    pairs = [
        math.copysign(1, one * other) * MODEL.correlation[SYMBOLS.index(a), SYMBOLS.index(b)]
        for (_, a), one in held.items()
        for (_, b), other in held.items()
        if a < b
    ]
    return max(pairs, default=-1.0)


def check(desk: Desk, factor: float = 1.0) -> None:
    for name, used in usage(desk).items():
        assert used <= getattr(desk.limits, name) * factor * (1 + 1e-9), name
    assert highest_correlation(desk) <= desk.limits.correlation_max


def check_value_at_risk(desk: Desk, shares: list[float]) -> None:
    """Let each open order fill in some part and measure the book that comes of it."""
    book = np.zeros(3)
    for (_, symbol), quote in desk.held().items():
        book[SYMBOLS.index(symbol)] += float(quote)
    for order, share in zip(desk.fillable(), shares, strict=False):
        request = order.request
        quote = float(desk.left_of(order) * desk.prices[request.symbol]) * share
        book[SYMBOLS.index(request.symbol)] += quote * request.side.sign
    limit = desk.limits.value_at_risk_frac * float(desk.equity())
    for outcomes in (MODEL.history, MODEL.drawn):
        assert -float(np.quantile(outcomes @ book, 0.05)) <= limit * (1 + 1e-9)


# Few strategies, symbols and sizes, so that steps meet each other.
SHARES = st.sampled_from([Decimal("0.1"), Decimal("0.5"), Decimal(1)])
OWNERS = st.sampled_from([*STRATEGIES[:2], *STRATEGIES])
TRADED = st.sampled_from([*SYMBOLS[:1] * 2, *SYMBOLS])
SIZES = st.one_of(st.sampled_from([1_000, 2_500, 4_000, 5_000, 9_000]), st.integers(1, 9_000))
ASKS = st.tuples(st.just("ask"), OWNERS, TRADED, st.sampled_from(list(Side)), SIZES, st.booleans())
FILLS = st.tuples(st.just("fill"), st.integers(0, 3), SHARES)
ENDS = st.tuples(
    st.just("end"), st.integers(0, 3), st.sampled_from([S.CANCELED, S.EXPIRED, S.FILLED])
)
REDUCTIONS = st.tuples(st.just("reduce"), OWNERS, TRADED, SHARES)
WAITS = st.tuples(st.just("wait"), st.integers(0, 7_000))
STEPS = st.lists(
    st.one_of(ASKS, ASKS, ASKS, FILLS, FILLS, ENDS, REDUCTIONS, WAITS), min_size=8, max_size=30
)
ONE_OR_ALL = st.sampled_from([*ONE_LIMIT, ALL_LIMITS])


def act(desk: Desk, step: tuple) -> bool:  # type: ignore[type-arg]
    """Take one step; return whether an order was accepted."""
    match step:
        case ("ask", strategy, symbol, side, notional, by_notional):
            return desk.ask(strategy, symbol, side, notional, by_notional=by_notional)
        case ("fill", which, share) if desk.fillable():
            order = desk.fillable()[which % len(desk.fillable())]
            desk.fill(order, desk.left_of(order) * share)
        case ("end", which, state):
            living = [o for o in desk.fillable() if not o.state.is_final]
            if living:
                desk.end(living[which % len(living)], state)
        case ("reduce", strategy, symbol, share):
            desk.reduce(strategy, symbol, share)
        case ("wait", ms):
            desk.now_at += ms
    return False


@settings(max_examples=300)
@given(steps=STEPS, limits=ONE_OR_ALL, shares=st.lists(st.floats(0, 1), min_size=30, max_size=30))
def test_no_sequence_of_accepted_orders_breaks_a_limit(
    steps: list[tuple],  # type: ignore[type-arg]
    limits: Limits,
    shares: list[float],
) -> None:
    desk = Desk(limits)
    for step in steps:
        was_accepted = act(desk, step)
        check(desk)
        if was_accepted:
            sides = [order.request.side for order in desk.fillable()]
            check_value_at_risk(desk, shares)
            check_value_at_risk(desk, [1.0] * len(sides))
            for filled in Side:
                check_value_at_risk(desk, [float(side is filled) for side in sides])
    # Whatever may still fill does, in one go.
    for order in desk.fillable():
        desk.fill(order, desk.left_of(order))
        check(desk)


@settings(max_examples=100)
@given(
    steps=st.lists(st.one_of(ASKS, ASKS, ASKS, FILLS), min_size=1, max_size=30),
    limits=ONE_OR_ALL,
    moves=st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3),
    move_max=st.sampled_from([0.002, 0.02, 0.05]),
    fee_frac=st.sampled_from([0.0, 0.0015]),
)
def test_fills_at_moved_prices_stay_within_the_stated_bound(
    steps: list[tuple],  # type: ignore[type-arg]
    limits: Limits,
    moves: list[float],
    move_max: float,
    fee_frac: float,
) -> None:
    desk = Desk(limits)
    for step in steps:
        act(desk, step)
    judged = dict(desk.prices)
    reached = float(
        sum(map(abs, desk.held().values()))
        + sum(desk.left_of(order) * judged[order.request.symbol] for order in desk.fillable())
    )
    gross = reached / float(desk.equity())
    waiting = [(order, desk.left_of(order)) for order in desk.fillable()]
    for symbol, move in zip(SYMBOLS, moves, strict=True):
        desk.prices[symbol] = judged[symbol] * (1 + Decimal(move) * Decimal(str(move_max)))
    for order, left in waiting:
        fee = left * judged[order.request.symbol] * Decimal(str(fee_frac))
        qty = left if order.request.qty_base is not None else desk.left_of(order)
        desk.fill(order, qty, fee)
    check(desk, (1 + move_max) / (1 - (move_max + fee_frac) * gross))


def test_the_sequences_meet_every_limit_from_both_sides() -> None:
    # What the properties above are worth: how often each rule refused, and how often all passed.
    refused: Counter[str] = Counter()
    n_accepted = n_sized_down = 0
    for seed in range(60):
        rng = random.Random(seed)
        desk = Desk()
        for _ in range(25):
            kind = rng.choice(["ask", "ask", "fill", "reduce"])
            if kind == "ask":
                act(
                    desk,
                    (
                        "ask",
                        rng.choice(STRATEGIES),
                        rng.choice(SYMBOLS),
                        rng.choice(list(Side)),
                        rng.randint(1, 7_000),
                        rng.random() < 0.5,
                    ),
                )
            elif kind == "fill":
                act(desk, ("fill", rng.randint(0, 99), Decimal(1)))
            else:
                act(desk, ("reduce", rng.choice(STRATEGIES), rng.choice(SYMBOLS), Decimal("0.5")))
        for verdict in desk.verdicts:
            n_accepted += verdict.allowed
            n_sized_down += verdict.allowed and bool(verdict.reason)
            if not verdict.allowed:
                refused.update(rule.rule for rule in verdict.rules if not rule.passed)
    assert n_accepted > 100
    assert n_sized_down > 20
    for name in (*usage(Desk()), "correlation_max", "value_at_risk_frac"):
        assert refused[name] > 5, (name, refused)
