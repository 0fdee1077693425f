"""Write guards into a strategy: fuel in what repeats, checks on what only shows at run time.

Done on the syntax tree, so that nothing repeats without paying: every loop and function takes a
step whose price grows with its length, and every built-in method that walks over a value pays for
its size. Nothing is inserted that moves a line, and what is inserted is remembered, so that a place
in the result leads back to the source. Comments are left out and texts written with escapes: where
V8 should ever see code in what the tree calls a comment or a text, there is none.
`engine/deploy/worker/guard.js` holds what is called.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from tree_sitter import Node

from engine.strategy.javascript.allowed import TAKING, WALKING
from engine.strategy.javascript.source import FUNCTIONS, LOOPS, Source, is_target, walk

BYTES_PER_UNIT = 16
"""Of a loop's or function's text: what one unit of fuel pays for."""

CATCH_UNITS = 100
"""Fuel of a caught error: it costs far more than a step."""

# What may stand in a text as it is; line ends only inside templates, where they mean themselves.
_SPECIAL = re.compile(r"[^A-Za-z0-9 _.:\n-]")
_ARITHMETIC = frozenset({"-", "*", "/", "%", "**", "|", "&", "^", "<<", ">>", ">>>"})
_SIGNS = frozenset({"-", "+", "~"})


@dataclass(frozen=True, slots=True)
class Instrumented:
    """A guarded source.

    Attributes
    ----------
    text : as many lines as the source
    segments : (offset in `text`, offset in the source, length) of what was copied, in order;
        offsets in UTF-8
    """

    text: str
    segments: tuple[tuple[int, int, int], ...]

    def source_offset(self, line: int, column: int) -> int:
        """Return the offset in the source of a place in `text`; both 1-based."""
        octets = self.text.encode()
        lines = octets.split(b"\n")
        line = min(max(line, 1), len(lines))
        before = sum(len(part) + 1 for part in lines[: line - 1])
        wanted = before + min(max(column, 1) - 1, len(lines[line - 1]))
        i = bisect_right(self.segments, (wanted, 1 << 60, 0)) - 1
        if i < 0:
            return 0
        start, source, length = self.segments[i]
        return source + min(wanted - start, length)


def instrumented(source: Source) -> Instrumented:
    """Return a module with guards, ready to stand inside a function that returns its exports.

    Every place passed is noted, so that what goes wrong can be shown, and reads past the newest bar
    are refused.

    Parameters
    ----------
    source : without findings of `engine.validate.syntax`
    """
    return _Emitter(source, is_trusted=False).run()


def with_fuel(source: Source) -> str:
    """Return our own library with fuel in its loops and functions, exports and imports gone."""
    return _Emitter(source, is_trusted=True).run().text


@dataclass(slots=True)
class _Emitter:
    source: Source
    is_trusted: bool
    _parts: list[bytes] = field(default_factory=list)
    _length: int = 0
    _segments: list[tuple[int, int, int]] = field(default_factory=list)

    def run(self) -> Instrumented:
        root = self.source.root
        if not self.is_trusted:
            self._put(self._imports())
        self._visit(root, root.start_byte)
        self._copy(root.end_byte, len(self.source.octets))
        return Instrumented(b"".join(self._parts).decode(), tuple(self._segments))

    # Output

    def _put(self, text: str) -> None:
        octets = text.encode()
        self._parts.append(octets)
        self._length += len(octets)

    def _copy(self, start: int, stop: int) -> None:
        if stop > start:
            self._segments.append((self._length, start, stop - start))
            self._parts.append(self.source.octets[start:stop])
            self._length += stop - start

    def _drop(self, node: Node) -> None:
        """Leave a node out, but for its line ends."""
        self._put("\n" * self.source.octets.count(b"\n", node.start_byte, node.end_byte))

    def _imports(self) -> str:
        named = []
        for node in walk(self.source.root):
            if node.type == "import_specifier":
                names = [self.source.text_of(child) for child in node.named_children]
                named.append(": ".join(names[:2]))
        return f"const {{{', '.join(named)}}} = $$library;" if named else ""

    # The walk

    def _visit(self, node: Node, begin: int | None = None) -> None:
        """Write a node, guarded; `begin` is where the text before it ends, if not at its start."""
        handle = self._HANDLERS.get(node.type)
        if handle is not None:
            handle(self, node)
        else:
            self._plain(node, begin)

    def _plain(self, node: Node, begin: int | None = None) -> None:
        at = node.start_byte if begin is None else begin
        for child in node.children:
            self._copy(at, child.start_byte)
            self._visit(child)
            at = child.end_byte
        self._copy(at, node.end_byte)

    def _parts_of(self, node: Node, wrap: dict[int, tuple[str, str]]) -> None:
        """Write a node, some of its children (by id) between two texts."""
        at = node.start_byte
        for child in node.children:
            self._copy(at, child.start_byte)
            before, after = wrap.get(child.id, ("", ""))
            self._put(before)
            self._visit(child)
            self._put(after)
            at = child.end_byte
        self._copy(at, node.end_byte)

    # Fuel

    def _units(self, node: Node) -> int:
        return 1 + (node.end_byte - node.start_byte) // BYTES_PER_UNIT

    def _step(self, node: Node, units: int) -> str:
        if self.is_trusted:
            return f"if(($$fuel-={units})<0)$$out();"
        return f"$$step({node.start_byte},{units});"

    def _block(self, block: Node, step: str) -> None:
        """Write a block with a step behind its opening brace."""
        opening = block.children[0]
        self._copy(block.start_byte, opening.end_byte)
        self._put(step)
        at = opening.end_byte
        for child in block.children[1:]:
            self._copy(at, child.start_byte)
            self._visit(child)
            at = child.end_byte

    def _body(self, body: Node, step: str) -> None:
        if body.type == "statement_block":
            self._block(body, step)
        else:
            self._put("{" + step)
            self._visit(body)
            self._put("}")

    def _with_body(self, node: Node, write: Callable[[Node], None]) -> None:
        body = node.child_by_field_name("body")
        at = node.start_byte
        for child in node.children:
            self._copy(at, child.start_byte)
            if body is not None and child.id == body.id:
                write(child)
            else:
                self._visit(child)
            at = child.end_byte
        self._copy(at, node.end_byte)

    def _loop(self, node: Node) -> None:
        step = self._step(node, self._units(node))
        walked = node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        is_over_names = operator is not None and operator.type == "in"
        if walked is None or not is_over_names or self.is_trusted:
            self._with_body(node, lambda body: self._body(body, step))
            return
        body = node.child_by_field_name("body")
        at = node.start_byte
        for child in node.children:
            self._copy(at, child.start_byte)
            if child.id == walked.id:
                self._put("$$meter((")
                self._visit(child)
                self._put("))")
            elif body is not None and child.id == body.id:
                self._body(child, step)
            else:
                self._visit(child)
            at = child.end_byte
        self._copy(at, node.end_byte)

    def _function(self, node: Node) -> None:
        units = self._units(node)

        def write(body: Node) -> None:
            if body.type == "statement_block":
                self._block(body, self._step(node, units))
                return
            step = self._step(node, units).removesuffix(";")
            self._put(f"({'$$charge(1)' if self.is_trusted else step},")
            self._given(body)
            self._put(")")

        self._with_body(node, write)

    def _catch(self, node: Node) -> None:
        self._with_body(node, lambda body: self._block(body, f"$$charge({CATCH_UNITS});"))

    def _return(self, node: Node) -> None:
        """Write a return or a throw, noting where: what is thrown may be no error."""
        value = next((child for child in node.named_children if child.type != "comment"), None)
        if value is None or self.is_trusted:
            self._plain(node)
            return
        at = node.start_byte
        for child in node.children:
            self._copy(at, child.start_byte)
            if child.id == value.id:
                self._given(child)
            else:
                self._visit(child)
            at = child.end_byte
        self._copy(at, node.end_byte)

    def _given(self, value: Node) -> None:
        """Write a value, noting where it was given back or thrown."""
        if self.is_trusted:
            self._visit(value)
            return
        self._put("$$gave((")
        self._visit(value)
        self._put(f"),{value.start_byte})")

    # What only shows at run time

    def _subscript(self, node: Node) -> None:
        holder, key = node.child_by_field_name("object"), node.child_by_field_name("index")
        if self.is_trusted or holder is None or key is None:
            self._plain(node)
            return
        is_written = is_target(node)
        if not is_written and not _is_called(node) and not _is_optional(node):
            self._put("$$read(")
            self._visit(holder)
            self._put(",(")
            self._visit(key)
            self._put(f"),{node.start_byte})")
            return
        guard = "$$slot((" if is_written else "$$key(("
        self._parts_of(node, {} if _is_number(key) else {key.id: (guard, "))")})

    def _computed_name(self, node: Node) -> None:
        inner = node.named_children[0] if node.named_children else node
        self._parts_of(node, {} if self.is_trusted else {inner.id: ("$$key(", ")")})

    def _binary(self, node: Node) -> None:
        holder = node.parent
        is_inner = holder is not None and _is_sum(holder)
        if self.is_trusted or not _is_sum(node) or is_inner or _is_number(node):
            self._plain(node)
            return
        self._put("$$text(")
        self._plain(node)
        self._put(")")

    def _augmented(self, node: Node) -> None:
        operator = node.child_by_field_name("operator")
        if self.is_trusted or operator is None or operator.type != "+=":
            self._plain(node)
            return
        self._put("$$text(")
        self._plain(node)
        self._put(")")

    def _template(self, node: Node) -> None:
        has_parts = any(child.type == "template_substitution" for child in node.children)
        if self.is_trusted or not has_parts:
            self._plain(node)
            return
        self._put("$$text(")
        self._plain(node)
        self._put(")")

    def _fragment(self, node: Node) -> None:
        text = self.source.text_of(node)
        plain = _SPECIAL.sub(lambda found: _escaped(found[0]), text)
        if plain == text:
            self._copy(node.start_byte, node.end_byte)
        else:
            self._put(plain)

    def _spread(self, node: Node) -> None:
        inner = next(child for child in node.named_children if child.type != "comment")
        self._parts_of(node, {} if self.is_trusted else {inner.id: ("$$meter(", ")")})

    def _call(self, node: Node) -> None:
        method = node.child_by_field_name("function")
        if self.is_trusted or method is None or method.type != "member_expression":
            self._plain(node)
            return
        name = method.child_by_field_name("property")
        holder = method.child_by_field_name("object")
        text = "" if name is None else self.source.text_of(name)
        if holder is None or name is None or text not in WALKING | TAKING:
            self._plain(node)
            return
        guard = "$$meter(" if text in WALKING else "$$taking("
        self._copy(node.start_byte, holder.start_byte)
        self._put(guard)
        self._visit(holder)
        # A chain that ended early further left must end here as well.
        self._put(")?" if _is_optional(holder) and not _has_own_chain(method) else ")")
        at = holder.end_byte
        for child in [*method.children, *node.children]:
            if child.start_byte < at:
                continue
            self._copy(at, child.start_byte)
            self._visit(child)
            at = child.end_byte

    # Module

    def _export(self, node: Node) -> None:
        declaration = node.child_by_field_name("declaration")
        if declaration is None:
            self._drop(node)
            return
        self._put(" " * (declaration.start_byte - node.start_byte))
        self._visit(declaration)
        self._copy(declaration.end_byte, node.end_byte)

    _HANDLERS: ClassVar[dict[str, Callable[[_Emitter, Node], None]]] = {
        **dict.fromkeys(LOOPS, _loop),
        **dict.fromkeys(FUNCTIONS, _function),
        "catch_clause": _catch,
        "finally_clause": _catch,
        "return_statement": _return,
        "throw_statement": _return,
        "subscript_expression": _subscript,
        "computed_property_name": _computed_name,
        "binary_expression": _binary,
        "augmented_assignment_expression": _augmented,
        "template_string": _template,
        "spread_element": _spread,
        "comment": _drop,
        "string_fragment": _fragment,
        "call_expression": _call,
        "export_statement": _export,
        "import_statement": _drop,
    }


def _escaped(sign: str) -> str:
    units = sign.encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(f"\\u{code:04x}" for code in codes)


def _operator(node: Node) -> str:
    found = node.child_by_field_name("operator")
    return "" if found is None else found.type


def _is_sum(node: Node) -> bool:
    return node.type == "binary_expression" and _operator(node) == "+"


def _is_number(node: Node) -> bool:
    """Return whether an expression can only give a number."""
    if node.type in ("number", "update_expression"):
        return True
    if node.type == "parenthesized_expression":
        return bool(node.named_children) and _is_number(node.named_children[0])
    if node.type == "unary_expression":
        return _operator(node) in _SIGNS
    if node.type != "binary_expression":
        return False
    if _operator(node) != "+":
        return _operator(node) in _ARITHMETIC
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    return left is not None and right is not None and _is_number(left) and _is_number(right)


def _is_called(node: Node) -> bool:
    holder = node.parent
    return (
        holder is not None
        and holder.type == "call_expression"
        and holder.child_by_field_name("function") == node
    )


def _has_own_chain(node: Node) -> bool:
    return any(child.type == "optional_chain" for child in node.children)


def _is_optional(node: Node) -> bool:
    """Return whether a chain of members and calls may end early."""
    inner: Node | None = node
    while inner is not None and inner.type in (
        "member_expression",
        "subscript_expression",
        "call_expression",
    ):
        if _has_own_chain(inner):
            return True
        inner = inner.child_by_field_name("object") or inner.child_by_field_name("function")
    return False
