"""From what an executor answers to what the ledger keeps of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from qmtl.common.errors import NODE_UPSTREAM_FAILED
from qmtl.models.execution import ErrorRecord, NodeRecord, NodeState, PlannedNode, Spent
from qmtl.orchestrator.execution.lease import Lease
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import CommitStatus, HistoryPlace, NodeCommit
from qmtl.sandbox.calls import Outcome

COMMIT_EVERY_S = 0.1  # what a client waits at most to see a node of a long shard
COMMIT_NODES = 250  # as many are worth a round trip, which then overlaps with what is computed
COMMIT_BYTES = 4 * 1024 * 1024  # as many too, and this process should not hold more
TEXT_LIMIT = 32 * 1024  # of what an executor says about a node; an error's message has less
MESSAGE_LIMIT = 4 * 1024


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a node's result is found again, by node id: in the memo, and in its line's history."""

    keys: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, HistoryPlace | None] = field(default_factory=dict)

    def commit(self, record: NodeRecord, value: bytes | None = None) -> NodeCommit:
        """Return what the ledger is told of a node."""
        node_id = record.node_id
        return NodeCommit(record, value, self.keys.get(node_id, ""), self.places.get(node_id))


class Commits:
    """Commits nodes in batches; after a refusal the lease is lost and nothing more is sent.

    Where a commit raises, what it was given still waits and goes with the next one: its nodes have
    ended, and nobody computes them again under this lease.
    """

    def __init__(self, ledger: Ledger, lease: Lease, addresses: Addresses, attempt: int) -> None:
        self._ledger = ledger
        self._attempt = attempt
        self.lease = lease
        self._addresses = addresses
        self.states: dict[str, NodeState] = {}
        self.status = CommitStatus.ACCEPTED
        self.spent_s = 0.0  # in commits
        self._waiting: list[NodeCommit] = []
        self._bytes = 0  # of their values
        self._since = 0.0  # when the first of those came that wait

    def add(self, record: NodeRecord, value: bytes | None = None) -> None:
        """Take a node that ended; it is sent with others."""
        self.states[record.node_id] = record.state
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(self._addresses.commit(record, value))
        self._bytes += len(value or b"")
        if self._bytes >= COMMIT_BYTES:
            self._send(done=False)

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Take what an executor tells, and send what is worth it."""
        for outcome in outcomes:
            self.add(record_of(outcome, self._attempt), outcome.value)
        if len(self._waiting) >= COMMIT_NODES:
            self._send(done=False)
        else:
            self.look()

    def look(self) -> bool:
        """Send what has waited long enough; tell whether the shard must stop."""
        if self._waiting and time.monotonic() - self._since >= COMMIT_EVERY_S:
            self._send(done=False)
        return self.lease.lost

    def fail(self, nodes: Sequence[PlannedNode], error: ErrorRecord) -> None:
        """End every node that has not ended with this error."""
        for node in nodes:
            if node.node_id not in self.states:
                self.add(
                    NodeRecord(
                        node_id=node.node_id,
                        state=NodeState.FAILED,
                        attempt=self._attempt,
                        error=error,
                    )
                )

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            self._send(done=False)

    def finish(self, nodes: Sequence[PlannedNode], spent: Spent) -> None:
        """Send what waits, and end the shard: whatever has not ended was not run."""
        for node in nodes:
            if node.node_id not in self.states:
                self.add(skipped(node, self._attempt))
        self._send(done=True, spent=spent)

    def _send(self, *, done: bool, spent: Spent | None = None) -> None:
        lease, began = self.lease, time.monotonic()
        self.status = self._ledger.commit(
            lease.execution_id,
            lease.stage,
            lease.shard,
            lease.token,
            self._waiting,
            done=done,
            spent=spent,
        )
        self._waiting, self._bytes = [], 0
        self.spent_s += time.monotonic() - began
        if self.status is CommitStatus.REFUSED:
            lease.lose()


def record_of(outcome: Outcome, attempt: int) -> NodeRecord:
    """Return what the ledger keeps of an outcome; an executor wrote its texts, so they are cut."""
    problem, value = outcome.error, outcome.value
    error = (
        ErrorRecord(
            code=problem.code[:MESSAGE_LIMIT],
            message=problem.message[:MESSAGE_LIMIT],
            traceback=problem.traceback[:TEXT_LIMIT],
        )
        if problem
        else None
    )
    return NodeRecord(
        node_id=outcome.node_id,
        state=NodeState(outcome.state),
        attempt=attempt,
        digest=outcome.digest if value is not None else None,
        size=len(value) if value is not None else None,
        started_ms=outcome.started_ns // 1_000_000,
        duration_ns=outcome.duration_ns,
        error=error,
        logs=outcome.logs[:TEXT_LIMIT],
    )


def skipped(node: PlannedNode, attempt: int) -> NodeRecord:
    """Return the record of a node that did not run because something above it has no result."""
    return NodeRecord(
        node_id=node.node_id,
        state=NodeState.SKIPPED,
        attempt=attempt,
        error=ErrorRecord(code=NODE_UPSTREAM_FAILED, message="A node that it reads has no result."),
    )
