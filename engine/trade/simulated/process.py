"""The simulated exchange as a process: `python -m engine.trade.simulated.process --home DIR`.

It outlives Ray and the console, knows neither, and is alone on its home (a lock). What it answered
is on the disk before it answers; started again it goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from engine.clock import Clock, SystemClock
from engine.config import load_config, with_settings
from engine.errors import ConfigError, PaddockError, RuntimeUnavailable, StoreError
from engine.market.bars import utc_text
from engine.settings import Config
from engine.trade.instrument import Instrument
from engine.trade.simulated.endpoint import (
    Endpoint,
    account_keys,
    exchange_folder,
    remove_endpoint,
    write_endpoint,
)
from engine.trade.simulated.exact import decimal_of
from engine.trade.simulated.faults import FaultPlan
from engine.trade.simulated.market_source import OpenedMarket, open_market
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.rest.authentication import Keys
from engine.trade.simulated.rest.server import RestServer
from engine.trade.simulated.rules import VenueRules
from engine.trade.simulated.venue import CLOCK_STATE, Venue
from engine.trade.simulated.venue_store import VenueStore
from engine.trade.simulated.venue_time import VenueTime
from engine.types import MarketLabel

LOCK_NAME = "exchange.lock"
TICK_S = 0.1
"""Real time between two looks at the prices when nobody asks."""

_MAINTENANCE_FRAC = Decimal("0.004")
_IDENTITY_STATE = "market"
_LISTING_STATE = "listing"
_LOCKED, _FATAL = 3, 4
_LOCK_TRIES = 5
_LOCK_WAIT_S = 0.02


class ExchangeLock:
    """Hold a home's simulated exchange; the kernel lets go when the process ends, however it ends.

    Raises
    ------
    RuntimeUnavailable : another process holds it, or the folder cannot be written.
    """

    def __init__(self, home: Path) -> None:
        path = exchange_folder(home) / LOCK_NAME
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise RuntimeUnavailable(
                f"{path.parent} cannot be written: {exc.strerror or exc}; choose another home"
            ) from exc
        # Whoever asks whether it is held holds it for an instant, too: one refusal proves nothing.
        for _ in range(_LOCK_TRIES):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(_LOCK_WAIT_S)
        os.close(self._handle)
        raise RuntimeUnavailable(
            f"a simulated exchange already runs on home {home}", home=str(home)
        )

    def release(self) -> None:
        """Let go; the file stays, so that nobody can lock a deleted one."""
        os.close(self._handle)


async def serve(config: Config, clock: Clock, stopping: asyncio.Event) -> None:
    """Run the exchange of `config` until told to stop.

    Raises
    ------
    ConfigError : this home's exchange trades another market already.
    PaddockError : no prices, or nothing can be written.
    """
    home = config.paths.home
    store = VenueStore(exchange_folder(home))
    mark = store.state(CLOCK_STATE)
    now_at = None if mark is None else int(mark)
    market = await open_market(config, clock, _listed_before(store), now_at)
    _check_identity(store, market, home)
    store.save(state=((_LISTING_STATE, _listing_text(market.instruments)),))
    start_at = market.start_at if now_at is None else now_at
    if market.label is MarketLabel.LIVE:
        start_at = max(start_at, market.start_at)
    venue_time = VenueTime(start_at, market.speed, clock)
    await market.feed.refresh(start_at)
    venue = Venue(_engine(config, market), market.feed, venue_time, store)
    keys = account_keys(home)
    server = RestServer(
        venue,
        Keys(*keys),
        _die,
        clock,
        faults=FaultPlan(config.simulated.fault_seed, config.simulated.fault_chance),
        latency_ms=config.simulated.latency_ms,
    )
    port = await server.start(config.simulated.port)
    endpoint = Endpoint(
        url=f"http://127.0.0.1:{port}",
        pid=os.getpid(),
        started_at=clock.now_at(),
        api_key=keys[0],
        secret=keys[1],
        market_type=market.market_type,
        exchange_name="binance-perp" if market.market_type == "perp" else "binance",
        label=market.label.value,
        speed=market.speed,
    )
    write_endpoint(home, endpoint)
    _say(f"{market.identity} from {utc_text(venue.now_at())} at {endpoint.url}")
    try:
        await _keep_time(venue, stopping)
    finally:
        remove_endpoint(home)
        await server.stop()
        venue.close()
        await market.feed.close()


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; 0 when stopped, 3 when another one runs, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m engine.trade.simulated.process")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--config", type=Path)
    options = parser.parse_args(argv)
    try:
        config = load_config(options.config)
        if options.home is not None:
            changes = {"paths": {"home": str(options.home.expanduser().absolute())}}
            config = with_settings(config, changes, "command line")
    except ConfigError as exc:
        _say(exc.message)
        return 1
    try:
        lock = ExchangeLock(config.paths.home)
    except RuntimeUnavailable as exc:
        _say(exc.message)
        return _LOCKED
    try:
        asyncio.run(_run(config))
    except StoreError as exc:
        _die(exc)
    except PaddockError as exc:
        _say(exc.message)
        return 1
    except OSError as exc:
        _say(f"port {config.simulated.port} cannot be used: {exc.strerror or exc}")
        return 1
    finally:
        lock.release()
    return 0


async def _run(config: Config) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await serve(config, SystemClock(), stopping)


async def _keep_time(venue: Venue, stopping: asyncio.Event) -> None:
    # Prices move, and stops trigger, also when nobody asks.
    supply = asyncio.create_task(_keep_supplied(venue))
    try:
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), TICK_S)
            venue.catch_up()
            if supply.done():
                supply.result()
    finally:
        supply.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await supply


async def _keep_supplied(venue: Venue) -> None:
    was_at_end = False
    while True:
        await asyncio.sleep(venue.feed.refresh_s)
        await venue.feed.refresh(venue.now_at())
        is_at_end = venue.feed.is_at_end(venue.now_at())
        if is_at_end and not was_at_end:
            _say("the market has come to its end: prices stand still until there are newer bars")
        was_at_end = is_at_end


def _engine(config: Config, market: OpenedMarket) -> MatchingEngine:
    is_perp = market.market_type == "perp"
    rules = VenueRules(
        commission_frac=decimal_of(config.backtest.commission_frac),
        slippage_frac=decimal_of(config.backtest.slippage_frac),
        commission_in=config.simulated.commission_in,
        partial_fill_chance=config.simulated.partial_fill_chance,
        stops_lock=True,
        refuses_immediate_triggers=True,
        maintenance_frac=_MAINTENANCE_FRAC if is_perp else Decimal(0),
    )
    quotes = {instrument.quote for instrument in market.instruments.values()}
    balance = decimal_of(config.simulated.balance_quote)
    return MatchingEngine(
        market.instruments,
        rules,
        dict.fromkeys(quotes, balance),
        config.simulated.fault_seed,
    )


def _check_identity(store: VenueStore, market: OpenedMarket, home: Path) -> None:
    known = store.state(_IDENTITY_STATE)
    if known is None:
        store.save(state=((_IDENTITY_STATE, market.identity),))
    elif known != market.identity:
        raise ConfigError(
            f"the paper account of {home} trades the market `{known}`, the configuration asks for "
            f"`{market.identity}`: set [market] back, use another home, or give the account up by "
            f"moving {exchange_folder(home)} away"
        )


def _listed_before(store: VenueStore) -> dict[str, Instrument]:
    text = store.state(_LISTING_STATE)
    if text is None:
        return {}
    return {
        row["symbol"]: Instrument(
            symbol=row["symbol"],
            market_type=row["market_type"],
            tick=Decimal(row["tick"]),
            lot=Decimal(row["lot"]),
            min_qty_base=Decimal(row["min_qty_base"]),
            min_notional_quote=Decimal(row["min_notional_quote"]),
            max_market_base=Decimal(row["max_market_base"]) if row["max_market_base"] else None,
        )
        for row in json.loads(text)
    }


def _listing_text(instruments: Mapping[str, Instrument]) -> str:
    return json.dumps(
        [
            {
                "symbol": i.symbol,
                "market_type": i.market_type,
                "tick": str(i.tick),
                "lot": str(i.lot),
                "min_qty_base": str(i.min_qty_base),
                "min_notional_quote": str(i.min_notional_quote),
                "max_market_base": str(i.max_market_base) if i.max_market_base else "",
            }
            for i in instruments.values()
        ]
    )


def _die(error: StoreError) -> None:
    # What is in memory is ahead of the disk: nobody may hear of it, not even on the way out.
    _say(error.message)
    os._exit(_FATAL)


def _say(text: str) -> None:
    sys.stderr.write(f"paddock: simulated exchange: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
