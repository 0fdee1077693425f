"""A terminal driver that writes ASCII only."""

from __future__ import annotations

from textual.drivers.linux_driver import LinuxDriver

from console.glyphs import AsciiTable, to_ascii

_TABLE = AsciiTable()


class AsciiDriver(LinuxDriver):
    """Write every sign as the ASCII that stands for it; control sequences are ASCII already."""

    def write(self, data: str) -> None:
        """Write to the terminal."""
        super().write(to_ascii(data, _TABLE))
