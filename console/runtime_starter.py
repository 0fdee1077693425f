"""Start the runtime from the console without waiting for it."""

from __future__ import annotations

import subprocess

from console.runtime_process import RuntimeView, last_line, runtime_log, start_runtime
from console.session import Session


class RuntimeStarter:
    """One attempt at a time.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._process: subprocess.Popen[bytes] | None = None
        self._began_s = 0.0

    @property
    def is_starting(self) -> bool:
        """Return whether an attempt is under way."""
        return self._process is not None

    def start(self) -> None:
        """Begin an attempt, unless one is under way.

        Raises
        ------
        StoreError : the home cannot be written.
        """
        if self._process is None:
            self._process = start_runtime(self._session.home, self._session.config_path)
            self._began_s = self._session.clock.monotonic_s()

    def follow(self, view: RuntimeView) -> str:
        """Return what came of the attempt, empty while nothing has; forget it once it is over."""
        process = self._process
        if process is None:
            return ""
        if view.is_alive:
            self._process = None
            return "the runtime is up"
        code = process.poll()
        if code not in (None, 0):
            self._process = None
            log = runtime_log(self._session.home)
            return f"the runtime did not start: {last_line(log)} (log: {log})"
        limit_s = self._session.config.runtime.start_timeout_s
        if self._session.clock.monotonic_s() - self._began_s > limit_s:
            self._process = None
            log = runtime_log(self._session.home)
            return f"the runtime was not ready after {limit_s:g} s: see {log}"
        return ""
