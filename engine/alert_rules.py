"""The rules: from facts to alerts, and nothing else.

A rule is asked at every look and returns the alert for as long as its cause is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.alert import Alert, AlertAction, AlertLevel
from engine.risk.latch import LatchCause, LatchReading, TradingState
from engine.trading_settings import Alerts

LEAST_TRADES = 10
"""Closed trades under which a Sharpe ratio and a win rate say nothing yet."""

LEAST_REQUESTS = 20
"""Requests under which one failure alone would be over any share worth an alert."""

LEAST_FAILURES = 3
"""Failures that are an alert however few the requests."""

OWN_KEYS = (
    "strategy.",
    "errors:",
    "silence:",
    "latch:",
    "breaker.",
    "reconcile:",
    "limit.",
    "journal:",
    "disk:",
    "event.",
    "look:",
)
"""How the keys of these rules begin; alerts under other keys are somebody else's."""

DISK_WARN_BYTES = 512 << 20
DISK_ERROR_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class StrategyFacts:
    """How one strategy does in one account.

    Attributes
    ----------
    is_paused : makes no new entries already; only what stops it is looked at then
    n_trades : closed
    sharpe : annual, nan when undefined
    drawdown_frac : of its capital's peak, as it stands now, in [0, 1]
    win_rate_frac : of closed trades, nan without any
    hour_return_frac : gain of the last hour of the account's clock, open positions included, as a
        fraction of capital
    """

    strategy_id: str
    account: str
    is_paused: bool
    n_trades: int
    sharpe: float
    drawdown_frac: float
    win_rate_frac: float
    hour_return_frac: float


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """How requests of one kind went in the last five minutes.

    Attributes
    ----------
    name : who asked whom, such as trader
    """

    name: str
    n_requests: int
    n_failed: int


@dataclass(frozen=True, slots=True)
class PartFacts:
    """When a part was heard of last.

    Attributes
    ----------
    heard_at : UTC ms; of a part that was never heard of, when it should have begun
    """

    name: str
    heard_at: int


