"""The kernel: decisions in, fills, equity and metrics out, visiting events instead of bars.

Fill rules (SPEC section 4), in the order in which they act inside a bar:

1. At the open: a gap through the stop or trailing stop exits there (the tighter of the two names
   the reason), whatever else was decided; otherwise a signal decided at the last close, otherwise
   the time stop, otherwise a gap through the target. Only a signal exit by an opposite entry opens
   the new position at the same open.
2. Inside the bar: the stop first, then the target, at their own prices.
3. Trailing starts at the fill and follows the extremes of earlier bars only.

Every fill pays slippage against the trader and commission on its notional. Between two events
nothing is decided, so the kernel jumps from entry to exit: 64 bars of decisions at a time while
flat, blocks of bars whose extremes touch neither stop nor target while holding.
`engine/backtest/plain.py` is the same, bar by bar, and its oracle.
"""

from __future__ import annotations

import numpy as np

from engine.backtest import layout as a
from engine.backtest.accounting import begin_nb, count_trade_nb, end_flat_nb, end_nb, hold_nb
from engine.backtest.layout import (
    T_BASE,
    T_CASH_BEFORE,
    T_ENTRY,
    T_ENTRY_BAR,
    T_EQUITY_AFTER,
    T_EXIT,
    T_EXIT_BAR,
    T_FIXED,
    T_PNL,
    T_REASON,
    T_RETURN,
    T_SIDE,
    T_SIGNED_QTY,
    T_SIZE_FRAC,
    T_TARGET,
)
from engine.backtest.rules import (
    COMMISSION,
    INITIAL,
    KELLY,
    MAX_BARS,
    N_EXIT_RULES,
    ON_OPPOSITE,
    SIZE,
    SLIPPAGE,
    STOP,
    TARGET,
    TRAILING,
    ExitReason,
)
from engine.backtest.touch import touch_long_nb, touch_short_nb, trail_nb
from engine.strategy.bits import next_set_nb
from engine.strategy.compiled import kernel_step

KELLY_MIN_TRADES = 20
_STOP = int(ExitReason.STOP)
_TRAILING = int(ExitReason.TRAILING)
_TARGET = int(ExitReason.TARGET)
_SIGNAL = int(ExitReason.SIGNAL)
_TIME = int(ExitReason.TIME)
_RUIN = int(ExitReason.RUIN)
_NONE = -1


# C901: the loop over events is one idea; each of its steps is a function of its own.
@kernel_step
def simulate_nb(  # type: ignore[no-untyped-def]  # noqa: C901
    open_,
    high,
    low,
    close,
    block_low,
    block_high,
    block_low_close,
    block_high_close,
    sums,
    scratch,
    lanes,
    long_entry,
    short_entry,
    long_exit,
    short_exit,
    size_frac,
    exit_rules,
    start,
    stop,
    rules,
    day_ends,
    day_equity,
    acc,
    at,
    trade,
    trades,
):
    """Run one strategy over bars start..stop-1, flat at first.

    Parameters
    ----------
    open_, high, low, close : ndarray of shape (n_bars,), float64
    block_* : extremes of blocks of BLOCK bars, shape (ceil(n_bars / BLOCK),)
    sums : `running_sums_nb` of the close
    scratch : ndarray of shape (n_bars + 1,), overwritten
    lanes : ndarray of shape (N_LANE_SUMS, N_LANES), overwritten
    long_entry, short_entry, long_exit, short_exit : truth columns in words
    size_frac : ndarray of shape (n_bars,) or (0,)
    exit_rules : ndarray of shape (n_bars, N_EXIT_RULES) or (0, N_EXIT_RULES): the first of `rules`,
        chosen by each entry's decision
    rules : vector of `engine.backtest.rules`; its first values are overwritten by `exit_rules`
    day_ends : last bar of each UTC day within start..stop-1, increasing; day_equity receives equity
        there
    acc : ndarray of shape (N_ACC,), overwritten
    at : ndarray of shape (4,), int64, overwritten
    trade : ndarray of shape (N_TRADE,), overwritten
    trades : ndarray of shape (capacity, N_TRADE), filled as far as it reaches; the open trade, if
        any, follows the closed ones with exit bar = stop, and acc[A_OPEN] is 1

    Returns
    -------
    int : closed trades.
    """
    cash = rules[INITIAL]
    begin_nb(acc, cash, start)
    mark = cash  # equity at the close before the next bar that matters
    day = 0
    n_closed = 0
    side = 0
    decision = start
    # The next bar set in each truth column, looked up again only once it lies behind.
    at[:] = start - 1
    while True:
        if side == 0:
            side, decision = _next_entry_nb(long_entry, short_entry, at, decision, stop - 1)
            if side == 0:
                break
            if cash >= acc[a.A_PEAK] * (1.0 - a.TIE_FRAC):
                # Bars spent flat at the peak are not under water.
                acc[a.A_PEAK_BAR] = decision
        size = _size_nb(rules, size_frac, decision, acc)
        if not size > 0.0:
            side = 0
            decision += 1
            continue
        if exit_rules.shape[0] > 0:
            for i in range(N_EXIT_RULES):
                rules[i] = exit_rules[decision, i]
        _enter_nb(open_[decision + 1], decision + 1, side, size, cash, rules, trade, acc)
        entries = short_entry if side > 0 else long_entry
        exits = long_exit if side > 0 else short_exit
        limit, reason, turns = _decided_nb(exits, entries, at, trade, rules, stop)
        exit_bar, raw, reason = _watch_nb(
            open_, high, low, block_low, block_high, trade, rules[TRAILING], limit, stop, reason
        )
        while day < day_ends.shape[0] and day_ends[day] <= decision:
            day_equity[day] = cash
            day += 1
        blocks = (block_low_close, block_high_close)
        gone, mark = hold_nb(close, blocks, sums, scratch, lanes, trade, exit_bar, mark, acc)
        while day < day_ends.shape[0] and day_ends[day] < gone:
            day_equity[day] = trade[T_BASE] + trade[T_SIGNED_QTY] * close[day_ends[day]]
            day += 1
        if gone < exit_bar:
            exit_bar = gone
            reason = _RUIN
        if reason == _NONE:
            # Still open at the end: marked, not counted.
            acc[a.A_OPEN] = 1.0
            _leave_nb(trade, stop, np.nan, reason, mark - cash, mark)
            cash = mark
        else:
            cash = _exit_nb(trade, exit_bar, raw, close[exit_bar], reason, mark, rules, acc)
            count_trade_nb(acc, trade)
        if n_closed < trades.shape[0]:
            for i in range(a.N_TRADE):
                trades[n_closed, i] = trade[i]
        if reason == _NONE:
            break
        n_closed += 1
        turns = turns and reason == _SIGNAL and cash > 0.0
        if turns and _size_nb(rules, size_frac, exit_bar - 1, acc) > 0.0:
            # `mark` stays the equity at the last close: this bar's return spans both positions.
            side = -side
            decision = exit_bar - 1
            continue
        end_flat_nb(acc, cash, mark, exit_bar)
        mark = cash
        if cash <= 0.0:
            break
        side = 0
        decision = exit_bar
    while day < day_ends.shape[0]:
        day_equity[day] = cash
        day += 1
    end_nb(acc, cash, stop)
    return n_closed


