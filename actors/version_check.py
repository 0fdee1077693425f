"""Before a version gets any capital: packaged, validated, compared with the engine over HTTP."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.deploy.package import Writer, engine_difference, packaged, save_bundle
from engine.deploy.workerd import Workerd
from engine.errors import StrategyError, UsageError
from engine.strategy.genome import Genome
from engine.trading_settings import Limits
from engine.types import Bars

_ANSWER_S = 10.0


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
    token: str,
    write: Writer,
    marks: Mapping[str, str],
) -> Checked:
    """Return a version once nothing speaks against it; its bundle is in `folder` then.

    Parameters
    ----------
    markets : market type and recent bars of each symbol it is to trade
    marks : environment of the process it is tried in

    Raises
    ------
    UsageError : it trades no symbol.
    StrategyError : the validator refuses it, or it decides otherwise than the engine.
    RuntimeUnavailable : workerd is missing or does not answer.
    """
    if not markets:
        raise UsageError("it trades no symbol: no gate names one that the exchange lists")
    kinds = {kind for kind, _ in markets.values()}
    longest = max((bars for _, bars in markets.values()), key=len)
    market_type = "spot" if "spot" in kinds else "perp"
    package = await asyncio.to_thread(
        packaged, genome, version, longest, limits, market_type, write
    )
    with tempfile.TemporaryDirectory(prefix="paddock-check-") as place:
        async with Workerd(Path(place), {"main": package.bundle}, token, marks) as workerd:
            async with workerd.client("main", _ANSWER_S) as client:
                for symbol, (_, bars) in markets.items():
                    words = await engine_difference(genome, package.meta, bars, client)
                    if words:
                        raise StrategyError(f"on {symbol} its {words}", strategy=genome.id)
    await asyncio.to_thread(save_bundle, folder, package.bundle)
    n_bars = sum(len(bars) for _, bars in markets.values())
    return Checked(package.bundle.sha256, package.meta.lookback_bars, n_bars)
