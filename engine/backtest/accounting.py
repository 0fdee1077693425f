"""The running account of a backtest: returns and their moments, peak and drawdown, trades.

Equity while a position is open is linear in the close: base + signed quantity x close.
"""

from __future__ import annotations

import numpy as np

from engine.backtest.layout import (
    A_DOWN2,
    A_FINAL,
    A_FLOOR,
    A_GROSS_LOSS,
    A_GROSS_PROFIT,
    A_HELD,
    A_KEPT,
    A_KEPT_FLOOR,
    A_LAG,
    A_LAST_RETURN,
    A_LAST_RETURN_BAR,
    A_LONGEST,
    A_LOSS_STREAK,
    A_PEAK,
    A_PEAK_BAR,
    A_S1,
    A_S2,
    A_S3,
    A_S4,
    A_STREAK,
    A_SUM_BARS,
    A_SUM_LOSS_RETURN,
    A_SUM_RETURN,
    A_SUM_WIN_RETURN,
    A_TRADES,
    A_WIN_STREAK,
    A_WINS,
    BLOCK,
    N_LANES,
    T_BASE,
    T_ENTRY_BAR,
    T_EXIT_BAR,
    T_PNL,
    T_RETURN,
    T_SIGNED_QTY,
    TIE_FRAC,
)
from engine.strategy.compiled import compiled_kernel, inlined_step, kernel_step


@kernel_step
def _moments_nb(close, first, stop, base, qty, scratch, lanes, acc):  # type: ignore[no-untyped-def]
    """Add the returns of bars first..stop-1, all within one position, to the moments.

    Each sum runs in eight lanes, added up in order at the end: several bars at a time where the
    processor can, and the same bits wherever and however this is compiled.
    """
    n = stop - first
    scratch[0] = 0.0
    for i in range(n):
        scratch[i + 1] = (base + qty * close[first + i]) / (base + qty * close[first + i - 1]) - 1.0
    lanes[:] = 0.0
    n_whole = n - n % N_LANES
    for i in range(0, n_whole, N_LANES):
        for k in range(N_LANES):
            _lane_nb(scratch[i + k + 1], scratch[i + k], lanes, k)
    for i in range(n_whole, n):
        _lane_nb(scratch[i + 1], scratch[i], lanes, i - n_whole)
    for k in range(N_LANES):
        acc[A_S1] += lanes[0, k]
        acc[A_S2] += lanes[1, k]
        acc[A_S3] += lanes[2, k]
        acc[A_S4] += lanes[3, k]
        acc[A_DOWN2] += lanes[4, k]
        acc[A_LAG] += lanes[5, k]


@inlined_step
def _lane_nb(r, before, lanes, k):  # type: ignore[no-untyped-def]
    """Add one return, and its product with the one before, to lane k."""
    r2 = r * r
    low = min(r, 0.0)
    lanes[0, k] += r
    lanes[1, k] += r2
    lanes[2, k] += r2 * r
    lanes[3, k] += r2 * r2
    lanes[4, k] += low * low
    lanes[5, k] += r * before


@kernel_step
def _summed_nb(sums, first, stop, acc):  # type: ignore[no-untyped-def]
    """Add the same from running sums: equity all in the asset returns what the close does."""
    acc[A_S1] += sums[stop, 0] - sums[first, 0]
    acc[A_S2] += sums[stop, 1] - sums[first, 1]
    acc[A_S3] += sums[stop, 2] - sums[first, 2]
    acc[A_S4] += sums[stop, 3] - sums[first, 3]
    acc[A_DOWN2] += sums[stop, 4] - sums[first, 4]
    acc[A_LAG] += sums[stop, 5] - sums[first + 1, 5]


