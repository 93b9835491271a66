"""From declarations to what they declare, before anything is wired."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qmtl.graph.grammar import children
from qmtl.graph.module import ModuleIndex
from qmtl.models.datanode import SourceSpec
from qmtl.parsing import allowed, codes
from qmtl.parsing.literals import Given, parameter_text, read_call
from qmtl.parsing.outline import Outline
from qmtl.parsing.report import Report
from qmtl.parsing.signatures import NAME, NODE, SOURCE, STRATEGY

AS_OF = "as_of"
RESERVED = frozenset({AS_OF, "self"})


@dataclass(frozen=True, slots=True)
class StrategyDraft:
    """What ``strategy(...)`` says; the name is empty where it was refused."""

    name: str = ""
    interval_ns: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class SourceDraft:
    """A source, whether it names a series of the tenant, and where it is declared."""

    spec: SourceSpec
    named: bool
    at: ast.Call


@dataclass(frozen=True, slots=True)
class NodeDraft:
    """A node before its inputs are known.

    Attributes:
        given: The decorator's arguments.
        arguments: Parameters without a default.
        params: Parameters with one, as name and literal, sorted.
        interval_ns: Its own interval or the strategy's.
    """

    name: str
    function: ast.FunctionDef
    given: Mapping[str, Given]
    arguments: Mapping[str, ast.arg]
    params: tuple[tuple[str, str], ...]
    interval_ns: int | None

    def value(self, name: str, default: Any = None) -> Any:
        """Return an argument of the decorator; None counts as not given."""
        given = self.given.get(name)
        return default if given is None or given.value is None else given.value


@dataclass(slots=True)
class Drafts:
    """All that a module declares."""

    strategy: StrategyDraft
    sources: dict[str, SourceDraft] = field(default_factory=dict)
    nodes: dict[str, NodeDraft] = field(default_factory=dict)


def read_declarations(found: Outline, report: Report) -> Drafts:
    """Read every declaration, noting what cannot be used."""
    drafts = Drafts(_strategy(found, report))
    for variable, call in found.sources.items():
        _check_name(variable, call, report)
        drafts.sources[variable] = _source(variable, call, drafts.strategy, found.index, report)
    _check_same_series(drafts.sources, report)
    for name, function in found.nodes.items():
        _check_name(name, function, report)
        drafts.nodes[name] = _node(function, drafts.strategy, found.index, report)
    if not drafts.nodes:
        report.add(codes.NO_NODES, None, "The strategy has no nodes.")
    return drafts


def _strategy(found: Outline, report: Report) -> StrategyDraft:
    if not found.strategies:
        report.add(codes.STRATEGY_COUNT, None, "The module declares no strategy.")
        return StrategyDraft()
    for extra in found.strategies[1:]:
        report.add(codes.STRATEGY_COUNT, extra, "The module declares another strategy.")
    given = read_call(found.strategies[0], STRATEGY, found.index, report)
    return StrategyDraft(
        name=_value(given, "name", ""),
        interval_ns=_value(given, "interval", None),
        description=_value(given, "description", ""),
    )


def _source(
    variable: str, call: ast.Call, strategy: StrategyDraft, index: ModuleIndex, report: Report
) -> SourceDraft:
    given = read_call(call, SOURCE, index, report)
    name = _value(given, "name", None)
    spec = SourceSpec(
        variable=variable,
        name=name or f"{strategy.name}.{variable}",
        columns=_value(given, "columns", ()),
        interval_ns=_value(given, "interval", None),
        period=_value(given, "period", 1),
        stamp=_value(given, "stamp", "start"),
    )
    return SourceDraft(spec, name is not None, call)


def _check_same_series(sources: Mapping[str, SourceDraft], report: Report) -> None:
    first: dict[str, SourceSpec] = {}
    for draft in sources.values():
        spec = draft.spec
        other = first.setdefault(spec.name, spec)
        if (other.interval_ns, other.stamp) != (spec.interval_ns, spec.stamp):
            message = f"{other.variable!r} and {spec.variable!r} are one series, unlike declared."
            report.add(codes.SOURCE_DIFFERS, draft.at, message)


def _node(
    function: ast.FunctionDef, strategy: StrategyDraft, index: ModuleIndex, report: Report
) -> NodeDraft:
    _check_shape(function, report)
    arguments, params = _parameters(function, report)
    given = _decorator(function, index, report)
    own = _value(given, "interval", None)
    return NodeDraft(
        name=function.name,
        function=function,
        given=given,
        arguments=arguments,
        params=params,
        interval_ns=strategy.interval_ns if own is None else own,
    )


def _decorator(function: ast.FunctionDef, index: ModuleIndex, report: Report) -> dict[str, Given]:
    given: dict[str, Given] = {}
    seen = False
    for each in function.decorator_list:
        word = index.language_name(each)
        if word in allowed.FUTURE_WORDS:
            message = f"This version of the language does not have {word!r} yet."
            report.add(codes.NOT_YET, each, message)
        elif word != "node" or seen:
            report.add(codes.NODE_SHAPE, each, "A node has one @node and no other decorator.")
        elif isinstance(each, ast.Call):
            given = read_call(each, NODE, index, report)
        seen = seen or word == "node"
    return given


def _check_shape(function: ast.FunctionDef, report: Report) -> None:
    args = function.args
    for each in [*args.posonlyargs, args.vararg, args.kwarg]:
        if each is not None:
            message = f"The parameter {each.arg!r} cannot be given by name."
            report.add(codes.NODE_SHAPE, each, message)
    if _yields(function):
        report.add(codes.NODE_SHAPE, function, f"{function.name!r} is a generator.")


def _yields(function: ast.FunctionDef) -> bool:
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(children(node))
    return False


def _parameters(
    function: ast.FunctionDef, report: Report
) -> tuple[dict[str, ast.arg], tuple[tuple[str, str], ...]]:
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    gap: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    defaults = [*gap, *args.defaults, *args.kw_defaults]
    arguments: dict[str, ast.arg] = {}
    params: list[tuple[str, str]] = []
    for each, default in zip([*positional, *args.kwonlyargs], defaults, strict=True):
        if default is None:
            arguments[each.arg] = each
            continue
        text = parameter_text(default)
        if each.arg == AS_OF:
            report.add(codes.RESERVED, each, f"{AS_OF!r} takes no default.")
        elif text is None:
            message = f"The default of {each.arg!r} is no literal parameter."
            report.add(codes.PARAMETER, default, message)
        else:
            params.append((each.arg, text))
    return arguments, tuple(sorted(params))


def _check_name(name: str, at: ast.AST, report: Report) -> None:
    if name in RESERVED:
        report.add(codes.RESERVED, at, f"{name!r} names no source or node.")
    elif not NAME.fullmatch(name):
        message = f"{name!r} is no name for a source or node."
        hint = "Use up to 64 ASCII letters, digits and underscores, a letter first."
        report.add(codes.VALUE, at, message, hint)


def _value(given: Mapping[str, Given], name: str, default: Any) -> Any:
    return given[name].value if name in given else default
