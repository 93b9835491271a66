"""The module level: what each statement there is, and what may not stand there."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from qmtl.graph.grammar import is_docstring
from qmtl.graph.module import LANGUAGE, ModuleIndex, bound_name, imports_of
from qmtl.parsing import allowed, codes
from qmtl.parsing.hints import attribute_hint, library_hint
from qmtl.parsing.report import Report
from qmtl.parsing.spoken import spoken


@dataclass(slots=True)
class Outline:
    """A module's statements by what they are.

    Attributes:
        index: What its names are bound to.
        names: Every name that module level binds.
        strategies: Calls of ``strategy``.
        sources: Calls of ``source`` by variable.
        nodes: Functions under ``@node`` by name.
        constants: Assignments that declare nothing, in order.
        helpers: Functions and classes that are no nodes.
    """

    index: ModuleIndex
    names: dict[str, ast.stmt] = field(default_factory=dict)
    strategies: list[ast.Call] = field(default_factory=list)
    sources: dict[str, ast.Call] = field(default_factory=dict)
    nodes: dict[str, ast.FunctionDef] = field(default_factory=dict)
    constants: list[ast.Assign | ast.AnnAssign] = field(default_factory=list)
    helpers: list[ast.FunctionDef | ast.ClassDef] = field(default_factory=list)


def outline(tree: ast.Module, report: Report) -> Outline:
    """Sort a module's statements, noting what may not stand at module level."""
    found = Outline(ModuleIndex.of(tree))
    for position, statement in enumerate(tree.body):
        if position == 0 and is_docstring(statement):
            continue
        if isinstance(statement, ast.Import | ast.ImportFrom):
            check_import(statement, report)
            _bind_imports(statement, found, report)
        else:
            _sort(statement, found, report)
    return found


