"""Executions, their plans, and the record of every node."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from qmtl.models.datanode import Input


class ExecutionState(StrEnum):
    """Where an execution stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether the state is final for this attempt."""
        return self not in {ExecutionState.PENDING, ExecutionState.RUNNING}


class NodeState(StrEnum):
    """Where a node of an execution stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    REUSED = "REUSED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether the state is final for this attempt."""
        return self not in {NodeState.PENDING, NodeState.RUNNING}

    @property
    def has_result(self) -> bool:
        """Whether a value belongs to it."""
        return self in {NodeState.SUCCEEDED, NodeState.REUSED}


class ErrorRecord(Struct, frozen=True, kw_only=True):
    """Why a node or an execution failed; ``traceback`` holds the user's own lines."""

    code: str
    message: str
    traceback: str = ""


class Line(Struct, frozen=True, kw_only=True):
    """What a history belongs to.

    An execution with inline inputs, or of a version that is not the active one, has a line of its
    own: ``own`` is then its id, and nothing else reads or writes that line.
    """

    tenant: str
    strategy: str
    environment: str | None
    own: str | None = None


class Execution(Struct, frozen=True, kw_only=True):
    """One run of a version's targets at an ``as_of`` time.

    Attributes:
        id: Hash of line, version, bucket, targets and cause, 32 hex characters.
        environment: Whose active version it runs; None where a version was named.
        adhoc: Whether its line is its own (inline inputs, or a named version).
        targets: Bindings asked for; empty for all.
        cause: What made it: ``bucket``, ``key:…`` or ``manual:…``.
        attempt: Counts resumes, from 1.
        stage: Index of the stage that is running; -1 before the plan.
        stages: How many stages the plan has; 0 before it.
        nodes_total: How many nodes the plan has.
        nodes_done: How many of them ended, in whatever state.
    """

    id: str
    tenant: str
    strategy: str
    environment: str | None
    version: str
    adhoc: bool
    as_of_ns: int
    bucket_ns: int
    targets: tuple[str, ...]
    cause: str
    by: str
    created_ms: int
    state: ExecutionState = ExecutionState.PENDING
    attempt: int = 1
    stage: int = -1
    stages: int = 0
    nodes_total: int = 0
    nodes_done: int = 0
    started_ms: int | None = None
    ended_ms: int | None = None
    error: ErrorRecord | None = None

    @property
    def line(self) -> Line:
        """Return the line that its results belong to."""
        return Line(
            tenant=self.tenant,
            strategy=self.strategy,
            environment=self.environment,
            own=self.id if self.adhoc else None,
        )


class Pin(Struct, frozen=True, kw_only=True):
    """The revision of a source that an execution reads; 0 for inline inputs."""

    variable: str
    source: str
    revision: int


class Found(Struct, frozen=True, kw_only=True):
    """A result that a window or a query resolved to.

    Attributes:
        name: ``strategy.binding`` in a query; empty in a window.
        execution_id: Whose result it is.
    """

    name: str
    bucket_ns: int
    execution_id: str
    node_id: str
    digest: str


class Lookup(Struct, frozen=True, kw_only=True):
    """What an argument of a planned node that is a window or a query resolved to.

    Attributes:
        node_id: The reader.
        kind: ``window``, with ``found`` oldest first, or ``query``, with ``found`` by name.
    """

    node_id: str
    argument: str
    kind: Literal["window", "query"]
    found: tuple[Found, ...]

    @property
    def key(self) -> str:
        """Return what names the argument's value among the values of a shard."""
        return lookup_key(self.kind, self.node_id, self.argument)


def lookup_key(kind: Literal["window", "query"], node_id: str, argument: str) -> str:
    """Return what names the value of a reader's argument among the values of a shard."""
    return f"{kind}:{node_id}:{argument}"


class PlannedNode(Struct, frozen=True, kw_only=True):
    """A computation of a plan, once for all bindings of its id.

    Attributes:
        names: Its bindings in this version, sorted.
        inputs: As in its specification, but every ``NodeInput.binding`` is a node id here.
        bucket_ns: The bucket it runs at.
        content_key: What its result is determined by, 32 hex characters; seeds come from it.
    """

    node_id: str
    names: tuple[str, ...]
    function: str
    inputs: tuple[Input, ...]
    params: tuple[tuple[str, str], ...]
    interval_ns: int | None
    bucket_ns: int
    timeout_s: float
    retries: int
    memory_bytes: int
    max_history: int
    seeded: bool
    content_key: str


class Plan(Struct, frozen=True, kw_only=True):
    """An execution cut into stages run one after the other, each a set of parallel shards.

    Attributes:
        nodes: Every computation, in topological order.
        stages: ``stages[s][k]`` are indexes into ``nodes``: the k-th shard of stage s, in the order
            in which it is computed.
        pins: What it reads of its sources.
        lookups: What it reads of histories.
    """

    nodes: tuple[PlannedNode, ...]
    stages: tuple[tuple[tuple[int, ...], ...], ...]
    pins: tuple[Pin, ...]
    lookups: tuple[Lookup, ...] = ()

    def shard(self, stage: int, shard: int) -> tuple[PlannedNode, ...]:
        """Return the nodes of a shard in the order in which it computes them."""
        return tuple(self.nodes[i] for i in self.stages[stage][shard])

    def bindings(self) -> Iterator[tuple[str, PlannedNode]]:
        """Return every (binding, computation), in topological order."""
        return ((name, node) for node in self.nodes for name in node.names)


class NodeRecord(Struct, frozen=True, kw_only=True):
    """What the ledger knows of a node of an execution."""

    node_id: str
    state: NodeState
    attempt: int = 1
    digest: str | None = None
    size: int | None = None  # bytes of the encoded value
    started_ms: int | None = None
    duration_ns: int | None = None
    error: ErrorRecord | None = None
    logs: str = ""


class NodeResult(Struct, frozen=True, kw_only=True):
    """A binding's record and, where it has one, its encoded value."""

    name: str
    record: NodeRecord
    value: bytes | None = None


class HistoryPoint(Struct, frozen=True, kw_only=True):
    """A node's result in a line's history."""

    bucket_ms: int
    execution_id: str
    digest: str
