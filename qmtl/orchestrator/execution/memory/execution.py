"""An execution inside a memory ledger: its state and its steps, without locks or clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from qmtl.models.execution import (
    ErrorRecord,
    Execution,
    ExecutionState,
    NodeRecord,
    Plan,
    PlannedNode,
)
from qmtl.orchestrator.execution.ledger import (
    AdvanceStatus,
    Claim,
    ClaimStatus,
    Due,
    NodeCommit,
)
from qmtl.orchestrator.execution.planned import OpenShard, Pinned, open_record, pinned

MOST_DOUBLINGS = 4


@dataclass(slots=True)
class Shard:
    """A shard's lease; token 0 says that it was never claimed."""

    node_ids: tuple[str, ...]
    token: int = 0
    lease_ends_ms: int = 0
    claimed_ms: int | None = None
    claims: int = 0  # since a node of it was committed
    done: bool = False

    def alive(self, now_ms: int) -> bool:
        """Return whether somebody works on it."""
        return not self.done and self.lease_ends_ms > now_ms


@dataclass(slots=True)
class LiveExecution:
    """All that is kept of one execution."""

    execution: Execution
    inputs: Mapping[str, bytes]
    created_ms: int  # by the ledger's clock
    began_ms: int = 0  # the stage that runs
    look_ms: int | None = None  # when to look whether something is due; None once it ended
    returned: int = 0  # how often it was due since anything of it was claimed
    plan: Plan | None = None
    token: int = 0
    shards: dict[tuple[int, int], Shard] = field(default_factory=dict)
    nodes: dict[str, PlannedNode] = field(default_factory=dict)
    pinned: dict[str, Pinned] = field(default_factory=dict)
    records: dict[str, NodeRecord] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Return whether shards of it may be claimed and committed."""
        return self.execution.state is ExecutionState.RUNNING

    def change(self, **fields: Any) -> None:
        """Give the execution other fields."""
        self.execution = msgspec.structs.replace(self.execution, **fields)

    def start(self, plan: Plan, now_ms: int) -> bool:
        """Keep a plan and begin its first stage."""
        if self.execution.state is not ExecutionState.PENDING:
            return False
        self.plan = plan
        self.nodes = {node.node_id: node for node in plan.nodes}
        self.pinned = pinned(plan)
        for s, stage in enumerate(plan.stages):
            for k in range(len(stage)):
                self.shards[s, k] = Shard(tuple(n.node_id for n in plan.shard(s, k)))
        self.change(stages=len(plan.stages), nodes_total=len(plan.nodes), started_ms=now_ms)
        if plan.stages:
            self.change(state=ExecutionState.RUNNING)
            self._begin(0, now_ms)
        else:
            self.end(ExecutionState.SUCCEEDED, now_ms)
        return True

    def _begin(self, stage: int, now_ms: int) -> None:
        self.change(stage=stage)
        self.returned = 0
        self.began_ms = self.look_ms = now_ms

    def end(self, state: ExecutionState, now_ms: int, error: ErrorRecord | None = None) -> None:
        """Give it its final state."""
        self.change(
            state=state, ended_ms=now_ms, error=error, nodes_done=self.execution.nodes_total
        )
        self.look_ms = None

    def claim(self, stage: int, shard: int, now_ms: int, lease_ms: int) -> Claim:
        """Take a shard of the running stage under a new token."""
        wanted = self.shards.get((stage, shard))
        if not self.running or stage != self.execution.stage or wanted is None:
            return Claim(ClaimStatus.GONE)
        if wanted.done:
            return Claim(ClaimStatus.DONE)
        if wanted.alive(now_ms):
            return Claim(ClaimStatus.BUSY)
        self.token += 1
        self.returned = 0
        wanted.token = self.token
        wanted.claims += 1
        wanted.claimed_ms = now_ms
        wanted.lease_ends_ms = now_ms + lease_ms
        self.look_by(wanted.lease_ends_ms)
        committed = frozenset(id_ for id_ in wanted.node_ids if id_ in self.records)
        return Claim(ClaimStatus.RUN, token=self.token, attempt=wanted.claims, committed=committed)

    def owned(self, stage: int, shard: int, token: int) -> Shard | None:
        """Return the shard where this is its latest token and the execution is running."""
        wanted = self.shards.get((stage, shard))
        if not self.running or wanted is None or wanted.token != token or token == 0:
            return None
        return wanted

    def write(self, nodes: Sequence[NodeCommit]) -> list[NodeRecord]:
        """Keep the first record and value of each node; return the records that are new."""
        new: list[NodeRecord] = []
        for node in nodes:
            record = node.record
            if record.node_id in self.records:
                continue
            self.records[record.node_id] = record
            if node.value is not None:
                self.values[record.node_id] = node.value
            new.append(record)
        self.change(nodes_done=self.execution.nodes_done + len(new))
        return new

    def finish(self, shard: Shard, now_ms: int) -> None:
        """Mark a shard of the running stage as done; after the last one the advance is due."""
        if shard.done:
            return
        shard.done = True
        if self._stage_is_done():
            self.look_by(now_ms)

    def advance(self, stage: int, now_ms: int) -> AdvanceStatus:
        """Move to a stage, or end behind the last."""
        before = stage - 1
        if not self.running or self.execution.stage > before:
            return AdvanceStatus.STALE
        if self.execution.stage < before or not self._stage_is_done():
            return AdvanceStatus.WAIT
        if stage != self.execution.stages:
            self._begin(stage, now_ms)
            return AdvanceStatus.MOVED
        results = sum(record.state.has_result for record in self.records.values())
        complete = results == self.execution.nodes_total
        self.end(ExecutionState.SUCCEEDED if complete else ExecutionState.FAILED, now_ms)
        return AdvanceStatus.ENDED

    def look_by(self, at_ms: int) -> None:
        """Look not later than this whether something is due."""
        self.look_ms = at_ms if self.look_ms is None else min(self.look_ms, at_ms)

    def put_away(self, now_ms: int, again_ms: int) -> None:
        """Look later at what was due, and later still each time that nothing was claimed since."""
        self.look_ms = now_ms + max(again_ms, 1) * 2 ** min(self.returned, MOST_DOUBLINGS)
        self.returned += 1

    def look(self, now_ms: int, unclaimed_ms: int) -> Due | int:
        """Return what is due, or else the next time at which something could be."""
        tenant, id_ = self.execution.tenant, self.execution.id
        if self.execution.state is ExecutionState.PENDING:
            at = self.created_ms + unclaimed_ms
            return at if at > now_ms else Due(tenant, id_, -1, ())
        never = self.began_ms + unclaimed_ms
        times = {
            k: shard.lease_ends_ms if shard.token else never
            for k, shard in self._stage_shards().items()
            if not shard.done
        }
        due = tuple(sorted(k for k, at in times.items() if at <= now_ms))
        if due or not times:
            return Due(tenant, id_, self.execution.stage, due)
        return min(times.values())

    def _stage_shards(self) -> dict[int, Shard]:
        stage = self.execution.stage
        return {k: shard for (s, k), shard in self.shards.items() if s == stage}

    def _stage_is_done(self) -> bool:
        return all(shard.done for shard in self._stage_shards().values())

    def all_records(self, now_ms: int) -> dict[str, NodeRecord]:
        """Return the committed records and, for the other nodes, what their shard says."""
        state, attempt = self.execution.state, self.execution.attempt
        found: dict[str, NodeRecord] = {}
        for shard in self.shards.values():
            seen = OpenShard(shard.node_ids, shard.claimed_ms, shard.alive(now_ms))
            for node_id in shard.node_ids:
                found[node_id] = open_record(node_id, seen, state, attempt)
        return found | self.records
