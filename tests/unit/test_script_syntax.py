"""What a written strategy's text may and may not contain, and where that is said to be."""

from __future__ import annotations

import pytest

from engine.strategy.javascript.contract import SOURCE_MAX_BYTES
from engine.strategy.javascript.scopes import names_of
from engine.strategy.javascript.source import depth_of, parse_source
from engine.validate.findings import Finding, Severity
from engine.validate.syntax import MAX_FINDINGS, read_script, syntax_findings

HEAD = 'export const meta = { name: "x", lookback: 3 };\n'


def found(source: str) -> list[Finding]:
    module, findings = read_script(source.encode())
    return findings if module is None else [*findings, *syntax_findings(module)]


def inside(body: str) -> list[Finding]:
    return found(f"{HEAD}export function decide(bars, state) {{\n{body}\n}}\n")


ALLOWED = (
    "let a = 1; a += 2; a++; return a;",
    "const { close, open: first = [] } = bars; return close[0] + first;",
    "const [one, , two = 3] = [1, 2]; return one + two;",
    "for (let i = 0, n = 3; i < n; i++) { if (i) continue; else break; }",
    "for (const key in { a: 1 }) state = key; return state;",
    "for (const [k, v] of new Map([[1, 2]])) { if (k > v) return k; }",
    "outer: while (true) { do { break outer; } while (1); }",
    "try { throw new RangeError('x'); } catch (e) { return e.message; } finally { state = null; }",
    "switch (state) { case 1: { let a = 2; return a; } default: return 0; }",
    "const f = (x, { y = 2 } = {}, ...rest) => x + y + rest.length; return f(1);",
    "const o = { a: 1, 'b c': 2, ['d']: 3, f(x) { return x; }, state }; return o.f(o?.a ?? 1);",
    "return `${bars.close.at(-1)} and ${1 + 1}`;",
    "return [...bars.close].map((x) => x * 2).filter(Boolean).slice(-3);",
    "var late = early; var early = 1; function early2() { return late; } return early2();",
    "return typeof state === 'object' && 'a' in state && delete state.a;",
    "return Math.max(Infinity, NaN, Number('1'), parseFloat('2'), isNaN(3) ? 1 : 0);",
    "const xs = new Float64Array(3); xs.set(bars.close.slice(0, 3)); return Object.keys(xs);",
    "const next = (() => { let n = 0; return () => (n += 1); })(); return next() + next();",
    "/* a --> b, <!-- c */ // fetch(), eval, `$$fuel`\nreturn '--> fetch()';",
    "let map = { map: 1, set: 2 }; return { ...map, sort: 3 };",
)


@pytest.mark.parametrize("body", ALLOWED)
def test_ordinary_javascript_is_allowed(body: str) -> None:
    assert inside(body) == []


REFUSED = (
    ("class A {}", "construct.class", 1),
    ("return this.x;", "construct.this", 8),
    ("function* g() {}", "construct.generator", 1),
    ("const f = async () => 1;", "construct.async", 11),
    ("for await (const x of bars) {}", "construct.async", 1),
    ("return /x/.test('x');", "construct.regex", 8),
    ("const o = { get a() { return 1; } };", "construct.accessor", 13),
    ("debugger;", "construct.debugger", 1),
    ("return new.target;", "construct.meta", 8),
    ("return import('x');", "construct.import", 8),
    ("return 10n;", "construct.bigint", 8),
    ("const { a, ...b } = state;", "construct.rest", 12),
    ("const [a, ...b] = state;", "construct.rest", 11),
    ("const { ['a']: b } = state;", "construct.computed_pattern", 9),
    ("return new Object();", "construct.new", 8),
    ("return new (bars.x)();", "construct.new", 8),
    ("const a = []; a.length = 3;", "construct.length", 15),
    ("const a = []; [a.length] = [3];", "construct.length", 16),
    ("const a = []; ({ b: a.length } = { b: 3 });", "construct.length", 21),
    ("const a = []; for (a.length of [3]) {}", "construct.length", 20),
    ("const a = []; a.length++;", "construct.length", 15),
    ("return String.raw`x`;", "construct.tag", 8),
    ("let n = 3; while (n --> 0) {}", "construct.comment", 21),
    ("let f = (y) => {}\n-1;", "construct.arrow", 9),
    ("using x = state;", "construct.using", 1),
    ("return fetch('x');", "name.global", 8),
    ("return arguments[0];", "name.global", 8),
    ("return { JSON };", "name.global", 10),
    ("return undeclared;", "name.unknown", 8),
    ("undeclared = 1;", "name.unknown", 1),
    ("{ let inner = 1; } return inner;", "name.unknown", 27),
    ("return $$fuel;", "name.reserved", 8),
    ("let $$x = 1;", "name.reserved", 5),
    ("return state.constructor;", "name.closed", 14),
    ("const { constructor: c } = state;", "name.closed", 9),
    ("const { constructor } = state;", "name.closed", 9),
    ("const { 'constructor': c } = state;", "name.closed", 9),
    ("return { __proto__: null };", "name.closed", 10),
    ("return { '__proto__': null };", "name.closed", 10),
    ("return { 'a\\x62': 1 };", "name.escape", 10),
    ("return state.\\u0061;", "name.escape", 14),
    ("const f = [].map; return f;", "name.method", 14),
    ("const { fill } = []; return fill;", "name.method", 9),
    ("const { 'fill': f } = []; return f;", "name.method", 9),
    (f"let {'a' * 81} = 1;", "name.long", 5),
    (f"return '{'a' * 2000}';", "script.text", 8),
    ("bars.close[0] = 1;", "bars.write", 1),
    ("delete bars.close;", "bars.write", 8),
    ("bars.close.fill(0);", "bars.write", 1),
    ("bars.close[0]++;", "bars.write", 1),
)


