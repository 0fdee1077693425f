"""`paddock journal`: prove an account's journal whole, and read what is in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.choices import at_least
from console.session import Session
from console.talk import EXIT_FAILED, emit, emit_json, say

if TYPE_CHECKING:
    from engine.trade.journal_file import Place
    from engine.trade.journal_line import JournalLine

_FOLLOW_S = 0.25

AccountOption = Annotated[str, typer.Option(help="Account: paper or live.")]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="A journal elsewhere, such as a copy.")
]

journal_app = typer.Typer(
    name="journal",
    help="Verify and read an account's journal.",
    no_args_is_help=False,
    add_completion=False,
)


@journal_app.callback()
def journal() -> None:
    """Verify and read an account's journal."""


@journal_app.command()
def verify(
    context: typer.Context,
    account: AccountOption = "paper",
    file: FileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Prove that no byte of the journal was changed; exit 1 and say where when one was."""
    from engine.trade.journal import verify_journal

    path = _path(context.obj(), account, file)
    report = verify_journal(path)
    if as_json:
        emit_json(
            {
                "path": str(path),
                "whole": report.is_whole,
                "lines": report.n_lines,
                "problem": report.problem,
                "line": report.line,
                "seq": report.seq,
                "last_hash": report.last_hash,
            }
        )
    elif report.is_whole:
        emit(f"{path}: whole, {report.n_lines:,} lines, last hash {report.last_hash}")
    if not report.is_whole:
        say(
            f"paddock: {path}, line {report.line} (seq {report.seq}): {report.problem}; "
            f"the {report.n_lines:,} lines before it are whole"
        )
        raise typer.Exit(EXIT_FAILED)


@journal_app.command()
def tail(
    context: typer.Context,
    account: AccountOption = "paper",
    file: FileOption = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with every line that is added.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print the journal's last lines in words, oldest first."""
    from console.journal_words import line_json, line_words

    n_lines = at_least(lines, 0, "--lines")
    for line in _lines(_path(context.obj(), account, file), n_lines, is_endless=follow):
        if as_json:
            emit_json(line_json(line))
        else:
            emit(line_words(line))


def _path(session: Session, account: str, file: Path | None) -> Path:
    from engine.trade.accounts import account_folder
    from engine.trade.journal import JOURNAL_FILE

    if file is not None:
        return file.expanduser().absolute()
    return account_folder(session.home, account) / JOURNAL_FILE


def _lines(path: Path, n_lines: int, *, is_endless: bool) -> Iterator[JournalLine]:
    from engine.trade.journal_file import last_lines

    lines, place = last_lines(path, max(1, n_lines))
    yield from lines[len(lines) - min(n_lines, len(lines)) :]
    while is_endless:
        time.sleep(_FOLLOW_S)
        for line, after in _added(path, place):
            yield line
            place = after


def _added(path: Path, place: Place) -> Iterator[tuple[JournalLine, Place]]:
    from engine.trade.journal_file import last_lines, lines_from

    if path.exists() and path.stat().st_size < place.offset:
        # A line that was seen was not acknowledged, and was taken back by its writer.
        _, place = last_lines(path, 1)
    return lines_from(path, place)
