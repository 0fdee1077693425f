"""The strategy under the cursor, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from console.format import (
    age,
    count,
    drawdown,
    number,
    percent,
    short_id,
    signed_percent,
)
from console.snapshot import FitScore, LeaderboardView, Snapshot

if TYPE_CHECKING:
    from engine.store.strategies import StrategyRow


def preview_content(
    snapshot: Snapshot | None,
    view: LeaderboardView | None,
    row: StrategyRow | None,
    fit: FitScore | None,
) -> Content:
    """Return the strategy's standing, or why there is none to show."""
    if row is None:
        return _nothing(snapshot, view)
    taken_at = 0 if snapshot is None else snapshot.taken_at
    parents = " × ".join(short_id(parent) for parent in (row.parent_a, row.parent_b) if parent)
    lines = [
        Content.assemble(
            (f"{row.type.replace('_', ' ')} ", "bold"),
            f"on {row.timeframe} bars, {row.direction} · {row.origin}, generation {row.generation}"
            f"{f' from {parents}' if parents else ''} · first of cycle {row.cycle_id} · "
            f"{age(row.created_at, taken_at)} old",
        ),
        Content.assemble(
            ("fit         ", "$muted"),
            f"mean fitness {number(fit.fitness if fit else None)}  "
            f"mean Sharpe {number(fit.sharpe if fit else None)} a year",
        ),
        Content.assemble(
            ("validation  ", "$muted"),
            f"mean fitness {number(row.fitness)}; best on {row.best_symbol or '–'}: "
            f"Sharpe {number(row.sharpe)} a year, return {signed_percent(row.total_return)}, "
            f"drawdown {drawdown(row.max_drawdown)}, {count(row.n_trades)} trades, "
            f"{percent(row.win_rate, 0)} won, profit factor {number(row.profit_factor)}",
        ),
        Content.styled("enter opens it: what it does, its curve, its ancestors", "$muted"),
    ]
    return Content("\n").join(lines)


def _nothing(snapshot: Snapshot | None, view: LeaderboardView | None) -> Content:
    if view is not None and view.query.text:
        return Content(f"No strategy matches {view.query.text!r}; {{back}} shows all again.")
    if snapshot is not None and snapshot.problem:
        return Content.styled(snapshot.problem, "$error")
    if view is None and snapshot is not None and snapshot.store is not None:
        return Content.styled("reading…", "$muted")
    return Content.assemble(
        "No strategies yet. ", (" {cycle.start} ", "bold reverse"), " starts a cycle."
    )
