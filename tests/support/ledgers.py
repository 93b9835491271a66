"""Small executions and plans, and the ledgers that the contract suites run over."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import redis

from qmtl.common.codec import digest as digest_of
from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.execution import ErrorRecord, Execution, NodeRecord, NodeState, Plan, PlannedNode
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import (
    ClaimStatus,
    CommitStatus,
    HistoryPlace,
    NodeCommit,
    Reuse,
    StartStatus,
)
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.memory.outbox import MemoryOutbox
from qmtl.orchestrator.execution.outbox import RETENTION_S, Outbox
from qmtl.orchestrator.execution.pinned import Pinned
from qmtl.orchestrator.execution.redis.ledger import RedisLedger
from qmtl.orchestrator.execution.redis.outbox import RedisOutbox

DAY_NS = 86_400 * 1_000_000_000
DAY_MS = 86_400 * 1_000
SHORT_S = 0.2  # a lease that a test waits out
LONG_S = 60.0  # a lease that never runs out in a test
NOT_RETAINED_S = -1.0  # of an outbox: what is acknowledged goes at once, at the same time too
ERROR = ErrorRecord(code="QMTL-410", message="It raised.")


@dataclass(frozen=True, slots=True)
class LedgerUnderTest:
    """A ledger, its outbox, how time passes for them, and how another process sees the ledger."""

    ledger: Ledger
    outbox: Outbox
    pass_time: Callable[[float], None]
    other: Callable[[], Ledger]


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at_ms: int = 1_700_000_000_000) -> None:
        self.at_ms = at_ms

    def __call__(self) -> int:
        return self.at_ms

    def pass_time(self, seconds: float) -> None:
        self.at_ms += round(seconds * 1000)


def memory_ledger(*, retention_s: float = RETENTION_S, **options: Any) -> LedgerUnderTest:
    clock = HandClock()
    ledger = MemoryLedger(clock, **options)
    outbox = MemoryOutbox(ledger, retention_s=retention_s)
    return LedgerUnderTest(ledger, outbox, clock.pass_time, lambda: ledger)


def redis_ledger(settings: Settings, *, retention_s: float = RETENTION_S) -> LedgerUnderTest:
    client = connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    keys = Keys(settings.cell)
    return LedgerUnderTest(
        RedisLedger(client, keys),
        RedisOutbox(client, keys, retention_s=retention_s),
        time.sleep,
        lambda: RedisLedger(client, keys),
    )


class HandTimedRedis(redis.Redis):
    """A client whose scripts read the time from a key of their cell."""

    def register_script(self, script: str | bytes) -> Any:
        real, by_hand = "redis.call('TIME')", "{ 0, redis.call('GET', CELL .. 'clock') * 1000 }"
        assert isinstance(script, str)
        assert real in script
        return super().register_script(script.replace(real, by_hand))


def hand_timed_redis_ledger(
    settings: Settings, clock: HandClock, *, retention_s: float = RETENTION_S, **options: Any
) -> LedgerUnderTest:
    """Return a ledger for which time passes only by hand, as in memory; its outbox reads."""
    client = connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    keys = Keys(settings.cell)
    timed = HandTimedRedis(connection_pool=client.connection_pool)

    def pass_time(seconds: float) -> None:
        clock.pass_time(seconds)
        client.set(keys("clock"), clock.at_ms)

    pass_time(0)
    ledger = RedisLedger(timed, keys, **options)
    outbox = RedisOutbox(client, keys, retention_s=retention_s)
    return LedgerUnderTest(ledger, outbox, pass_time, lambda: ledger)


def new_execution(**fields: Any) -> Execution:
    """Return an execution of tenant ``acme`` with an id of its own."""
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "tenant": "acme",
        "strategy": "golden_cross",
        "environment": "production",
        "version": "v1",
        "adhoc": False,
        "as_of_ns": 20 * DAY_NS,
        "bucket_ns": 20 * DAY_NS,
        "targets": (),
        "cause": "bucket",
        "by": "tests",
        "created_ms": 1_700_000_000_000,
    }
    return Execution(**(values | fields))


def planned_node(node_id: str, **fields: Any) -> PlannedNode:
    """Return a daily node without inputs."""
    values: dict[str, Any] = {
        "names": (f"name_{node_id}",),
        "function": "f",
        "inputs": (),
        "params": (),
        "interval_ns": DAY_NS,
        "timeout_s": 1.0,
        "retries": 0,
        "memory_bytes": 1,
        "max_history": 1_000,
        "seeded": False,
    }
    return PlannedNode(node_id=node_id, **(values | fields))


def plan_of(*stages: list[list[str]], done: Sequence[str] = (), **fields: Any) -> Plan:
    """Return the plan of these stages of shards of node ids, at day 20.

    ``done`` are nodes that stand in no stage.
    """
    ids = [*done, *(node_id for stage in stages for shard in stage for node_id in shard)]
    index = {node_id: i for i, node_id in enumerate(ids)}
    nodes = tuple(planned_node(node_id, **fields) for node_id in ids)
    return Plan(
        nodes=nodes,
        shape=digest_of(msgspec.msgpack.encode(nodes)),
        as_of_ns=20 * DAY_NS,
        stages=tuple(tuple(tuple(index[n] for n in shard) for shard in s) for s in stages),
        pins=(),
    )


def place_at(day: int = 20, *, keep: int = 1_000, revision: int = 0, of: str = "") -> HistoryPlace:
    """Return the place of daily nodes at a day, resting on a revision of some sources."""
    return HistoryPlace(DAY_MS, day * DAY_MS, keep, Pinned(revision, of))


def succeeded(
    node_id: str,
    value: bytes = b"1",
    digest: str | None = None,
    *,
    key: str = "",
    place: HistoryPlace | None = None,
) -> NodeCommit:
    """Return the commit of a node with a result."""
    record = NodeRecord(
        node_id=node_id,
        state=NodeState.SUCCEEDED,
        digest=digest or digest_of(value),
        size=len(value),
        started_ms=1_700_000_000_123,
        duration_ns=2**53 + 1,
    )
    return NodeCommit(record, value, key, place)


def failed(node_id: str, *, key: str = "", place: HistoryPlace | None = None) -> NodeCommit:
    """Return the commit of a node that raised."""
    record = NodeRecord(node_id=node_id, state=NodeState.FAILED, error=ERROR)
    return NodeCommit(record, None, key, place)


def attempted(node: NodeCommit, attempt: int) -> NodeCommit:
    """Return the same commit by a later attempt."""
    return replace(node, record=msgspec.structs.replace(node.record, attempt=attempt))


def waited_for(
    node_id: str, value: bytes = b"1", *, key: str = "", place: HistoryPlace | None = None
) -> NodeCommit:
    """Return the commit of a node whose result another execution computed meanwhile."""
    record = NodeRecord(node_id=node_id, state=NodeState.REUSED, digest=digest_of(value))
    return NodeCommit(record, value, key, place)


def reuse(
    node_id: str,
    execution_id: str,
    value: bytes = b"1",
    *,
    key: str = "",
    place: HistoryPlace | None = None,
) -> Reuse:
    """Return a node that takes its result from another execution."""
    record = NodeRecord(node_id=node_id, state=NodeState.REUSED, digest=digest_of(value))
    return Reuse(record, execution_id, key, place)


def started(ledger: Ledger, plan: Plan, **fields: Any) -> str:
    """Create an execution, start it with a plan, and return its id."""
    execution = new_execution(**fields)
    ledger.create(execution, {})
    assert ledger.start(execution.id, plan).status in {StartStatus.STARTED, StartStatus.ENDED}
    return execution.id


def claimed(ledger: Ledger, execution_id: str, stage: int = 0, shard: int = 0) -> int:
    """Claim a shard for long, and return the token."""
    claim = ledger.claim(execution_id, stage, shard, lease_s=LONG_S)
    assert claim.status is ClaimStatus.RUN
    return claim.token


def run_shard(
    ledger: Ledger, execution_id: str, stage: int, shard: int, *node_ids: str
) -> CommitStatus:
    """Claim a shard and commit a result of each of these nodes, which are all of it."""
    token = claimed(ledger, execution_id, stage, shard)
    nodes = [succeeded(node_id) for node_id in node_ids]
    return ledger.commit(execution_id, stage, shard, token, nodes, done=True)
