"""Where the address of an object would show, which differs from process to process."""

from __future__ import annotations

import ast
from collections.abc import Collection

from qmtl.parsing import codes
from qmtl.parsing.outline import Outline
from qmtl.parsing.report import Report

_SHOWING = frozenset({"ascii", "format", "repr", "str"})
_OF_TEXT = "Show its name, or what it computed."


def check_call(call: ast.Call, loaded: Collection[int], found: Outline, report: Report) -> None:
    """Note ``object()``, and texts of what has no text of its own."""
    if _is_builtin(call.func, "object", loaded, found):
        message = "`object()` has nothing but its address."
        report.add(codes.ADDRESS, call, message, 'Use None, or a text such as "missing".')
    elif any(_is_builtin(call.func, name, loaded, found) for name in _SHOWING) and call.args:
        check_shown(call.args[0], loaded, found, report)


def check_shown(value: ast.expr, loaded: Collection[int], found: Outline, report: Report) -> None:
    """Note the text of a function, a lambda, a generator, or a plain object."""
    match value:
        case ast.Lambda() | ast.GeneratorExp():
            shows = True
        case ast.Name(id=name) if id(value) in loaded:
            shows = isinstance(found.names.get(name), ast.FunctionDef)
        case ast.Call(func=ast.Name(id=name) as called) if id(called) in loaded:
            shows = _is_bare(found.names.get(name))
        case _:
            shows = False
    if shows:
        message = "The text of this object shows its address, which no two runs have alike."
        report.add(codes.ADDRESS, value, message, _OF_TEXT)


def check_hash(name: ast.Name, inside: Collection[int], found: Outline, report: Report) -> None:
    """Note ``hash`` outside of the method ``__hash__``."""
    if name.id == "hash" and "hash" not in found.names and id(name) not in inside:
        message = "`hash` of texts and of objects differs from process to process."
        hint = "Use hashlib on the bytes of a text; `hash` may stand in a class's `__hash__`."
        report.add(codes.ADDRESS, name, message, hint)


def _is_bare(statement: ast.stmt | None) -> bool:
    """Tell whether objects of a class have no text of their own."""
    if not isinstance(statement, ast.ClassDef) or statement.bases or statement.decorator_list:
        return False
    methods = {each.name for each in statement.body if isinstance(each, ast.FunctionDef)}
    return methods.isdisjoint({"__repr__", "__str__"})


def _is_builtin(function: ast.expr, name: str, loaded: Collection[int], found: Outline) -> bool:
    return (
        isinstance(function, ast.Name)
        and function.id == name
        and id(function) in loaded
        and name not in found.names
    )