@pytest.mark.parametrize(("body", "code", "column"), REFUSED, ids=[row[0][:30] for row in REFUSED])
def test_what_is_refused_is_named_with_its_place(body: str, code: str, column: int) -> None:
    first = next(finding for finding in inside(body) if finding.code == code)
    assert (first.line, first.column) == (3, column)
    assert first.severity is Severity.ERROR
    assert first.message


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("", "script.empty", None),
        (" \n\t ", "script.empty", None),
        (HEAD, "export.missing", 1),
        ("export function decide() {}", "export.missing", 1),
        (HEAD + "export function decide() {}\nexport default 1;", "construct.export", 3),
        (HEAD + "export function decide() {}\nexport const more = 1;", "construct.export", 3),
        (
            "const meta = {}; const f = () => 1;\nexport { meta, f as decide };",
            "construct.export",
            2,
        ),
        (HEAD + "export function decide() {}\nexport * from 'x';", "construct.export", 3),
        ("import x from 'paddock';\n" + HEAD, "construct.import", 1),
        ("import { ema } from 'other';\n" + HEAD, "construct.import", 1),
        ("import { emma } from 'paddock';\n" + HEAD, "name.unknown", 1),
        (HEAD + "return 1;", "construct.return", 2),
        (HEAD + "let n = 0;\nexport function decide() { n++; }", "module.state", 3),
        (HEAD + "const n = [];\nexport const decide = () => n.push(1);", "module.state", 3),
        (HEAD + "const n = {};\nexport const decide = () => { n.x = 1; };", "module.state", 3),
        (HEAD + "let n;\nexport const decide = () => { [n] = [1]; };", "module.state", 3),
        (HEAD + "export function decide() { return (1; }", "syntax.error", 2),
        ("\n\nlet a = ;", "syntax.error", 3),
        ("(" * 300 + "1" + ")" * 300, "script.depth", 1),
        (HEAD + "let a = 1; \u200b", "script.characters", 2),
    ],
)
def test_a_module_as_a_whole(source: str, code: str, line: int | None) -> None:
    first = next(finding for finding in found(source) if finding.code == code)
    assert first.line == line


def test_what_is_not_text_or_too_long_is_not_read() -> None:
    assert [f.code for f in read_script(b"let a = 1;\n\xff\xfe")[1]] == ["script.encoding"]
    assert read_script(b"let a = 1;\n\xff")[1][0].line == 2
    assert [f.code for f in read_script(b" " * (SOURCE_MAX_BYTES + 1))[1]] == ["script.size"]
    assert [f.code for f in read_script(b"/" * 5_000_000)[1]] == ["script.size"]


def test_a_byte_order_mark_and_windows_line_ends_change_nothing() -> None:
    source = f"{HEAD}export function decide() {{\n  return fetch;\n}}\n"
    windows = b"\xef\xbb\xbf" + source.replace("\n", "\r\n").encode()
    module, findings = read_script(windows)
    assert module is not None
    assert [(f.code, f.line, f.column) for f in [*findings, *syntax_findings(module)]] == [
        ("name.global", 3, 10)
    ]


def test_findings_come_in_order_once_each_and_not_without_end() -> None:
    findings = inside("\n".join(f"fetch({i});" for i in range(50)))
    assert len(findings) == MAX_FINDINGS
    assert [f.line for f in findings] == list(range(3, 3 + MAX_FINDINGS))


def test_a_column_counts_characters_not_bytes() -> None:
    (finding,) = inside("const name = '\u00e9\u20ac'; fetch();")
    assert finding.column == 20


def test_names_are_resolved_where_they_stand() -> None:
    source = parse_source(
        "const out = 1; function f(a, { b, c: [d] } = out, ...rest) { var e = g; "
        "for (var i in a) {} for (const j of rest) { j; } return i + e + b + d; } "
        "try { h } catch ({ message }) { message; } const k = function own() { return own; };"
    )
    assert [source.text_of(node) for node in names_of(source).free] == ["g", "h"]


def test_the_depth_of_a_tree_is_its_longest_chain() -> None:
    assert depth_of(parse_source("").root) == 1
    assert depth_of(parse_source("(1)").root) == depth_of(parse_source("((1))").root) - 1
