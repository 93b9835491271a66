"""The name policy: what the code inside functions, classes and constants may say."""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from qmtl.graph.grammar import BY_TYPE, walk
from qmtl.graph.module import LANGUAGE, bound_name
from qmtl.graph.reach import Reaches
from qmtl.parsing import allowed, codes
from qmtl.parsing.addresses import Addresses
from qmtl.parsing.formats import check_format
from qmtl.parsing.held import Held
from qmtl.parsing.hints import attribute_hint, builtin_hint
from qmtl.parsing.instants import check_order, check_texts
from qmtl.parsing.lasting import Lasting, made_at_load
from qmtl.parsing.outline import Outline, check_path
from qmtl.parsing.report import Report
from qmtl.parsing.spoken import called, spoken
from qmtl.parsing.text import shallow_nodes

_PACKAGE = LANGUAGE.partition(".")[0]
_DECLARE = "Declare at module level; `window` and `query` stand inside `inputs=` of @node."


def check_policy(tree: ast.Module, found: Outline, reaches: Reaches, report: Report) -> None:
    """Note whatever a module's definitions say against the name policy.

    Each definition is read for its identity right after it was found good.

    Raises:
        StrategyRejected: A statement is nested too deep to be read any further.
    """
    for name in found.names:
        _identifier(name, found.names[name], report)
    definitions = {id(s) for s in [*found.nodes.values(), *found.helpers, *found.constants]}
    lasting, addresses = Lasting(found, report), Addresses(found, report)
    for statement in tree.body:
        nodes = shallow_nodes(statement, report)
        if id(statement) in definitions:
            made = made_at_load(statement)
            lasting.check(statement, made)
            _Check(statement, nodes, found, addresses, report).run()
            own = bound_name(statement)
            if own is not None and not report:
                reaches.read(own, is_node=own in found.nodes)


def _identifier(name: str | None, at: ast.AST, report: Report) -> None:
    if name is not None and name.startswith("__"):
        report.add(codes.IDENTIFIER, at, f"The name {name!r} begins with two underscores.")


