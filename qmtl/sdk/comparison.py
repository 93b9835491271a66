"""What an edit of a strategy changes: which nodes will be computed anew, and because of what.

Two nodes are the same where their ids are, whatever their names. For one that changed, everything
that its identity covers is compared part by part, so that the cause can be named.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from qmtl.common.timeline import format_interval
from qmtl.graph.module import ModuleIndex
from qmtl.graph.reach import Reach, Reaches
from qmtl.models.datanode import (
    AsOfInput,
    Input,
    NodeInput,
    NodeSpec,
    QueryInput,
    SourceInput,
    SourceSpec,
    WindowInput,
    input_text,
)
from qmtl.models.strategy import StrategySpec

CauseKind = Literal[
    "code", "helper", "import", "parameter", "interval", "cache", "input", "upstream", "source",
    "declaration",
]  # fmt: skip


class Change(StrEnum):
    """What became of a binding."""

    NEW = "new"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a node's id is another.

    Attributes:
        kind: Which part of the identity differs.
        subject: The helper, parameter, argument, node or source in question; empty for the
            node's own code.
        message: One clause, such as ``parameter length: 10 became 20``.
    """

    kind: CauseKind
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of one binding.

    Attributes:
        name: Its name in the new strategy, or in the old where it was removed.
        was: A name of the same computation in the old strategy, where that is another.
        causes: Why it is computed anew; empty unless ``change`` is CHANGED.
    """

    name: str
    change: Change
    old_id: str | None = None
    new_id: str | None = None
    was: str | None = None
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two strategies that are compared: what the parser made of a text."""

    spec: StrategySpec
    source_text: str


def compare(old: Side, new: Side) -> tuple[Difference, ...]:
    """Return what became of every binding: those of the new strategy in order, then the removed.

    Args:
        old: The strategy before the edit.
        new: The strategy after it.
    """
    return tuple(_Comparison(_Known(old), _Known(new)).differences())


class _Known:
    """A strategy with what is asked of it many times."""

    def __init__(self, side: Side) -> None:
        self.spec = side.spec
        self.nodes = {node.name: node for node in side.spec.nodes}
        self.sources = {source.variable: source for source in side.spec.sources}
        self.names: dict[str, str] = {}  # node id -> its first name
        for node in side.spec.nodes:
            self.names.setdefault(node.node_id, node.name)
        index = ModuleIndex.of(ast.parse(side.source_text))
        self._reaches = Reaches(index)
        self._without_defaults = Reaches(index.without_defaults())

    def reach(self, node: NodeSpec) -> Reach:
        """Return what a node rests on, but for its defaults, which count as parameters."""
        return self._without_defaults.reach(node.function)

    def whole(self, node: NodeSpec) -> str:
        return self._reaches.reach(node.function).function

    def own_series(self, source: SourceSpec) -> str:
        """Return what a source counts by: its name, or its variable where it is the strategy's."""
        own = source.name == f"{self.spec.name}.{source.variable}"
        return source.variable if own else source.name


