"""The console of one browser page: a process of its own, started by `paddock serve`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from console.run import run_console
from console.session import open_session
from console.talk import EXIT_FAILED, one_line, say
from engine.errors import PaddockError


def main() -> int:
    """Run the console over the pipes it was given and return its exit code."""
    parser = argparse.ArgumentParser(prog="paddock serve", description=__doc__)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--no-runtime", action="store_true")
    arguments = parser.parse_args()
    try:
        return run_console(
            open_session(arguments.config),
            starts_runtime=not arguments.no_runtime,
            read_only=arguments.read_only,
        )
    except PaddockError as exc:
        say(one_line(str(exc)))
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
