"""Trades as cells and in words, as pure functions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from textual.content import Content

from console.format import duration, instant, number, percent, signed, signed_percent
from console.trade_lines import PairLine, TradeLine
from console.widgets.live_table import LiveCell, LiveColumn, Row

TRADE_COLUMNS = (
    LiveColumn("n", "#", 6, is_number=True),
    LiveColumn("where", "where", 10),
    LiveColumn("side", "side", 5),
    LiveColumn("entered", "entered (UTC)", 17),
    LiveColumn("entry", "at", 11, is_number=True, min_screen=100),
    LiveColumn("held", "held", 7, is_number=True),
    LiveColumn("exit", "left at", 11, is_number=True, min_screen=110),
    LiveColumn("reason", "by", 9),
    LiveColumn("pnl", "pnl, quote", 11, is_number=True),
    LiveColumn("return", "return", 8, is_number=True, min_screen=90),
)
PAIR_COLUMNS = (
    LiveColumn("n", "#", 6, is_number=True),
    LiveColumn("decided", "decided (UTC)", 17),
    LiveColumn("backtest", "backtest", 15, min_screen=90),
    LiveColumn("backtest_pnl", "pnl, quote", 11, is_number=True),
    LiveColumn("paper", "paper", 15, min_screen=90),
    LiveColumn("paper_pnl", "pnl, quote", 11, is_number=True),
    LiveColumn("cause", "why they differ", 17, takes_rest=True),
)
_SAME = "the same"


def price(value: float) -> str:
    """Return a price with as many digits as tell it apart."""
    if not math.isfinite(value):
        return number(value)
    digits = 2 if abs(value) >= 1_000 else 4 if abs(value) >= 1 else 6
    return number(value, digits)


def trade_words(line: TradeLine) -> str:
    """Return what a filter looks in."""
    return f"{line.where} {line.symbol} {line.side} {line.reason} {instant(line.entry_at)}"


def pair_words(pair: PairLine) -> str:
    """Return what a filter looks in."""
    sides = " ".join(line.side for line in (pair.backtest, pair.paper) if line is not None)
    return f"{sides} {pair.cause or _SAME} {pair.differs} {instant(pair.decided_at)}"


def trade_cells(key: str, line: TradeLine, colours: dict[str, str]) -> Row:
    """Return the cells of one trade."""
    return {
        "n": LiveCell(f"{int(key):,}", colours["muted"]),
        "where": LiveCell(line.where),
        "side": LiveCell(line.side),
        "entered": LiveCell(instant(line.entry_at)),
        "entry": LiveCell(price(line.entry)),
        "held": LiveCell(_held(line)),
        "exit": LiveCell(price(line.exit)),
        "reason": LiveCell(line.reason),
        "pnl": LiveCell(signed(line.pnl_quote), _sign_style(line.pnl_quote, colours)),
        "return": LiveCell(signed_percent(line.net_return, 2)),
    }


def pair_cells(key: str, pair: PairLine, colours: dict[str, str]) -> Row:
    """Return the cells of one pair."""
    is_bug = pair.cause == "none"
    style = colours["error"] if is_bug else colours["warning"] if pair.cause else colours["success"]
    words = "✗ nothing on record" if is_bug else f"▲ {pair.cause}" if pair.cause else f"● {_SAME}"
    row = {
        "n": LiveCell(f"{int(key):,}", colours["muted"]),
        "decided": LiveCell(instant(pair.decided_at)),
        "cause": LiveCell(words, style),
    }
    for name, line in (("backtest", pair.backtest), ("paper", pair.paper)):
        row[name] = LiveCell("no trade" if line is None else f"{line.side} {line.reason}")
        pnl = math.nan if line is None else line.pnl_quote
        row[f"{name}_pnl"] = LiveCell(signed(pnl), _sign_style(pnl, colours))
    return row


def totals_content(line: TradeLine | None, lines: Sequence[TradeLine]) -> Content:
    """Return the trade under the cursor in words, and the sum of those listed."""
    if line is None:
        return Content.styled("No trade is listed.", "$muted")
    closed = [one.pnl_quote for one in lines if not math.isnan(one.pnl_quote)]
    won = sum(pnl > 0 for pnl in closed) / len(closed) if closed else math.nan
    left = "still open" if line.exit_at is None else f"left {instant(line.exit_at)}"
    return Content("\n").join(
        [
            Content(
                f"{line.side} {number(line.qty_base, 6)} {line.symbol.partition('/')[0]} at "
                f"{price(line.entry)}, {left} at {price(line.exit)} by "
                f"{line.reason or 'nothing yet'}, held {_held(line)}"
            ),
            Content(
                f"pnl {signed(line.pnl_quote)} {line.symbol.partition('/')[2] or 'quote'} after "
                f"costs, {signed_percent(line.net_return, 2)} of the notional at entry"
            ),
            Content.styled(
                f"listed: {len(lines):,} trades, {signed(sum(closed))} in all, "
                f"{percent(won, 0)} won",
                "$muted",
            ),
        ]
    )


def pair_content(pair: PairLine | None, pairs: Sequence[PairLine]) -> Content:
    """Return the pair under the cursor in words, and how many differ for which reason."""
    if pair is None:
        return Content.styled("No pair is listed.", "$muted")
    lines = [
        _half("backtest", pair.backtest),
        _half("paper", pair.paper),
        Content(f"differs in {pair.differs}: {pair.cause}" if pair.cause else "no difference"),
    ]
    causes = Counter(one.cause or _SAME for one in pairs)
    listed = ", ".join(f"{n:,} {cause}" for cause, n in causes.most_common())
    lines.append(Content.styled(f"listed: {len(pairs):,} pairs: {listed}", "$muted"))
    return Content("\n").join(lines)


def _half(name: str, line: TradeLine | None) -> Content:
    if line is None:
        return Content.assemble((f"{name:<10}", "$muted"), "no trade")
    left = (
        "still open"
        if line.exit_at is None
        else f"left {instant(line.exit_at)} at {price(line.exit)} by {line.reason}"
    )
    return Content.assemble(
        (f"{name:<10}", "$muted"),
        f"{line.side} from {instant(line.entry_at)} at {price(line.entry)}, {left}, "
        f"pnl {signed(line.pnl_quote)}",
    )


def _held(line: TradeLine) -> str:
    if line.exit_at is None:
        return "open"
    # Bars are known by their opens: entered and left within one.
    return duration(line.exit_at - line.entry_at) if line.exit_at > line.entry_at else "one bar"


def _sign_style(value: float, colours: dict[str, str]) -> str:
    if math.isnan(value) or value == 0.0:
        return ""
    return colours["success"] if value > 0 else colours["error"]
