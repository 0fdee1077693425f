"""Cross-exchange arbitrage: one symbol on two exchanges, bought where cheap and sold where dear.

The spread of a bar is dear close / cheap close − 1, positive when the second exchange is dear. At
the close of bar t a spread that is wide enough orders both legs, equal in base units; both fill at
the open of t+1, with each exchange's own slippage and commission. At the close of a later bar the
pair is closed, both legs at the next open, when the spread has closed, has widened by the stop, or
the time is up. After an exit bar's close a new pair may be opened.

The model is spot with inventory. Before the first bar each exchange holds a quarter of the capital
in quote currency and a quarter in base, so that either direction can be traded at once. The dear
leg sells from that inventory and buys it back at the exit. Profit is neutral to the inventory: what
is marked are the deviations from it (+qty on the cheap exchange, −qty on the dear one) and cash;
the gain or loss of holding the base itself, hedged or not, is left out.

Also left out: transfers between the exchanges and their fees, waiting for withdrawals, rounding to
lots, depth of book beyond the slippage, and that one leg may fill while the other never does.

Bars bound what can be known. Orders within 5 s of each other show as the same open, which is the
nearest truth; `leg_delay_bars` = 1 fills the second exchange's leg one whole bar late, far worse
than 5 s, which bounds the risk of a late leg. A close is the last trade of its bar and may be older
than the other exchange's: spreads seen at closes flatter the strategy. The stop looks at closes,
because the highs and lows of two exchanges are not simultaneous.

Only bars that both exchanges have count. Nothing is entered when the bar after the decision is
missing on either (an entry order does not wait); an exit, or a late leg, fills at the next open
that both have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.backtest import metrics as m
from engine.backtest.costs import Costs
from engine.errors import DataError, UsageError
from engine.types import MS_PER_DAY, Bars, FloatArray, IntArray, bars_per_year, timeframe_ms

# Rounding must not decide whether a spread of two prices on the tick grid reaches its threshold.
_TIE_FRAC = 1e-12


@dataclass(frozen=True, slots=True)
class PairSettings:
    """What a run needs besides the two series.

    Attributes
    ----------
    entry_frac : spread at which a pair is opened, fraction of the cheap price, in (0, 1]
    entry_after_costs : ask for `entry_frac` on top of `round_trip_cost_frac`
    exit_frac : spread, in the entry's direction, at which it counts as closed; fraction, in
        [−entry_frac, entry_frac)
    stop_frac : widening since the entry's decision that ends the pair, fraction in (0, 1]; None for
        no stop
    max_bars : exit at the open of the bar at which both legs stood + max_bars, >= 1; None for never
    leg_frac : quantity of each leg, as its value at the dear close over equity, in (0, 0.25]; what
        is below a quarter of the equity pays for costs and for prices that move
    leg_delay_bars : 0 or 1, by how many bars every fill of the second exchange is late
    first_costs, second_costs : commission and slippage of every fill, by exchange
    initial_capital_quote : > 0, of both exchanges together

    Raises
    ------
    UsageError : a value outside its range.
    """

    entry_frac: float = 0.001
    entry_after_costs: bool = False
    exit_frac: float = 0.0
    stop_frac: float | None = 0.01
    max_bars: int | None = 24
    leg_frac: float = 0.2
    leg_delay_bars: int = 0
    first_costs: Costs = field(default_factory=Costs)
    second_costs: Costs = field(default_factory=Costs)
    initial_capital_quote: float = 10_000.0

    def __post_init__(self) -> None:
        stop, bars, capital = self.stop_frac, self.max_bars, self.initial_capital_quote
        allowed = {
            "entry_frac": (0.0 < self.entry_frac <= 1.0, "above 0 and at most 1"),
            "exit_frac": (
                -self.entry_frac <= self.exit_frac < self.entry_frac,
                "from -entry_frac to below entry_frac",
            ),
            "stop_frac": (stop is None or 0.0 < stop <= 1.0, "above 0 and at most 1, or none"),
            "max_bars": (bars is None or bars >= 1, "1 or more, or none"),
            "leg_frac": (0.0 < self.leg_frac <= 0.25, "above 0 and at most 0.25"),
            "leg_delay_bars": (self.leg_delay_bars in (0, 1), "0 or 1"),
            "initial_capital_quote": (0.0 < capital < math.inf, "above 0 and finite"),
        }
        for name, (is_allowed, words) in allowed.items():
            if not is_allowed:
                value = getattr(self, name)
                raise UsageError(f"{name} = {value!r}: use {words}", key=name, value=value)

    @property
    def round_trip_cost_frac(self) -> float:
        """Return what the four fills of a round trip cost, fraction of a leg, to first order."""
        first, second = self.first_costs, self.second_costs
        return 2.0 * (
            first.commission_frac
            + first.slippage_frac
            + second.commission_frac
            + second.slippage_frac
        )

    @property
    def threshold_frac(self) -> float:
        """Return the spread at which a pair is opened, costs included when they are asked for."""
        return self.entry_frac + (self.round_trip_cost_frac if self.entry_after_costs else 0.0)


@dataclass(frozen=True, slots=True)
class Fill:
    """One order filled at a bar's open.

    Attributes
    ----------
    bar : index into the common bars
    open_quote : the bar's open; price_quote : the same with slippage
    commission_quote, slippage_quote : what the fill cost, >= 0
    """

    bar: int
    open_quote: float
    price_quote: float
    commission_quote: float
    slippage_quote: float

    @property
    def costs_quote(self) -> float:
        """Return commission and slippage together."""
        return self.commission_quote + self.slippage_quote


@dataclass(frozen=True, slots=True)
class Leg:
    """What was done on one exchange; signed_qty_base is > 0 bought first, < 0 sold first.

    A fill is None when it lies beyond the last bar, or after ruin.
    """

    signed_qty_base: float
    entry: Fill | None
    exit: Fill | None

    @property
    def fills(self) -> tuple[Fill, ...]:
        """Return the fills there were, in order."""
        return tuple(fill for fill in (self.entry, self.exit) if fill is not None)


@dataclass(frozen=True, slots=True)
class PairTrade:
    """One round trip of both legs.

    Attributes
    ----------
    side : 1 when the second exchange was dear (bought on the first), −1 when the first was
    spread_frac : at the close it was decided on, > 0
    entry_bar : common bar of the first fill
    exit_bar : common bar of the last fill, None while open
    reason : "closed", "stop", "time" or "ruin", None while open
    pnl_quote : after the costs of all fills; marked to the last close while open
    net_return : pnl_quote over the equity committed to the two legs (2 × leg_frac × equity),
        fraction
    """

    side: int
    spread_frac: float
    qty_base: float
    first: Leg
    second: Leg
    entry_bar: int
    exit_bar: int | None
    reason: str | None
    pnl_quote: float
    net_return: float
    equity_after_quote: float

    @property
    def before_costs_quote(self) -> float:
        """Return the profit the same quantities would have made at the bare opens."""
        return self.pnl_quote + sum(f.costs_quote for f in (*self.first.fills, *self.second.fills))


@dataclass(frozen=True, slots=True, eq=False)
class PairResult:
    """Everything one run shows.

    Attributes
    ----------
    metrics : by the names of METRIC_NAMES; without `fitness` and the moments of the returns, which
        serve selection: pairs are not bred
    trades : closed round trips in order; open_trade is not among them
    equity : ndarray of shape (n_bars + 1,), quote currency; the first point is the initial capital
    timestamp : ndarray of shape (n_bars,), UTC ms, opens of the bars that both exchanges have
    spread_frac : ndarray of shape (n_bars,), at each close, > 0 when the second exchange is dear
    n_spreads : bars whose close shows a spread of `entry_frac` or more, traded or not
    """

    metrics: dict[str, float]
    trades: tuple[PairTrade, ...]
    open_trade: PairTrade | None
    equity: FloatArray
    timestamp: IntArray
    spread_frac: FloatArray
    n_spreads: int

    @property
    def all_trades(self) -> tuple[PairTrade, ...]:
        """Return the closed round trips and the open one."""
        return self.trades if self.open_trade is None else (*self.trades, self.open_trade)

    @property
    def net_quote(self) -> float:
        """Return the profit after costs, an open pair marked to the last closes."""
        return float(self.equity[-1] - self.equity[0])

    @property
    def before_costs_quote(self) -> float:
        """Return the profit that the same quantities would have made without costs."""
        return sum(trade.before_costs_quote for trade in self.all_trades)


@dataclass(frozen=True, slots=True, eq=False)
class _Venue:
    open: FloatArray
    close: FloatArray
    costs: Costs
    delay_bars: int

    def fill(self, bar: int, signed_qty_base: float) -> Fill | None:
        """Return the fill at a bar's open, None beyond the last bar."""
        if bar >= self.open.shape[0]:
            return None
        bare = float(self.open[bar])
        price = bare * (1.0 + math.copysign(self.costs.slippage_frac, signed_qty_base))
        qty = abs(signed_qty_base)
        return Fill(
            bar=bar,
            open_quote=bare,
            price_quote=price,
            commission_quote=qty * price * self.costs.commission_frac,
            slippage_quote=qty * abs(price - bare),
        )

    def leg(self, entry_bar: int, exit_bar: int, signed_qty_base: float) -> Leg:
        """Return the leg whose orders are due at these opens, its delay not yet counted."""
        return Leg(
            signed_qty_base,
            self.fill(entry_bar + self.delay_bars, signed_qty_base),
            self.fill(exit_bar + self.delay_bars, -signed_qty_base),
        )

    def marks(self, leg: Leg, start: int, stop: int) -> FloatArray:
        """Return the leg's profit at the closes of bars start <= i < stop."""
        out = np.zeros(stop - start)
        if leg.entry is None:
            return out
        qty, entry = leg.signed_qty_base, leg.entry
        held = slice(entry.bar, stop if leg.exit is None else leg.exit.bar)
        gains = qty * (self.close[held] - entry.price_quote) - entry.commission_quote
        out[held.start - start : held.stop - start] = gains
        if leg.exit is not None:
            costs = entry.commission_quote + leg.exit.commission_quote
            gain = qty * (leg.exit.price_quote - entry.price_quote) - costs
            out[leg.exit.bar - start :] = gain
        return out


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    timestamp: IntArray
    spread: FloatArray
    first: _Venue
    second: _Venue


