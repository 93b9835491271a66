"""An execution inside a memory ledger: its state and its steps, without locks or clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from qmtl.models.execution import (
    ErrorRecord,
    EventKind,
    Execution,
    ExecutionState,
    NodeRecord,
    Plan,
    ShardRecord,
    Spent,
)
from qmtl.orchestrator.execution.ledger_types import (
    MOST_GIVEN_BACK,
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Due,
    NodeCommit,
)
from qmtl.orchestrator.execution.memory.events import Events

MOST_DOUBLINGS = 4
WAITING_MS = 60_000  # between looks at one whose turn will make it due


@dataclass(slots=True)
class Shard:
    """A shard's lease; token 0 says that it was never claimed."""

    token: int = 0
    lease_ends_ms: int = 0
    claimed_ms: int | None = None
    claims: int = 0  # since a node of it was committed, without those that were given back
    given_back: set[int] = field(default_factory=set)  # tokens, MOST_GIVEN_BACK at most
    runtime: str = ""  # of a worker that took it, where that is not the plan's
    done_ms: int | None = None
    spent: Spent | None = None

    def alive(self, now_ms: int) -> bool:
        """Return whether somebody works on it."""
        return self.done_ms is None and self.lease_ends_ms > now_ms


@dataclass(slots=True)
class LiveExecution:
    """All that is kept of one execution."""

    execution: Execution
    inputs: Mapping[str, bytes]
    opened_ms: int  # when it was created or reopened, by the ledger's clock
    began_ms: int = 0  # the stage that runs
    ready_ms: int | None = None  # when its turn in its line came
    rests_ms: int | None = None  # since when it is kept although it has ended
    base: str = ""  # of a replay: the place in the pages of what its plan was made for
    look_ms: int | None = None  # when to look whether something is due; None once it ended
    deaths: int = 0  # of processes that planned this attempt
    returned: int = 0  # how often it was due since anything of it was claimed
    changed_ms: int | None = None  # latest bucket whose change no later bucket was compared with
    landed: bool = False  # it ended, and somebody is to settle it
    repairs: bool = False  # what stands at its bucket is out of date until it runs out
    kept_on: bool = False  # its retention is over, and it is kept since its line lacks its repair
    plan: Plan | None = None
    token: int = 0
    reopened_token: int = 0  # tokens up to it are of earlier attempts
    ended_by: tuple[int, int, int] | None = None  # stage, shard and token of the last commit
    shards: dict[tuple[int, int], Shard] = field(default_factory=dict)
    records: dict[str, NodeRecord] = field(default_factory=dict)
    cleared: dict[tuple[int, str], NodeRecord] = field(default_factory=dict)  # by their attempt
    values: dict[str, bytes] = field(default_factory=dict)
    places: set[tuple[int, int]] = field(default_factory=set)  # interval and bucket of its points
    events: Events = field(default_factory=Events)

    @property
    def state(self) -> ExecutionState:
        """Return where it stands."""
        return self.execution.state

    @property
    def running(self) -> bool:
        """Return whether shards of it may be committed."""
        return self.state is ExecutionState.RUNNING

    @property
    def expires_ms(self) -> float:
        """Return when its time is over."""
        lasts_s = self.execution.expires_s
        return float("inf") if lasts_s is None else self.opened_ms + round(lasts_s * 1000)

    def change(self, **fields: Any) -> None:
        """Give the execution other fields."""
        self.execution = msgspec.structs.replace(self.execution, **fields)

    def is_pending(self, attempt: int | None = None) -> bool:
        """Whether it is yet to begin, in this attempt or in any."""
        return self.state is ExecutionState.PENDING and attempt in (None, self.execution.attempt)

    def note_change(self, at_ms: int) -> None:
        """Note that results of a bucket changed; the latest of them counts."""
        self.changed_ms = at_ms if self.changed_ms is None else max(self.changed_ms, at_ms)

    def note_death(self, attempt: int) -> int:
        """Count a process that died while it planned this attempt, and return how many did."""
        if not self.is_pending(attempt):
            return 0
        self.deaths += 1
        return self.deaths

    def start(self, plan: Plan, new: Sequence[NodeCommit], now_ms: int) -> None:
        """Keep a plan and begin its first stage, or end where it has none; ``new`` is reused."""
        self.plan = plan
        self.shards = {
            (s, k): Shard() for s, stage in enumerate(plan.stages) for k in range(len(stage))
        }
        self.ready_ms = None
        self.change(stages=len(plan.stages), nodes_total=len(plan.nodes), started_ms=now_ms)
        self.events.tell(EventKind.STARTED, self.execution, now_ms, stages=len(plan.stages))
        if new:
            self.events.tell_nodes(new, self.execution, now_ms)
        if plan.stages:
            self.change(state=ExecutionState.RUNNING)
            self._begin(0, now_ms)
        else:
            self.end(self._state_at_end(), now_ms)

    def _begin(self, stage: int, now_ms: int) -> None:
        self.change(stage=stage)
        self.returned = 0
        self.began_ms = self.look_ms = now_ms

    def end(self, state: ExecutionState, now_ms: int, error: ErrorRecord | None = None) -> None:
        """Give it its final state."""
        self.change(
            state=state, ended_ms=now_ms, error=error, nodes_done=self.execution.nodes_total
        )
        self.rests_ms = now_ms
        self.look_ms = None
        code = None if error is None else error.code
        self.events.tell(EventKind.ENDED, self.execution, now_ms, state=state, error=code)

    def _state_at_end(self) -> ExecutionState:
        results = sum(record.state.has_result for record in self.records.values())
        complete = results == self.execution.nodes_total
        return ExecutionState.SUCCEEDED if complete else ExecutionState.FAILED

    def reopen(self, clear: Sequence[str], fresh: bool, now_ms: int, *, told: bool) -> None:
        """Begin another attempt without some of the nodes.

        Their values stay until their commit: histories may name them. Their records stay without
        logs, unless everything of the execution was ``told``.
        """
        for node_id in clear:
            record = self.records.pop(node_id, None)
            if record is not None:
                self.cleared[record.attempt, node_id] = msgspec.structs.replace(record, logs="")
        if told:
            self.cleared = {}
        self.shards = {}
        self.ended_by = None
        self.reopened_token = self._next_token(now_ms)
        self.returned = self.deaths = 0
        self.ready_ms = None
        self.landed = False
        self.kept_on = False
        self.rests_ms = None
        self.opened_ms = self.look_ms = now_ms
        self.change(
            state=ExecutionState.PENDING,
            attempt=self.execution.attempt + 1,
            fresh=fresh,
            mixed=self.execution.mixed and bool(self.records),
            stage=-1,
            nodes_done=len(self.records),
            started_ms=None,
            ended_ms=None,
            error=None,
        )
        self.events.tell(EventKind.REOPENED, self.execution, now_ms)

    def claim(self, stage: int, shard: int, now_ms: int, lease_ms: int, runtime: str = "") -> Claim:
        """Take a shard of the running stage under a new token."""
        wanted = self.shards.get((stage, shard))
        if not self.running or stage != self.execution.stage or self.expires_ms <= now_ms:
            return Claim(ClaimStatus.GONE)
        if wanted is None:
            return Claim(ClaimStatus.GONE)
        if wanted.done_ms is not None:
            return Claim(ClaimStatus.DONE)
        if wanted.alive(now_ms):
            return Claim(ClaimStatus.BUSY)
        again = wanted.token != 0
        self.returned = 0
        wanted.token = self._next_token(now_ms)
        wanted.claims += 1
        wanted.claimed_ms = now_ms
        wanted.lease_ends_ms = now_ms + lease_ms
        self.look_by(wanted.lease_ends_ms)
        if runtime:
            wanted.runtime = runtime
            self.change(mixed=True)
        return Claim(
            ClaimStatus.RUN,
            token=self.token,
            attempt=wanted.claims,
            again=again,
            mixed=self.execution.mixed,
        )

    def _next_token(self, now_ms: int) -> int:
        self.token = max(self.token + 1, now_ms)
        return self.token

    def give_back(self, stage: int, shard: int, token: int) -> None:
        """Count a claim of this attempt no more, once a token, and so often a shard."""
        given = self.shards.get((stage, shard))
        if given is None or not given.claims or token <= self.reopened_token:
            return
        if token not in given.given_back and len(given.given_back) < MOST_GIVEN_BACK:
            given.given_back.add(token)
            given.claims -= 1

    def owned(self, stage: int, shard: int, token: int) -> Shard | None:
        """Return the shard where this is its latest token and the execution is running."""
        wanted = self.shards.get((stage, shard))
        if not self.running or wanted is None or wanted.token != token or token == 0:
            return None
        return wanted

    def value_as_recorded(self, record: NodeRecord) -> bytes | None:
        """Return the value of a node; None where a later attempt came to another than recorded."""
        known = self.records.get(record.node_id)
        if self.execution.attempt > 1 and (known is None or known.digest != record.digest):
            return None
        return self.values.get(record.node_id)

    def write(self, nodes: Sequence[NodeCommit]) -> list[NodeCommit]:
        """Keep the first record and value of each node; return those that are new."""
        new: list[NodeCommit] = []
        for node in nodes:
            record = node.record
            if record.node_id in self.records:
                continue
            self.records[record.node_id] = record
            if node.value is not None:
                self.values[record.node_id] = node.value
            else:
                self.values.pop(record.node_id, None)
            new.append(node)
        self.change(nodes_done=self.execution.nodes_done + len(new))
        return new

    def finish(self, stage: int, shard: Shard, now_ms: int) -> CommitStatus:
        """Mark a shard as done; behind the last of a stage the advance is due, or the end."""
        if shard.done_ms is None:
            shard.done_ms = now_ms
        if stage != self.execution.stage or not self._stage_is_done():
            return CommitStatus.ACCEPTED
        if stage + 1 == self.execution.stages:
            self.end(self._state_at_end(), now_ms)
            return CommitStatus.ENDED
        self.look_by(now_ms)
        return CommitStatus.STAGE_DONE

    def advance(self, stage: int, now_ms: int) -> AdvanceStatus:
        """Move to a stage, or end behind the last."""
        before = stage - 1
        if not self.running or self.execution.stage > before:
            return AdvanceStatus.STALE
        if self.execution.stage < before or not self._stage_is_done():
            return AdvanceStatus.WAIT
        if stage != self.execution.stages:
            self._begin(stage, now_ms)
            facts = {"stage": stage, "stages": self.execution.stages}
            self.events.tell(EventKind.STAGE, self.execution, now_ms, **facts)
            return AdvanceStatus.MOVED
        self.end(self._state_at_end(), now_ms)
        return AdvanceStatus.ENDED

    def look_by(self, at_ms: int) -> None:
        """Look not later than this whether something is due."""
        self.look_ms = at_ms if self.look_ms is None else min(self.look_ms, at_ms)

    def put_away(self, now_ms: int, again_ms: int) -> None:
        """Look later at what was due, and later still each time that nothing was claimed since."""
        at_ms = now_ms + max(again_ms, 1) * 2 ** min(self.returned, MOST_DOUBLINGS)
        over_ms = float("inf") if self.landed else self.expires_ms
        self.look_ms = int(min(at_ms, over_ms)) if over_ms > now_ms else at_ms
        self.returned += 1

    def look(self, now_ms: int, unclaimed_ms: int, held_ms: int, *, has_turn: bool) -> Due | float:
        """Return what is due, or else the next time at which something could be.

        What nobody claimed is not due before ``held_ms``.
        """
        stage = self.execution.stage
        if self.landed:
            return self._due(-1) if has_turn else now_ms + WAITING_MS
        if self.expires_ms <= now_ms:
            return self._due(stage, expired=True)
        if self.state is ExecutionState.PENDING:
            if not has_turn:
                return min(now_ms + WAITING_MS, self.expires_ms)
            at = max(self._unclaimed_at(unclaimed_ms), held_ms)
            return min(at, self.expires_ms) if at > now_ms else self._due(-1)
        never = max(self._unclaimed_at(unclaimed_ms), held_ms)
        times = {
            k: shard.lease_ends_ms if shard.token else never
            for k, shard in self._stage_shards().items()
            if shard.done_ms is None
        }
        due = tuple(sorted(k for k, at in times.items() if at <= now_ms))
        if due or not times:
            return self._due(stage, due)
        return min(*times.values(), self.expires_ms)

    def _unclaimed_at(self, unclaimed_ms: int) -> int:
        """Return when something is due that nobody claimed."""
        if self.state is ExecutionState.PENDING:
            since_ms = self.opened_ms if self.ready_ms is None else self.ready_ms
            return since_ms + unclaimed_ms
        return self.began_ms + unclaimed_ms

    def held_since(self, unclaimed_ms: int, *, has_turn: bool) -> int | None:
        """Return since when something is due that nobody claimed, if it is held back."""
        unclaimed = any(not shard.token for shard in self._stage_shards().values())
        waits = unclaimed if self.running else has_turn and not self.state.ended
        return self._unclaimed_at(unclaimed_ms) if waits else None

    def _due(self, stage: int, shards: tuple[int, ...] = (), *, expired: bool = False) -> Due:
        execution = self.execution
        return Due(
            execution.tenant, execution.id, stage, shards, expired, priority=execution.priority
        )

    def _stage_shards(self) -> dict[int, Shard]:
        stage = self.execution.stage
        return {k: shard for (s, k), shard in self.shards.items() if s == stage}

    def _stage_is_done(self) -> bool:
        return all(shard.done_ms is not None for shard in self._stage_shards().values())

    def shard_records(self, now_ms: int) -> list[ShardRecord]:
        """Return how each shard stands."""
        return [
            ShardRecord(
                stage=stage,
                shard=k,
                claims=shard.claims,
                claimed_ms=shard.claimed_ms,
                alive=shard.alive(now_ms),
                done_ms=shard.done_ms,
                spent=shard.spent,
                runtime=shard.runtime,
            )
            for (stage, k), shard in sorted(self.shards.items())
        ]