@compiled_kernel
def running_sums_nb(close):  # type: ignore[no-untyped-def]
    """Return running sums of the close's returns, shape (n_bars + 1, 8); row t ends before bar t.

    Columns: r, r^2, r^3, r^4, min(r, 0)^2, r times the return before it; then the last r itself.
    The eighth is empty, so that a row is one line of the processor's cache.
    """
    out = np.zeros((close.shape[0] + 1, 8))
    before = 0.0
    for t in range(close.shape[0]):
        r = close[t] / close[t - 1] - 1.0 if t > 0 else 0.0
        low = min(r, 0.0)
        out[t + 1, 0] = out[t, 0] + r
        out[t + 1, 1] = out[t, 1] + r * r
        out[t + 1, 2] = out[t, 2] + r * r * r
        out[t + 1, 3] = out[t, 3] + r * r * r * r
        out[t + 1, 4] = out[t, 4] + low * low
        out[t + 1, 5] = out[t, 5] + r * before
        out[t + 1, 6] = r
        before = r
    return out


@kernel_step
def _single_nb(acc, r, bar):  # type: ignore[no-untyped-def]
    """Add one return, of `bar`, to the moments."""
    r2 = r * r
    acc[A_S1] += r
    acc[A_S2] += r2
    acc[A_S3] += r2 * r
    acc[A_S4] += r2 * r2
    if r < 0.0:
        acc[A_DOWN2] += r2
    if acc[A_LAST_RETURN_BAR] == bar - 1:
        acc[A_LAG] += r * acc[A_LAST_RETURN]
    acc[A_LAST_RETURN] = r
    acc[A_LAST_RETURN_BAR] = bar


@kernel_step
def _mark_nb(acc, equity, bar):  # type: ignore[no-untyped-def]
    """Let one equity point, at the close of `bar`, raise the peak or lower the floor.

    The floor is the lowest equity that deepens nothing: peak x (1 - drawdown so far). A new low
    only lowers it; the
    drawdown is worked out when the peak next rises (A_KEPT is 1 - drawdown) and at the end.
    """
    acc[A_FLOOR] = min(acc[A_FLOOR], equity)
    if equity < acc[A_PEAK] * (1.0 - TIE_FRAC):
        return
    acc[A_LONGEST] = max(acc[A_LONGEST], bar - acc[A_PEAK_BAR] - 1.0)
    acc[A_PEAK_BAR] = bar
    if equity > acc[A_PEAK]:
        if acc[A_FLOOR] < acc[A_KEPT_FLOOR]:
            acc[A_KEPT] = acc[A_FLOOR] / acc[A_PEAK]
        acc[A_PEAK] = equity
        acc[A_FLOOR] = equity * acc[A_KEPT]
        acc[A_KEPT_FLOOR] = acc[A_FLOOR]


@kernel_step
def _marks_nb(close, block_low_close, block_high_close, first, stop, base, qty, acc):  # type: ignore[no-untyped-def]
    """Mark bars first..stop-1; return the bar at which equity is gone, `stop` when it never is.

    Equity is linear in the close, so a block is known by its lowest and highest close.
    """
    t = first
    while t < stop:
        began = t
        b = t // BLOCK
        block_stop = min(stop, (b + 1) * BLOCK)
        one = base + qty * block_low_close[b]
        other = base + qty * block_high_close[b]
        if max(one, other) < acc[A_PEAK] * (1.0 - TIE_FRAC):
            # Without a new peak only the lowest equity matters, and the whole block's bounds it.
            lowest = min(one, other)
            if lowest >= acc[A_FLOOR]:
                t = block_stop
                continue
            if block_stop - t == BLOCK:
                acc[A_FLOOR] = lowest
                if lowest <= 0.0:
                    return _gone_nb(close, began, base, qty)
                t = block_stop
                continue
        regained = acc[A_PEAK] * (1.0 - TIE_FRAC)
        floor = acc[A_FLOOR]
        while t < block_stop:
            equity = base + qty * close[t]
            floor = min(floor, equity)
            if equity >= regained:
                if floor <= 0.0:
                    break
                acc[A_FLOOR] = floor
                _mark_nb(acc, equity, t)
                regained = acc[A_PEAK] * (1.0 - TIE_FRAC)
                floor = acc[A_FLOOR]
            t += 1
        acc[A_FLOOR] = floor
        if floor <= 0.0:
            return _gone_nb(close, began, base, qty)
    return stop


