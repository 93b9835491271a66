"""What is read of the ledger in memory."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from qmtl.common.codec import digest
from qmtl.models.execution import (
    Event,
    Execution,
    ExecutionState,
    HistoryPoint,
    Line,
    NodeRecord,
    Plan,
    ShardRecord,
)
from qmtl.orchestrator.execution.event_cursors import checked_cursor
from qmtl.orchestrator.execution.ledger_types import Following, HistoryRequest, Landed, Outlook
from qmtl.orchestrator.execution.memory.costs import Costs
from qmtl.orchestrator.execution.memory.execution import LiveExecution
from qmtl.orchestrator.execution.memory.histories import Histories
from qmtl.orchestrator.execution.memory.lines import Lines
from qmtl.orchestrator.execution.memory.memo import Mark, Memo
from qmtl.orchestrator.execution.memory.remains import Remains
from qmtl.orchestrator.execution.pages import check_cursor, place
from qmtl.orchestrator.execution.refusals import unknown

MOST_READ = 100  # events at once
LOOK_S = 0.002  # between looks at an execution that is waited for


class MemoryReads:
    """The part of the ledger that changes nothing, and what is kept."""

    def __init__(self, clock: Callable[[], int], memo_ttl_ms: int, costs_ttl_ms: int) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._live: dict[str, LiveExecution] = {}
        self._histories = Histories()
        self._remains = Remains(self._live, self._histories)
        self._lines = Lines(self._live)
        self._memo = Memo(self._is_alive, memo_ttl_ms)
        self._costs = Costs(costs_ttl_ms)
        self._offers: dict[str, tuple[int, int]] = {}  # worker -> slots, and until when
        self._tallies: dict[str, Counter[str]] = defaultdict(Counter)

    def ping(self) -> None:
        return None

    def get(self, tenant: str, execution_id: str) -> Execution:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None or known.execution.tenant != tenant:
                raise unknown(execution_id)
            return known.execution

    def wait(self, tenant: str, execution_id: str, *, timeout_s: float) -> Execution:
        ends = time.monotonic() + timeout_s
        while True:
            found = self.get(tenant, execution_id)
            left_s = ends - time.monotonic()
            if found.state.ended or left_s <= 0:
                return found
            time.sleep(min(left_s, LOOK_S))

    def events(
        self, tenant: str, execution_id: str, *, after: str = "", timeout_s: float = 0.0
    ) -> tuple[Execution, list[Event]]:
        cursor = checked_cursor(after)
        ends = time.monotonic() + timeout_s
        while True:
            with self._lock:
                execution = self.get(tenant, execution_id)
                told = self._live[execution_id].events
                found = told.behind(cursor, self._clock(), MOST_READ)
            left_s = ends - time.monotonic()
            if found or execution.state.ended or left_s <= 0:
                return execution, found
            time.sleep(min(left_s, LOOK_S))

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

    def outlook(
        self, tenant: str, strategy: str, node_ids: Sequence[str], keys: Sequence[str]
    ) -> Outlook:
        with self._lock:
            now = self._clock()
            return Outlook(
                sources=[self._memo.source(tenant, key, now) if key else None for key in keys],
                cost_us=self._costs.known(tenant, strategy, node_ids, now),
                slots=sum(slots for slots, ends in self._offers.values() if ends > now),
            )

    def next_of_line(self, execution_id: str) -> Following | None:
        with self._lock:
            known = self._live.get(execution_id)
            found = None if known is None else self._lines.next_behind(known.execution)
            if found is None:
                return None
            waiting = self._live[found].execution
            return Following(waiting.tenant, waiting.id, waiting.priority)

    def turn(self, execution_id: str) -> int | None:
        with self._lock:
            known = self._live.get(execution_id)
            return 0 if known is None else self._lines.turn(known.execution)

    def landed(self, execution_id: str, *, skip: int, limit: int) -> Landed | None:
        with self._lock:
            known = self._live.get(execution_id)
            return None if known is None else self._lines.landed(known, skip=skip, limit=limit)

    def plan(self, execution_id: str) -> Plan | None:
        with self._lock:
            known = self._live.get(execution_id)
            return None if known is None else known.plan

    def outcome(
        self, tenant: str, execution_id: str, *, values: bool = False
    ) -> tuple[Execution, Plan | None, dict[str, NodeRecord], dict[str, bytes]]:
        with self._lock:
            execution = self.get(tenant, execution_id)
            records = self.records(execution_id)
            wanted = [(execution_id, id_, each.digest or "") for id_, each in records.items()]
            found = zip(records, self.values_of(wanted if values else []), strict=False)
            given = {node_id: value for node_id, value in found if value is not None}
            return execution, self.plan(execution_id), records, given

    def shards(self, execution_id: str) -> list[ShardRecord]:
        with self._lock:
            known = self._live.get(execution_id)
            return [] if known is None else known.shard_records(self._clock())

    def records(self, execution_id: str) -> dict[str, NodeRecord]:
        with self._lock:
            known = self._live.get(execution_id)
            return {} if known is None else dict(known.records)

    def cleared(
        self, execution_id: str, wanted: Sequence[tuple[int, str]]
    ) -> dict[tuple[int, str], NodeRecord]:
        with self._lock:
            known = self._live.get(execution_id)
            found = {} if known is None else known.cleared
            return {each: found[each] for each in wanted if each in found}

    def records_of(self, results: Sequence[tuple[str, str]]) -> list[NodeRecord | None]:
        with self._lock:
            return [
                known.records.get(node_id) if (known := self._live.get(execution_id)) else None
                for execution_id, node_id in results
            ]

    def values(self, execution_id: str, node_ids: Sequence[str]) -> dict[str, bytes]:
        with self._lock:
            values = self._remains.values(execution_id)
            return {id_: values[id_] for id_ in node_ids if id_ in values}

    def values_of(self, results: Sequence[tuple[str, str, str]]) -> list[bytes | None]:
        with self._lock:
            found = [self._remains.values(id_).get(node_id) for id_, node_id, _ in results]
        return [
            value if value is not None and digest(value) == recorded else None
            for value, (_, _, recorded) in zip(found, results, strict=True)
        ]

    def history(
        self, line: Line, node_id: str, *, interval_ms: int, count: int
    ) -> list[HistoryPoint]:
        return self.histories([(line, HistoryRequest(node_id, interval_ms, None, count))])[0]

    def histories(
        self, requests: Sequence[tuple[Line, HistoryRequest]]
    ) -> list[list[HistoryPoint]]:
        with self._lock:
            return [self._histories.latest(line, wanted) for line, wanted in requests]

    def asked(
        self, execution: Execution, *, from_ms: int | None = None, until_ms: int | None = None
    ) -> list[int]:
        with self._lock:
            return [
                at
                for at in self._lines.asked(execution)
                if (from_ms is None or at >= from_ms) and (until_ms is None or at <= until_ms)
            ]

    def origins(self, line: Line, node_ids: Sequence[str]) -> list[int | None]:
        with self._lock:
            return [self._histories.origin(line, node_id) for node_id in node_ids]

    def unrepaired(self, line: Line) -> list[Execution]:
        with self._lock:
            return self._lines.unrepaired(line)

    def replaced(
        self, line: Line, node_id: str, *, interval_ms: int, buckets_ms: Sequence[int]
    ) -> list[list[HistoryPoint]]:
        with self._lock:
            return [self._histories.replaced(line, node_id, interval_ms, at) for at in buckets_ms]

    def counts(self) -> dict[ExecutionState, int]:
        with self._lock:
            states = Counter(known.execution.state for known in self._live.values())
        return {s: states[s] for s in (ExecutionState.PENDING, ExecutionState.RUNNING)}

    def tallies(self, tenant: str) -> dict[str, int]:
        with self._lock:
            found = self._tallies.get(tenant, Counter())
            return {name: found[name] for name in ("computed", "reused", "waited")}

    def _is_alive(self, mark: Mark, at_ms: int) -> bool:
        known = self._live.get(mark.execution_id)
        owned = None if known is None else known.owned(mark.stage, mark.shard, mark.token)
        return owned is not None and owned.alive(at_ms)
