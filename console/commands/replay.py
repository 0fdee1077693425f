"""`paddock replay FILE`: what a console saw, played back on the same screens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from console.talk import say
from engine.errors import UsageError


def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that `paddock --record` made.")],
    speed: Annotated[
        float, typer.Option(min=0.25, max=64.0, help="Recorded seconds a second.")
    ] = 1.0,
) -> None:
    """Play back what a console saw; nothing behind it can be changed.

    p pauses, comma and full stop step, < and > jump a minute, - and + change the speed, o follows
    what the operator looked at, and any screen can be gone to.
    """
    # Late: a file that is none needs no libraries.
    from console.recording_file import Recording

    path = file.expanduser()
    try:
        recording = Recording(path)
    except OSError as exc:
        raise UsageError(f"{file} cannot be read: {exc.strerror or exc}") from exc
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("a replay needs a terminal; `paddock --help` lists the commands")
    from console.replay_app import run_replay

    code = run_replay(recording, context.obj(), speed)
    if recording.cut_short:
        say(f"paddock: {file}: {recording.cut_short}; all before it was played")
    if code:
        raise typer.Exit(code)
