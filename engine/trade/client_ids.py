"""Which exchanges know an order by our own id, read off the sources of ccxt 4.5.90.

Elsewhere an order is found by the exchange's number, or by looking through open and ended ones.
Where our id cannot be given along at all, a lost answer could never be resolved: Paddock does not
trade there. A test reads ccxt's sources again, so that another version cannot make this lie.
"""

from __future__ import annotations

from engine.errors import ConfigError
from engine.market.ccxt_client import PERP_SUFFIX

FINDS_BY_CLIENT_ID = frozenset(
    """
    apex aster binance binancecoinm binanceus binanceusdm bitget bitrue bitstamp bitvavo
    coinbaseexchange coinsph delta extended grvt htx hyperliquid kucoin kucoinfutures mexc modetrade
    myokx okx okxus paradex phemex weex woo woofipro
    """.split()
)
"""fetchOrder takes `clientOrderId`."""

TAKES_NO_CLIENT_ID = frozenset(
    """
    bit2c bitbank bitbns bitflyer bitopro bitso bitteam btcbox coincheck coinmate coinone coinspot
    deribit digifinex hibachi hollaex independentreserve indodax luno mercado mudrex nado p2b
    paymium zaif
    """.split()
)
"""createOrder has no place for it."""


_TAKES_NUMBERS_ONLY = frozenset({"htx-perp"})


def check_takes_client_ids(exchange_name: str) -> None:
    """Refuse an exchange on which a lost answer could not be resolved.

    Raises
    ------
    ConfigError : it takes no ids of ours.
    """
    venue = exchange_name.removesuffix(PERP_SUFFIX)
    if venue in TAKES_NO_CLIENT_ID or exchange_name in _TAKES_NUMBERS_ONLY:
        raise ConfigError(
            f"[trading] live_exchange {exchange_name} takes no order ids of ours, so that an order "
            "whose answer is lost could never be found again: use another exchange",
            exchange=venue,
        )
