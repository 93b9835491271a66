"""What ledgers derive from a plan and from what is stored, alike in every adapter."""

from __future__ import annotations

from dataclasses import dataclass

from qmtl.models.execution import ExecutionState, NodeRecord, NodeState, PlannedNode

NANOSECONDS_PER_MS = 1_000_000


def bucket_ms(node: PlannedNode) -> int:
    """Return the bucket that stands in a history."""
    return node.bucket_ns // NANOSECONDS_PER_MS


def history_length(node: PlannedNode) -> int:
    """Return how many points of a node are kept: none without an interval, which has no buckets."""
    return 0 if node.interval_ns is None else node.max_history


@dataclass(frozen=True, slots=True)
class OpenShard:
    """A shard as it stands, for the records of its nodes that have not ended."""

    node_ids: tuple[str, ...]
    claimed_ms: int | None
    alive: bool  # a lease of it has not run out


def open_record(
    node_id: str, shard: OpenShard, execution: ExecutionState, attempt: int
) -> NodeRecord:
    """Return the record of a node that was not committed.

    It is derived, so that a claim or a failure need not write one for each of a thousand nodes.
    """
    if execution.ended:
        return NodeRecord(node_id=node_id, state=NodeState.CANCELLED, attempt=attempt)
    if shard.alive:
        return NodeRecord(
            node_id=node_id,
            state=NodeState.RUNNING,
            attempt=attempt,
            started_ms=shard.claimed_ms,
        )
    return NodeRecord(node_id=node_id, state=NodeState.PENDING, attempt=attempt)
