"""No sequence of accepted orders enters past a loss, an age or without a stop.

What each loss is gets counted here a second time, from the worth that was seen and the calendar
alone, and never larger than it is: what is accepted beyond that is accepted beyond the limit.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.risk.breakers import PEAK_STEP, Breaker, BreakerState
from engine.risk.groups import Groups
from engine.risk.officer import RiskOfficer
from engine.risk.verdict import RiskVerdict
from engine.risk.view import RiskView, TradePlan, view_of
from engine.trade.account_book import AccountBook
from engine.trade.exchange import Fill
from engine.trade.orders import OrderRequest, OrderState, Side
from engine.trade.records import CashRecord, FillRecord, IntentRecord, OrderRecord
from tests.risk_values import EQUITY, NOW_AT, OPEN, SYMBOLS, entry_of, exit_of, quiet_model

# Only losses, ages and stops stand in the way: what exposure may be has properties of its own.
LIMITS = OPEN
HOUR_MS = 3_600_000
MODEL = quiet_model()
PLANS = {
    "short": TradePlan(0.02, holding_s=1_800.0),
    "long": TradePlan(0.02, holding_s=10 * 86_400.0),
    "stopless": TradePlan(None),
    "endless": TradePlan(1.0),
}
STRATEGIES = ("short", "long", "long", "stopless", "endless", "unknown")
STARTS = {
    Breaker.DAILY_LOSS: lambda at: at.date(),
    Breaker.WEEKLY_LOSS: lambda at: tuple(at.isocalendar())[:2],
    Breaker.MONTHLY_LOSS: lambda at: (at.year, at.month),
}


@dataclass
class Losses:
    """What an account lost, at the least, and what that forbids.

    Attributes
    ----------
    starts : period and worth at its first look, by breaker
    peak : highest worth seen
    until : when what was reached lets go, None for a person only
    """

    starts: dict[Breaker, tuple[Any, Decimal]] = field(default_factory=dict)
    peak: Decimal = Decimal(0)
    until: dict[Breaker, datetime | None] = field(default_factory=dict)

    def see(self, equity: Decimal, at: datetime) -> None:
        for breaker, period_of in STARTS.items():
            if breaker not in self.starts or self.starts[breaker][0] != period_of(at):
                self.starts[breaker] = (period_of(at), equity)
        self.peak = max(self.peak, equity)
        midnight = datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)
        for breaker, loss in self.of(equity).items():
            if loss >= Decimal(str(getattr(LIMITS, breaker.value))) and breaker not in self.until:
                self.until[breaker] = midnight if breaker is Breaker.DAILY_LOSS else None

    def of(self, equity: Decimal) -> dict[Breaker, Decimal]:
        """Return each loss, a fraction of where it is counted from."""
        # A peak is written down when it is a step higher than the last.
        peak = self.peak / (1 + PEAK_STEP)
        begun = {breaker: start for breaker, (_, start) in self.starts.items()}
        begun |= {breaker: peak for breaker in Breaker if breaker not in STARTS}
        return {b: (start - equity) / start for b, start in begun.items() if start > 0}

    def forbidden(self, equity: Decimal, at: datetime) -> set[Breaker]:
        """Return what forbids every entry now."""
        self.until = {b: end for b, end in self.until.items() if end is None or at < end}
        reached = {
            breaker
            for breaker, loss in self.of(equity).items()
            if loss >= Decimal(str(getattr(LIMITS, breaker.value)))
        }
        return reached | set(self.until)

    def forgive(self, equity: Decimal) -> None:
        """Count anew, from where that makes every loss the smallest it can be."""
        self.until = {b: end for b, end in self.until.items() if b is Breaker.DAILY_LOSS}
        self.peak = min(self.peak, equity)
        for breaker in (Breaker.WEEKLY_LOSS, Breaker.MONTHLY_LOSS):
            period, start = self.starts[breaker]
            self.starts[breaker] = (period, min(start, equity))


@dataclass
class Desk:
    """An account on a market that goes where a test wants."""

    now_at: int = NOW_AT
    prices: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(SYMBOLS, Decimal(100)))
    verdicts: list[RiskVerdict] = field(default_factory=list)
    losses: Losses = field(default_factory=Losses)
    near: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.book = AccountBook("paper", "USDT")
        self.book.apply(CashRecord("USDT", EQUITY, "opening balance"), NOW_AT)
        self.breakers = BreakerState("USDT")
        self.officer = RiskOfficer(LIMITS)
        self.look()

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.now_at / 1000, UTC)

    def equity(self) -> Decimal:
        return self.book.equity_quote(self.prices)

    def view(self) -> RiskView:
        return view_of(
            self.book,
            at=self.now_at,
            prices=self.prices,
            plans=PLANS,
            breakers=self.breakers,
            model=replace(MODEL, newest_at=self.now_at),
            groups=Groups(),
        )

    def look(self) -> None:
        for record in self.breakers.observe(self.equity(), self.now_at, LIMITS):
            self.breakers = self.breakers.apply(record, self.now_at)
        self.losses.see(self.equity(), self.at)

    def ask(self, strategy: str, symbol: str, side: Side, notional: int) -> None:
        request = entry_of(
            notional, symbol, strategy, side, sequence=len(self.verdicts), created_at=self.now_at
        )
        verdict = self.officer.judge(request, self.view())
        self.verdicts.append(verdict)
        if not verdict.allowed:
            return
        self.check_accepted(strategy, symbol, side)
        if verdict.qty_base is not None:
            request = replace(request, qty_base=verdict.qty_base)
        self.book.apply(IntentRecord(request, verdict), self.now_at)
        self.book.apply(OrderRecord(request.client_id, OrderState.SUBMITTED), self.now_at)
        self.book.apply(OrderRecord(request.client_id, OrderState.ACCEPTED), self.now_at)
        assert request.qty_base is not None
        self.fill(request, request.qty_base)
        self.book.apply(OrderRecord(request.client_id, OrderState.FILLED), self.now_at)

    def check_accepted(self, strategy: str, symbol: str, side: Side) -> None:
        equity = self.equity()
        assert self.losses.forbidden(equity, self.at) == set()
        stop = PLANS[strategy].stop_frac
        assert stop is not None
        assert 0 < stop < 1
        for breaker, loss in self.losses.of(equity).items():
            self.near[breaker.value] += loss * 3 >= Decimal(str(getattr(LIMITS, breaker.value)))
        held = self.book.position(strategy, symbol)
        if held.signed_base * side.sign <= 0:
            return
        entry, price = held.entry_price, self.prices[symbol]
        assert entry is not None
        assert held.opened_at is not None
        loss = (entry - price) * side.sign / entry
        assert loss < Decimal("0.05")
        self.near["position_loss_frac"] += loss * 3 >= Decimal("0.05")
        age_ms = self.now_at - held.opened_at
        # The one that means to be gone in half an hour is closed at two; the other a minute late.
        most_ms = 2 * HOUR_MS if strategy == "short" else 240 * HOUR_MS + 60_000
        assert age_ms < most_ms
        self.near["position_age_close_s"] += age_ms * 3 >= most_ms

    def reduce(self, strategy: str, symbol: str, share: Decimal) -> None:
        base = self.book.position(strategy, symbol).signed_base * share
        if base:
            request = exit_of(1, symbol, strategy, Side.SELL if base > 0 else Side.BUY)
            assert self.officer.judge(request, self.view()).allowed
            self.fill(request, abs(base))

    def fill(self, request: OrderRequest, qty: Decimal) -> None:
        symbol = request.symbol
        number = str(len(self.book.fill_ids(symbol)))
        fill = Fill(
            number, request.client_id, symbol, request.side, qty, self.prices[symbol],
            Decimal(0), "USDT", self.now_at,
        )  # fmt: skip
        self.book.apply(FillRecord(fill, request.strategy_id), self.now_at)

    def rearm(self) -> None:
        if self.equity() > 0:
            note = self.breakers.rearm_note("ana", "reviewed", self.equity(), self.now_at)
            self.breakers = self.breakers.apply(note, self.now_at)
            self.losses.forgive(self.equity())


def act(desk: Desk, step: tuple[Any, ...]) -> None:
    match step:
        case ("ask", strategy, symbol, side, notional):
            desk.ask(strategy, symbol, side, notional)
        case ("move" | "slip", symbol, bp):
            desk.prices[symbol] *= 1 + Decimal(bp) / 10_000
        case ("wait", ms):
            desk.now_at += ms
        case ("reduce", strategy, symbol, share):
            desk.reduce(strategy, symbol, share)
        case ("rearm",):
            desk.rearm()
    if step[0] != "slip":
        # After that nobody has looked yet when the next order is judged.
        desk.look()


MOVES_BP = (-2_500, -600, -300, -150, -50, 40, 200, 500)
WAITS_MS = (1_000, 60_000, 20 * 60_000, HOUR_MS, 2 * HOUR_MS, 12 * HOUR_MS, 48 * HOUR_MS)
SIZES = (100, 3_000, 6_000)
TRADED = SYMBOLS[:2]
SIDES = (Side.BUY, Side.BUY, Side.SELL)
SHARES = (Decimal("0.5"), Decimal(1))
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"),
            st.sampled_from(STRATEGIES),
            st.sampled_from(TRADED),
            st.sampled_from(SIDES),
            st.one_of(st.sampled_from(SIZES), st.integers(1, 9_000)),
        ),
        st.tuples(
            st.sampled_from(["move", "slip"]),
            st.sampled_from(TRADED),
            st.one_of(st.sampled_from(MOVES_BP), st.integers(-900, 900)),
        ),
        st.tuples(
            st.just("wait"), st.one_of(st.sampled_from(WAITS_MS), st.integers(0, 30 * HOUR_MS))
        ),
        st.tuples(
            st.just("reduce"),
            st.sampled_from(STRATEGIES),
            st.sampled_from(TRADED),
            st.sampled_from(SHARES),
        ),
        st.tuples(st.just("rearm")),
    ),
    min_size=8,
    max_size=40,
)


@settings(max_examples=200)
@given(steps=STEPS)
def test_no_accepted_order_enters_past_a_loss_an_age_or_without_a_stop(
    steps: list[tuple[Any, ...]],
) -> None:
    desk = Desk()
    for step in steps:
        act(desk, step)


def test_the_sequences_meet_every_loss_age_and_stop_from_both_sides() -> None:
    # What the property above is worth: how often each rule refused, and was near and passed.
    refused: Counter[str] = Counter()
    near: Counter[str] = Counter()
    for seed in range(120):
        rng = random.Random(seed)
        desk = Desk()
        # Half of them fall at once, and half lose a little every day.
        moves, waits = (MOVES_BP, WAITS_MS) if seed % 2 else (MOVES_BP[2:7], WAITS_MS[2:6])
        for _ in range(80):
            kind = rng.choice(["ask"] * 6 + ["move"] * 4 + ["wait"] * 3 + ["reduce"])
            traded = rng.choice(TRADED)
            if kind == "ask":
                strategy, size = rng.choice(STRATEGIES), rng.choice(SIZES)
                act(desk, ("ask", strategy, traded, rng.choice(SIDES), size))
            elif kind == "move":
                act(desk, (rng.choice(["move"] * 4 + ["slip"]), traded, rng.choice(moves)))
            elif kind == "wait":
                act(desk, ("wait", rng.choice(waits)))
            else:
                act(desk, ("reduce", rng.choice(STRATEGIES), traded, Decimal(1)))
            if rng.random() < 0.05:
                act(desk, ("rearm",))
        near += desk.near
        for verdict in desk.verdicts:
            refused.update(rule.rule for rule in verdict.rules if not rule.passed)
    names = [breaker.value for breaker in Breaker]
    for name in (*names, "position_loss_frac", "position_age_close_s", "stop_frac"):
        assert refused[name] > 5, (name, refused)
    # Near is a third of the way to the limit and more.
    for name in (*names, "position_loss_frac", "position_age_close_s"):
        assert near[name] > 3, (name, near)
