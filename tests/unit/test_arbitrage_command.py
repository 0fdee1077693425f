"""`paddock arbitrage`: what it prints, and one clear sentence for every bad wish."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import console.cli
from console.commands.arbitrage import arbitrage
from engine.backtest.pair import PairSettings
from engine.market.store import MarketStore
from engine.types import Bars, FloatArray, SeriesKey

STEP_MS = 300_000
BARS_A_DAY = 288
START_AT = 1_750_032_000_000


def save(
    market: Path, exchange: str, symbol: str, price: FloatArray, start_at: int = START_AT
) -> None:
    bars = Bars(
        timestamp=start_at + np.arange(len(price), dtype=np.int64) * STEP_MS,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=np.ones(len(price)),
    )
    MarketStore(market).write(SeriesKey(exchange, symbol, "5m"), bars)


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return three days of two exchanges: BTC is 1 % dearer on the second for 3 bars, ETH never."""
    config = tmp_path / "config.toml"
    config.write_text('[paths]\nhome = "./var"\n[market]\ndays = 2\n')
    monkeypatch.setenv("PADDOCK_CONFIG", str(config))
    folder = tmp_path / "market"
    flat = np.full(3 * BARS_A_DAY, 100.0)
    dear = flat.copy()
    dear[700:703] = 101.0
    save(folder, "alpha", "BTC/USDT", flat)
    save(folder, "beta", "BTC/USDT", dear)
    save(folder, "alpha", "ETH/USDT", flat)
    save(folder, "beta", "ETH/USDT", flat)
    save(folder, "alpha", "SOL/USDT", flat)
    save(folder, "beta", "XRP/USDT", flat)
    save(folder, "gamma", "BTC/USDT", flat, start_at=START_AT + 30 * BARS_A_DAY * STEP_MS)
    save(folder, "delta", "DOGE/USDT", flat)
    save(folder, "omega-perp", "BTC/USDT", flat)
    return folder


