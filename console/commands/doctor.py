"""`paddock doctor`: what is installed, reachable and configured, and what is not."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from console.commands.choices import JsonOption
from console.session import Session
from console.talk import EXIT_FAILED, emit, emit_json
from engine.errors import ConfigError, PaddockError

if TYPE_CHECKING:
    from pathlib import Path

OK, WARN, FAIL = "ok", "warn", "fail"
_PACKAGES = (
    "ray",
    "numpy",
    "numba",
    "sqlalchemy",
    "aiosqlite",
    "pyarrow",
    "pydantic",
    "textual",
    "textual-plotext",
    "typer",
    "rich",
    "ccxt",
    "structlog",
    "apprise",
    "openai",
)
_OPTIONAL = {"asyncpg": "PostgreSQL"}
_MIN_PYTHON = (3, 11)
_DISK_FAIL_BYTES = 200_000_000
_DISK_WARN_BYTES = 2_000_000_000
_RAM_WARN_BYTES = 3_000_000_000


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was looked at.

    Attributes
    ----------
    state : ok, warn or fail
    subject : what was looked at
    message : what was found
    remedy : what mends it, empty when nothing must
    """

    state: str
    subject: str
    message: str
    remedy: str = ""


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Look at everything Paddock needs and say what mends it; exit code 1 when something fails."""
    results: list[CheckResult] = []
    try:
        session: Session = context.obj()
        results.append(CheckResult(OK, "config", str(session.config_path)))
    except PaddockError as exc:
        results.append(CheckResult(FAIL, "config", str(exc), "mend the configuration"))
        results += [*_check_python(), *_check_packages()]
    else:
        results += examine(session)
    failed = any(result.state == FAIL for result in results)
    if as_json:
        emit_json({"ok": not failed, "findings": [asdict(result) for result in results]})
    else:
        for result in results:
            remedy = f"  → {result.remedy}" if result.remedy else ""
            emit(f"{result.state:<5}{result.subject:<12}{result.message}{remedy}")
    if failed:
        raise typer.Exit(EXIT_FAILED)


def examine(session: Session) -> list[CheckResult]:
    """Return what was found, in order of what depends on what."""
    checks: tuple[Callable[[], Iterator[CheckResult]], ...] = (
        _check_python,
        _check_packages,
        lambda: _check_home(session),
        lambda: _check_machine(session.home),
        lambda: _check_database(session),
        lambda: _check_market(session),
        lambda: _check_runtime(session),
        lambda: _check_latch(session),
        lambda: _check_journals(session),
        lambda: _check_alerts(session),
        lambda: _check_console(session),
        lambda: _check_language_model(session),
        lambda: _check_targets(session),
        _check_tools,
    )
    return [result for check in checks for result in check()]


def _check_console(session: Session) -> Iterator[CheckResult]:
    from console.keymap import read_keymap
    from console.terminal import has_few_colours, needs_ascii

    settings = session.config.console
    try:
        keymap = read_keymap(settings.keys, session.config_path)
    except ConfigError as exc:
        yield CheckResult(FAIL, "console", str(exc), "mend that line: the console does not start")
        return
    signs = "ASCII signs" if needs_ascii(settings.glyphs, os.environ) else "our own signs"
    colours = "16 colours" if has_few_colours(os.environ) else "256 colours or more"
    yield CheckResult(
        OK, "console", f"{signs}, {colours} on this terminal, {len(keymap.changed)} keys changed"
    )


def _check_python() -> Iterator[CheckResult]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < _MIN_PYTHON:
        yield CheckResult(FAIL, "python", found, "use Python 3.11 or newer")
    else:
        yield CheckResult(OK, "python", found)


def _check_packages() -> Iterator[CheckResult]:
    from importlib.metadata import PackageNotFoundError, version

    found: list[str] = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield CheckResult(FAIL, "packages", f"{name} is not installed", "run scripts/paddock")
    yield CheckResult(OK, "packages", ", ".join(found))
    for name, purpose in _OPTIONAL.items():
        try:
            yield CheckResult(OK, "packages", f"{name} {version(name)}")
        except PackageNotFoundError:
            yield CheckResult(
                WARN, "packages", f"{name} is not installed", f"install it for {purpose}"
            )


def _check_home(session: Session) -> Iterator[CheckResult]:
    home = session.home
    probe = home / ".doctor"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as exc:
        yield CheckResult(
            FAIL,
            "home",
            f"{home} cannot be written: {exc.strerror or exc}",
            "choose another home with PADDOCK_PATHS__HOME",
        )
    else:
        yield CheckResult(OK, "home", f"{home} is writable")


def _check_machine(home: Path) -> Iterator[CheckResult]:
    import psutil

    existing = next(path for path in (home, *home.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    words = f"{free / 1e9:,.1f} GB free at {existing}"
    if free < _DISK_FAIL_BYTES:
        yield CheckResult(FAIL, "disk", words, "free some space: the database needs it")
    elif free < _DISK_WARN_BYTES:
        yield CheckResult(WARN, "disk", words, "free some space before a long run")
    else:
        yield CheckResult(OK, "disk", words)
    memory = psutil.virtual_memory()
    words = f"{memory.available / 1e9:,.1f} of {memory.total / 1e9:,.1f} GB available"
    cores = psutil.cpu_count() or 1
    state = WARN if memory.available < _RAM_WARN_BYTES else OK
    remedy = "close other programs, or lower [runtime] workers" if state == WARN else ""
    yield CheckResult(state, "memory", f"{words}, {cores} cores", remedy)


def _check_database(session: Session) -> Iterator[CheckResult]:
    from engine.store.revision import HEAD_REVISION

    if not session.has_database():
        yield CheckResult(OK, "database", "none yet: the first cycle makes it")
        return

    async def read() -> str:
        store = await session.open_store(read_only=True)
        try:
            return f"{store.place} ({store.dialect}), revision {HEAD_REVISION}"
        finally:
            await store.close()

    try:
        yield CheckResult(OK, "database", asyncio.run(read()))
    except PaddockError as exc:
        yield CheckResult(FAIL, "database", str(exc), "see the message")


def _check_market(session: Session) -> Iterator[CheckResult]:
    config = session.config
    yield CheckResult(OK, "market", f"source is {config.market.source}")
    if config.market.source == "generated" and not config.paths.store.exists():
        return
    from engine.market.bars import gaps
    from engine.market.store import MarketStore
    from engine.types import SeriesKey

    store = MarketStore(config.paths.store)
    try:
        exchanges = store.exchanges()
    except PaddockError as exc:
        state = WARN if config.market.source == "generated" else FAIL
        yield CheckResult(state, "market", str(exc), "see the message")
        return
    for exchange in exchanges:
        for symbol in store.symbols(exchange, "1d"):
            for timeframe in store.timeframes(exchange, symbol):
                named = f"{exchange} {symbol} {timeframe}"
                try:
                    bars = store.read(SeriesKey(exchange, symbol, timeframe))
                except PaddockError as exc:
                    yield CheckResult(FAIL, "market", str(exc), "see the message")
                    continue
                missing = sum(gap.n_missing for gap in gaps(bars, timeframe))
                if missing:
                    remedy = f"`paddock fetch {exchange} {symbol} --timeframe {timeframe}`"
                    words = f"{named}: {len(bars):,} bars, {missing:,} missing"
                    yield CheckResult(WARN, "market", words, f"fetch again: {remedy}")
                else:
                    yield CheckResult(OK, "market", f"{named}: {len(bars):,} bars, no gaps")


def _check_runtime(session: Session) -> Iterator[CheckResult]:
    from console.feed import Feed
    from console.snapshot import Snapshot
    from console.states import runtime_words

    async def read() -> Snapshot:
        feed = Feed(session)
        try:
            return await feed.snapshot()
        finally:
            await feed.close()

    snapshot = asyncio.run(read())
    words = runtime_words(snapshot.runtime, snapshot.taken_at)
    if snapshot.runtime.word in ("silent", "dead"):
        remedy = "`paddock down`, then `paddock up`"
        yield CheckResult(WARN, "runtime", words, remedy)
    else:
        yield CheckResult(OK, "runtime", words)


def _check_latch(session: Session) -> Iterator[CheckResult]:
    from console.states import trading_words
    from engine.risk.latch import LatchCause

    reading = session.latch.read()
    odd = reading.cause in (LatchCause.UNREADABLE, LatchCause.FOREIGN)
    remedy = f"look at {session.home / 'halt'}" if odd else ""
    yield CheckResult(WARN if odd else OK, "trading", trading_words(reading), remedy)


def _check_journals(session: Session) -> Iterator[CheckResult]:
    from engine.trade.accounts import ACCOUNTS, account_folder
    from engine.trade.journal import JOURNAL_FILE, verify_journal

    for account in ACCOUNTS:
        path = account_folder(session.home, account) / JOURNAL_FILE
        if not path.exists():
            continue
        try:
            report = verify_journal(path)
        except PaddockError as exc:
            yield CheckResult(FAIL, "journal", str(exc), "make it readable")
            continue
        if report.is_whole:
            yield CheckResult(OK, "journal", f"{account}: whole, {report.n_lines:,} lines")
        else:
            words = f"{path}, line {report.line} (seq {report.seq}): {report.problem}"
            yield CheckResult(FAIL, "journal", words, "put a whole copy of the file back")


def _check_alerts(session: Session) -> Iterator[CheckResult]:
    import os

    from engine.alerts import ALERT_URLS, HEARTBEAT_URL, channels_of

    channels = channels_of(os.environ)
    for problem in channels.problems:
        yield CheckResult(FAIL, "alerts", problem, f"mend {ALERT_URLS}")
    names = ", ".join(channel.name for channel in channels.channels)
    if not names:
        words = f"nobody outside is told: {ALERT_URLS} is empty"
        yield CheckResult(WARN, "alerts", words, "name addresses of apprise services there")
    elif not session.config.alerts.enabled:
        words = f"{names}; [alerts] enabled is false: nothing is sent"
        yield CheckResult(WARN, "alerts", words, "set [alerts] enabled = true")
    else:
        yield CheckResult(OK, "alerts", f"{names}; `paddock alerts test` tries them")
    if os.environ.get(HEARTBEAT_URL):
        yield CheckResult(OK, "alerts", f"a watcher outside is called ({HEARTBEAT_URL})")


def _check_language_model(session: Session) -> Iterator[CheckResult]:
    from engine.evolve.language_model import KEY_VARIABLES, api_key, missing_key_words

    settings = session.config.language_model
    share = session.config.cycle.language_model_share
    subject = "language"
    where = f"{', '.join(settings.models)} at {settings.base_url}"
    if api_key(os.environ) is None:
        state = WARN if share > 0 else OK
        remedy = f"set {KEY_VARIABLES[0]}" if share > 0 else ""
        yield CheckResult(state, subject, f"off, its share is 0: {missing_key_words()}", remedy)
    elif share == 0:
        yield CheckResult(OK, subject, f"{where}; off in cycles: language_model_share is 0")
    else:
        yield CheckResult(OK, subject, f"{where}; {share:.0%} of candidates")


def _check_targets(session: Session) -> Iterator[CheckResult]:
    from engine.deploy.cloudflare_api import API_TOKEN_VARIABLE
    from engine.deploy.workerd import workerd_path

    subject = "workers"
    is_wanted = session.config.deploy.target == "workerd"
    try:
        yield CheckResult(OK, subject, f"workerd at {workerd_path()}")
    except PaddockError:
        words = "workerd is not installed: nothing can be deployed on this machine"
        remedy = "run scripts/workerd once"
        yield CheckResult(WARN if is_wanted else OK, subject, words, remedy if is_wanted else "")
    account = session.config.cloudflare.account
    if is_wanted and not account:
        return
    missing = [] if account else ["[cloudflare] account"]
    missing += [] if os.environ.get(API_TOKEN_VARIABLE) else [API_TOKEN_VARIABLE]
    if missing:
        words = f"Cloudflare cannot be a target: {' and '.join(missing)} not set"
        yield CheckResult(WARN, subject, words, f"set {' and '.join(missing)}")
    else:
        yield CheckResult(
            OK, subject, f"Cloudflare: account {account}; not asked until deployed to"
        )


def _check_tools() -> Iterator[CheckResult]:
    size = shutil.get_terminal_size()
    if sys.stdout.isatty() and (size.columns < 80 or size.lines < 24):
        words = f"{size.columns}x{size.lines} is small for the console"
        yield CheckResult(WARN, "terminal", words, "use at least 80x24")
    for tool, purpose in (("git", "the code's version in the record of a cycle"),):
        if shutil.which(tool):
            yield CheckResult(OK, "tools", tool)
        else:
            yield CheckResult(WARN, "tools", f"{tool} is not installed", f"needed for {purpose}")
