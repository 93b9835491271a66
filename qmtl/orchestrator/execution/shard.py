"""Running a shard: claim it, load its inputs, compute, commit as it goes."""

from __future__ import annotations

import ast
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Literal

from qmtl.common.errors import (
    NODE_DIED,
    NODE_UPSTREAM_FAILED,
    CorruptValue,
    QmtlError,
    SandboxFailure,
    Unavailable,
)
from qmtl.models.datanode import AsOfInput, NodeInput, QueryInput, SourceInput, WindowInput
from qmtl.models.execution import (
    ErrorRecord,
    Execution,
    NodeRecord,
    NodeState,
    Plan,
    PlannedNode,
    lookup_key,
)
from qmtl.models.strategy import StrategyVersion
from qmtl.orchestrator.execution.histories import HistoryReader
from qmtl.orchestrator.execution.inputs import InputReader
from qmtl.orchestrator.execution.lease import Lease
from qmtl.orchestrator.execution.ledger import ClaimStatus, CommitStatus, Ledger, NodeCommit
from qmtl.orchestrator.execution.planning import WindowKey
from qmtl.orchestrator.execution.recent import Recents
from qmtl.sandbox.calls import Call, Outcome
from qmtl.sandbox.pool import ExecutorPool

COMMIT_EVERY_S = 0.1  # what a client waits at most to see a node of a long shard
TEXT_LIMIT = 32 * 1024  # of what an executor says about a node; an error's message has less
MESSAGE_LIMIT = 4 * 1024
MOST_CLAIMS = 5  # of a shard that gets no further; then it is the shard that ends its workers
GIVEN_UP = ErrorRecord(
    code=NODE_DIED,
    message=f"The shard of this node was begun {MOST_CLAIMS} times, and each time its worker ended "
    "before a node of it did; it is not begun again.",
)
log = logging.getLogger("qmtl.execution")


