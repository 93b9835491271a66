"""An immutable directed acyclic graph over names.

Edges are kept as a reader names them: from a node to its upstreams. Nothing here recurses, so that
a chain of ten thousand nodes is as good as a tree of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

Edges = Mapping[str, tuple[str, ...]]


def find_cycle(upstream: Mapping[str, Iterable[str]]) -> tuple[str, ...] | None:
    """Return one cycle as the path from a node over its upstreams back to it, or None.

    The path begins and ends with the same name, and is the same whatever the insertion order.
    Upstreams that are no keys are passed over.
    """
    finished: set[str] = set()
    for root in sorted(upstream):
        path = _walk(root, upstream, finished)
        if path is not None:
            return path
    return None


def _walk(
    root: str, upstream: Mapping[str, Iterable[str]], finished: set[str]
) -> tuple[str, ...] | None:
    path: dict[str, None] = {}
    stack = [(root, False)]
    while stack:
        name, leaving = stack.pop()
        if leaving:
            del path[name]
            finished.add(name)
        elif name in path:
            names = list(path)
            return (*names[names.index(name) :], name)
        elif name not in finished:
            path[name] = None
            stack.append((name, True))
            nexts = sorted({u for u in upstream[name] if u in upstream}, reverse=True)
            stack.extend((each, False) for each in nexts)
    return None


@dataclass(frozen=True, slots=True)
class Dag:
    """Nodes with their upstreams; make one with ``Dag.of``.

    Attributes:
        upstreams: Each node's upstreams, sorted and distinct.
        downstreams: Each node's readers, sorted.
        order: Every node after its upstreams; the same for every insertion order.
    """

    upstreams: Edges
    downstreams: Edges
    order: tuple[str, ...]
    _levels: Mapping[str, int]

    @classmethod
    def of(cls, upstream: Mapping[str, Iterable[str]]) -> Dag:
        """Build a graph from the upstreams of every node.

        Raises:
            ValueError: An upstream is no node, or there is a cycle; callers whose edges come from
                outside ask ``find_cycle`` first.
        """
        upstreams = {name: tuple(sorted(set(upstream[name]))) for name in sorted(upstream)}
        downstreams = _reversed(upstreams)
        levels = _levels(upstreams, downstreams)
        return cls(
            upstreams=MappingProxyType(upstreams),
            downstreams=MappingProxyType(downstreams),
            order=tuple(sorted(levels, key=lambda name: (levels[name], name))),
            _levels=MappingProxyType(levels),
        )

    def __len__(self) -> int:
        return len(self.order)

    def __contains__(self, name: object) -> bool:
        return name in self.upstreams

    def level(self, name: str) -> int:
        """Return the length of the longest path that leads to a node; 0 for a root."""
        return self._levels[name]

    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Return the nodes by level, each level sorted; none reads another of its own level."""
        rows: list[list[str]] = [[] for _ in range(1 + max(self._levels.values(), default=-1))]
        for name in self.order:
            rows[self._levels[name]].append(name)
        return tuple(map(tuple, rows))

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """Return all that the given nodes rest on, without the given nodes themselves."""
        return _closure(names, self.upstreams)

    def descendants(self, names: Iterable[str]) -> frozenset[str]:
        """Return all that rests on the given nodes, without the given nodes themselves."""
        return _closure(names, self.downstreams)


def _reversed(upstreams: Edges) -> dict[str, tuple[str, ...]]:
    readers: dict[str, list[str]] = {name: [] for name in upstreams}
    for name, inputs in upstreams.items():
        for each in inputs:
            if each not in readers:
                raise ValueError(f"{name!r} reads {each!r}, which is no node of the graph")
            readers[each].append(name)
    return {name: tuple(sorted(each)) for name, each in readers.items()}


def _levels(upstreams: Edges, downstreams: Edges) -> dict[str, int]:
    levels = {name: 0 for name, inputs in upstreams.items() if not inputs}
    waiting = {name: len(inputs) for name, inputs in upstreams.items()}
    ready = deque(levels)
    while ready:
        name = ready.popleft()
        for reader in downstreams[name]:
            waiting[reader] -= 1
            if not waiting[reader]:
                levels[reader] = levels[name] + 1  # its last upstream to end lies deepest
                ready.append(reader)
    if len(levels) < len(upstreams):
        raise ValueError(f"the graph has a cycle: {' -> '.join(find_cycle(upstreams) or ())}")
    return levels


def _closure(names: Iterable[str], edges: Edges) -> frozenset[str]:
    given = set(names)
    seen = set(given)
    stack = list(given)
    while stack:
        for each in edges[stack.pop()]:
            if each not in seen:
                seen.add(each)
                stack.append(each)
    return frozenset(seen - given)
