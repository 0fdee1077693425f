"""The settings of the money path: limits, pools, accounts, orders, simulated exchange, alerts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from engine.errors import UsageError
from engine.risk.groups import Groups
from engine.setting import (
    Count,
    CountOrZero,
    Frac,
    PositiveFloat,
    PositiveFrac,
    Section,
    clash,
    setting,
)


class Limits(Section):
    """What the risk officer never lets pass."""

    risk_per_trade_frac: PositiveFrac = setting(
        0.02, "fraction of equity", "Equity lost at the stop; larger is sized down."
    )
    position_frac: PositiveFrac = setting(
        0.10, "fraction of equity", "Largest notional of one symbol."
    )
    strategy_frac: PositiveFrac = setting(
        0.05, "fraction of equity", "Largest notional of one strategy."
    )
    group_frac: PositiveFrac = setting(0.30, "fraction of equity", "Largest notional of a group.")
    groups: Annotated[tuple[str, ...], Field(strict=False)] = setting(
        (), "NAME=BASE,BASE", "Base currencies that count as one group; others are each their own."
    )
    leverage_max: Annotated[float, Field(ge=1.0)] = setting(
        3.0, "notional / equity", "Highest leverage."
    )
    correlation_max: Frac = setting(
        0.70, "correlation", "Highest pairwise correlation of open positions."
    )
    value_at_risk_frac: PositiveFrac = setting(
        0.02, "fraction of equity", "Value at risk of one day above which increases are refused."
    )
    value_at_risk_confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = setting(
        0.95, "probability", "Confidence of the value at risk."
    )
    position_loss_frac: PositiveFrac = setting(
        0.05, "fraction of notional", "Loss at which a position is closed at market."
    )
    position_age_warn_s: Count = setting(3600, "s", "Age at which a position is warned about.")
    position_age_close_s: Count = setting(
        7200, "s", "Age at which a position is closed, if its strategy declares a shorter one."
    )
    daily_loss_frac: PositiveFrac = setting(
        0.05, "fraction of equity", "Loss of a day that allows reducing only."
    )
    weekly_loss_frac: PositiveFrac = setting(
        0.15, "fraction of equity", "Loss of a week that pauses trading."
    )
    monthly_loss_frac: PositiveFrac = setting(
        0.15, "fraction of equity", "Loss of a month that pauses trading."
    )
    drawdown_reduce_frac: PositiveFrac = setting(
        0.10, "fraction of peak", "Account drawdown that allows reducing only."
    )
    drawdown_stop_frac: PositiveFrac = setting(
        0.15, "fraction of peak", "Account drawdown that stops strategies."
    )
    drawdown_flatten_frac: PositiveFrac = setting(
        0.20, "fraction of peak", "Account drawdown that flattens everything."
    )

    @field_validator("groups")
    @classmethod
    def _groups_are_readable(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        try:
            Groups.of(entries)
        except UsageError as exc:
            raise ValueError(exc.message) from exc
        return entries

    @model_validator(mode="after")
    def _steps_in_order(self) -> Self:
        if self.position_age_warn_s > self.position_age_close_s:
            raise clash("position_age_warn_s", "a position is warned about after it is closed")
        reduce, stop = self.drawdown_reduce_frac, self.drawdown_stop_frac
        if not reduce <= stop <= self.drawdown_flatten_frac:
            raise clash("drawdown_reduce_frac", "drawdown steps must rise: reduce, stop, flatten")
        return self


class Pools(Section):
    """How many strategies may trade: limits, not targets."""

    paper_max: CountOrZero = setting(100, "strategies", "Most strategies on paper.")
    live_max: CountOrZero = setting(10, "strategies", "Most strategies live.")


class Trading(Section):
    """Accounts, and what promoted strategies may use of them."""

    enabled: bool = setting(
        True, "true or false", "Trade strategies on paper while the runtime runs."
    )
    live_exchange: str = setting(
        "", "", "ccxt exchange of the live account; empty = no such account."
    )
    live_type: Literal["spot", "perp"] = setting("spot", "", "Market of the live account.")
    live_api_url: str = setting(
        "",
        "scheme://host:port",
        "Replaces the exchange's address, such as a test network's; empty = its own.",
    )
    allocation_frac: PositiveFrac = setting(
        0.01, "fraction of equity", "Capital of each strategy on each symbol."
    )
    history_bars: Annotated[int, Field(ge=100)] = setting(
        5000, "bars", "Closed bars that decisions are computed from."
    )
    stale_data_s: PositiveFloat = setting(
        60.0, "s", "Delay of a closed bar after which no entry is made on its symbol."
    )


class Orders(Section):
    """How long orders may live, and how often they are asked for."""

    entry_timeout_s: PositiveFloat = setting(30.0, "s", "Age at which an entry is cancelled.")
    entry_move_frac: PositiveFrac = setting(
        0.002, "fraction of price", "Move of the market since submission that cancels an entry."
    )
    linger_s: PositiveFloat = setting(60.0, "s", "No order that adds exposure lives longer.")
    poll_ms: Count = setting(250, "ms", "Time between two looks at open orders.")
    listens: bool = setting(
        True, "true or false", "Also listen to the exchange's websockets, where it has them."
    )
    lease_s: PositiveFloat = setting(
        30.0, "s", "A gateway whose lease was not renewed for so long sends nothing."
    )
    rate_per_minute: Count = setting(
        60, "orders a minute", "More that add exposure in one account halt it."
    )
    timeout_s: PositiveFloat = setting(10.0, "s", "Longest wait for an exchange's answer.")
    dead_man_s: PositiveFloat = setting(
        60.0,
        "s",
        "Exchanges with a timer cancel all orders when not told for so long that we live.",
    )

    @model_validator(mode="after")
    def _entries_end_first(self) -> Self:
        if self.entry_timeout_s > self.linger_s:
            raise clash("entry_timeout_s", "an entry would linger longer than linger_s allows")
        return self


class Simulated(Section):
    """The simulated exchange, on which paper accounts trade."""

    balance_quote: PositiveFloat = setting(
        100_000.0, "quote currency", "Balance of a new paper account."
    )
    speed: PositiveFloat = setting(
        60.0, "simulated s / s", "Pace of generated and replayed bars; live prices have their own."
    )
    latency_ms: CountOrZero = setting(20, "ms", "Time between a request and its effect.")
    partial_fill_chance: Frac = setting(
        0.0, "probability", "Chance that a limit order is filled in parts."
    )
    fault_seed: CountOrZero = setting(1, "number", "Seed of the planned faults.")
    fault_chance: Frac = setting(
        0.0, "probability", "Chance that a message is dropped, delayed, doubled or refused."
    )
    commission_in: Literal["quote", "received"] = setting(
        "quote", "", "Currency of the commission: always quote, or what the fill brought."
    )
    port: CountOrZero = setting(0, "port", "Loopback port of its REST face; 0 = a free one.")


class Alerts(Section):
    """What is told to people who are not looking; addresses come from PADDOCK_ALERT_URLS."""

    enabled: bool = setting(True, "true or false", "Send alerts to PADDOCK_ALERT_URLS.")
    repeat_s: PositiveFloat = setting(3600.0, "s", "Least time between two alerts of one cause.")
    silence_s: PositiveFloat = setting(
        60.0, "s", "A part that has not been heard of for so long is an alert."
    )
    sharpe_min: float = setting(1.0, "annual Sharpe", "A strategy's Sharpe ratio below it warns.")
    drawdown_max: Frac = setting(0.10, "fraction of peak", "A strategy's drawdown above it warns.")
    win_rate_min: Frac = setting(
        0.50, "fraction of trades", "A strategy's win rate below it warns."
    )
    hour_loss_frac: PositiveFrac = setting(
        0.10, "fraction of capital", "A strategy's loss of one hour that pauses it."
    )
    drawdown_stop_frac: PositiveFrac = setting(
        0.15, "fraction of peak", "A strategy's drawdown that stops it."
    )
    error_rate_max: Frac = setting(
        0.05, "fraction of requests", "Share of failed requests in five minutes that is an alert."
    )
    heartbeat_s: PositiveFloat = setting(
        60.0, "s", "Time between two calls of PADDOCK_HEARTBEAT_URL, for a watcher outside."
    )