@kernel_step
def _next_entry_nb(long_entry, short_entry, at, first, stop):  # type: ignore[no-untyped-def]
    """Return (side, bar) of the first entry decided at first..stop-1, side 0 when there is none."""
    if at[0] < first:
        at[0] = next_set_nb(long_entry, first, stop)
    if at[1] < first:
        at[1] = next_set_nb(short_entry, first, stop)
    if min(at[0], at[1]) >= stop:
        return 0, stop
    return (1, at[0]) if at[0] < at[1] else (-1, at[1])


@kernel_step
def _size_nb(rules, size_frac, decision, acc):  # type: ignore[no-untyped-def]
    """Return the notional fraction of an entry decided at bar `decision`; NaN or 0 for none."""
    size = size_frac[decision] if size_frac.shape[0] > 0 else rules[SIZE]
    if not rules[KELLY] > 0.0:
        return size
    trades = acc[a.A_TRADES]
    wins = acc[a.A_WINS]
    losses = trades - wins
    if trades < KELLY_MIN_TRADES:
        return 0.5 * size
    # Nothing but losses asks for the least, nothing but wins for the most.
    if acc[a.A_SUM_WIN_RETURN] <= 0.0:
        return 0.1 * size
    if acc[a.A_SUM_LOSS_RETURN] >= 0.0:
        return size
    mean_win = acc[a.A_SUM_WIN_RETURN] / wins
    mean_loss = -acc[a.A_SUM_LOSS_RETURN] / losses
    kelly = 0.5 * ((wins / trades) / mean_loss - (losses / trades) / mean_win)
    return min(size, max(0.1 * size, kelly))


@kernel_step
def _enter_nb(price, bar, side, size, cash, rules, trade, acc):  # type: ignore[no-untyped-def]
    """Fill an entry at the open `price` of `bar` and set the prices to watch."""
    commission = rules[COMMISSION]
    entry = price * (1.0 + side * rules[SLIPPAGE])
    qty = size * cash / (entry * (1.0 + commission))
    fee = qty * entry * commission
    fixed = entry * (1.0 - side * rules[STOP])
    target = entry * (1.0 + side * rules[TARGET])
    trade[T_SIDE] = side
    trade[T_ENTRY_BAR] = bar
    trade[T_ENTRY] = entry
    trade[T_SIZE_FRAC] = size
    trade[T_SIGNED_QTY] = side * qty
    # All in the asset: exactly no cash is left, whatever rounding says.
    trade[T_BASE] = 0.0 if side > 0 and size == 1.0 else cash - fee - side * qty * entry
    trade[T_CASH_BEFORE] = cash
    trade[T_FIXED] = fixed if fixed == fixed else -side * np.inf
    trade[T_TARGET] = target if target == target else side * np.inf
    acc[a.A_COMMISSION] += fee
    acc[a.A_SLIPPAGE] += qty * abs(entry - price)
    acc[a.A_TRADED] += size / (1.0 + commission)


