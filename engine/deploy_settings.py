"""The settings of deployed Workers: what they may use, how they are rolled out, what ends them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.setting import Count, Frac, PositiveFloat, PositiveFrac, Section, setting


class Deploy(Section):
    """Deployed Workers: what they may use, how they are rolled out, what rolls them back."""

    allocation_frac: PositiveFrac = setting(
        0.02, "fraction of equity", "Capital of a deployment that names none."
    )
    allocation_total_frac: PositiveFrac = setting(
        0.10, "fraction of equity", "Most capital of all deployments of an account together."
    )
    position_frac: PositiveFrac = setting(
        0.05, "fraction of equity", "Largest notional of a deployment's position."
    )
    stop_frac: PositiveFrac = setting(
        0.02, "fraction of its capital", "Loss of a version that rolls it back."
    )
    step_s: PositiveFloat = setting(
        300.0, "s", "Least time at each step of a rollout: 5, 25, 50 and 100 % of the capital."
    )
    step_decisions: Count = setting(
        3, "decisions", "Least decisions equal to the engine's at each step of a rollout."
    )
    error_rate_max: Frac = setting(
        0.05, "fraction of requests", "Share of failed requests in five minutes that rolls back."
    )
    latency_max_ms: PositiveFloat = setting(
        250.0, "ms", "Latency of the slowest hundredth in five minutes that rolls back."
    )
    silence_s: PositiveFloat = setting(
        15.0, "s", "A Worker that has not answered for so long is an alert."
    )
    signal_timeout_ms: Count = setting(
        500, "ms", "Longest wait for a decision; none comes later, and nothing is entered."
    )
    parity_bars: Annotated[int, Field(ge=50, le=5000)] = setting(
        400, "bars", "Recent bars on which a Worker must decide as the engine before it is used."
    )
    services_per_process: Annotated[int, Field(ge=1, le=10)] = setting(
        5, "versions", "Most versions that one workerd process serves."
    )
