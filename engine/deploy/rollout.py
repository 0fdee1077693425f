"""What becomes of a version that is being rolled out: decided from facts alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from engine.deploy_settings import Deploy

STEPS_FRAC = (0.05, 0.25, 0.50, 1.0)
"""Shares of the capital, in order."""

LEAST_REQUESTS = 20
"""Requests under which one failure alone would be over any share worth acting on."""

LEAST_FAILURES = 3
"""Failures that count however few the requests."""

LEAST_LATENCIES = 5
"""Answers under which the slowest says nothing of the rest."""

SILENT_ROLLBACK_S = 300.0
"""Silence after which a version is given up."""


class Verb(StrEnum):
    """What to do with a version."""

    WAIT = "wait"
    ADVANCE = "advance"
    FINISH = "finish"
    ROLL_BACK = "roll back"


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """How a version does.

    Attributes
    ----------
    is_rolling : on its way to all of the capital; a live one is only watched
    share_frac : of the capital that it has now
    step_age_s : since it has that share
    n_requests, n_failed : of five minutes, failed ones included; one that reached nobody is no
        request but silence
    silent_s : since it answered last
    n_latencies, latency_ms : answers of five minutes, and the slowest hundredth of them; nan
        without any
    n_compared_step : decisions since it has its share that the engine made as well
    n_differing : decisions that are not the engine's, ever
    difference : the first of them, in words
    pnl_quote : gain of its positions, open ones included
    capital_quote : of the deployment, whatever its share; 0 when not known
    """

    is_rolling: bool
    share_frac: float
    step_age_s: float
    n_requests: int = 0
    n_failed: int = 0
    silent_s: float = 0.0
    n_latencies: int = 0
    latency_ms: float = math.nan
    n_compared_step: int = 0
    n_differing: int = 0
    difference: str = ""
    pnl_quote: float = 0.0
    capital_quote: float = 0.0


@dataclass(frozen=True, slots=True)
class Action:
    """What to do, and why.

    Attributes
    ----------
    share_frac : to have from now on
    rule : that decided, such as errors; empty when nothing is to be done
    numbers : measured values and limits behind `reason`
    """

    verb: Verb
    share_frac: float
    reason: str
    rule: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


def judge(facts: VersionFacts, settings: Deploy, stop_frac: float) -> Action:
    """Return what to do with a version: the first rule that is broken rolls it back.

    Parameters
    ----------
    stop_frac : loss that rolls it back, fraction of its capital
    """
    for broken in (
        _loss(facts, stop_frac),
        _divergence(facts),
        _errors(facts, settings),
        _latency(facts, settings),
        _silence(facts),
    ):
        if broken is not None:
            return broken
    if not facts.is_rolling:
        return Action(Verb.WAIT, facts.share_frac, "it is live and does well")
    return _onwards(facts, settings)


def next_share_frac(share_frac: float) -> float | None:
    """Return the share after this one, None when it is all."""
    return next((step for step in STEPS_FRAC if step > share_frac), None)


def _onwards(facts: VersionFacts, settings: Deploy) -> Action:
    share = facts.share_frac
    missing = []
    if facts.step_age_s < settings.step_s:
        missing.append(f"{settings.step_s - facts.step_age_s:,.0f} s")
    if facts.n_compared_step < settings.step_decisions:
        missing.append(f"{settings.step_decisions - facts.n_compared_step} decisions")
    if facts.silent_s >= settings.silence_s:
        missing.append("an answer")
    if missing:
        return Action(Verb.WAIT, share, f"at {share:.0%}: waits for {' and '.join(missing)}")
    numbers = {"step_age_s": facts.step_age_s, "n_compared_step": float(facts.n_compared_step)}
    words = f"{facts.n_compared_step} decisions in {facts.step_age_s:,.0f} s were the engine's"
    following = next_share_frac(share)
    if following is None:
        return Action(Verb.FINISH, share, f"all of the capital: {words}", "steps", numbers)
    return Action(
        Verb.ADVANCE, following, f"{share:.0%} to {following:.0%}: {words}", "steps", numbers
    )


def _loss(facts: VersionFacts, stop_frac: float) -> Action | None:
    limit_quote = stop_frac * facts.capital_quote
    if facts.capital_quote <= 0.0 or -facts.pnl_quote < limit_quote:
        return None
    reason = (
        f"its positions lost {-facts.pnl_quote:,.2f} of a capital of {facts.capital_quote:,.2f}, "
        f"at or over {stop_frac:.1%}"
    )
    return _back("loss", reason, pnl_quote=facts.pnl_quote, limit_quote=-limit_quote)


def _divergence(facts: VersionFacts) -> Action | None:
    if not facts.n_differing:
        return None
    reason = f"{facts.n_differing} of its decisions differ from the engine's: {facts.difference}"
    return _back("divergence", reason, n_differing=float(facts.n_differing), limit=0.0)


def _errors(facts: VersionFacts, settings: Deploy) -> Action | None:
    if facts.n_requests <= 0:
        return None
    share = facts.n_failed / facts.n_requests
    is_enough = facts.n_requests >= LEAST_REQUESTS or facts.n_failed >= LEAST_FAILURES
    if not is_enough or share <= settings.error_rate_max:
        return None
    reason = (
        f"{facts.n_failed} of {facts.n_requests} requests failed in five minutes: {share:.1%}, "
        f"over {settings.error_rate_max:.1%}"
    )
    return _back("errors", reason, error_frac=share, limit=settings.error_rate_max)


def _latency(facts: VersionFacts, settings: Deploy) -> Action | None:
    if facts.n_latencies < LEAST_LATENCIES or not facts.latency_ms > settings.latency_max_ms:
        return None
    reason = (
        f"the slowest hundredth of {facts.n_latencies} answers took {facts.latency_ms:,.0f} ms, "
        f"over {settings.latency_max_ms:,.0f} ms"
    )
    return _back("latency", reason, latency_ms=facts.latency_ms, limit=settings.latency_max_ms)


def _silence(facts: VersionFacts) -> Action | None:
    if facts.silent_s < SILENT_ROLLBACK_S:
        return None
    reason = f"it has not answered for {facts.silent_s:,.0f} s"
    return _back("silence", reason, silent_s=facts.silent_s, limit=SILENT_ROLLBACK_S)


def _back(rule: str, reason: str, **numbers: float) -> Action:
    return Action(Verb.ROLL_BACK, 0.0, reason, rule, numbers)