class ShardRunner:
    """Runs shards in executor processes of their own; never in the process that calls it.

    A shard costs these round trips: execution, claim, windows, values, and a commit for each 100 ms
    it takes and one at its end; version and plan where this process has not read them yet, and the
    records where a value that it reads is not there.
    """

    def __init__(
        self,
        ledger: Ledger,
        recent: Recents,
        reader: InputReader,
        histories: HistoryReader,
        executors: ExecutorPool,
        *,
        lease_s: float,
        value_limit_bytes: int,
    ) -> None:
        self._ledger = ledger
        self._recent = recent
        self._reader = reader
        self._histories = histories
        self._executors = executors
        self._lease_s = lease_s
        self._value_limit_bytes = value_limit_bytes

    def run(self, tenant: str, execution_id: str, stage: int, shard: int) -> None:
        """Run what is open of a shard, unless somebody else does or it is done.

        Whatever keeps it from running, other than a server that is away, ends its nodes as FAILED:
        sent again, it would meet the same for ever. So does a shard that was claimed
        ``MOST_CLAIMS`` times and got no further: what it runs seems to end whole workers.

        Raises:
            Unavailable: A server is away; the shard stays open and is sent again.
            SandboxFailure: No executor could be started, as on a machine that is short of memory;
                the shard stays open for one of the claims that are left.
        """
        execution = self._ledger.get(tenant, execution_id)
        plan = self._recent.plan(execution)
        if plan is None:
            return
        self._read_version(execution)
        claim = self._ledger.claim(execution_id, stage, shard, lease_s=self._lease_s)
        if claim.status is not ClaimStatus.RUN:
            return
        work = [n for n in plan.shard(stage, shard) if n.node_id not in claim.committed]
        lease = Lease(self._ledger, execution_id, stage, shard, claim.token, self._lease_s)
        commits = _Commits(self._ledger, lease)
        with lease:
            try:
                if claim.attempt > MOST_CLAIMS:
                    commits.fail(work, GIVEN_UP, execution.attempt)
                else:
                    self._run(execution, plan, work, commits)
            except Unavailable:
                raise
            except SandboxFailure as error:
                if claim.attempt < MOST_CLAIMS:
                    raise
                commits.fail(work, _reason(error, execution_id), execution.attempt)
            except Exception as error:  # noqa: BLE001 - logged, and told by the nodes' records
                commits.fail(work, _reason(error, execution_id), execution.attempt)
            if not lease.lost:
                commits.finish(skipped(work, commits.states, execution.attempt))

    def _read_version(self, execution: Execution) -> None:
        """Meet a graph that is away before the claim: one that fails for it must not count.

        Anything else is met again after the claim, where the nodes' records can tell of it.
        """
        try:
            self._recent.version(execution)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - raised again by the same call, and told there
            return

    def _run(
        self, execution: Execution, plan: Plan, work: list[PlannedNode], commits: _Commits
    ) -> None:
        if not work:
            return
        version = self._recent.version(execution)
        values = self._values(execution, plan, version, work)
        work = self._readable(execution, plan, work, values, commits)
        if work:
            self._compute(execution, version, work, values, commits)

    def _values(
        self, execution: Execution, plan: Plan, version: StrategyVersion, work: list[PlannedNode]
    ) -> dict[str, bytes]:
        """Return what the shard reads from outside: windows of sources and earlier results."""
        keys = {
            WindowKey(i.variable, n.bucket_ns)
            for n in work
            for i in n.inputs
            if isinstance(i, SourceInput)
        }
        windows = self._reader.read(execution, sorted(keys, key=str), plan.pins, version.spec)
        inside = {n.node_id for n in work}
        outside = sorted({u for n in work for u in _upstream(n)} - inside)
        values = self._ledger.values(execution.id, outside) if outside else {}
        looked_up = self._histories.values([x for x in plan.lookups if x.node_id in inside])
        return values | looked_up | {str(key): data for key, data in windows.items()}

    def _readable(
        self,
        execution: Execution,
        plan: Plan,
        work: list[PlannedNode],
        values: dict[str, bytes],
        commits: _Commits,
    ) -> list[PlannedNode]:
        """Fail the nodes that read a result whose value is gone; return the others."""
        inside = {n.node_id for n in work}
        absent = {u for n in work for u in _upstream(n)} - inside - values.keys()
        records = self._ledger.records(execution.id) if absent else {}
        lost = {
            n.node_id: n.names[0]
            for n in plan.nodes
            if n.node_id in absent and records[n.node_id].state.has_result
        }
        for node in work:
            gone = ", ".join(repr(lost[u]) for u in _upstream(node) if u in lost)
            if gone:
                message = f"It reads {gone}, whose value is no longer in the ledger."
                error = ErrorRecord(code=CorruptValue.code, message=message)
                commits.fail([node], error, execution.attempt)
        return [node for node in work if node.node_id not in commits.states]

    def _compute(
        self,
        execution: Execution,
        version: StrategyVersion,
        work: Sequence[PlannedNode],
        values: dict[str, bytes],
        commits: _Commits,
    ) -> None:
        with self._executors.acquire(
            execution.tenant,
            execution.version,
            version.source_text,
            version.strategy,
            memory_bytes=max(n.memory_bytes for n in work),
            value_limit_bytes=self._value_limit_bytes,
        ) as executor:
            executor.run(
                calls_of(work),
                values,
                on_outcome=lambda o: commits.add(node_commit(o, execution.attempt)),
                should_stop=commits.look,
            )


def _reason(error: Exception, execution_id: str) -> ErrorRecord:
    """Return what a node says that could not be run; what nobody foresaw is in the log alone."""
    if isinstance(error, QmtlError):
        return ErrorRecord(code=error.code, message=str(error))
    log.error("A shard of execution %s could not be run.", execution_id, exc_info=error)
    message = f"The system could not run it ({type(error).__name__}); its log tells more."
    return ErrorRecord(code=QmtlError.code, message=message)


