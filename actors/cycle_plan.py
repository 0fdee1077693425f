"""From a command's arguments to the exact settings of a cycle.

Pure, so that a bad wish is refused before anything runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.config import config_hash, with_settings
from engine.errors import UsageError
from engine.evolve.point_search import read_search
from engine.evolve.rounds import read_evolution
from engine.evolve.universe import EvolveSettings, Shares, Universe
from engine.settings import Config

ENDLESS = "infinite"
_ARGUMENTS = frozenset(
    {
        "seed",
        "count",
        "symbols",
        "timeframe",
        "days",
        "market",
        "exchange",
        "workers",
        "state",
        "search",
        "evolve",
    }
)
# The sections that influence results; the rest follows the runtime, not the cycle.
_FROZEN_SECTIONS = (
    "market",
    "generated",
    "cycle",
    "genetic",
    "patterns",
    "language_model",
    "evolve",
    "backtest",
    "screen",
    "paper",
    "live",
    "limits",
    "pools",
)

EMPTY_STATE = "empty"
"""Asks for the state that has learned nothing, as the first cycle of a home starts from."""


@dataclass(frozen=True, slots=True)
class CyclePlan:
    """A cycle as it will run.

    Attributes
    ----------
    config : every setting, the command's arguments applied
    seed : of this cycle's random draws
    count : candidates
    workers : backtesters it may use
    state : hash of the learned state to start from, EMPTY_STATE, or None for the newest
    is_endless : whether another wave follows
    series_seed, wave : of an endless run; wave is 0 for a single cycle, else counts from 1
    search : the points of a family to try instead of proposals, as `read_search` reads it, or None
    evolve : the round of one strategy's evolution this is, as `read_evolution` reads it, or None
    replay : the cycle whose language-model record answers, or None
    """

    config: Config
    seed: int
    count: int
    workers: int
    state: str | None = None
    is_endless: bool = False
    series_seed: int = 0
    wave: int = 0
    search: Mapping[str, Any] | None = None
    evolve: Mapping[str, Any] | None = None
    replay: int | None = None

    def settings(self, ticket: str) -> dict[str, Any]:
        """Return what the cycle's row keeps.

        So that it can be resumed under a changed configuration.

        Parameters
        ----------
        ticket : names the wish this cycle answers; a repeated creation is recognised by it
        """
        dumped = self.config.model_dump(mode="json", include=set(_FROZEN_SECTIONS))
        return {
            "ticket": ticket,
            "config": dumped,
            "store": str(self.config.paths.store),
            "endless": self.is_endless,
            "series_seed": self.series_seed,
            "workers": self.workers,
            "state": self.state,
            "search": None if self.search is None else dict(self.search),
            "evolve": None if self.evolve is None else dict(self.evolve),
            "replay": self.replay,
        }

    @property
    def config_hash(self) -> str:
        """Return the hash of the settings that influence results."""
        return config_hash(self.config)

    def next_wave(self) -> CyclePlan:
        """Return the plan of the wave after this one; it starts from what this one learned."""
        wave = self.wave + 1
        return CyclePlan(
            config=self.config,
            seed=wave_seed(self.series_seed, wave),
            count=self.count,
            workers=self.workers,
            is_endless=True,
            series_seed=self.series_seed,
            wave=wave,
        )


def plan_cycle(base: Config, arguments: Mapping[str, Any], runtime_workers: int) -> CyclePlan:
    """Return the plan for a `cycle.start` command.

    Parameters
    ----------
    base : the runtime's configuration
    arguments : seed, count (a number or "infinite"), symbols, timeframe, days, market (a folder),
        exchange, workers, state, search (as `read_search` reads it; the number of its points is the
        count), evolve (as `read_evolution` reads it); each optional
    runtime_workers : backtesters there are

    Raises
    ------
    UsageError, ConfigError : an unknown argument, a value out of range.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    unknown = sorted(set(given) - _ARGUMENTS)
    if unknown:
        known = ", ".join(sorted(_ARGUMENTS))
        raise UsageError(f"a cycle has no argument {unknown[0]!r}: it takes {known}")
    workers = _workers(given.get("workers"), runtime_workers)
    search = given.get("search")
    if search is not None:
        given["count"] = _search_count(search, given.get("count"))
    evolve = given.get("evolve")
    if evolve is not None:
        read_evolution(evolve)
    is_endless = given.get("count") == ENDLESS
    config = with_settings(base, _changes(given, is_endless), "cycle arguments")
    seed = config.cycle.seed
    state = given.get("state")
    if state is not None and not isinstance(state, str):
        raise UsageError(f"state {state!r} is not the hash of a learned state")
    if is_endless:
        return CyclePlan(
            config=config,
            seed=wave_seed(seed, 1),
            count=config.cycle.wave_size,
            workers=workers,
            state=state,
            is_endless=True,
            series_seed=seed,
            wave=1,
        )
    return CyclePlan(
        config=config,
        seed=seed,
        count=config.cycle.count,
        workers=workers,
        state=state,
        search=search,
        evolve=evolve,
    )


