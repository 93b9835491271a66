"""Joining declarations to a graph: what every argument takes, and whether that can be."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from qmtl.common.timeline import FIRST_MONDAY, WEEK, format_interval, results_behind
from qmtl.graph.dag import find_cycle
from qmtl.models.datanode import (
    AsOfInput,
    Input,
    NodeInput,
    QueryInput,
    SourceInput,
    WindowInput,
)
from qmtl.parsing import codes
from qmtl.parsing.declarations import Drafts
from qmtl.parsing.nodes import AS_OF, NodeDraft
from qmtl.parsing.report import Report
from qmtl.parsing.suggestions import note_unknown
from qmtl.parsing.wants import BindingWant, QueryWant, WindowWant

Wires = dict[str, tuple[Input, ...]]
SELF = "self"
_MOST_SHOWN = 20  # nodes of a circle
_ONE_STATE = (
    "A circle through the window of another node is one as well: "
    'carry the state in one node, by window("self", n).'
)
_FILLED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def wire(drafts: Drafts, report: Report) -> Wires:
    """Return each node's inputs by its name, noting what cannot be wired."""
    wires = _Wiring(drafts, report).wires()
    _check_cycles(wires, drafts, report)
    return wires


def needed(wires: Wires) -> dict[str, list[str]]:
    """Return what must be known of other nodes before each: its inputs, and whose past it sees."""
    return {
        name: [
            each.binding
            for each in inputs
            if isinstance(each, NodeInput)
            or (isinstance(each, WindowInput) and each.binding != name)
        ]
        for name, inputs in wires.items()
    }


def _check_cycles(wires: Wires, drafts: Drafts, report: Report) -> None:
    same_bucket = {
        name: [each.binding for each in inputs if isinstance(each, NodeInput)]
        for name, inputs in wires.items()
    }
    hint = None
    cycle = find_cycle(same_bucket)
    if cycle is None:
        cycle = find_cycle(needed(wires))
        hint = _ONE_STATE
    if cycle is not None:
        at = drafts.nodes[cycle[0]].function
        path = cycle if len(cycle) <= _MOST_SHOWN else (*cycle[: _MOST_SHOWN - 2], "...", cycle[-1])
        message = f"Nodes read each other in a circle: {' -> '.join(path)}."
        report.add(codes.CYCLE, at, message, hint)


