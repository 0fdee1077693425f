"""`paddock cycle`: ask the runtime for a cycle, follow it, print what came of it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.choices import (
    ENDLESS,
    ExchangeOption,
    JsonOption,
    MarketOption,
    SymbolsOption,
    at_least,
    check_market,
    check_symbols,
    check_timeframe,
    parse_count,
    parse_symbols,
)
from console.runtime_process import (
    start_runtime,
    stop_runtime,
    view_runtime,
    wait_until_alive,
)
from console.session import Session, operator
from console.talk import EXIT_INTERRUPTED, emit, emit_json, say
from engine.errors import PaddockError, RuntimeUnavailable, UsageError

if TYPE_CHECKING:
    from engine.store.cycles import CycleRow
    from engine.store.database import Store

_POLL_S = 0.15
_LOST_AFTER_S = 20.0
_LEAST_FREE_BYTES = 16_000_000
_FINAL = ("done", "failed", "cancelled")
_COUNTS = (
    "generated",
    "validated",
    "rejected",
    "backtested",
    "failed",
    "evaluations",
    "passed",
    "promoted",
)


def cycle(
    context: typer.Context,
    count: Annotated[str | None, typer.Option(help="Candidates, or infinite.")] = None,
    symbols: SymbolsOption = None,
    timeframe: Annotated[str | None, typer.Option(help="Bars that genomes are drawn for.")] = None,
    days: Annotated[int | None, typer.Option(help="Length of the window, days.")] = None,
    market: MarketOption = None,
    exchange: ExchangeOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    workers: Annotated[int | None, typer.Option(help="Backtesters to use.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Learned state to start from: a hash, or the word empty.")
    ] = None,
    replay: Annotated[
        int | None,
        typer.Option(help="Run this cycle again, its language model answered from the record."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run one cycle: generate, validate, backtest, store, learn, promote."""
    session: Session = context.obj()
    if replay is not None:
        given = (count, symbols, timeframe, days, market, exchange, seed, workers, state)
        if any(value is not None for value in given):
            raise UsageError(
                "--replay takes everything from the cycle it names: leave the rest out"
            )
        _follow_to_end(session, {"replay": at_least(replay, 1, "--replay")}, as_json=as_json)
        return
    arguments = cycle_arguments(
        session,
        count=count,
        symbols=symbols,
        timeframe=timeframe,
        days=days,
        market=market,
        exchange=exchange,
        seed=seed,
        workers=workers,
        state=state,
    )
    _follow_to_end(session, arguments, as_json=as_json)