def plan_of(
    base: Config, settings: Mapping[str, Any], *, seed: int, count: int, wave: int
) -> CyclePlan:
    """Return the plan a stored cycle was made from.

    Parameters
    ----------
    base : the runtime's configuration; gives only what does not influence results
    settings : as `CyclePlan.settings` stored them
    """
    changes: dict[str, dict[str, Any]] = {
        section: dict(values) for section, values in settings["config"].items()
    }
    changes["paths"] = {"store": Path(settings["store"])}
    return CyclePlan(
        config=with_settings(base, changes, "stored cycle"),
        seed=seed,
        count=count,
        workers=int(settings["workers"]),
        state=settings.get("state"),
        is_endless=bool(settings["endless"]),
        series_seed=int(settings["series_seed"]),
        wave=wave,
        search=settings.get("search"),
        evolve=settings.get("evolve"),
        replay=settings.get("replay"),
    )


def wave_seed(series_seed: int, wave: int) -> int:
    """Return the seed of wave `wave` (from 1) of an endless run, in [0, 2**63)."""
    text = f"wave {series_seed} {wave}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def universe_of(config: Config, market_type: str) -> Universe:
    """Return the ground that a cycle with these settings searches."""
    kind: Literal["spot", "perp"] = "perp" if market_type == "perp" else "spot"
    return Universe.of(
        config.cycle.timeframe, kind, tuple(config.market.timeframes), tuple(config.market.symbols)
    )


def shares_of(config: Config) -> Shares:
    """Return where candidates come from."""
    chosen = config.cycle
    return Shares(chosen.genetic_share, chosen.pattern_share, chosen.immigrant_share)


def _search_count(search: object, asked: object) -> int:
    n_points = len(read_search(search).points)
    if asked not in (None, n_points):
        raise UsageError(
            f"count = {asked!r} does not go with a search of {n_points} points: leave it out"
        )
    return n_points


def _workers(asked: object, there: int) -> int:
    if asked is None or asked == 0:
        return there
    if not isinstance(asked, int) or isinstance(asked, bool) or asked < 0:
        raise UsageError(f"workers = {asked!r} is not allowed: use a whole number of 1 or more")
    if asked > there:
        raise UsageError(
            f"{asked} workers asked for, the runtime has {there}:"
            f" start it with `paddock up --workers {asked}`"
        )
    return asked


def _changes(given: Mapping[str, Any], is_endless: bool) -> dict[str, dict[str, Any]]:
    cycle = {key: given[key] for key in ("seed", "timeframe") if key in given}
    if "count" in given and not is_endless:
        cycle["count"] = given["count"]
    market: dict[str, Any] = {key: given[key] for key in ("days", "exchange") if key in given}
    if "symbols" in given:
        market["symbols"] = _symbols(given["symbols"])
    changes: dict[str, dict[str, Any]] = {"cycle": cycle, "market": market}
    if "market" in given:
        market["source"] = "store"
        changes["paths"] = {"store": Path(str(given["market"]))}
    return changes


def _symbols(given: object) -> tuple[str, ...]:
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"symbols {given!r} are not a list such as BTC/USDT,ETH/USDT")
    return tuple(name.strip() for name in names)


def evolve_settings(config: Config) -> EvolveSettings:
    """Return how a cycle with these settings breeds and remembers."""
    genetic, patterns = config.genetic, config.patterns
    return EvolveSettings(
        population=genetic.population,
        elite=genetic.elite,
        mutation_rate=genetic.mutation_rate,
        crossover_rate=genetic.crossover_rate,
        pattern_decay=patterns.decay,
        pattern_min_backtests=patterns.min_backtests,
        exploration=patterns.exploration,
        arm_decay=config.language_model.arm_decay,
    )
