"""From an account's name to its exchange: paper is the simulated one, live is a real one.

Both are the same adapter; only the address and the keys differ.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.clock import Clock
from engine.errors import ConfigError
from engine.market.ccxt_client import PERP_SUFFIX
from engine.settings import Config
from engine.trade.accounts import LIVE, PAPER, account_folder
from engine.trade.keys import Keys, Redactor, live_keys
from engine.trade.live import CcxtExchange
from engine.trade.live_client import can_watch_orders, trading_client, watching_client
from engine.trade.order_pushes import OrderPushes
from engine.trade.simulated.endpoint import exchange_folder, read_endpoint
from engine.trade.simulated.launch import ensure_running


async def open_exchange(
    account: str,
    config: Config,
    clock: Clock,
    *,
    config_path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    for_kill: bool = False,
) -> CcxtExchange:
    """Return an account's exchange; the caller closes it.

    Parameters
    ----------
    config_path : the file that a simulated exchange started here reads
    environment : holds the live account's keys; by default the process's own
    for_kill : with the kill switch's own keys where there are some, and without waiting for the
        rate limit

    Raises
    ------
    UsageError : no such account, or no such exchange.
    ConfigError : the live account has no exchange, or keys are missing; names the variable.
    RuntimeUnavailable : the simulated exchange does not start.
    """
    account_folder(config.paths.home, account)
    if account == PAPER:
        return await _paper(config, clock, config_path, for_kill=for_kill)
    return _live(config, clock, os.environ if environment is None else environment, for_kill)


def was_ever_used(account: str, config: Config) -> bool:
    """Return whether an account can have orders at all: there is an exchange to ask.

    A paper account whose simulated exchange never ran has none, and it need not be started to know
    that.
    """
    if account == LIVE:
        return bool(config.trading.live_exchange)
    return exchange_folder(config.paths.home).exists()


def quote_asset(config: Config) -> str:
    """Return the currency that accounts are valued in: that of the configured symbols."""
    return config.market.symbols[0].partition("/")[2].partition(":")[0]


def live_exchange_name(config: Config) -> str:
    """Return the live account's exchange as the rest of Paddock spells it.

    Raises
    ------
    ConfigError : there is none.
    """
    name = config.trading.live_exchange
    if not name:
        raise ConfigError(
            "there is no live account: name a ccxt exchange under [trading] live_exchange"
        )
    suffix = PERP_SUFFIX if config.trading.live_type == "perp" else ""
    return name.removesuffix(PERP_SUFFIX) + suffix


async def _paper(
    config: Config, clock: Clock, config_path: Path | None, *, for_kill: bool
) -> CcxtExchange:
    home = config.paths.home
    endpoint = await asyncio.to_thread(ensure_running, config, config_path)
    keys = Keys(endpoint.api_key, endpoint.secret)

    def find_api_url() -> str:
        # Started again, it answers on another port.
        found = read_endpoint(home)
        return "" if found is None else found.url

    client = trading_client(
        endpoint.exchange_name,
        keys,
        clock,
        api_url=endpoint.url,
        timeout_s=config.orders.timeout_s,
        is_paced=not for_kill,
        find_api_url=find_api_url,
    )
    name = endpoint.exchange_name
    pushes = None if for_kill else _pushes(name, clock, keys, config, find_api_url)
    return _exchange(PAPER, name, client, clock, keys, config, pushes, for_kill=for_kill)


def _live(
    config: Config, clock: Clock, environment: Mapping[str, str], for_kill: bool
) -> CcxtExchange:
    name = live_exchange_name(config)
    keys = live_keys(environment, for_kill=for_kill)
    client = trading_client(
        name,
        keys,
        clock,
        api_url=config.trading.live_api_url or None,
        timeout_s=config.orders.timeout_s,
        is_paced=not for_kill,
    )
    pushes = None
    if not for_kill:
        pushes = _pushes(name, clock, keys, config, lambda: config.trading.live_api_url)
    return _exchange(LIVE, name, client, clock, keys, config, pushes, for_kill=for_kill)


def _pushes(
    name: str, clock: Clock, keys: Keys, config: Config, find_api_url: Callable[[], str]
) -> OrderPushes | None:
    if not config.orders.listens or not can_watch_orders(name):
        return None
    timeout_s = config.orders.timeout_s

    def make_client() -> Any:
        return watching_client(
            name, keys, clock, api_url=find_api_url() or None, timeout_s=timeout_s
        )

    return OrderPushes(name.removesuffix(PERP_SUFFIX), make_client, Redactor(keys))


def _exchange(
    account: str,
    name: str,
    client: object,
    clock: Clock,
    keys: Keys,
    config: Config,
    pushes: OrderPushes | None,
    *,
    for_kill: bool,
) -> CcxtExchange:
    return CcxtExchange(
        account,
        name,
        client,
        clock,
        Redactor(keys),
        quote_asset=quote_asset(config),
        symbols=config.market.symbols,
        asks_all=for_kill,
        pushes=pushes,
    )
