"""Is this written strategy fit to run, here? Its text, its behaviour in a sandbox, its honesty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.errors import StrategyError
from engine.strategy.javascript.answers import Answers
from engine.strategy.javascript.contract import MetaProblem, ScriptMeta
from engine.strategy.javascript.run import Script, ScriptFault, ScriptRun
from engine.strategy.javascript.source import Source
from engine.types import Bars
from engine.validate.findings import Finding, Severity, has_errors
from engine.validate.look_ahead import LEAST_BARS, TESTED_BARS, Behaviour, behaviour_findings
from engine.validate.resources import Measures, WorkerLimits, measured, resource_findings
from engine.validate.risk_rules import RiskLimits, meta_findings, meta_place, risk_findings
from engine.validate.sandbox import Sandbox, SandboxLimits
from engine.validate.syntax import read_script, syntax_findings

N_CUTS = 3
"""Bars after which the future is changed, and at which the strategy starts anew."""

_CODES = {
    "fuel": "sandbox.fuel",
    "throw": "sandbox.throw",
    "load": "sandbox.load",
    "time": "sandbox.time",
    "died": "sandbox.memory",
}


Ground = Callable[[ScriptMeta], tuple[Bars, RiskLimits]]
"""The bars a module is tested on and the limits there, once it has said what it is for."""


@dataclass(frozen=True, slots=True)
class ScriptLimits:
    """What a written strategy must stay inside, wherever it runs."""

    worker: WorkerLimits = field(default_factory=WorkerLimits)
    sandbox: SandboxLimits = field(default_factory=SandboxLimits)


@dataclass(frozen=True, slots=True)
class ScriptReport:
    """What the validator says of one source.

    Attributes
    ----------
    source, meta : None when it could not be read so far
    findings : in the order in which they were found
    measures : None when it did not answer on every sample bar
    """

    source: Source | None
    meta: ScriptMeta | None
    findings: tuple[Finding, ...]
    measures: Measures | None

    @property
    def is_fit(self) -> bool:
        """Return whether no finding is an error."""
        return not has_errors(self.findings)


def read_valid_script(content: bytes) -> tuple[Source | None, list[Finding]]:
    """Return a module whose text may run, or the findings that say why it may not."""
    source, findings = read_script(content)
    if source is not None:
        findings = [*findings, *syntax_findings(source)]
    return (None if has_errors(findings) else source), findings


def check_script(
    content: bytes, ground: Ground, limits: ScriptLimits | None = None, *, seed: int = 0
) -> ScriptReport:
    """Return everything that speaks against a written strategy.

    Its text is read first, and only what may run does, in a sandbox of its own on the last bars.

    Parameters
    ----------
    content : the module as it stands in a file
    ground : gives bars of the timeframe in its limits; as many as the module looks back and
        `TESTED_BARS` more are used, the last ones; not asked when the module cannot be read
    seed : int >= 0, of what is put in place of the future
    """
    source, findings = read_valid_script(content)
    if source is None:
        return ScriptReport(None, None, tuple(findings), None)
    limits = limits or ScriptLimits()
    with Sandbox(limits.sandbox) as sandbox:
        return _Check(Script(source), sandbox, limits, findings).report(ground, seed)


class _Check:
    """One source in its sandbox."""

    def __init__(
        self, script: Script, sandbox: Sandbox, limits: ScriptLimits, findings: Sequence[Finding]
    ) -> None:
        self._script = script
        self._source = script.source
        self._sandbox = sandbox
        self._limits = limits
        self._findings = list(findings)

    def report(self, ground: Ground, seed: int) -> ScriptReport:
        meta, problems = self._script.load(self._sandbox)
        if meta is None:
            found = (self._of_problem(problem) for problem in problems)
            return ScriptReport(self._source, None, (*self._findings, *found), None)
        bars, risk = ground(meta)
        self._findings += meta_findings(self._source, meta, risk)
        measures = self._behaviour(meta, self._sample(meta, bars), risk, seed)
        return ScriptReport(self._source, meta, tuple(self._findings), measures)

    def _sample(self, meta: ScriptMeta, bars: Bars) -> Bars:
        wanted = meta.lookback_bars + TESTED_BARS
        if len(bars) < meta.lookback_bars + LEAST_BARS:
            line, column = meta_place(self._source, "lookback")
            message = (
                f"it was tested on {len(bars)} bars only: with a lookback of {meta.lookback_bars} "
                f"give at least {meta.lookback_bars + LEAST_BARS}"
            )
            self._findings.append(
                Finding("sandbox.too_few_bars", Severity.WARNING, message, "lookback", line, column)
            )
        return bars.slice(max(0, len(bars) - wanted), len(bars))

    def _behaviour(
        self, meta: ScriptMeta, bars: Bars, risk: RiskLimits, seed: int
    ) -> Measures | None:
        if len(bars) == 0:
            return None
        self._sandbox.fill(bars)
        run = self._script.run(self._sandbox, meta, len(bars))
        fault = run if isinstance(run, ScriptFault) else run.fault
        if isinstance(run, ScriptFault) or fault is not None:
            if fault is not None:
                self._findings.append(self._of_fault(fault))
            return None
        self._findings += risk_findings(self._source, meta, run.answers, bars, risk)
        bundle_bytes = self._script.bundle.n_bytes
        measures = measured(run.answers, run.cpu_s, run.heap_bytes, bundle_bytes)
        self._findings += resource_findings(measures, self._limits.worker)
        try:
            self._findings += self._hidden_state(meta, bars, run.answers)
            self._findings += self._look_ahead(meta, bars, risk.timeframe, seed)
        except _Stopped as stop:
            self._findings.append(self._of_fault(stop.fault))
        return measures

    def _anew(
        self, meta: ScriptMeta, bars: Bars, *, first: int, stop: int, state: str
    ) -> ScriptRun:
        """Run in a fresh world.

        Raises
        ------
        _Stopped : it ran out of time or memory.
        """
        read, problems = self._script.load(self._sandbox)
        if read is None:
            fault = next((p for p in problems if isinstance(p, ScriptFault)), None)
            line, column = meta_place(self._source, "name")
            raise _Stopped(fault or ScriptFault("load", "meta changed", line, column, -1))
        self._sandbox.fill(bars)
        run = self._script.run(self._sandbox, meta, len(bars), first=first, stop=stop, state=state)
        if isinstance(run, ScriptFault):
            raise _Stopped(run)
        return run

    def _hidden_state(self, meta: ScriptMeta, bars: Bars, truth: Answers) -> list[Finding]:
        """Start anew from what was returned: what is kept elsewhere shows as another answer."""
        n_bars = len(bars)
        for cut in np.linspace(0, n_bars, N_CUTS + 1).astype(int)[1:-1].tolist():
            before = self._anew(meta, bars, first=0, stop=cut, state="null")
            after = self._anew(meta, bars, first=cut, stop=n_bars, state=before.state)
            bar = _first_difference(truth, before.answers, 0, cut)
            if bar is None:
                bar = _first_difference(truth, after.answers, cut, n_bars)
            for run in (before, after):
                bar = run.fault.bar if bar is None and run.fault is not None else bar
            if bar is not None:
                line, column = self._source.place_of(int(truth.place[bar]))
                message = (
                    "started anew from the state it returned it answers differently: keep "
                    "everything in `state`, nothing outside the function"
                )
                return [Finding("state.hidden", Severity.ERROR, message, "state", line, column)]
        return []

    def _look_ahead(self, meta: ScriptMeta, bars: Bars, timeframe: str, seed: int) -> list[Finding]:
        if len(bars) < meta.lookback_bars + LEAST_BARS:
            return []

        def behave(seen: Bars) -> Behaviour:
            # An odd future may make a strategy fail; what it did before that is what counts.
            run = self._anew(meta, seen, first=0, stop=len(seen), state="null")
            return Behaviour(_columns(run.answers))

        try:
            found = behaviour_findings(
                behave,
                bars,
                timeframe,
                first=meta.lookback_bars,
                seed=seed,
                n_cuts=N_CUTS,
            )
        except StrategyError as exc:
            raise _Stopped(ScriptFault("throw", exc.message, 1, 1, -1)) from exc
        decide = self._source.exported["decide"]
        line, column = self._source.place_of(decide.start_byte)
        return [Finding(f.code, f.severity, f.message, f.place, line, column) for f in found]

    def _of_problem(self, problem: MetaProblem | ScriptFault) -> Finding:
        if isinstance(problem, ScriptFault):
            return self._of_fault(problem)
        line, column = meta_place(self._source, problem.field)
        place = f"meta.{problem.field}" if problem.field else "meta"
        return Finding("meta.value", Severity.ERROR, problem.message, place, line, column)

    def _of_fault(self, fault: ScriptFault) -> Finding:
        code = _CODES.get(fault.code, fault.code)
        where = "while it was read" if fault.bar < 0 else f"on sample bar {fault.bar}"
        line, column = fault.line, fault.column
        if code == "answer.meta":
            line, column = meta_place(self._source, "")
        return Finding(code, Severity.ERROR, f"{fault.message} ({where})", where, line, column)


class _Stopped(Exception):
    def __init__(self, fault: ScriptFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def _columns(answers: Answers) -> dict[str, np.ndarray]:
    return {
        "long_entry": answers.intent == 1,
        "short_entry": answers.intent == 2,
        "long_exit": answers.leaves(is_long=True),
        "short_exit": answers.leaves(is_long=False),
        "size_frac": answers.size_frac,
        "stop_frac": answers.stop_frac,
        "target_frac": answers.target_frac,
        "trailing_frac": answers.trailing_frac,
        "max_bars": answers.max_bars,
    }


def _first_difference(one: Answers, other: Answers, first: int, stop: int) -> int | None:
    """Return the first bar first <= t < stop on which two runs answer differently."""
    differs = np.zeros(stop - first, dtype=np.bool_)
    for name, column in (*_columns(one).items(), ("state", one.state_bytes)):
        theirs = other.state_bytes if name == "state" else _columns(other)[name]
        mine, yours = column[first:stop], theirs[first:stop]
        differs |= (mine != yours) & ((mine == mine) | (yours == yours))
    return first + int(np.argmax(differs)) if differs.any() else None
