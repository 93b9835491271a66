"""The name policy: what the code inside functions, classes and constants may say."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable

from qmtl.graph.grammar import BY_TYPE, walk
from qmtl.graph.module import LANGUAGE, bound_name
from qmtl.parsing import allowed, codes
from qmtl.parsing.outline import Outline, check_path
from qmtl.parsing.report import Report

_FORMAT_REACH = re.compile(r"\.(?:_|gi_|cr_|ag_|tb_|f_)")
_PACKAGE = LANGUAGE.partition(".")[0]
_DECLARE = "Declare at module level; `window` and `query` stand inside `inputs=` of @node."


def check_policy(found: Outline, report: Report) -> None:
    """Note whatever a module's definitions say against the name policy."""
    for name in found.names:
        _identifier(name, found.names[name], report)
    for statement in [*found.nodes.values(), *found.helpers, *found.constants]:
        _Check(statement, found, report).run()


def _identifier(name: str | None, at: ast.AST, report: Report) -> None:
    if name is not None and name.startswith("__"):
        report.add(codes.IDENTIFIER, at, f"The name {name!r} begins with two underscores.")


class _Check:
    """One definition's check; ``loads`` are its names that mean the module's."""

    def __init__(self, statement: ast.stmt, found: Outline, report: Report) -> None:
        self.statement, self.found, self.report = statement, found, report
        skipped: set[int] = set()
        if isinstance(statement, ast.FunctionDef):
            for decorator in statement.decorator_list:
                if found.index.language_name(decorator):
                    skipped.update(map(id, walk(decorator)))  # a declaration, read as such
        self.nodes = [each for each in walk(statement) if id(each) not in skipped]
        names = found.index.names(statement)
        loads = [each for each in names.loads if id(each) not in skipped]
        self.loads = sorted(loads, key=lambda each: (each.lineno, each.col_offset))
        self.loaded = {id(each) for each in self.loads}
        self.stores = names.stores
        self.bases: set[int] = set()
        self.calls: dict[int, ast.Call] = {}
        self.methods: set[int] = set()
        for each in self.nodes:
            match each:
                case ast.Attribute():
                    self.bases.add(id(each.value))
                case ast.Call():
                    self.calls[id(each.func)] = each
                case ast.ClassDef():
                    self.methods.update(map(id, each.body))

    def run(self) -> None:
        for name in self.loads:
            self.load(name)
        own = bound_name(self.statement)
        for name in self.stores:
            if isinstance(self.statement, ast.FunctionDef | ast.ClassDef) or name.id != own:
                message = f"{name.id!r} is bound at module level from within an expression."
                self.report.add(codes.GLOBAL, name, message)
        for node in self.nodes:
            self.node(node)

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
        elif word in self.found.names or word in allowed.BUILTINS:
            pass
        elif word in allowed.GUARDED_BUILTINS:
            self.guarded(name)
        elif word in allowed.REFUSED_BUILTINS or hasattr(builtins, word):
            report.add(codes.BUILTIN, name, f"The builtin {word!r} may not be used.")
        else:
            report.add(codes.UNDEFINED, name, f"The name {word!r} is not defined.", self.hint(word))

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
                self.report.add(codes.BUILTIN, name, message)
            return
        match call:
            case ast.Call(args=[_, ast.Constant(value=str(attribute)), *_]) if (
                not allowed.refused_attribute(attribute)
                and attribute not in allowed.FORMAT_ATTRIBUTES | allowed.CLOCK_ATTRIBUTES
            ):
                return
        message = f"`{name.id}` needs the name of a public attribute as a literal."
        self.report.add(codes.BUILTIN, name, message)

    def node(self, node: ast.AST) -> None:
        if type(node) not in BY_TYPE or getattr(node, "type_params", None):
            message = f"{type(node).__name__} is outside the language."
            self.report.add(codes.CONSTRUCT, node, message)
            return
        match node:
            case ast.Attribute():
                self.attribute(node)
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                self.mutation(node)
            case ast.Call():
                self.call(node)
            case ast.FunctionDef() | ast.ClassDef():
                self.definition(node)
            case ast.MatchClass():
                for attribute in node.kwd_attrs:
                    self.attribute_name(attribute, node)
            case _:
                self.other(node)

    def other(self, node: ast.AST) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                message = "An import stands inside a function."
                self.report.add(codes.IMPORT_PLACE, node, message)
            case ast.Global():
                message = f"{', '.join(node.names)} would be bound from within a function."
                self.report.add(codes.GLOBAL, node, message)
            case ast.comprehension(is_async=1):
                self.report.add(codes.CONSTRUCT, node.iter, "Asynchronous loops are not allowed.")
            case _:
                for name in _names_in(node):
                    _identifier(name, node, self.report)

    def attribute(self, node: ast.Attribute) -> None:
        path = self.found.index.path(node, self.loaded)
        if path is not None:
            check_path(path, node, self.report)
        self.attribute_name(node.attr, node)
        if node.attr in allowed.FORMAT_ATTRIBUTES:
            self.format(node)
        if not isinstance(node.ctx, ast.Load):
            self.mutation(node)

    def attribute_name(self, name: str, at: ast.AST) -> None:
        if allowed.refused_attribute(name):
            self.report.add(codes.ATTRIBUTE, at, f"The attribute {name!r} may not be used.")
        elif name in allowed.CLOCK_ATTRIBUTES:
            self.report.add(codes.CLOCK, at, f"`{name}` reads a clock.")

    def format(self, node: ast.Attribute) -> None:
        value = node.value
        literal = isinstance(value, ast.Constant) and isinstance(value.value, str)
        if not literal:
            self.report.add(codes.FORMATTING, node, f"`.{node.attr}` is used on no literal text.")
        elif isinstance(value, ast.Constant) and _reaches(str(value.value)):
            self.report.add(codes.FORMATTING, node, "The format reaches a private attribute.")

    def mutation(self, node: ast.Attribute | ast.Subscript) -> None:
        root: ast.expr = node
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        # The names of a target's base are loaded, also where the target is bound.
        if isinstance(root, ast.Name) and id(root) in self.loaded:
            self.report.add(codes.MUTATION, node, f"{root.id!r} belongs to the module.")

    def call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and self.changes(node.func):
            self.mutation(node.func)
        path = self.found.index.path(node.func, self.loaded)
        if path is None or path.partition(".")[0] not in {"pandas", "numpy"}:
            return
        for value in [*node.args, *(each.value for each in node.keywords)]:
            if isinstance(value, ast.Constant) and str(value.value).lower() in allowed.CLOCK_WORDS:
                self.report.add(codes.CLOCK, value, f"{value.value!r} reads a clock.")

    def changes(self, method: ast.Attribute) -> bool:
        """Tell whether a call of this method changes an object that the module holds."""
        root: ast.expr = method.value
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if not isinstance(root, ast.Name) or id(root) not in self.loaded:
            return False
        match self.found.index.definitions.get(root.id):
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                if method.attr == "add":  # of a set; that of pandas is a plain sum
                    return _is_set(value)
                made = self.found.index.path(value.func) if isinstance(value, ast.Call) else None
                frozen = (made or "").partition(".")[0] == "polars"  # its methods return new ones
                return method.attr in allowed.MUTATORS and not frozen
            case ast.ClassDef():  # a method of the class itself, or of an object that it holds
                return method.attr in allowed.MUTATORS and method.value is not root
            case _:
                return False

    def definition(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        is_method = isinstance(node, ast.FunctionDef) and id(node) in self.methods
        if not (is_method and node.name in allowed.CLASS_METHODS):
            _identifier(node.name, node, self.report)
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
        self.report.add(codes.DECORATOR, node, "This decorator is not allowed.")


def _is_set(value: ast.expr) -> bool:
    match value:
        case ast.Set() | ast.Call(func=ast.Name(id="set")):
            return True
        case _:
            return False


def _reaches(format_text: str) -> bool:
    """Tell whether a replacement field may name a private attribute."""
    field = format_text.find("{")
    return field >= 0 and _FORMAT_REACH.search(format_text, field) is not None


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
