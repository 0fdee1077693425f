"""Which names a source declares, uses without declaring, and changes from inside a function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tree_sitter import Node

from engine.strategy.javascript.allowed import MUTATING
from engine.strategy.javascript.source import FUNCTIONS, Source, walk

Kind = Literal["module", "function", "block"]
_WRITES = ("assignment_expression", "augmented_assignment_expression")


@dataclass(slots=True, eq=False)
class Scope:
    """Where names are declared: the module, a function or a block."""

    kind: Kind
    parent: Scope | None = None
    names: set[str] = field(default_factory=set)
    is_decide: bool = False

    def find(self, name: str) -> Scope | None:
        """Return the scope that declares `name` for code in this one."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.parent
        return scope


@dataclass(slots=True)
class Names:
    """What a walk through a source finds.

    Attributes
    ----------
    free : uses of names that nothing declares
    module_writes : changes, inside functions, of what the module declares
    bars_writes : changes of what `decide` was given as its bars
    """

    free: list[Node] = field(default_factory=list)
    module_writes: list[Node] = field(default_factory=list)
    bars_writes: list[Node] = field(default_factory=list)


def names_of(source: Source) -> Names:
    """Return how a source without syntax errors uses names."""
    return _Walk(source).run()


class _Walk:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._names = Names()
        self._bars: str | None = None

    def run(self) -> Names:
        module = Scope("module")
        self._declare_all(self._source.root, module)
        self._children(self._source.root, module)
        return self._names

    def _text(self, node: Node) -> str:
        return self._source.text_of(node)

    # Declarations

    def _declare_all(self, holder: Node, scope: Scope) -> None:
        """Declare what the statements directly inside `holder` declare."""
        for child in holder.named_children:
            inside = child.child_by_field_name("declaration")
            statement = child if inside is None else inside
            if statement.type == "import_statement":
                scope.names.update(self._text(name) for name in _imported(statement))
            elif statement.type == "function_declaration":
                own_name = statement.child_by_field_name("name")
                scope.names.update([] if own_name is None else [self._text(own_name)])
            elif statement.type == "lexical_declaration":
                self._declare_patterns(statement, scope)
        if scope.kind != "block":
            for pattern in _own_variables(holder):
                scope.names.update(self._text(node) for node in _bound(pattern))

    def _declare_patterns(self, declaration: Node, scope: Scope) -> None:
        for declarator in declaration.named_children:
            pattern = declarator.child_by_field_name("name")
            if pattern is not None:
                scope.names.update(self._text(node) for node in _bound(pattern))

    # Uses

    def _children(self, node: Node, scope: Scope) -> None:
        for child in node.named_children:
            self._visit(child, scope)

    def _visit(self, node: Node, scope: Scope) -> None:
        kind = node.type
        if kind in FUNCTIONS:
            self._function(node, scope)
        elif kind in ("statement_block", "switch_body"):
            inner = Scope("block", scope)
            for holder in [node] if kind == "statement_block" else node.named_children:
                self._declare_all(holder, inner)
            self._children(node, inner)
        elif kind in ("for_statement", "for_in_statement"):
            self._loop(node, scope)
        elif kind == "catch_clause":
            inner = Scope("block", scope)
            parameter = node.child_by_field_name("parameter")
            if parameter is not None:
                inner.names.update(self._text(name) for name in _bound(parameter))
            self._children(node, inner)
        elif kind in ("identifier", "shorthand_property_identifier"):
            if scope.find(self._text(node)) is None:
                self._names.free.append(node)
        elif kind == "shorthand_property_identifier_pattern":
            self._pattern_name(node, scope)
        elif kind in ("export_clause", "import_statement"):
            return
        else:
            self._writes(node, scope)
            self._children(node, scope)

    def _pattern_name(self, node: Node, scope: Scope) -> None:
        # In a declaration the name is declared already, in an assignment it must be somewhere.
        if scope.find(self._text(node)) is None:
            self._names.free.append(node)

    def _loop(self, node: Node, scope: Scope) -> None:
        inner = Scope("block", scope)
        opening = node.child_by_field_name("initializer")
        if opening is not None and opening.type == "lexical_declaration":
            self._declare_patterns(opening, inner)
        left = node.child_by_field_name("left")
        if left is not None:
            if node.child_by_field_name("kind") is not None:
                inner.names.update(self._text(name) for name in _bound(left))
            else:
                self._written(left, scope)
        self._children(node, inner)

    def _function(self, node: Node, scope: Scope) -> None:
        inner = Scope("function", scope)
        name = node.child_by_field_name("name")
        if node.type == "function_expression" and name is not None:
            inner.names.add(self._text(name))
        inner.is_decide = scope.kind == "module" and self._is_decide(node)
        parameters = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
        if parameters is not None:
            bound = list(_bound(parameters))
            inner.names.update(self._text(found) for found in bound)
            if inner.is_decide and bound:
                self._bars = self._text(bound[0])
        body = node.child_by_field_name("body")
        if body is not None and body.type == "statement_block":
            self._declare_all(body, inner)
            if parameters is not None:
                self._visit(parameters, inner)
            self._children(body, inner)
            return
        for part in (parameters, body):
            if part is not None:
                self._visit(part, inner)

    def _is_decide(self, node: Node) -> bool:
        name = node.child_by_field_name("name")
        if node.type == "function_declaration":
            return name is not None and self._text(name) == "decide"
        holder = node.parent
        if holder is None or holder.type != "variable_declarator":
            return False
        name = holder.child_by_field_name("name")
        return name is not None and self._text(name) == "decide"

    # Changes

    def _writes(self, node: Node, scope: Scope) -> None:
        if node.type in _WRITES:
            left = node.child_by_field_name("left")
            if left is not None:
                self._written(left, scope)
        elif node.type == "update_expression" or (
            node.type == "unary_expression" and node.children[0].type == "delete"
        ):
            target = node.child_by_field_name("argument")
            if target is not None:
                self._written(target, scope)
        elif node.type == "call_expression":
            method = node.child_by_field_name("function")
            if method is not None and method.type == "member_expression":
                name = method.child_by_field_name("property")
                if name is not None and self._text(name) in MUTATING:
                    self._changed(method, node, scope)

    def _written(self, target: Node, scope: Scope) -> None:
        if target.type in ("object_pattern", "array_pattern"):
            for name in _bound(target):
                self._note(name, name, scope, is_binding=True)
        elif target.type == "identifier":
            self._note(target, target, scope, is_binding=True)
        elif target.type == "parenthesized_expression" and target.named_child(0) is not None:
            self._written(target.named_children[0], scope)
        else:
            self._changed(target, target, scope)

    def _changed(self, target: Node, place: Node, scope: Scope) -> None:
        root: Node | None = target
        while root is not None and root.type in ("member_expression", "subscript_expression"):
            root = root.child_by_field_name("object")
        if root is not None and root.type == "identifier":
            self._note(root, place, scope, is_binding=False)

    def _note(self, root: Node, place: Node, scope: Scope, *, is_binding: bool) -> None:
        name = self._text(root)
        owner = scope.find(name)
        if owner is None:
            return
        if owner.kind == "module" and not _at_module_level(scope):
            self._names.module_writes.append(place)
        if owner.is_decide and name == self._bars and not is_binding:
            self._names.bars_writes.append(place)


