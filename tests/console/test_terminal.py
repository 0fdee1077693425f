"""The real console on a real terminal: signs, colours, sizes, and that it is left as it was."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.glyphs import AsciiTable, ascii_sign, to_ascii
from console.states import FAILED, HALTED, IDLE, MOVING, OK, WARN
from console.terminal import has_few_colours, needs_ascii
from tests.console.conftest import filled_home, operator_is_ana
from tests.console.real_terminal import Terminal

__all__ = ["filled_home", "operator_is_ana"]

Open = Callable[..., Terminal]
CONSOLE = ["-m", "console.cli", "--no-runtime"]
CONTROL = re.compile(
    rb"\x1b(\[[0-9;?<>=$]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78]|\][^\x07\x1b]*(\x07|\x1b\\))"
)
F9 = b"\x1b[20~"


@pytest.fixture
def open_terminal(filled_home: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def make(
        arguments: list[str] = CONSOLE,
        size: tuple[int, int] = (120, 36),
        **environment: str | None,
    ) -> Terminal:
        home = {"PADDOCK_PATHS__HOME": str(filled_home)}
        terminal = Terminal(arguments, {**home, **environment}, size)
        opened.append(terminal)
        return terminal

    yield make
    for terminal in opened:
        terminal.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_the_terminal_as_it_was(
    open_terminal: Open, number: signal.Signals
) -> None:
    terminal = open_terminal()
    terminal.until(b"Cycle 3")
    assert terminal.now() != terminal.before
    os.kill(terminal.process.pid, number)
    assert terminal.until_ended() == 128 + number
    assert terminal.is_as_before()
    assert terminal.written.endswith(b"paddock: terminated; the runtime keeps running\r\n")


def test_a_crash_leaves_the_terminal_as_it_was_and_is_one_line(
    open_terminal: Open, filled_home: Path
) -> None:
    code = (
        "import sys, console.screens.events as events, console.cli as cli\n"
        "def fail(*_): raise ValueError('it broke')\n"
        "events.EventsScreen.show = fail\n"
        "sys.exit(cli.run(['--no-runtime']))\n"
    )
    terminal = open_terminal(["-c", code])
    terminal.until(b"Cycle 3")
    terminal.press(b"8")
    assert terminal.until_ended() == 1
    assert terminal.is_as_before()
    said = terminal.written.rpartition(b"\x1b[?1049l")[2]
    assert b"paddock: unexpected ValueError: it broke; the runtime keeps running" in said
    assert b"Traceback" not in said
    (log,) = (filled_home / "logs").glob("crash-*.log")
    assert "it broke" in log.read_text()


def test_a_console_that_showed_every_screen_has_loaded_neither_ray_nor_torch(
    open_terminal: Open,
) -> None:
    code = (
        "import sys, console.cli as cli\n"
        "cli.run(['--no-runtime'])\n"
        "print('LOADED', sorted({'ray', 'torch'} & set(sys.modules)), 'textual' in sys.modules)\n"
    )
    terminal = open_terminal(["-c", code])
    terminal.until(b"Cycle 3")
    for number, words in enumerate(
        ("strategies", "backtests", "learners", "orders", "deployments", "risk", "events"), start=2
    ):
        since = len(terminal.written)
        terminal.press(str(number).encode())
        terminal.until(f"── {words}".encode(), since=since)
    terminal.press(b"9")
    terminal.until(b"Doctor")
    terminal.press(b"2")
    terminal.until(b"30 of 30")
    terminal.press(b"\r")
    terminal.until("── strategies › ".encode())
    terminal.press(b"\x11")
    terminal.until(b"Quit the console?")
    terminal.press(b"y")
    terminal.until(b"LOADED [] True")


def test_a_lost_connection_ends_the_console(open_terminal: Open) -> None:
    terminal = open_terminal()
    terminal.until(b"Cycle 3")
    terminal.hang_up()
    assert terminal.process.wait(60) != 0


def test_resizing_all_the_time_shows_what_fits_and_leaves_the_terminal_sane(
    open_terminal: Open,
) -> None:
    terminal = open_terminal()
    terminal.until(b"Cycle 3")
    for step in range(60):
        terminal.resize((20 + 7 * step % 230, 5 + 3 * step % 65))
        terminal.read(0.0)
    terminal.resize((60, 20))
    terminal.until(b"the console needs 80x24")
    since = len(terminal.written)
    terminal.resize((250, 70))
    terminal.until(b"best fitness by cycle", since=since)
    terminal.press(b"\x11")
    terminal.until(b"Quit the console?", since=since)
    terminal.press(b"y")
    assert terminal.until_ended() == 0
    assert terminal.is_as_before()


def test_a_size_that_no_signal_told_of_is_noticed(open_terminal: Open) -> None:
    # The mask is handed on to the console.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
    try:
        terminal = open_terminal()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    terminal.until(b"Cycle 3")
    since = len(terminal.written)
    terminal.resize((60, 20))
    terminal.until(b"the console needs 80x24", since=since)


def test_tiny_terminal_still_halts(open_terminal: Open, filled_home: Path) -> None:
    terminal = open_terminal(size=(30, 8))
    terminal.until(b"HALTS all trading")
    terminal.press(F9)
    terminal.until(b"TRADING HALTED")
    assert (filled_home / "halt" / "HALT").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "C"},
        {"LC_ALL": "POSIX"},
        {"LANG": "de_DE.ISO-8859-1"},
        {"TERM": "linux"},
        {"TERM": "dumb"},
        {"PADDOCK_CONSOLE__GLYPHS": "ascii"},
    ],
    ids=lambda environment: " ".join(f"{k}={v}" for k, v in environment.items()),
)
def test_terminal_without_utf8_is_sent_nothing_but_ascii(
    open_terminal: Open, environment: dict[str, str]
) -> None:
    terminal = open_terminal(**environment)
    terminal.until(b"Cycle 3")
    terminal.until(b"best fitness by cycle")
    terminal.press(F9)
    terminal.until(b"TRADING HALTED")
    os.kill(terminal.process.pid, signal.SIGTERM)
    terminal.until_ended()
    assert terminal.written.isascii()
    assert terminal.is_as_before()


@pytest.mark.parametrize("environment", [{}, {"LANG": None}, {"LANG": "de_DE.UTF-8@euro"}])
def test_terminal_that_may_know_utf8_gets_our_signs(
    open_terminal: Open, environment: dict[str, str | None]
) -> None:
    terminal = open_terminal(**environment)
    terminal.until("── overview".encode())


@pytest.mark.parametrize("term", ["xterm", "screen", "linux"])
def test_terminal_of_sixteen_colours_is_asked_for_no_others(open_terminal: Open, term: str) -> None:
    terminal = open_terminal(TERM=term)
    terminal.until(b"best fitness by cycle")
    terminal.press(F9)
    terminal.until(b"TRADING HALTED")
    codes = [found.group() for found in CONTROL.finditer(terminal.written)]
    colours = {part for code in codes if code.endswith(b"m") for part in code[2:-1].split(b";")}
    assert b"38" not in colours
    assert b"48" not in colours
    # Its own red still says what is dangerous.
    assert colours & {b"31", b"41", b"91"}


def test_no_color_means_none(open_terminal: Open) -> None:
    terminal = open_terminal(NO_COLOR="1")
    terminal.until(b"best fitness by cycle")
    terminal.press(F9)
    terminal.until(b"TRADING HALTED")
    for found in CONTROL.finditer(terminal.written):
        code = found.group()
        if not code.endswith(b"m") or not code.startswith(b"\x1b["):
            continue
        for grey in re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", code):
            assert len(set(grey)) == 1, code
        rest = re.sub(rb"[34]8;(2;\d+;\d+;\d+|5;\d+)", b"", code)
        coloured = {str(n).encode() for n in (*range(31, 37), *range(41, 47), *range(91, 97))}
        assert not coloured & set(re.findall(rb"\d+", rest)), code


@pytest.mark.parametrize(
    ("environment", "is_needed"),
    [
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "en_US.utf8"}, False),
        ({"LANG": "C"}, True),
        # What Python makes of LANG=C before anybody can look.
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, True),
        ({"LANG": "C", "LC_ALL": "en_US.UTF-8"}, False),
        ({}, False),
        ({"TERM": "linux", "LANG": "en_US.UTF-8"}, True),
        ({"TERM": "vt220"}, True),
        ({"TERM": "xterm-kitty"}, False),
    ],
    ids=str,
)
def test_signs_follow_the_environment(environment: dict[str, str], is_needed: bool) -> None:
    assert needs_ascii("auto", environment) is is_needed
    assert needs_ascii("ascii", environment)
    assert not needs_ascii("unicode", environment)


@pytest.mark.parametrize(
    ("environment", "are_few"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, False),
        ({"TERM": "screen"}, True),
        ({"TERM": "tmux-256color"}, False),
        ({"TERM": "linux"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({}, False),
    ],
    ids=str,
)
def test_colours_follow_the_environment(environment: dict[str, str], are_few: bool) -> None:
    assert has_few_colours(environment) is are_few


def test_every_state_keeps_a_sign_of_its_own_in_ascii() -> None:
    signs = [ascii_sign(style.glyph) for style in (OK, MOVING, IDLE, WARN, FAILED, HALTED)]
    assert len(set(signs)) == len(signs)


def test_every_sign_that_the_console_writes_has_an_ascii_of_its_width() -> None:
    from rich.cells import cell_len

    folder = Path(__file__).parents[2]
    text = "".join(
        path.read_text()
        for floor in ("console", "engine")
        for path in (folder / floor).rglob("*.py")
    )
    table = AsciiTable()
    for sign in sorted({c for c in text if not c.isascii()} - {"\ufffd"}):
        assert len(ascii_sign(sign)) == cell_len(sign), sign
        assert ascii_sign(sign) != "?", f"{sign} {ord(sign):x}"
    boxes = "".join(map(chr, (*range(0x2500, 0x25A0), *range(0x2800, 0x2900))))
    assert len(to_ascii(boxes, table)) == len(boxes)
    assert to_ascii("Größe 漢字 e\u0301", table) == "Grose ???? e"
