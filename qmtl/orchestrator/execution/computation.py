"""Computing a claimed shard: what it reads, what it takes from others, what it runs itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from qmtl.common.errors import CorruptValue, ExecutionFailed
from qmtl.common.timeline import floor_bucket
from qmtl.models.execution import ErrorRecord, Execution, Plan, PlannedNode, Spent
from qmtl.orchestrator.execution.commits import Commits
from qmtl.orchestrator.execution.costs import crossing_learnt, learnt
from qmtl.orchestrator.execution.flights import Flights
from qmtl.orchestrator.execution.histories import HistoryReader
from qmtl.orchestrator.execution.inputs import InputReader
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import Claim, CommitStatus
from qmtl.orchestrator.execution.recent import Recents, Work
from qmtl.orchestrator.execution.shape import upstream_of
from qmtl.sandbox.calls import Call, Outcome
from qmtl.sandbox.pool import ExecutorPool

FORGOTTEN = ErrorRecord(
    code=ExecutionFailed.code, message="A result that the plan reads is no longer kept."
)


@dataclass(frozen=True, slots=True)
class Means:
    """What shards are run with."""

    ledger: Ledger
    recent: Recents
    reader: InputReader
    histories: HistoryReader
    executors: ExecutorPool
    value_limit_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """A shard that is claimed, and the encoded values by key that are at hand for it."""

    execution: Execution
    plan: Plan
    stage: int
    shard: int
    claim: Claim
    values: dict[str, bytes] = field(default_factory=dict)

    @property
    def nodes(self) -> tuple[PlannedNode, ...]:
        """Return its nodes in the order in which they are computed."""
        return self.plan.shard(self.stage, self.shard)


class Computation:
    """One run of a shard; what it comes to goes to ``commits``.

    Attributes:
        open: Its nodes that were not committed by an earlier claim.
    """

    def __init__(self, means: Means, job: Job, commits: Commits) -> None:
        self._means = means
        self._job = job
        self._commits = commits
        self._values = dict(job.values)
        self._fetch_s = self._execute_s = 0.0
        self._took_us: dict[str, int] = {}
        self._read_again: frozenset[str] = frozenset()  # results that a second run reads
        self.open: Sequence[PlannedNode] = job.nodes

    def run(self) -> None:
        """Compute what is open; what another execution computes is waited for, up to a bound."""
        began = time.monotonic()
        job = self._job
        if job.claim.again:
            committed = self._means.ledger.records(job.execution.id)
            self.open = [node for node in job.nodes if node.node_id not in committed]
        work = self._means.recent.work(job.execution)
        self._values |= self._read(work)
        self._refuse_lost(work)
        flights = Flights(self._means.ledger, job, self._commits, self._values)
        flights.take(job.claim.held)
        self._refuse_forgotten()
        waiting = flights.blocked(self.open)
        late = [node for node in self.open if node.node_id in waiting] if waiting else []
        self._read_again = frozenset(u for node in late for u in upstream_of(node))
        self._fetch_s += time.monotonic() - began
        self._execute(
            work, [n for n in self.open if n.node_id not in waiting] if waiting else self.open
        )
        if waiting:
            self._commits.flush()
            flights.wait()
            self._execute(work, late)

    def spent(self) -> Spent:
        """Return where the time went."""
        return Spent(
            fetch_us=_us(self._fetch_s),
            execute_us=_us(self._execute_s - self._commits.spent_s),
            commit_us=_us(self._commits.spent_s),
        )

    def _read(self, work: Work) -> dict[str, bytes]:
        """Return what is read from outside the shard and is not at hand.

        Windows of sources, results of other shards, and those of histories.
        """
        job, means, shape = self._job, self._means, work.shape
        places = [shape.places[node.node_id] for node in self.open]
        sources = {key for place in places for key in shape.windows[place]}
        absent = sorted((key for key in sources if str(key) not in job.values), key=str)
        windows = means.reader.read(job.execution, absent, job.plan.pins, work.version.spec)
        outside = {u for place in places for u in shape.upstream[place]}.difference(places)
        asked = [shape.ids[place] for place in sorted(outside)]
        values = means.ledger.values(job.execution.id, asked) if asked else {}
        inside = {node.node_id for node in self.open} if job.plan.lookups else frozenset[str]()
        looked = [x for x in job.plan.lookups if x.node_id in inside and x.key not in job.values]
        looked_up = means.histories.values(looked) if looked else {}
        return values | looked_up | {str(key): data for key, data in windows.items()}

    def _refuse_lost(self, work: Work) -> None:
        """Fail the nodes that read a result whose value is gone."""
        shape = work.shape
        places = [shape.places[node.node_id] for node in self.open]
        outside = {u for place in places for u in shape.upstream[place]}.difference(places)
        absent = {u for place in outside if (u := shape.ids[place]) not in self._values}
        if not absent:
            return
        records = self._means.ledger.records(self._job.execution.id)
        names = {node.node_id: node.names[0] for node in shape.nodes}
        lost = {u for u in absent if u in records and records[u].state.has_result}
        for node in self.open:
            gone = ", ".join(repr(names[u]) for u in upstream_of(node) if u in lost)
            if gone:
                message = f"It reads {gone}, whose value is no longer in the ledger."
                self._commits.fail([node], ErrorRecord(code=CorruptValue.code, message=message))

    def _refuse_forgotten(self) -> None:
        """Fail the nodes that look back at a result whose value is gone, and no others."""
        lookups = self._job.plan.lookups
        gone = {each.node_id for each in lookups if each.key not in self._values}
        self._commits.fail([node for node in self.open if node.node_id in gone], FORGOTTEN)

    def _execute(self, work: Work, nodes: Iterable[PlannedNode]) -> None:
        """Have nodes computed that have not ended."""
        began = time.monotonic()
        left = [node for node in nodes if node.node_id not in self._commits.states]
        if not left:
            return
        execution, shape = self._job.execution, work.shape
        places = [shape.places[node.node_id] for node in left]
        with self._means.executors.acquire(
            execution.tenant,
            execution.version,
            work.version.source_text,
            work.version.strategy,
            memory_bytes=max(node.memory_bytes for node in left),
            value_limit_bytes=self._means.value_limit_bytes,
        ) as executor:
            executor.run_table(
                shape.table,
                places,
                self._values,
                changed=_changed(self._job.plan, left, shape.places, shape.table.calls),
                on_outcomes=self._take,
                should_stop=self._commits.look,
            )
        self._execute_s += time.monotonic() - began

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.value is not None:  # one that fails at once says nothing about the work
                self._took_us[outcome.node_id] = outcome.duration_ns // 1_000
            if outcome.value is not None and outcome.node_id in self._read_again:
                self._values[outcome.node_id] = outcome.value
        self._commits.take(outcomes)

    def learn(self) -> None:
        """Note what nodes and stages took, where that is news; worth doing once nobody waits."""
        ledger, job = self._means.ledger, self._job
        news = learnt(job.plan, self._took_us)
        if self._commits.status is CommitStatus.ENDED and _is_fanned_out(job.plan):
            started_ms = ledger.get(job.execution.tenant, job.execution.id).started_ms or 0
            news |= crossing_learnt(job.plan, started_ms, ledger.shards(job.execution.id))
        if news:
            ledger.learn(job.execution.tenant, job.execution.strategy, news)


def _is_fanned_out(plan: Plan) -> bool:
    return any(len(stage) > 1 for stage in plan.stages)


def _changed(
    plan: Plan,
    nodes: Sequence[PlannedNode],
    places: Mapping[str, int],
    calls: Sequence[Call],
) -> dict[int, Call]:
    """Return the calls that differ from run to run: those that take a seed or their bucket."""
    found: dict[int, Call] = {}
    for node in nodes:
        place = places[node.node_id]
        call = calls[place]
        if call.as_of_ns or node.seeded:
            bucket_ns = floor_bucket(plan.as_of_ns, node.interval_ns)
            found[place] = replace(
                call,
                as_of_ns=tuple((argument, bucket_ns) for argument, _ in call.as_of_ns),
                seed=plan.seeds.get(node.node_id),
            )
    return found


def _us(seconds: float) -> int:
    return max(0, round(seconds * 1e6))