class _Comparison:
    def __init__(self, old: _Known, new: _Known) -> None:
        self.old, self.new = old, new

    def differences(self) -> Iterator[Difference]:
        renamed: set[str] = set()
        for name, node in self.new.nodes.items():
            difference = self._of(name, node)
            if difference.change is Change.RENAMED and difference.was:
                renamed.add(difference.was)
            yield difference
        for name, node in self.old.nodes.items():
            if name not in self.new.nodes and name not in renamed:
                yield Difference(name, Change.REMOVED, old_id=node.node_id)

    def _of(self, name: str, node: NodeSpec) -> Difference:
        before = self.old.nodes.get(name)
        known_as = self.old.names.get(node.node_id)
        ids = (None if before is None else before.node_id, node.node_id)
        if before is not None and before.node_id == node.node_id:
            return Difference(name, Change.REUSED, *ids)
        if known_as is not None:  # the computation is known, by another name
            gone = known_as not in self.new.nodes
            change = Change.RENAMED if gone and before is None else Change.REUSED
            return Difference(name, change, node.node_id, node.node_id, was=known_as)
        if before is None:
            return Difference(name, Change.NEW, *ids)
        causes = tuple(self._causes(before, node)) or (self._other(before, node),)
        return Difference(name, Change.CHANGED, *ids, causes=causes)

    def _causes(self, old: NodeSpec, new: NodeSpec) -> Iterator[Cause]:
        yield from _of_code(self.old.reach(old), self.new.reach(new))
        yield from _of_parameters(dict(old.params), dict(new.params))
        if old.interval_ns != new.interval_ns:
            message = f"interval: {_interval(old.interval_ns)} became {_interval(new.interval_ns)}"
            yield Cause("interval", "", message)
        if old.cache != new.cache:
            yield Cause("cache", "", f"cache: {old.cache} became {new.cache}")
        yield from self._of_inputs(old, new)

    def _other(self, old: NodeSpec, new: NodeSpec) -> Cause:
        """Return the cause where no part differs: a default that the family overrides, or a name
        that a source bears anyway and now says.
        """
        if self.old.whole(old) != self.new.whole(new):
            return _OWN_CODE
        return Cause("declaration", "", "its sources are declared in another way")

    def _of_inputs(self, old: NodeSpec, new: NodeSpec) -> Iterator[Cause]:
        before = {each.argument: each for each in old.inputs}
        after = {each.argument: each for each in new.inputs}
        for argument in sorted(before.keys() | after.keys()):
            if argument not in after:
                yield Cause("input", argument, f"input {argument} was dropped")
            elif argument not in before:
                yield Cause("input", argument, f"input {argument} was added")
            else:
                yield from self._of_input(before[argument], after[argument], old.name, new.name)

    def _of_input(self, old: Input, new: Input, reader: str, renamed: str) -> Iterator[Cause]:
        match old, new:
            case SourceInput(), SourceInput():
                yield from self._of_source(old, new)
            case NodeInput(), NodeInput():
                yield from self._of_upstream(old.argument, old.binding, new.binding)
            case WindowInput(), WindowInput():
                if old.count != new.count:
                    message = f"window {new.argument}: {old.count} results became {new.count}"
                    yield Cause("input", new.argument, message)
                own = (old.binding == reader, new.binding == renamed)
                if own != (True, True):
                    yield from self._of_upstream(old.argument, old.binding, new.binding, own=own)
            case QueryInput(), QueryInput():
                if old.query != new.query:
                    yield Cause("input", new.argument, f"query {new.argument} asks for others")
            case AsOfInput(), AsOfInput():
                pass
            case _:
                message = f"input {new.argument}: {input_text(old)} became {input_text(new)}"
                yield Cause("input", new.argument, message)

    def _of_upstream(
        self, argument: str, old: str, new: str, *, own: tuple[bool, bool] = (False, False)
    ) -> Iterator[Cause]:
        same = self.old.nodes[old].node_id == self.new.nodes[new].node_id
        if own[0] == own[1] and same:
            return  # at most a rename
        if old == new and own[0] == own[1]:
            yield Cause("upstream", new, f"upstream {new} changed")
        else:
            yield Cause("input", argument, f"input {argument}: {old} became {new}")

    def _of_source(self, old: SourceInput, new: SourceInput) -> Iterator[Cause]:
        before, after = self.old.sources[old.variable], self.new.sources[new.variable]
        facts = [
            ("series", self.old.own_series(before), self.new.own_series(after)),
            ("columns", ", ".join(before.columns), ", ".join(after.columns)),
            ("interval", _interval(before.interval_ns), _interval(after.interval_ns)),
            ("period", str(before.period), str(after.period)),
            ("stamp", before.stamp, after.stamp),
        ]
        for what, was, now in facts:
            if was != now:
                message = f"source {new.variable}: {what} {was} became {now}"
                yield Cause("source", new.variable, message)


_OWN_CODE = Cause("code", "", "its own code changed")


def _of_code(old: Reach, new: Reach) -> Iterator[Cause]:
    if old.function != new.function:
        yield _OWN_CODE
    before, after = dict(old.helpers), dict(new.helpers)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Cause("helper", name, f"helper {name} {_verb(name, before, after)}")
    for statement in sorted(set(old.imports) ^ set(new.imports)):
        verb = "was added" if statement in new.imports else "was dropped"
        yield Cause("import", statement, f"import `{statement}` {verb}")


def _of_parameters(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Cause]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if name in old and name in new:
            told = f"parameter {name}: {old[name]} became {new[name]}"
        else:
            told = f"parameter {name} {_verb(name, old, new)}"
        yield Cause("parameter", name, told)


def _verb(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    if name not in old:
        return "was added"
    return "changed" if name in new else "was dropped"


def _interval(interval_ns: int | None) -> str:
    return "none" if interval_ns is None else format_interval(interval_ns)
