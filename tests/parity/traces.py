"""The values of library indicators on every bar, as JavaScript works them out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.deploy.bundle import bundled
from engine.strategy.genome import IndicatorOperand
from engine.strategy.indicator_specs import INDICATOR_SPECS
from engine.strategy.javascript.operands import operand_text, reading
from engine.strategy.javascript.source import parse_source
from engine.types import Bars, FloatArray, timeframe_ms
from engine.validate.sandbox import Sandbox, SandboxLimits

TRACE = Path(__file__).with_name("trace.js").read_text(encoding="utf-8")
LIMITS = SandboxLimits(cpu_s=120.0, wall_s=300.0, total_cpu_s=3_600.0)


def operands_of(
    name: str, params: Mapping[str, float], timeframe: str | None = None
) -> list[IndicatorOperand]:
    """Return every output of an indicator as an operand."""
    return [
        IndicatorOperand(name=name, params=dict(params), output=output.name, timeframe=timeframe)
        for output in INDICATOR_SPECS[name].outputs
    ]


def traced(
    sandbox: Sandbox, operands: list[IndicatorOperand], bars: Bars, timeframe: str
) -> dict[str, FloatArray]:
    """Return the values of up to 11 operands by key, shape (n_bars,), in a fresh world."""
    lookback, source = _module(operands, timeframe)
    told = sandbox.load(bundled(parse_source(source), TRACE).text)
    assert "error" not in told, told
    sandbox.fill(bars)
    reply = sandbox.run(len(bars), lookback)
    assert "error" not in reply.told, reply.told
    return {operand.key: reply.results[:, i] for i, operand in enumerate(operands)}


def _module(operands: list[IndicatorOperand], timeframe: str) -> tuple[int, str]:
    calls, longer, names, lookback = {}, {}, {"follow"}, 1
    for operand in operands:
        found = reading(operand)
        tape = "own"
        if operand.timeframe is None:
            lookback = max(lookback, found.window_bars)
        else:
            tape = f"tape{operand.timeframe}"
            ratio = timeframe_ms(operand.timeframe) // timeframe_ms(timeframe)
            lookback = max(lookback, ratio + 1)
            # As few as a generated module keeps: what is missing would show.
            keep = ", ".join(f"{name}: {found.window_bars}" for name in found.columns)
            longer[tape] = f'const {tape} = longer(own, "{operand.timeframe}", {{ {keep} }});'
            names.add("longer")
        names.add(found.call)
        variable = operand_text(operand).split(".")[0]
        given = ", ".join([tape, *(repr(float(value)) for value in found.arguments)])
        calls[variable] = f"const {variable} = {found.call}({given});"
    values = ", ".join(operand_text(operand) for operand in operands)
    source = "\n".join(
        [
            f'import {{ {", ".join(sorted(names))} }} from "paddock";',
            f'export const meta = {{ name: "trace", lookback: {lookback} }};',
            "export function decide(bars, state) {",
            f'const own = follow("{timeframe}", bars, state);',
            *longer.values(),
            *calls.values(),
            f"return {{ values: [{values}], state: own.memory }};",
            "}",
        ]
    )
    return lookback, source
