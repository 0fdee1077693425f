"""Which parts a runtime has, and how each is built.

Heavy rooms are imported only where they work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from actors.ports import Objects, Part, Peer
from engine.clock import SystemClock
from engine.settings import Config
from engine.trade.accounts import account_names
from engine.trading_settings import Trading

SINGLES = ("recorder", "feeder", "generator", "learner", "conductor", "watchdog")
LASTING = ("alerter",)
"""Parts of a runtime that stays; one that was started for a single command has none of them."""

BACKTESTER = "backtester"
TRADER = "trader"
POSITION_MONITOR = "position_monitor"
MONITORS = ("order_monitor", POSITION_MONITOR)
DEPLOYER = "deployer"

PeerOf = Callable[[str], Peer]
OnFailure = Callable[[BaseException], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PartSpec:
    """What a process needs to know to become a part.

    Attributes
    ----------
    kind : recorder, feeder, generator, learner, conductor, watchdog, alerter, backtester, trader,
        order_monitor, position_monitor or deployer
    name : the kind, for backtesters with a number from 1, for traders with their account
    workers : how many backtesters the runtime has
    mark : carried by every process of this runtime
    scheduled : whether the daily cycle runs here; a private runtime has none
    """

    kind: str
    name: str
    config: Config
    workers: int
    mark: str
    code_version: str
    scheduled: bool


def backtester_names(workers: int) -> tuple[str, ...]:
    """Return the names of the backtesters, in order."""
    return tuple(f"{BACKTESTER}-{i}" for i in range(1, workers + 1))


def trader_names(trading: Trading) -> tuple[str, ...]:
    """Return the names of the traders, one an account; none when trading is switched off."""
    if not trading.enabled:
        return ()
    return tuple(f"{TRADER}-{account}" for account in account_names(trading.live_exchange))


def part_names(
    workers: int, *, is_private: bool = False, trading: Trading | None = None
) -> tuple[str, ...]:
    """Return the names of all parts, in the order they are started.

    Parameters
    ----------
    is_private : of a runtime that was started for one command; it trades nothing
    trading : what is traded; None means nothing
    """
    lasting = () if is_private else LASTING
    traders = () if is_private or trading is None else trader_names(trading)
    monitors = (*MONITORS, DEPLOYER) if traders else ()
    singles = (*SINGLES[:1], *backtester_names(workers), *SINGLES[1:])
    return (*singles, *lasting, *traders, *monitors)


def kind_of(name: str) -> str:
    """Return the kind of the part called `name`."""
    for kind in (BACKTESTER, TRADER):
        if name.startswith(f"{kind}-"):
            return kind
    return name


def build(spec: PartSpec, peer_of: PeerOf, objects: Objects, on_failure: OnFailure) -> Part:
    """Make the part that `spec` describes."""
    clock = SystemClock()
    if spec.kind == BACKTESTER:
        from actors.backtester import Backtester

        return Backtester(spec, peer_of, objects, clock)
    if spec.kind == "recorder":
        from actors.recorder import Recorder

        return Recorder(spec, clock, on_failure)
    if spec.kind == "feeder":
        from actors.feeder import Feeder

        return Feeder(spec, objects, clock)
    if spec.kind == "generator":
        from actors.generator import Generator

        return Generator(spec, peer_of, clock)
    if spec.kind == "learner":
        from actors.learner import Learner

        return Learner(spec, peer_of, clock)
    if spec.kind == "watchdog":
        from actors.watchdog import Watchdog

        return Watchdog(spec, peer_of, clock, on_failure)
    if spec.kind == "alerter":
        from actors.alerter import Alerter

        return Alerter(spec, peer_of, clock, on_failure)
    if spec.kind == TRADER:
        from actors.trader import Trader

        return Trader(spec, peer_of, clock, on_failure)
    if spec.kind == "order_monitor":
        from actors.order_monitor import OrderMonitor

        return OrderMonitor(spec, peer_of, clock, on_failure)
    if spec.kind == "position_monitor":
        from actors.position_monitor import PositionMonitor

        return PositionMonitor(spec, peer_of, clock, on_failure)
    if spec.kind == DEPLOYER:
        from actors.deployer import Deployer

        return Deployer(spec, peer_of, clock, on_failure)
    from actors.conductor import Conductor

    return Conductor(spec, peer_of, clock, on_failure)
