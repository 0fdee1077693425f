"""One backtest run again, in a process of its own, beside what was recorded of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import sys
from typing import Any

from textual.content import Content

from console.child_process import child_environment
from console.format import number
from console.pages import RunRow
from console.session import Session

_SHOWN = ("fitness", "sharpe", "total_return", "max_drawdown", "n_trades")


class Rerun:
    """Run `paddock backtest` for one row of the ledger.

    Parameters
    ----------
    session : Session
    row : what was recorded
    """

    def __init__(self, session: Session, row: RunRow) -> None:
        self.row = row
        self.is_running = False
        self.problem = ""
        self.found: dict[str, float] = {}
        self._session = session
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopped = False

    async def run(self) -> None:
        """Run it to its end; what went wrong is in `problem`."""
        self.is_running = True
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                env=child_environment(self._session),
            )
            output, talk = await self._process.communicate()
        except OSError as exc:
            self.problem = f"it could not be started: {exc.strerror or exc}"
        else:
            self._read(output, talk)
        finally:
            self.is_running = False

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._is_stopped = True
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def told(self) -> tuple[str, str]:
        """Return its outcome in a sentence, and the level of that."""
        if self.problem:
            return f"run again: {self.problem}", "warn" if self._is_stopped else "error"
        return "run again: done, its numbers stand beside the recorded ones", "ok"

    def _read(self, output: bytes, talk: bytes) -> None:
        if self._is_stopped:
            self.problem = "stopped"
            return
        if self._process is None or self._process.returncode:
            lines = talk.decode(errors="replace").strip().splitlines()
            self.problem = lines[-1].removeprefix("paddock: ") if lines else "it ended badly"
            return
        try:
            self.found = _metrics(json.loads(output), self.row)
        except (ValueError, KeyError, TypeError):
            self.problem = "its answer could not be read"
            return
        if not self.found:
            self.problem = f"it has no segment {self.row.segment} of {self.row.symbol} now"

    def _command(self) -> list[str]:
        path = self._session.config_path
        chosen = [] if path is None else ["--config", str(path)]
        row = self.row
        return [
            sys.executable,
            "-m",
            "console.cli",
            *chosen,
            "backtest",
            row.strategy_id,
            "--symbols",
            row.symbol,
            "--json",
        ]


def rerun_content(rerun: Rerun) -> Content:
    """Return both sets of numbers, side by side."""
    if rerun.is_running:
        return Content("running again…  {run.cancel} stops it")
    if rerun.problem:
        return Content.styled(f"✗ {rerun.problem}", "$error")
    lines = [Content.styled(f"{'':<14}{'recorded':>12}{'now':>12}", "$muted")]
    for name in _SHOWN:
        old, new = rerun.row.metrics[name], rerun.found.get(name, math.nan)
        is_same = old == new or (math.isnan(old) and math.isnan(new))
        mark = "" if is_same else "  differs"
        lines.append(
            Content.assemble(
                (f"{name.replace('_', ' '):<14}", "$muted"),
                f"{number(old, 4):>12}{number(new, 4):>12}",
                (mark, "$warning"),
            )
        )
    lines.append(
        Content.styled(
            "Differences mean other bars: the window moves with [market] and its days.", "$muted"
        )
    )
    return Content("\n").join(lines)


def _metrics(told: Any, row: RunRow) -> dict[str, float]:
    for run in told["results"]:
        if run["symbol"] == row.symbol and run["segment"] == row.segment:
            return {
                name: math.nan if value is None else float(value)
                for name, value in run["metrics"].items()
                if value is None or isinstance(value, int | float)
            }
    return {}
