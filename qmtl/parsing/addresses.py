"""Where the address of an object would show, which differs from process to process."""

from __future__ import annotations

import ast
from collections.abc import Collection

from qmtl.parsing import codes
from qmtl.parsing.outline import Outline
from qmtl.parsing.report import Report

_SHOWING = frozenset({"ascii", "format", "repr", "str"})
_OF_TEXT = "Show its name, or what it computed."


class Addresses:
    """Notes what would show an address, in the definitions of one module."""

    def __init__(self, found: Outline, report: Report) -> None:
        self._found, self._report = found, report
        self._bare = frozenset(
            name for name, each in found.index.definitions.items() if _is_bare(each)
        )

    def call(self, call: ast.Call, loaded: Collection[int]) -> None:
        """Note ``object()``, and texts of what has no text of its own."""
        if not isinstance(call.func, ast.Name) or id(call.func) not in loaded:
            return
        name = call.func.id
        if name in self._found.names:
            return
        if name == "object":
            message = "`object()` has nothing but its address."
            self._report.add(codes.ADDRESS, call, message, 'Use None, or a text such as "missing".')
        elif name in _SHOWING and call.args:
            self.shown(call.args[0], loaded)

    def shown(self, value: ast.expr, loaded: Collection[int]) -> None:
        """Note the text of a function, a lambda, a generator, or a plain object."""
        match value:
            case ast.Lambda() | ast.GeneratorExp():
                shows = True
            case ast.Name(id=name) if id(value) in loaded:
                shows = isinstance(self._found.names.get(name), ast.FunctionDef)
            case ast.Call(func=ast.Name(id=name) as called) if id(called) in loaded:
                shows = name in self._bare
            case _:
                shows = False
        if shows:
            message = "The text of this object shows its address, which no two runs have alike."
            self._report.add(codes.ADDRESS, value, message, _OF_TEXT)

    def hashed(self, name: ast.Name) -> None:
        """Note ``hash`` outside of the method ``__hash__``."""
        message = "`hash` of texts and of objects differs from process to process."
        hint = "Use hashlib on the bytes of a text; `hash` may stand in a class's `__hash__`."
        self._report.add(codes.ADDRESS, name, message, hint)


def _is_bare(statement: ast.stmt) -> bool:
    """Tell whether objects of a class have no text of their own."""
    if not isinstance(statement, ast.ClassDef) or statement.bases or statement.decorator_list:
        return False
    methods = {each.name for each in statement.body if isinstance(each, ast.FunctionDef)}
    return methods.isdisjoint({"__repr__", "__str__"})
