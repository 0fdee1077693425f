"""Would a strategy fit a Worker? Its bundle, its time for a bar, its state and its memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.strategy.javascript.answers import Answers
from engine.strategy.javascript.contract import STATE_MAX_BYTES
from engine.validate.findings import Finding, Severity

MIB = 2**20
_NEAR = 0.75
"""Of a limit: what is worth a warning."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What one Worker may take.

    Attributes
    ----------
    bundle_bytes : of the script as uploaded
    cpu_ms : processor time of one question
    heap_bytes : memory of its isolate
    """

    bundle_bytes: int = MIB
    cpu_ms: float = 10.0
    heap_bytes: int = 128 * MIB


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured on sample bars.

    Attributes
    ----------
    bundle_bytes : size of the file a Worker gets
    cpu_us_mean : processor time of one bar
    cpu_us_most : of the most expensive bar, estimated by the fuel it took
    fuel_most : units of fuel of that bar
    state_bytes_most : of the largest state, as JSON
    heap_bytes : of V8 after the run
    n_bars : bars it was measured on
    """

    bundle_bytes: int
    cpu_us_mean: float
    cpu_us_most: float
    fuel_most: int
    state_bytes_most: int
    heap_bytes: int
    n_bars: int


def measured(answers: Answers, cpu_s: float, heap_bytes: int, bundle_bytes: int) -> Measures:
    """Return the measures of a run that answered on every bar, at least one.

    Time is measured as a whole: inside V8 there is no clock, and fuel says how it was shared.
    """
    mean_us = cpu_s / len(answers) * 1e6
    mean_fuel = float(np.mean(answers.fuel))
    most = int(answers.fuel.max())
    return Measures(
        bundle_bytes=bundle_bytes,
        cpu_us_mean=mean_us,
        cpu_us_most=mean_us * most / mean_fuel if mean_fuel > 0 else mean_us,
        fuel_most=most,
        state_bytes_most=int(answers.state_bytes.max()),
        heap_bytes=heap_bytes,
        n_bars=len(answers),
    )


def resource_findings(measures: Measures, limits: WorkerLimits) -> list[Finding]:
    """Return what a Worker has too little of; from three quarters of a limit on, a warning."""
    checks = (
        ("bundle", "bundle", measures.bundle_bytes, limits.bundle_bytes, "bytes"),
        ("cpu", "most expensive bar", measures.cpu_us_most / 1e3, limits.cpu_ms, "ms"),
        ("state", "largest state", measures.state_bytes_most, STATE_MAX_BYTES, "bytes"),
        ("memory", "memory", measures.heap_bytes, limits.heap_bytes, "bytes"),
    )
    found = []
    for code, what, value, most, unit in checks:
        if value <= most * _NEAR:
            continue
        severity = Severity.ERROR if value > most else Severity.WARNING
        message = f"its {what} takes {value:,.4g} {unit}, a Worker has {most:,.4g}"
        found.append(Finding(f"resources.{code}", severity, message, what))
    return found
