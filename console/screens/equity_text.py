"""The expected band in curves and in words, as pure functions of a strategy's view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from textual.content import Content

from console.format import age, count, day, number, signed, signed_percent
from console.screens.strategy_text import account_colour
from console.widgets.curve_plot import Curve

if TYPE_CHECKING:
    import numpy.typing as npt

    from console.snapshot import StrategyView
    from console.strategy_facts import BandView, TradedView

BAND_COLOUR = "gray"


def band_curves(view: StrategyView, symbol: str, segment: str) -> list[Curve]:
    """Return the upper and the lower edge of each band of a symbol; only a segment's when named."""
    found: list[Curve] = []
    for band in _bands(view, symbol):
        if segment and band.name != segment:
            continue
        for line in (band.high, band.low):
            values = line.astype(np.float64)
            found.append(Curve("", band.start_at, band.end_at, values, BAND_COLOUR))
    return found


def traded_curves(view: StrategyView, symbol: str, segment: str) -> list[Curve]:
    """Return what it made in accounts, by its closed trades."""
    return [
        Curve(
            item.account,
            item.start_at,
            item.end_at,
            item.equity.astype(np.float64),
            account_colour(item.account),
        )
        for item in _traded(view, symbol)
        if not segment or item.account == segment
    ]


def band_lines(view: StrategyView, symbol: str, now_at: int) -> list[Content]:
    """Return, for each segment and account, where it ended and whether that was expected."""
    lines = []
    for band in _bands(view, symbol):
        equity = _equity_of(view, band)
        if equity is not None:
            lines.append(_band_line(band, equity))
    lines += [_traded_line(view, item, now_at) for item in _traded(view, symbol)]
    return lines


def method_words(view: StrategyView) -> str:
    """Return how the band is made, or why there is none."""
    facts = view.facts
    if facts is None or not facts.bands:
        return (
            "No expected band: it is drawn from the days of the fit segment's curve, of which ten "
            "are the least."
        )
    n_known = facts.bands[0].n_known
    return (
        f"How: 1,000 paths of the fit segment's own {n_known:,} days, drawn with replacement in "
        "blocks of 5 days in a row (a circular block bootstrap), from 1 at each start; the band "
        "holds the middle 80 % of them on each day. It knows nothing of a market that has changed."
    )


def share_inside(band: BandView, equity: npt.NDArray[np.float64]) -> float:
    """Return the share of the band's days whose end the curve spent inside, in [0, 1]."""
    places = np.linspace(0, equity.shape[0] - 1, band.low.shape[0]).astype(np.int64)[1:]
    known = equity[places]
    return float(((known >= band.low[1:]) & (known <= band.high[1:])).mean())


def _band_line(band: BandView, equity: npt.NDArray[np.float64]) -> Content:
    last, low, high = float(equity[-1]), float(band.low[-1]), float(band.high[-1])
    said, style = ("● inside", "$success")
    if last < low:
        said, style = "▲ below", "$warning"
    elif last > high:
        said, style = "▲ above", "$warning"
    n_days = band.low.shape[0] - 1
    inside = round(share_inside(band, equity) * n_days)
    return Content.assemble(
        f"{band.name:<11}{signed_percent(last - 1.0):>8}  expected "
        f"{signed_percent(low - 1.0)} to {signed_percent(high - 1.0)}  ",
        (said, style),
        (
            f"  {inside} of {n_days} days inside · {day(band.start_at)} to {day(band.end_at)}",
            "$muted",
        ),
    )


def _traded_line(view: StrategyView, item: TradedView, now_at: int) -> Content:
    facts = view.facts
    trades = () if facts is None else facts.trades
    mine = [t for t in trades if t.account == item.account and t.symbol == item.symbol]
    pnl = float(sum(trade.pnl_quote for trade in mine))
    return Content.assemble(
        f"{item.account:<11}{count(len(mine))} closed trades, {signed(pnl)} quote on "
        f"{number(item.capital_quote, 0)}",
        (f"  the last ended {age(mine[-1].exit_at, now_at)} ago" if mine else "", "$muted"),
    )


def _equity_of(view: StrategyView, band: BandView) -> npt.NDArray[np.float64] | None:
    mine = [
        one
        for one in view.curves
        if one.context.symbol == band.symbol and one.context.segment == band.name
    ]
    if mine:
        return max(mine, key=lambda one: one.curve.end_at).curve.points.astype(np.float64)
    for item in _traded(view, band.symbol):
        if item.account == band.name:
            return item.equity.astype(np.float64)
    return None


def _bands(view: StrategyView, symbol: str) -> list[BandView]:
    facts = view.facts
    return [] if facts is None else [band for band in facts.bands if band.symbol == symbol]


def _traded(view: StrategyView, symbol: str) -> list[TradedView]:
    facts = view.facts
    return [] if facts is None else [item for item in facts.traded if item.symbol == symbol]