class _Wiring:
    """One pass over all nodes; the members of a family are told of the same mistake once."""

    def __init__(self, drafts: Drafts, report: Report) -> None:
        self._drafts, self._report = drafts, report
        self._told: set[tuple[str, int, str]] = set()

    def wires(self) -> Wires:
        return {
            node.name: tuple(
                found
                for argument, at in node.arguments.items()
                if (found := self._input(node, argument, at)) is not None
            )
            for node in self._drafts.nodes.values()
        }

    def _input(self, node: NodeDraft, argument: str, at: ast.arg) -> Input | None:
        if argument == AS_OF:
            return AsOfInput(argument=argument)
        match node.wants.get(argument, BindingWant(argument, at)):
            case None:
                return None
            case BindingWant() as want:
                return self._binding(node, argument, want)
            case WindowWant() as want:
                return self._window(node, argument, want)
            case QueryWant() as want:
                return self._query(argument, want)

    def _binding(self, node: NodeDraft, argument: str, want: BindingWant) -> Input | None:
        binding = self._filled(want.binding, node, want.at)
        if binding is None:
            return None
        if binding in self._drafts.nodes:
            self._check_intervals(node, self._drafts.nodes[binding])
            return NodeInput(argument=argument, binding=binding)
        if binding in self._drafts.sources:
            return SourceInput(argument=argument, variable=binding)
        self._unknown(binding, want.at)
        return None

    def _window(self, node: NodeDraft, argument: str, want: WindowWant) -> Input | None:
        binding = node.name if want.binding == SELF else self._filled(want.binding, node, want.at)
        if binding is None:
            return None
        seen = self._drafts.nodes.get(binding)
        if seen is not None:
            self._check_window(node, seen, want)
            return WindowInput(argument=argument, binding=binding, count=want.count)
        if binding in self._drafts.sources:
            message = f"`{binding}` is a source; a window looks back at a node."
            hint = "Read the source itself; its `period` says how far back that goes."
            self._tell(codes.LOOKS_BACK, want.at, message, hint)
        else:
            self._unknown(binding, want.at)
        return None

    def _query(self, argument: str, want: QueryWant) -> Input:
        own = self._drafts.strategy.name
        if want.query.strategy is not None and want.query.strategy == own:
            message = f"A query never matches nodes of its own strategy, {own!r}."
            self._tell(codes.VALUE, want.at, message, "Read them by name.")
        return QueryInput(argument=argument, query=want.query)

    def _filled(self, text: str, node: NodeDraft, at: ast.AST) -> str | None:
        """Put the member's own values in place of `{parameter}`."""
        if not node.labels or "{" not in text:
            return text
        for name in _FILLED.findall(text):
            if name not in node.labels:
                message = f"`each` of {node.function.name!r} names no parameter {name!r}."
                hint = self._report.nearest(name, node.labels)
                self._tell(codes.NO_PARAMETER, at, message, hint)
                return None
        return _FILLED.sub(lambda match: node.labels[match[1]], text)

    def _check_window(self, node: NodeDraft, seen: NodeDraft, want: WindowWant) -> None:
        for each in (node, seen):
            if each.interval_ns is None:
                message = f"`{each.name}` has no interval, so it has no past by bucket."
                self._tell(codes.LOOKS_BACK, want.at, message, "Give it or the strategy one.")
        kept = seen.value("max_history", 1_000)
        if want.count > kept:
            message = f"`{seen.name}` keeps {kept} results; a window cannot hold {want.count}."
            hint = f"Give it max_history={want.count}, or look back less far."
            self._tell(codes.LOOKS_BACK, want.at, message, hint)

    def _check_intervals(self, reader: NodeDraft, read: NodeDraft) -> None:
        if not _aligned(reader.interval_ns, read.interval_ns):
            of_read, of_reader = _shown(read.interval_ns), _shown(reader.interval_ns)
            message = f"{reader.name!r} ({of_reader}) cannot read {read.name!r} ({of_read})."
            self._tell(codes.MISALIGNED, reader.function, message, about=read.function.name)

    def _unknown(self, binding: str, at: ast.AST) -> None:
        if self._first(codes.UNKNOWN_INPUT, at):
            note_unknown(binding, at, self._drafts, self._report)

    def _tell(
        self, code: str, at: ast.AST, message: str, hint: str | None = None, *, about: str = ""
    ) -> None:
        if self._first(code, at, about):
            self._report.add(code, at, message, hint)

    def _first(self, code: str, at: ast.AST, about: str = "") -> bool:
        key = code, id(at), about
        if key in self._told:
            return False
        self._told.add(key)
        return True


def kept_results(nodes: Mapping[str, NodeDraft], wires: Wires) -> dict[str, int]:
    """Return how many results each node keeps: as many as declared, and as its windows need.

    A bucket may run again when results of it, or of later ones, are there already: an hour later
    in the same day, on late data. Its windows must then find as many results as the first time.
    """
    kept: dict[str, int] = {name: node.value("max_history", 1_000) for name, node in nodes.items()}
    for name, inputs in wires.items():
        for each in inputs:
            if isinstance(each, WindowInput):
                reader_ns, read_ns = nodes[name].interval_ns, nodes[each.binding].interval_ns
                if reader_ns is not None and read_ns is not None:
                    needed = each.count + results_behind(reader_ns, read_ns)
                    kept[each.binding] = max(kept[each.binding], needed)
    return kept


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
