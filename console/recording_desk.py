"""Record what the console sees, beside looking at it: it must never harm what it watches."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from console.format import clock_time
from console.pages import EventsQuery, RunsQuery
from console.poller import Watch
from console.recording_writer import RecordingWriter, Shown
from console.session import operator
from console.snapshot import LeaderboardQuery
from console.talk import one_line
from engine.errors import PaddockError, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.session import Session
    from console.snapshot import Snapshot

SUFFIX = ".paddock"


class RecordingDesk:
    """Start, feed and stop one recording at a time; `took` is called on the poller's thread.

    Parameters
    ----------
    session : Session
    say : called with a sentence and its level, from any thread
    where : called for the screen that is shown, from any thread
    """

    def __init__(
        self, session: Session, say: Callable[[str, str], None], where: Callable[[], str]
    ) -> None:
        self._session = session
        self._say = say
        self._where = where
        self._watch = Watch()
        self._writer: RecordingWriter | None = None
        # A picture is written whole before its file is ended.
        self._lock = threading.Lock()
        self._has_failed = False
        self.outcome = ""

    @property
    def is_on(self) -> bool:
        """Return whether what is seen is recorded."""
        return self._writer is not None

    @property
    def mark(self) -> str:
        """Return what the first row says of it: a recording that broke off is not forgotten."""
        if self._writer is not None:
            return "REC"
        return "REC BROKE OFF" if self._has_failed else ""

    def start(self, path: Path | None = None) -> Path:
        """Record into a new file, by default one below the home, and return which.

        Raises
        ------
        UsageError : the file is there already, or something is recorded already.
        StoreError : it cannot be written.
        """
        if self._writer is not None:
            raise UsageError(f"{self._writer.path} is being recorded: `:record` alone ends it")
        path = self._default_path() if path is None else path.expanduser().absolute()
        console = self._session.config.console
        about = {
            "began_at": self._session.clock.now_at(),
            "poll_s": console.poll_s,
            "rows_max": console.rows_max,
            "who": operator(),
            "home": str(self._session.home),
            "accounts": list(self._session.accounts),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = RecordingWriter(path, about)
            self._has_failed = False
        except OSError as exc:
            raise StoreError(
                f"{path} cannot be recorded into: {exc.strerror or exc}: name another file"
            ) from exc
        return path

    def stop(self) -> str:
        """End the recording and return what was recorded, in words."""
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is None:
                return "nothing is being recorded"
            with contextlib.suppress(OSError):
                writer.close()
        self.outcome = f"recorded {writer.n_pictures:,} pictures: paddock replay {writer.path}"
        return self.outcome

    def toggle(self, name: str) -> tuple[str, str]:
        """Begin with a file, or end when none is named; return what happened and its level."""
        if self._writer is not None and not name:
            return self.stop(), "ok"
        try:
            path = self.start(Path(name) if name else None)
        except PaddockError as exc:
            return str(exc), "error"
        return f"recording into {path}; `:record` ends it", "ok"

    def look_at(self, watch: Watch) -> Watch:
        """Return what to read for what is on the screen; when recording, for every screen."""
        self._watch = watch
        if self._writer is None:
            return watch
        limit = self._session.config.console.rows_max
        pages = replace(
            watch.pages,
            events=watch.pages.events or EventsQuery(limit=limit),
            runs=watch.pages.runs or RunsQuery(limit=limit),
            learners=True,
            deployments=True,
            changes=True,
        )
        return replace(
            watch,
            leaderboard=watch.leaderboard or LeaderboardQuery(limit=limit),
            trading=replace(watch.trading, fills=True, audit=True, equity=True),
            pages=pages,
        )

    def took(self, snapshot: Snapshot) -> None:
        """Append a snapshot; when that fails, say so once and record no more."""
        with self._lock:
            writer, watch = self._writer, self._watch
            if writer is None:
                return
            shown = Shown(self._where(), watch.strategy_id or "", watch.trading.order_id or "")
            try:
                writer.add(snapshot, shown)
            except OSError as exc:
                self._give_up(writer, exc.strerror or str(exc))
            except Exception as exc:
                # A fault of the recorder's own: the console goes on without it.
                self._give_up(writer, f"unexpected {type(exc).__name__}: {one_line(str(exc))}")

    def _give_up(self, writer: RecordingWriter, why: str) -> None:
        self._writer = None
        self._has_failed = True
        writer.abandon()
        at = clock_time(self._session.clock.now_at())
        self.outcome = (
            f"recording ended at {at} ({why}); {writer.n_pictures:,} pictures are in {writer.path}"
        )
        self._say(self.outcome, "error")

    def _default_path(self) -> Path:
        at = datetime.fromtimestamp(self._session.clock.now_at() / 1000, UTC)
        return self._session.home / "recordings" / f"{at:%Y%m%dT%H%M%SZ}{SUFFIX}"