@dataclass(frozen=True, slots=True)
class BreakerFacts:
    """A breaker, and its words when it is tripped."""

    name: str
    is_tripped: bool
    words: str


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """A limit that does not refuse anything by itself, and how much of it is used.

    Attributes
    ----------
    value : in `unit`, None when it is not known
    words : what it is about, may be empty
    """

    rule: str
    value: float | None
    limit: float
    unit: str
    words: str


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """How an account stands.

    Attributes
    ----------
    latch : as read from the disk at this look
    reconcile_state : clean, pending or differs; empty when it has not been told
    """

    name: str
    latch: LatchReading
    reconcile_state: str = ""
    reconcile_words: str = ""
    breakers: tuple[BreakerFacts, ...] = ()
    soft_limits: tuple[LimitFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """What verifying an account's journal found.

    Attributes
    ----------
    problem : file, line, seq and what is wrong; empty when it is whole
    """

    account: str
    problem: str


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """How full the disk of the home is."""

    folder: str
    free_bytes: int


@dataclass(frozen=True, slots=True)
class EventFacts:
    """An event that was told.

    Attributes
    ----------
    level : debug, info, warn or error
    kind : dotted name
    subject : may be empty
    """

    at: int
    level: str
    kind: str
    subject: str
    message: str


def strategy_alerts(facts: StrategyFacts, settings: Alerts, now_at: int) -> list[Alert]:
    """Return what is wrong with a strategy: two warnings and two acts at most, then numbers."""
    found = _acts(facts, settings, now_at)
    if facts.is_paused:
        return found
    many = facts.n_trades >= LEAST_TRADES
    if many and facts.sharpe < settings.sharpe_min:
        words = f"its Sharpe ratio is {facts.sharpe:.2f}, under {settings.sharpe_min:g}"
        found.append(_of_strategy(facts, "sharpe", "low Sharpe ratio", words, now_at))
    if settings.drawdown_max < facts.drawdown_frac:
        words = (
            f"its drawdown is {_percent(facts.drawdown_frac)}, over "
            f"{_percent(settings.drawdown_max)}"
        )
        found.append(_of_strategy(facts, "drawdown", "drawdown", words, now_at))
    if many and facts.win_rate_frac < settings.win_rate_min:
        words = (
            f"it wins {_percent(facts.win_rate_frac)} of {facts.n_trades} trades, under "
            f"{_percent(settings.win_rate_min)}"
        )
        found.append(_of_strategy(facts, "win_rate", "low win rate", words, now_at))
    return found


def request_alerts(facts: Sequence[RequestFacts], settings: Alerts, now_at: int) -> list[Alert]:
    """Return whose requests fail too often."""
    found = []
    for one in facts:
        if one.n_requests <= 0:
            continue
        share = one.n_failed / one.n_requests
        is_enough = one.n_requests >= LEAST_REQUESTS or one.n_failed >= LEAST_FAILURES
        if is_enough and share > settings.error_rate_max:
            message = (
                f"{one.n_failed:,} of {one.n_requests:,} requests of {one.name} failed in five "
                f"minutes: {_percent(share)}, over {_percent(settings.error_rate_max)}"
            )
            found.append(
                Alert(
                    key=f"errors:{one.name}",
                    level=AlertLevel.ERROR,
                    title=f"{one.name}: requests fail",
                    message=message,
                    at=now_at,
                    subject=f"part:{one.name}",
                )
            )
    return found


def silence_alerts(
    parts: Sequence[PartFacts], settings: Alerts, now_at: int, *, bearer: str = "recorder"
) -> list[Alert]:
    """Return which parts have not been heard of.

    Parameters
    ----------
    bearer : the part that carries every other's sign of life; when it is silent itself, nothing is
        known of the others and only it is told
    """
    limit_ms = settings.silence_s * 1000
    silent = [part for part in parts if now_at - part.heard_at > limit_ms]
    if any(part.name == bearer for part in silent):
        silent = [part for part in silent if part.name == bearer]
    return [
        Alert(
            key=f"silence:{part.name}",
            level=AlertLevel.ERROR,
            title=f"{part.name} is silent",
            message=(
                f"{part.name} has not been heard of for {(now_at - part.heard_at) / 1000:,.0f} s, "
                f"over {settings.silence_s:g} s"
            ),
            at=now_at,
            subject=f"part:{part.name}",
        )
        for part in silent
    ]


def account_alerts(facts: AccountFacts, now_at: int) -> list[Alert]:
    """Return what holds an account back, and what it disagrees about with its exchange."""
    name = facts.name
    found = [*_latch_alerts(facts, now_at)]
    for breaker in facts.breakers:
        if breaker.is_tripped:
            words = breaker.words or "it holds trading back"
            title = f"{name}: {breaker.name.replace('_', ' ')} breaker"
            message = f"account {name}: {breaker.name} tripped: {words}"
            found.append(_of_account(name, f"breaker.{breaker.name}", title, message, now_at))
    if facts.reconcile_state == "differs":
        message = (
            f"account {name} and its exchange disagree, nothing new is opened: "
            f"{facts.reconcile_words or 'see the Risk screen'}"
        )
        found.append(
            _of_account(name, "reconcile", f"{name}: differs from exchange", message, now_at)
        )
    for limit in facts.soft_limits:
        if limit.value is not None and limit.value > limit.limit:
            about = f" ({limit.words})" if limit.words else ""
            message = (
                f"account {name}: {limit.rule} is {limit.value:.4g}, over {limit.limit:.4g} "
                f"{limit.unit}{about}"
            )
            key, title = f"limit.{limit.rule}", f"{name}: {limit.rule.replace('_', ' ')}"
            found.append(_of_account(name, key, title, message, now_at, AlertLevel.WARN))
    return found


def journal_alerts(facts: JournalFacts, now_at: int) -> list[Alert]:
    """Return an alert when a journal is not as it was written."""
    if not facts.problem:
        return []
    name = facts.account
    return [_of_account(name, "journal", f"{name}: journal damaged", facts.problem, now_at)]


def disk_alerts(facts: DiskFacts, now_at: int) -> list[Alert]:
    """Return an alert when the disk is full, or will be soon."""
    if facts.free_bytes >= DISK_WARN_BYTES:
        return []
    is_full = facts.free_bytes < DISK_ERROR_BYTES
    consequence = "a full disk stops new entries" if is_full else "make room before it is full"
    return [
        Alert(
            key="disk:home",
            level=AlertLevel.ERROR if is_full else AlertLevel.WARN,
            title="disk full" if is_full else "disk nearly full",
            message=f"{facts.folder} has {facts.free_bytes / 2**20:,.0f} MiB left: {consequence}",
            at=now_at,
        )
    ]


def event_alert(facts: EventFacts) -> Alert | None:
    """Return the alert of an event: of every error, and of nothing less."""
    if facts.level != "error" or facts.kind.startswith("alert."):
        return None
    about = f":{facts.subject}" if facts.subject else ""
    subject = (
        f"part:{facts.subject}" if facts.subject and ":" not in facts.subject else facts.subject
    )
    return Alert(
        key=f"event.{facts.kind}{about}",
        level=AlertLevel.ERROR,
        title=facts.kind.replace(".", " ").replace("_", " "),
        message=facts.message,
        at=facts.at,
        subject=subject,
        tells_end=False,
    )


def is_own_key(key: str) -> bool:
    """Return whether an alert under this key comes from these rules."""
    return key.startswith(OWN_KEYS)


def _acts(facts: StrategyFacts, settings: Alerts, now_at: int) -> list[Alert]:
    if facts.drawdown_frac >= settings.drawdown_stop_frac:
        words = (
            f"its drawdown is {_percent(facts.drawdown_frac)}, at or over "
            f"{_percent(settings.drawdown_stop_frac)}: it is stopped"
        )
        return [_of_strategy(facts, "drawdown_stop", "stopped", words, now_at, AlertAction.STOP)]
    if not facts.is_paused and facts.hour_return_frac <= -settings.hour_loss_frac:
        words = (
            f"it lost {_percent(-facts.hour_return_frac)} of its capital within an hour, at or "
            f"over {_percent(settings.hour_loss_frac)}: it is paused"
        )
        return [_of_strategy(facts, "hour_loss", "paused", words, now_at, AlertAction.PAUSE)]
    return []


def _latch_alerts(facts: AccountFacts, now_at: int) -> list[Alert]:
    latch = facts.latch
    if latch.state is TradingState.ACTIVE:
        return []
    is_warning = latch.state is TradingState.REDUCING or latch.cause is LatchCause.NOT_ARMED
    who = f" by {latch.who}" if latch.who else ""
    reason = f": {latch.reason}" if latch.reason else ""
    message = f"account {facts.name} is {latch.state}{who}{reason} ({latch.detail})"
    level = AlertLevel.WARN if is_warning else AlertLevel.ERROR
    title = f"{facts.name} is {latch.state}"
    return [_of_account(facts.name, "latch", title, message, now_at, level)]


def _of_account(
    name: str,
    cause: str,
    title: str,
    message: str,
    now_at: int,
    level: AlertLevel = AlertLevel.ERROR,
) -> Alert:
    return Alert(f"{cause}:{name}", level, title, message, now_at, subject=f"account:{name}")


def _of_strategy(
    facts: StrategyFacts,
    cause: str,
    title: str,
    words: str,
    now_at: int,
    action: AlertAction = AlertAction.NONE,
) -> Alert:
    short = facts.strategy_id[:8]
    return Alert(
        key=f"strategy.{cause}:{facts.account}:{facts.strategy_id}",
        level=AlertLevel.WARN if action is AlertAction.NONE else AlertLevel.ERROR,
        title=f"{short}: {title}",
        message=f"strategy {short} in account {facts.account}: {words}",
        at=now_at,
        action=action,
        subject=f"strategy:{facts.strategy_id}",
        # It no longer trades, so that its cause is gone says nothing.
        tells_end=action is AlertAction.NONE,
    )


def _percent(value_frac: float) -> str:
    return f"{value_frac * 100:.1f} %" if math.isfinite(value_frac) else "–"
