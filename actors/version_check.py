"""Before a version gets any capital: packaged, validated, compared with the engine over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from engine.deploy.bundle import Bundle
from engine.deploy.package import Writer, engine_difference, packaged, save_bundle
from engine.deploy.worker_client import WorkerClient
from engine.errors import StrategyError, UsageError
from engine.strategy.genome import Genome
from engine.trading_settings import Limits
from engine.types import Bars

Trial = Callable[[Bundle], AbstractAsyncContextManager[WorkerClient]]


@dataclass(frozen=True, slots=True)
class Checked:
    """A version that may be rolled out."""

    bundle: str
    lookback_bars: int
    n_bars: int


async def checked(
    genome: Genome,
    version: str,
    markets: Mapping[str, tuple[str, Bars]],
    limits: Limits,
    folder: Path,
    write: Writer,
    trial: Trial,
) -> Checked:
    """Return a version once nothing speaks against it; its bundle is in `folder` then.

    Parameters
    ----------
    markets : market type and recent bars of each symbol it is to trade
    trial : runs a bundle where it is to be deployed, as long as it is compared

    Raises
    ------
    UsageError : it trades no symbol.
    StrategyError : the validator refuses it, or it decides otherwise than the engine.
    RuntimeUnavailable : its target is not there or does not answer.
    """
    if not markets:
        raise UsageError("it trades no symbol: no gate names one that the exchange lists")
    kinds = {kind for kind, _ in markets.values()}
    longest = max((bars for _, bars in markets.values()), key=len)
    market_type = "spot" if "spot" in kinds else "perp"
    package = await asyncio.to_thread(
        packaged, genome, version, longest, limits, market_type, write
    )
    async with trial(package.bundle) as client:
        for symbol, (_, bars) in markets.items():
            words = await engine_difference(genome, package.meta, bars, client)
            if words:
                raise StrategyError(f"on {symbol} its {words}", strategy=genome.id)
    await asyncio.to_thread(save_bundle, folder, package.bundle)
    n_bars = sum(len(bars) for _, bars in markets.values())
    return Checked(package.bundle.sha256, package.meta.lookback_bars, n_bars)