def _follow_to_end(session: Session, arguments: dict[str, Any], *, as_json: bool) -> None:
    try:
        summary = asyncio.run(interruptible(_run(session, arguments)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        emit_json(summary)
    else:
        _print_summary(summary)


def cycle_arguments(
    session: Session,
    *,
    count: str | None = None,
    symbols: str | None = None,
    timeframe: str | None = None,
    days: int | None = None,
    market: Path | None = None,
    exchange: str | None = None,
    seed: int | None = None,
    workers: int | None = None,
    state: str | None = None,
) -> dict[str, Any]:
    """Return the checked arguments of a cycle, configured values where nothing was said.

    What is left out the runtime decides: workers, learned state, exchange.

    Raises
    ------
    UsageError, DataError : something that cannot run; nothing was started.
    """
    config = session.config
    chosen = check_symbols(config.market.symbols) if symbols is None else parse_symbols(symbols)
    bars = check_timeframe(timeframe or config.cycle.timeframe)
    arguments: dict[str, Any] = {
        "count": config.cycle.count if count is None else parse_count(count),
        "seed": config.cycle.seed if seed is None else at_least(seed, 0, "--seed"),
        "symbols": list(chosen),
        "timeframe": bars,
        "days": config.market.days if days is None else at_least(days, 1, "--days"),
    }
    if workers is not None:
        arguments["workers"] = at_least(workers, 1, "--workers")
    if state:
        arguments["state"] = state
    if exchange:
        arguments["exchange"] = exchange
    if market is not None:
        root, name = check_market(market, exchange or config.market.exchange or None, chosen, bars)
        arguments |= {"market": str(root), "exchange": name}
    elif config.market.source == "store":
        check_market(config.paths.store, exchange or config.market.exchange or None, chosen, bars)
    elif config.market.source == "generated" and exchange not in (None, "generated"):
        raise UsageError(
            f"--exchange {exchange}: the generated market has no exchanges; add --market DIR",
            exchange=exchange,
        )
    return arguments


def disk_fault(home: Path) -> str:
    """Return what is wrong when the disk of a home is full, '' when it is not.

    A runtime that cannot write its signs of life looks silent, and the disk is why.
    """
    free = shutil.disk_usage(home).free
    if free >= _LEAST_FREE_BYTES:
        return ""
    return f"the disk of {home} is full ({free / 1e6:.0f} MB left): make room"


async def interruptible(work: Any) -> Any:
    """Await `work`; SIGTERM cancels it as Ctrl-C does, so that no private runtime is left."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _run(session: Session, arguments: dict[str, Any]) -> Any:
    async with follower(session) as following:
        return await following.run(arguments)


@asynccontextmanager
async def follower(session: Session) -> AsyncIterator[Follower]:
    """Yield who asks for cycles: of the runtime of this home, or of a private one, then ended."""
    store = await session.open_store(read_only=False)
    private: subprocess.Popen[bytes] | None = None
    try:
        alive = view_runtime(session.home, await _beat_at(store), session.clock.now_at()).is_alive
        if not alive:
            private = start_runtime(session.home, session.config_path, ["--private"])
            await wait_until_alive(
                private,
                session.home,
                lambda: _beat_at(store),
                session.clock.now_at,
                session.config.runtime.start_timeout_s,
            )
        yield Follower(session, store, is_private=private is not None)
    finally:
        if private is not None:
            await _end_private(session, private)
        await store.close()


async def _end_private(session: Session, process: subprocess.Popen[bytes]) -> None:
    try:
        if process.poll() is None:
            await stop_runtime(session.config_path)
            await asyncio.to_thread(process.wait, 30)
    except (PaddockError, subprocess.TimeoutExpired) as exc:
        say(f"paddock: {exc}")
        process.terminate()


async def _beat_at(store: Store) -> int | None:
    from console.feed import conductor_beat_at
    from engine.store.heartbeats import heartbeats

    return conductor_beat_at(tuple(await heartbeats(store)))


@dataclass
class Follower:
    """Follow one request after the other from the command's row to the cycle's summary."""

    session: Session
    store: Store
    is_private: bool
    cycle_id: int | None = None
    _lost_s: float = 0.0

    async def run(self, arguments: dict[str, Any]) -> Any:
        """Ask for a cycle and return its summary.

        Raises
        ------
        RuntimeUnavailable : it was refused, did not end well, or the runtime is lost.
        """
        from engine.store.commands import insert_command

        self.cycle_id = None
        command_id = await insert_command(
            self.store,
            who=operator(),
            name="cycle.start",
            arguments=arguments,
            now_at=self.session.clock.now_at(),
        )
        return await self._watch(command_id, is_endless=arguments.get("count") == ENDLESS)

    async def rejoin(self, cycle_id: int) -> Any:
        """Follow a cycle that runs already and return its summary.

        Raises
        ------
        RuntimeUnavailable : it did not end well, or the runtime is lost.
        """
        self.cycle_id = cycle_id
        return await self._watch(None, is_endless=False)

    async def _watch(self, command_id: int | None, *, is_endless: bool) -> Any:
        from console.commands.progress import StageBars

        with StageBars() as bars:
            try:
                return await self._follow(command_id, is_endless, bars)
            except asyncio.CancelledError:
                bars.stop()
                say(self._interrupted())
                raise

    async def _follow(self, command_id: int | None, is_endless: bool, bars: Any) -> Any:
        from engine.store.cycles import stages

        while True:
            if command_id is not None:
                await self._find_cycle(command_id, is_endless=is_endless)
            if self.cycle_id is not None:
                row = await self._row()
                bars.show(row.id, row.wave, await stages(self.store, row.id))
                if row.status in _FINAL and row.wave == 0:
                    await self._warn_of_controls(row.id)
                    return self._outcome(row)
            await self.check_runtime()
            await asyncio.sleep(_POLL_S)

    async def _find_cycle(self, command_id: int, *, is_endless: bool) -> None:
        from engine.store.commands import get_command
        from engine.store.cycles import latest_cycle

        if self.cycle_id is not None and not is_endless:
            return
        command = await get_command(self.store, command_id)
        if command.status in ("refused", "failed"):
            raise RuntimeUnavailable(
                f"the cycle was {command.status}: {command.reason}", command_id=command_id
            )
        if isinstance(command.result, dict) and command.result.get("cycle_id") is not None:
            self.cycle_id = int(command.result["cycle_id"])
        if is_endless and self.cycle_id is not None:
            latest = await latest_cycle(self.store)
            self.cycle_id = self.cycle_id if latest is None else max(self.cycle_id, latest.id)

    async def _row(self) -> CycleRow:
        from engine.store.cycles import get_cycle

        return await get_cycle(self.store, self.cycle_id or 0)

    async def check_runtime(self) -> None:
        """Raise RuntimeUnavailable when the runtime has been lost for a while."""
        view = view_runtime(
            self.session.home, await _beat_at(self.store), self.session.clock.now_at()
        )
        self._lost_s = 0.0 if view.is_alive else self._lost_s + _POLL_S
        if self._lost_s > _LOST_AFTER_S:
            fault = disk_fault(self.session.home) or f"the runtime is {view.word}"
            raise RuntimeUnavailable(f"{fault}: {self._resume()}")

    async def _warn_of_controls(self, cycle_id: int) -> None:
        from engine.store.events import events_page

        told = await events_page(
            self.store, kind="cycle.controls", level="error", cycle_id=cycle_id
        )
        for event in told:
            say(f"paddock: ▲ {event.message}")

    def _outcome(self, row: CycleRow) -> Any:
        if row.status == "done" and row.summary is not None:
            return row.summary
        reason = row.error or "no reason was recorded"
        raise RuntimeUnavailable(f"cycle {row.id} {row.status}: {reason}", cycle_id=row.id)

    def _interrupted(self) -> str:
        if self.cycle_id is None:
            return "paddock: interrupted before the cycle started"
        if self.is_private:
            return f"paddock: interrupted; nothing recorded is lost: {self._resume()}"
        return (
            f"paddock: stopped following; cycle {self.cycle_id} goes on in the runtime: "
            "`paddock status` shows it, `p` in the console pauses it"
        )

    def _resume(self) -> str:
        named = "the cycle" if self.cycle_id is None else f"cycle {self.cycle_id}"
        return f"{named} is kept, and `paddock up` finishes it"


def _print_summary(summary: Any) -> None:
    from console.controls_words import controls_words
    from console.format import count as whole
    from console.format import drawdown, number, short, short_id

    values = summary if isinstance(summary, dict) else dict(summary)
    seconds = values.get("seconds") or {}
    spent_s = _real(seconds.get("total"))
    emit(
        f"cycle {values.get('cycle_id')}  seed {values.get('seed')}  {number(spent_s, 1)} s  "
        f"{short(_real(values.get('bars_per_second')))} bars/s"
    )
    for name in _COUNTS:
        emit(f"  {name:<12}{whole(_real(values.get(name))):>12}")
    controls = controls_words(values.get("controls") or {})
    if controls:
        emit(f"  controls    {controls}")
    emit(f"  digest      {values.get('results_digest')}")
    for row in values.get("best") or []:
        emit(
            f"  {short_id(row.get('id')):<10}{row.get('type', ''):<18}{row.get('symbol') or '':<10}"
            f"Sharpe {number(_real(row.get('sharpe'))):>7}  "
            f"drawdown {drawdown(_real(row.get('max_drawdown'))):>7}  "
            f"trades {whole(_real(row.get('trades'))):>6}"
        )


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
