"""The bars a strategy file is checked on: the configured market's, or generated ones instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.commands.choices import check_symbols, market_request
from console.talk import one_line
from engine.errors import DataError, UsageError

if TYPE_CHECKING:
    from engine.config import Config
    from engine.market.feed import LoadedMarket
    from engine.types import Bars


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The bars a strategy was checked on.

    Attributes
    ----------
    market : of one symbol
    instead_because : why it is not the configured market, empty when it is
    """

    market: LoadedMarket
    instead_because: str

    @property
    def symbol(self) -> str:
        """Return the one symbol."""
        return next(iter(self.market.series))

    @property
    def n_bars(self) -> int:
        """Return how many bars there are."""
        return len(self.bars)

    @property
    def bars(self) -> Bars:
        """Return its bars."""
        return self.market.series[self.symbol]

    def as_json(self) -> dict[str, Any]:
        """Return what was checked on, for machines."""
        market = self.market
        return {
            "label": str(market.label),
            "edge": market.edge,
            "exchange": market.exchange,
            "type": market.market_type,
            "symbol": self.symbol,
            "timeframe": market.timeframe,
            "start_at": market.start_at,
            "end_at": market.end_at,
            "n_bars": self.n_bars,
            "instead_because": self.instead_because,
        }

    def sentence(self) -> str:
        """Return what was checked on, for people."""
        from console.format import instant

        market = self.market
        span = f"{instant(market.start_at)} to {instant(market.end_at)}"
        edge = f" ({market.edge})" if market.edge else ""
        return (
            f"checked on {market.label}{edge} {market.exchange} {self.symbol} "
            f"{market.timeframe}, {self.n_bars:,} bars, {span}"
        )


def find_ground(config: Config, timeframe: str, symbols: Sequence[str]) -> Ground:
    """Load one symbol of the configured market, or of the generated one where it has none.

    Nothing is fetched: a market of live bars is read as far as they are stored. What the configured
    exchange allows counts on generated bars as well.
    """
    from engine.config import with_settings
    from engine.market.feed import market_type_of

    if config.market.source == "generated":
        return Ground(_load(config, timeframe, symbols, None), "")
    try:
        return Ground(_load(config, timeframe, symbols, config.paths.store), "")
    except (DataError, UsageError) as exc:
        kind: str = config.market.type
        if kind == "auto" and config.market.exchange:
            kind = market_type_of(config.market.exchange)
        changes = {"source": "generated", "exchange": "", "type": kind}
        generated = with_settings(config, {"market": changes}, "validate")
        return Ground(_load(generated, timeframe, symbols, None), one_line(str(exc)))


def _load(
    config: Config, timeframe: str, symbols: Sequence[str], store: Path | None
) -> LoadedMarket:
    from engine.market.feed import load_market

    request = market_request(
        config,
        market=store,
        exchange=None,
        symbols=check_symbols(tuple(symbols or config.market.symbols)[:1]),
        timeframe=timeframe,
        days=config.market.days,
    )
    return load_market(replace(request, market_type=config.market.type))