def paddock(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = console.cli.run(["arbitrage", *arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(paddock(capsys, *arguments, "--json"))


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert console.cli.run(["arbitrage", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    return line.removeprefix("paddock: ")


def test_json_says_per_symbol_what_was_seen_traded_earned_and_paid(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = as_json(capsys, "--exchanges", "alpha,beta", "--market", str(market))
    assert said["exchanges"] == ["alpha", "beta"]
    assert [result["symbol"] for result in said["results"]] == ["BTC/USDT", "ETH/USDT"]
    btc, eth = said["results"]
    assert btc["n_bars_compared"] == 2 * BARS_A_DAY
    assert btc["n_bars"] == {"alpha": 2 * BARS_A_DAY, "beta": 2 * BARS_A_DAY}
    assert (btc["n_spreads"], btc["n_trades"]) == (3, 1)
    assert btc["largest_spread_frac"] == pytest.approx(0.01)
    assert (eth["n_spreads"], eth["n_trades"], eth["net_quote"]) == (0, 0, 0.0)
    (trade,) = btc["trades"]
    qty = 2_000 / 101
    assert (trade["bought_on"], trade["sold_on"], trade["reason"]) == ("alpha", "beta", "closed")
    assert trade["legs"]["alpha"]["signed_qty_base"] == pytest.approx(qty)
    assert trade["legs"]["beta"]["signed_qty_base"] == pytest.approx(-qty)
    assert trade["legs"]["beta"]["entry"]["at"] == START_AT + 701 * STEP_MS
    # Bought and sold at 100 on alpha; on beta sold at 101 and bought back at 100.
    alpha, beta = btc["costs_quote"]["alpha"], btc["costs_quote"]["beta"]
    assert alpha["commission_quote"] == pytest.approx(qty * 200 * 0.001)
    assert alpha["slippage_quote"] == pytest.approx(qty * 200 * 0.0005)
    assert beta["slippage_quote"] == pytest.approx(qty * 201 * 0.0005)
    assert btc["before_costs_quote"] == pytest.approx(qty * 1.0)
    paid = sum((*alpha.values(), *beta.values()))
    assert btc["net_quote"] == pytest.approx(btc["before_costs_quote"] - paid)
    assert btc["metrics"]["n_trades"] == 1


def test_table_shows_gross_net_and_the_costs_of_each_exchange(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = paddock(capsys, "--exchanges", "alpha,beta", "--market", str(market))
    header = next(line for line in said.splitlines() if "symbol" in line)
    for word in ("bars", "spreads", "trades", "before costs", "paid alpha", "paid beta", "net"):
        assert word in header
    row = next(line for line in said.splitlines() if line.startswith("  BTC/USDT  "))
    assert row.split() == (
        ["BTC/USDT", "576", "3", "1.00%", "1", "+19.80", "-5.94", "-5.97", "+7.89", "+0.08%"]
    )
    assert "a round trip costs 0.60% of a leg" in said
    assert "BTC/USDT: 2025-06-17 00:00Z to 2025-06-19 00:00Z" in said


def test_options_reach_the_run(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ("--exchanges", "beta,alpha", "--market", str(market), "--symbols", "BTC/USDT")
    said = as_json(
        capsys,
        *common,
        *("--days", "1", "--entry-frac", "0.002", "--exit-frac", "0.001", "--stop-frac", "0"),
        *("--max-bars", "0", "--leg-delay", "1", "--after-costs"),
    )
    chosen = said["settings"]
    assert (chosen["entry_frac"], chosen["exit_frac"], chosen["stop_frac"]) == (0.002, 0.001, None)
    assert (chosen["max_bars"], chosen["leg_delay_bars"]) == (None, 1)
    assert chosen["entry_after_costs"] is True
    (btc,) = said["results"]
    assert btc["n_bars_compared"] == BARS_A_DAY
    (trade,) = btc["trades"]
    assert (trade["bought_on"], trade["sold_on"]) == ("alpha", "beta")
    late = trade["legs"]["alpha"]["entry"]["at"] - trade["legs"]["beta"]["entry"]["at"]
    assert late == STEP_MS
    assert (
        as_json(capsys, *common, "--entry-frac", "0.005", "--after-costs")["results"][0]["trades"]
        == []
    )


def test_defaults_are_those_of_the_engine() -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(arbitrage).parameters.items()
    }
    engine = PairSettings()
    for option, setting in (
        ("entry_frac", "entry_frac"),
        ("after_costs", "entry_after_costs"),
        ("exit_frac", "exit_frac"),
        ("stop_frac", "stop_frac"),
        ("max_bars", "max_bars"),
        ("leg_delay", "leg_delay_bars"),
    ):
        assert defaults[option] == getattr(engine, setting), option


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, ["alpha"], "--exchanges alpha: name two, comma-separated"),
        (2, ["alpha,beta,gamma"], "name two, comma-separated"),
        (2, ["alpha,alpha"], "alpha is named twice, and a spread needs two"),
        (2, ["alpha,omega"], "omega is not in"),
        (2, ["alpha,omega-perp"], "omega-perp is a perpetual market, whose funding"),
        (2, ["alpha,delta"], "share no symbol at 5m (alpha has BTC/USDT ETH/USDT SOL/USDT; delta"),
        (2, ["alpha,beta", "--symbols", "SOL/USDT"], "beta in"),
        (2, ["alpha,beta", "--symbols", "BTC"], "'BTC' is not a symbol"),
        (2, ["alpha,beta", "--symbols", ","], "--symbols is empty"),
        (2, ["alpha,beta", "--entry-frac", "0"], "entry_frac = 0.0: use above 0"),
        (2, ["alpha,beta", "--exit-frac", "0.5"], "exit_frac = 0.5: use from -entry_frac"),
        (2, ["alpha,beta", "--leg-delay", "2"], "leg_delay_bars = 2: use 0 or 1"),
        (2, ["alpha,beta", "--max-bars", "-1"], "max_bars = -1: use 1 or more"),
        (2, ["alpha,beta", "--days", "0"], "--days 0: use a whole number from 1 up"),
        (2, ["alpha,beta", "--timeframe", "7m"], "--timeframe 7m: unknown"),
        (1, ["alpha,gamma"], "alpha and gamma have no 5m bar of BTC/USDT in common"),
        (1, ["alpha,beta", "--days", "9"], "ask for --days 3 or fewer"),
    ],
)
def test_a_bad_wish_is_one_sentence(
    market: Path,
    capsys: pytest.CaptureFixture[str],
    code: int,
    arguments: list[str],
    words: str,
) -> None:
    wish = ["--exchanges", *arguments, "--market", str(market)]
    assert words in refused(capsys, code, *wish)


def test_exchanges_must_be_named(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--exchanges" in refused(capsys, 2, "--market", str(market))


def test_a_missing_market_folder_is_named(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wish = ["--exchanges", "alpha,beta", "--market", str(tmp_path / "nowhere")]
    assert "does not exist: check --market" in refused(capsys, 1, *wish)


def test_real_spreads_lose_after_costs(
    shared_market: Path, market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(shared_market / "spot-5m")
    said = as_json(capsys, "--exchanges", "binance,bybit", "--market", folder, "--days", "120")
    results = {result["symbol"]: result for result in said["results"]}
    assert list(results) == ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
    assert {symbol: r["n_spreads"] for symbol, r in results.items()} == {
        "BTC/USDT": 1,
        "ETH/USDT": 2,
        "SOL/USDT": 0,
    }
    before = sum(result["before_costs_quote"] for result in results.values())
    net = sum(result["net_quote"] for result in results.values())
    assert before == pytest.approx(10.69, abs=0.01)
    assert net == pytest.approx(-25.17, abs=0.01)
