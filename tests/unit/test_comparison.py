from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine.risk.verdict import RiskVerdict
from engine.trade.comparison import compare
from engine.trade.differences import Comparison, DifferenceCause, LoggedTrade, PaperRecord
from engine.trade.instrument import Instrument
from engine.trade.orders import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from engine.trade.round_trips import RoundTrip

D = Decimal
BAR_MS = 300_000
COARSE = Instrument("BTC/USDT", "perp", D("0.01"), D("0.001"))
FINE = Instrument("BTC/USDT", "perp", D("1e-20"), D("1e-20"))
Cause = DifferenceCause


def logged(bar: int, **changes: Any) -> LoggedTrade:
    base = LoggedTrade(
        decided_at=bar * BAR_MS,
        side=1,
        entry_at=(bar + 1) * BAR_MS,
        entry=100.0,
        exit_at=(bar + 3) * BAR_MS,
        exit=110.0,
        reason="target",
        qty_base=2.0,
        pnl_quote=20.0,
        net_return=0.1,
    )
    return replace(base, **changes)


def trip(bar: int, **changes: Any) -> RoundTrip:
    base = RoundTrip(
        account="paper",
        strategy_id="s",
        symbol="BTC/USDT",
        side=Side.BUY,
        entry_at=(bar + 1) * BAR_MS + 20,
        entry=D(100),
        exit_at=(bar + 3) * BAR_MS + 150_000,
        exit=D(110),
        reason="target",
        qty_base=D(2),
        pnl_quote=D(20),
        net_return=0.1,
        entry_id=f"entry-{bar}",
    )
    return replace(base, **changes)


def entry(bar: int, state: OrderState = OrderState.FILLED, reason: str = "") -> Order:
    request = OrderRequest(
        client_id=f"entry-{bar}",
        account="paper",
        strategy_id="s",
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.MARKET,
        purpose=Purpose.ENTRY,
        qty_base=D(2),
        reduce_only=False,
        bar_at=bar * BAR_MS,
        created_at=(bar + 1) * BAR_MS,
        reference_price=D(100),
    )
    return Order(request, state, reason=reason)


def stop(bar: int, state: OrderState, reason: str = "") -> Order:
    request = replace(
        entry(bar).request,
        client_id=f"stop-{bar}",
        purpose=Purpose.STOP,
        type=OrderType.STOP,
        stop_price=D(98),
        reduce_only=True,
        side=Side.SELL,
        created_at=(bar + 2) * BAR_MS,
    )
    return Order(request, state, reason=reason)


def run(
    backtest: list[LoggedTrade], trips: list[RoundTrip], *orders: Order, **changes: Any
) -> Comparison:
    record = PaperRecord(trips, None, orders, FINE, BAR_MS)
    return compare(backtest, replace(record, **changes))


def only_cause(found: Comparison) -> DifferenceCause:
    (cause,) = found.by_cause
    return cause


def test_the_same_trade_is_the_same_whenever_in_the_bar_it_filled() -> None:
    found = run([logged(1), logged(9)], [trip(1), trip(9)], entry(1), entry(9))
    assert (found.n_equal, found.by_cause) == (2, {})
    assert (found.backtest_pnl_quote, found.paper_pnl_quote) == (40.0, 40.0)


def test_a_difference_that_nothing_on_record_explains_is_a_bug() -> None:
    for changes in (
        {"reason": "stop"},
        {"exit_at": 9 * BAR_MS},
        {"exit": D(111)},
        {"entry": D("100.001")},
        {"qty_base": D("2.00001")},
        {"pnl_quote": D("20.001")},
        {"net_return": 0.1001},
        {"side": Side.SELL},
    ):
        found = run([logged(1)], [trip(1, **changes)], entry(1))
        assert found.n_unexplained == 1, changes
    assert run([logged(1)], []).n_unexplained == 1
    assert run([], [trip(1)], entry(1)).n_unexplained == 1


def test_one_part_in_a_billion_is_equal() -> None:
    almost = trip(1, pnl_quote=D("20.00000001"), entry=D("100.00000005"))
    assert run([logged(1)], [almost], entry(1)).n_equal == 1


def test_a_refused_entry_names_its_rule() -> None:
    refused = entry(1, OrderState.REJECTED, "risk: leverage 4 is above 3")
    found = run([logged(1)], [], refused)
    assert only_cause(found) is Cause.LIMIT
    assert "leverage 4" in found.pairs[0].differences[0].words


def test_halted_netted_and_refused_by_the_venue_are_told_apart() -> None:
    for reason, cause in (
        ("halted: /x/HALT exists", Cause.HALTED),
        ("reducing: no new exposure", Cause.HALTED),
        ("netting: strategy ab holds the other side", Cause.NETTING),
        ("margin is insufficient", Cause.VENUE_RULE),
    ):
        assert only_cause(run([logged(1)], [], entry(1, OrderState.REJECTED, reason))) is cause


