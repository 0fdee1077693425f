"""The command line: `paddock`. Without a command it opens the console.

Everything heavy is imported inside the command that needs it, so that help answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from console.commands.alerts import alerts_app
from console.commands.arbitrage import arbitrage
from console.commands.backtest import backtest
from console.commands.cycle import cycle
from console.commands.deploy import deploy, deployments, rollback, rollout
from console.commands.doctor import doctor
from console.commands.evolve import evolve
from console.commands.fetch import fetch
from console.commands.journal import journal_app
from console.commands.kill import cancel, flatten, halt, reduce
from console.commands.lifecycle import pause, promote, resume, retire
from console.commands.paper import paper
from console.commands.rearm import drill, rearm
from console.commands.reconcile import reconcile
from console.commands.replay import replay
from console.commands.report import report_app
from console.commands.runtime import down, status, up
from console.commands.search import search
from console.commands.serve import serve
from console.commands.strategies import show, strategies
from console.commands.validate import validate
from console.pace import set_pace
from console.session import Session, open_session
from console.talk import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    one_line,
    say,
    write_crash_log,
)
from engine.errors import PaddockError, UsageError

COMMANDS = (
    cycle,
    search,
    evolve,
    fetch,
    backtest,
    validate,
    arbitrage,
    paper,
    strategies,
    show,
    promote,
    pause,
    resume,
    retire,
    deploy,
    rollout,
    rollback,
    deployments,
    reconcile,
    up,
    down,
    status,
    doctor,
    serve,
    replay,
    reduce,
    halt,
    cancel,
    flatten,
    rearm,
    drill,
)


def build_app() -> typer.Typer:
    """Return the command tree."""
    app = typer.Typer(
        name="paddock",
        help="Breed trading strategies and keep a person in charge of them.",
        no_args_is_help=False,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_root)
    for command in COMMANDS:
        app.command()(command)
    app.add_typer(report_app)
    app.add_typer(journal_app)
    app.add_typer(alerts_app)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 failed, 2 usage, 130 interrupted."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; every failure is one line on stderr."""
    set_pace()
    command = typer.main.get_command(build_app())
    try:
        code = command.main(arguments, prog_name="paddock", standalone_mode=False)
    except typer.Exit as exc:
        return exc.exit_code
    except typer.TyperException as exc:
        where = getattr(getattr(exc, "ctx", None), "command_path", "paddock")
        say(f"{where}: {one_line(_typer_words(exc))}: `{where} --help` lists what there is")
        return EXIT_USAGE
    except UsageError as exc:
        say(f"paddock: {one_line(str(exc))}")
        return EXIT_USAGE
    except PaddockError as exc:
        say(f"paddock: {one_line(str(exc))}")
        return EXIT_FAILED
    except (KeyboardInterrupt, typer.Abort):
        say("paddock: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as exc:
        return _unexpected(exc)
    return code if isinstance(code, int) else EXIT_DONE


def _root(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file; ./config.toml if not given.")
    ] = None,
    no_runtime: Annotated[
        bool, typer.Option("--no-runtime", help="Open the console without starting a runtime.")
    ] = False,
    read_only: Annotated[
        bool,
        typer.Option("--read-only", help="Open the console to look only; halting still works."),
    ] = False,
    record: Annotated[
        Path | None, typer.Option(help="New file that what the console sees is recorded into.")
    ] = None,
) -> None:
    context.obj = _session_opener(config)
    if context.invoked_subcommand is None:
        _open_console(
            context.obj(), starts_runtime=not no_runtime, read_only=read_only, record=record
        )
    elif record is not None:
        raise UsageError("--record is about the console: it goes with no command")


def _session_opener(config: Path | None) -> Callable[[], Session]:
    # Read when first asked for: help and usage errors need no configuration.
    return cache(lambda: open_session(config))


def _open_console(
    session: Session, *, starts_runtime: bool, read_only: bool, record: Path | None
) -> None:
    # Textual draws on stderr, so that stdout may be a file.
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("the console needs a terminal; `paddock --help` lists the commands")
    from console.run import run_console

    code = run_console(session, starts_runtime=starts_runtime, read_only=read_only, record=record)
    if code:
        raise typer.Exit(code)


def _typer_words(error: typer.TyperException) -> str:
    words = error.format_message() if hasattr(error, "format_message") else str(error)
    return words.rstrip(".")


def _unexpected(error: Exception) -> int:
    log = next((path for path in (write_crash_log(f, error) for f in _log_folders()) if path), None)
    kept = f"the traceback is in {log}" if log else "the traceback could not be written"
    say(f"paddock: unexpected {type(error).__name__}: {one_line(str(error))}; {kept}")
    return EXIT_FAILED


def _log_folders() -> list[Path]:
    import tempfile

    folders = [Path(tempfile.gettempdir())]
    with contextlib.suppress(PaddockError):
        folders.insert(0, open_session(None).home / "logs")
    return folders


if __name__ == "__main__":
    main()
