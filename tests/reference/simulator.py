"""A second opinion on every backtest: one bar after another, lists and floats, nothing clever.

Written from the rules alone (SPEC section 4 and the README's Design paragraphs) and sharing no code
with the engine's kernel. The genome is read as a value and the operand columns are given; what
they say, what is filled, at which price and size, and what that was worth, is worked out here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.strategy.genome import Condition, ConstantOperand, Genome, Sizing

Series = dict[str, list[float]]
"""Values of each operand by its key, one a bar, nan where undefined; bar fields included."""

DAY_MS = 86_400_000
YEAR_DAYS = 365
VOLATILITY_BARS = 100
KELLY_TRADES = 20


@dataclass
class Fill:
    """A round trip, or half of one while `exit_bar` is None."""

    side: int
    entry_bar: int
    entry: float
    qty: float
    committed: float
    exit_bar: int | None = None
    exit: float | None = None
    reason: str | None = None
    pnl: float = math.nan
    net_return: float = math.nan
    equity_after: float = math.nan
    highest: float = -math.inf
    lowest: float = math.inf


@dataclass
class Account:
    """What has happened so far."""

    cash: float
    closed: list[Fill] = field(default_factory=list)
    held: Fill | None = None
    commission: float = 0.0
    slippage: float = 0.0
    turnover: float = 0.0
    """Notional of each fill over equity: of entries that before them, of exits that at the last
    close before their bar."""
    marked: float = math.nan


@dataclass
class Run:
    """What one simulation found; equity has one point more than there are bars."""

    account: Account
    equity: list[float]
    days: list[float]


class Simulator:
    """Run one genome over bars start <= i < stop, flat at first."""

    def __init__(
        self,
        genome: Genome,
        series: Series,
        timestamps: list[int],
        bar_ms: int,
        capital: float = 10_000.0,
        commission_frac: float = 0.001,
        slippage_frac: float = 0.0005,
    ) -> None:
        self.genome = genome
        self.series = series
        self.timestamps = timestamps
        self.bars_per_year = YEAR_DAYS * DAY_MS / bar_ms
        self.capital = capital
        self.commission_frac = commission_frac
        self.slippage_frac = slippage_frac

    # What the strategy wants at the close of a bar.

    def holds(self, condition: Condition, bar: int) -> bool:
        left = self.series[condition.left.key]
        if condition.op in ("rising", "falling"):
            assert condition.bars is not None
            if bar < condition.bars:
                return False
            now, then = left[bar], left[bar - condition.bars]
            # A comparison with nan is false.
            return now > then if condition.op == "rising" else now < then
        right = condition.right
        assert right is not None

        def right_at(index: int) -> float:
            if isinstance(right, ConstantOperand):
                return right.value
            return self.series[right.key][index]

        if condition.op == "<":
            return left[bar] < right_at(bar)
        if condition.op == ">":
            return left[bar] > right_at(bar)
        if bar == 0:
            return False
        if condition.op == "crosses_above":
            return left[bar] > right_at(bar) and left[bar - 1] <= right_at(bar - 1)
        return left[bar] < right_at(bar) and left[bar - 1] >= right_at(bar - 1)

    def wants_side(self, conditions: tuple[Condition, ...], bar: int) -> bool:
        if not conditions:
            return False
        n_holding = sum(1 for condition in conditions if self.holds(condition, bar))
        if n_holding < math.ceil(self.genome.confidence * len(conditions) - 1e-9):
            return False
        return all(self.holds(condition, bar) for condition in self.genome.filters)

    def wanted(self, bar: int) -> int:
        """Return 1 for long, -1 for short, 0 for nothing or for both at once."""
        is_long = self.wants_side(self.genome.long_entry, bar)
        is_short = self.wants_side(self.genome.short_entry, bar)
        return int(is_long) - int(is_short)

    def leaves(self, side: int, bar: int) -> bool:
        exits = self.genome.exits
        conditions = exits.long_conditions if side == 1 else exits.short_conditions
        return any(self.holds(condition, bar) for condition in conditions)

    # How large a position may be.

    def size(self, account: Account, decided_at: int) -> float:
        """Return the notional as a fraction of equity; nan forbids the entry."""
        genome = self.genome
        risk = genome.risk
        fixed = min(
            risk.size_frac * risk.leverage, risk.risk_per_trade_frac / genome.exits.stop_frac
        )
        if risk.sizing is Sizing.VOLATILITY:
            assert risk.volatility_target is not None
            deviation = self.volatility(decided_at)
            if math.isnan(deviation):
                return math.nan
            return fixed if deviation == 0.0 else min(fixed, risk.volatility_target / deviation)
        if risk.sizing is Sizing.KELLY:
            return self.half_kelly(account, fixed)
        return fixed

    def volatility(self, bar: int) -> float:
        if bar < VOLATILITY_BARS:
            return math.nan
        close = self.series["close"]
        returns = [close[i] / close[i - 1] - 1.0 for i in range(bar - VOLATILITY_BARS + 1, bar + 1)]
        mean = math.fsum(returns) / VOLATILITY_BARS
        variance = math.fsum((r - mean) ** 2 for r in returns) / VOLATILITY_BARS
        return math.sqrt(variance * self.bars_per_year)

    def half_kelly(self, account: Account, fixed: float) -> float:
        trades = account.closed
        if len(trades) < KELLY_TRADES:
            return fixed / 2.0
        gains = [trade.net_return for trade in trades if trade.pnl > 0.0]
        losses = [-trade.net_return for trade in trades if trade.pnl <= 0.0]
        if not gains:
            return fixed / 10.0
        win_share = len(gains) / len(trades)
        mean_loss = math.fsum(losses) / len(losses) if losses else 0.0
        if mean_loss == 0.0:
            return fixed
        payoff = math.fsum(gains) / len(gains) / mean_loss
        # Kelly's stake is what a loss costs, and a loss costs mean_loss of the notional.
        stake = win_share - (1.0 - win_share) / payoff
        return min(fixed, max(fixed / 10.0, stake / mean_loss / 2.0))

    # Fills.

    def enter(self, account: Account, side: int, bar: int, size: float) -> None:
        price = self.series["open"][bar]
        fill = price * (1.0 + side * self.slippage_frac)
        committed = size * account.cash
        qty = committed / (fill * (1.0 + self.commission_frac))
        account.held = Fill(
            side, bar, fill, qty, committed, highest=fill, lowest=fill, equity_after=account.cash
        )
        account.commission += qty * fill * self.commission_frac
        account.slippage += qty * abs(fill - price)
        account.turnover += qty * fill / account.cash

    def leave(self, account: Account, bar: int, price: float, reason: str) -> None:
        held = account.held
        assert held is not None
        fill = price * (1.0 - held.side * self.slippage_frac)
        account.turnover += held.qty * fill / account.marked
        paid = held.qty * (held.entry + fill) * self.commission_frac
        held.exit_bar, held.exit, held.reason = bar, fill, reason
        held.pnl = held.side * held.qty * (fill - held.entry) - paid
        if account.cash + held.pnl <= 0.0:
            # Ruin: an account cannot owe. All of it is lost, whatever the fill.
            held.pnl, held.reason = -account.cash, "ruin"
        held.net_return = held.pnl / held.committed
        account.cash += held.pnl
        held.equity_after = account.cash
        account.commission += held.qty * fill * self.commission_frac
        account.slippage += held.qty * abs(fill - price)
        account.closed.append(held)
        account.held = None

    def stop_of(self, held: Fill) -> tuple[float, str]:
        """Return the tighter of stop and trailing stop; the plain stop when they are equal."""
        exits = self.genome.exits
        stop = held.entry * (1.0 - held.side * exits.stop_frac)
        if exits.trailing_frac is None:
            return stop, "stop"
        best = held.highest if held.side == 1 else held.lowest
        trailing = best * (1.0 - held.side * exits.trailing_frac)
        if (trailing - stop) * held.side > 0.0:
            return trailing, "trailing"
        return stop, "stop"

    def exit_on_prices(self, account: Account, bar: int, *, at_open: bool) -> None:
        """Fill a stop or a target that the bar reaches; at the open only when it gaps through."""
        held = account.held
        assert held is not None
        stop, reason = self.stop_of(held)
        target = self.target_of(held)
        if at_open:
            price = self.series["open"][bar]
            if (price - stop) * held.side <= 0.0:
                self.leave(account, bar, price, reason)
            return
        low, high = self.series["low"][bar], self.series["high"][bar]
        worst, best = (low, high) if held.side == 1 else (high, low)
        if (worst - stop) * held.side <= 0.0:
            self.leave(account, bar, stop, reason)
        elif target is not None and (best - target) * held.side >= 0.0:
            self.leave(account, bar, target, "target")

    def target_of(self, held: Fill) -> float | None:
        target_frac = self.genome.exits.target_frac
        return None if target_frac is None else held.entry * (1.0 + held.side * target_frac)

    # One bar after another.

    def run(self, start: int, stop: int) -> Run:
        account = Account(self.capital)
        equity = [self.capital]
        days: list[float] = []
        wanted = 0
        decided_size = math.nan
        leaves = False
        for bar in range(start, stop):
            if account.held is not None:
                self.open_of_bar(account, bar, wanted, decided_size, leaves=leaves)
            elif wanted and not math.isnan(decided_size) and account.cash > 0.0:
                self.enter(account, wanted, bar, decided_size)
            if account.held is not None:
                self.inside_bar(account, bar)
            if account.held is not None and self.equity_at_close(account, bar) <= 0.0:
                self.leave(account, bar, self.series["close"][bar], "ruin")
            account.marked = self.equity_at_close(account, bar)
            equity.append(account.marked)
            # The close: decide what to do at the next open. Kelly looks at trades closed by then.
            wanted = self.wanted(bar)
            held = account.held
            leaves = held is not None and self.leaves(held.side, bar)
            decided_size = self.size(account, bar) if wanted else math.nan
            is_last = bar + 1 == stop
            if is_last or self.timestamps[bar] // DAY_MS != self.timestamps[bar + 1] // DAY_MS:
                days.append(equity[-1])
        return Run(account, equity, days)

    def open_of_bar(
        self, account: Account, bar: int, wanted: int, size: float, *, leaves: bool
    ) -> None:
        """Gap through the stop, signal, time stop, gap through the target, in this order."""
        held = account.held
        assert held is not None
        exits = self.genome.exits
        price = self.series["open"][bar]
        self.exit_on_prices(account, bar, at_open=True)
        if account.held is None:
            return
        reverses = exits.on_opposite and wanted == -held.side
        if reverses or leaves:
            self.leave(account, bar, price, "signal")
            if reverses:
                self.reverse(account, wanted, bar, size)
            return
        if exits.max_bars is not None and bar == held.entry_bar + exits.max_bars:
            self.leave(account, bar, price, "time")
            return
        target = self.target_of(held)
        if target is not None and (price - target) * held.side >= 0.0:
            self.leave(account, bar, price, "target")

    def reverse(self, account: Account, wanted: int, bar: int, size: float) -> None:
        if self.genome.risk.sizing is Sizing.KELLY:
            # The trade that has just closed is one of the trades so far.
            size = self.size(account, bar - 1)
        if not math.isnan(size) and account.cash > 0.0:
            self.enter(account, wanted, bar, size)

    def inside_bar(self, account: Account, bar: int) -> None:
        self.exit_on_prices(account, bar, at_open=False)
        held = account.held
        if held is not None:
            held.highest = max(held.highest, self.series["high"][bar])
            held.lowest = min(held.lowest, self.series["low"][bar])

    def equity_at_close(self, account: Account, bar: int) -> float:
        held = account.held
        if held is None:
            return account.cash
        gained = held.side * held.qty * (self.series["close"][bar] - held.entry)
        return account.cash + gained - held.qty * held.entry * self.commission_frac
