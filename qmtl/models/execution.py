"""Executions, their plans, and the record of every node."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from qmtl.common.timeline import floor_bucket
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


class Priority(StrEnum):
    """Which of two executions that wait is run first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


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
        environment: Whose active version it runs, or whose histories it reads (``shadow``); else
            None.
        adhoc: Whether its line is its own (inline inputs, or a named version).
        shadow: Whether a named version reads an environment's histories, and writes none.
        targets: Bindings asked for; empty for all.
        cause: What made it: ``bucket``, ``key:…``, ``manual:…``, ``replay:…``, or ``repair:`` and
            what landed at an earlier bucket, or the repair of its bucket that was broken off.
        attempt: Counts resumes and retries, from 1.
        priority: ``low``, ``normal`` or ``high``: which of two that wait is run first.
        expires_s: Seconds after its creation at which it ends as FAILED if it runs still.
        ordered: Whether it runs after those of its line that have earlier buckets, one at a time.
        repairs_ns: Of a repair: the latest bucket whose changed results made it.
        replays: The execution whose pins and history it reads again.
        fresh: Whether this attempt computes what it computes, also where a result is known.
        stage: Index of the stage that is running; -1 before the plan.
        stages: How many stages the plan has; 0 before it.
        nodes_total: How many nodes the plan has.
        nodes_done: How many of them ended, in whatever state.
        mixed: Whether a worker took a shard of it whose runtime is not the one it was planned for.
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
    priority: Priority = Priority.NORMAL
    expires_s: float | None = None
    shadow: bool = False
    ordered: bool = False
    repairs_ns: int | None = None
    replays: str | None = None
    fresh: bool = False
    state: ExecutionState = ExecutionState.PENDING
    attempt: int = 1
    stage: int = -1
    stages: int = 0
    nodes_total: int = 0
    nodes_done: int = 0
    mixed: bool = False
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


def source_key(variable: str, interval_ns: int | None) -> str:
    """Return what names, among the values of a shard, the window that readers of an interval see.

    It is alike at every time, so that calls are too.
    """
    return f"source:{variable}/{interval_ns}"


class PinnedWindow(Struct, frozen=True, kw_only=True, array_like=True):
    """The digest of the encoded window that readers of a source at a bucket see."""

    variable: str
    interval_ns: int | None
    bucket_ns: int
    digest: str


class PlannedNode(Struct, frozen=True, kw_only=True):
    """A computation of a plan, once for all bindings of its id, alike at every time.

    Attributes:
        names: Its bindings in this version, sorted.
        inputs: As in its specification, but every ``NodeInput.binding`` is a node id here.
        cached: Whether equal inputs give its result again: not where it, or something that it
            reads, is ``cache=False``.
    """

    node_id: str
    names: tuple[str, ...]
    function: str
    inputs: tuple[Input, ...]
    params: tuple[tuple[str, str], ...]
    interval_ns: int | None
    timeout_s: float
    retries: int
    memory_bytes: int
    max_history: int
    seeded: bool
    cached: bool = True

    def bucket_ns(self, as_of_ns: int) -> int:
        """Return the bucket that it runs at."""
        return floor_bucket(as_of_ns, self.interval_ns)


class Plan(Struct, frozen=True, kw_only=True):
    """An execution cut into stages run one after the other, each a set of parallel shards.

    Attributes:
        nodes: Every computation, in topological order.
        shape: Names ``nodes``: plans of one version and the same targets share them.
        as_of_ns: The execution's time.
        stages: ``stages[s][k]`` are indexes into ``nodes``: the k-th shard of stage s, in the order
            in which it is computed. What is reused, or was done by an earlier attempt, stands in
            none.
        pins: What it reads of its sources.
        windows: What its readers see of them.
        lookups: What it reads of histories.
        keys: The call key of each node, in the order of ``nodes``; empty where there is none. There
            are none at all where results of another runtime stand from an earlier attempt.
        runtime: What the call keys were made for; empty where there are none at all.
        seeds: By node id, of the nodes that draw random numbers.
        cost_us: What each node was estimated to take, in microseconds, in the order of ``nodes``.
        crossing_us: What a stage was estimated to cost beside its nodes.
    """

    nodes: tuple[PlannedNode, ...]
    shape: str
    as_of_ns: int
    stages: tuple[tuple[tuple[int, ...], ...], ...]
    pins: tuple[Pin, ...]
    windows: tuple[PinnedWindow, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    keys: tuple[str, ...] = ()
    runtime: str = ""
    seeds: dict[str, int] = {}
    cost_us: tuple[int, ...] = ()
    crossing_us: int = 0

    def shard(self, stage: int, shard: int) -> tuple[PlannedNode, ...]:
        """Return the nodes of a shard in the order in which it computes them."""
        return tuple([self.nodes[i] for i in self.stages[stage][shard]])

    def bindings(self) -> Iterator[tuple[str, PlannedNode]]:
        """Return every (binding, computation), in topological order."""
        return ((name, node) for node in self.nodes for name in node.names)


class NodeRecord(Struct, frozen=True, kw_only=True, array_like=True):
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


class Spent(Struct, frozen=True, kw_only=True, array_like=True):
    """Where the time of a shard went, in microseconds.

    Attributes:
        fetch_us: Reading what it reads.
        execute_us: In its executor.
        commit_us: Writing results while nothing was computed.
    """

    fetch_us: int = 0
    execute_us: int = 0
    commit_us: int = 0


class ShardRecord(Struct, frozen=True, kw_only=True):
    """How a shard of the present attempt went.

    Attributes:
        claims: How often it was claimed since a node of it was last committed.
        alive: Whether a lease of it has not run out.
        done_ms: When it was done; None before.
        runtime: Of a worker that took it, where that is not the plan's.
    """

    stage: int
    shard: int
    claims: int = 0
    claimed_ms: int | None = None
    alive: bool = False
    done_ms: int | None = None
    spent: Spent | None = None
    runtime: str = ""


class HistoryPoint(Struct, frozen=True, kw_only=True):
    """A node's result in a line's history."""

    bucket_ms: int
    execution_id: str
    digest: str


class EventKind(StrEnum):
    """What happened to an execution."""

    STARTED = "started"  # its plan stands, and the first stage is open
    NODES = "nodes"  # nodes were committed
    STAGE = "stage"  # a further stage is open
    ENDED = "ended"
    REOPENED = "reopened"  # a further attempt is to be planned


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened to an execution, and how far that brought it.

    Attributes:
        id: Where it stands among the events of its execution; empty where it was made from the
            execution itself, because its events are gone.
        at_ms: When it happened.
        attempt: Whose it is; of REOPENED, the new one.
        done: How many nodes had ended, with this.
        total: How many nodes the plan has; 0 before one.
        stage: Of STAGE: the one that is open now.
        stages: Of STARTED and STAGE: how many there are.
        counts: Of NODES: how many came to each state.
        nodes: Of NODES: their ids; of many, the first ones.
        state: Of ENDED: the final one.
        error: Of ENDED: the code of the error that the execution itself failed with.
    """

    id: str
    at_ms: int
    kind: EventKind
    attempt: int
    done: int
    total: int
    stage: int | None = None
    stages: int | None = None
    counts: dict[NodeState, int] = {}
    nodes: tuple[str, ...] = ()
    state: ExecutionState | None = None
    error: str | None = None
