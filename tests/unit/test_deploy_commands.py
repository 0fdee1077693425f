from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.deploy_commands import asked_share_frac, asked_target, new_version, pass_on
from engine.deploy_settings import Deploy
from engine.errors import UsageError
from engine.store.commands import CommandRow
from engine.store.deployments import DeploymentRow
from engine.store.strategies import StrategyRow

SETTINGS = Deploy()
STRATEGY = StrategyRow(
    id="a" * 32,
    type="momentum",
    origin="user",
    name="",
    timeframe="5m",
    direction="long",
    generation=0,
    parent_a=None,
    parent_b=None,
    cycle_id=1,
    created_at=1,
    status="paper",
    fitness=1.0,
    best_symbol="BTC/USDT",
    sharpe=1.0,
    max_drawdown=0.1,
    n_trades=10.0,
    total_return=0.1,
    win_rate=0.5,
    profit_factor=1.5,
    earliest_read_at=None,
)


def asked(
    rows: list[DeploymentRow] | None = None, strategy: StrategyRow = STRATEGY, **arguments: Any
) -> DeploymentRow:
    return new_version(strategy, rows or [], arguments, SETTINGS, who="me", ticket="t", now_at=5)


def test_a_version_gets_what_was_asked_for_or_the_settings() -> None:
    row = asked()
    assert (row.version, row.account, row.state, row.share_frac) == (1, "paper", "checking", 0.0)
    assert (row.allocation_frac, row.position_frac, row.stop_frac) == (0.02, 0.05, 0.02)
    row = asked([replace(row, state="ended")], allocation=0.1, position=0.01, stop=0.005)
    assert row.version == 2
    assert (row.allocation_frac, row.position_frac, row.stop_frac) == (0.1, 0.01, 0.005)
    assert asked(strategy=replace(STRATEGY, status="live")).account == "live"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": "moon"}, "target 'moon'"),
        ({"allocation": 0.11}, "over 10.0%"),
        ({"allocation": float("nan")}, "allocation"),
        ({"allocation": True}, "allocation"),
        ({"position": 0.06}, "at most 0.05"),
        ({"stop": 0}, "stop 0"),
        ({"stop": "2%"}, "stop '2%'"),
    ],
)
def test_what_cannot_be_is_refused_and_says_what_can(arguments: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        asked(**arguments)


def test_the_target_is_the_one_asked_for_or_that_of_the_settings() -> None:
    assert asked().target == "workerd"
    assert asked(target="cloudflare").target == "cloudflare"
    assert asked_target({}, Deploy(target="cloudflare")) == "cloudflare"
    assert asked_target({"target": "workerd"}, Deploy(target="cloudflare")) == "workerd"


def test_cloudflare_serves_two_versions_of_a_strategy_and_no_third() -> None:
    one = replace(asked(target="cloudflare"), state="draining")
    assert asked([one], target="cloudflare").version == 2
    two = replace(one, version=2, state="live")
    with pytest.raises(UsageError, match="version 1 of aaaaaaaaaaaa still holds a position"):
        asked([one, two], target="cloudflare")
    assert asked([one, two], target="workerd").version == 3
    assert asked([replace(one, state="ended"), two], target="cloudflare").version == 3


@pytest.mark.parametrize("status", ["generated", "screened", "paused", "retired"])
def test_only_what_trades_is_deployed(status: str) -> None:
    with pytest.raises(UsageError, match="promote it"):
        asked(strategy=replace(STRATEGY, status=status))


@pytest.mark.parametrize("state", ["checking", "rolling"])
def test_one_version_of_a_strategy_is_brought_out_at_a_time(state: str) -> None:
    with pytest.raises(UsageError, match=state):
        asked([replace(asked(), state=state)])


def test_all_deployments_of_an_account_share_a_tenth_of_it() -> None:
    others = [
        replace(asked(), strategy_id=f"b{i}", state="live", allocation_frac=0.03) for i in range(3)
    ]
    with pytest.raises(UsageError, match="hold 9"):
        asked(others)
    assert asked(others, allocation=0.01).allocation_frac == 0.01
    assert asked([replace(row, state="ended") for row in others]).allocation_frac == 0.02
    assert asked([replace(row, account="live") for row in others]).allocation_frac == 0.02
    mine = replace(asked(), state="live", allocation_frac=0.1)
    assert asked([mine], allocation=0.1).version == 2


@pytest.mark.parametrize("share", [None, 0.3, 25, "0.25", 0.0])
def test_a_share_is_one_of_the_steps(share: Any) -> None:
    assert asked_share_frac({"share": 0.25}) == 0.25
    with pytest.raises(UsageError, match="5, 25, 50, 100"):
        asked_share_frac({"share": share})


async def test_where_nothing_is_traded_nothing_is_deployed() -> None:
    row = CommandRow(1, 1, "me", "deployment.start", {}, "taken", 1, None, None, "")
    with pytest.raises(UsageError, match="trades nothing"):
        await pass_on(None, row)
