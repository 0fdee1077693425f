"""Run a module over bars: one answer a bar, in a sandbox, as arrays for the kernel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.backtest.run import BacktestResult, Evaluator
from engine.deploy.bundle import Bundle, bundled
from engine.errors import SandboxDied, SandboxTimeout, StrategyError
from engine.market.bars import utc_text
from engine.strategy.javascript.answers import Answers, rules_of
from engine.strategy.javascript.contract import MetaProblem, ScriptMeta, read_meta
from engine.strategy.javascript.source import Source
from engine.types import Bars
from engine.validate.sandbox import Sandbox, SandboxLimits

BACKTEST_LIMITS = SandboxLimits(cpu_s=600.0, wall_s=1_200.0, total_cpu_s=1_800.0)
"""Of a run over a whole series; a bar that takes too long runs out of fuel long before."""

_NAMED_ERROR = re.compile(r"\w*Error: .*")
_FRAME = re.compile(r":(\d+):(\d+)\)?$", re.MULTILINE)
_UNREADABLE = re.compile(r"^\S*:(\d+): .*\n.*\n( *)\^", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ScriptFault:
    """Why a module could not go on.

    Attributes
    ----------
    code : `fuel`, `throw`, `load`, `time`, `died`, or dotted: `answer.stop`, `look_ahead.index`
    message : what was said
    line, column : 1-based place in the source
    bar : index of the bar it was asked about, -1 while it was read
    """

    code: str
    message: str
    line: int
    column: int
    bar: int


@dataclass(frozen=True, slots=True, eq=False)
class ScriptRun:
    """What a module answered.

    Attributes
    ----------
    answers : of all bars; meaningless from a fault's bar on
    fault : why it stopped, None when it did not
    state : after the last bar, as JSON
    cpu_s : processor time of the run
    heap_bytes : of V8 after it
    """

    answers: Answers
    fault: ScriptFault | None
    state: str
    cpu_s: float
    heap_bytes: int


class Script:
    """A module made ready for a sandbox.

    Parameters
    ----------
    source : without findings of `engine.validate.syntax`
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.bundle: Bundle = bundled(source, harness_text())

    def load(self, sandbox: Sandbox) -> tuple[ScriptMeta | None, list[MetaProblem | ScriptFault]]:
        """Read the module in a fresh world; return its meta, or what is wrong."""
        try:
            told = sandbox.load(self.bundle.text)
        except (SandboxTimeout, SandboxDied) as exc:
            return None, [self.stopped(exc)]
        if "error" in told:
            return None, [self._fault(told["error"], -1)]
        meta, problems = read_meta(told.get("meta"))
        return meta, list(problems)

    def run(
        self,
        sandbox: Sandbox,
        meta: ScriptMeta,
        n_bars: int,
        *,
        first: int = 0,
        stop: int | None = None,
        state: str = "null",
    ) -> ScriptRun | ScriptFault:
        """Ask about bars first <= t < stop of those the sandbox holds; a fault when it had to stop.

        A module that throws or answers wrongly gives a run with a fault: what came before counts.
        """
        try:
            reply = sandbox.run(n_bars, meta.lookback_bars, first=first, stop=stop, state=state)
        except (SandboxTimeout, SandboxDied) as exc:
            return self.stopped(exc)
        told = reply.told
        fault = None
        if "error" in told:
            fault = self._fault(told["error"], int(told.get("bar", -1)))
        return ScriptRun(
            Answers.of(reply.results),
            fault,
            str(told.get("state", "null")),
            float(told.get("cpu_s", 0.0)),
            int(told.get("heap_bytes", 0)),
        )

    def stopped(self, error: SandboxTimeout | SandboxDied) -> ScriptFault:
        """Return a sandbox's end as a fault, at the place last heard of."""
        code = "time" if isinstance(error, SandboxTimeout) else "died"
        line, column = self._place(error.fields.get("place"))
        return ScriptFault(code, error.message, line, column, _whole(error.fields.get("bar")))

    def _fault(self, error: Mapping[str, Any], bar: int) -> ScriptFault:
        code, message = str(error.get("code")), str(error.get("message"))
        # A wrong answer is named by what gave it back, an error by the call that threw it.
        offset = None if code.startswith(("answer", "look_ahead")) else self._thrown(error)
        if code == "load":
            named = _NAMED_ERROR.search(message)
            message = message[:200] if named is None else named[0]
        if code.startswith("answer"):
            message = message.removeprefix("Error: ")
        line, column = self._place(error.get("place") if offset is None else offset)
        return ScriptFault(code, message, line, column, bar)

    def _thrown(self, error: Mapping[str, Any]) -> int | None:
        text = str(error.get("stack") or error.get("message"))
        pointed = _UNREADABLE.search(text)
        places = [(int(match[1]), int(match[2])) for match in _FRAME.finditer(text)]
        if pointed is not None:
            places.insert(0, (int(pointed[1]), len(pointed[2]) + 1))
        for line, column in places:
            offset = self.bundle.source_offset(line, column)
            if offset is not None:
                return offset
        return None

    def _place(self, offset: object) -> tuple[int, int]:
        """Return line and column of an offset; where `decide` stands when there is none."""
        place = _whole(offset)
        if place < 0:
            decide = self.source.exported.get("decide")
            place = 0 if decide is None else decide.start_byte
        return self.source.place_of(place)


def run_script(
    source: Source, bars: Bars, limits: SandboxLimits = BACKTEST_LIMITS
) -> tuple[ScriptMeta, ScriptRun]:
    """Run a valid module over all bars in a sandbox of its own.

    Raises
    ------
    StrategyError : it cannot be read, or it could not answer on every bar.
    """
    script = Script(source)
    with Sandbox(limits) as sandbox:
        meta, problems = script.load(sandbox)
        if meta is None:
            raise StrategyError("the strategy cannot be read: " + problems[0].message)
        sandbox.fill(bars)
        run = script.run(sandbox, meta, len(bars))
    fault = run if isinstance(run, ScriptFault) else run.fault
    if isinstance(run, ScriptFault) or fault is not None:
        raise StrategyError(_words(meta.name, fault, bars))
    return meta, run


def backtest_script(
    meta: ScriptMeta,
    answers: Answers,
    evaluator: Evaluator,
    risk_per_trade_frac: float,
    start: int = 0,
    stop: int | None = None,
) -> BacktestResult:
    """Return metrics, trades and equity over bars start <= i < stop, through the one kernel."""
    decisions = answers.decisions(meta, risk_per_trade_frac)
    return evaluator.backtest_decisions(decisions, rules_of(meta), start, stop)


def _words(name: str, fault: ScriptFault | None, bars: Bars) -> str:
    if fault is None:
        return f"{name} gave no answer"
    at = f" on the bar of {utc_text(bars.timestamp[fault.bar])}" if fault.bar >= 0 else ""
    return f"{name} stopped at line {fault.line}{at}: {fault.message}"


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) and value == value else -1


@cache
def harness_text() -> str:
    """Return the shell that a sandbox calls a strategy by."""
    return Path(__file__).with_name("harness.js").read_text(encoding="utf-8")