def test_an_entry_that_the_officer_made_smaller_is_a_limit() -> None:
    smaller = trip(1, qty_base=D(1), pnl_quote=D(10))
    verdict = RiskVerdict(True, qty_base=D(1), reason="2 % at risk")
    found = run([logged(1)], [smaller], entry(1), verdicts={"entry-1": verdict})
    assert only_cause(found) is Cause.LIMIT
    assert found.pairs[0].differences[0].what == "quantity"


def test_a_part_that_was_cancelled_is_a_partial_fill() -> None:
    part = trip(1, qty_base=D(1), pnl_quote=D(10))
    ended = entry(1, OrderState.CANCELED, "own wish: not filled within 30 s")
    assert only_cause(run([logged(1)], [part], ended)) is Cause.PARTIAL_FILL


def test_what_follows_from_an_earlier_difference_says_so() -> None:
    refused = entry(1, OrderState.REJECTED, "risk: too large")
    held_on = trip(9, qty_base=D("1.9"), pnl_quote=D(19))
    found = run([logged(1), logged(9)], [held_on], refused, entry(9))
    assert found.by_cause == {Cause.EARLIER: 1, Cause.LIMIT: 1}


def test_an_entry_while_another_position_was_held_follows_from_that_one() -> None:
    longer = trip(1, exit_at=8 * BAR_MS, reason="time")
    found = run(
        [logged(1), logged(5)], [longer], entry(1), stop(1, OrderState.REJECTED), latency_ms=20
    )
    assert found.by_cause == {Cause.EARLIER: 1, Cause.LATENCY: 1}


def test_latency_and_faults_are_named_where_there_are_any() -> None:
    worse = trip(1, entry=D(101))
    assert only_cause(run([logged(1)], [worse], entry(1), latency_ms=20)) is Cause.LATENCY
    assert only_cause(run([logged(1)], [worse], entry(1), has_faults=True)) is Cause.FAULT
    lost = entry(1, OrderState.UNKNOWN, "the answer was lost")
    assert only_cause(run([logged(1)], [], lost)) is Cause.FAULT


def test_ticks_and_lots_explain_what_they_can_and_no_more() -> None:
    by_a_tick = trip(1, entry=D("100.01"), qty_base=D("1.9995"), pnl_quote=D("19.97"))
    found = run([logged(1)], [by_a_tick], entry(1), instrument=COARSE)
    assert only_cause(found) is Cause.ROUNDING
    by_more = trip(1, entry=D("100.03"))
    assert run([logged(1)], [by_more], entry(1), instrument=COARSE).n_unexplained == 1


def test_a_fee_in_base_explains_another_profit() -> None:
    paid = trip(1, pnl_quote=D("19.7"))
    assert only_cause(run([logged(1)], [paid], entry(1), fee_in_base=True)) is Cause.FEE_ASSET


def test_a_missed_bar_enters_nothing() -> None:
    assert only_cause(run([logged(4)], [], missed_bars={4 * BAR_MS})) is Cause.MISSED_BAR
    gone = entry(4, OrderState.CANCELED, "own wish: not filled within 30 s")
    assert only_cause(run([logged(4)], [], gone)) is Cause.MISSED_BAR


def test_a_fill_that_came_too_late_is_closed_for_a_bar_that_was_missed() -> None:
    late = trip(1, reason="unexpected", exit_at=2 * BAR_MS + 30)
    assert only_cause(run([logged(1)], [late], entry(1))) is Cause.MISSED_BAR
    assert only_cause(run([logged(1)], [late], entry(1), latency_ms=9)) is Cause.LATENCY
    assert only_cause(run([], [late], entry(1))) is Cause.MISSED_BAR


def test_what_monitors_and_operators_closed_is_theirs() -> None:
    for reason in ("risk", "flatten", "adopted"):
        found = run([logged(1)], [trip(1, reason=reason, exit_at=3 * BAR_MS)], entry(1))
        assert only_cause(found) is Cause.MONITOR


def test_more_lost_than_there_was_is_ruin() -> None:
    broke = trip(1, reason="stop", pnl_quote=D(-1100))
    lost = logged(1, reason="ruin", pnl_quote=-1000.0)
    assert only_cause(run([lost], [broke], entry(1))) is Cause.RUIN


def test_a_failed_stop_explains_another_exit() -> None:
    other = trip(1, reason="unprotected", exit_at=3 * BAR_MS + 9)
    failed = stop(1, OrderState.REJECTED, "price is beyond the trigger")
    found = run([logged(1)], [other], entry(1), failed)
    assert only_cause(found) is Cause.VENUE_RULE
    assert "beyond the trigger" in found.pairs[0].differences[0].words