def _at_module_level(scope: Scope) -> bool:
    inner: Scope | None = scope
    while inner is not None and inner.kind == "block":
        inner = inner.parent
    return inner is None or inner.kind == "module"


def _own_variables(holder: Node) -> Iterator[Node]:
    """Yield the patterns that `var` declares for a function or module body."""
    waiting = list(holder.named_children)
    while waiting:
        node = waiting.pop()
        if node.type in FUNCTIONS:
            continue
        pattern = None
        if node.type == "variable_declarator" and _is_variable(node.parent):
            pattern = node.child_by_field_name("name")
        if node.type == "for_in_statement":
            kind = node.child_by_field_name("kind")
            if kind is not None and kind.type == "var":
                pattern = node.child_by_field_name("left")
        if pattern is not None:
            yield pattern
        waiting.extend(node.named_children)


def _is_variable(declaration: Node | None) -> bool:
    return declaration is not None and declaration.type == "variable_declaration"


def _imported(statement: Node) -> Iterator[Node]:
    for node in walk(statement):
        if node.type == "import_specifier":
            name = node.child_by_field_name("alias") or node.child_by_field_name("name")
            if name is not None:
                yield name


def _bound(pattern: Node) -> Iterator[Node]:
    """Yield the names that a pattern, or a list of parameters, binds."""
    kind = pattern.type
    if kind in ("identifier", "shorthand_property_identifier_pattern"):
        yield pattern
    elif kind in ("assignment_pattern", "object_assignment_pattern"):
        left = pattern.child_by_field_name("left")
        if left is not None:
            yield from _bound(left)
    elif kind == "pair_pattern":
        value = pattern.child_by_field_name("value")
        if value is not None:
            yield from _bound(value)
    elif kind in ("object_pattern", "array_pattern", "rest_pattern", "formal_parameters"):
        for child in pattern.named_children:
            yield from _bound(child)
