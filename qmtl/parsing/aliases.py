"""Which local names of a definition stand for something that the module holds."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from qmtl.parsing.outline import Outline

Nodes = Mapping[type[ast.AST], Sequence[ast.AST]]
Binding = tuple[str, ast.expr | None]
TYPE = "type(...)"
_STEPS = 4  # that aliases of aliases are followed; each is a pass over all names
_BINDING_BY_TEXT = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


class Aliases:
    """The local names of one definition that can mean nothing but an object of the module.

    A name counts where every binding of it in the definition says so: ``k = K`` and nothing else.

    Args:
        found: The module.
        loaded: ``id()`` of the definition's names that mean the module's.
        nodes: The definition's nodes by their type.
    """

    def __init__(self, found: Outline, loaded: Collection[int], nodes: Nodes) -> None:
        self._index, self._loaded, self._nodes = found.index, loaded, nodes
        self._classes = frozenset(_class_parameters(nodes))
        self._known: dict[str, ast.Name] | None = None
        self._parts: set[str] = set()

    def of(self, name: ast.Name) -> ast.Name | None:
        """Return the module's name that a local one stands for."""
        if id(name) in self._loaded:
            return None
        if name.id in self._classes:
            return ast.Name(name.id)
        if self._known is None:
            self._known = self._find()
        return self._known.get(name.id)

    def is_part(self, name: str) -> bool:
        """Tell whether an alias may stand for a part of an object instead of the whole."""
        return name in self._parts

    def is_class(self, name: str) -> bool:
        """Tell whether a name is a class method's own class, or the type of something."""
        return name == TYPE or name in self._classes

    def value(self, name: ast.Name) -> ast.expr | None:
        """Return the value of the constant that a module's name is bound to."""
        match self._index.definitions.get(name.id):
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                return value
            case _:
                return None

    def _find(self) -> dict[str, ast.Name]:
        given: dict[str, list[ast.expr | None]] = {}
        for name, value in _bindings(self._nodes):
            given.setdefault(name, []).append(value)
        found: dict[str, ast.Name] = {}
        for _ in range(_STEPS):
            before = len(found)
            for name in [each for each in given if each not in found]:
                roots = [self._held(value, found) for value in given[name]]
                if roots[0] is not None and all(roots):
                    found[name] = roots[0]
                    if any(_is_part(value, self._parts) for value in given[name]):
                        self._parts.add(name)
            if len(found) == before:
                break
        return found

    def _held(self, value: ast.expr | None, found: Mapping[str, ast.Name]) -> ast.Name | None:
        """Return the module's name that an expression gives the object of, or a part of it."""
        match value:
            case ast.Name() if id(value) in self._loaded:
                known = value.id in self._index.definitions or value.id in self._index.imports
                return value if known else None
            case ast.Name():
                return found.get(value.id)
            case ast.Subscript() | ast.Attribute():
                return self._held_part(value, found)
            case ast.Call(func=ast.Name(id="type") as function) if id(function) in self._loaded:
                return ast.Name(TYPE)
            case _:
                held = (self._held(each, found) for each in _choices(value))
                return next((each for each in held if each is not None), None)

    def _held_part(
        self, value: ast.Subscript | ast.Attribute, found: Mapping[str, ast.Name]
    ) -> ast.Name | None:
        held = self._held(value.value, found)
        whole = None if held is None else self.value(held)
        if isinstance(value, ast.Attribute):
            return held if whole is None else None
        # A part of a table or an array may be a copy; one of a plain list is none.
        plain = isinstance(whole, ast.List | ast.Tuple | ast.Dict)
        return held if plain and not isinstance(value.slice, ast.Slice) else None


def _choices(value: ast.expr | None) -> list[ast.expr]:
    """Return the expressions of which an expression gives one."""
    match value:
        case ast.NamedExpr():
            return [value.value]
        case ast.IfExp():
            return [value.body, value.orelse]
        case ast.BoolOp():
            return value.values
        case _:
            return []


def _is_part(value: ast.expr | None, parts: Collection[str]) -> bool:
    match value:
        case ast.Name(id=name):
            return name in parts
        case ast.Subscript() | ast.Attribute():
            return True
        case _:
            return any(_is_part(each, parts) for each in _choices(value))


def _bindings(nodes: Nodes) -> Iterator[Binding]:
    """Yield what each name is bound to anywhere inside, None where the text does not tell."""
    told: set[int] = set()
    for target, value in _plain_bindings(nodes):
        if isinstance(target, ast.Name):
            told.add(id(target))
            yield target.id, value
    for node in _of(nodes, ast.AugAssign):
        told.add(id(node.target))  # what it was bound to before is changed, or replaced
    for node in _of(nodes, ast.arg):
        yield node.arg, None
    for node in _of(nodes, ast.Name):
        if isinstance(node.ctx, ast.Store) and id(node) not in told:
            yield node.id, None
    for kind in _BINDING_BY_TEXT:
        for node in _of(nodes, kind):
            if node.name:
                yield node.name, None


def _plain_bindings(nodes: Nodes) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    for node in _of(nodes, ast.Assign):
        for target in node.targets:
            yield target, node.value
    for kind in (ast.AnnAssign, ast.NamedExpr):
        for node in _of(nodes, kind):
            yield node.target, node.value
    for loop in (ast.For, ast.comprehension):
        for node in _of(nodes, loop):
            yield node.target, _element(node.iter)


def _element(iterable: ast.expr) -> ast.expr:
    """Return an expression for what a loop takes from a list, dict or tuple."""
    match iterable:
        case ast.Call(func=ast.Attribute(attr="values", value=base), args=[]):
            iterable = base
    return ast.Subscript(value=iterable, slice=ast.Constant(0))


def _class_parameters(nodes: Nodes) -> Iterator[str]:
    """Yield the names by which class methods know their class."""
    for node in _of(nodes, ast.FunctionDef):
        decorators = [d.id for d in node.decorator_list if isinstance(d, ast.Name)]
        if node.args.args and "classmethod" in decorators:
            yield node.args.args[0].arg


def _of(nodes: Nodes, kind: type[ast.AST]) -> Sequence[Any]:
    return nodes.get(kind, ())
