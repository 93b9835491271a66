"""The ledger in memory: for local runs and tests, with the promises of the one in Redis."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from qmtl.common.clock import now_ms
from qmtl.common.errors import UnknownExecution
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
from qmtl.orchestrator.execution.memory.commits import CommitQueue
from qmtl.orchestrator.execution.memory.execution import LiveExecution
from qmtl.orchestrator.execution.pages import check_cursor, place
from qmtl.orchestrator.execution.planned import Pinned, bucket_ms, history_length


class _Kept(NamedTuple):
    """A point and what its execution had pinned."""

    point: HistoryPoint
    pinned: Pinned


class MemoryLedger:
    """Keeps executions in this process; ``clock`` gives milliseconds."""

    def __init__(self, clock: Callable[[], int] = now_ms) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._live: dict[str, LiveExecution] = {}
        self._histories: dict[tuple[Line, str], dict[int, _Kept]] = defaultdict(dict)
        self.commits = CommitQueue(clock)

    def ping(self) -> None:
        return None

    def create(self, execution: Execution, inputs: Mapping[str, bytes]) -> tuple[Execution, bool]:
        with self._lock:
            known = self._live.get(execution.id)
            if known is not None:
                return known.execution, False
            now = self._clock()
            self._live[execution.id] = LiveExecution(execution, dict(inputs), now, look_ms=now)
            return execution, True

    def get(self, tenant: str, execution_id: str) -> Execution:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None or known.execution.tenant != tenant:
                raise UnknownExecution(f"There is no execution {execution_id!r}.")
            return known.execution

    def page(
        self, tenant: str, *, strategy: str | None, before: str, limit: int
    ) -> tuple[list[Execution], str]:
        check_cursor(before)
        with self._lock:
            mine = [e.execution for e in self._live.values() if e.execution.tenant == tenant]
        found = sorted(
            (e for e in mine if strategy is None or e.strategy == strategy),
            key=place,
            reverse=True,
        )
        rest = [e for e in found if not before or place(e) < before]
        return rest[:limit], place(rest[limit - 1]) if len(rest) > limit else ""

    def inputs(self, execution_id: str) -> dict[str, bytes]:
        with self._lock:
            known = self._live.get(execution_id)
            return {} if known is None else dict(known.inputs)

    def start(self, execution_id: str, plan: Plan) -> bool:
        with self._lock:
            known = self._live.get(execution_id)
            return known is not None and known.start(plan, self._clock())

    def fail(self, execution_id: str, error: ErrorRecord) -> bool:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None or known.execution.state.ended:
                return False
            known.end(ExecutionState.FAILED, self._clock(), error)
            return True

    def plan(self, execution_id: str) -> Plan | None:
        with self._lock:
            known = self._live.get(execution_id)
            return None if known is None else known.plan

    def claim(self, execution_id: str, stage: int, shard: int, *, lease_s: float) -> Claim:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None:
                return Claim(ClaimStatus.GONE)
            return known.claim(stage, shard, self._clock(), _milliseconds(lease_s))

    def renew(
        self, execution_id: str, stage: int, shard: int, token: int, *, lease_s: float
    ) -> bool:
        with self._lock:
            known = self._live.get(execution_id)
            owned = None if known is None else known.owned(stage, shard, token)
            if owned is None:
                return False
            owned.lease_ends_ms = self._clock() + _milliseconds(lease_s)
            return True

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
        with self._lock:
            known = self._live.get(execution_id)
            owned = None if known is None else known.owned(stage, shard, token)
            if known is None or owned is None:
                return CommitStatus.REFUSED
            if any(node.record.node_id not in known.nodes for node in nodes):
                raise ValueError(f"A node of this commit is not in the plan of {execution_id}.")
            new = known.write(nodes)
            for record in new:
                self._remember(known, record)
            if new:
                owned.claims = 0
                ids = tuple(record.node_id for record in new)
                self.commits.append(known.execution.tenant, execution_id, ids)
            if done:
                known.finish(owned, self._clock())
            return CommitStatus.ACCEPTED

    def _remember(self, known: LiveExecution, record: NodeRecord) -> None:
        """Write the history of a node that has a result."""
        node = known.nodes[record.node_id]
        keep = history_length(node)
        if known.execution.adhoc or not record.state.has_result or not record.digest or keep < 1:
            return
        points = self._histories[known.execution.line, record.node_id]
        bucket = bucket_ms(node)
        pinned = known.pinned[record.node_id]
        if bucket in points and points[bucket].pinned.outdates(pinned):
            return
        point = HistoryPoint(
            bucket_ms=bucket, execution_id=known.execution.id, digest=record.digest
        )
        points[bucket] = _Kept(point, pinned)
        for oldest in sorted(points)[:-keep]:
            del points[oldest]

    def advance(self, execution_id: str, stage: int) -> AdvanceStatus:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None:
                return AdvanceStatus.STALE
            return known.advance(stage, self._clock())

    def records(self, execution_id: str) -> dict[str, NodeRecord]:
        with self._lock:
            known = self._live.get(execution_id)
            return {} if known is None else known.all_records(self._clock())

    def values(self, execution_id: str, node_ids: Sequence[str]) -> dict[str, bytes]:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None:
                return {}
            return {id_: known.values[id_] for id_ in node_ids if id_ in known.values}

    def values_of(self, results: Sequence[tuple[str, str]]) -> list[bytes | None]:
        with self._lock:
            return [
                known.values.get(node_id) if (known := self._live.get(execution_id)) else None
                for execution_id, node_id in results
            ]

    def history(self, line: Line, node_id: str, *, count: int) -> list[HistoryPoint]:
        return self.histories([(line, HistoryRequest(node_id, None, count))])[0]

    def histories(
        self, requests: Sequence[tuple[Line, HistoryRequest]]
    ) -> list[list[HistoryPoint]]:
        with self._lock:
            return [self._latest(line, wanted) for line, wanted in requests]

    def _latest(self, line: Line, wanted: HistoryRequest) -> list[HistoryPoint]:
        points = self._histories.get((line, wanted.node_id), {})
        buckets = sorted(
            (b for b in points if wanted.until_ms is None or b <= wanted.until_ms), reverse=True
        )
        return [points[bucket].point for bucket in buckets[: max(wanted.count, 0)]]

    def due(self, *, limit: int, again_s: float, unclaimed_s: float) -> list[Due]:
        with self._lock:
            now = self._clock()
            found: list[Due] = []
            for known in sorted(self._live.values(), key=lambda k: k.look_ms or 0):
                if known.look_ms is None or known.look_ms > now or len(found) >= limit:
                    continue
                seen = known.look(now, _milliseconds(unclaimed_s))
                if isinstance(seen, Due):
                    found.append(seen)
                    known.put_away(now, _milliseconds(again_s))
                else:
                    known.look_ms = seen
            return found

    def counts(self) -> dict[ExecutionState, int]:
        with self._lock:
            states = Counter(known.execution.state for known in self._live.values())
        return {s: states[s] for s in (ExecutionState.PENDING, ExecutionState.RUNNING)}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
