"""What executions of one version with the same targets do alike, worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec

from qmtl.common.codec import digest
from qmtl.common.errors import UnknownTarget
from qmtl.graph.dag import Dag
from qmtl.models.datanode import (
    Input,
    NodeInput,
    NodeSpec,
    SourceInput,
    WindowInput,
)
from qmtl.models.execution import PlannedNode, source_key
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.calls import calls_of
from qmtl.sandbox.tables import CallTable


@dataclass(frozen=True, slots=True)
class Limits:
    """What a node may use that declares nothing itself."""

    timeout_s: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class SourceKey:
    """Names the window of a source that readers of one interval see."""

    variable: str
    interval_ns: int | None

    def __str__(self) -> str:
        return source_key(self.variable, self.interval_ns)


@dataclass(frozen=True, slots=True)
class Shape:
    """Computations in topological order; make one with ``Shape.of``.

    Attributes:
        name: Equal names mean equal computations.
        specs: The bindings, upstream first.
        nodes: Each computation once, upstream first.
        ids: Their node ids.
        places: The place of each node id in ``nodes``.
        upstream: For each node, the places of what it reads in the same bucket.
        table: The calls of the nodes, in their order.
        sources: Every window that is read.
        windows: For each node, the windows that it reads itself.
        reads: For each node, the variables that it rests on, through whatever it reads.
        keep: By interval, the longest history that a node of it declares.
        seeded: Whether a node draws random numbers.
        looks: Whether a node reads a window of results or a query.
    """

    name: str
    specs: tuple[NodeSpec, ...]
    nodes: tuple[PlannedNode, ...]
    ids: tuple[str, ...]
    places: Mapping[str, int]
    upstream: tuple[tuple[int, ...], ...]
    table: CallTable
    sources: tuple[SourceKey, ...]
    windows: tuple[tuple[SourceKey, ...], ...]
    reads: tuple[frozenset[str], ...]
    keep: Mapping[int | None, int]
    seeded: bool
    looks: bool

    @classmethod
    def of(cls, spec: StrategySpec, targets: Sequence[str], limits: Limits) -> Shape:
        """Return what the targets (default: all nodes) and what they rest on have in common.

        Raises:
            UnknownTarget: A target is no binding of the strategy.
        """
        specs = required(spec, targets)
        nodes = _nodes(specs, limits)
        name = digest(msgspec.msgpack.encode(nodes))
        places = {node.node_id: place for place, node in enumerate(nodes)}
        keep: dict[int | None, int] = {}
        for node in nodes:
            keep[node.interval_ns] = max(keep.get(node.interval_ns, 0), node.max_history)
        return cls(
            name=name,
            specs=specs,
            nodes=nodes,
            ids=tuple(places),
            places=places,
            upstream=tuple(tuple({places[u]: None for u in upstream_of(n)}) for n in nodes),
            table=CallTable(name=name, calls=tuple(calls_of(nodes))),
            sources=tuple({SourceKey(v, n.interval_ns): None for n in specs for v in n.sources()}),
            windows=tuple(tuple(_windows(node)) for node in nodes),
            reads=_reads(nodes),
            keep=keep,
            seeded=any(node.seeded for node in nodes),
            looks=any(node.looks_back_at() or node.queries() for node in specs),
        )

    def named(self) -> Iterator[tuple[str, int]]:
        """Return every binding in the strategy's order, with the place of its computation."""
        return ((spec.name, self.places[spec.node_id]) for spec in self.specs)


def upstream_of(node: PlannedNode) -> tuple[str, ...]:
    """Return the ids of the nodes that a node reads in the same bucket."""
    return tuple([i.binding for i in node.inputs if isinstance(i, NodeInput)])


def _windows(node: PlannedNode) -> Iterator[SourceKey]:
    for given in node.inputs:
        if isinstance(given, SourceInput):
            yield SourceKey(given.variable, node.interval_ns)


def required(spec: StrategySpec, targets: Sequence[str]) -> tuple[NodeSpec, ...]:
    """Return the targets (all nodes where none is named) and what they rest on, upstream first.

    A node that another one looks back at is part of it: its history is what its runs leave.

    Raises:
        UnknownTarget: A target is no binding of the strategy.
    """
    if not targets:
        return spec.nodes
    known = {node.name for node in spec.nodes}
    for target in targets:
        if target not in known:
            raise UnknownTarget(
                f"Strategy {spec.name!r} binds no node {target!r}.",
                hint=f"It binds {', '.join(sorted(known))}.",
            )
    edges = {n.name: n.upstream() + _others(n) for n in spec.nodes}
    wanted = Dag.of(edges).ancestors(targets) | set(targets)
    return tuple(node for node in spec.nodes if node.name in wanted)


def _others(node: NodeSpec) -> tuple[str, ...]:
    return tuple(name for name in node.looks_back_at() if name != node.name)


def _nodes(specs: Sequence[NodeSpec], limits: Limits) -> tuple[PlannedNode, ...]:
    """Return the computations; bindings of one id are one, under the largest of their limits."""
    ids = {spec.name: spec.node_id for spec in specs}
    cached: dict[str, bool] = {}
    nodes = []
    for bindings in _by_computation(specs):
        first = bindings[0]
        cached[first.node_id] = first.cache and all(cached[ids[u]] for u in first.upstream())
        nodes.append(
            PlannedNode(
                node_id=first.node_id,
                names=tuple(b.name for b in bindings),
                function=first.function,
                inputs=tuple(_by_id(i, ids) for i in first.inputs),
                params=first.params,
                interval_ns=first.interval_ns,
                timeout_s=max(b.timeout_s or limits.timeout_s for b in bindings),
                retries=max(b.retries for b in bindings),
                memory_bytes=max(b.memory_bytes or limits.memory_bytes for b in bindings),
                max_history=max(b.max_history for b in bindings),
                seeded=first.seeded,
                cached=cached[first.node_id],
            )
        )
    return tuple(nodes)


def _by_computation(specs: Sequence[NodeSpec]) -> list[list[NodeSpec]]:
    """Group by node id, in the order in which an id comes first."""
    first: dict[str, int] = {}
    for place, spec in enumerate(specs):
        first.setdefault(spec.node_id, place)
    ordered = sorted(specs, key=lambda n: (first[n.node_id], n.name))
    return [list(group) for _, group in groupby(ordered, key=lambda n: n.node_id)]


def _by_id(given: Input, ids: Mapping[str, str]) -> Input:
    if isinstance(given, NodeInput):
        return NodeInput(argument=given.argument, binding=ids[given.binding])
    return given


def _reads(nodes: Sequence[PlannedNode]) -> tuple[frozenset[str], ...]:
    ids = {name: node.node_id for node in nodes for name in node.names}
    found: dict[str, frozenset[str]] = {}
    for node in nodes:
        variables: frozenset[str] = frozenset()
        for given in node.inputs:
            match given:
                case SourceInput(variable=variable):
                    variables |= {variable}
                case NodeInput(binding=node_id):
                    variables |= found.get(node_id, frozenset())
                case WindowInput(binding=name):  # a name still, and perhaps its own
                    variables |= found.get(ids.get(name, ""), frozenset())
                case _:
                    pass
        found[node.node_id] = variables
    return tuple(found[node.node_id] for node in nodes)
