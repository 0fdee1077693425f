"""The bars that benchmarks run on: real ones where a market store is at hand, else generated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import DataError
from engine.market.generated import generate_bars
from engine.market.store import MarketStore
from engine.types import Bars, MarketLabel, SeriesKey

N_BARS = 25_920
TIMEFRAME = "5m"
SYMBOLS = ("BTC/USDT", "ETH/USDT", "BNB/USDT")
EXCHANGE = "binance"
DEFAULT_STORE = Path("../shared/market/spot-5m")
_SEED = 7


@dataclass(frozen=True, slots=True, eq=False)
class BenchMarket:
    """Series of equal length.

    Attributes
    ----------
    label : STORE or GENERATED, said in every line
    """

    label: MarketLabel
    series: dict[str, Bars]

    @property
    def n_bars(self) -> int:
        """Return the bars of each series."""
        return min(len(bars) for bars in self.series.values())


def load(store: Path, n_symbols: int = len(SYMBOLS), n_bars: int = N_BARS) -> BenchMarket:
    """Return the last `n_bars` 5-minute bars of the first `n_symbols` symbols.

    Raises
    ------
    DataError : a store that is there but lacks a symbol or bars.
    """
    label = MarketLabel.STORE if store.is_dir() else MarketLabel.GENERATED
    series = {}
    for symbol in SYMBOLS[:n_symbols]:
        if label is MarketLabel.STORE:
            bars = MarketStore(store).read(SeriesKey(EXCHANGE, symbol, TIMEFRAME))
        else:
            bars = generate_bars(symbol, _SEED)
        if len(bars) < n_bars:
            raise DataError(
                f"{symbol} has {len(bars)} {TIMEFRAME} bars, {n_bars} are needed: "
                "fetch more days, or leave --market out",
                symbol=symbol,
            )
        series[symbol] = bars.slice(len(bars) - n_bars, len(bars))
    return BenchMarket(label, series)
