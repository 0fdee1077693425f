from __future__ import annotations

from pathlib import Path

import pytest

from actors.cycle_plan import (
    plan_cycle,
    plan_of,
    wave_seed,
)
from engine.backtest.configured import backtest_settings, costs_hash
from engine.errors import ConfigError, PaddockError, UsageError
from engine.market.configured import market_request
from engine.settings import Config

BASE = Config()


def test_without_arguments_a_cycle_is_what_the_configuration_says() -> None:
    plan = plan_cycle(BASE, {}, runtime_workers=4)
    assert (plan.seed, plan.count, plan.workers) == (7, 500, 4)
    assert (plan.is_endless, plan.wave, plan.state) == (False, 0, None)
    assert plan.config == BASE


def test_arguments_win_over_the_configuration() -> None:
    given = {
        "seed": 3,
        "count": 12,
        "symbols": "ETH/USDT,BTC/USDT",
        "timeframe": "1h",
        "days": 20,
        "market": "/bars",
        "exchange": "binance",
        "workers": 1,
        "state": None,
    }
    plan = plan_cycle(BASE, given, runtime_workers=2)
    request = market_request(plan.config)
    assert (plan.seed, plan.count, plan.workers) == (3, 12, 1)
    assert request.source == "store"
    assert request.store == Path("/bars")
    assert request.symbols == ("ETH/USDT", "BTC/USDT")
    assert (request.timeframe, request.days, request.exchange) == ("1h", 20, "binance")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": 0}, "count = 0"),
        ({"count": "many"}, "count"),
        ({"days": -1}, "days = -1"),
        ({"seed": -5}, "seed = -5"),
        ({"timeframe": "7m"}, "not a timeframe"),
        ({"symbols": "BTC"}, "BASE/QUOTE"),
        ({"symbols": 5}, "not a list"),
        ({"workers": 3}, "the runtime has 2"),
        ({"workers": -1}, "workers = -1"),
        ({"workers": True}, "workers = True"),
        ({"state": 5}, "state 5"),
        ({"tempo": 5}, "no argument 'tempo'"),
    ],
)
def test_a_bad_argument_is_refused_in_one_line(given: dict[str, object], words: str) -> None:
    with pytest.raises(PaddockError, match=words) as caught:
        plan_cycle(BASE, given, runtime_workers=2)
    assert isinstance(caught.value, UsageError | ConfigError)
    assert "\n" not in caught.value.message


def test_a_stored_plan_comes_back_whole_under_another_configuration() -> None:
    plan = plan_cycle(BASE, {"days": 33, "symbols": ["BTC/USDT"], "market": "/bars"}, 2)
    stored = plan.settings("ticket")
    other = Config.model_validate({"market": {"days": 5}, "screen": {"sharpe_min": 2.0}})
    back = plan_of(other, stored, seed=plan.seed, count=plan.count, wave=plan.wave)
    assert back.config.market == plan.config.market
    assert back.config.screen == plan.config.screen
    assert back.config_hash == plan.config_hash
    assert market_request(back.config) == market_request(plan.config)


def test_an_endless_run_has_its_own_size_and_a_seed_for_each_wave() -> None:
    plan = plan_cycle(BASE, {"count": "infinite", "seed": 9}, 2)
    following = plan.next_wave()
    assert plan.is_endless
    assert (plan.count, plan.wave, plan.series_seed) == (BASE.cycle.wave_size, 1, 9)
    assert (following.wave, following.series_seed, following.state) == (2, 9, None)
    assert plan.seed == wave_seed(9, 1)
    assert following.seed == wave_seed(9, 2)


def test_wave_seeds_differ_and_fit_the_store() -> None:
    seeds = {wave_seed(series, wave) for series in range(50) for wave in range(1, 200)}
    assert len(seeds) == 50 * 199
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_whatever_changes_a_result_changes_the_costs_hash() -> None:
    settings = backtest_settings(BASE)
    hashes = {costs_hash(settings, "spot"), costs_hash(settings, "perp")}
    changes: list[dict[str, float | int]] = [
        {"commission_frac": 0.002},
        {"slippage_frac": 0.001},
        {"initial_capital_quote": 5.0},
        {"min_trades_fitness": 3},
        {"drawdown_weight": 1.0},
    ]
    for change in changes:
        other = Config.model_validate({"backtest": change})
        hashes.add(costs_hash(backtest_settings(other), "spot"))
    assert len(hashes) == 7
