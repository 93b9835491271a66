"""What a module makes while it loads and keeps for every call: it must be unchangeable.

Defaults, attributes of classes and the memory of caches are found by no later call's identity, so
that a change of them would make a result depend on what ran before in the same process.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from qmtl.graph.grammar import children, is_docstring
from qmtl.parsing import allowed, codes
from qmtl.parsing.frozen import Frozen
from qmtl.parsing.outline import Outline
from qmtl.parsing.report import Report

Made = ast.FunctionDef | ast.Lambda | ast.ClassDef
_MAKERS = frozenset(
    {"dataclasses.field", "enum.member", "enum.nonmember", "functools.cached_property",
     "functools.partialmethod"}
)  # fmt: skip
_WRAPPERS = frozenset({"classmethod", "property", "staticmethod"})
_TUPLE = "Write a tuple, or keep it as a constant at module level and copy that where it changes."


def made_at_load(statement: ast.stmt) -> list[Made]:
    """Return the functions, lambdas and classes that a statement makes while the module loads."""
    if isinstance(statement, ast.FunctionDef) and not statement.decorator_list:
        args = statement.args
        if not args.defaults and not args.kw_defaults:
            return [statement]
    found: list[Made] = []
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, Made):
            found.append(node)
        if isinstance(node, ast.FunctionDef):
            pending += [*node.decorator_list, *_defaults(node.args)]
        elif isinstance(node, ast.Lambda):
            pending += _defaults(node.args)
        else:
            pending += children(node)
    return found


class Lasting:
    """Notes what would outlive a call."""

    def __init__(self, found: Outline, report: Report) -> None:
        self._found, self._report = found, report
        self._frozen = Frozen(found)

    def check(self, statement: ast.stmt, made: Sequence[Made]) -> None:
        """Check what a helper or a constant makes while the module loads."""
        for each in made:
            if isinstance(each, ast.ClassDef):
                self._class(each)
            elif each is statement and statement.name in self._found.nodes:
                self._node(statement)
            else:
                self._function(each)

    def _function(self, made: ast.FunctionDef | ast.Lambda) -> None:
        for name, default in _with_defaults(made.args):
            if not self._frozen.holds(default):
                message = f"The default of {name!r} is made once and could be changed by a call."
                hint = f"Write `{name}=None` and make it inside, or a tuple."
                self._report.add(codes.LASTING, default, message, hint)
        for decorator in getattr(made, "decorator_list", ()):
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if self._found.index.path(call) in allowed.MEMO_PATHS:
                message = (
                    "A cache of a function that outlives the call keeps results between calls."
                )
                hint = "Leave it out, or define the cached function inside the one that calls it."
                self._report.add(codes.LASTING, decorator, message, hint)

    def _node(self, node: ast.FunctionDef) -> None:
        """Note a list or dict as the default of a node that calls itself: nobody else uses it."""
        loads = self._found.index.names(node).loads
        if all(each.id != node.name for each in loads):
            return
        for name, default in _with_defaults(node.args):
            if not self._frozen.holds(default):
                message = f"The node calls itself, which would share the default of {name!r}."
                hint = "Let a helper function recurse, or write a tuple."
                self._report.add(codes.LASTING, default, message, hint)

    def _class(self, made: ast.ClassDef) -> None:
        for each in made.body:
            match each:
                case ast.Assign(value=value):
                    self._attribute(value)
                case ast.AnnAssign(value=value):
                    if value is not None:
                        self._attribute(value)
                case ast.FunctionDef() | ast.ClassDef() | ast.Pass() | ast.AsyncFunctionDef():
                    pass
                case ast.Expr(value=ast.Constant()) if is_docstring(each) or _is_dots(each):
                    pass
                case _:
                    message = "The body of a class holds methods and attributes alone."
                    hint = "Compute it in a method, or in a constant at module level."
                    self._report.add(codes.CONSTRUCT, each, message, hint)

    def _attribute(self, value: ast.expr) -> None:
        if isinstance(value, ast.Call):
            path = self._found.index.path(value.func)
            plain = isinstance(value.func, ast.Name) and value.func.id in _WRAPPERS
            if plain or path in _MAKERS:
                given = {each.arg: each.value for each in value.keywords}
                value = given.get("default", ast.Constant(None))
        if not self._frozen.holds(value):
            message = (
                "An attribute of a class is shared by every call, and this one can be changed."
            )
            self._report.add(codes.LASTING, value, message, _TUPLE)


def _defaults(args: ast.arguments) -> list[ast.expr]:
    return [each for each in [*args.defaults, *args.kw_defaults] if each is not None]


def _with_defaults(args: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    positional = [*args.posonlyargs, *args.args]
    given = positional[len(positional) - len(args.defaults) :]
    for each, default in zip(given, args.defaults, strict=True):
        yield each.arg, default
    for each, kept in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if kept is not None:
            yield each.arg, kept


def _is_dots(statement: ast.Expr) -> bool:
    return isinstance(statement.value, ast.Constant) and statement.value.value is ...
