"""Keys come from the environment and into no text; a missing one is named."""

from __future__ import annotations

import traceback
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clock import SystemClock
from engine.config import load_config
from engine.errors import ConfigError, UsageError
from engine.trade.client_ids import FINDS_BY_CLIENT_ID, TAKES_NO_CLIENT_ID
from engine.trade.keys import Keys, Redactor, live_keys
from engine.trade.venues import open_exchange

BOTH = {"PADDOCK_LIVE_API_KEY": "live-key-1", "PADDOCK_LIVE_API_SECRET": " live-secret-1\n"}
KILL = {"PADDOCK_LIVE_KILL_API_KEY": "kill-key-1", "PADDOCK_LIVE_KILL_API_SECRET": "kill-secret-1"}
TEXT = st.text(st.characters(codec="ascii", exclude_characters="\n"), min_size=4, max_size=40)


def test_keys_are_read_and_never_shown() -> None:
    keys = live_keys(BOTH)
    assert (keys.api_key, keys.secret, keys.password) == ("live-key-1", "live-secret-1", "")
    assert "live" not in repr(keys) + str(keys) + f"{keys}"


@pytest.mark.parametrize("missing", [*BOTH, None])
def test_a_missing_key_is_named(missing: str | None) -> None:
    left = {name: text for name, text in BOTH.items() if missing not in (None, name)}
    with pytest.raises(ConfigError, match=missing or "PADDOCK_LIVE_API_KEY") as caught:
        live_keys(left)
    assert "live-" not in caught.value.message


def test_the_kill_switch_has_keys_of_its_own_when_it_is_given_some() -> None:
    assert live_keys(BOTH, for_kill=True).api_key == "live-key-1"
    assert live_keys(BOTH | KILL, for_kill=True).secret == "kill-secret-1"
    assert live_keys(BOTH | KILL).api_key == "live-key-1"
    half = {name: text for name, text in KILL.items() if name.endswith("_KEY")}
    with pytest.raises(ConfigError, match="PADDOCK_LIVE_KILL_API_SECRET"):
        live_keys(BOTH | half, for_kill=True)


@given(key=TEXT, secret=TEXT)
def test_no_spelling_of_a_key_survives(key: str, secret: str) -> None:
    redacted = Redactor(Keys(key, secret))
    text = f"<<{secret}>> {key} https://x/y?a={quote_plus(key)}&signature=77 [{quote_plus(secret)}]"
    shown = redacted(text).replace("(hidden)", "")
    for shown_text in (key, secret, quote_plus(key), quote_plus(secret)):
        frame = "<<>>  https://x/y? []"
        assert shown_text not in shown or shown_text in frame


def test_signatures_and_queries_go_from_texts_of_others() -> None:
    redacted = Redactor(Keys("", ""))
    text = "binance GET https://h/api/v3/order?timestamp=1&signature=ab12 failed"
    assert redacted(text) == "binance GET https://h/api/v3/order?(hidden) failed"
    assert redacted("X-MBX-APIKEY: abcd, sign=ff") == "X-MBX-APIKEY: (hidden), sign=(hidden)"
    assert redacted('{"code":-2014,"msg":"API-key format invalid."}').endswith('invalid."}')


def test_what_an_error_was_raised_from_is_cleansed_too() -> None:
    redacted = Redactor(Keys("key-aaaa", "secret-bbbb"))
    try:
        try:
            raise ValueError("sent secret-bbbb")
        except ValueError as exc:
            raise RuntimeError("with key-aaaa", 7) from exc
    except RuntimeError as exc:
        redacted.cleanse(exc)
        shown = "".join(traceback.format_exception(exc))
    assert "key-aaaa" not in shown.replace('"with key-aaaa"', "")
    assert shown.count("(hidden)") == 2


async def test_live_account_without_exchange_or_keys_says_what_to_set() -> None:
    config = load_config(None, {})
    with pytest.raises(ConfigError, match="live_exchange"):
        await open_exchange("live", config, SystemClock(), environment=BOTH)
    named = load_config(None, {"PADDOCK_TRADING__LIVE_EXCHANGE": "okx"})
    with pytest.raises(ConfigError, match="PADDOCK_LIVE_API_KEY"):
        await open_exchange("live", named, SystemClock(), environment={})
    with pytest.raises(ConfigError, match="PADDOCK_LIVE_API_PASSWORD"):
        await open_exchange("live", named, SystemClock(), environment=BOTH)
    wrong = load_config(None, {"PADDOCK_TRADING__LIVE_EXCHANGE": "binanc"})
    with pytest.raises(UsageError, match="did you mean binance"):
        await open_exchange("live", wrong, SystemClock(), environment=BOTH)
    with pytest.raises(UsageError, match="no account 'other'"):
        await open_exchange("other", config, SystemClock())


@pytest.mark.parametrize(("kind", "suffix"), [("spot", ""), ("perp", "-perp")])
async def test_live_account_is_the_same_adapter(kind: str, suffix: str) -> None:
    settings = {"PADDOCK_TRADING__LIVE_EXCHANGE": "bybit", "PADDOCK_TRADING__LIVE_TYPE": kind}
    config = load_config(None, settings)
    exchange = await open_exchange("live", config, SystemClock(), environment=BOTH)
    try:
        assert repr(exchange) == f"CcxtExchange('live', 'bybit{suffix}')"
        assert exchange.page == "https://www.bybit.com"
        assert exchange.capabilities.dead_man
        assert exchange.capabilities.rests_both == (kind == "perp")
    finally:
        await exchange.close()


async def test_exchanges_without_our_order_ids_are_refused() -> None:
    settings = {"PADDOCK_TRADING__LIVE_EXCHANGE": "deribit", "PADDOCK_TRADING__LIVE_TYPE": "perp"}
    config = load_config(None, settings)
    with pytest.raises(ConfigError, match="takes no order ids of ours"):
        await open_exchange("live", config, SystemClock(), environment=BOTH)


def test_the_tables_of_ids_are_what_ccxt_does() -> None:
    import inspect
    import re

    import ccxt
    import ccxt.async_support as clients

    reads = re.compile(r"safe_\w+\(\w+, (?:'\w+', |\[[^]]*)?'clientOrderId'|'clientOrderId', '")
    for name in sorted(FINDS_BY_CLIENT_ID | TAKES_NO_CLIENT_ID):
        assert name in ccxt.exchanges
        kind = getattr(clients, name)
        if name in FINDS_BY_CLIENT_ID:
            assert reads.search(inspect.getsource(kind.fetch_order)), name
        else:
            text = inspect.getsource(kind.create_order)
            lines = [line for line in text.splitlines() if not line.strip().startswith((":", "#"))]
            assert "lientOrderId" not in "\n".join(lines), name