@kernel_step
def _gone_nb(close, first, base, qty):  # type: ignore[no-untyped-def]
    """Return the first bar from `first` on at whose close nothing is left; there is one."""
    t = first
    while base + qty * close[t] > 0.0:
        t += 1
    return t


@kernel_step
def hold_nb(close, blocks, sums, scratch, lanes, trade, stop, mark, acc):  # type: ignore[no-untyped-def]
    """Account for the closes at which a position stands.

    Parameters
    ----------
    blocks : lowest and highest close of each block of BLOCK bars
    trade : the open position, a trade record
    stop : the bar in which it ends, or the end of the segment
    mark : equity at the close before the entry bar

    Returns
    -------
    (bar, float) : `stop`, or the bar at whose close nothing was left; equity at the close before.
    """
    first = int(trade[T_ENTRY_BAR])
    base = trade[T_BASE]
    qty = trade[T_SIGNED_QTY]
    stop = _marks_nb(close, blocks[0], blocks[1], first, stop, base, qty, acc)
    acc[A_HELD] += stop - first
    if stop == first:
        return stop, mark
    equity = base + qty * close[first]
    first_return = equity / mark - 1.0
    _single_nb(acc, first_return, first)
    if stop > first + 1:
        if base == 0.0:
            _summed_nb(sums, first + 1, stop, acc)
            second = sums[first + 2, 6]
            last = sums[stop, 6]
        else:
            _moments_nb(close, first + 1, stop, base, qty, scratch, lanes, acc)
            second = scratch[1]
            last = scratch[stop - first - 1]
        acc[A_LAG] += first_return * second
        acc[A_LAST_RETURN] = last
        acc[A_LAST_RETURN_BAR] = stop - 1
        equity = base + qty * close[stop - 1]
    return stop, equity


@kernel_step
def end_flat_nb(acc, cash, mark, bar):  # type: ignore[no-untyped-def]
    """Account for the close of `bar`, in which a position ended and none began."""
    _single_nb(acc, cash / mark - 1.0, bar)
    _mark_nb(acc, cash, bar)


@kernel_step
def begin_nb(acc, cash, start):  # type: ignore[no-untyped-def]
    """Empty the accumulators: `cash` before the close of bar `start`."""
    acc[:] = 0.0
    acc[A_PEAK] = cash
    acc[A_FLOOR] = cash
    acc[A_KEPT] = 1.0
    acc[A_KEPT_FLOOR] = cash
    acc[A_PEAK_BAR] = start - 1
    acc[A_LAST_RETURN_BAR] = start - 2


@kernel_step
def end_nb(acc, cash, stop):  # type: ignore[no-untyped-def]
    """Close the accumulators of a segment that ends before bar `stop`."""
    if cash < acc[A_PEAK] * (1.0 - TIE_FRAC):
        # The final stretch below the peak counts as well.
        acc[A_LONGEST] = max(acc[A_LONGEST], (stop - 1) - acc[A_PEAK_BAR])
    acc[A_FINAL] = cash


@kernel_step
def count_trade_nb(acc, trade):  # type: ignore[no-untyped-def]
    """Add a closed trade to the totals and streaks."""
    pnl = trade[T_PNL]
    acc[A_TRADES] += 1.0
    acc[A_SUM_RETURN] += trade[T_RETURN]
    acc[A_SUM_BARS] += trade[T_EXIT_BAR] - trade[T_ENTRY_BAR]
    if pnl > 0.0:
        acc[A_WINS] += 1.0
        acc[A_GROSS_PROFIT] += pnl
        acc[A_SUM_WIN_RETURN] += trade[T_RETURN]
        acc[A_STREAK] = max(acc[A_STREAK], 0.0) + 1.0
        acc[A_WIN_STREAK] = max(acc[A_WIN_STREAK], acc[A_STREAK])
    else:
        acc[A_GROSS_LOSS] -= pnl
        acc[A_SUM_LOSS_RETURN] += trade[T_RETURN]
        acc[A_STREAK] = min(acc[A_STREAK], 0.0) - 1.0
        acc[A_LOSS_STREAK] = max(acc[A_LOSS_STREAK], -acc[A_STREAK])
