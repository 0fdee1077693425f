"""The fill rules bar by bar: slower than the kernel, obvious, and its oracle.

The two share no code but the layout of rules and trade records, so an error in one shows as a
difference.
"""

from __future__ import annotations

import numpy as np

from engine.backtest import layout
from engine.backtest.rules import (
    COMMISSION,
    INITIAL,
    KELLY,
    MAX_BARS,
    ON_OPPOSITE,
    SIZE,
    SLIPPAGE,
    STOP,
    TARGET,
    TRAILING,
)
from engine.strategy.compiled import compiled_kernel


@compiled_kernel
def _wanted_size_nb(rules, size_frac, t, closed, returns):  # type: ignore[no-untyped-def]
    size = rules[SIZE]
    if size_frac.shape[0] > 0:
        size = size_frac[t]
    if rules[KELLY] > 0.0:
        past = returns[:closed]
        wins = 0
        win_sum = 0.0
        loss_sum = 0.0
        for r in past:
            if r > 0.0:
                wins += 1
                win_sum += r
            else:
                loss_sum -= r
        losses = closed - wins
        if closed < 20:
            return 0.5 * size
        if win_sum <= 0.0:
            return 0.1 * size
        if loss_sum <= 0.0:
            return size
        kelly = 0.5 * (wins / closed / (loss_sum / losses) - losses / closed / (win_sum / wins))
        return min(size, max(0.1 * size, kelly))
    return size


