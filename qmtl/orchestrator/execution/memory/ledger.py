"""The ledger in memory: for local runs and tests, with the promises of the one in Redis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from qmtl.common.clock import now_ms
from qmtl.common.timeline import MILLISECOND
from qmtl.models.execution import (
    ErrorRecord,
    Execution,
    ExecutionState,
    NodeState,
    Plan,
    Spent,
)
from qmtl.orchestrator.execution.ledger_types import (
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Due,
    Held,
    HistoryPlace,
    MostOpen,
    NodeCommit,
    Reuse,
    Source,
    Started,
    StartStatus,
)
from qmtl.orchestrator.execution.memory.commits import CommitQueue
from qmtl.orchestrator.execution.memory.execution import LiveExecution
from qmtl.orchestrator.execution.memory.lines import stands_in
from qmtl.orchestrator.execution.memory.memo import Mark
from qmtl.orchestrator.execution.memory.reads import MemoryReads
from qmtl.orchestrator.execution.pages import place
from qmtl.orchestrator.execution.refusals import EXPIRED, overloaded, remains

MEMO_TTL_S = 7 * 86_400.0
COSTS_TTL_S = 30 * 86_400.0
MOST_HELD_MS = 600_000  # before one that is held back may be let go, and between two of them
ONE_IN = 40  # executions that go may be one that is let go
LOOKS = 4  # at what is left of an execution, in the time for which executions are kept
MOST_LOOKS = 10  # for each execution that may be forgotten
_COMPUTED = {NodeState.SUCCEEDED, NodeState.FAILED, NodeState.TIMED_OUT}


class MemoryLedger(MemoryReads):
    """Keeps executions in this process; ``clock`` gives milliseconds."""

    def __init__(
        self,
        clock: Callable[[], int] = now_ms,
        *,
        memo_ttl_s: float = MEMO_TTL_S,
        costs_ttl_s: float = COSTS_TTL_S,
    ) -> None:
        super().__init__(clock, _milliseconds(memo_ttl_s), _milliseconds(costs_ttl_s))
        self.commits = CommitQueue(clock)
        self._let_go_ms = 0  # when the next one that is held back may be due

    def create(
        self,
        execution: Execution,
        inputs: Mapping[str, bytes],
        *,
        most_open: MostOpen | None = None,
    ) -> tuple[Execution, bool]:
        with self._lock:
            known = self._live.get(execution.id)
            if known is not None:
                return known.execution, False
            self._check_bounds(execution.tenant, most_open or MostOpen())
            if self._remains.refuses(execution):
                raise remains()
            now = self._clock()
            new = LiveExecution(execution, dict(inputs), now, look_ms=now)
            self._live[execution.id] = new
            self._remains.take_up(new)
            if stands_in(execution) and execution.repairs_ns is not None:
                new.note_change(execution.repairs_ns // MILLISECOND)
                new.repairs = True
            original = self._live.get(execution.replays or "")
            if original is not None:
                new.base = original.base or place(original.execution)
                if original.rests_ms is not None:
                    original.rests_ms = now
            self._lines.join(execution)
            return execution, True

    def _check_bounds(self, tenant: str, most_open: MostOpen) -> None:
        if most_open == MostOpen():
            return
        tenants = [e.execution.tenant for e in self._live.values() if not e.state.ended]
        if most_open.of_tenant is not None and tenants.count(tenant) >= most_open.of_tenant:
            raise overloaded(tenant, of_tenant=True)
        if most_open.in_all is not None and len(tenants) >= most_open.in_all:
            raise overloaded(tenant, of_tenant=False)

    def learn(self, tenant: str, strategy: str, cost_us: Mapping[str, int]) -> None:
        with self._lock:
            self._costs.note(tenant, strategy, cost_us, self._clock())

    def offer(self, worker: str, slots: int, *, lasts_s: float) -> None:
        with self._lock:
            self._offers[worker] = (slots, self._clock() + _milliseconds(lasts_s))

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
        with self._lock:
            known = self._live.get(execution_id)
            if known is None or not known.is_pending(attempt):
                return Started(StartStatus.STALE)
            over = known.expires_ms <= self._clock()
            if over or not self._lines.may_start(known.execution, turn):
                return Started(StartStatus.OVER if over else StartStatus.WAIT)
            nodes = [
                self._taken(each) for each in reused if each.record.node_id not in known.records
            ]
            if any(node.value is None for node in nodes):
                return Started(StartStatus.LOST)
            now = self._clock()
            self._lines.note_start(known.execution)
            known.start(plan, self._write(known, nodes, "reused", None), now)
            if not known.running:
                self._lines.end(known, self._clock())
                return Started(StartStatus.ENDED, now)
            self._lines.run(known.execution)
            if lease_s is None or len(plan.stages[0]) > 1:
                return Started(StartStatus.STARTED, now)
            claim = self.claim(execution_id, 0, 0, lease_s=lease_s, keys=keys)
            return Started(StartStatus.STARTED, now, claim.token, claim.held)

    def _taken(self, reuse: Reuse) -> NodeCommit:
        """Return a node with the value that another execution has of it, if it is the recorded."""
        source = self._live.get(reuse.execution_id)
        value = None if source is None else source.value_as_recorded(reuse.record)
        return NodeCommit(reuse.record, value, reuse.key, reuse.place)

    def note_death(self, execution_id: str, *, attempt: int) -> int:
        with self._lock:
            known = self._live.get(execution_id)
            return 0 if known is None else known.note_death(attempt)

    def fail(
        self,
        execution_id: str,
        error: ErrorRecord,
        *,
        attempt: int | None = None,
        begun: bool = True,
    ) -> bool:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None or attempt not in (None, known.execution.attempt):
                return False
            if not begun and not known.is_pending(attempt):
                return False
            return self._end(execution_id, ExecutionState.FAILED, error)

    def expire(self, execution_id: str) -> bool:
        return self._end(execution_id, ExecutionState.FAILED, EXPIRED, if_over=True)

    def cancel(self, execution_id: str) -> bool:
        return self._end(execution_id, ExecutionState.CANCELLED, None)

    def _end(
        self,
        execution_id: str,
        state: ExecutionState,
        error: ErrorRecord | None,
        *,
        if_over: bool = False,
    ) -> bool:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None or known.state.ended:
                return False
            if if_over and known.expires_ms > self._clock():
                return False
            known.end(state, self._clock(), error)
            self._lines.end(known, self._clock())
            return True

    def settle(self, execution_id: str, *, heir: str | None = None) -> bool:
        with self._lock:
            known = self._live.get(execution_id)
            return known is None or self._lines.settle(known, heir, self._clock())

    def reopen(self, execution_id: str, *, attempt: int, clear: Sequence[str], fresh: bool) -> bool:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None or not known.state.ended or known.execution.attempt != attempt:
                return False
            told = not self.commits.tells_of(execution_id)
            known.reopen(clear, fresh, self._clock(), told=told)
            self._lines.join(known.execution)
            return True

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
        with self._lock:
            known = self._live.get(execution_id)
            if known is None or started_ms not in (None, known.execution.started_ms):
                return Claim(ClaimStatus.GONE)
            claim = known.claim(stage, shard, self._clock(), _milliseconds(lease_s), runtime)
            if claim.status is not ClaimStatus.RUN or claim.mixed or not keys:
                return claim
            return replace(claim, held=self.hold(execution_id, stage, shard, claim.token, keys))

    def give_back(self, execution_id: str, stage: int, shard: int, token: int) -> None:
        with self._lock:
            known = self._live.get(execution_id)
            if known is not None:
                known.give_back(stage, shard, token)

    def hold(
        self, execution_id: str, stage: int, shard: int, token: int, keys: Sequence[str]
    ) -> Held:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None:
                return Held()
            owned = known.owned(stage, shard, token)
            mark = None if owned is None else Mark(execution_id, stage, shard, token)
            return self._memo.hold(known.execution.tenant, mark, keys, self._clock())

    def renew(
        self, execution_id: str, stage: int, shard: int, token: int, *, lease_s: float
    ) -> bool:
        with self._lock:
            now = self._clock()
            known = self._live.get(execution_id)
            owned = None if known is None else known.owned(stage, shard, token)
            if known is None or owned is None or known.expires_ms <= now:
                return False
            owned.lease_ends_ms = now + _milliseconds(lease_s)
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
        spent: Spent | None = None,
    ) -> CommitStatus:
        with self._lock:
            known = self._live.get(execution_id)
            owned = None if known is None else known.owned(stage, shard, token)
            if known is not None and done and known.ended_by == (stage, shard, token):
                return CommitStatus.ENDED  # by this commit, which is repeated
            if known is None or owned is None:
                return CommitStatus.REFUSED
            new = self._write(known, nodes, "waited", Mark(execution_id, stage, shard, token))
            if new:
                owned.claims = 0
                known.events.tell_nodes(new, known.execution, self._clock())
            if spent is not None and owned.done_ms is None:
                owned.spent = spent
            if not done:
                return CommitStatus.ACCEPTED
            status = known.finish(stage, owned, self._clock())
            if status is CommitStatus.ENDED:
                known.ended_by = (stage, shard, token)
                self._lines.end(known, self._clock())
            return status

    def _write(
        self,
        known: LiveExecution,
        nodes: Sequence[NodeCommit],
        reused_as: str,
        mark: Mark | None,
    ) -> list[NodeCommit]:
        """Write what is new, with keys, points, counts and outbox; return it."""
        new = known.write(nodes)
        if not new:
            return new
        execution, now = known.execution, self._clock()
        points: dict[HistoryPlace, list[tuple[str, str | None]]] = defaultdict(list)
        tally = self._tallies[execution.tenant]
        for node in new:
            record = node.record
            tally["computed"] += record.state in _COMPUTED
            tally[reused_as] += record.state is NodeState.REUSED
            if record.state.has_result and node.key:
                source = Source(execution.id, record.attempt)
                self._memo.note(execution.tenant, node.key, source, now)
            elif node.key and mark is not None:
                self._memo.free(execution.tenant, node.key, mark)
            if node.place and not execution.adhoc:
                digest = record.digest if record.state.has_result else None
                known.places.add((node.place.interval_ms, node.place.bucket_ms))
                points[node.place].append((record.node_id, digest))
        ordered = stands_in(execution)
        for at, found in points.items():
            changed = self._histories.write(
                execution.line, at, execution.id, found, ordered=ordered
            )
            if ordered and changed:
                known.note_change(at.bucket_ms)
        ids = tuple(node.record.node_id for node in new)
        attempt = new[0].record.attempt  # all of one call are of one attempt
        self.commits.append(execution.tenant, execution.id, ids, attempt)
        return new

    def advance(self, execution_id: str, stage: int) -> AdvanceStatus:
        with self._lock:
            known = self._live.get(execution_id)
            if known is None:
                return AdvanceStatus.STALE
            status = known.advance(stage, self._clock())
            if status is AdvanceStatus.ENDED:
                self._lines.end(known, self._clock())
            return status

    def due(
        self, *, limit: int, again_s: float, unclaimed_s: float, hold_back: bool = False
    ) -> list[Due]:
        with self._lock:
            now, again_ms, unclaimed_ms = self._clock(), *map(_milliseconds, (again_s, unclaimed_s))
            crowd = sum(known.look_ms is not None for known in self._live.values())
            held_ms = now + max(again_ms, 1, 2 * crowd) if hold_back else 0
            found: list[Due] = []
            held: list[tuple[int, int, str]] = []
            taken = 0
            for known in sorted(self._live.values(), key=lambda k: k.look_ms or 0):
                if known.look_ms is None or known.look_ms > now or taken >= limit:
                    continue
                has_turn = self._lines.has_turn(known.execution)
                seen = known.look(now, unclaimed_ms, held_ms, has_turn=has_turn)
                if isinstance(seen, Due):
                    found.append(seen)
                    taken += not seen.expired
                    known.put_away(now, again_ms)
                else:
                    known.look_ms = int(seen)
                    since = known.held_since(unclaimed_ms, has_turn=has_turn)
                    if hold_back and since is not None and since + MOST_HELD_MS <= now:
                        held.append((known.returned, since, known.execution.id))
            if held and taken < limit and self._let_go_ms <= now:
                _, since, execution_id = min(held)
                found += self._let_go(self._live[execution_id], unclaimed_ms, again_ms)
                self._let_go_ms = now + min(MOST_HELD_MS, ONE_IN * (now - since) // crowd)
            return found

    def _let_go(self, known: LiveExecution, unclaimed_ms: int, again_ms: int) -> list[Due]:
        """Return what is held back of an execution."""
        now = self._clock()
        seen = known.look(now, unclaimed_ms, 0, has_turn=True)
        known.put_away(now, again_ms)
        return [seen] if isinstance(seen, Due) else []

    def forget(self, *, retention_s: float, limit: int) -> int:
        with self._lock:
            now, kept_ms = self._clock(), _milliseconds(retention_s)
            again_ms = now + kept_ms // LOOKS
            resting = sorted(
                (k.rests_ms, i) for i, k in self._live.items() if k.rests_ms is not None
            )
            forgotten = 0
            for _, execution_id in [each for each in resting if each[0] <= now - kept_ms][:limit]:
                if self.commits.tells_of(execution_id):
                    break
                known = self._live[execution_id]
                if self._lines.keeps_on(known):
                    known.rests_ms = now
                    continue
                self._lines.forget(known.execution)
                self._remains.leave(self._live.pop(execution_id), again_ms)
                forgotten += 1
            self._remains.look(now, again_ms, MOST_LOOKS * limit)
            return forgotten


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
