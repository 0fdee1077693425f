"""Read what a strategy's own screen shows beside its numbers; bands are drawn once and kept."""

from __future__ import annotations

import zlib
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from console.strategy_facts import BandView, StrategyFacts, TradedView
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.store.curves import StoredCurve
    from engine.store.database import Store
    from engine.store.paper_trades import PaperTrade
    from engine.store.strategies import StrategyRow

N_TRADES = 2_000
N_TOLD = 100
JUDGED = ("validation", "holdout")
_DAY_MS = 86_400_000
# Bands are kept for so many curves; a screen looks at one strategy at a time.
_MOST_KEPT = 64


class StrategyFeed:
    """One event loop owns it.

    Parameters
    ----------
    allocation_frac : of an account's equity, what one strategy and symbol is given
    """

    def __init__(self, allocation_frac: float) -> None:
        self._allocation_frac = allocation_frac
        self._bands: dict[tuple[object, ...], BandView | None] = {}

    async def facts(
        self, store: Store, row: StrategyRow, curves: tuple[StoredCurve, ...]
    ) -> StrategyFacts:
        """Return what is known of a strategy beside its numbers."""
        from engine.store.accounts import accounts
        from engine.store.deployments import deployments_of
        from engine.store.events import events_page
        from engine.store.paper_trades import paper_trades_of
        from engine.store.strategies import genomes

        parents = [parent for parent in (row.parent_a, row.parent_b) if parent]
        trades = tuple(await paper_trades_of(store, row.id, limit=N_TRADES))
        traded: tuple[TradedView, ...] = ()
        if trades:
            equity = {item.name: float(item.equity_quote) for item in await accounts(store)}
            traded = self._traded(trades, equity)
        subject = f"strategy:{row.id}"
        return StrategyFacts(
            parents=await genomes(store, parents) if parents else {},
            versions=tuple(await deployments_of(store, strategy_id=row.id)),
            told=tuple(await events_page(store, subject=subject, limit=N_TOLD)),
            trades=trades,
            traded=traded,
            bands=self._all_bands(row.id, curves, traded),
        )

    def _traded(
        self, trades: tuple[PaperTrade, ...], equity: dict[str, float]
    ) -> tuple[TradedView, ...]:
        by_place: dict[tuple[str, str], list[PaperTrade]] = defaultdict(list)
        for trade in trades:
            by_place[trade.account, trade.symbol].append(trade)
        found = []
        for (account, symbol), mine in by_place.items():
            capital = self._allocation_frac * equity.get(account, 0.0)
            if capital > 0.0:
                found.append(_traded(account, symbol, mine, capital))
        return tuple(found)

    def _all_bands(
        self, strategy_id: str, curves: tuple[StoredCurve, ...], traded: tuple[TradedView, ...]
    ) -> tuple[BandView, ...]:
        newest = newest_curves(curves)
        wanted = [
            (symbol, segment, stored.curve.start_at, stored.curve.end_at)
            for (symbol, segment), stored in newest.items()
            if segment in JUDGED
        ]
        wanted += [(item.symbol, item.account, item.start_at, item.end_at) for item in traded]
        found = []
        for symbol, name, start_at, end_at in wanted:
            fit = newest.get((symbol, "fit"))
            if fit is None:
                continue
            key = (strategy_id, symbol, name, start_at, end_at, fit.curve.end_at)
            if key not in self._bands:
                if len(self._bands) >= _MOST_KEPT:
                    self._bands.clear()
                self._bands[key] = band_after(strategy_id, fit, symbol, name, start_at, end_at)
            band = self._bands[key]
            if band is not None:
                found.append(band)
        return tuple(found)


def newest_curves(curves: tuple[StoredCurve, ...]) -> dict[tuple[str, str], StoredCurve]:
    """Return the curve with the latest end of each symbol and segment."""
    found: dict[tuple[str, str], StoredCurve] = {}
    for stored in sorted(curves, key=lambda one: one.curve.end_at):
        found[stored.context.symbol, stored.context.segment] = stored
    return found


def band_after(
    strategy_id: str, fit: StoredCurve, symbol: str, name: str, start_at: int, end_at: int
) -> BandView | None:
    """Return the band that the fit segment's days promise from a start on; None without enough.

    It is the same band whenever it is drawn: its seed is the strategy's and the segment's.
    """
    from engine.report.expected_band import daily_returns, expected_band

    n_days = max(1, round((end_at - start_at) / _DAY_MS))
    rng = np.random.default_rng(zlib.crc32(f"{strategy_id} {symbol} {name}".encode()))
    try:
        curve = fit.curve
        daily = daily_returns(curve.points.astype(np.float64), curve.start_at, curve.end_at)
        band = expected_band(daily, n_days, rng)
    except DataError:
        # A ruined account has no days to draw from.
        return None
    if band is None:
        return None
    low, middle, high = (line.astype(np.float32) for line in (band.low, band.middle, band.high))
    return BandView(symbol, name, start_at, end_at, low, middle, high, int(daily.shape[0]))


def _traded(account: str, symbol: str, mine: list[PaperTrade], capital: float) -> TradedView:
    from engine.select.paper_track import paper_track

    start_at = min(trade.entry_at for trade in mine) // _DAY_MS * _DAY_MS
    end_at = max(trade.exit_at for trade in mine) // _DAY_MS * _DAY_MS + _DAY_MS
    daily = paper_track(mine, capital, start_at, end_at).daily
    equity = np.concatenate((np.ones(1), np.cumprod(1.0 + daily)))
    return TradedView(account, symbol, equity.astype(np.float32), start_at, end_at, capital)