@kernel_step
def _decided_nb(exits, entries, at, trade, rules, stop):  # type: ignore[no-untyped-def]
    """Return the bar at whose open a decision or the clock ends the position.

    Returns
    -------
    (limit, reason, turns) : the bar (`stop` when there is none), why, and whether an opposite entry
        was decided with it.
    """
    first = int(trade[T_ENTRY_BAR])
    is_long = trade[T_SIDE] > 0.0
    leaves = 2 if is_long else 3
    if at[leaves] < first:
        at[leaves] = next_set_nb(exits, first, stop - 1)
    bar = at[leaves]
    turns = False
    if rules[ON_OPPOSITE] > 0.0:
        other = 1 if is_long else 0
        if at[other] < first:
            at[other] = next_set_nb(entries, first, stop - 1)
        turns = at[other] <= bar
        bar = min(bar, at[other])
    limit = stop
    reason = _NONE
    if bar + 1 < stop:
        limit = bar + 1
        reason = _SIGNAL
    timed = first + rules[MAX_BARS]
    if timed < limit:
        limit = int(timed)
        reason = _TIME
    return limit, reason, turns


@kernel_step
def _watch_nb(  # type: ignore[no-untyped-def]
    open_, high, low, block_low, block_high, trade, trailing, limit, stop, reason
):
    """Watch stop and target inside the bars before `limit`, and the stop at the open of `limit`.

    Returns
    -------
    (exit_bar, raw, reason) : the bar (`stop` when the position stays open), the price before
        slippage, and why.
    """
    first = int(trade[T_ENTRY_BAR])
    is_long = trade[T_SIDE] > 0.0
    fixed = trade[T_FIXED]
    target = trade[T_TARGET]
    level = fixed
    if trailing == trailing:
        bar, level = trail_nb(
            low, high, first, limit, trade[T_SIDE], fixed, target, trailing, trade[T_ENTRY]
        )
    elif fixed == -target:
        bar = limit  # both infinite: nothing to watch
    elif is_long:
        bar = touch_long_nb(low, high, block_low, block_high, first, limit, fixed, target)
    else:
        bar = touch_short_nb(low, high, block_low, block_high, first, limit, fixed, target)
    if bar >= stop:
        return stop, np.nan, _NONE
    price = open_[bar]
    stop_reason = _STOP if level == fixed else _TRAILING
    if (price <= level) if is_long else (price >= level):
        return bar, price, stop_reason
    if bar == limit:
        return bar, price, reason
    if bar > first and ((price >= target) if is_long else (price <= target)):
        return bar, price, _TARGET
    if (low[bar] <= level) if is_long else (high[bar] >= level):
        return bar, level, stop_reason
    return bar, target, _TARGET


@kernel_step
def _exit_nb(trade, bar, raw, last_close, reason, mark, rules, acc):  # type: ignore[no-untyped-def]
    """Fill an exit and return the cash after it."""
    if reason == _RUIN:
        _leave_nb(trade, bar, last_close, reason, -trade[T_CASH_BEFORE], 0.0)
        return 0.0
    side = trade[T_SIDE]
    qty = abs(trade[T_SIGNED_QTY])
    price = raw * (1.0 - side * rules[SLIPPAGE])
    fee = qty * price * rules[COMMISSION]
    acc[a.A_COMMISSION] += fee
    acc[a.A_SLIPPAGE] += qty * abs(raw - price)
    acc[a.A_TRADED] += qty * price / mark
    # From the prices themselves, so that leaving where one entered, free of costs, gains nothing.
    entry = trade[T_ENTRY]
    pnl = side * qty * (price - entry) - qty * entry * rules[COMMISSION] - fee
    after = trade[T_CASH_BEFORE] + pnl
    if after <= 0.0:
        after = 0.0
        pnl = -trade[T_CASH_BEFORE]
        reason = _RUIN
    _leave_nb(trade, bar, price, reason, pnl, after)
    return after


@kernel_step
def _leave_nb(trade, bar, price, reason, pnl, after):  # type: ignore[no-untyped-def]
    """Complete a trade record."""
    trade[T_EXIT_BAR] = bar
    trade[T_EXIT] = price
    trade[T_REASON] = reason
    trade[T_PNL] = pnl
    trade[T_RETURN] = trade[T_PNL] / (trade[T_SIZE_FRAC] * trade[T_CASH_BEFORE])
    trade[T_EQUITY_AFTER] = after
