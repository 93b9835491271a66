"""Port of the ledger: the only truth about what is done of an execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from qmtl.models.execution import (
    ErrorRecord,
    Execution,
    ExecutionState,
    HistoryPoint,
    Line,
    NodeRecord,
    Plan,
)


class ClaimStatus(StrEnum):
    """What a claim of a shard leads to."""

    RUN = "RUN"  # the shard is the caller's until its lease ends
    BUSY = "BUSY"  # another lease is alive
    DONE = "DONE"  # everything of it is committed
    GONE = "GONE"  # the execution is not running, or runs another stage


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim.

    Attributes:
        status: Whether the shard is the caller's.
        token: What its commits must show.
        attempt: How often it was claimed since a node of it was last committed, this time
            included: a shard that ends its workers comes to high numbers.
        committed: Its nodes that need not run again.
    """

    status: ClaimStatus
    token: int = 0
    attempt: int = 0
    committed: frozenset[str] = frozenset()


class CommitStatus(StrEnum):
    """What became of a commit."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"  # an older token, or the execution is no longer running: nothing written


@dataclass(frozen=True, slots=True)
class NodeCommit:
    """A node that ended, with its encoded value where its state has one."""

    record: NodeRecord
    value: bytes | None = None


class AdvanceStatus(StrEnum):
    """What an advance led to."""

    MOVED = "MOVED"  # the caller, and nobody else, dispatches the stage it asked for
    ENDED = "ENDED"  # that was the last stage; the execution has its final state
    WAIT = "WAIT"  # shards of the stage before are not done
    STALE = "STALE"  # somebody else moved it, or it is not running


@dataclass(frozen=True, slots=True)
class Due:
    """Work that nobody does although its time has come.

    ``stage`` is -1 for an execution that was never planned. ``shards`` are those of ``stage`` that
    are not done, have no living lease and are due; none where the stage is done, whose advance
    never came.
    """

    tenant: str
    execution_id: str
    stage: int
    shards: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """The latest ``count`` points of a node at buckets up to ``until_ms``, None for any bucket."""

    node_id: str
    until_ms: int | None
    count: int


class Ledger(Protocol):
    """Executions, their plans, node records and values, and the outbox of what was committed.

    The server's clock is the only clock. Each method is one atomic step, safe to repeat, and may
    raise ``Unavailable``. A token is a number that grows with every claim of an execution; whoever
    holds an older one than the shard's latest can change nothing.
    """

    def ping(self) -> None:
        """Return once the server answered."""

    def create(self, execution: Execution, inputs: Mapping[str, bytes]) -> tuple[Execution, bool]:
        """Keep a new execution with its inline inputs (variable -> encoded points).

        Its ``created_ms`` is kept as given, since it orders the pages; the ledger's clock gives
        every other time. Unless it is planned it becomes due (``due``).

        Returns:
            The execution that has this id, and whether it is the new one.
        """

    def get(self, tenant: str, execution_id: str) -> Execution:
        """Return an execution as it stands.

        Raises:
            UnknownExecution: There is none, or it is another tenant's.
        """

    def page(
        self,
        tenant: str,
        *,
        strategy: str | None,
        before: str,
        limit: int,
    ) -> tuple[list[Execution], str]:
        """Return executions, newest first, and the cursor of the next page ("" at the end).

        Raises:
            InvalidRequest: ``before`` is no cursor.
        """

    def inputs(self, execution_id: str) -> dict[str, bytes]:
        """Return the inline inputs; empty where there are none."""

    def start(self, execution_id: str, plan: Plan) -> bool:
        """Store the plan, make the execution RUNNING at stage 0 and its nodes PENDING.

        A plan without stages ends the execution as SUCCEEDED. Returns False, and changes nothing,
        where the execution is not PENDING any more.
        """

    def fail(self, execution_id: str, error: ErrorRecord) -> bool:
        """End an execution that has not ended as FAILED with this error; its open nodes become
        CANCELLED. Returns whether it did."""

    def plan(self, execution_id: str) -> Plan | None:
        """Return the plan, or None before ``start``."""

    def claim(self, execution_id: str, stage: int, shard: int, *, lease_s: float) -> Claim:
        """Take a shard for ``lease_s`` seconds (``ClaimStatus``); its open nodes show RUNNING."""

    def renew(
        self, execution_id: str, stage: int, shard: int, token: int, *, lease_s: float
    ) -> bool:
        """Lengthen a lease, also one that ran out and was not taken. False means: stop, the shard
        is somebody else's or the execution is no longer running."""

    def commit(
        self,
        execution_id: str,
        stage: int,
        shard: int,
        token: int,
        nodes: Sequence[NodeCommit],
        *,
        done: bool,
    ) -> CommitStatus:
        """Write what nodes came to, in one step; ``done`` marks the shard as done.

        A node that is committed already keeps its first record and value. For every node that is
        new: its record and value, a point in its line's history where it has a result and an
        interval and the execution is not adhoc (trimmed to the plan's ``max_history``, one point a
        bucket: the latest, but none of older pins in place of one of newer), and its place in one
        outbox entry of this commit; without new nodes there is none.
        Repeating an accepted commit is accepted and changes nothing.

        Raises:
            ValueError: A node is not in the plan; nothing was written.
        """

    def advance(self, execution_id: str, stage: int) -> AdvanceStatus:
        """Move from stage ``stage - 1`` to ``stage`` once all its shards are done.

        Behind the last stage the execution ends: SUCCEEDED where every node has a result, else
        FAILED. Asked for a stage further on, it answers WAIT.
        """

    def records(self, execution_id: str) -> dict[str, NodeRecord]:
        """Return every node's record by node id; empty before the plan."""

    def values(self, execution_id: str, node_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those nodes that have one; a bounded number of round trips."""

    def values_of(self, results: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """Return the encoded value of each (execution id, node id), None where there is none.

        At most two round trips, however many executions they are of. Tenants are not checked.
        """

    def history(self, line: Line, node_id: str, *, count: int) -> list[HistoryPoint]:
        """Return the latest points of a node in a line, newest first."""

    def histories(
        self, requests: Sequence[tuple[Line, HistoryRequest]]
    ) -> list[list[HistoryPoint]]:
        """Return the points that each request asks for, newest first, in one round trip.

        A point at ``until_ms`` itself is among them. What has no history, such as a line of an
        execution's own, has no points.
        """

    def due(self, *, limit: int, again_s: float, unclaimed_s: float) -> list[Due]:
        """Return executions whose time has come, and put their next time ``again_s`` away.

        That time doubles with each return, up to sixteen times ``again_s``, until something of the
        execution is claimed or moves: behind a long queue, messages must not pile up.

        An execution without plan is due ``unclaimed_s`` after it was created, a shard that was
        never claimed as long after its stage began, a claimed one when its lease ran out, an
        advance as soon as its stage is done. Whatever becomes due later than an execution was
        returned brings it back before ``again_s`` are over.
        """

    def counts(self) -> dict[ExecutionState, int]:
        """Return how many executions are PENDING and RUNNING."""
