"""Answer what a screen asks for from what was recorded: sorted, filtered and paged here."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from console.event_pages import LEVELS, words_of
from console.pages import EventsQuery, EventsView, PagesView, RunsQuery, RunsView
from console.snapshot import LeaderboardQuery, LeaderboardView, Snapshot
from console.trading_view import TradingView
from engine.store.filter_words import passes, split_inverse

if TYPE_CHECKING:
    from console.pages import RunRow
    from console.poller import Watch
    from engine.store.events import EventRow
    from engine.store.strategies import StrategyRow


def answered(snapshot: Snapshot, watch: Watch) -> Snapshot:
    """Return a recorded snapshot as the answer to what is watched now."""
    account = watch.trading.account
    latch = snapshot.latches.get(account)
    if latch is None:
        account, latch = snapshot.account, snapshot.latch
    store = snapshot.store
    if store is not None:
        store = replace(
            store,
            leaderboard=leaderboard_for(store.leaderboard, watch.leaderboard),
            trading=None if store.trading is None else trading_for(store.trading, account),
            pages=None if store.pages is None else pages_for(store.pages, watch),
        )
    return replace(snapshot, account=account, latch=latch, store=store)


def leaderboard_for(
    view: LeaderboardView | None, query: LeaderboardQuery | None
) -> LeaderboardView | None:
    """Return the recorded strategies as a query lists them."""
    if view is None or query is None or view.query == query:
        return view
    rows = [row for row in view.rows if _holds(query.text, _strategy_words(row))]
    is_whole = not query.text or query.text == view.query.text
    if (query.sort, query.descending) != (view.query.sort, view.query.descending):
        rows.sort(key=lambda row: _rank(getattr(row, query.sort), descending=query.descending))
    total = view.total if is_whole else len(rows)
    return replace(view, query=query, rows=tuple(rows[: query.limit]), total=total)


def pages_for(view: PagesView, watch: Watch) -> PagesView:
    """Return the recorded pages as they are asked for."""
    events, runs = watch.pages.events, watch.pages.runs
    return replace(
        view,
        events=events_for(view.events, events) if view.events and events else view.events,
        runs=runs_for(view.runs, runs) if view.runs and runs else view.runs,
    )


def events_for(view: EventsView, query: EventsQuery) -> EventsView:
    """Return the recorded events as a query pages them."""
    if view.query == query:
        return view
    words, kind, level = words_of(query.text)
    levels = LEVELS[LEVELS.index(level or query.level) :]
    rows = [
        row
        for row in view.rows
        if row.level in levels
        and (kind is None or row.kind == kind or row.kind.startswith(f"{kind}."))
        and _holds(words, _event_words(row))
    ]
    page = rows
    if query.before_id is not None:
        page = [row for row in rows if row.id < query.before_id]
    elif query.after_id is not None:
        page = [row for row in rows if row.id > query.after_id][: query.limit]
    page = page[-query.limit :]
    n_newer = sum(1 for row in rows if page and row.id > page[-1].id)
    return EventsView(query, tuple(page), n_newer)


def runs_for(view: RunsView, query: RunsQuery) -> RunsView:
    """Return the recorded evaluations as a query lists them."""
    if view.query == query:
        return view
    rows = [
        row
        for row in view.rows
        if (row.status == "failed" or not query.failed_only) and _is_wanted(row, query.text)
    ]
    return RunsView(query, tuple(rows[: query.limit]), view.n_failed)


def trading_for(view: TradingView, account: str) -> TradingView:
    """Return the recorded trading of an account: lines and fills are those of one alone."""
    if view.watch.account == account:
        return view
    return replace(
        view,
        watch=replace(view.watch, account=account),
        n_positions=sum(1 for row in view.every_position if row.account == account),
        n_orders=sum(1 for row in view.every_order if row.request.account == account),
        fills=(),
        equity=(),
        history=None,
    )


def _holds(text: str, words: str) -> bool:
    return passes(text, words)


def _strategy_words(row: StrategyRow) -> str:
    held = (row.id, row.type, row.origin, row.name, row.status, row.direction, row.timeframe)
    return " ".join(held).lower()


def _event_words(row: EventRow) -> str:
    return f"{row.message} {row.subject} {row.kind}".lower()


def _is_wanted(row: RunRow, text: str) -> bool:
    words, is_inverse = split_inverse(text)
    return not words or all(_is_run_of(row, word) for word in words) is not is_inverse


def _is_run_of(row: RunRow, word: str) -> bool:
    return (
        row.strategy_id.startswith(word.lower())
        or word.lower() in row.symbol.lower()
        or row.segment == word.lower()
        or str(row.cycle_id) == word
    )


def _rank(value: Any, *, descending: bool) -> tuple[bool, float]:
    # What is undefined stands last, whichever way round.
    is_undefined = value is None or math.isnan(value)
    return is_undefined, 0.0 if is_undefined else (-value if descending else value)
