"""Joining declarations to a graph: what every argument takes, and whether that can be."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from qmtl.common.timeline import FIRST_MONDAY, WEEK, format_interval
from qmtl.graph.dag import find_cycle
from qmtl.models.datanode import AsOfInput, Input, NodeInput, SourceInput
from qmtl.parsing import codes
from qmtl.parsing.declarations import AS_OF, Drafts, NodeDraft
from qmtl.parsing.report import Report

Wires = dict[str, tuple[Input, ...]]


def wire(drafts: Drafts, report: Report) -> Wires:
    """Return each node's inputs by its name, noting what cannot be wired."""
    wires = {name: _inputs(node, drafts, report) for name, node in drafts.nodes.items()}
    upstream = upstreams(wires)
    for name, bindings in upstream.items():
        for binding in bindings:
            _check_intervals(drafts.nodes[name], drafts.nodes[binding], report)
    cycle = find_cycle(upstream)
    if cycle is not None:
        at = drafts.nodes[cycle[0]].function
        report.add(codes.CYCLE, at, f"Nodes read each other in a circle: {' -> '.join(cycle)}.")
    return wires


def upstreams(wires: Wires) -> dict[str, list[str]]:
    """Return the nodes that each node reads."""
    return {
        name: [each.binding for each in inputs if isinstance(each, NodeInput)]
        for name, inputs in wires.items()
    }


def _inputs(node: NodeDraft, drafts: Drafts, report: Report) -> tuple[Input, ...]:
    told: Mapping[str, str] = node.value("inputs", {})
    for key in told:
        at = node.given["inputs"].at
        if key == AS_OF:
            report.add(codes.RESERVED, at, f"{AS_OF!r} always takes the node's own time.")
        elif key not in node.arguments:
            message = f"{node.name!r} has no input {key!r}."
            report.add(codes.NO_PARAMETER, at, message, report.nearest(key, node.arguments))
    inputs = [
        each
        for argument, at in node.arguments.items()
        if (each := _input(argument, told.get(argument, argument), at, drafts, report))
    ]
    return tuple(inputs)


def _input(
    argument: str, binding: str, at: ast.arg, drafts: Drafts, report: Report
) -> Input | None:
    if argument == AS_OF:
        return AsOfInput(argument=argument)
    if binding in drafts.nodes:
        return NodeInput(argument=argument, binding=binding)
    if binding in drafts.sources:
        return SourceInput(argument=argument, variable=binding)
    message = f"No source or node is called {binding!r}."
    hint = report.nearest(binding, {*drafts.sources, *drafts.nodes})
    report.add(codes.UNKNOWN_INPUT, at, message, hint)
    return None


def _check_intervals(reader: NodeDraft, read: NodeDraft, report: Report) -> None:
    if not _aligned(reader.interval_ns, read.interval_ns):
        of_read, of_reader = _shown(read.interval_ns), _shown(reader.interval_ns)
        message = f"{reader.name!r} ({of_reader}) cannot read {read.name!r} ({of_read})."
        report.add(codes.MISALIGNED, reader.function, message)


def _aligned(reader_ns: int | None, read_ns: int | None) -> bool:
    """Tell whether every bucket of the input begins where a bucket of its reader begins."""
    if reader_ns is None:
        return True  # it runs at the raw time, finer than any bucket
    if read_ns is None or read_ns % reader_ns:
        return False
    from_monday = read_ns % WEEK == 0 and reader_ns % WEEK != 0
    return not from_monday or FIRST_MONDAY % reader_ns == 0


def _shown(interval_ns: int | None) -> str:
    return "no interval" if interval_ns is None else format_interval(interval_ns)
