"""What a module-level constant may be made of."""

from __future__ import annotations

import ast

from qmtl.graph.grammar import children
from qmtl.parsing import allowed, codes
from qmtl.parsing.outline import Outline
from qmtl.parsing.report import Report
from qmtl.parsing.spoken import spoken

_PARTS = (
    ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.keyword, ast.Subscript, ast.Slice,
    ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Starred, ast.JoinedStr, ast.FormattedValue,
    ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip


def check_constants(found: Outline, report: Report) -> None:
    """Note constants whose values would run code of the module while it loads."""
    for statement in found.constants:
        if statement.value is not None:
            _check(statement.value, statement, found, report)
            _check_lasting(statement.value, found, report)


def _check(value: ast.expr, statement: ast.stmt, found: Outline, report: Report) -> None:
    pending: list[ast.AST] = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Lambda):
            pending += [d for d in [*node.args.defaults, *node.args.kw_defaults] if d]
            continue  # its body runs later, and is checked as any other code
        if not isinstance(node, _PARTS):
            message = f"{spoken(node)} may not stand in a constant."
            report.add(codes.CONSTANT, node, message, "Compute it inside a function.")
            continue
        if isinstance(node, ast.Name):
            _check_order(node, statement, found, report)
        elif isinstance(node, ast.Call):
            _check_call(node, found, report)
        pending.extend(children(node))


def _check_order(name: ast.Name, statement: ast.stmt, found: Outline, report: Report) -> None:
    bound = found.names.get(name.id)
    if bound is not None and bound.lineno >= statement.lineno:
        message = f"{name.id!r} is bound only in line {bound.lineno}."
        report.add(codes.CONSTANT, name, message, "Move its definition up.")


def _check_call(call: ast.Call, found: Outline, report: Report) -> None:
    path = found.index.path(call.func)
    if path is None:
        builtin = isinstance(call.func, ast.Name) and call.func.id not in found.names
        method = isinstance(call.func, ast.Attribute)
        if not (builtin or method):
            message = "A constant calls no function or class of the module itself."
            report.add(codes.CONSTANT, call, message)
        elif isinstance(call.func, ast.Attribute) and _is_own(call.func, found):
            message = "A constant calls no method of the module's own classes."
            report.add(codes.CONSTANT, call, message)
    elif set(path.split(".")) & allowed.RANDOM_PARTS:
        message = "A constant draws random numbers, before any node is seeded."
        report.add(codes.CONSTANT, call, message, "Draw them inside a function.")
    elif path in allowed.GROWS_WHEN_READ:
        message = "A defaultdict grows where a missing key is read."
        report.add(codes.CONSTANT, call, message, "Write a dict, and read it by .get(key, ...).")
    elif path in allowed.MEMO_PATHS:
        message = "A cache keeps results from one call to the next."
        report.add(codes.CONSTANT, call, message, "Call the function itself.")


def _check_lasting(value: ast.expr, found: Outline, report: Report) -> None:
    """Note iterators: what one node takes from one, no other finds."""
    pending: list[ast.AST] = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call) and _is_iterator(node.func, found):
            message = "An iterator is used up by the first that reads it."
            report.add(codes.CONSTANT, node, message, "Make it a tuple: tuple(...).")
        elif isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict | ast.IfExp | ast.BoolOp):
            pending.extend(children(node))


def _is_iterator(function: ast.expr, found: Outline) -> bool:
    if isinstance(function, ast.Name) and function.id not in found.names:
        return function.id in allowed.ITERATOR_BUILTINS
    path = found.index.path(function) or ""
    return path.startswith("itertools.") or path in allowed.ITERATOR_PATHS


def _is_own(method: ast.expr, found: Outline) -> bool:
    while isinstance(method, ast.Attribute):
        method = method.value
    return isinstance(method, ast.Name) and isinstance(
        found.names.get(method.id), ast.ClassDef | ast.FunctionDef
    )
