"""The ledger in Redis: each step is one Lua script, each read one or two round trips.

Keys, all behind the cell's prefix::

    exec:{id}               hash: the document that create kept, and what changed since
    exec:{id}:inputs        hash: variable -> inline points
    exec:{id}:plan          string: the plan
    exec:{id}:facts         hash: node id -> bucket and length of its history
    exec:{id}:shards        hash: stage:shard:field -> nodes, token, lease, claimed, claims, done
    exec:{id}:nodes         hash: node id -> record, once it is committed
    exec:{id}:values        hash: node id -> value, or the address of a large one
    val:{address}           string: a large value; it expires unless a commit names it
    hist:{line}:{node id}   zset: bucket -> point
    due                     zset: when to look at an execution that has not ended
    open                    hash: state -> how many executions have not ended
    execs:{tenant}[:{strategy}]   zset in lexical order: pages
    outbox                  stream: what was committed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import redis

from qmtl.common.errors import Unavailable, UnknownExecution
from qmtl.common.redis.connection import translated
from qmtl.common.redis.keys import Keys
from qmtl.models.execution import (
    ErrorRecord,
    Execution,
    ExecutionState,
    HistoryPoint,
    Line,
    NodeRecord,
    Plan,
)
from qmtl.orchestrator.execution.ledger import (
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Due,
    HistoryRequest,
    NodeCommit,
)
from qmtl.orchestrator.execution.pages import check_cursor, id_at, place
from qmtl.orchestrator.execution.planned import open_record
from qmtl.orchestrator.execution.redis import documents
from qmtl.orchestrator.execution.redis.scripts import Script
from qmtl.orchestrator.execution.redis.values import RedisValues


class RedisLedger:
    """Keeps executions in one cell of a Redis or Valkey server."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._key = keys
        self._values = RedisValues(client, keys)
        self._create = Script(client, "create")
        self._start = Script(client, "start")
        self._fail = Script(client, "fail")
        self._claim = Script(client, "claim")
        self._renew = Script(client, "renew")
        self._commit = Script(client, "commit")
        self._advance = Script(client, "advance")
        self._due = Script(client, "due")

    def _exec(self, execution_id: str, *parts: str) -> str:
        return self._key("exec", execution_id, *parts)

    @translated()
    def ping(self) -> None:
        self._client.ping()

    @translated()
    def create(self, execution: Execution, inputs: Mapping[str, bytes]) -> tuple[Execution, bool]:
        page = self._key("execs", execution.tenant)
        keys = [
            self._exec(execution.id),
            self._exec(execution.id, "inputs"),
            self._key("due"),
            self._key("open"),
            page,
            f"{page}:{execution.strategy}",
        ]
        arguments: list[str | bytes] = [
            execution.id,
            documents.encode(execution),
            execution.tenant,
            self._histories(execution.line),
            place(execution),
        ]
        for variable, points in inputs.items():
            arguments += (variable, points)
        found = self._create(keys, arguments)
        if not found:
            return execution, True
        return documents.execution_from(documents.pairs(found)), False

    @translated()
    def get(self, tenant: str, execution_id: str) -> Execution:
        fields = cast("dict[bytes, bytes]", self._client.hgetall(self._exec(execution_id)))
        if fields.get(b"tenant") != tenant.encode():
            raise UnknownExecution(f"There is no execution {execution_id!r}.")
        return documents.execution_from(fields)

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
            executions = [documents.execution_from(fields) for fields in pipe.execute()]
        return executions, places[limit - 1] if len(places) > limit else ""

    @translated()
    def inputs(self, execution_id: str) -> dict[str, bytes]:
        key = self._exec(execution_id, "inputs")
        fields = cast("dict[bytes, bytes]", self._client.hgetall(key))
        return {variable.decode(): points for variable, points in fields.items()}

    @translated()
    def start(self, execution_id: str, plan: Plan) -> bool:
        keys = [self._exec(execution_id)]
        keys += [self._exec(execution_id, part) for part in ("plan", "facts", "shards")]
        keys += [self._key("due"), self._key("open")]
        arguments: list[str | bytes | int] = [
            execution_id,
            documents.encode(plan),
            len(plan.stages),
            len(plan.nodes),
            *documents.plan_arguments(plan),
        ]
        return bool(self._start(keys, arguments))

    @translated()
    def fail(self, execution_id: str, error: ErrorRecord) -> bool:
        keys = [self._exec(execution_id), self._key("due"), self._key("open")]
        return bool(self._fail(keys, [execution_id, documents.encode(error)]))

    @translated()
    def plan(self, execution_id: str) -> Plan | None:
        document = cast("bytes | None", self._client.get(self._exec(execution_id, "plan")))
        return None if document is None else documents.plan_from(document)

    @translated()
    def claim(self, execution_id: str, stage: int, shard: int, *, lease_s: float) -> Claim:
        keys = [self._exec(execution_id)]
        keys += [self._exec(execution_id, part) for part in ("shards", "nodes")]
        keys += [self._key("due")]
        arguments: list[str | int] = [execution_id, stage, shard, _milliseconds(lease_s)]
        status, *rest = self._claim(keys, arguments)
        if not rest:
            return Claim(ClaimStatus(status.decode()))
        token, attempt, *node_ids = rest
        committed = frozenset(node_id.decode() for node_id in node_ids)
        return Claim(ClaimStatus.RUN, token=int(token), attempt=int(attempt), committed=committed)

    @translated()
    def renew(
        self, execution_id: str, stage: int, shard: int, token: int, *, lease_s: float
    ) -> bool:
        keys = [self._exec(execution_id), self._exec(execution_id, "shards")]
        return bool(self._renew(keys, [stage, shard, token, _milliseconds(lease_s)]))

    @translated()
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
        self._values.keep_large(documents.large_values(nodes))
        keys = [self._exec(execution_id)]
        keys += [self._exec(execution_id, part) for part in ("shards", "nodes", "values", "facts")]
        keys += [self._key("outbox"), self._key("due")]
        arguments: list[str | bytes | int] = [execution_id, stage, shard, token, int(done)]
        arguments += [self._key("val", ""), *documents.commit_arguments(nodes)]
        reply = self._commit(keys, arguments)
        if reply == b"UNPLANNED":
            raise ValueError(f"A node of this commit is not in the plan of {execution_id}.")
        if reply == b"MISSING":
            raise Unavailable("redis", "Redis lost a value before it was committed.")
        return CommitStatus(reply.decode())

    @translated()
    def advance(self, execution_id: str, stage: int) -> AdvanceStatus:
        keys = [self._exec(execution_id), self._exec(execution_id, "shards")]
        keys += [self._key("due"), self._key("open")]
        return AdvanceStatus(self._advance(keys, [execution_id, stage]).decode())

    @translated()
    def records(self, execution_id: str) -> dict[str, NodeRecord]:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self._exec(execution_id))
            pipe.hgetall(self._exec(execution_id, "shards"))
            pipe.hgetall(self._exec(execution_id, "nodes"))
            pipe.time()
            fields, shards, committed, (seconds, microseconds) = pipe.execute()
        if not shards:
            return {}
        execution = documents.execution_from(fields)
        now_ms = seconds * 1000 + microseconds // 1000
        found = {
            node_id: open_record(node_id, shard, execution.state, execution.attempt)
            for shard in documents.shards_from(shards, now_ms=now_ms)
            for node_id in shard.node_ids
        }
        for node_id, document in committed.items():
            found[node_id.decode()] = documents.record_from(document)
        return found

    @translated()
    def values(self, execution_id: str, node_ids: Sequence[str]) -> dict[str, bytes]:
        found = self._values.read([(execution_id, node_id) for node_id in node_ids])
        pairs = zip(node_ids, found, strict=True)
        return {node_id: value for node_id, value in pairs if value is not None}

    @translated()
    def values_of(self, results: Sequence[tuple[str, str]]) -> list[bytes | None]:
        return self._values.read(results)

    def history(self, line: Line, node_id: str, *, count: int) -> list[HistoryPoint]:
        return self.histories([(line, HistoryRequest(node_id, None, count))])[0]

    @translated()
    def histories(
        self, requests: Sequence[tuple[Line, HistoryRequest]]
    ) -> list[list[HistoryPoint]]:
        found: list[list[HistoryPoint]] = [[] for _ in requests]
        asked: list[int] = []
        with self._client.pipeline(transaction=False) as pipe:
            for at, (line, wanted) in enumerate(requests):
                histories = self._histories(line)
                if histories and wanted.count > 0:
                    until = "+inf" if wanted.until_ms is None else wanted.until_ms
                    key = histories + wanted.node_id
                    pipe.zrevrangebyscore(key, until, "-inf", start=0, num=wanted.count)
                    asked.append(at)
            for at, members in zip(asked, pipe.execute(), strict=True):
                found[at] = [documents.history_point(member) for member in members]
        return found

    def _histories(self, line: Line) -> str:
        """Return the prefix of a line's histories, empty for a line of an execution's own."""
        if line.own is not None:
            return ""
        return self._key("hist", line.tenant, line.strategy, line.environment or "", "")

    @translated()
    def due(self, *, limit: int, again_s: float, unclaimed_s: float) -> list[Due]:
        arguments: list[str | int] = [
            self._key("exec", ""),
            limit,
            _milliseconds(again_s),
            _milliseconds(unclaimed_s),
        ]
        return [
            Due(
                tenant=tenant.decode(),
                execution_id=execution_id.decode(),
                stage=int(stage),
                shards=tuple(int(shard) for shard in shards.split(b",") if shard),
            )
            for tenant, execution_id, stage, shards in self._due([self._key("due")], arguments)
        ]

    @translated()
    def counts(self) -> dict[ExecutionState, int]:
        states = [ExecutionState.PENDING, ExecutionState.RUNNING]
        found = self._client.hmget(self._key("open"), [state.value for state in states])
        counts = cast("list[bytes | None]", found)
        return {state: int(count or 0) for state, count in zip(states, counts, strict=True)}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