def backtest_pair(
    first: Bars, second: Bars, timeframe: str, settings: PairSettings | None = None
) -> PairResult:
    """Return metrics, trades and equity of the arbitrage between two series of one symbol.

    Parameters
    ----------
    first, second : Bars
        Of the same symbol and timeframe on two exchanges, each as `check_bars` demands.
    timeframe : str, of both
    settings : PairSettings, optional

    Raises
    ------
    DataError : an unknown timeframe, or no bar that both series have.

    Notes
    -----
    Causal: no fill, and no point of the equity, depends on a later bar. O(n_bars), and about 0.1 ms
    a round trip.
    """
    settings = settings or PairSettings()
    step_ms = timeframe_ms(timeframe)
    pair = _aligned(first, second, settings)
    n_bars = pair.timestamp.shape[0]
    entries = _entry_bars(pair, step_ms, settings.threshold_frac)
    closed = {
        side: np.flatnonzero(side * pair.spread <= settings.exit_frac + _TIE_FRAC)
        for side in (1, -1)
    }
    equity = np.empty(n_bars + 1)
    cash, point, free_from = settings.initial_capital_quote, 0, 0
    trades: list[PairTrade] = []
    while (place := int(np.searchsorted(entries, free_from))) < entries.shape[0]:
        trade, marks = _round_trip(pair, closed, int(entries[place]), cash, settings)
        trades.append(trade)
        equity[point : trade.entry_bar + 1] = cash
        point = trade.entry_bar + 1 + marks.shape[0]
        equity[trade.entry_bar + 1 : point] = marks
        cash = float(marks[-1])
        if trade.exit_bar is None or trade.reason == "ruin":
            break
        free_from = trade.exit_bar
    equity[point:] = cash
    is_open = bool(trades) and trades[-1].exit_bar is None
    finished = trades[:-1] if is_open else trades
    return PairResult(
        metrics=_metrics(finished, trades, equity, pair.timestamp, timeframe),
        trades=tuple(finished),
        open_trade=trades[-1] if is_open else None,
        equity=equity,
        timestamp=pair.timestamp,
        spread_frac=pair.spread,
        n_spreads=int(np.count_nonzero(np.abs(pair.spread) >= settings.entry_frac - _TIE_FRAC)),
    )


