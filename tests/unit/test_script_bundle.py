"""A guarded source: lines stay, places lead back, nothing foreign survives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.deploy.bundle import bundled
from engine.deploy.instrument import instrumented, with_fuel
from engine.strategy.javascript.library import library_names, library_text
from engine.strategy.javascript.source import parse_source
from engine.strategy.javascript.writer import javascript_of
from engine.strategy.library import LIBRARY, library_genome

HONEST = sorted((Path(__file__).parents[1] / "parity" / "honest").glob("*.js"))
HEAD = 'export const meta = { name: "x", lookback: 3 };\n'


def guarded(body: str) -> str:
    text = instrumented(parse_source(f"{HEAD}export function decide(b) {{\n{body}\n}}\n")).text
    return "\n".join(text.split("\n")[2:-2])


@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
def test_no_line_moves_and_every_copied_place_leads_back(path: Path) -> None:
    source = parse_source(path.read_text())
    result = instrumented(source)
    assert result.text.count("\n") == source.text.count("\n")
    octets = result.text.encode()
    for start, origin, length in result.segments:
        part = octets[start : start + length]
        assert part == source.octets[origin : origin + length]
        line = octets[:start].count(b"\n") + 1
        column = start - (octets[:start].rfind(b"\n") + 1) + 1
        if part.strip() and not part.startswith(b"\n"):
            assert result.source_offset(line, column) == origin
            assert source.place_of(origin)[0] == line


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("while (b) b--;", "while (b) {$$step("),
        ("for (;;);", "for (;;){$$step("),
        ("do b--; while (b)", "do {$$step("),
        ("for (const k in b) k;", "for (const k in $$meter((b)))"),
        ("const f = x => x;", "($$step("),
        ("return b[b.x];", "$$gave(($$read(b,(b.x),"),
        ("b[b.x] = 1;", "b[$$slot((b.x))] = 1;"),
        ("b[0] = 1;", "b[0] = 1;"),
        ("b?.[b.x];", "b?.[$$key((b.x))];"),
        ("b[b.x](1);", "b[$$key((b.x))](1);"),
        ("b += 1;", "$$text(b += 1);"),
        ("b = b + 1 + b;", "b = $$text(b + 1 + b);"),
        ("b = 1 + 2 * b;", "b = 1 + 2 * b;"),
        ("b = `${b}`;", "b = $$text(`${b}`);"),
        ("b.x(...b);", "b.x(...$$meter(b));"),
        ("b.x.map(b);", "$$meter(b.x).map(b);"),
        ("b?.x.map(b);", "$$meter(b?.x)?.map(b);"),
        ("b.set(1, 2);", "$$taking(b).set(1, 2);"),
        ("try { b; } catch { b; }", "catch {$$charge("),
        ("throw b;", "throw $$gave((b),"),
        ("return b, 1;", "return $$gave((b, 1),"),
        ("b = { [b.x]: 1 };", "{ [$$key(b.x)]: 1 }"),
        ("b = 'fetch(); // x';", r"'fetch\u0028\u0029\u003b \u002f\u002f x'"),
    ],
)
def test_what_repeats_or_is_computed_is_guarded(body: str, wanted: str) -> None:
    assert wanted in guarded(body)


def test_comments_are_left_out_and_imports_come_first() -> None:
    source = parse_source(
        '/* fetch() */ import { ema as average, rsi } from "paddock"; // eval\n'
        f"{HEAD}export function decide() {{ /* x\ny */ return 1; }}\n"
    )
    text = instrumented(source).text
    assert text.startswith("const {ema: average, rsi} = $$library;")
    assert not re.search(r"fetch|eval|import|export", text)
    assert text.count("\n") == source.text.count("\n")


def test_the_library_has_fuel_and_no_modules() -> None:
    text = with_fuel(parse_source(library_text()))
    assert "import" not in re.sub(r"//.*|/\*.*?\*/", "", text)
    assert "export" not in text
    n_loops = len(re.findall(r"\b(?:for|while) \(", text))
    assert n_loops > 20
    assert text.count("if(($$fuel-=") >= n_loops
    assert {"ema", "rsi", "follow", "longer", "crossing"} <= set(library_names())


def test_a_bundle_knows_where_its_strategy_stands_and_has_a_name() -> None:
    source = parse_source(javascript_of(library_genome("momentum", "5m"), "momentum"))
    bundle = bundled(source, "// shell")
    lines = bundle.text.split("\n")
    decide = source.exported["decide"]
    line, _ = source.place_of(decide.start_byte)
    own = lines[bundle.strategy_line + line - 2]
    assert "function decide(bars, state)" in own
    column = own.index("decide") + 1
    assert bundle.source_offset(bundle.strategy_line + line - 1, column) == decide.start_byte
    assert bundle.source_offset(1, 1) is None
    assert bundle.source_offset(len(lines), 1) is None
    assert bundle.n_bytes == len(bundle.text.encode())
    assert len(bundle.sha256) == 64
    assert bundled(source, "// other").sha256 != bundle.sha256


def test_a_bundle_is_small_beside_what_a_worker_may_be() -> None:
    for name in LIBRARY:
        source = parse_source(javascript_of(library_genome(name, "5m"), name))
        assert bundled(source, "").n_bytes < 2**16