@compiled_kernel
def simulate_plain_nb(  # type: ignore[no-untyped-def]  # noqa: C901
    open_,
    high,
    low,
    close,
    wants_long,
    wants_short,
    leaves_long,
    leaves_short,
    size_frac,
    exit_rules,
    start,
    stop,
    rules,
    trades,
    equity,
):
    """Run one strategy over bars start..stop-1, one bar after the other.

    Parameters
    ----------
    wants_long, wants_short, leaves_long, leaves_short : ndarray of shape (n_bars,), bool
    exit_rules : ndarray of shape (n_bars, 4) or (0, 4): stop, target, trailing and time stop of the
        entry decided at each bar; they take the place of those in `rules`, which is overwritten
    trades : ndarray of shape (stop - start + 1, N_TRADE), filled like the kernel's
    equity : ndarray of shape (stop - start + 1,), filled: initial capital, then equity at each
        close

    Returns
    -------
    (int, int) : closed trades, and 1 when a trade is open at the end.
    """
    fee_frac = rules[COMMISSION]
    slip = rules[SLIPPAGE]
    cash = rules[INITIAL]
    equity[0] = cash
    closed = 0
    returns = np.empty(stop - start + 1)
    side = 0
    entry_bar = 0
    entry = qty = base = size = 0.0
    fixed = target = extreme = 0.0
    ruined = False
    for t in range(start, stop):
        exit_price = np.nan
        reason = -1
        turn = 0
        decided_long = t > start and wants_long[t - 1]
        decided_short = t > start and wants_short[t - 1]
        was_flat = side == 0
        if side != 0:
            level = fixed
            if rules[TRAILING] == rules[TRAILING]:
                trail = extreme * (1.0 - side * rules[TRAILING])
                level = max(level, trail) if side > 0 else min(level, trail)
            stop_reason = 0 if level == fixed else 1
            opposite = decided_short if side > 0 else decided_long
            opposite = opposite and rules[ON_OPPOSITE] > 0.0
            leaves = leaves_long[t - 1] if side > 0 else leaves_short[t - 1]
            if side * open_[t] <= side * level:
                exit_price = open_[t]
                reason = stop_reason
            elif opposite or leaves:
                exit_price = open_[t]
                reason = 3
                if opposite:
                    turn = -side
            elif t >= entry_bar + rules[MAX_BARS]:
                exit_price = open_[t]
                reason = 4
            elif side * open_[t] >= side * target:
                exit_price = open_[t]
                reason = 2
            # A decision made at this bar's open leaves nothing for the inside of the bar.
            elif (side > 0 and low[t] <= level) or (side < 0 and high[t] >= level):
                exit_price = level
                reason = stop_reason
            elif (side > 0 and high[t] >= target) or (side < 0 and low[t] <= target):
                exit_price = target
                reason = 2
        if reason >= 0:
            fill = exit_price * (1.0 - side * slip)
            pnl = side * qty * (fill - entry) - qty * (entry + fill) * fee_frac
            after = cash + pnl
            if after <= 0.0:
                after = 0.0
                pnl = -cash
                reason = 5
                ruined = True
            trades[closed, layout.T_SIDE] = side
            trades[closed, layout.T_ENTRY_BAR] = entry_bar
            trades[closed, layout.T_ENTRY] = entry
            trades[closed, layout.T_EXIT_BAR] = t
            trades[closed, layout.T_EXIT] = fill
            trades[closed, layout.T_REASON] = reason
            trades[closed, layout.T_PNL] = pnl
            trades[closed, layout.T_RETURN] = pnl / (size * cash)
            trades[closed, layout.T_EQUITY_AFTER] = after
            returns[closed] = pnl / (size * cash)
            closed += 1
            cash = after
            side = 0
        wanted = turn
        if was_flat and decided_long and not decided_short:
            wanted = 1
        if was_flat and decided_short and not decided_long:
            wanted = -1
        if wanted != 0 and side == 0 and not ruined:
            size = _wanted_size_nb(rules, size_frac, t - 1, closed, returns)
            if size > 0.0:
                if exit_rules.shape[0] > 0:
                    rules[STOP] = exit_rules[t - 1, STOP]
                    rules[TARGET] = exit_rules[t - 1, TARGET]
                    rules[TRAILING] = exit_rules[t - 1, TRAILING]
                    rules[MAX_BARS] = exit_rules[t - 1, MAX_BARS]
                side = wanted
                entry_bar = t
                entry = open_[t] * (1.0 + side * slip)
                qty = size * cash / (entry * (1.0 + fee_frac))
                base = cash - qty * entry * fee_frac - side * qty * entry
                extreme = entry
                fixed = -side * np.inf
                if rules[STOP] == rules[STOP]:
                    fixed = entry * (1.0 - side * rules[STOP])
                target = side * np.inf
                if rules[TARGET] == rules[TARGET]:
                    target = entry * (1.0 + side * rules[TARGET])
                level = fixed
                if rules[TRAILING] == rules[TRAILING]:
                    trail = entry * (1.0 - side * rules[TRAILING])
                    level = max(level, trail) if side > 0 else min(level, trail)
                stop_reason = 0 if level == fixed else 1
                reason = -1
                if (side > 0 and low[t] <= level) or (side < 0 and high[t] >= level):
                    # With slippage wider than the stop the open itself is beyond it.
                    gapped = side * open_[t] <= side * level
                    exit_price = open_[t] if gapped else level
                    reason = stop_reason
                elif (side > 0 and high[t] >= target) or (side < 0 and low[t] <= target):
                    exit_price = target
                    reason = 2
                if reason >= 0:
                    fill = exit_price * (1.0 - side * slip)
                    pnl = side * qty * (fill - entry) - qty * (entry + fill) * fee_frac
                    after = cash + pnl
                    if after <= 0.0:
                        after = 0.0
                        pnl = -cash
                        reason = 5
                        ruined = True
                    trades[closed, layout.T_SIDE] = side
                    trades[closed, layout.T_ENTRY_BAR] = entry_bar
                    trades[closed, layout.T_ENTRY] = entry
                    trades[closed, layout.T_EXIT_BAR] = t
                    trades[closed, layout.T_EXIT] = fill
                    trades[closed, layout.T_REASON] = reason
                    trades[closed, layout.T_PNL] = pnl
                    trades[closed, layout.T_RETURN] = pnl / (size * cash)
                    trades[closed, layout.T_EQUITY_AFTER] = after
                    returns[closed] = pnl / (size * cash)
                    closed += 1
                    cash = after
                    side = 0
        marked = cash if side == 0 else base + side * qty * close[t]
        if marked <= 0.0 and side != 0:
            trades[closed, layout.T_SIDE] = side
            trades[closed, layout.T_ENTRY_BAR] = entry_bar
            trades[closed, layout.T_ENTRY] = entry
            trades[closed, layout.T_EXIT_BAR] = t
            trades[closed, layout.T_EXIT] = close[t]
            trades[closed, layout.T_REASON] = 5
            trades[closed, layout.T_PNL] = -cash
            trades[closed, layout.T_RETURN] = -cash / (size * cash)
            trades[closed, layout.T_EQUITY_AFTER] = 0.0
            closed += 1
            cash = 0.0
            marked = 0.0
            side = 0
            ruined = True
        equity[t - start + 1] = marked
        if side > 0:
            extreme = max(extreme, high[t])
        elif side < 0:
            extreme = min(extreme, low[t])
    if side != 0:
        trades[closed, layout.T_SIDE] = side
        trades[closed, layout.T_ENTRY_BAR] = entry_bar
        trades[closed, layout.T_ENTRY] = entry
        trades[closed, layout.T_EXIT_BAR] = stop
        trades[closed, layout.T_REASON] = -1
        trades[closed, layout.T_EQUITY_AFTER] = equity[stop - start]
        return closed, 1
    return closed, 0
