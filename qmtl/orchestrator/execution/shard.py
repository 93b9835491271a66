"""Running a shard: claim it, compute what is open of it, commit as it goes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress

from qmtl.common.errors import NODE_DIED, QmtlError, SandboxFailure, Unavailable
from qmtl.models.execution import ErrorRecord, Execution
from qmtl.orchestrator.execution.commits import Addresses, Commits
from qmtl.orchestrator.execution.computation import Computation, Job, Means
from qmtl.orchestrator.execution.flights import worthwhile
from qmtl.orchestrator.execution.lease import Leases
from qmtl.orchestrator.execution.ledger_types import ClaimStatus, CommitStatus
from qmtl.orchestrator.execution.places import places_of

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
    or 250 nodes and one at its end; version and plan where this process has not read them yet, and
    the records where it was claimed before.
    """

    def __init__(self, means: Means, *, lease_s: float) -> None:
        self._means = means
        self._leases = Leases(means.ledger, lease_s)

    def run(self, tenant: str, execution_id: str, stage: int, shard: int) -> CommitStatus | None:
        """Claim a shard and run what is open of it; see ``run_claimed``.

        Returns None where somebody else runs it or it is done.

        Raises:
            Unavailable: A server is away; the shard stays open and is sent again.
        """
        ledger, recent = self._means.ledger, self._means.recent
        execution = ledger.get(tenant, execution_id)
        plan = None if execution.started_ms is None else recent.plan(execution)
        if plan is None or stage >= len(plan.stages) or shard >= len(plan.stages[stage]):
            return None
        self._read_work(execution)
        claim = ledger.claim(
            execution_id,
            stage,
            shard,
            lease_s=self._leases.lease_s,
            keys=worthwhile(execution, plan, plan.stages[stage][shard]),
            runtime="" if recent.runtime == plan.runtime else recent.runtime,
            started_ms=execution.started_ms,
        )
        if claim.status is not ClaimStatus.RUN:
            return None
        return self.run_claimed(Job(execution, plan, stage, shard, claim))

    def expect(self, execution: Execution, values: Mapping[str, bytes]) -> None:
        """Have an idle executor decode what a shard is about to read, if there is one."""
        self._means.executors.expect(execution.tenant, execution.version, values)

    def run_claimed(self, job: Job) -> CommitStatus:
        """Run what is open of a shard that is the caller's, and commit it.

        Whatever keeps it from running, other than a server that is away, ends its nodes as FAILED:
        sent again, it would meet the same for ever. So does a shard that was claimed
        ``MOST_CLAIMS`` times and got no further: what it runs seems to end whole workers.

        Raises:
            Unavailable: A server is away; the shard stays open and is sent again, and this claim
                is given back: it does not count.
            SandboxFailure: No executor could be started, as on a machine that is short of memory;
                the shard stays open for one of the claims that are left.
        """
        execution, claim = job.execution, job.claim
        lease = self._leases.of(execution.id, job.stage, job.shard, claim.token)
        with lease:
            commits = Commits(self._means.ledger, lease, self._addresses(job), execution.attempt)
            computation = Computation(self._means, job, commits)
            try:
                if claim.attempt > MOST_CLAIMS:
                    commits.fail(job.nodes, GIVEN_UP)
                else:
                    computation.run()
            except Unavailable:
                raise
            except SandboxFailure as error:
                if claim.attempt < MOST_CLAIMS:
                    raise
                commits.fail(computation.open, _reason(error, execution.id))
            except Exception as error:  # noqa: BLE001 - logged, and told by the nodes' records
                commits.fail(computation.open, _reason(error, execution.id))
            if not lease.lost:
                commits.finish(computation.open, computation.spent())
        with suppress(Unavailable):  # what comes after the shard must not wait for the reaper
            computation.learn()
        return commits.status

    def _addresses(self, job: Job) -> Addresses:
        try:
            shape = self._means.recent.work(job.execution).shape
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - raised again when it is computed, and told there
            return Addresses()
        keys: dict[str, str] = {}
        if not job.claim.mixed:
            keys = dict(zip((n.node_id for n in job.plan.nodes), job.plan.keys, strict=False))
        return Addresses(keys, places_of(job.execution, job.plan, shape))

    def _read_work(self, execution: Execution) -> None:
        """Meet a graph that is away before the claim: one that fails for it must not count.

        Anything else is met again after the claim, where the nodes' records can tell of it.
        """
        try:
            self._means.recent.work(execution)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - raised again by the same call, and told there
            return


def _reason(error: Exception, execution_id: str) -> ErrorRecord:
    """Return what a node says that could not be run; what nobody foresaw is in the log alone."""
    if isinstance(error, QmtlError):
        return ErrorRecord(code=error.code, message=str(error))
    log.error("A shard of execution %s could not be run.", execution_id, exc_info=error)
    message = f"The system could not run it ({type(error).__name__}); its log tells more."
    return ErrorRecord(code=QmtlError.code, message=message)
