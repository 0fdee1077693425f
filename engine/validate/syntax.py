"""What a written strategy's text says before it runs: syntax, constructs, names, exports."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from engine.strategy.javascript.allowed import (
    CLOSED_GLOBALS,
    CLOSED_NAMES,
    CONSTRUCTORS,
    CONSTRUCTS,
    DEPTH_MAX,
    GLOBALS,
    NAME_MAX,
    NODES,
    REFUSED_NODES,
    TAKING,
    TEXT_MAX,
    WALKING,
)
from engine.strategy.javascript.contract import SOURCE_MAX_BYTES
from engine.strategy.javascript.library import LIBRARY_NAME, library_names
from engine.strategy.javascript.scopes import names_of
from engine.strategy.javascript.source import (
    FUNCTIONS,
    Source,
    depth_of,
    is_target,
    parse_source,
    walk,
)
from engine.validate.findings import Finding, Severity

MAX_FINDINGS = 20
"""Of one source: what follows from the first is noise."""

_PRINTABLE = re.compile(r"[^\x20-\x7e\n\t]")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
_HTML_COMMENT = re.compile(rb"<!--|-->")
_AROUND_ARROWS = frozenset(
    """
    variable_declarator assignment_expression arguments pair parenthesized_expression
    arrow_function return_statement array assignment_pattern object_assignment_pattern
    ternary_expression sequence_expression expression_statement
    """.split()
)
_PATTERNS = ("object_pattern", "array_pattern", "object_assignment_pattern", "pair_pattern")


def read_script(content: bytes) -> tuple[Source | None, list[Finding]]:
    """Return the module that `content` holds, or the findings that say why it holds none."""
    if len(content) > SOURCE_MAX_BYTES:
        message = f"the source has {len(content):,} bytes, at most {SOURCE_MAX_BYTES:,} are read"
        return None, [_error("script.size", message)]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        return None, [_error("script.encoding", "the source is not UTF-8 text", line=line)]
    if not text.strip():
        return None, [_error("script.empty", "the source is empty: export `meta` and `decide`")]
    found = [*_character_findings(text)]
    if found:
        return None, found[:MAX_FINDINGS]
    source = parse_source(text)
    if depth_of(source.root) > DEPTH_MAX:
        message = f"the source is nested deeper than {DEPTH_MAX}: split it into functions"
        return None, [_error("script.depth", message, line=1)]
    broken = list(_syntax_findings(source))
    return (None, broken[:MAX_FINDINGS]) if broken else (source, [])


def syntax_findings(source: Source) -> list[Finding]:
    """Return what a module uses that a strategy must not; errors, in order of their places."""
    found = [
        *_comment_findings(source),
        *_construct_findings(source),
        *_property_findings(source),
        *_name_findings(source),
        *_export_findings(source),
    ]
    found.sort(key=lambda finding: (finding.line or 0, finding.column or 0))
    unique = {(f.code, f.line, f.column): f for f in reversed(found)}
    return [f for f in found if unique.get((f.code, f.line, f.column)) is f][:MAX_FINDINGS]


def _error(
    code: str, message: str, *, line: int | None = None, column: int | None = None, place: str = ""
) -> Finding:
    return Finding(code, Severity.ERROR, message, place, line, column)


def _at(source: Source, node: Node, code: str, message: str) -> Finding:
    line, column = source.place_of(node.start_byte)
    shown = source.text_of(node).split("\n")[0][:60]
    return _error(code, message, line=line, column=column, place=shown)


def _character_findings(text: str) -> Iterator[Finding]:
    """Yield characters by which a reader, or a parser, would see another text."""
    plain = text.replace("\r\n", "\n")
    for match in _INVISIBLE.finditer(plain):
        before = plain[: match.start()]
        yield _error(
            "script.characters",
            "an invisible character hides what is written: remove it",
            line=before.count("\n") + 1,
            column=match.start() - before.rfind("\n"),
            place=f"U+{ord(match.group()):04X}",
        )


def _syntax_findings(source: Source) -> Iterator[Finding]:
    if not source.root.has_error:
        return
    for node in walk(source.root):
        if node.is_missing:
            yield _at(source, node, "syntax.error", f"{node.type} is missing here")
        elif node.is_error:
            shown = source.text_of(node).strip().split("\n")[0][:40]
            yield _at(source, node, "syntax.error", f"cannot read {shown!r} here")


def _comment_findings(source: Source) -> Iterator[Finding]:
    """Yield signs outside comments and texts that begin a comment in some readers only."""
    for match in _HTML_COMMENT.finditer(source.octets):
        node = source.root.descendant_for_byte_range(match.start(), match.end())
        if node is None or node.type not in ("comment", "string_fragment", "template_string"):
            line, column = source.place_of(match.start())
            message = "`<!--` and `-->` begin a comment in some readers: put a space inside"
            yield _error("construct.comment", message, line=line, column=column)


def _construct_findings(source: Source) -> Iterator[Finding]:
    for node in walk(source.root):
        word = REFUSED_NODES.get(node.type) or _construct(source, node)
        # A keyword's own node, such as `this`, is named; punctuation is not.
        if word is not None and node.is_named:
            yield _at(source, node, f"construct.{word}", CONSTRUCTS[word])
        elif node.is_named and node.type not in NODES and node.type not in REFUSED_NODES:
            if not _inside_refused(node):
                kind = node.type.replace("_", " ")
                yield _at(source, node, "construct.unknown", f"{kind} is not part of a strategy")
        elif node.type in ("string", "template_string"):
            yield from _text_findings(source, node)


def _inside_refused(node: Node) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.type in REFUSED_NODES or parent.type not in NODES:
            return True
        parent = parent.parent
    return False


def _construct(source: Source, node: Node) -> str | None:
    """Return the word for what is wrong with a node of an allowed kind, None if nothing is."""
    check = _CHECKS.get(node.type)
    return None if check is None else check(source, node)


def _function_word(_source: Source, node: Node) -> str | None:
    kinds = {child.type for child in node.children if not child.is_named}
    if "async" in kinds:
        return "async"
    if "*" in kinds:
        return "generator"
    return "accessor" if kinds & {"get", "set"} else None


def _return_word(_source: Source, node: Node) -> str | None:
    holder = node.parent
    while holder is not None and holder.type not in FUNCTIONS:
        holder = holder.parent
    return "return" if holder is None else None


def _loop_word(_source: Source, node: Node) -> str | None:
    return "async" if any(child.type == "await" for child in node.children) else None


def _number_word(source: Source, node: Node) -> str | None:
    text = source.text_of(node)
    return "bigint" if text.endswith("n") else None


def _call_word(_source: Source, node: Node) -> str | None:
    given = node.child_by_field_name("arguments")
    return "tag" if given is not None and given.type == "template_string" else None


def _new_word(source: Source, node: Node) -> str | None:
    made = node.child_by_field_name("constructor")
    is_known = made is not None and made.type == "identifier"
    return None if is_known and made and source.text_of(made) in CONSTRUCTORS else "new"


def _rest_word(_source: Source, node: Node) -> str | None:
    holder = node.parent
    return None if holder is not None and holder.type == "formal_parameters" else "rest"


def _computed_word(_source: Source, node: Node) -> str | None:
    holder = node.parent
    return "computed_pattern" if holder is not None and holder.type == "pair_pattern" else None


def _member_word(source: Source, node: Node) -> str | None:
    name = node.child_by_field_name("property")
    is_length = name is not None and source.text_of(name) == "length"
    return "length" if is_length and is_target(node) else None


def _import_word(source: Source, node: Node) -> str | None:
    origin = node.child_by_field_name("source")
    named = [child.type for child in walk(node)]
    if origin is None or source.text_of(origin)[1:-1] != LIBRARY_NAME:
        return "import"
    return None if "named_imports" in named and "import_attribute" not in named else "import"


def _export_word(source: Source, node: Node) -> str | None:
    kinds = {child.type for child in node.children}
    if kinds & {"default", "*", "from", "namespace_export"}:
        return "export"
    names = {name for name, place in source.exported.items() if _is_inside(place, node)}
    has_alias = any(child.child_by_field_name("alias") for child in walk(node))
    return "export" if not names <= {"meta", "decide"} or has_alias else None


def _is_inside(node: Node, holder: Node) -> bool:
    return holder.start_byte <= node.start_byte and node.end_byte <= holder.end_byte


def _arrow_word(source: Source, node: Node) -> str | None:
    holder = node.parent
    is_operand = holder is not None and holder.type not in _AROUND_ARROWS
    # As the condition of a choice it would have to stand in brackets.
    is_asked = holder is not None and holder.child_by_field_name("condition") == node
    return "arrow" if is_operand or is_asked else _function_word(source, node)


_CHECKS = {
    "function_declaration": _function_word,
    "function_expression": _function_word,
    "arrow_function": _arrow_word,
    "method_definition": _function_word,
    "for_in_statement": _loop_word,
    "number": _number_word,
    "return_statement": _return_word,
    "call_expression": _call_word,
    "new_expression": _new_word,
    "rest_pattern": _rest_word,
    "computed_property_name": _computed_word,
    "member_expression": _member_word,
    "import_statement": _import_word,
    "export_statement": _export_word,
}


def _text_findings(source: Source, node: Node) -> Iterator[Finding]:
    if node.end_byte - node.start_byte > 4 * TEXT_MAX:
        message = f"a text of more than {TEXT_MAX} characters: strategies count, they do not write"
        yield _at(source, node, "script.text", message)


def _property_findings(source: Source) -> Iterator[Finding]:
    """Yield property names that lead out of the strategy, and methods taken from their object."""
    for node in walk(source.root):
        if node.type not in ("property_identifier", "shorthand_property_identifier_pattern"):
            if node.type == "string" and _is_key(node):
                yield from _key_findings(source, node)
            continue
        name = source.text_of(node)
        holder = node.parent
        if name in CLOSED_NAMES and not _is_value_key(node):
            yield _at(source, node, "name.closed", f"`{name}` is closed: {CLOSED_NAMES[name]}")
        elif name == "__proto__":
            yield _at(source, node, "name.closed", f"`{name}` is closed: {CLOSED_NAMES[name]}")
        elif holder is not None and _is_taken(node, holder) and name in WALKING | TAKING:
            message = (
                f"`{name}` is a method: call it on its object, or name your own value otherwise"
            )
            yield _at(source, node, "name.method", message)


def _is_value_key(node: Node) -> bool:
    """Return whether a name is only the key of a value written down, which reads nothing."""
    holder = node.parent
    return holder is not None and holder.type in ("pair", "method_definition")


def _is_key(node: Node) -> bool:
    holder = node.parent
    return (
        holder is not None
        and holder.type in ("pair", "pair_pattern", "method_definition")
        and (
            holder.child_by_field_name("key") == node or holder.child_by_field_name("name") == node
        )
    )


def _key_findings(source: Source, node: Node) -> Iterator[Finding]:
    text = source.text_of(node)[1:-1]
    holder = node.parent
    is_read = holder is not None and holder.type == "pair_pattern"
    if "\\" in text:
        yield _at(source, node, "name.escape", "a name is written without escapes")
    elif text == "__proto__" or (is_read and text in CLOSED_NAMES):
        yield _at(source, node, "name.closed", f"`{text}` is closed: {CLOSED_NAMES[text]}")
    elif is_read and text in WALKING | TAKING:
        yield _at(source, node, "name.method", f"`{text}` is a method: call it on its object")


def _is_taken(node: Node, holder: Node) -> bool:
    if holder.type in _PATTERNS:
        return True
    if holder.type != "member_expression":
        return False
    call = holder.parent
    return not (
        call is not None
        and call.type == "call_expression"
        and call.child_by_field_name("function") == holder
    )


def _name_findings(source: Source) -> Iterator[Finding]:
    names = names_of(source)
    for node in walk(source.root):
        if node.type.endswith("identifier") or node.type.endswith("identifier_pattern"):
            text = source.text_of(node)
            if "\\" in text or _PRINTABLE.search(text):
                message = "a name is written in plain letters, without escapes"
                yield _at(source, node, "name.escape", message)
            elif len(text) > NAME_MAX:
                message = f"a name of more than {NAME_MAX} characters"
                yield _at(source, node, "name.long", message)
            elif text.startswith("$$"):
                yield _at(source, node, "name.reserved", "names that begin with $$ are reserved")
    for node in names.free:
        text = source.text_of(node)
        if text in GLOBALS or "\\" in text or text.startswith("$$"):
            continue
        if text in CLOSED_GLOBALS:
            message = f"`{text}` is closed: {CLOSED_GLOBALS[text]}"
            yield _at(source, node, "name.global", message)
        else:
            yield _at(source, node, "name.unknown", f"`{text}` is not declared anywhere")
    for node in names.module_writes:
        message = "the module keeps nothing between bars: keep it in the state that is returned"
        yield _at(source, node, "module.state", message)
    for node in names.bars_writes:
        yield _at(source, node, "bars.write", "bars are read-only: copy a column to change it")
    yield from _library_findings(source)


def _library_findings(source: Source) -> Iterator[Finding]:
    for node in walk(source.root):
        if node.type == "import_specifier":
            name = node.child_by_field_name("name")
            if name is not None and source.text_of(name) not in library_names():
                message = f"the library has no `{source.text_of(name)}`"
                yield _at(source, name, "name.unknown", message)


def _export_findings(source: Source) -> Iterator[Finding]:
    for name, how in (
        ("meta", "export const meta = {...}"),
        ("decide", "export function decide(bars, state) {...}"),
    ):
        if name not in source.exported:
            yield _error("export.missing", f"the module does not export `{name}`: {how}", line=1)
