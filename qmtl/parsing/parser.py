"""``parse_strategy``: from a source text to what it declares, without running any of it."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from contextlib import contextmanager

from qmtl.graph.dag import Dag
from qmtl.graph.identity import input_identity, node_identity, source_identity
from qmtl.graph.reach import Reach, Reaches
from qmtl.models.datanode import Input, NodeSpec
from qmtl.models.strategy import StrategySpec
from qmtl.parsing.constants import check_constants
from qmtl.parsing.declarations import Drafts, read_declarations
from qmtl.parsing.nodes import NodeDraft
from qmtl.parsing.outline import outline
from qmtl.parsing.policy import check_policy
from qmtl.parsing.report import Report
from qmtl.parsing.text import read_text, read_tree, refuse_uncompilable
from qmtl.parsing.wiring import Wires, kept_results, needed, wire

LIMIT_BYTES = 256 * 1024


def parse_strategy(source: str | bytes, *, limit_bytes: int = LIMIT_BYTES) -> StrategySpec:
    """Read a strategy from its source text.

    Args:
        source: The module's text.
        limit_bytes: The largest text that is read, in bytes of UTF-8.

    Returns:
        What it declares; its nodes in topological order, whatever the order of definitions.

    Raises:
        StrategyRejected: The text is no strategy; every problem is told at once, save where the
            text cannot be read as Python at all.
    """
    text = read_text(source, limit_bytes)
    with _collector_paused():
        return _read(text)


def _read(text: str) -> StrategySpec:
    tree = read_tree(text)
    report = Report(text)
    found = outline(tree, report)
    reaches = Reaches(found.index)
    check_policy(tree, found, reaches, report)
    check_constants(found, report)
    drafts = read_declarations(found, report)
    wires = wire(drafts, report)
    report.reject()
    refuse_uncompilable(tree)
    return _Assembly(report.lines, drafts, wires, reaches).spec()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from going through a growing tree again and again.

    It would make the time grow faster than the text, and would find nothing: a tree has no cycles.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Assembly:
    """Puts a specification together from parts that have been found good."""

    def __init__(self, lines: list[str], drafts: Drafts, wires: Wires, reaches: Reaches) -> None:
        self._lines = lines
        self._drafts, self._wires, self._reaches = drafts, wires, reaches
        self._sources = {
            variable: source_identity(draft.spec, named=draft.named)
            for variable, draft in drafts.sources.items()
        }
        self._ids: dict[str, str] = {}
        self._codes: dict[str, str] = {}
        self._kept = kept_results(drafts.nodes, wires)

    def spec(self) -> StrategySpec:
        strategy = self._drafts.strategy
        order = Dag.of(needed(self._wires)).order
        return StrategySpec(
            name=strategy.name,
            interval_ns=strategy.interval_ns,
            description=strategy.description,
            sources=tuple(draft.spec for draft in self._drafts.sources.values()),
            nodes=tuple(self._node(self._drafts.nodes[name]) for name in order),
        )

    def _node(self, draft: NodeDraft) -> NodeSpec:
        reach = self._reaches.reach(draft.function.name)
        inputs = self._wires[draft.name]
        self._ids[draft.name] = self._identity(draft, reach, inputs)
        return NodeSpec(
            name=draft.name,
            node_id=self._ids[draft.name],
            function=draft.function.name,
            inputs=inputs,
            params=draft.params,
            interval_ns=draft.interval_ns,
            tags=draft.value("tags", ()),
            timeout_s=draft.value("timeout"),
            retries=draft.value("retries", 0),
            memory_bytes=draft.value("memory"),
            max_history=self._kept[draft.name],
            publish=draft.value("publish"),
            cache=draft.value("cache", True),
            seeded=reach.draws_random,
            line=draft.function.lineno,
            code=self._code(draft.function),
        )

    def _identity(self, draft: NodeDraft, reach: Reach, inputs: tuple[Input, ...]) -> str:
        return node_identity(
            reach,
            params=draft.params,
            interval_ns=draft.interval_ns,
            cache=draft.value("cache", True),
            inputs={
                each.argument: input_identity(
                    each, reader=draft.name, nodes=self._ids, sources=self._sources
                )
                for each in inputs
            },
        )

    def _code(self, function: ast.FunctionDef) -> str:
        known = self._codes.get(function.name)
        if known is not None:
            return known  # of another member of the family
        first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
        end = function.end_lineno or function.lineno
        return self._codes.setdefault(function.name, "\n".join(self._lines[first - 1 : end]))
