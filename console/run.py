"""Run the console in this process until it is quit."""

from __future__ import annotations

from pathlib import Path

from console.app import PaddockApp
from console.operator_lock import OperatorLock
from console.session import Session, operator
from console.talk import EXIT_FAILED, one_line, say, write_crash_log
from console.terminal import suit_terminal


def run_console(
    session: Session,
    *,
    starts_runtime: bool = True,
    read_only: bool = False,
    record: Path | None = None,
) -> int:
    """Run the console and return its exit code.

    A second console on a home only looks, as one does that was asked to.

    Parameters
    ----------
    record : Path, a new file that what is seen is recorded into

    Raises
    ------
    UsageError : that file is there already.
    StoreError : it cannot be written.
    """
    lock = OperatorLock(session.home)
    why = "--read-only" if read_only else lock.take(operator(), session.clock.now_at())
    try:
        app = PaddockApp(
            session,
            starts_runtime=starts_runtime,
            owns_process=True,
            read_only=why,
            offers_start=True,
        )
        suit_terminal(app, session.config.console.glyphs, session.config.console.theme)
        if record is not None:
            app.recording.start(record)
        app.run()
    finally:
        lock.release()
    return told_end(app)


def told_end(app: PaddockApp) -> int:
    """Say what is left to say below the console's last picture, and return its exit code."""
    if app.recording.outcome:
        say(f"paddock: {app.recording.outcome}")
    if app.error is not None:
        log = write_crash_log(app.session.home / "logs", app.error)
        kept = f"the traceback is in {log}" if log else "the traceback could not be written"
        what = f"{type(app.error).__name__}: {one_line(str(app.error))}"
        say(f"paddock: unexpected {what}; the runtime keeps running; {kept}")
        return EXIT_FAILED
    if app.return_code and app.return_code > 128:
        say("paddock: terminated; the runtime keeps running")
    return int(app.return_code or 0)
