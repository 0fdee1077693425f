"""What the configuration means for the bars that are loaded."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.market.feed import MarketRequest
from engine.settings import Config


def market_request(config: Config) -> MarketRequest:
    """Return the bars that these settings ask for."""
    market, generated = config.market, config.generated
    end_at: int | None = None
    if generated.end_at:
        instant = datetime.fromisoformat(generated.end_at)
        end_at = round(instant.replace(tzinfo=UTC).timestamp() * 1000)
    return MarketRequest(
        source=market.source,
        symbols=tuple(market.symbols),
        timeframe=config.cycle.timeframe,
        days=market.days,
        store=config.paths.store,
        exchange=market.exchange or None,
        market_type=market.type,
        seed=generated.seed,
        edge_kind=generated.edge_kind,
        edge_strength=generated.edge_strength,
        generated_days=generated.days,
        generated_end_at=end_at,
        retries=config.fetch.retries,
        timeout_s=config.fetch.timeout_s,
        page_bars=config.fetch.page_bars,
        rate_limit_ms=config.fetch.rate_limit_ms,
    )
