"""From declarations to what they declare, before anything is wired."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qmtl.models.datanode import SourceSpec
from qmtl.parsing import codes
from qmtl.parsing.literals import Given, read_call
from qmtl.parsing.nodes import AS_OF, NodeDraft, NodeReader
from qmtl.parsing.outline import Outline
from qmtl.parsing.report import Report
from qmtl.parsing.signatures import NAME, SOURCE, STRATEGY

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


@dataclass(slots=True)
class Drafts:
    """All that a module declares.

    Attributes:
        nodes: By binding; members of families among them.
        families: Names of each family's members by its function; none where it was refused.
    """

    strategy: StrategyDraft
    sources: dict[str, SourceDraft] = field(default_factory=dict)
    nodes: dict[str, NodeDraft] = field(default_factory=dict)
    families: dict[str, list[str]] = field(default_factory=dict)


def read_declarations(found: Outline, report: Report) -> Drafts:
    """Read every declaration, noting what cannot be used."""
    drafts = Drafts(_strategy(found, report))
    for variable, call in found.sources.items():
        _check_name(variable, call, report)
        drafts.sources[variable] = _source(variable, call, drafts.strategy, report)
    _check_same_series(drafts.sources, report)
    reader = NodeReader(drafts.strategy.interval_ns, found.index, report)
    for name, function in found.nodes.items():
        _check_name(name, function, report)
        nodes, is_family = reader.read(function)
        drafts.nodes.update((node.name, node) for node in nodes)
        if is_family:
            drafts.families[name] = [node.name for node in nodes]
    if not found.nodes:
        report.add(codes.NO_NODES, None, "The strategy has no nodes.")
    return drafts


def _strategy(found: Outline, report: Report) -> StrategyDraft:
    if not found.strategies:
        report.add(codes.STRATEGY_COUNT, None, "The module declares no strategy.")
        return StrategyDraft()
    for extra in found.strategies[1:]:
        report.add(codes.STRATEGY_COUNT, extra, "The module declares another strategy.")
    given = read_call(found.strategies[0], STRATEGY, report)
    return StrategyDraft(
        name=_value(given, "name", ""),
        interval_ns=_value(given, "interval", None),
        description=_value(given, "description", ""),
    )


def _source(variable: str, call: ast.Call, strategy: StrategyDraft, report: Report) -> SourceDraft:
    given = read_call(call, SOURCE, report)
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
            both = f"{other.variable!r} and {spec.variable!r}"
            message = f"{both} are one series, but differ in interval or stamp."
            report.add(codes.SOURCE_DIFFERS, draft.at, message)


def _check_name(name: str, at: ast.AST, report: Report) -> None:
    if name in RESERVED:
        report.add(codes.RESERVED, at, f"{name!r} names no source or node.")
    elif not NAME.fullmatch(name):
        message = f"{name!r} is no name for a source or node."
        hint = "Use up to 64 ASCII letters, digits and underscores, a letter first."
        report.add(codes.VALUE, at, message, hint)


def _value(given: Mapping[str, Given], name: str, default: Any) -> Any:
    return given[name].value if name in given else default