class _Commits:
    """Commits outcomes in batches; after a refusal the lease is lost and nothing more is sent."""

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self._ledger = ledger
        self.lease = lease
        self.states: dict[str, NodeState] = {}
        self._waiting: list[NodeCommit] = []
        self._since = 0.0  # when the first of those came that wait

    def add(self, commit: NodeCommit) -> None:
        self.states[commit.record.node_id] = commit.record.state
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(commit)
        self.look()

    def look(self) -> bool:
        """Send what has waited long enough; tell whether the shard must stop."""
        if self._waiting and time.monotonic() - self._since >= COMMIT_EVERY_S:
            self._send(done=False)
        return self.lease.lost

    def fail(self, nodes: Sequence[PlannedNode], error: ErrorRecord, attempt: int) -> None:
        """End every node that has not ended with this error."""
        for node in nodes:
            if node.node_id not in self.states:
                self.add(_failed(node, error, attempt))

    def finish(self, rest: Iterable[NodeCommit]) -> None:
        self._waiting += rest
        self._send(done=True)

    def _send(self, *, done: bool) -> None:
        lease, waiting = self.lease, self._waiting
        self._waiting = []
        status = self._ledger.commit(
            lease.execution_id, lease.stage, lease.shard, lease.token, waiting, done=done
        )
        if status is CommitStatus.REFUSED:
            lease.lose()


def calls_of(nodes: Sequence[PlannedNode]) -> list[Call]:
    """Return the executor's calls for nodes that stand in topological order."""
    return [_call(node) for node in nodes]


def _call(node: PlannedNode) -> Call:
    inputs: list[tuple[str, str]] = []
    as_of: list[tuple[str, int]] = []
    lookups: list[tuple[str, Literal["window", "query"], str]] = []
    for given in node.inputs:
        match given:
            case NodeInput(argument=argument, binding=node_id):
                inputs.append((argument, node_id))
            case SourceInput(argument=argument, variable=variable):
                inputs.append((argument, str(WindowKey(variable, node.bucket_ns))))
            case AsOfInput(argument=argument):
                as_of.append((argument, node.bucket_ns))
            case WindowInput(argument=argument):
                lookups.append((argument, "window", lookup_key("window", node.node_id, argument)))
            case QueryInput(argument=argument):
                lookups.append((argument, "query", lookup_key("query", node.node_id, argument)))
    return Call(
        node_id=node.node_id,
        function=node.function,
        inputs=tuple(inputs),
        params=tuple((name, ast.literal_eval(text)) for name, text in node.params),
        as_of_ns=tuple(as_of),
        lookups=tuple(lookups),
        timeout_s=node.timeout_s,
        retries=node.retries,
        memory_bytes=node.memory_bytes,
        seed=int(node.content_key[:16], 16) if node.seeded else None,
    )


def node_commit(outcome: Outcome, attempt: int) -> NodeCommit:
    """Return what the ledger keeps of an outcome; an executor wrote its texts, so they are cut."""
    problem = outcome.error
    error = (
        ErrorRecord(
            code=problem.code[:MESSAGE_LIMIT],
            message=problem.message[:MESSAGE_LIMIT],
            traceback=problem.traceback[:TEXT_LIMIT],
        )
        if problem
        else None
    )
    record = NodeRecord(
        node_id=outcome.node_id,
        state=NodeState(outcome.state),
        attempt=attempt,
        digest=outcome.digest if outcome.value is not None else None,
        size=len(outcome.value) if outcome.value is not None else None,
        started_ms=outcome.started_ns // 1_000_000,
        duration_ns=outcome.duration_ns,
        error=error,
        logs=outcome.logs[:TEXT_LIMIT],
    )
    return NodeCommit(record=record, value=outcome.value)


def skipped(
    nodes: Sequence[PlannedNode], states: dict[str, NodeState], attempt: int
) -> list[NodeCommit]:
    """Return a commit for every node that did not run because something above it has no result."""
    return [
        NodeCommit(
            record=NodeRecord(
                node_id=node.node_id,
                state=NodeState.SKIPPED,
                attempt=attempt,
                error=ErrorRecord(
                    code=NODE_UPSTREAM_FAILED, message="A node that it reads has no result."
                ),
            )
        )
        for node in nodes
        if node.node_id not in states
    ]


def _failed(node: PlannedNode, error: ErrorRecord, attempt: int) -> NodeCommit:
    return NodeCommit(
        record=NodeRecord(
            node_id=node.node_id, state=NodeState.FAILED, attempt=attempt, error=error
        )
    )


def _upstream(node: PlannedNode) -> Iterable[str]:
    return (i.binding for i in node.inputs if isinstance(i, NodeInput))
