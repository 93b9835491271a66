"""From what an executor answers to what the ledger keeps of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from qmtl.common.errors import NODE_UPSTREAM_FAILED
from qmtl.models.execution import ErrorRecord, NodeRecord, NodeState, PlannedNode
from qmtl.orchestrator.execution.lease import Lease
from qmtl.orchestrator.execution.ledger import CommitStatus, Ledger, NodeCommit
from qmtl.sandbox.calls import Outcome

COMMIT_EVERY_S = 0.1  # what a client waits at most to see a node of a long shard
TEXT_LIMIT = 32 * 1024  # of what an executor says about a node; an error's message has less
MESSAGE_LIMIT = 4 * 1024


class Commits:
    """Commits outcomes in batches; after a refusal the lease is lost and nothing more is sent."""

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self._ledger = ledger
        self.lease = lease
        self.states: dict[str, NodeState] = {}
        self._waiting: list[NodeCommit] = []
        self._since = 0.0  # when the first of those came that wait

    def add(self, commit: NodeCommit) -> None:
        self.states[commit.record.node_id] = commit.record.state
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(commit)
        self.look()

    def look(self) -> bool:
        """Send what has waited long enough; tell whether the shard must stop."""
        if self._waiting and time.monotonic() - self._since >= COMMIT_EVERY_S:
            self._send(done=False)
        return self.lease.lost

    def fail(self, nodes: Sequence[PlannedNode], error: ErrorRecord, attempt: int) -> None:
        """End every node that has not ended with this error."""
        for node in nodes:
            if node.node_id not in self.states:
                self.add(_failed(node, error, attempt))

    def finish(self, rest: Iterable[NodeCommit]) -> None:
        self._waiting += rest
        self._send(done=True)

    def _send(self, *, done: bool) -> None:
        lease, waiting = self.lease, self._waiting
        self._waiting = []
        status = self._ledger.commit(
            lease.execution_id, lease.stage, lease.shard, lease.token, waiting, done=done
        )
        if status is CommitStatus.REFUSED:
            lease.lose()


def node_commit(outcome: Outcome, attempt: int) -> NodeCommit:
    """Return what the ledger keeps of an outcome; an executor wrote its texts, so they are cut."""
    problem = outcome.error
    error = (
        ErrorRecord(
            code=problem.code[:MESSAGE_LIMIT],
            message=problem.message[:MESSAGE_LIMIT],
            traceback=problem.traceback[:TEXT_LIMIT],
        )
        if problem
        else None
    )
    record = NodeRecord(
        node_id=outcome.node_id,
        state=NodeState(outcome.state),
        attempt=attempt,
        digest=outcome.digest if outcome.value is not None else None,
        size=len(outcome.value) if outcome.value is not None else None,
        started_ms=outcome.started_ns // 1_000_000,
        duration_ns=outcome.duration_ns,
        error=error,
        logs=outcome.logs[:TEXT_LIMIT],
    )
    return NodeCommit(record=record, value=outcome.value)


def skipped(
    nodes: Sequence[PlannedNode], states: dict[str, NodeState], attempt: int
) -> list[NodeCommit]:
    """Return a commit for every node that did not run because something above it has no result."""
    return [
        NodeCommit(
            record=NodeRecord(
                node_id=node.node_id,
                state=NodeState.SKIPPED,
                attempt=attempt,
                error=ErrorRecord(
                    code=NODE_UPSTREAM_FAILED, message="A node that it reads has no result."
                ),
            )
        )
        for node in nodes
        if node.node_id not in states
    ]


def _failed(node: PlannedNode, error: ErrorRecord, attempt: int) -> NodeCommit:
    return NodeCommit(
        record=NodeRecord(
            node_id=node.node_id, state=NodeState.FAILED, attempt=attempt, error=error
        )
    )
