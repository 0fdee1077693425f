"""The console's colours: dark, light, for colour-blind eyes, and plain terminal colours."""

from __future__ import annotations

from typing import Any

from textual.theme import Theme

_DARK: dict[str, Any] = {
    "background": "#101418",
    "surface": "#161b21",
    "panel": "#1d242c",
    "foreground": "#d7dde4",
}

THEMES: tuple[Theme, ...] = (
    Theme(
        name="paddock",
        dark=True,
        primary="#6cb6ff",
        secondary="#8ddb8c",
        accent="#dcbdfb",
        success="#6bc46d",
        warning="#daaa3f",
        error="#f47067",
        **_DARK,
        variables={"muted": "#8b98a5", "halt": "#d1242f", "border": "#3d4752"},
    ),
    Theme(
        name="paddock-deuteranopia",
        dark=True,
        primary="#6cb6ff",
        secondary="#9ecbff",
        accent="#dcbdfb",
        success="#4a9eff",
        warning="#e5b800",
        error="#ff8c42",
        **_DARK,
        variables={"muted": "#8b98a5", "halt": "#b35900", "border": "#3d4752"},
    ),
    Theme(
        name="paddock-ansi",
        dark=True,
        primary="ansi_bright_blue",
        secondary="ansi_bright_cyan",
        accent="ansi_bright_magenta",
        success="ansi_green",
        warning="ansi_yellow",
        error="ansi_bright_red",
        # Numbers, not the terminal's own: what lies below a question is dimmed by mixing.
        background="#000000",
        surface="#000000",
        panel="#000000",
        foreground="#e5e5e5",
        variables={"muted": "ansi_bright_black", "halt": "ansi_red", "border": "ansi_bright_black"},
    ),
    Theme(
        name="paddock-light",
        dark=False,
        primary="#0550ae",
        secondary="#116329",
        accent="#6639ba",
        success="#116329",
        warning="#7d4e00",
        error="#a40e26",
        background="#ffffff",
        surface="#f6f8fa",
        panel="#eaeef2",
        foreground="#1f2328",
        variables={"muted": "#57606a", "halt": "#a40e26", "border": "#afb8c1"},
    ),
)
# By what `[console] theme` says.
THEME_NAMES = {
    "default": "paddock",
    **{theme.name.removeprefix("paddock-"): theme.name for theme in THEMES[1:]},
}
