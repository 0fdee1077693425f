"""What the simulated exchange has in its own file, read beside it, all at one instant.

Asked for over its REST face it would use up what the trader may ask.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.trade.exchange import AccountView, Fill, VenuePosition
from engine.trade.instrument import ZERO
from engine.trade.positions import EXACT, quote_of
from engine.trade.simulated.endpoint import exchange_folder
from engine.trade.simulated.snapshot import fill_from, order_from
from engine.trade.simulated.venue import ENGINE_STATE


@dataclass(frozen=True, slots=True)
class ExchangeFile:
    """Everything there was when one transaction had ended and the next had not.

    Attributes
    ----------
    orders : (client id, number) of every order that was ever taken, oldest first
    fills : every one that was ever made, oldest first
    view : what the account held after exactly these fills
    """

    orders: tuple[tuple[str, str], ...]
    fills: tuple[Fill, ...]
    view: AccountView
    is_perp: bool


def read_exchange(home: Path) -> ExchangeFile:
    """Return what the exchange of a home has on its disk now."""
    with closing(_opened(home)) as connection:
        # Everything below is of the instant of the first look.
        connection.execute("BEGIN")
        fills = connection.execute("SELECT body FROM fills ORDER BY id").fetchall()
        orders = connection.execute("SELECT number, body FROM orders ORDER BY number").fetchall()
        state = connection.execute(
            "SELECT body FROM state WHERE name = ?", (ENGINE_STATE,)
        ).fetchone()
    account = json.loads(state[0])
    return ExchangeFile(
        tuple((order_from(body, []).new.client_id, str(number)) for number, body in orders),
        tuple(fill_from(body) for (body,) in fills),
        _view(account),
        is_perp="perp" in account,
    )


def count_open(home: Path) -> int:
    """Return how many orders rest at the exchange of a home now."""
    with closing(_opened(home)) as connection:
        query = "SELECT count(*) FROM orders WHERE is_open = 1"
        return int(connection.execute(query).fetchone()[0])


def _opened(home: Path) -> sqlite3.Connection:
    path = exchange_folder(home) / "venue.db"
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)


def _view(account: dict[str, Any]) -> AccountView:
    if "spot" in account:
        total = {asset: Decimal(held) for asset, held in account["spot"]["total"].items()}
        return AccountView(0, total, {})
    # All that is settled in: a perpetuals account has one currency.
    (quote,) = {quote_of(symbol) for symbol in account["markets"]}
    held = {
        s: (Decimal(base), Decimal(cost)) for s, (base, cost) in account["perp"]["held"].items()
    }
    positions = {
        symbol: VenuePosition(symbol, base, EXACT.divide(cost, base))
        for symbol, (base, cost) in held.items()
        if base != ZERO
    }
    return AccountView(0, {quote: Decimal(account["perp"]["wallet"])}, positions)
