"""The deployer: brings versions of strategies out as Workers, watches them, takes them back."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from actors.deploy_commands import asked_share_frac, asked_target, new_version
from actors.owned_processes import MARK_VARIABLE
from actors.ports import PeerLost
from actors.roster import OnFailure, PartSpec, PeerOf, trader_names
from actors.version_check import Checked, checked
from actors.writer import Writer
from engine.clock import Clock
from engine.config import database_url
from engine.deploy.package import Writer as SourceWriter
from engine.deploy.package import load_bundle
from engine.deploy.rollout import STEPS_FRAC, Action, Verb, VersionFacts, judge
from engine.deploy.target import Target, Wanted, service_name
from engine.deploy.targets import targets_of
from engine.deploy.token import workers_folder
from engine.deploy.version_watch import VersionReport
from engine.errors import PaddockError, RuntimeUnavailable, UsageError, VenueError
from engine.store.database import Store
from engine.store.deployments import DeploymentRow, deployments_of
from engine.store.events import Event
from engine.store.strategies import get_strategy
from engine.strategy.genome import Genome
from engine.strategy.javascript.writer import javascript_of
from engine.types import Status

LOOK_S = 1.0
FACTS_S = 5.0
_CALL_S = 10.0
_LATER_MOST_S = 60.0
_SEATED_S = 30.0
_SERVED = ("rolling", "live", "draining")
_TRADES = (Status.PAPER.value, Status.LIVE.value, Status.PAUSED.value)

Key = tuple[str, int]


class Deployer:
    """Keep what is deployed as the store says that it should be.

    Survives a crash: every version and its share, in the store, written before anything is done
    about it; bundles, in the home. Processes of an earlier life are ended and started anew; what
    runs on Cloudflare went on, and is taken up.
    May run twice: every look; a command, which its ticket recognises.
    Owns: rows of deployments, the processes of workerd, this home's scripts on Cloudflare.

    Parameters
    ----------
    write : writes a genome as JavaScript
    """

    def __init__(
        self,
        spec: PartSpec,
        peer_of: PeerOf,
        clock: Clock,
        on_failure: OnFailure,
        write: SourceWriter = javascript_of,
    ) -> None:
        self._config = spec.config
        self._settings = spec.config.deploy
        self._clock = clock
        self._on_failure = on_failure
        self._write = write
        self._writer = Writer(peer_of("recorder"), clock)
        names = trader_names(spec.config.trading)
        self._traders = {name.partition("-")[2]: peer_of(name) for name in names}
        self._folder = workers_folder(spec.config.paths.home)
        self._marks = {MARK_VARIABLE: spec.mark}
        self._store: Store | None = None
        self._targets: dict[str, Target] = {}
        self._rows: dict[Key, DeploymentRow] = {}
        self._reports: dict[Key, VersionReport] = {}
        self._heard_s: dict[Key, float] = {}
        self._silent: set[Key] = set()
        self._facts_s = -math.inf
        self._checking: asyncio.Task[None] | None = None
        self._tries: dict[Key, tuple[int, float]] = {}
        self._idle_s: dict[Key, float] = {}
        self._acting = asyncio.Lock()
        self._news: list[str] = []
        self._words = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take up every version where the store says it is."""
        self._store = await Store.open(database_url(self._config), read_only=True, create=False)
        rows = await deployments_of(self._store)
        self._rows = {row.key: row for row in rows}
        self._targets = targets_of(
            self._config, self._clock.monotonic_s, self._news.append, self._marks
        )
        for target in self._targets.values():
            await target.begin()
        self._tasks = [asyncio.create_task(self._guard(self._keep))]

    async def stop(self) -> None:
        """Serve nothing more; the versions stay what they are."""
        tasks = [*self._tasks, *([self._checking] if self._checking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for target in self._targets.values():
            await target.stop()
        if self._store is not None:
            await self._store.close()

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return how many versions there are, by state."""
        states = [row.state for row in self._rows.values() if row.state != "ended"]
        detail = {state: states.count(state) for state in sorted(set(states))}
        is_busy = "checking" in states or "rolling" in states
        word = "alert" if self._silent else ("busy" if is_busy else "idle")
        pids = [pid for target in self._targets.values() for pid in target.pids]
        return word, {**detail, "processes": pids, "words": self._words}

    # Commands

    async def deploy(self, arguments: Mapping[str, Any], who: str, ticket: str) -> dict[str, Any]:
        """Begin with a new version of a strategy.

        Raises
        ------
        UsageError : it cannot be deployed, or not so.
        RuntimeUnavailable : its target is not there: workerd is missing, Cloudflare knows no such
            token.
        """
        if self._by_ticket(ticket) is None:
            # Not while everything else waits: Cloudflare may be slow to say no.
            await self._targets[asked_target(arguments, self._settings)].ready()
        async with self._acting:
            known = self._by_ticket(ticket)
            if known is not None:
                return _told(known)
            stored = await get_strategy(self._reader, _text(arguments, "strategy_id"))
            row = new_version(
                stored.row,
                list(self._rows.values()),
                arguments,
                self._settings,
                who=who,
                ticket=ticket,
                now_at=self._clock.now_at(),
            )
            await self._put(row, "deploy.asked", f"{who} deploys version {row.version}")
            return _told(row)

    async def set_share(self, arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        """Give the version that is being rolled out another share."""
        async with self._acting:
            share = asked_share_frac(arguments)
            row = await self._asked(arguments, ("rolling",))
            if row.share_frac != share:
                await self._share(row, share, f"{who} set it to {share:.0%}")
            return _told(self._rows[row.key])

    async def roll_back(self, arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        """Take back the version that is being rolled out, or else the live one."""
        async with self._acting:
            row = await self._asked(arguments, ("checking", "rolling", "live"))
            reason = f"{who}: {_text(arguments, 'reason', 'asked for by the operator')}"
            await self._take_back(row, Action(Verb.ROLL_BACK, 0.0, reason, "operator"), "warn")
            return _told(self._rows[row.key])

    # The loop

    async def _keep(self) -> None:
        while True:
            try:
                async with self._acting:
                    words = await self._look()
            except RuntimeUnavailable as exc:
                words = exc.message
            # What should run does not: told once, tried again at the next look.
            if words and words != self._words:
                await self._writer.tell("error", "deploy.waits", words)
            self._words = words
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> str:
        """Look once; return why something that should run does not, empty when all does."""
        self._begin_check()
        await self._end_untraded()
        words = await self._serve()
        await self._hear()
        for row in self._in("rolling", "live"):
            await self._act(row, judge(self._facts(row), self._settings, row.stop_frac))
        for row in self._in("draining"):
            report = self._reports.get(row.key)
            if report is not None and report.state == "draining" and not report.is_holding:
                await self._end(row, f"it holds nothing more: {row.reason}")
        await self._write_facts()
        return words

    def _begin_check(self) -> None:
        if self._checking is not None and not self._checking.done():
            return
        now_s = self._clock.monotonic_s()
        waiting = [
            r for r in self._in("checking") if self._tries.get(r.key, (0, now_s))[1] <= now_s
        ]
        if waiting:
            row = min(waiting, key=lambda one: one.created_at)
            self._checking = asyncio.create_task(self._guard(lambda: self._check(row)))

    async def _check(self, row: DeploymentRow) -> None:
        """Package, validate and compare a version; may be begun again at any time."""
        try:
            found = await self._checked(row)
        except RuntimeUnavailable as exc:
            await self._check_later(row, exc)
            return
        except PaddockError as exc:
            async with self._acting:
                if self._rows[row.key].state == "checking":
                    await self._refuse(row, exc.message)
            return
        async with self._acting:
            if self._rows[row.key].state == "checking":
                words = f"equal to the engine on {found.n_bars} bars: begins with 5% of the capital"
                row = replace(row, bundle=found.bundle, lookback_bars=found.lookback_bars)
                await self._share(replace(row, state="rolling"), STEPS_FRAC[0], words)

    async def _check_later(self, row: DeploymentRow, error: RuntimeUnavailable) -> None:
        """Try again, less and less often, and say meanwhile what it waits for."""
        n_tries = self._tries.get(row.key, (0, 0.0))[0]
        asked_s = error.fields.get("retry_s")
        wait_s = min(LOOK_S * 2.0**n_tries, _LATER_MOST_S)
        if isinstance(asked_s, int | float):
            wait_s = max(wait_s, float(asked_s))
        self._tries[row.key] = (n_tries + 1, self._clock.monotonic_s() + wait_s)
        async with self._acting:
            known = self._rows[row.key]
            if known.state == "checking" and known.reason != error.message:
                waits = replace(known, reason=error.message)
                await self._put(waits, "deploy.waits", f"waits: {error.message}")

    async def _checked(self, row: DeploymentRow) -> Checked:
        trader = self._traders.get(row.account)
        if trader is None:
            raise UsageError(f"account {row.account} is not traded by this runtime")
        stored = await get_strategy(self._reader, row.strategy_id)
        try:
            genome = Genome.from_json(stored.genome)
        except ValueError as exc:
            raise UsageError("only genomes are traded, and so deployed") from exc
        n_bars = self._settings.parity_bars
        try:
            markets = await trader.call("recent_bars", row.strategy_id, n_bars, timeout_s=_CALL_S)
        except (UsageError, VenueError) as exc:
            # A trader that begins, or whose exchange is away, says nothing against the version.
            self._idle_s.pop(row.key, None)
            raise RuntimeUnavailable(exc.message) from exc
        now_s = self._clock.monotonic_s()
        if not markets and now_s - self._idle_s.setdefault(row.key, now_s) < _SEATED_S:
            raise RuntimeUnavailable("its trader has not taken it up yet")
        return await checked(
            genome,
            f"v{row.version}",
            markets,
            self._config.limits,
            self._folder / "bundles",
            self._write,
            lambda bundle: self._targets[row.target].trial(
                Wanted(row.strategy_id, row.version, bundle, 0.0)
            ),
        )

    async def _serve(self) -> str:
        """Have every target serve its versions; one that cannot holds up nothing else."""
        wanted: dict[str, list[Wanted]] = {name: [] for name in self._targets}
        for row in self._in(*_SERVED):
            try:
                bundle = load_bundle(self._folder / "bundles", row.bundle)
            except PaddockError as exc:
                if row.state != "draining":
                    broken = Action(Verb.ROLL_BACK, 0.0, exc.message, "bundle")
                    await self._take_back(row, broken, "error")
                continue
            share_frac = self._share_of_requests(row)
            wanted[row.target].append(Wanted(row.strategy_id, row.version, bundle, share_frac))
        problems = []
        for name, target in self._targets.items():
            try:
                await target.serve(wanted[name])
            except RuntimeUnavailable as exc:
                problems.append(exc.message)
            await target.look()
        news, self._news[:] = list(self._news), []
        for words in news:
            await self._writer.tell("warn", "deploy.healed", words)
        for row in self._in(*_SERVED):
            url = self._targets[row.target].url(_service(row))
            if url != row.url:
                await self._save(replace(row, url=url))
        return "; ".join(dict.fromkeys(problems))

    def _share_of_requests(self, row: DeploymentRow) -> float:
        if row.state != "live":
            return row.share_frac
        rolling = (one for one in self._in("rolling") if one.strategy_id == row.strategy_id)
        return 1.0 - sum(one.share_frac for one in rolling)

    async def _hear(self) -> None:
        """Learn how the versions do: from the traders, and whether each answers."""
        for account, trader in self._traders.items():
            if not any(row.account == account for row in self._in(*_SERVED)):
                continue
            with contextlib.suppress(PeerLost):
                reports = await trader.call("worker_reports", timeout_s=_CALL_S)
                self._reports |= {(one.strategy_id, one.version): one for one in reports or ()}
        now_s = self._clock.monotonic_s()
        for row in self._in(*_SERVED):
            known_s = self._heard_s.setdefault(row.key, now_s)
            if row.url and self._targets[row.target].answers(_service(row)):
                self._heard_s[row.key] = known_s = now_s
            is_silent = now_s - known_s >= self._settings.silence_s
            if is_silent and row.key not in self._silent:
                self._silent.add(row.key)
                words = f"{_name(row)} has not answered for {now_s - known_s:,.0f} s"
                await self._tell("error", "deploy.silent", f"{words}: nothing is entered", row)
            elif not is_silent and row.key in self._silent:
                self._silent.discard(row.key)
                await self._tell("info", "deploy.answers", f"{_name(row)} answers again", row)

    def _facts(self, row: DeploymentRow) -> VersionFacts:
        now_s = self._clock.monotonic_s()
        facts = VersionFacts(
            is_rolling=row.state == "rolling",
            share_frac=row.share_frac,
            step_age_s=(self._clock.now_at() - row.step_at) / 1000,
            silent_s=now_s - self._heard_s.get(row.key, now_s),
        )
        report = self._reports.get(row.key)
        if report is None or report.share_frac != row.share_frac:
            return facts
        return replace(
            facts,
            n_requests=report.n_requests,
            n_failed=report.n_failed,
            n_latencies=report.n_latencies,
            latency_ms=report.latency_ms,
            n_compared_step=report.n_compared_step,
            n_differing=report.n_differing,
            difference=report.difference,
            pnl_quote=report.pnl_quote,
            capital_quote=report.capital_quote,
        )

    async def _act(self, row: DeploymentRow, action: Action) -> None:
        if action.verb is Verb.ADVANCE:
            await self._share(row, action.share_frac, action.reason)
        elif action.verb is Verb.FINISH:
            await self._finish(row, action.reason)
        elif action.verb is Verb.ROLL_BACK:
            await self._take_back(row, action, "error")

    # Steps: the row is written first, then told; what runs follows at the next look

    async def _share(self, row: DeploymentRow, share_frac: float, reason: str) -> None:
        now_at = self._clock.now_at()
        row = replace(row, share_frac=share_frac, step_at=now_at, reason=reason)
        await self._put(row, "deploy.step", f"{share_frac:.0%} of the capital: {reason}")

    async def _finish(self, row: DeploymentRow, reason: str) -> None:
        for other in self._in("live"):
            if other.strategy_id == row.strategy_id:
                words = f"version {row.version} took its place"
                drained = replace(other, state="draining", outcome="replaced", share_frac=0.0)
                await self._put(replace(drained, reason=words), "deploy.replaced", words)
        await self._put(replace(row, state="live", reason=reason), "deploy.done", reason)

    async def _take_back(self, row: DeploymentRow, action: Action, level: str) -> None:
        if row.state == "checking":
            await self._refuse(row, action.reason)
            return
        others = [one for one in self._rows.values() if one.strategy_id == row.strategy_id]
        earlier = [one for one in others if one.outcome == "replaced" and one.version < row.version]
        is_alone = not any(one.state == "live" and one.key != row.key for one in others)
        words = f"rolled back ({action.rule}): {action.reason}"
        gone = replace(row, state="draining", outcome="rolled back", share_frac=0.0, reason=words)
        await self._put(gone, "deploy.rolled_back", words, level, **action.numbers)
        if row.state == "live" and is_alone and earlier:
            last = max(earlier, key=lambda one: one.version)
            words = f"back in place of version {row.version}"
            back = replace(last, state="live", outcome="", share_frac=1.0, ended_at=None)
            now_at = self._clock.now_at()
            await self._put(replace(back, step_at=now_at, reason=words), "deploy.restored", words)

    async def _refuse(self, row: DeploymentRow, reason: str) -> None:
        ended = replace(row, outcome="refused", reason=reason)
        await self._put(ended, "deploy.refused", f"refused: {reason}", "warn")
        await self._end(self._rows[row.key], reason)

    async def _end(self, row: DeploymentRow, reason: str) -> None:
        now_at = self._clock.now_at()
        ended = replace(row, state="ended", share_frac=0.0, url="", ended_at=now_at, reason=reason)
        self._heard_s.pop(row.key, None)
        self._tries.pop(row.key, None)
        self._idle_s.pop(row.key, None)
        self._silent.discard(row.key)
        await self._put(ended, "deploy.ended", reason)

    async def _end_untraded(self) -> None:
        """End the versions of strategies that trade no more: what they held is closed for them."""
        for row in self._in(*_SERVED):
            stored = await get_strategy(self._reader, row.strategy_id)
            if stored.row.status not in _TRADES:
                outcome = row.outcome or "stopped"
                words = f"the strategy is {stored.row.status}"
                await self._end(replace(row, outcome=outcome), words)

    # Writing

    async def _write_facts(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._facts_s < FACTS_S:
            return
        self._facts_s = now_s
        for row in self._in(*_SERVED):
            report = self._reports.get(row.key)
            if report is not None:
                # A version that has just come back was not heard of yet.
                heard_s = self._heard_s.get(row.key, now_s)
                facts = {**_numbers(report), "silent_s": round(now_s - heard_s, 1)}
                await self._save(replace(row, facts=facts))

    async def _put(
        self, row: DeploymentRow, kind: str, words: str, level: str = "info", **numbers: float
    ) -> None:
        await self._save(replace(row, changed_at=self._clock.now_at()))
        await self._tell(level, kind, f"{_name(row)}: {words}", row, **numbers)

    async def _save(self, row: DeploymentRow) -> None:
        await self._writer.write("save_deployments", [row])
        self._rows[row.key] = row

    async def _tell(
        self, level: str, kind: str, words: str, row: DeploymentRow, **numbers: float
    ) -> None:
        event = Event(
            at=self._clock.now_at(),
            level=level,
            kind=kind,
            message=words,
            subject=f"strategy:{row.strategy_id}",
            fields={"version": row.version, **numbers},
        )
        await self._writer.tell_all([event])

    # Itself

    def _by_ticket(self, ticket: str) -> DeploymentRow | None:
        return next((row for row in self._rows.values() if row.ticket == ticket), None)

    def _in(self, *states: str) -> list[DeploymentRow]:
        return [row for row in self._rows.values() if row.state in states]

    async def _asked(self, arguments: Mapping[str, Any], states: tuple[str, ...]) -> DeploymentRow:
        stored = await get_strategy(self._reader, _text(arguments, "strategy_id"))
        for state in states:
            for row in self._in(state):
                if row.strategy_id == stored.row.id:
                    return row
        words = " or ".join(states)
        raise UsageError(f"strategy {stored.row.id[:12]} has no version that is {words}")

    @property
    def _reader(self) -> Store:
        if self._store is None:
            raise UsageError("the deployer has not opened the store yet")
        return self._store

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            await self._on_failure(error)


def _service(row: DeploymentRow) -> str:
    return service_name(row.strategy_id, row.version)


def _name(row: DeploymentRow) -> str:
    return f"version {row.version} of strategy {row.strategy_id[:12]}"


def _told(row: DeploymentRow) -> dict[str, Any]:
    return {
        "strategy_id": row.strategy_id,
        "version": row.version,
        "state": row.state,
        "share_frac": row.share_frac,
        "reason": row.reason,
    }


def _numbers(report: VersionReport) -> dict[str, Any]:
    left_out = ("strategy_id", "version", "state", "share_frac")
    found = {name: value for name, value in asdict(report).items() if name not in left_out}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in found.items()
    }


def _text(arguments: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = arguments.get(name) or default
    if not isinstance(value, str):
        raise UsageError(f"{name} {value!r} is not a text")
    return value
