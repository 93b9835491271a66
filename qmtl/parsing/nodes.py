"""From functions under `@node` to drafts of nodes, one for each member of a family."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qmtl.graph.grammar import children
from qmtl.graph.module import ModuleIndex
from qmtl.parsing import codes
from qmtl.parsing.families import MAX_NODES, Member, read_members
from qmtl.parsing.literals import Given, parameter_text, read_call
from qmtl.parsing.report import Report
from qmtl.parsing.signatures import NODE
from qmtl.parsing.wants import Want, read_wants

AS_OF = "as_of"
MAX_INPUTS = 200_000  # of all nodes together
MAX_EXPANDED = 32 * 2**20  # characters of code and parameters of all nodes together


@dataclass(frozen=True, slots=True)
class NodeDraft:
    """A node before its inputs are known.

    Attributes:
        name: Its binding, with brackets where it is a member of a family.
        function: Its definition.
        given: The arguments of ``node``.
        wants: What ``inputs=`` says; None where that was refused.
        arguments: Parameters that are inputs.
        params: Parameters that are literals, as name and literal, sorted.
        labels: In a family, what ``{parameter}`` stands for.
        interval_ns: Its own interval or the strategy's.
    """

    name: str
    function: ast.FunctionDef
    given: Mapping[str, Given]
    wants: Mapping[str, Want | None]
    arguments: Mapping[str, ast.arg]
    params: tuple[tuple[str, str], ...]
    labels: Mapping[str, str]
    interval_ns: int | None

    def value(self, name: str, default: Any = None) -> Any:
        """Return an argument of the decorator; None counts as not given."""
        given = self.given.get(name)
        return default if given is None or given.value is None else given.value


class NodeReader:
    """Reads one function after the other; together they stay within what a strategy may have."""

    def __init__(self, interval_ns: int | None, index: ModuleIndex, report: Report) -> None:
        self._interval_ns, self._index, self._report = interval_ns, index, report
        self._nodes = self._inputs = self._expanded = 0

    def read(self, function: ast.FunctionDef) -> tuple[list[NodeDraft], bool]:
        """Return a function's nodes, and whether they are a family.

        A family that cannot be expanded has none.
        """
        _check_shape(function, self._report)
        node, each = self._decorators(function)
        given = read_call(node, NODE, self._report) if isinstance(node, ast.Call) else {}
        members: list[Member] = [Member({})]
        if each is not None:
            members = read_members(
                each, _parameter_names(function), MAX_NODES - self._nodes, self._report
            )
        named = list(members[0].values) if members else []
        arguments, defaults = _parameters(function, named, self._report)
        wants = read_wants(given.get("inputs"), arguments, self._index, self._report)
        if members:
            _check_wants(function, wants, arguments, self._report)
        if not self._fits(function, len(members), len(arguments), defaults):
            return [], each is not None
        own = given["interval"].value if "interval" in given else None
        drafts = [
            NodeDraft(
                name=function.name if each is None else f"{function.name}[{member.label}]",
                function=function,
                given=given,
                wants=wants,
                arguments=arguments,
                params=_params(defaults, member),
                labels={name: value.label for name, value in member.values.items()},
                interval_ns=own if isinstance(own, int) else self._interval_ns,
            )
            for member in members
        ]
        return drafts, each is not None

    def _decorators(self, function: ast.FunctionDef) -> tuple[ast.expr, ast.expr | None]:
        found: dict[str, ast.expr] = {}
        for each in function.decorator_list:
            word = self._index.language_name(each)
            if word not in {"node", "each"} or word in found:
                message = "A node has one @node, at most one @each, and no other decorator."
                self._report.add(codes.NODE_SHAPE, each, message)
            else:
                found[word] = each
        return found["node"], found.get("each")

    def _fits(
        self, function: ast.FunctionDef, members: int, arguments: int, defaults: Mapping[str, str]
    ) -> bool:
        size = self._report.size(function) + sum(map(len, defaults.values()))
        self._nodes += members
        self._inputs += members * arguments
        self._expanded += members * size
        if self._nodes > MAX_NODES:
            message = f"A strategy has at most {MAX_NODES:,} nodes."
        elif self._inputs > MAX_INPUTS:
            message = f"All nodes together have at most {MAX_INPUTS:,} inputs."
        elif self._expanded > MAX_EXPANDED:
            message = "The code of all members together is too large."
        else:
            return True
        self._report.add(codes.TOO_MANY, function, message)
        return False


def _params(defaults: Mapping[str, str], member: Member) -> tuple[tuple[str, str], ...]:
    chosen = {name: value.text for name, value in member.values.items()}
    return tuple(sorted({**defaults, **chosen}.items()))


def _check_wants(
    function: ast.FunctionDef,
    wants: Mapping[str, Want | None],
    arguments: Mapping[str, ast.arg],
    report: Report,
) -> None:
    for name, want in wants.items():
        at = None if want is None else want.at
        if name == AS_OF:
            report.add(
                codes.RESERVED, at or function, f"{AS_OF!r} always takes the node's own time."
            )
        elif name not in arguments:
            message = f"{function.name!r} has no input {name!r}."
            report.add(codes.NO_PARAMETER, at or function, message, report.nearest(name, arguments))


def _check_shape(function: ast.FunctionDef, report: Report) -> None:
    args = function.args
    for each in [*args.posonlyargs, args.vararg, args.kwarg]:
        if each is not None:
            message = f"The parameter {each.arg!r} cannot be given by name."
            report.add(codes.NODE_SHAPE, each, message)
    if report.mentions(function, "yield") and _yields(function):
        report.add(
            codes.NODE_SHAPE, function, f"{function.name!r} yields; a node returns its value."
        )


def _yields(function: ast.FunctionDef) -> bool:
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(children(node))
    return False


def _parameter_names(function: ast.FunctionDef) -> set[str]:
    args = function.args
    return {each.arg for each in [*args.posonlyargs, *args.args, *args.kwonlyargs]}


def _parameters(
    function: ast.FunctionDef, chosen: list[str], report: Report
) -> tuple[dict[str, ast.arg], dict[str, str]]:
    """Return the inputs, and the defaults of those that are literal parameters by themselves."""
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    gap: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    defaults = [*gap, *args.defaults, *args.kw_defaults]
    arguments: dict[str, ast.arg] = {}
    params: dict[str, str] = {}
    for each, default in zip([*positional, *args.kwonlyargs], defaults, strict=True):
        if default is None:
            if each.arg not in chosen:
                arguments[each.arg] = each
            continue
        text = parameter_text(default)
        if each.arg == AS_OF:
            report.add(codes.RESERVED, each, f"{AS_OF!r} takes no default.")
        elif text is None:
            message = f"The default of {each.arg!r} is no literal parameter."
            report.add(codes.PARAMETER, default, message)
        else:
            params[each.arg] = text
    return arguments, params
