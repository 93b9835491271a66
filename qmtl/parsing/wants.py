"""What `inputs=` says: for an argument a binding, a window or a query, before it is resolved."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qmtl.graph.module import ModuleIndex
from qmtl.models.datanode import QuerySpec
from qmtl.parsing import codes
from qmtl.parsing.literals import Given, note_repeated_keys, read_call, shown
from qmtl.parsing.report import Report
from qmtl.parsing.signatures import QUERY, WINDOW

_HINT = 'Write such as inputs={"fast": "sma[50]", "past": window("self", 20)}.'
_WANTED = 'a dict such as {"argument": "source_or_node"}'


@dataclass(frozen=True, slots=True)
class BindingWant:
    """A source or a node by its name; in a family ``{parameter}`` is still to be filled in."""

    binding: str
    at: ast.AST


@dataclass(frozen=True, slots=True)
class WindowWant:
    """The latest ``count`` past results of a node, or of the reader where it says ``self``."""

    binding: str
    count: int
    at: ast.AST


@dataclass(frozen=True, slots=True)
class QueryWant:
    """All nodes of other strategies that a query matches."""

    query: QuerySpec
    at: ast.AST


Want = BindingWant | WindowWant | QueryWant


def read_wants(
    given: Given | None, arguments: Iterable[str], index: ModuleIndex, report: Report
) -> dict[str, Want | None]:
    """Return what each argument is to take, noting what says nothing of the kind.

    Args:
        given: The argument of ``node``.
        arguments: The function's inputs.
        index: Of the module.
        report: Takes what is wrong.

    Returns:
        None for an argument of which that could not be read.
    """
    node = None if given is None else given.at
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return {}
    if not isinstance(node, ast.Dict):
        _refuse(node, report)
        return dict.fromkeys(arguments)
    note_repeated_keys(node, report)
    wants: dict[str, Want | None] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            report.add(codes.NOT_LITERAL, value, "`**` hides what is declared.")
        elif not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            _refuse(key, report)
        else:
            wants[key.value] = _want(value, index, report)
    return wants


def _want(node: ast.expr, index: ModuleIndex, report: Report) -> Want | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return BindingWant(node.value, node)
    word = index.language_name(node) if isinstance(node, ast.Call) else None
    if isinstance(node, ast.Call) and word == "window":
        return _window(node, report)
    if isinstance(node, ast.Call) and word == "query":
        return _query(node, report)
    _refuse(node, report)
    return None


def _window(call: ast.Call, report: Report) -> WindowWant | None:
    given = read_call(call, WINDOW, report)
    binding, count = _value(given, "node"), _value(given, "count")
    if not isinstance(binding, str) or not isinstance(count, int):
        return None
    return WindowWant(binding, count, call)


def _query(call: ast.Call, report: Report) -> QueryWant | None:
    if not call.args and not call.keywords:
        message = "query() says nothing of what it matches."
        hint = "Name tags, an interval or a strategy, such as query(tags=['signal'])."
        report.add(codes.ARGUMENTS, call, message, hint)
        return None
    given = read_call(call, QUERY, report)
    fields = {
        "all_tags": _value(given, "tags") or (),
        "any_tags": _value(given, "any_tags") or (),
        "interval_ns": _value(given, "interval"),
        "strategy": _value(given, "strategy"),
    }
    if not any(fields.values()):
        if len(given) == len(call.keywords):  # else a better reason was told
            message = "The query matches whatever there is."
            report.add(codes.VALUE, call, message, QUERY.hint)
        return None
    return QueryWant(QuerySpec(**fields), call)  # type: ignore[arg-type]  # as the readers gave them


def _value(given: Mapping[str, Given], name: str) -> object:
    return given[name].value if name in given else None


def _refuse(node: ast.expr, report: Report) -> None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        report.add(codes.NOT_LITERAL, node, "The argument 'inputs' is not a literal.")
    else:
        message = f"'inputs' of node() must be {_WANTED}, not {shown(value)}."
        report.add(codes.VALUE, node, message, _HINT)
