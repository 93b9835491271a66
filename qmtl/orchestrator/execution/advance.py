"""Moving an execution from stage to stage; ``advance`` acts once however often it is called."""

from __future__ import annotations

import logging

from qmtl.common.errors import ExecutionFailed, QmtlError, Unavailable
from qmtl.models.execution import ErrorRecord, Execution, ExecutionState, Plan
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.computation import Job
from qmtl.orchestrator.execution.ledger import (
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Ledger,
    StartStatus,
)
from qmtl.orchestrator.execution.preparation import Preparation, Prepared
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.shard import ShardRunner

log = logging.getLogger("qmtl.execution")


class Advancer:
    """Plans executions and opens their stages.

    A stage of one shard runs in place, with no message; a wider one goes to the dispatcher. Planned
    and run in place, an execution costs these round trips: itself, pins, windows, what is known of
    its nodes, the start with the first claim, and the commit that ends it.
    """

    def __init__(
        self,
        ledger: Ledger,
        recent: Recents,
        preparation: Preparation,
        runner: ShardRunner,
        dispatcher: Dispatcher,
        *,
        lease_s: float,
    ) -> None:
        self._ledger = ledger
        self._recent = recent
        self._preparation = preparation
        self._runner = runner
        self._dispatcher = dispatcher
        self._lease_s = lease_s

    def advance(self, tenant: str, execution_id: str, stage: int) -> None:
        """Open ``stage`` where its time has come, and go on as long as stages have one shard."""
        if stage == 0:
            self.execute_pipeline(tenant, execution_id)
        elif self._moved(execution_id, stage):
            execution = self._ledger.get(tenant, execution_id)
            self._open(execution, self._plan(execution), stage)

    def run_shard(self, tenant: str, execution_id: str, stage: int, shard: int) -> None:
        """Run a shard; whoever ends a stage opens the next, before the chord's body says so."""
        if self._runner.run(tenant, execution_id, stage, shard) is CommitStatus.STAGE_DONE:
            self.advance(tenant, execution_id, stage + 1)

    def execute_pipeline(self, tenant: str, execution_id: str) -> None:
        """Plan an execution and start it, unless it is started or over already.

        An execution that cannot be planned ends as FAILED with the reason, whatever it is: sent
        again, it would meet the same for ever.

        Raises:
            Unavailable: A server is away; the execution stays PENDING and is sent again.
        """
        execution = self._ledger.get(tenant, execution_id)
        if execution.state is not ExecutionState.PENDING:
            return
        try:
            prepared = self._preparation.prepare(execution)
        except Unavailable:
            raise
        except QmtlError as error:
            self._ledger.fail(execution_id, ErrorRecord(code=error.code, message=str(error)))
        except Exception as error:
            log.exception("Execution %s could not be planned.", execution_id)
            message = f"It could not be planned ({type(error).__name__}); the log tells more."
            reason = ErrorRecord(code=ExecutionFailed.code, message=message)
            self._ledger.fail(execution_id, reason)
        else:
            self._start(execution, prepared)

    def _start(self, execution: Execution, prepared: Prepared) -> None:
        """Start an execution, and run its first stage in place where that is one shard."""
        plan = prepared.plan
        started = self._ledger.start(execution.id, plan, prepared.reused, lease_s=self._lease_s)
        if started.status is StartStatus.LOST:
            prepared = self._preparation.prepare(execution, reuse=False)
            plan = prepared.plan
            started = self._ledger.start(execution.id, plan, lease_s=self._lease_s)
        if started.status is not StartStatus.STARTED:
            return
        self._recent.keep_plan(execution.id, started.started_ms, plan)
        if started.token:
            claim = Claim(ClaimStatus.RUN, token=started.token, attempt=1)
            status = self._runner.run_claimed(Job(execution, plan, 0, 0, claim, prepared.values))
            if status is CommitStatus.STAGE_DONE:
                self.advance(execution.tenant, execution.id, 1)
        else:
            self._dispatch(execution, plan, 0)

    def _open(self, execution: Execution, plan: Plan, stage: int) -> None:
        if len(plan.stages[stage]) == 1:
            self.run_shard(execution.tenant, execution.id, stage, 0)
        else:
            self._dispatch(execution, plan, stage)

    def _dispatch(self, execution: Execution, plan: Plan, stage: int) -> None:
        self._dispatcher.shards(
            execution.tenant,
            execution.id,
            stage,
            range(len(plan.stages[stage])),
            priority=execution.priority,
        )

    def _plan(self, execution: Execution) -> Plan:
        plan = self._recent.plan(execution)
        if plan is None:
            raise ExecutionFailed(f"Execution {execution.id} runs with no plan.")
        return plan

    def _moved(self, execution_id: str, stage: int) -> bool:
        return self._ledger.advance(execution_id, stage) is AdvanceStatus.MOVED
