"""Which names of a definition refer to the module, and which to something local.

Python's own rules, read so that doubt counts as reaching the module: an identity that covers too
much costs a recomputation, one that covers too little gives a wrong result.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from qmtl.graph.grammar import children

Kind = Literal["module", "class", "function", "comprehension"]
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True, slots=True)
class ModuleNames:
    """The Name nodes of a definition that mean the module's names.

    Attributes:
        loads: Those that read; a builtin is read through the module too.
        stores: Those that bind or delete.
    """

    loads: tuple[ast.Name, ...]
    stores: tuple[ast.Name, ...]


@dataclass(slots=True)
class _Scope:
    kind: Kind
    parent: _Scope | None
    todo: list[ast.AST]
    bound: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    names: list[ast.Name] = field(default_factory=list)

    def home(self) -> _Scope:
        """Return the scope in which ``:=`` binds."""
        scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope

    def is_local(self, name: ast.Name) -> bool:
        if self.kind == "class" and name.id in self.bound:
            # A class body looks a name up in the module until it has bound it itself.
            return not isinstance(name.ctx, ast.Load)
        scope: _Scope | None = self
        while scope is not None:
            if scope.kind in {"function", "comprehension"} and name.id in scope.bound:
                return True
            scope = scope.parent
        return False


def module_names(definition: ast.AST) -> ModuleNames:
    """Return the Name nodes of a module-level statement that resolve to module level."""
    found = _Finder()
    found.run(definition)
    loads: list[ast.Name] = []
    stores: list[ast.Name] = []
    for scope in found.scopes:
        for name in scope.names:
            if name.id in found.declared_global or not scope.is_local(name):
                (loads if isinstance(name.ctx, ast.Load) else stores).append(name)
    return ModuleNames(tuple(loads), tuple(stores))


class _Finder:
    def __init__(self) -> None:
        self.scopes: list[_Scope] = []
        self.declared_global: set[str] = set()

    def run(self, definition: ast.AST) -> None:
        self.open("module", None, [definition])
        done = 0
        while done < len(self.scopes):
            scope = self.scopes[done]
            while scope.todo:
                self.visit(scope.todo.pop(), scope)
            scope.bound -= scope.nonlocals
            done += 1

    def open(self, kind: Kind, parent: _Scope | None, todo: list[ast.AST]) -> _Scope:
        scope = _Scope(kind, parent, todo)
        self.scopes.append(scope)
        return scope

    def visit(self, node: ast.AST, scope: _Scope) -> None:
        match node:
            case ast.Name():
                scope.names.append(node)
                if not isinstance(node.ctx, ast.Load):
                    scope.bound.add(node.id)
            case ast.NamedExpr():
                home = scope.home()
                home.bound.add(node.target.id)
                home.names.append(node.target)
                scope.todo.append(node.value)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                scope.bound.add(node.name)
                scope.todo.extend(node.decorator_list)
                scope.todo.extend([node.returns] if node.returns else [])
                self.function(node.args, list(node.body), scope)
            case ast.Lambda():
                self.function(node.args, [node.body], scope)
            case ast.ClassDef():
                scope.bound.add(node.name)
                scope.todo.extend([*node.decorator_list, *node.bases, *node.keywords])
                self.open("class", scope, list(node.body))
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self.comprehension(node, scope)
            case ast.Global():
                self.declared_global.update(node.names)
            case ast.Nonlocal():
                scope.nonlocals.update(node.names)
            case _:
                scope.bound.update(_bound_as_text(node))
                scope.todo.extend(children(node))

    def function(self, args: ast.arguments, body: list[ast.AST], scope: _Scope) -> None:
        parameters = list(_parameters(args))
        scope.todo.extend(each for each in [*args.defaults, *args.kw_defaults] if each)
        scope.todo.extend(each.annotation for each in parameters if each.annotation)
        inner = self.open("function", scope, body)
        inner.bound.update(each.arg for each in parameters)

    def comprehension(self, node: Comprehension, scope: _Scope) -> None:
        first, *others = node.generators
        scope.todo.append(first.iter)  # evaluated outside
        todo: list[ast.AST] = [first.target, *first.ifs, *others]
        if isinstance(node, ast.DictComp):
            todo += [node.key, node.value]
        else:
            todo.append(node.elt)
        self.open("comprehension", scope, todo)


def _parameters(args: ast.arguments) -> Iterator[ast.arg]:
    yield from args.posonlyargs
    yield from args.args
    yield from args.kwonlyargs
    if args.vararg:
        yield args.vararg
    if args.kwarg:
        yield args.kwarg


def _bound_as_text(node: ast.AST) -> list[str]:
    """Return the names that a node binds without a Name node."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            return [name]
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return [name]
        case _:
            return []
