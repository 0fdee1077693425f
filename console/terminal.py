"""What the terminal can show, by its environment, and a console that keeps within that."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App
    from textual.geometry import Size

ANSI_THEME = "paddock-ansi"
# Fonts of these hold no braille and few blocks, or nothing beyond ASCII.
_PLAIN_TERMS = ("dumb", "unknown", "linux", "cons25", "ansi", "vt")
_FEW_COLOURS_TERMS = ("dumb", "unknown", "linux", "cons25", "ansi", "vt", "xterm", "screen", "rxvt")
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
_UTF8 = ("utf-8", "utf8")


def needs_ascii(choice: str, environment: Mapping[str, str]) -> bool:
    """Return whether only ASCII may be drawn.

    Parameters
    ----------
    choice : `[console] glyphs`: "auto", "unicode" or "ascii"
    """
    if choice != "auto":
        return choice == "ascii"
    if environment.get("TERM", "").startswith(_PLAIN_TERMS):
        return True
    locale = _locale(environment)
    return bool(locale) and not locale.lower().endswith(_UTF8)


def has_few_colours(environment: Mapping[str, str]) -> bool:
    """Return whether the terminal shows the sixteen colours of its own palette at most."""
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return False
    term = environment.get("TERM", "")
    return "256" not in term and term.partition("-")[0].startswith(_FEW_COLOURS_TERMS)


def suit_terminal(app: App[int], glyphs: str, theme: str) -> None:
    """Have an app draw what this process's terminal can show.

    Parameters
    ----------
    glyphs : `[console] glyphs`
    theme : `[console] theme`; one that was chosen is kept
    """
    from textual.drivers.linux_driver import LinuxDriver

    if app.driver_class is not LinuxDriver:
        # A browser, or a test: no terminal of ours.
        return
    if needs_ascii(glyphs, os.environ):
        from console.ascii_driver import AsciiDriver

        app.driver_class = AsciiDriver
    if theme == "default" and has_few_colours(os.environ):
        app.theme = ANSI_THEME
    # What the stream cannot encode is a question mark, and no reason to die.
    with contextlib.suppress(OSError, ValueError):
        if isinstance(sys.__stderr__, io.TextIOWrapper):
            sys.__stderr__.reconfigure(errors="replace")


def missed_size(app: App[int]) -> Size | None:
    """Return the terminal's size, cells, when the app believes in another one; None otherwise.

    Textual reads the size in a signal handler and posts it from there. A second signal may
    interrupt the first handler in between: the newer size is then posted first, and the older one
    stays.
    """
    from textual.drivers.linux_driver import LinuxDriver
    from textual.geometry import Size

    if not issubclass(app.driver_class, LinuxDriver) or app.is_headless:
        return None
    size = Size(*shutil.get_terminal_size())
    return None if size == app.size else size


def _locale(environment: Mapping[str, str]) -> str:
    values = {name: environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")}
    if values["LANG"] and values["LC_CTYPE"] in _COERCED:
        # Python says so itself where the locale is C or not there (PEP 538); the terminal is as
        # it was.
        values["LC_CTYPE"] = ""
    # Text of a locale may go on after its encoding: de_DE.UTF-8@euro.
    return next((value.partition("@")[0] for value in values.values() if value), "")
