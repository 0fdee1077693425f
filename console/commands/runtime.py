"""`paddock up`, `down` and `status`: the runtime from the shell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.choices import JsonOption, at_least
from console.runtime_process import (
    RuntimeView,
    start_runtime,
    stop_runtime,
    view_runtime,
    wait_until_alive,
)
from console.session import Session
from console.talk import emit, emit_json, say
from engine.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from console.snapshot import Snapshot, StoreView


def up(
    context: typer.Context,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join (host:port) instead of an own head.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Backtesters; one a core if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the runtime; it goes on when this shell ends."""
    session: Session = context.obj()
    settings = {} if address is None else {"PADDOCK_RUNTIME__ADDRESS": address}
    if workers is not None:
        settings["PADDOCK_RUNTIME__WORKERS"] = str(at_least(workers, 1, "--workers"))
    view = asyncio.run(_up(session, settings))
    pid = 0 if view.file is None else view.file.pid
    if as_json:
        emit_json({"runtime": _runtime_json(view)})
    else:
        say(f"runtime up: process {pid}, home {session.home}")


def down(context: typer.Context, as_json: JsonOption = False) -> None:
    """Stop the runtime and everything it started; what is recorded stays."""
    session: Session = context.obj()
    asyncio.run(stop_runtime(session.config_path))
    view = view_runtime(session.home, None, session.clock.now_at())
    if as_json:
        emit_json({"runtime": _runtime_json(view)})
    else:
        say("runtime down")


def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the runtime, the newest cycle with its stages, and what the store holds."""
    session: Session = context.obj()
    snapshot = asyncio.run(_snapshot(session))
    if as_json:
        emit_json(status_json(snapshot))
        return
    for line in _status_lines(snapshot):
        emit(line)


def status_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return the state of a home as plain values."""
    store = snapshot.store
    reading = snapshot.latch
    return {
        "at": snapshot.taken_at,
        "market": {"label": snapshot.market_label, "edge": snapshot.edge},
        "runtime": _runtime_json(snapshot.runtime),
        "trading": {
            "state": str(reading.state),
            "cause": str(reading.cause),
            "detail": reading.detail,
            "who": reading.who,
            "at": reading.at,
        },
        "problem": snapshot.problem,
        "cycle": None if store is None else _cycle_json(store),
        "strategies": {} if store is None else dict(store.statuses),
        "evaluations_total": None if store is None else store.trials_total,
        "actors": []
        if store is None
        else [
            {"name": b.name, "kind": b.kind, "at": b.at, "state": b.state, "detail": b.detail}
            for b in store.heartbeats
        ],
    }


async def _up(session: Session, settings: dict[str, str]) -> RuntimeView:
    from console.commands.cycle import _beat_at

    view = view_runtime(session.home, None, session.clock.now_at())
    if view.word == "silent":
        pid = 0 if view.file is None else view.file.pid
        raise RuntimeUnavailable(
            f"a runtime already runs on the home {session.home} (process {pid}): use it, stop it "
            "with `paddock down`, or choose another home with PADDOCK_PATHS__HOME",
            pid=pid,
        )
    store = await session.open_store(read_only=False)
    try:
        process = start_runtime(session.home, session.config_path, settings=settings)
        return await wait_until_alive(
            process,
            session.home,
            lambda: _beat_at(store),
            session.clock.now_at,
            session.config.runtime.start_timeout_s,
        )
    finally:
        await store.close()


async def _snapshot(session: Session) -> Snapshot:
    from console.feed import Feed

    feed = Feed(session)
    try:
        return await feed.snapshot()
    finally:
        await feed.close()


def _runtime_json(view: RuntimeView) -> dict[str, Any]:
    file = view.file
    return {
        "state": view.word,
        "pid": None if file is None else file.pid,
        "started_at": None if file is None else file.started_at,
        "beat_at": view.beat_at,
    }


def _cycle_json(store: StoreView) -> dict[str, Any] | None:
    cycle = store.cycle
    if cycle is None:
        return None
    return {
        "cycle_id": cycle.id,
        "status": cycle.status,
        "stage": cycle.stage,
        "seed": cycle.seed,
        "count": cycle.count,
        "symbols": list(cycle.symbols),
        "timeframe": cycle.timeframe,
        "days": cycle.days,
        "market_label": cycle.market_label,
        "edge": cycle.edge,
        "wave": cycle.wave,
        "started_at": cycle.started_at,
        "finished_at": cycle.finished_at,
        "results_digest": cycle.results_digest,
        "error": cycle.error,
        "stages": [
            {
                "name": stage.name,
                "status": stage.status,
                "done": stage.done,
                "total": stage.total,
                "failed": stage.failed,
                "rate_per_s": stage.rate_per_s,
            }
            for stage in store.stages
        ],
    }


def _status_lines(snapshot: Snapshot) -> list[str]:
    from console.format import age, bar, clock_time, short
    from console.snapshot import StoreView
    from console.states import set_aside_word, trading_words

    runtime = snapshot.runtime
    lines = [
        f"market    {snapshot.market_label}{f' ({snapshot.edge})' if snapshot.edge else ''}",
        f"runtime   {runtime.word}"
        + (
            f", conductor heard {age(runtime.beat_at, snapshot.taken_at)} ago"
            if runtime.beat_at
            else ""
        ),
        f"trading   {trading_words(snapshot.latch)}",
    ]
    if snapshot.problem:
        lines.append(f"problem   {snapshot.problem}")
    store = snapshot.store or StoreView(snapshot.taken_at)
    cycle = store.cycle
    if cycle is None:
        return [*lines, "cycle     none yet: `paddock cycle` runs one"]
    when = clock_time(cycle.finished_at or cycle.started_at or cycle.created_at)
    lines.append(
        f"cycle     {cycle.id} {cycle.status} {when} seed {cycle.seed}, {cycle.count:,} candidates"
    )
    for stage in store.stages:
        rate = f"{short(stage.rate_per_s)}/s" if stage.rate_per_s else ""
        failed = f"{stage.failed:,} {set_aside_word(stage.name)[0]}" if stage.failed else ""
        lines.append(
            f"  {stage.name:<10}{bar(stage.done, stage.total, 20)} "
            f"{stage.done:,}/{stage.total:,} {rate} {failed}".rstrip()
        )
    counted = ", ".join(f"{name} {n:,}" for name, n in sorted(store.statuses.items()))
    lines.append(f"stored    {counted or 'no strategies'}; {store.trials_total or 0:,} evaluations")
    return lines