def _aligned(first: Bars, second: Bars, settings: PairSettings) -> _Pair:
    common, i, j = np.intersect1d(
        first.timestamp, second.timestamp, assume_unique=True, return_indices=True
    )
    if common.shape[0] == 0:
        raise DataError(
            "the two exchanges have no bar in common: fetch both series for the same days"
        )
    left, right = first.close[i], second.close[j]
    return _Pair(
        timestamp=common,
        spread=np.where(right >= left, right / left - 1.0, 1.0 - left / right),
        first=_Venue(first.open[i], left, settings.first_costs, 0),
        second=_Venue(second.open[j], right, settings.second_costs, settings.leg_delay_bars),
    )


def _entry_bars(pair: _Pair, step_ms: int, threshold_frac: float) -> IntArray:
    is_wide = np.abs(pair.spread[:-1]) >= threshold_frac - _TIE_FRAC
    return np.flatnonzero(is_wide & (np.diff(pair.timestamp) == step_ms)).astype(np.int64)


def _round_trip(
    pair: _Pair, closed: dict[int, IntArray], decided: int, cash: float, settings: PairSettings
) -> tuple[PairTrade, FloatArray]:
    """Return the trade decided at a close, and the equity at each close from its entry bar on."""
    n_bars = pair.timestamp.shape[0]
    side = 1 if pair.spread[decided] > 0.0 else -1
    dear_close = float(max(pair.first.close[decided], pair.second.close[decided]))
    qty = settings.leg_frac * cash / dear_close
    entry_bar = decided + 1
    both_bar = entry_bar + settings.leg_delay_bars
    exit_decided, reason = _exit(pair, closed[side], side, decided, both_bar, settings)
    first = pair.first.leg(entry_bar, exit_decided + 1, side * qty)
    second = pair.second.leg(entry_bar, exit_decided + 1, -side * qty)
    last_fill = exit_decided + 1 + settings.leg_delay_bars
    stop = min(last_fill + 1, n_bars)
    marks = (
        cash + pair.first.marks(first, entry_bar, stop) + pair.second.marks(second, entry_bar, stop)
    )
    exit_bar: int | None = last_fill
    if marks.min() <= 0.0:
        # Nothing is left to trade with: equity stays at zero, and later fills never happen.
        ruin = int(np.argmax(marks <= 0.0))
        marks = marks[: ruin + 1]
        marks[-1] = 0.0
        exit_bar, reason = entry_bar + ruin, "ruin"
        first, second = _until(first, exit_bar), _until(second, exit_bar)
    elif last_fill >= n_bars:
        exit_bar = reason = None
    pnl = float(marks[-1]) - cash
    trade = PairTrade(
        side=side,
        spread_frac=float(abs(pair.spread[decided])),
        qty_base=qty,
        first=first,
        second=second,
        entry_bar=entry_bar,
        exit_bar=exit_bar,
        reason=reason,
        pnl_quote=pnl,
        net_return=pnl / (2.0 * settings.leg_frac * cash),
        equity_after_quote=float(marks[-1]),
    )
    return trade, marks


