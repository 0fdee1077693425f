"""Trades that are not stored: computed again in a process of their own, read from its CSV."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.child_process import ChildProcess
from console.session import Session
from console.trade_lines import PairLine, TradeLine, read_pairs, read_trades

if TYPE_CHECKING:
    from engine.store.cycles import CycleRow


class TradeRun:
    """The trades of one strategy on one symbol, run again.

    Parameters
    ----------
    session : Session
    strategy_id, symbol : what to run
    cycle : the strategy's, whose bars paper is replayed on; None takes the configured market
    is_paired : run it through paper trading as well and pair the trades
    """

    def __init__(
        self,
        session: Session,
        strategy_id: str,
        symbol: str,
        cycle: CycleRow | None,
        *,
        is_paired: bool,
    ) -> None:
        self.strategy_id, self.symbol, self.is_paired = strategy_id, symbol, is_paired
        self.trades: list[TradeLine] = []
        self.pairs: list[PairLine] = []
        self.told: dict[str, Any] = {}
        self.problem = ""
        self.path = session.home / "reports" / _file_name(strategy_id, symbol, is_paired)
        self._process = ChildProcess(session, self._arguments(cycle))

    @property
    def is_running(self) -> bool:
        """Return whether it runs."""
        return self._process.is_running

    async def run(self) -> None:
        """Run it to its end; what went wrong is in `problem`."""
        if self.is_paired:
            await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
        told = await self._process.run()
        self.problem = self._process.problem
        if self.problem:
            return
        try:
            self.told = dict(told)
            if self.is_paired:
                self.pairs = await asyncio.to_thread(read_pairs, self.path)
            else:
                self.path = Path(told["trades"])
                self.trades = await asyncio.to_thread(read_trades, self.path)
        except OSError as exc:
            self.problem = f"cannot read {self.path}: {exc.strerror or exc}"
        except (ValueError, KeyError, TypeError):
            self.problem = f"no trade log is in {self.path}"

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def outcome(self) -> tuple[str, str]:
        """Return what came of it in a sentence, and the level of that."""
        if self.problem:
            return f"trades: {self.problem}", "warn" if self.problem == "stopped" else "error"
        n = len(self.pairs) if self.is_paired else len(self.trades)
        return f"{n:,} trades, also in {self.path}", "ok"

    def _arguments(self, cycle: CycleRow | None) -> list[str]:
        if not self.is_paired:
            return ["report", "strategy", self.strategy_id, "--symbol", self.symbol, "--json"]
        return [
            "paper",
            self.strategy_id,
            "--symbols",
            self.symbol,
            *_market_of(cycle),
            "--no-limits",
            "--trades",
            str(self.path),
            "--json",
        ]


def _market_of(cycle: CycleRow | None) -> list[str]:
    if cycle is None:
        return ["--days", "30"]
    days = ["--days", str(cycle.days)]
    market = cycle.settings.get("config", {}).get("market", {})
    folder = cycle.settings.get("store")
    if market.get("source") != "store" or not folder:
        return days
    return ["--market", str(folder), "--exchange", cycle.exchange, *days]


def _file_name(strategy_id: str, symbol: str, is_paired: bool) -> str:
    name = symbol.replace("/", "-").replace(":", "-")
    return f"{strategy_id[:8]}-{name}-{'paper' if is_paired else 'trades'}.csv"
