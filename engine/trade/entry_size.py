"""How large an entry is: the backtest's sizing, from the trades of one strategy so far."""

from __future__ import annotations

from dataclasses import dataclass

from engine.backtest.rules import Rules

KELLY_MIN_TRADES = 20
KELLY_LEAST = 0.1


@dataclass(slots=True)
class TradeReturns:
    """Sums over closed trades, in order.

    Attributes
    ----------
    win_sum, loss_sum : of the returns above zero, and of the others with their sign turned;
        fraction
    """

    n_trades: int = 0
    n_wins: int = 0
    win_sum: float = 0.0
    loss_sum: float = 0.0

    def count(self, net_return: float) -> None:
        """Count one closed trade."""
        self.n_trades += 1
        if net_return > 0.0:
            self.n_wins += 1
            self.win_sum += net_return
        else:
            self.loss_sum -= net_return


def wanted_size(rules: Rules, size_frac: float | None, past: TradeReturns) -> float:
    """Return the notional of an entry, commission included, as a fraction of capital.

    Parameters
    ----------
    size_frac : decided for this entry, nan forbids it; None = the rules' own
    past : closed trades; half of their Kelly fraction may lower the size, never raise it

    Returns
    -------
    float : <= 0 or nan when nothing is entered.
    """
    size = rules.size_frac if size_frac is None else size_frac
    if not rules.kelly:
        return size
    if past.n_trades < KELLY_MIN_TRADES:
        return 0.5 * size
    if past.win_sum <= 0.0:
        return KELLY_LEAST * size
    if past.loss_sum <= 0.0:
        return size
    n_losses = past.n_trades - past.n_wins
    win_rate, loss_rate = past.n_wins / past.n_trades, n_losses / past.n_trades
    mean_loss, mean_win = past.loss_sum / n_losses, past.win_sum / past.n_wins
    kelly = 0.5 * (win_rate / mean_loss - loss_rate / mean_win)
    return min(size, max(KELLY_LEAST * size, kelly))
