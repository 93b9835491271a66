"""What ledgers derive from a plan and from what is stored, alike in every adapter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qmtl.common.codec import digest
from qmtl.models.datanode import NodeInput, SourceInput, WindowInput
from qmtl.models.execution import (
    ExecutionState,
    NodeRecord,
    NodeState,
    Pin,
    Plan,
    PlannedNode,
    ShardRecord,
)

NANOSECONDS_PER_MS = 1_000_000


def bucket_ms(node: PlannedNode, as_of_ns: int) -> int:
    """Return the bucket that stands in a history."""
    return node.bucket_ns(as_of_ns) // NANOSECONDS_PER_MS


def history_length(node: PlannedNode) -> int:
    """Return how many points of a node are kept: none without an interval, which has no buckets."""
    return 0 if node.interval_ns is None else node.max_history


def asked_for(version: str, targets: Sequence[str]) -> str:
    """Return what names a version and its targets among all that is asked of a line."""
    return digest(json.dumps([version, *targets]).encode())[:16]


@dataclass(frozen=True, slots=True)
class Pinned:
    """How new the data is that a node rests on, itself and through what it reads.

    Attributes:
        revision: The sum of its sources' pinned revisions. A plan pins all of them at one moment
            and revisions only grow, so that of two plans the one with newer pins has more.
        sources: Which sources these are, 8 hex characters; revisions of others do not compare.
    """

    revision: int = 0
    sources: str = ""

    def outdates(self, other: Pinned) -> bool:
        """Whether a result of these pins stays where one of the others comes."""
        return self.sources == other.sources and self.revision > other.revision


def pinned(plan: Plan) -> dict[str, Pinned]:
    """Return by node id how new the data of each node of a plan is."""
    pins = {pin.variable: pin for pin in plan.pins}
    ids = {name: node.node_id for name, node in plan.bindings()}
    read: dict[str, frozenset[str]] = {}
    known: dict[frozenset[str], Pinned] = {}
    for node in plan.nodes:
        variables = read[node.node_id] = _variables(node, read, ids).intersection(pins)
        if variables not in known:
            known[variables] = _newness([pins[variable] for variable in variables])
    return {node_id: known[variables] for node_id, variables in read.items()}


def _variables(
    node: PlannedNode, read: Mapping[str, frozenset[str]], ids: Mapping[str, str]
) -> frozenset[str]:
    """Return the sources of a node, given those of the nodes before it."""
    found: frozenset[str] = frozenset()
    for given in node.inputs:
        match given:
            case SourceInput(variable=variable):
                found |= {variable}
            case NodeInput(binding=node_id):
                found |= read.get(node_id, frozenset())
            case WindowInput(binding=name):  # a name still, and perhaps its own
                found |= read.get(ids.get(name, ""), frozenset())
            case _:
                pass
    return found


def _newness(pins: list[Pin]) -> Pinned:
    revisions = {pin.source: pin.revision for pin in pins}
    return Pinned(sum(revisions.values()), digest("\n".join(sorted(revisions)).encode())[:8])


def open_record(
    node_id: str, shard: ShardRecord | None, execution: ExecutionState, attempt: int
) -> NodeRecord:
    """Return the record of a node that was not committed, given the shard that it stands in.

    It is derived, so that a claim or a failure need not write one for each of a thousand nodes.
    """
    if execution.ended:
        return NodeRecord(node_id=node_id, state=NodeState.CANCELLED, attempt=attempt)
    if shard is not None and shard.alive:
        return NodeRecord(
            node_id=node_id,
            state=NodeState.RUNNING,
            attempt=attempt,
            started_ms=shard.claimed_ms,
        )
    return NodeRecord(node_id=node_id, state=NodeState.PENDING, attempt=attempt)
