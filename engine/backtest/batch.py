"""Many strategies over one series in one call, so that nothing but the kernel runs between them."""

from __future__ import annotations

import numpy as np

from engine.backtest.finish import finish_nb
from engine.backtest.kernel import simulate_nb
from engine.backtest.rules import INITIAL, N_EXIT_RULES, SIZE
from engine.strategy.bits import decide_nb
from engine.strategy.compiled import compiled_kernel


@compiled_kernel
def evaluate_batch_nb(  # type: ignore[no-untyped-def]
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
    words,
    ends,
    picked,
    needed,
    rules,
    volatility,
    volatility_target,
    spans,
    day_ends,
    day_spans,
    bars_per_year,
    min_trades,
    drawdown_weight,
    acc,
    at,
    trade,
    trades,
    out,
):
    """Decide, simulate and measure every strategy of a batch on every segment.

    Parameters
    ----------
    open_ ... sums, scratch, lanes, acc, at, trade : as for `simulate_nb`
    words : truth columns, shape (n_rows, n_words)
    ends, picked, needed : of each strategy, as for `decide_nb`
    rules : ndarray of shape (n_strategies, N_RULES)
    volatility : ndarray of shape (n_bars,), annualised, NaN where undefined
    volatility_target : ndarray of shape (n_strategies,), NaN for sizes that do not depend on it
    spans : ndarray of shape (n_segments, 2), first bar and end of each segment
    day_ends, day_spans : last bars of the UTC days of all segments, and where each segment's are
    trades : ndarray of shape (0, N_TRADE)
    out : ndarray of shape (n_strategies, n_segments, N_METRICS), overwritten
    """
    wanted = np.empty((4, words.shape[1]), dtype=np.uint64)
    sized = np.empty(close.shape[0])
    day_equity = np.empty(day_ends.shape[0])
    exit_rules = np.empty((0, N_EXIT_RULES))
    for i in range(out.shape[0]):
        decide_nb(words, ends[i], picked[i], needed[i, 0], needed[i, 1], wanted)
        size_frac = sized[:0]
        if volatility_target[i] > 0.0:
            size_frac = sized
            for t in range(close.shape[0]):
                sized[t] = volatility_target[i] / volatility[t]
                if sized[t] > rules[i, SIZE]:
                    sized[t] = rules[i, SIZE]
        for s in range(spans.shape[0]):
            start, stop = spans[s, 0], spans[s, 1]
            days = day_ends[day_spans[s, 0] : day_spans[s, 1]]
            equity = day_equity[day_spans[s, 0] : day_spans[s, 1]]
            simulate_nb(
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
                wanted[0],
                wanted[1],
                wanted[2],
                wanted[3],
                size_frac,
                exit_rules,
                start,
                stop,
                rules[i],
                days,
                equity,
                acc,
                at,
                trade,
                trades,
            )
            finish_nb(
                acc,
                stop - start,
                bars_per_year,
                bars_per_year / 365.0,
                rules[i, INITIAL],
                equity,
                min_trades,
                drawdown_weight,
                out[i, s],
            )