def check_import(statement: ast.Import | ast.ImportFrom, report: Report) -> None:
    """Note every module or name that a strategy may not import."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if alias.name != LANGUAGE:
                _check_module(alias.name, alias, report)
    elif statement.level or any(alias.name == "*" for alias in statement.names):
        report.add(codes.IMPORT_PLACE, statement, "Names are imported one by one, from modules.")
    elif statement.module == LANGUAGE:
        for alias in statement.names:
            check_language_word(alias.name, alias, report)
    elif _check_module(str(statement.module), statement, report):
        for alias in statement.names:
            check_path(f"{statement.module}.{alias.name}", alias, report)


def _check_module(module: str, at: ast.AST, report: Report) -> bool:
    if module.partition(".")[0] in allowed.CLOCK_MODULES:
        report.add(codes.CLOCK, at, f"The module {module!r} reads a clock.")
    elif not allowed.is_module(module):
        report.add(codes.IMPORT, at, f"The module {module!r} may not be imported.")
    else:
        return True
    return False


def check_path(path: str, at: ast.AST, report: Report) -> None:
    """Note where a dotted path leads to what a strategy may not use."""
    last = path.rpartition(".")[2]
    root = path.partition(".")[0]
    part = allowed.refused_path(path)
    if root == "__future__":
        if last != "annotations":
            report.add(codes.IMPORT, at, f"{path!r} may not be imported.")
    elif part is not None:
        report.add(codes.LIBRARY, at, f"{part!r} of {root} may not be used.", library_hint(part))
    elif last.startswith("_"):
        report.add(codes.ATTRIBUTE, at, f"{path!r} is private.")
    elif allowed.refused_attribute(last):
        message = f"The attribute {last!r} may not be used."
        report.add(codes.ATTRIBUTE, at, message, attribute_hint(last))


def check_language_word(word: str, at: ast.AST, report: Report) -> None:
    """Note a name of the SDK that strategies do not have."""
    known = allowed.LANGUAGE_WORDS | allowed.TYPE_WORDS
    if word not in known:
        message = f"Strategies may not use {word!r} of {LANGUAGE}."
        report.add(codes.IMPORT, at, message, f"They have {', '.join(sorted(known))}.")


def _bind_imports(statement: ast.Import | ast.ImportFrom, found: Outline, report: Report) -> None:
    for alias, each in zip(statement.names, imports_of(statement), strict=False):
        first = found.names.get(each.local)
        again = isinstance(first, ast.Import) and isinstance(statement, ast.Import)
        if (
            again
            and alias.asname is None
            and all(not other.aliased for other in found.index.imports[each.local])
        ):
            continue  # `import scipy.stats` and `import scipy.signal` bind one and the same name
        _bind(each.local, statement, alias, found, report)


def _bind(name: str, statement: ast.stmt, at: ast.AST, found: Outline, report: Report) -> None:
    if name in found.names:
        line = found.names[name].lineno
        report.add(codes.BOUND_TWICE, at, f"{name!r} is already bound in line {line}.")
    elif name in allowed.REFUSED_BUILTINS | allowed.GUARDED_BUILTINS:
        report.add(codes.BOUND_TWICE, at, f"{name!r} would hide a builtin that is refused.")
    found.names.setdefault(name, statement)


def _sort(statement: ast.stmt, found: Outline, report: Report) -> None:
    name = bound_name(statement)
    word = found.index.declares(statement)
    if name is not None:
        _bind(name, statement, statement, found, report)
    match statement:
        case ast.FunctionDef() if word == "node":
            found.nodes.setdefault(statement.name, statement)
        case ast.FunctionDef() | ast.ClassDef():
            found.helpers.append(statement)
            _check_each(statement, found, report)
        case ast.Assign() | ast.AnnAssign() if name is not None:
            _sort_assignment(name, statement, word, found, report)
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            message = "Module level binds one plain name at a time, with a value, and only once."
            report.add(codes.STATEMENT, statement, message, "Write `NAME = value`.")
        case ast.Expr(value=ast.Call() as call) if word == "strategy":
            found.strategies.append(call)
        case ast.Expr() if word == "source":
            message = "A source is bound to a name, by which nodes ask for it."
            report.add(codes.STATEMENT, statement, message, "Write `prices = source(...)`.")
        case ast.AsyncFunctionDef():
            message = "Functions of a strategy are not asynchronous."
            report.add(codes.CONSTRUCT, statement, message, "Write `def`.")
        case _:
            message = f"{spoken(statement)} may not stand at module level."
            report.add(codes.STATEMENT, statement, message, _hint(statement))


def _hint(statement: ast.stmt) -> str | None:
    hint = None
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            hint = "Write it as a comment; the module's docstring comes first of all."
        case ast.Expr(value=ast.Call(func=ast.Name(id="node" | "each" as word))):
            hint = f"Write `@{word}` in the line above a function."
        case ast.Expr():
            hint = "Move it into a function, or give its value a name: `NAME = ...`."
        case ast.Delete() | ast.Pass():
            hint = "Leave it out."
        case ast.If() | ast.Try() | ast.Match():
            hint = "Decide inside a function, or write `NAME = a if condition else b`."
        case ast.For() | ast.While():
            hint = "Move it into a function; for many nodes alike use @each."
    return hint


def _sort_assignment(
    name: str,
    statement: ast.Assign | ast.AnnAssign,
    word: str | None,
    found: Outline,
    report: Report,
) -> None:
    if word == "source" and isinstance(statement.value, ast.Call):
        found.sources.setdefault(name, statement.value)
    elif word == "strategy":
        report.add(codes.STATEMENT, statement, "strategy(...) stands alone; it gives no value.")
    else:
        found.constants.append(statement)


def _check_each(statement: ast.FunctionDef | ast.ClassDef, found: Outline, report: Report) -> None:
    for decorator in statement.decorator_list:
        if found.index.language_name(decorator) == "each":
            message = f"{statement.name!r} has @each, but is no node."
            report.add(codes.NODE_SHAPE, decorator, message, "Put @node on it as well.")
