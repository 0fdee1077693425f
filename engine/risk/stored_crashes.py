"""The worst days and weeks of the open book that stored bars have to show."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.errors import UsageError
from engine.risk.scenario import PricePath, Scenario
from engine.risk.words import percent, utc
from engine.types import MS_PER_DAY, Bars, IntArray

WINDOWS = {"day": MS_PER_DAY, "week": 7 * MS_PER_DAY}


def stored_crashes(
    bars: Mapping[str, Bars],
    signed_quote: Mapping[str, float],
    bar_ms: int,
    windows: Mapping[str, int] | None = None,
) -> tuple[Scenario, ...]:
    """Return, for each length of time, the stretch of history that costs this book most.

    Parameters
    ----------
    bars : by symbol, of one timeframe
    signed_quote : notional held by symbol, quote currency, signed, finite; symbols without bars are
        left out here, and go the worst way of the others when the scenario is replayed
    bar_ms : length of a bar
    windows : name -> ms, a multiple of `bar_ms`; a day and a week by default

    Returns
    -------
    tuple of Scenario : one a window, joint over all symbols that have bars, at the same instants;
        none for a window that no gapless stretch is long enough for, or when nothing held has bars.

    Raises
    ------
    UsageError : a window that is not a multiple of the bars.
    """
    held = [s for s, quote in signed_quote.items() if quote and s in bars and len(bars[s])]
    if not held:
        return ()
    at = bars[held[0]].timestamp
    for symbol in held[1:]:
        at = np.intersect1d(at, bars[symbol].timestamp, assume_unique=True)
    joint = {symbol: _at(bars[symbol], at) for symbol in held}
    found = []
    for name, window_ms in (WINDOWS if windows is None else windows).items():
        if window_ms % bar_ms or window_ms <= 0:
            raise UsageError(f"a window of {window_ms} ms is not a multiple of {bar_ms} ms bars")
        scenario = _worst_stretch(name, joint, signed_quote, window_ms // bar_ms, bar_ms)
        if scenario is not None:
            found.append(scenario)
    return tuple(found)


def _at(bars: Bars, at: IntArray) -> Bars:
    index = np.searchsorted(bars.timestamp, at)
    return Bars(
        bars.timestamp[index],
        bars.open[index],
        bars.high[index],
        bars.low[index],
        bars.close[index],
        bars.volume[index],
    )


def _worst_stretch(
    name: str,
    joint: Mapping[str, Bars],
    signed_quote: Mapping[str, float],
    n_bars: int,
    bar_ms: int,
) -> Scenario | None:
    at = next(iter(joint.values())).timestamp
    if at.shape[0] <= n_bars:
        return None
    gain = np.zeros(at.shape[0] - n_bars)
    for symbol, series in joint.items():
        gain += signed_quote[symbol] * (series.close[n_bars:] / series.close[:-n_bars] - 1.0)
    # A stretch with a gap in it is longer than it claims to be.
    gain[at[n_bars:] - at[:-n_bars] != n_bars * bar_ms] = np.inf
    worst = int(np.argmin(gain))
    if not np.isfinite(gain[worst]):
        return None
    paths = {symbol: _path(series, worst, n_bars) for symbol, series in joint.items()}
    started_at = int(at[worst]) + bar_ms
    falls = ", ".join(f"{s} {percent(float(p.close[-1]) - 1.0)}" for s, p in paths.items())
    return Scenario(
        f"worst-{name}",
        f"Worst {name} in store for this book, from {utc(started_at)}: {falls}",
        "stored bars",
        paths,
    )


def _path(bars: Bars, before: int, n_bars: int) -> PricePath:
    base = float(bars.close[before])
    part = slice(before + 1, before + 1 + n_bars)
    return PricePath(
        bars.open[part] / base,
        bars.low[part] / base,
        bars.high[part] / base,
        bars.close[part] / base,
    )
