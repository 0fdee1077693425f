"""How a served console talks to its server: it ends when nobody listens any more."""

from __future__ import annotations

import os

from textual.drivers.web_driver import WebDriver
from textual.messages import ExitApp


class ServedDriver(WebDriver):
    """A driver over two pipes, whose console does not outlive the server at their other end."""

    def start_application_mode(self) -> None:
        """Begin, without minding a reader that has gone: the end of input says the same."""
        self._write = self._write_or_drop  # type: ignore[assignment]
        super().start_application_mode()

    def run_input_thread(self) -> None:
        """Read until the console ends or the server does."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._app.post_message(ExitApp())

    def _write_or_drop(self, written: bytes) -> int:
        # A pipe may take less than it is given when a signal comes in between.
        rest = memoryview(written)
        try:
            while rest:
                rest = rest[os.write(self.fileno, rest) :]
        except BrokenPipeError:
            pass
        return len(written)