def _exit(
    pair: _Pair,
    closed: IntArray,
    side: int,
    decided: int,
    both_bar: int,
    settings: PairSettings,
) -> tuple[int, str | None]:
    """Return the bar whose close decides the exit, and why; (n_bars, None) when none does."""
    last, reason = pair.timestamp.shape[0], None
    place = int(np.searchsorted(closed, both_bar))
    if place < closed.shape[0]:
        last, reason = int(closed[place]), "closed"
    if settings.max_bars is not None and both_bar + settings.max_bars - 1 < last:
        last, reason = both_bar + settings.max_bars - 1, "time"
    if settings.stop_frac is not None:
        level = side * float(pair.spread[decided]) + settings.stop_frac - _TIE_FRAC
        is_stopped = side * pair.spread[both_bar : last + 1] >= level
        if is_stopped.any():
            last, reason = both_bar + int(np.argmax(is_stopped)), "stop"
    return last, reason


def _until(leg: Leg, bar: int) -> Leg:
    entry, leaving = leg.entry, leg.exit
    return replace(
        leg,
        entry=entry if entry is not None and entry.bar <= bar else None,
        exit=leaving if leaving is not None and leaving.bar <= bar else None,
    )


def _metrics(
    closed: Sequence[PairTrade],
    trades: Sequence[PairTrade],
    equity: FloatArray,
    timestamp: IntArray,
    timeframe: str,
) -> dict[str, float]:
    """Return the metrics; costs, exposure and turnover count the open trade as well."""
    per_year = bars_per_year(timeframe)
    n_bars = timestamp.shape[0]
    returns = m.bar_returns(equity)
    daily = m.daily_returns(equity, timestamp)
    pnl = np.array([trade.pnl_quote for trade in closed])
    legs = [leg for trade in trades for leg in (trade.first, trade.second)]
    turned = sum(
        abs(leg.signed_qty_base) * fill.price_quote / float(equity[fill.bar])
        for leg in legs
        for fill in leg.fills
    )
    held = sum(_end(trade, n_bars) - trade.entry_bar for trade in trades)
    return {
        "total_return": m.total_return(equity),
        "annual_return": m.annual_return(equity, per_year),
        "annual_log_growth": m.annual_log_growth(equity, per_year),
        "sharpe": m.sharpe(returns, per_year),
        "sortino": m.sortino(returns, per_year),
        "calmar": m.calmar(equity, per_year),
        "max_drawdown": m.max_drawdown(equity),
        "max_drawdown_bars": float(m.max_drawdown_bars(equity)),
        "n_trades": float(len(closed)),
        "win_rate": m.win_rate(pnl),
        "profit_factor": m.profit_factor(pnl),
        "expectancy_quote": _mean(pnl.tolist()),
        "average_trade_return": _mean([trade.net_return for trade in closed]),
        "average_trade_bars": _mean([_end(trade, n_bars) - trade.entry_bar for trade in closed]),
        "win_streak": float(m.longest_streak(pnl, wins=True)),
        "loss_streak": float(m.longest_streak(pnl, wins=False)),
        "exposure": held / n_bars,
        "turnover_per_day": turned / (n_bars * timeframe_ms(timeframe) / MS_PER_DAY),
        "value_at_risk": m.value_at_risk(daily),
        "expected_shortfall": m.expected_shortfall(daily),
        "n_bars": float(n_bars),
        "gross_profit_quote": float(np.sum(pnl[pnl > 0.0])),
        "gross_loss_quote": -float(np.sum(pnl[pnl <= 0.0])),
        "commission_quote": sum(fill.commission_quote for leg in legs for fill in leg.fills),
        "slippage_quote": sum(fill.slippage_quote for leg in legs for fill in leg.fills),
        "final_equity_quote": float(equity[-1]),
    }


def _end(trade: PairTrade, n_bars: int) -> int:
    return n_bars if trade.exit_bar is None else trade.exit_bar


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
