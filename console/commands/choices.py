"""Options that several commands share, and the checks of what was typed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.errors import UsageError

ENDLESS = "infinite"
_SYMBOL = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20})?")

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of a table.")
]
MarketOption = Annotated[
    Path | None,
    typer.Option("--market", help="Folder of bars to use instead of the configured market."),
]
ExchangeOption = Annotated[
    str | None,
    typer.Option(help="Exchange inside the market folder; the first that fits if not given."),
]
SymbolsOption = Annotated[
    str | None, typer.Option(help="Symbols, comma-separated: BTC/USDT,ETH/USDT.")
]


def parse_count(text: str) -> int | str:
    """Return a number of candidates, or `infinite`.

    Raises
    ------
    UsageError : anything else.
    """
    if text.lower() == ENDLESS:
        return ENDLESS
    return at_least(text, 1, "--count", f"a whole number from 1 up, or {ENDLESS}")


def at_least(value: str | int, least: int, option: str, allowed: str = "") -> int:
    """Return a whole number that is not below `least`.

    Raises
    ------
    UsageError : it is below, or not a whole number; the message names the option.
    """
    allowed = allowed or f"a whole number from {least} up"
    try:
        number = int(value)
    except ValueError:
        raise UsageError(f"{option} {value}: use {allowed}", option=option) from None
    if number < least:
        raise UsageError(f"{option} {value}: use {allowed}", option=option)
    return number


def check_timeframe(timeframe: str) -> str:
    """Return a known timeframe.

    Raises
    ------
    UsageError : an unknown one; the message names all.
    """
    from engine.types import TIMEFRAME_MS

    if timeframe not in TIMEFRAME_MS:
        raise UsageError(
            f"--timeframe {timeframe}: unknown; use one of {' '.join(TIMEFRAME_MS)}",
            timeframe=timeframe,
        )
    return timeframe


def parse_symbols(text: str) -> tuple[str, ...]:
    """Return the symbols of a comma-separated list, in capitals, in their order.

    Raises
    ------
    UsageError : an empty list, something that is not BASE/QUOTE, or a symbol twice.
    """
    symbols = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    if not symbols:
        raise UsageError("--symbols is empty: name at least one, such as BTC/USDT")
    return check_symbols(symbols)


def check_symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    """Return the symbols when each is BASE/QUOTE and none is there twice.

    Raises
    ------
    UsageError : otherwise.
    """
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise UsageError(
                f"{symbol!r} is not a symbol: write it as BASE/QUOTE, such as BTC/USDT",
                symbol=symbol,
            )
    doubled = sorted({symbol for symbol in symbols if list(symbols).count(symbol) > 1})
    if doubled:
        raise UsageError(f"symbol {doubled[0]} is named twice: name each once", symbol=doubled[0])
    return tuple(symbols)


def check_market(
    root: Path, exchange: str | None, symbols: Sequence[str], timeframe: str
) -> tuple[Path, str]:
    """Return the market folder and the exchange in it that holds all symbols at a timeframe.

    Raises
    ------
    DataError : a missing or empty folder.
    UsageError : an exchange or a symbol that is not there; the message names the nearest.
    """
    from engine.market.store import MarketStore

    store = MarketStore(root.expanduser().absolute())
    known = store.exchanges()
    if exchange is not None and exchange not in known:
        raise UsageError(
            f"--exchange {exchange}: not in {root}; {_nearest(exchange, known)}", exchange=exchange
        )
    tried = known if exchange is None else [exchange]
    held = {name: store.symbols(name, timeframe) for name in tried}
    for name in tried:
        if set(symbols) <= set(held[name]):
            return store.root, name
    most = max(tried, key=lambda name: len(set(symbols) & set(held[name])))
    missing = next(symbol for symbol in symbols if symbol not in held[most])
    raise UsageError(
        f"symbol {missing}: {most} in {root} has no {timeframe} bars of it; "
        f"{_nearest(missing, held[most])}",
        symbol=missing,
        exchange=most,
    )


def market_request(
    config: Any,
    *,
    market: Path | None,
    exchange: str | None,
    symbols: tuple[str, ...],
    timeframe: str,
    days: int,
) -> Any:
    """Return the request for bars that a configuration and a command's options amount to.

    Raises
    ------
    DataError, UsageError : a market folder, exchange or symbol that is not there.
    """
    from engine.market.configured import market_request as configured

    source: Any = config.market.source if market is None else "store"
    root = config.paths.store if market is None else market
    chosen = exchange or config.market.exchange or None
    if source == "store":
        root, chosen = check_market(root, chosen, symbols, timeframe)
    return replace(
        configured(config),
        source=source,
        symbols=symbols,
        timeframe=timeframe,
        days=days,
        store=root,
        exchange=chosen,
    )


def _nearest(name: str, known: Sequence[str]) -> str:
    listed = " ".join(known) or "none"
    upper = {item.upper(): item for item in known}
    close = difflib.get_close_matches(name.upper(), list(upper), n=1, cutoff=0.5)
    return f"did you mean {upper[close[0]]}? There is {listed}" if close else f"there is {listed}"
