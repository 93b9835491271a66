"""From a version, its targets and a time to a plan: which computations run, where and on what.

Pure: whoever calls it has read the windows of the sources before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from qmtl.common.errors import UnknownTarget
from qmtl.common.timeline import MILLISECOND, floor_bucket
from qmtl.graph.dag import Dag
from qmtl.graph.identity import content_key
from qmtl.graph.plan import stages
from qmtl.models.datanode import (
    AsOfInput,
    Input,
    NodeInput,
    NodeSpec,
    QueryInput,
    SourceInput,
    SourceSpec,
    WindowInput,
)
from qmtl.models.execution import Lookup, Pin, Plan, PlannedNode
from qmtl.models.strategy import StrategySpec
from qmtl.orchestrator.execution.lookups import lookup_digest


@dataclass(frozen=True, slots=True)
class WindowKey:
    """Names what a reader of ``variable`` sees at a bucket."""

    variable: str
    bucket_ns: int

    def __str__(self) -> str:
        return f"source:{self.variable}@{self.bucket_ns}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a node may use that declares nothing itself."""

    timeout_s: float
    memory_bytes: int


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


def window_keys(nodes: Sequence[NodeSpec], as_of_ns: int) -> tuple[WindowKey, ...]:
    """Return every window that the nodes read, each once, in a stable order."""
    keys = {
        WindowKey(variable, floor_bucket(as_of_ns, node.interval_ns)): None
        for node in nodes
        for variable in node.sources()
    }
    return tuple(keys)


def latest_visible_ms(source: SourceSpec, key: WindowKey) -> int:
    """Return the latest time stamp, in milliseconds, that belongs to a window."""
    return source.latest_visible_ns(key.bucket_ns) // MILLISECOND


def plan_execution(
    nodes: Sequence[NodeSpec],
    *,
    as_of_ns: int,
    windows: Mapping[WindowKey, str],
    pins: Sequence[Pin],
    slots: int,
    limits: Limits,
    lookups: Sequence[Lookup] = (),
) -> Plan:
    """Return the plan of nodes that stand in topological order.

    Bindings of one node id become one computation, under the largest of their limits.

    Args:
        nodes: What must run, upstream first, as ``required`` gives it.
        as_of_ns: The execution's time; each node runs at its own bucket of it.
        windows: Digest of every window named by ``window_keys``.
        pins: What was read of the sources.
        slots: How many shards may run at once.
        limits: For nodes that declare none.
        lookups: What every window and query of the nodes resolved to.
    """
    found = {(each.node_id, each.argument): lookup_digest(each) for each in lookups}
    ids = {node.name: node.node_id for node in nodes}
    planned: list[PlannedNode] = []
    keys: dict[str, str] = {}
    for bindings in _by_computation(nodes):
        node = _planned(bindings, ids, as_of_ns, _Keys(windows, keys, found), limits)
        keys[node.node_id] = node.content_key
        planned.append(node)
    upstream = {n.node_id: _upstream(n.inputs) for n in planned}
    return Plan(
        nodes=tuple(planned),
        stages=stages([n.node_id for n in planned], upstream, slots=slots),
        pins=tuple(pins),
        lookups=tuple(lookups),
    )


def _by_computation(nodes: Sequence[NodeSpec]) -> list[list[NodeSpec]]:
    """Group by node id, in the order in which an id comes first."""
    first: dict[str, int] = {}
    for place, node in enumerate(nodes):
        first.setdefault(node.node_id, place)
    ordered = sorted(nodes, key=lambda n: (first[n.node_id], n.name))
    return [list(group) for _, group in groupby(ordered, key=lambda n: n.node_id)]


def _planned(
    bindings: Sequence[NodeSpec],
    ids: Mapping[str, str],
    as_of_ns: int,
    keys: _Keys,
    limits: Limits,
) -> PlannedNode:
    node = bindings[0]
    bucket_ns = floor_bucket(as_of_ns, node.interval_ns)
    inputs = tuple(_by_id(i, ids) for i in node.inputs)
    return PlannedNode(
        node_id=node.node_id,
        names=tuple(b.name for b in bindings),
        function=node.function,
        inputs=inputs,
        params=node.params,
        interval_ns=node.interval_ns,
        bucket_ns=bucket_ns,
        timeout_s=max(b.timeout_s or limits.timeout_s for b in bindings),
        retries=max(b.retries for b in bindings),
        memory_bytes=max(b.memory_bytes or limits.memory_bytes for b in bindings),
        max_history=max(b.max_history for b in bindings),
        seeded=node.seeded,
        content_key=content_key(
            node.node_id, {i.argument: keys.of(node.node_id, i, bucket_ns) for i in inputs}
        ),
    )


def _by_id(given: Input, ids: Mapping[str, str]) -> Input:
    if isinstance(given, NodeInput):
        return NodeInput(argument=given.argument, binding=ids[given.binding])
    return given


@dataclass(frozen=True, slots=True)
class _Keys:
    """What determines the value of an input, in 32 hex characters or a plain text."""

    windows: Mapping[WindowKey, str]
    nodes: Mapping[str, str]
    lookups: Mapping[tuple[str, str], str]

    def of(self, reader: str, given: Input, bucket_ns: int) -> str:
        match given:
            case NodeInput(binding=node_id):
                return self.nodes[node_id]
            case SourceInput(variable=variable):
                return self.windows[WindowKey(variable, bucket_ns)]
            case WindowInput() | QueryInput():
                return self.lookups[reader, given.argument]
            case AsOfInput():
                return f"as_of:{bucket_ns}"


def _upstream(inputs: Sequence[Input]) -> tuple[str, ...]:
    return tuple(i.binding for i in inputs if isinstance(i, NodeInput))
