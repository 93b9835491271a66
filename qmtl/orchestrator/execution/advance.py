"""Moving an execution from stage to stage; ``advance`` acts once however often it is called."""

from __future__ import annotations

import logging

from qmtl.common.errors import ExecutionFailed, QmtlError, Unavailable
from qmtl.models.execution import ErrorRecord, Execution, ExecutionState, Plan
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.computation import Job
from qmtl.orchestrator.execution.flights import worthwhile
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import (
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Started,
    StartStatus,
)
from qmtl.orchestrator.execution.preparation import Preparation, Prepared
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.shard import ShardRunner
from qmtl.orchestrator.execution.succession import Succession

MOST_DEATHS = 5  # of processes that plan an execution; then it is the planning that ends them
GIVEN_UP = ErrorRecord(
    code=ExecutionFailed.code,
    message=f"Its planning was begun {MOST_DEATHS} times, and each time the process that did it "
    "ended, as one does that takes more memory than there is; it is not begun again.",
)
log = logging.getLogger("qmtl.execution")


class Advancer:
    """Plans executions and opens their stages.

    A stage of one shard runs in place, with no message; a wider one goes to the dispatcher. Planned
    and run in place, an execution costs these round trips: itself, pins with windows, what is known
    of its nodes, the start with the first claim, and the commit that ends it; and where it has a
    deadline, whether that is over.
    """

    def __init__(
        self,
        ledger: Ledger,
        recent: Recents,
        preparation: Preparation,
        runner: ShardRunner,
        succession: Succession,
        dispatcher: Dispatcher,
        *,
        lease_s: float,
    ) -> None:
        self._ledger = ledger
        self._recent = recent
        self._preparation = preparation
        self._runner = runner
        self._succession = succession
        self._dispatcher = dispatcher
        self._lease_s = lease_s

    def advance(self, tenant: str, execution_id: str, stage: int, *, died: bool = False) -> None:
        """Open ``stage`` where its time has come, and go on as long as stages have one shard.

        ``died`` says that a process ended that was told the same; see ``execute_pipeline``.
        """
        if stage == 0:
            self.execute_pipeline(tenant, execution_id, died=died)
            return
        status = self._ledger.advance(execution_id, stage)
        if status is AdvanceStatus.MOVED:
            execution = self._ledger.get(tenant, execution_id)
            self._open(execution, self._plan(execution), stage)
        elif status is AdvanceStatus.ENDED:
            self._succession.ended(self._ledger.get(tenant, execution_id))

    def run_shard(self, tenant: str, execution_id: str, stage: int, shard: int) -> None:
        """Run a shard; whoever ends a stage opens the next, before the chord's body says so."""
        status = self._runner.run(tenant, execution_id, stage, shard)
        if status is CommitStatus.STAGE_DONE:
            self.advance(tenant, execution_id, stage + 1)
        elif status is CommitStatus.ENDED:
            self._succession.ended(self._ledger.get(tenant, execution_id))

    def _go_on(self, execution: Execution, stage: int, status: CommitStatus | None) -> None:
        if status is CommitStatus.STAGE_DONE:
            self.advance(execution.tenant, execution.id, stage + 1)
        elif status is CommitStatus.ENDED:
            self._succession.ended(execution)

    def execute_pipeline(self, tenant: str, execution_id: str, *, died: bool = False) -> None:
        """Plan an execution and start it, unless it is started or over already.

        An ordered one is left alone until its turn comes, and one that is over is settled where
        nobody has done that. One whose time is over ends here: behind a long queue the reaper is
        not the first to see it, and nothing is planned for it. An execution that cannot be planned
        ends as FAILED with the reason, whatever it is: sent again, it would meet the same for ever.
        So does one that a process ``died`` of ``MOST_DEATHS`` times before it was started.

        Raises:
            Unavailable: A server is away; the execution stays PENDING and is sent again.
        """
        execution = self._ledger.get(tenant, execution_id)
        if execution.state.ended:
            self._succession.ended(execution)
        elif self._is_over(execution) or (died and self._is_given_up(execution)):
            return
        while execution.state is ExecutionState.PENDING:
            turn = self._ledger.turn(execution_id) if execution.ordered else 0
            if turn is None or self._tried(execution, turn):
                return
            execution = self._ledger.get(tenant, execution_id)

    def _is_over(self, execution: Execution) -> bool:
        """End an execution whose time is over, by the ledger's clock."""
        if execution.expires_s is None or not self._ledger.expire(execution.id):
            return False
        self._succession.ended(execution)
        return True

    def _is_given_up(self, execution: Execution) -> bool:
        """Count a process that died of planning an execution; end it behind the last of them."""
        deaths = self._ledger.note_death(execution.id, attempt=execution.attempt)
        if deaths:
            log.warning("Planning execution %s ended its process: %d.", execution.id, deaths)
        if deaths < MOST_DEATHS:
            return False
        self._fail(execution, GIVEN_UP)
        return True

    def _tried(self, execution: Execution, turn: int) -> bool:
        """Plan an execution and start it; False where its history changed meanwhile."""
        try:
            prepared = self._preparation.prepare(execution)
        except Unavailable:
            raise
        except QmtlError as error:
            self._fail(execution, ErrorRecord(code=error.code, message=str(error)))
        except Exception as error:
            log.exception("Execution %s could not be planned.", execution.id)
            message = f"It could not be planned ({type(error).__name__}); the log tells more."
            reason = ErrorRecord(code=ExecutionFailed.code, message=message)
            self._fail(execution, reason)
        else:
            return self._start(execution, prepared, turn)
        return True

    def _fail(self, execution: Execution, reason: ErrorRecord) -> None:
        self._ledger.fail(execution.id, reason, attempt=execution.attempt, begun=False)
        self._succession.ended(execution)

    def _start(self, execution: Execution, prepared: Prepared, turn: int) -> bool:
        """Start an execution, and run its first stage in place where that is one shard.

        Returns False where its turn has passed: what it planned with may be out of date.
        """
        started = self._started(execution, prepared, turn)
        if started.status is StartStatus.LOST:
            prepared = self._preparation.prepare(execution, reuse=False)
            started = self._started(execution, prepared, turn)
        if started.status is StartStatus.STARTED:
            self._run_first(execution, prepared, started)
        elif started.status is StartStatus.ENDED:
            self._succession.ended(execution)
        elif started.status is StartStatus.OVER:  # while it was planned
            self._is_over(execution)
        return started.status is not StartStatus.WAIT

    def _started(self, execution: Execution, prepared: Prepared, turn: int) -> Started:
        plan = prepared.plan
        alone = bool(plan.stages) and len(plan.stages[0]) == 1
        keys = worthwhile(execution, plan, plan.stages[0][0]) if alone else ()
        if alone:  # it will run here: what it reads is decoded while the ledger is asked
            self._runner.expect(execution, prepared.values)
        return self._ledger.start(
            execution.id,
            plan,
            prepared.reused,
            lease_s=self._lease_s,
            keys=keys,
            turn=turn,
            attempt=execution.attempt,
        )

    def _run_first(self, execution: Execution, prepared: Prepared, started: Started) -> None:
        plan = prepared.plan
        self._recent.keep_plan(execution.id, started.started_ms, plan)
        if started.token:
            claim = Claim(ClaimStatus.RUN, token=started.token, attempt=1, held=started.held)
            status = self._runner.run_claimed(Job(execution, plan, 0, 0, claim, prepared.values))
            self._go_on(execution, 0, status)
        else:
            self._dispatch(execution, plan, 0)

    def _open(self, execution: Execution, plan: Plan, stage: int) -> None:
        if len(plan.stages[stage]) == 1:
            status = self._runner.run(execution.tenant, execution.id, stage, 0)
            self._go_on(execution, stage, status)
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