class _Check:
    """One definition's check; ``loads`` are its names that mean the module's."""

    def __init__(
        self,
        statement: ast.stmt,
        nodes: list[ast.AST],
        found: Outline,
        addresses: Addresses,
        report: Report,
    ) -> None:
        self.statement, self.found, self.report = statement, found, report
        self.addresses = addresses
        skipped: set[int] = set()
        if isinstance(statement, ast.FunctionDef):
            for decorator in statement.decorator_list:
                if found.index.language_name(decorator):
                    skipped.update(map(id, walk(decorator)))  # a declaration, read as such
        self.nodes: dict[type[ast.AST], list[Any]] = defaultdict(list)
        for node in nodes:
            if id(node) not in skipped:
                self.nodes[type(node)].append(node)
        names = found.index.names(statement)
        loads = [each for each in names.loads if id(each) not in skipped]
        self.loads = sorted(loads, key=lambda each: (each.lineno, each.col_offset))
        self.loaded = {id(each) for each in self.loads}
        self.stores = names.stores
        self.bases = {id(each.value) for each in self.nodes[ast.Attribute]}
        self.calls = {id(each.func): each for each in self.nodes[ast.Call]}
        self.methods = {id(each) for c in self.nodes[ast.ClassDef] for each in c.body}
        self.attributes = {
            getattr(each, "name", "") or str(bound_name(each))
            for c in self.nodes[ast.ClassDef]
            for each in c.body
        }
        self.held = Held(found, self.loaded, self.nodes, report)

    def run(self) -> None:
        for name in self.loads:
            self.load(name)
        own = bound_name(self.statement)
        for name in self.stores:
            if isinstance(self.statement, ast.FunctionDef | ast.ClassDef) or name.id != own:
                message = f"{name.id!r} is bound at module level from within a definition."
                self.report.add(codes.GLOBAL, name, message)
        for kind, nodes in list(self.nodes.items()):
            handle = _HANDLERS.get(kind) if kind in BY_TYPE else _Check.construct
            if handle is not None:
                for node in nodes:
                    handle(self, node)

    def load(self, name: ast.Name) -> None:
        word, report = name.id, self.report
        if word.startswith("__"):
            return  # told as an identifier
        if word in self.found.sources or word in self.found.nodes:
            if word != bound_name(self.statement):
                message = f"{word!r} is a source or a node, which is read as an input."
                report.add(codes.MISPLACED, name, message)
        elif word in self.found.index.imports:
            self.imported(name)
        elif word in self.found.names:
            pass
        elif word in allowed.BUILTINS:
            if word == "hash" and id(name) not in self.hash_methods:
                self.addresses.hashed(name)
        elif word in allowed.GUARDED_BUILTINS:
            self.guarded(name)
        else:
            self.unknown(name)

    def unknown(self, name: ast.Name) -> None:
        word = name.id
        if word in allowed.REFUSED_BUILTINS or hasattr(builtins, word):
            message = f"The builtin {word!r} may not be used."
            self.report.add(codes.BUILTIN, name, message, builtin_hint(word))
        elif word not in self.attributes or id(name) not in self.class_level:
            message = f"The name {word!r} is not defined."
            self.report.add(codes.UNDEFINED, name, message, self.hint(word))

    @cached_property
    def class_level(self) -> set[int]:
        """The names that stand where the attributes of a class are seen."""
        seen: list[ast.AST] = []
        for body in (each.body for each in self.nodes[ast.ClassDef]):
            for each in body:
                seen += getattr(each, "decorator_list", ())
                value = getattr(each, "value", None)
                seen += [value] if isinstance(value, ast.AST) else []
        return {id(node) for part in seen for node in walk(part)}

    @cached_property
    def hash_methods(self) -> set[int]:
        """All that stands in methods called `__hash__`."""
        methods = [each for each in self.nodes[ast.FunctionDef] if each.name == "__hash__"]
        return {id(n) for each in methods if id(each) in self.methods for n in walk(each)}

    def hint(self, word: str) -> str | None:
        if word in allowed.LANGUAGE_WORDS | allowed.TYPE_WORDS:
            return f"Write `from {LANGUAGE} import {word}`."
        return self.report.nearest(word, {*self.found.names, *allowed.BUILTINS})

    def imported(self, name: ast.Name) -> None:
        first = self.found.index.imports[name.id][0]
        if first.module == LANGUAGE and first.attribute in allowed.TYPE_WORDS:
            return
        if first.path.partition(".")[0] == _PACKAGE:
            message = f"{name.id!r} declares; it may not be used inside definitions."
            self.report.add(codes.MISPLACED, name, message, _DECLARE)
        elif first.attribute is None and id(name) not in self.bases:
            message = f"The module {name.id!r} is used as a value."
            self.report.add(codes.BARE_MODULE, name, message)

    def guarded(self, name: ast.Name) -> None:
        call = self.calls.get(id(name))
        if name.id == "type":
            if call is None or len(call.args) != 1 or call.keywords:
                message = "`type` is only called with one argument."
                self.report.add(codes.BUILTIN, name, message, "Write `type(x)`.")
            return
        match call:
            case ast.Call(args=[_, ast.Constant(value=str(attribute)), *_]) if (
                not allowed.refused_attribute(attribute)
                and attribute not in allowed.FORMAT_ATTRIBUTES | allowed.CLOCK_ATTRIBUTES
            ):
                return
        message = f"`{name.id}` needs the name of a public attribute as a literal."
        self.report.add(codes.BUILTIN, name, message)

    def construct(self, node: ast.AST) -> None:
        message = f"{spoken(node)} is outside the language."
        self.report.add(codes.CONSTRUCT, node, message)

    def named(self, node: ast.AST) -> None:
        for name in _names_in(node):
            _identifier(name, node, self.report)

    def import_inside(self, node: ast.stmt) -> None:
        message = "An import stands inside a function."
        self.report.add(codes.IMPORT_PLACE, node, message)

    def declared_global(self, node: ast.Global) -> None:
        message = f"{', '.join(node.names)} would be bound from within a function."
        self.report.add(codes.GLOBAL, node, message)

    def loop(self, node: ast.comprehension) -> None:
        if node.is_async:
            self.report.add(codes.CONSTRUCT, node.iter, "Asynchronous loops are not allowed.")

    def pattern(self, node: ast.MatchClass) -> None:
        for attribute in node.kwd_attrs:
            self.attribute_name(attribute, node)

    def item(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.held.target(node)

    def augmented(self, node: ast.AugAssign) -> None:
        self.held.augmented(node)

    def compared(self, node: ast.Compare) -> None:
        check_order(node, self.report)

    def formatted(self, node: ast.FormattedValue) -> None:
        self.addresses.shown(node.value, self.loaded)

    def attribute(self, node: ast.Attribute) -> None:
        path = self.found.index.path(node, self.loaded)
        if path is not None:
            check_path(path, node, self.report)
        self.attribute_name(node.attr, node)
        if node.attr in allowed.FORMAT_ATTRIBUTES:
            check_format(node, self.report)
        if not isinstance(node.ctx, ast.Load):
            self.held.target(node)

    def attribute_name(self, name: str, at: ast.AST) -> None:
        if allowed.refused_attribute(name):
            message = f"The attribute {name!r} may not be used."
            self.report.add(codes.ATTRIBUTE, at, message, attribute_hint(name))
        elif name in allowed.CLOCK_ATTRIBUTES:
            self.report.add(codes.CLOCK, at, f"`{name}` reads a clock.")

    def call(self, node: ast.Call) -> None:
        path = self.found.index.path(node.func, self.loaded)
        self.held.call(node, path)
        check_texts(node, path, self.found, self.report)
        self.addresses.call(node, self.loaded)
        if path in allowed.ENTROPY_PATHS and not node.args:
            message = f"`{path}` without a seed draws one from the operating system."
            hint = "Give it a seed; the functions of `random` are seeded by themselves."
            self.report.add(codes.LIBRARY, node, message, hint)

    def definition(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        is_method = isinstance(node, ast.FunctionDef) and id(node) in self.methods
        if not (is_method and node.name in allowed.CLASS_METHODS):
            _identifier(node.name, node, self.report)
        if getattr(node, "type_params", None):
            self.construct(node)
        if isinstance(node, ast.ClassDef) and node.keywords:
            message = "A class takes no keywords, such as a metaclass."
            self.report.add(codes.CONSTRUCT, node, message)
        for each in node.decorator_list:
            self.decorator(each, node)

    def decorator(self, node: ast.expr, on: ast.AST) -> None:
        named = node.func if isinstance(node, ast.Call) else node
        word = self.found.index.language_name(node)
        if word is not None and on is self.statement and word in allowed.DECORATOR_WORDS:
            return  # a declaration
        path = self.found.index.path(named, self.loaded) or ""
        match named:
            case _ if path.partition(".")[0] in allowed.DECORATOR_MODULES:
                return
            case ast.Name(id=name) if name in allowed.CLASS_DECORATORS:
                return
            case ast.Attribute(value=ast.Name(), attr=part) if part in allowed.PROPERTY_PARTS:
                return
        message = f"`@{called(named)}` is not allowed as a decorator."
        self.report.add(codes.DECORATOR, node, message)


def _names_in(node: ast.AST) -> Iterable[str | None]:
    """Return the names that a node holds as text."""
    match node:
        case ast.Name():
            return [node.id]
        case ast.arg() | ast.keyword():
            return [node.arg]
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
            return [node.name]
        case ast.MatchMapping():
            return [node.rest]
        case ast.Nonlocal():
            return node.names
        case _:
            return []


_HANDLERS: dict[type[ast.AST], Callable[[_Check, Any], None]] = {
    ast.Attribute: _Check.attribute,
    ast.Subscript: _Check.item,
    ast.Call: _Check.call,
    ast.FunctionDef: _Check.definition,
    ast.ClassDef: _Check.definition,
    ast.MatchClass: _Check.pattern,
    ast.Import: _Check.import_inside,
    ast.ImportFrom: _Check.import_inside,
    ast.Global: _Check.declared_global,
    ast.comprehension: _Check.loop,
    ast.AugAssign: _Check.augmented,
    ast.Compare: _Check.compared,
    ast.FormattedValue: _Check.formatted,
    **dict.fromkeys(
        [ast.Name, ast.arg, ast.keyword, ast.ExceptHandler, ast.MatchAs, ast.MatchStar,
         ast.MatchMapping, ast.Nonlocal],
        _Check.named,
    ),
}  # fmt: skip
