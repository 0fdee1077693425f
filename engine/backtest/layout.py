"""Where the kernel keeps what: the columns of a trade record and of the accumulators."""

from __future__ import annotations

BLOCK = 8
"""Bars whose extremes are kept together, so that a block nothing happens in is skipped whole."""

# Columns of a trade record. While a position is open its row is the scratch row, which also holds
# the prices being watched.
(
    T_SIDE,
    T_ENTRY_BAR,
    T_ENTRY,
    T_EXIT_BAR,
    T_EXIT,
    T_REASON,
    T_SIZE_FRAC,
    T_SIGNED_QTY,
    T_BASE,
    T_PNL,
    T_RETURN,
    T_EQUITY_AFTER,
    T_CASH_BEFORE,
    T_FIXED,
    T_TARGET,
) = range(15)
N_TRADE = 15

# Positions in the accumulator vector.
(
    A_S1,
    A_S2,
    A_S3,
    A_S4,
    A_DOWN2,
    A_LAG,
    A_PEAK,
    A_FLOOR,
    A_KEPT,
    A_KEPT_FLOOR,
    A_PEAK_BAR,
    A_LONGEST,
    A_TRADES,
    A_WINS,
    A_GROSS_PROFIT,
    A_GROSS_LOSS,
    A_SUM_RETURN,
    A_SUM_BARS,
    A_STREAK,
    A_WIN_STREAK,
    A_LOSS_STREAK,
    A_HELD,
    A_TRADED,
    A_COMMISSION,
    A_SLIPPAGE,
    A_FINAL,
    A_LAST_RETURN,
    A_LAST_RETURN_BAR,
    A_SUM_WIN_RETURN,
    A_SUM_LOSS_RETURN,
    A_OPEN,
) = range(31)
N_ACC = 31

TIE_FRAC = 1e-9
"""Equity this close below its peak has regained it: rounding must not decide that."""

N_LANES = 8
N_LANE_SUMS = 6
