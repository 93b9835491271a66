"""What is read of the ledger in Redis: each is one round trip, or two."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import redis

from qmtl.common.errors import Unavailable
from qmtl.common.recent import Recent
from qmtl.common.redis.connection import translated
from qmtl.common.redis.keys import Keys
from qmtl.models.execution import (
    Event,
    Execution,
    ExecutionState,
    HistoryPoint,
    Line,
    NodeRecord,
    Plan,
    PlannedNode,
    Priority,
    ShardRecord,
)
from qmtl.orchestrator.execution.asked import asked_for
from qmtl.orchestrator.execution.event_cursors import checked_cursor
from qmtl.orchestrator.execution.ledger_types import Following, HistoryRequest, Landed, Outlook
from qmtl.orchestrator.execution.pages import check_cursor, id_at
from qmtl.orchestrator.execution.redis import documents
from qmtl.orchestrator.execution.redis.scripts import CellScript
from qmtl.orchestrator.execution.redis.values import RedisValues, by_execution
from qmtl.orchestrator.execution.refusals import unknown

MOST_NODES = 20_000  # over all shapes that are kept; a node takes one or two kilobytes
MOST_READ = 100  # events at once; each may list some hundred nodes
BLOCK_S = 1.0  # longest wait inside the server
BELL_TELLS_S = 30.0  # after an execution was created; the bell of its end is there for twice that
MOST_CREATED = 1_000  # that are remembered for it
_NOTHING: Mapping[bytes, bytes] = MappingProxyType({})
TALLIES = ("computed", "reused", "waited")


class RedisReads:
    """The part of the ledger that changes nothing."""

    def __init__(
        self, client: redis.Redis, keys: Keys, memo_ttl_ms: int, costs_ttl_ms: int
    ) -> None:
        self._client = client
        self._key = keys
        self._memo_ttl_ms = memo_ttl_ms
        self._costs_ttl_ms = costs_ttl_ms
        self._values = RedisValues(client, keys)
        timeout_s = client.get_connection_kwargs().get("socket_timeout")
        self._block_s = min(BLOCK_S, timeout_s / 2) if timeout_s else BLOCK_S
        self._shapes: Recent[tuple[PlannedNode, ...]] = Recent(MOST_NODES, len)
        self._created: Recent[float] = Recent(MOST_CREATED, lambda _: 1)
        self._outlook = CellScript(client, keys.prefix, "outlook", "memo", "costs", "offers")
        self._histories = CellScript(client, keys.prefix, "histories")
        self._shard_facts = CellScript(client, keys.prefix, "shard_facts")
        self._next_of_line = CellScript(client, keys.prefix, "next_of_line", "lines")
        self._turn = CellScript(client, keys.prefix, "turn", "lines")
        self._landed = CellScript(client, keys.prefix, "landed", "lines")
        self._asked = CellScript(client, keys.prefix, "asked")

    def _exec(self, execution_id: str, *parts: str) -> str:
        return self._key("exec", execution_id, *parts)

    @translated()
    def ping(self) -> None:
        self._client.ping()

    @translated()
    def get(self, tenant: str, execution_id: str) -> Execution:
        return self._execution(tenant, execution_id, self._fields(execution_id))

    def _fields(self, execution_id: str) -> dict[bytes, bytes]:
        return cast("dict[bytes, bytes]", self._client.hgetall(self._exec(execution_id)))

    def _execution(
        self, tenant: str, execution_id: str, fields: Mapping[bytes, bytes]
    ) -> Execution:
        if fields.get(b"tenant") != tenant.encode():
            raise unknown(execution_id)
        return documents.execution_from(fields)

    @translated()
    def wait(self, tenant: str, execution_id: str, *, timeout_s: float) -> Execution:
        ends = time.monotonic() + timeout_s
        # Of one that was just created here the bell tells all: the state need not be read before.
        created = self._created.get((tenant, execution_id))
        fresh = created is not None and time.monotonic() - created < BELL_TELLS_S
        left_s = timeout_s if fresh else 0.0
        while True:
            found = self._rung(execution_id, left_s) if left_s > 0 else self._fields(execution_id)
            execution = self._execution(tenant, execution_id, found)
            left_s = ends - time.monotonic()
            if execution.state.ended or left_s <= 0:
                return execution

    def _rung(self, execution_id: str, left_s: float) -> dict[bytes, bytes]:
        """Read an execution once its bell rings, or when a part of the time is up: one round trip.

        The waits inside the server are short: a reply that took longer would look like a dead one.
        The bell is moved onto itself, so that it rings for all who wait.
        """
        bell = self._exec(execution_id, "bell")
        wait_s: Any = max(0.001, min(left_s, self._block_s))  # declared as a whole number
        with self._client.pipeline(transaction=False) as pipe:
            pipe.blmove(bell, bell, wait_s)
            pipe.hgetall(self._exec(execution_id))
            _, fields = pipe.execute()
        return cast("dict[bytes, bytes]", fields)

    @translated()
    def events(
        self, tenant: str, execution_id: str, *, after: str = "", timeout_s: float = 0.0
    ) -> tuple[Execution, list[Event]]:
        cursor = checked_cursor(after)
        ends = time.monotonic() + timeout_s
        wait_s = 0.0  # at first: what is there already may be all that there will be
        while True:
            execution, found = self._told(tenant, execution_id, cursor, wait_s)
            wait_s = ends - time.monotonic()
            if found or execution.state.ended or wait_s <= 0:
                return execution, found

    def _told(
        self, tenant: str, execution_id: str, cursor: str, wait_s: float
    ) -> tuple[Execution, list[Event]]:
        """Read an execution, and then the events behind a cursor, once there are any or a part of
        the time is up: one round trip.

        In this order: one that had ended before has told of it.
        """
        key = self._exec(execution_id)
        block = max(1, round(min(wait_s, self._block_s) * 1000)) if wait_s > 0 else None
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(key)
            pipe.xread({f"{key}:events": cursor}, count=MOST_READ, block=block)
            fields, streams = pipe.execute()
        execution = self._execution(tenant, execution_id, fields)
        found = streams[0][1] if streams else []
        return execution, [documents.event_from(each, told) for each, told in found]

    @translated()
    def page(
        self, tenant: str, *, strategy: str | None, before: str, limit: int
    ) -> tuple[list[Execution], str]:
        check_cursor(before)
        parts = ("execs", tenant) if strategy is None else ("execs", tenant, strategy)
        first = f"({before}" if before else "+"
        found = self._client.zrevrangebylex(self._key(*parts), first, "-", 0, limit + 1)
        places = [each.decode() for each in cast("list[bytes]", found)]
        with self._client.pipeline(transaction=False) as pipe:
            for each in places[:limit]:
                pipe.hgetall(self._exec(id_at(each)))
            stored = pipe.execute()
        executions = [documents.execution_from(fields) for fields in stored if fields]
        gone = [each for each, fields in zip(places, stored, strict=False) if not fields]
        if gone:
            self._client.zrem(self._key(*parts), *gone)
        return executions, places[limit - 1] if len(places) > limit else ""

    @translated()
    def inputs(self, execution_id: str) -> dict[str, bytes]:
        key = self._exec(execution_id, "inputs")
        fields = cast("dict[bytes, bytes]", self._client.hgetall(key))
        return {variable.decode(): points for variable, points in fields.items()}

    @translated()
    def outlook(
        self, tenant: str, strategy: str, node_ids: Sequence[str], keys: Sequence[str]
    ) -> Outlook:
        asked = [key for key in keys if key]
        known, costs, slots = self._outlook.run(
            self._key("costs", tenant, strategy),
            tenant,
            documents.encode(asked),
            documents.encode(node_ids),
            self._memo_ttl_ms,
            self._costs_ttl_ms,
        )
        found = iter(known)
        sources = [next(found) if key else None for key in keys]
        return Outlook(
            sources=[None if s is None else documents.source_from(s) for s in sources],
            cost_us=[None if cost is None else int(cost) for cost in costs],
            slots=int(slots),
        )

    @translated()
    def plan(self, execution_id: str) -> Plan | None:
        document = cast("bytes | None", self._client.get(self._exec(execution_id, "plan")))
        return None if document is None else self._with_nodes(documents.plan_from(document))

    @translated()
    def outcome(
        self, tenant: str, execution_id: str, *, values: bool = False
    ) -> tuple[Execution, Plan | None, dict[str, NodeRecord], dict[str, bytes]]:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._exec(execution_id))
            pipe.get(self._exec(execution_id, "plan"))
            pipe.hgetall(self._exec(execution_id, "nodes"))
            if values:
                pipe.hgetall(self._exec(execution_id, "values"))
            fields, document, found, *tagged = pipe.execute()
        execution = self._execution(tenant, execution_id, fields)
        plan = None if document is None else self._with_nodes(documents.plan_from(document))
        records = _records(found)
        return execution, plan, records, self._recorded(records, *tagged)

    def _recorded(
        self, records: Mapping[str, NodeRecord], tagged: Mapping[bytes, bytes] = _NOTHING
    ) -> dict[str, bytes]:
        """Return of the fields that hold values those that the records tell of."""
        if not tagged:
            return {}
        fields = [(tagged.get(id_.encode()), each.digest or "") for id_, each in records.items()]
        pairs = zip(records, self._values.as_recorded(fields), strict=True)
        return {node_id: value for node_id, value in pairs if value is not None}

    def _with_nodes(self, plan: Plan) -> Plan:
        nodes = self._shapes.get(plan.shape)
        if nodes is None:
            shape = cast("bytes | None", self._client.get(self._key("shape", plan.shape)))
            if shape is None:
                raise Unavailable("redis", "Redis lost the nodes of a plan.")
            nodes = documents.shape_from(shape)
            self._shapes.keep(plan.shape, nodes)
        return documents.with_nodes(plan, nodes)

    @translated()
    def shards(self, execution_id: str) -> list[ShardRecord]:
        now_ms, *flat = self._shard_facts.run(self._exec(execution_id, "shards"))
        return documents.shards_from(documents.pairs(flat), now_ms=int(now_ms))

    @translated()
    def records(self, execution_id: str) -> dict[str, NodeRecord]:
        key = self._exec(execution_id, "nodes")
        return _records(cast("dict[bytes, bytes]", self._client.hgetall(key)))

    @translated()
    def cleared(
        self, execution_id: str, wanted: Sequence[tuple[int, str]]
    ) -> dict[tuple[int, str], NodeRecord]:
        if not wanted:
            return {}
        fields = [f"{attempt}:{node_id}" for attempt, node_id in wanted]
        key = self._exec(execution_id, "cleared")
        found = cast("list[bytes | None]", self._client.hmget(key, fields))
        pairs = zip(wanted, found, strict=True)
        return {each: documents.record_from(record) for each, record in pairs if record is not None}

    @translated()
    def records_of(self, results: Sequence[tuple[str, str]]) -> list[NodeRecord | None]:
        found = by_execution(self._client, self._key, "nodes", results)
        records = {result: documents.record_from(each) for result, each in found.items()}
        return [records.get(result) for result in results]

    @translated()
    def values(self, execution_id: str, node_ids: Sequence[str]) -> dict[str, bytes]:
        found = self._values.read([(execution_id, node_id) for node_id in node_ids])
        pairs = zip(node_ids, found, strict=True)
        return {node_id: value for node_id, value in pairs if value is not None}

    @translated()
    def values_of(self, results: Sequence[tuple[str, str, str]]) -> list[bytes | None]:
        return self._values.read_as_recorded(results)

    def history(
        self, line: Line, node_id: str, *, interval_ms: int, count: int
    ) -> list[HistoryPoint]:
        return self.histories([(line, HistoryRequest(node_id, interval_ms, None, count))])[0]

    @translated()
    def histories(
        self, requests: Sequence[tuple[Line, HistoryRequest]]
    ) -> list[list[HistoryPoint]]:
        found: list[list[HistoryPoint]] = [[] for _ in requests]
        groups: dict[tuple[str, str], list[int]] = {}
        for at, (line, wanted) in enumerate(requests):
            prefix = self._line_histories(line)
            if prefix and wanted.count > 0:
                until = "+inf" if wanted.until_ms is None else str(wanted.until_ms)
                groups.setdefault((f"{prefix}{wanted.interval_ms}", until), []).append(at)
        if not groups:
            return found
        packed = [
            (key, until, [requests[i][1].node_id for i in at], [requests[i][1].count for i in at])
            for (key, until), at in groups.items()
        ]
        replies = self._histories.run(self._key("hist"), documents.encode(packed))
        order = [i for at in groups.values() for i in at]
        for i, points in zip(order, replies, strict=True):
            found[i] = documents.history_points(points)
        return found

    def _line_histories(self, line: Line) -> str:
        """Return the prefix of a line's histories, empty for a line of an execution's own."""
        if line.own is not None:
            return ""
        return self._key("hist", line.tenant, line.strategy, line.environment or "", "")

    @translated()
    def next_of_line(self, execution_id: str) -> Following | None:
        found = self._next_of_line.run(self._exec(execution_id))
        if not found:
            return None
        tenant, id_, priority = (each.decode() for each in found)
        return Following(tenant, id_, Priority(priority))

    @translated()
    def turn(self, execution_id: str) -> int | None:
        found: int = self._turn.run(self._exec(execution_id), execution_id)
        return None if found < 0 else found

    @translated()
    def landed(self, execution_id: str, *, skip: int, limit: int) -> Landed | None:
        found = self._landed.run(self._exec(execution_id), execution_id, skip, limit)
        if not found:
            return None
        changed, ran, heir = found
        return Landed(
            changed_ms=int(changed),
            ran=tuple(id_.decode() for id_ in ran),
            heir=heir.decode() or None,
        )

    @translated()
    def asked(
        self, execution: Execution, *, from_ms: int | None = None, until_ms: int | None = None
    ) -> list[int]:
        if not execution.ordered or execution.adhoc:
            return []
        found = self._asked.run(
            self._key("buckets", self._ordered_line(execution.line)),
            "-inf" if from_ms is None else str(from_ms),
            "+inf" if until_ms is None else str(until_ms),
            *{asked_for(execution.version, targets) for targets in ((), execution.targets)},
        )
        return [int(bucket) for bucket in found]

    @translated()
    def origins(self, line: Line, node_ids: Sequence[str]) -> list[int | None]:
        prefix = self._line_histories(line)
        if not prefix or not node_ids:
            return [None] * len(node_ids)
        found = self._client.hmget(f"{prefix}origins", list(node_ids))
        return [documents.optional_int(each) for each in cast("list[bytes | None]", found)]

    @translated()
    def replaced(
        self, line: Line, node_id: str, *, interval_ms: int, buckets_ms: Sequence[int]
    ) -> list[list[HistoryPoint]]:
        prefix = self._line_histories(line)
        if not prefix:
            return [[] for _ in buckets_ms]
        with self._client.pipeline(transaction=False) as pipe:
            for bucket in buckets_ms:
                pipe.lrange(f"{prefix}{interval_ms}:{bucket}:was", 0, -1)
            found = pipe.execute()
        return [
            documents.replaced_points(node_id, bucket, points)
            for bucket, points in zip(buckets_ms, found, strict=True)
        ]

    @translated()
    def unrepaired(self, line: Line) -> list[Execution]:
        key = self._key("unrepaired", self._ordered_line(line))
        ids = cast("list[bytes]", self._client.zrange(key, 0, -1))
        if not ids:
            return []
        with self._client.pipeline(transaction=False) as pipe:
            for each in ids:
                pipe.hgetall(self._exec(each.decode()))
            return [documents.execution_from(fields) for fields in pipe.execute() if fields]

    def _ordered_line(self, line: Line) -> str:
        return ":".join((line.tenant, line.strategy, line.environment or ""))

    @translated()
    def counts(self) -> dict[ExecutionState, int]:
        states = [ExecutionState.PENDING, ExecutionState.RUNNING]
        found = self._client.hmget(self._key("open"), [state.value for state in states])
        counts = cast("list[bytes | None]", found)
        return {state: int(count or 0) for state, count in zip(states, counts, strict=True)}

    @translated()
    def tallies(self, tenant: str) -> dict[str, int]:
        found = self._client.hmget(self._key("tallies", tenant), list(TALLIES))
        counts = cast("list[bytes | None]", found)
        return {name: int(count or 0) for name, count in zip(TALLIES, counts, strict=True)}


def _records(found: Mapping[bytes, bytes]) -> dict[str, NodeRecord]:
    return {node_id.decode(): documents.record_from(record) for node_id, record in found.items()}
