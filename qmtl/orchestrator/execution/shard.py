"""Running a shard: claim it, load its inputs, compute, commit as it goes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from qmtl.common.errors import (
    NODE_DIED,
    CorruptValue,
    QmtlError,
    SandboxFailure,
    Unavailable,
)
from qmtl.models.datanode import NodeInput, SourceInput
from qmtl.models.execution import (
    ErrorRecord,
    Execution,
    Plan,
    PlannedNode,
)
from qmtl.models.strategy import StrategyVersion
from qmtl.orchestrator.execution.calls import calls_of
from qmtl.orchestrator.execution.commits import Commits, node_commit, skipped
from qmtl.orchestrator.execution.histories import HistoryReader
from qmtl.orchestrator.execution.inputs import InputReader
from qmtl.orchestrator.execution.lease import Lease
from qmtl.orchestrator.execution.ledger import ClaimStatus, Ledger
from qmtl.orchestrator.execution.planning import WindowKey
from qmtl.orchestrator.execution.recent import Recents
from qmtl.sandbox.pool import ExecutorPool

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
        commits = Commits(self._ledger, lease)
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
        self, execution: Execution, plan: Plan, work: list[PlannedNode], commits: Commits
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
        commits: Commits,
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
        commits: Commits,
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


def _upstream(node: PlannedNode) -> Iterable[str]:
    return (i.binding for i in node.inputs if isinstance(i, NodeInput))
