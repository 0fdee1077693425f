"""The settings of deployed Workers: what they may use, how they are rolled out, what ends them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from engine.setting import Count, Frac, PositiveFloat, PositiveFrac, Section, setting

_ACCOUNT = re.compile(r"[0-9A-Za-z_-]{0,64}")
# A token goes along: in the clear only to this machine.
_GUARDED = re.compile(r"https://[^\s/#]+.*|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/.*)?")


class Deploy(Section):
    """Deployed Workers: what they may use, how they are rolled out, what rolls them back."""

    target: Literal["workerd", "cloudflare"] = setting(
        "workerd", "", "Where a version runs that names no target: this machine, or Cloudflare."
    )
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


class Cloudflare(Section):
    """Cloudflare, where it is the target; its API's token comes from the environment."""

    account: str = setting("", "", "Id of the account that Workers are deployed to.")
    api_url: str = setting(
        "https://api.cloudflare.com/client/v4", "URL", "Where Cloudflare's API is asked."
    )
    worker_url: str = setting(
        "", "URL", "Where Workers are asked, with {script}; empty = under workers.dev."
    )
    cron: str = setting(
        "", "cron", "When a Worker is woken and checks itself, such as */5 * * * *; empty = never."
    )
    timeout_s: PositiveFloat = setting(
        15.0, "s", "Longest wait for one answer of Cloudflare's API."
    )

    @field_validator("account")
    @classmethod
    def _is_plain(cls, account: str) -> str:
        if not _ACCOUNT.fullmatch(account):
            raise ValueError("an account's id has letters and digits only")
        return account

    @field_validator("api_url", "worker_url")
    @classmethod
    def _is_guarded(cls, url: str) -> str:
        if url and not _GUARDED.fullmatch(url):
            raise ValueError(f"{url!r} is not https, nor http on this machine")
        return url

    @field_validator("api_url")
    @classmethod
    def _is_somewhere(cls, url: str) -> str:
        if not url:
            raise ValueError("it is empty: name where the API is")
        return url

    @field_validator("worker_url")
    @classmethod
    def _names_the_script(cls, url: str) -> str:
        rest = url.replace("{script}", "")
        if url and ("{script}" not in url or "{" in rest or "}" in rest or "#" in rest):
            raise ValueError(f"{url!r} has to say where {{script}} stands, once and nothing else")
        return url

    @field_validator("cron")
    @classmethod
    def _has_five_parts(cls, cron: str) -> str:
        if cron and len(cron.split()) != 5:
            raise ValueError(f"{cron!r} has not five parts: minute hour day month weekday")
        return cron
