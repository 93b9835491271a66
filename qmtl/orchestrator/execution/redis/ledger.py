"""The ledger in Redis: each step is one Lua script.

Keys, all behind the cell's prefix::

    exec:{id}               hash: the document that create kept, and what changed since
    exec:{id}:inputs        hash: variable -> inline points
    exec:{id}:plan          string: the plan without its nodes
    exec:{id}:shards        hash: stage:shard:field -> token, lease, claimed, claims, done, spent
    exec:{id}:nodes         hash: node id -> record, once it is committed
    exec:{id}:cleared       hash: attempt:node id -> record that a later attempt cleared, no logs
    exec:{id}:events        stream: what happened to it, for who watches; see events.lua
    exec:{id}:values        hash: node id -> value, or the address of a large one
    exec:{id}:large, exec:{id}:places, exec:{id}:remains   see uses.lua and retention.lua
    shape:{name}            string: the nodes of all plans that have this shape
    val:{address}           string: a large value
    uses                    hash: how many executions name a shape or a large value; see uses.lua
    ended, remains, replays:{tenant}   what is to be forgotten; see retention.lua
    hist:{line}:{interval}  zset: buckets; see history.lua for what stands behind it
    line:{line}, buckets:{line}, ran:{line}, unrepaired:{line}, turns   ordered executions of a
                            line; see lines.lua
    memo:{tenant}:{generation}   hash: call key -> execution that has the result; see memo.lua
    costs:{tenant}:{strategy}:{generation}   hash: node id -> microseconds; see costs.lua
    workers                 hash: worker -> how many shards it runs at once; see offers.lua
    tallies:{tenant}        hash: how many results were computed, reused, waited for
    due                     zset: when to look at an execution that has not ended
    let_go                  string: when the next one that is held back may be due; see due.lua
    open                    hash: state -> how many executions have not ended
    open:tenants            hash: tenant -> how many of its have not
    execs:{tenant}[:{strategy}]   zset in lexical order: pages
    outbox                  stream: what was committed

The client sends a script again where its connection fails, so a step may have been done although
its reply was lost. Steps that answer who did them carry a nonce, which is kept: to the one that it
belongs to the same answer is given again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import redis

from qmtl.common.errors import Unavailable
from qmtl.common.redis.connection import translated
from qmtl.common.redis.keys import Keys
from qmtl.common.timeline import MILLISECOND
from qmtl.models.execution import ErrorRecord, Execution, ExecutionState, Plan, Priority, Spent
from qmtl.orchestrator.execution.asked import asked_for
from qmtl.orchestrator.execution.ledger_types import (
    MOST_GIVEN_BACK,
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Due,
    Held,
    MostOpen,
    NodeCommit,
    Reuse,
    Started,
    StartStatus,
)
from qmtl.orchestrator.execution.pages import place
from qmtl.orchestrator.execution.redis import documents
from qmtl.orchestrator.execution.redis.reads import RedisReads
from qmtl.orchestrator.execution.redis.scripts import CellScript
from qmtl.orchestrator.execution.refusals import EXPIRED, overloaded, remains

MEMO_TTL_S = 7 * 86_400.0
COSTS_TTL_S = 30 * 86_400.0


class RedisLedger(RedisReads):
    """Keeps executions in one cell of a Redis or Valkey server.

    Args:
        client: Of that server.
        keys: Of the cell.
        memo_ttl_s: How long a result is known by its call key at least; up to half as long again.
        costs_ttl_s: How long a cost is known that nobody asks for at least; up to twice as long.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        *,
        memo_ttl_s: float = MEMO_TTL_S,
        costs_ttl_s: float = COSTS_TTL_S,
    ) -> None:
        super().__init__(client, keys, _milliseconds(memo_ttl_s), _milliseconds(costs_ttl_s))

        def script(name: str, *needs: str) -> CellScript:
            return CellScript(client, keys.prefix, name, *needs)

        nodes = ("events", "lines", "memo", "history", "uses", "nodes")
        self._create = script("create")
        self._offer = script("offer", "offers")
        self._start = script("start", *nodes, "shards")
        self._note_death = script("death")
        self._end = script("end", "events", "lines", "shards")
        self._reopen = script("reopen", "events", "outbox_keeps", "shards")
        self._settle = script("settle", "lines")
        self._claim = script("claim", "memo", "shards")
        self._give_back = script("give_back")
        self._hold = script("hold", "memo")
        self._renew = script("renew", "shards")
        self._commit = script("commit", *nodes)
        self._advance = script("advance", "events", "lines")
        self._due = script("due", "lines")
        self._learn = script("learn", "costs")
        self._forget = script("forget", "uses", "outbox_keeps", "retention")

    @translated()
    def create(
        self,
        execution: Execution,
        inputs: Mapping[str, bytes],
        *,
        most_open: MostOpen | None = None,
    ) -> tuple[Execution, bool]:
        line, lasts_s = execution.line, execution.expires_s
        bounds = most_open or MostOpen()
        ordered = execution.ordered and not execution.adhoc
        arguments: list[str | bytes] = [
            execution.id,
            _nonce(),
            documents.encode(execution),
            execution.tenant,
            self._line_histories(line),
            self._ordered_line(line) if ordered else "",
            str(execution.bucket_ns // MILLISECOND),
            "" if lasts_s is None else str(_milliseconds(lasts_s)),
            _text(bounds.in_all),
            _text(bounds.of_tenant),
            place(execution),
            execution.strategy,
            asked_for(execution.version, execution.targets) if ordered else "",
            "" if execution.repairs_ns is None else str(execution.repairs_ns // MILLISECOND),
            execution.priority,
            execution.replays or "",
        ]
        for variable, points in inputs.items():
            arguments += (variable, points)
        found = self._create.run(self._exec(execution.id), *arguments)
        if found == [b"NEW"]:
            self._created.keep((execution.tenant, execution.id), time.monotonic())
            return execution, True
        if found[0] in {b"OVERLOADED", b"TENANT"}:
            raise overloaded(execution.tenant, of_tenant=found == [b"TENANT"])
        if found == [b"REMAINS"]:
            raise remains()
        return documents.execution_from(documents.pairs(found)), False

    @translated()
    def learn(self, tenant: str, strategy: str, cost_us: Mapping[str, int]) -> None:
        if not cost_us:
            return
        noted = [each for pair in cost_us.items() for each in pair]
        self._learn.run(self._key("costs", tenant, strategy), self._costs_ttl_ms, *noted)

    @translated()
    def offer(self, worker: str, slots: int, *, lasts_s: float) -> None:
        self._offer.run(self._key("workers"), worker, slots, _milliseconds(lasts_s))

    @translated()
    def start(
        self,
        execution_id: str,
        plan: Plan,
        reused: Sequence[Reuse] = (),
        *,
        lease_s: float | None = None,
        keys: Sequence[str] = (),
        turn: int | None = None,
        attempt: int | None = None,
    ) -> Started:
        sources: dict[str, tuple[list[str], list[str]]] = {}
        for each in reused:
            ids, digests = sources.setdefault(each.execution_id, ([], []))
            ids.append(each.record.node_id)
            digests.append(each.record.digest or "")
        nonce, document = _nonce(), documents.without_nodes(plan)
        packed, rest = documents.reuse_arguments(execution_id, reused)
        after = (
            len(plan.nodes),
            "" if lease_s is None else _milliseconds(lease_s),
            documents.encode([len(stage) for stage in plan.stages]),
            documents.encode([(id_, *taken) for id_, taken in sources.items()]),
            packed,
            self._memo_ttl_ms,
            "" if turn is None else turn,
            _packed_keys(keys),
            _text(attempt),
            *rest,
        )

        def send(shape: bytes) -> list[Any]:
            key = self._exec(execution_id)
            reply: list[Any] = self._start.run(
                key, execution_id, nonce, document, plan.shape, shape, *after
            )
            return reply

        reply = send(b"" if self._shapes.get(plan.shape) else documents.encode(plan.nodes))
        if reply == [b"SHAPE"]:  # the server lost it
            reply = send(documents.encode(plan.nodes))
        status, *facts = reply
        if not facts:
            return Started(StartStatus(status.decode()))
        self._shapes.keep(plan.shape, plan.nodes)
        started_ms, token, *held = facts
        return Started(StartStatus(status.decode()), int(started_ms), int(token), _held(held))

    @translated()
    def note_death(self, execution_id: str, *, attempt: int) -> int:
        found: int = self._note_death.run(self._exec(execution_id), _nonce(), attempt)
        return found

    @translated()
    def fail(
        self,
        execution_id: str,
        error: ErrorRecord,
        *,
        attempt: int | None = None,
        begun: bool = True,
    ) -> bool:
        reason = documents.encode(error)
        only = "" if begun else "PENDING"
        return self._ended(execution_id, ExecutionState.FAILED, reason, _text(attempt), only)

    @translated()
    def expire(self, execution_id: str) -> bool:
        reason = documents.encode(EXPIRED)
        return self._ended(execution_id, ExecutionState.FAILED, reason, only="OVER")

    @translated()
    def cancel(self, execution_id: str) -> bool:
        return self._ended(execution_id, ExecutionState.CANCELLED)

    def _ended(
        self,
        execution_id: str,
        state: ExecutionState,
        error: bytes = b"",
        attempt: str = "",
        only: str = "",
    ) -> bool:
        key = self._exec(execution_id)
        return bool(self._end.run(key, execution_id, _nonce(), state.value, error, attempt, only))

    @translated()
    def settle(self, execution_id: str, *, heir: str | None = None) -> bool:
        return bool(self._settle.run(self._exec(execution_id), execution_id, heir or ""))

    @translated()
    def reopen(self, execution_id: str, *, attempt: int, clear: Sequence[str], fresh: bool) -> bool:
        cleared = documents.encode(list(dict.fromkeys(clear)))
        key = self._exec(execution_id)
        return bool(
            self._reopen.run(key, execution_id, _nonce(), attempt, "1" if fresh else "0", cleared)
        )

    @translated()
    def claim(
        self,
        execution_id: str,
        stage: int,
        shard: int,
        *,
        lease_s: float,
        keys: Sequence[str] = (),
        runtime: str = "",
        started_ms: int | None = None,
    ) -> Claim:
        status, *rest = self._claim.run(
            self._exec(execution_id),
            execution_id,
            _nonce(),
            stage,
            shard,
            _milliseconds(lease_s),
            _packed_keys(keys),
            self._memo_ttl_ms,
            runtime,
            _text(started_ms),
        )
        if not rest:
            return Claim(ClaimStatus(status.decode()))
        token, attempt, again, mixed, *held = rest
        return Claim(
            ClaimStatus.RUN,
            token=int(token),
            attempt=int(attempt),
            again=bool(again),
            held=_held(held),
            mixed=bool(mixed),
        )

    @translated()
    def give_back(self, execution_id: str, stage: int, shard: int, token: int) -> None:
        self._give_back.run(self._exec(execution_id), stage, shard, token, MOST_GIVEN_BACK)

    @translated()
    def hold(
        self, execution_id: str, stage: int, shard: int, token: int, keys: Sequence[str]
    ) -> Held:
        key = self._exec(execution_id)
        packed = _packed_keys(keys)
        found = self._hold.run(key, execution_id, stage, shard, token, packed, self._memo_ttl_ms)
        return _held(found)

    @translated()
    def renew(
        self, execution_id: str, stage: int, shard: int, token: int, *, lease_s: float
    ) -> bool:
        key = self._exec(execution_id)
        return bool(self._renew.run(key, stage, shard, token, _milliseconds(lease_s)))

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
        spent: Spent | None = None,
    ) -> CommitStatus:
        packed, rest, large = documents.commit_arguments(execution_id, nodes)
        self._values.keep_large(large)
        reply = self._commit.run(
            self._exec(execution_id),
            execution_id,
            stage,
            shard,
            token,
            int(done),
            b"" if spent is None else documents.encode(spent),
            packed,
            self._memo_ttl_ms,
            *rest,
        )
        if reply == b"MISSING":
            raise Unavailable("redis", "Redis lost a value before it was committed.")
        return CommitStatus(reply.decode())

    @translated()
    def advance(self, execution_id: str, stage: int) -> AdvanceStatus:
        reply = self._advance.run(self._exec(execution_id), execution_id, _nonce(), stage)
        return AdvanceStatus(reply.decode())

    @translated()
    def forget(self, *, retention_s: float, limit: int) -> int:
        found: int = self._forget.run(self._key("ended"), _milliseconds(retention_s), limit)
        return found

    @translated()
    def due(
        self, *, limit: int, again_s: float, unclaimed_s: float, hold_back: bool = False
    ) -> list[Due]:
        found = self._due.run(
            self._key("due"),
            limit,
            _milliseconds(again_s),
            _milliseconds(unclaimed_s),
            int(hold_back),
        )
        return [
            Due(
                tenant=tenant.decode(),
                execution_id=execution_id.decode(),
                stage=int(stage),
                shards=tuple(int(shard) for shard in shards.split(b",") if shard),
                expired=bool(expired),
                priority=Priority(priority.decode()),
            )
            for tenant, execution_id, stage, shards, expired, priority in found
        ]


def _nonce() -> str:
    return uuid.uuid4().hex


def _packed_keys(keys: Sequence[str]) -> bytes:
    return documents.encode([key for key in dict.fromkeys(keys) if key])


def _held(found: Sequence[Sequence[bytes]]) -> Held:
    known, elsewhere = found
    pairs = zip(known[::2], known[1::2], strict=True)
    return Held(
        known={key.decode(): documents.source_from(entry) for key, entry in pairs},
        elsewhere=frozenset(key.decode() for key in elsewhere),
    )


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
