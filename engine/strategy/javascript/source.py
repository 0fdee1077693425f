"""A JavaScript source and its syntax tree, with places as people count them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

from engine.strategy.genome import ID_LENGTH

FUNCTIONS = frozenset(
    {"function_declaration", "function_expression", "arrow_function", "method_definition"}
)
_ASSIGNING = frozenset(
    {
        "assignment_expression",
        "augmented_assignment_expression",
        "assignment_pattern",
        "object_assignment_pattern",
        "for_in_statement",
    }
)
LOOPS = frozenset({"for_statement", "for_in_statement", "while_statement", "do_statement"})


@dataclass(frozen=True, eq=False)
class Source:
    """One module as text and tree.

    Attributes
    ----------
    text : the module; CR LF is LF already
    octets : the same in UTF-8, which offsets of nodes count
    root : node of the whole
    """

    text: str
    octets: bytes
    root: Node

    @cached_property
    def id(self) -> str:
        """Return the first 32 hex digits of the SHA-256 of the text."""
        return hashlib.sha256(self.octets).hexdigest()[:ID_LENGTH]

    def text_of(self, node: Node) -> str:
        """Return the text of a node."""
        return self.octets[node.start_byte : node.end_byte].decode()

    def place_of(self, offset: int) -> tuple[int, int]:
        """Return line and column, 1-based, of an offset in `octets`."""
        before = self.octets[: max(0, offset)]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
        return line, column

    @cached_property
    def exported(self) -> dict[str, Node]:
        """Return what the module exports: name → node of the declared name."""
        found: dict[str, Node] = {}
        for statement in self.root.named_children:
            if statement.type != "export_statement":
                continue
            declaration = statement.child_by_field_name("declaration")
            for node in [] if declaration is None else _declared(declaration):
                found[self.text_of(node)] = node
            for clause in statement.named_children:
                if clause.type == "export_clause":
                    for specifier in clause.named_children:
                        name = specifier.child_by_field_name("alias") or specifier.named_child(0)
                        if name is not None:
                            found[self.text_of(name)] = name
        return found


def parse_source(text: str) -> Source:
    """Return a source with its tree; what does not parse is in the tree as ERROR nodes."""
    plain = text.replace("\r\n", "\n")
    octets = plain.encode()
    parser = Parser(Language(tree_sitter_javascript.language()))
    return Source(plain, octets, parser.parse(octets).root_node)


def depth_of(root: Node) -> int:
    """Return how many nodes stand inside each other at most."""
    deepest = depth = 1
    cursor = root.walk()
    while True:
        if cursor.goto_first_child():
            depth += 1
            deepest = max(deepest, depth)
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return deepest
            depth -= 1


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all inside it, in order of the text."""
    waiting = [node]
    while waiting:
        seen = waiting.pop()
        yield seen
        waiting.extend(reversed(seen.children))


def is_target(node: Node) -> bool:
    """Return whether a member or subscript is written to, not read."""
    holder = node.parent
    if holder is None:
        return False
    if holder.type in ("array_pattern", "rest_pattern", "update_expression"):
        return True
    if holder.type == "pair_pattern":
        return holder.child_by_field_name("value") == node
    if holder.type == "unary_expression":
        return holder.children[0].type == "delete"
    if holder.type == "parenthesized_expression":
        return is_target(holder)
    return holder.type in _ASSIGNING and holder.child_by_field_name("left") == node


def _declared(declaration: Node) -> list[Node]:
    if declaration.type == "function_declaration":
        name = declaration.child_by_field_name("name")
        return [] if name is None else [name]
    names = (child.child_by_field_name("name") for child in declaration.named_children)
    return [name for name in names if name is not None and name.type == "identifier"]
