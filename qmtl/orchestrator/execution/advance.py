"""Moving an execution from stage to stage; ``advance`` acts once however often it is called."""

from __future__ import annotations

import logging

from qmtl.common.codec import digest
from qmtl.common.errors import ExecutionFailed, QmtlError, Unavailable
from qmtl.models.execution import ErrorRecord, Execution, ExecutionState, Plan
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.histories import HistoryReader
from qmtl.orchestrator.execution.inputs import InputReader, sources_of
from qmtl.orchestrator.execution.ledger import AdvanceStatus, Ledger
from qmtl.orchestrator.execution.planning import Limits, plan_execution, required, window_keys
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.shard import ShardRunner

log = logging.getLogger("qmtl.execution")


class Advancer:
    """Plans executions and opens their stages.

    A stage of one shard runs in place, with no message; a wider one goes to the dispatcher.
    """

    def __init__(
        self,
        ledger: Ledger,
        recent: Recents,
        reader: InputReader,
        histories: HistoryReader,
        runner: ShardRunner,
        dispatcher: Dispatcher,
        *,
        slots: int,
        limits: Limits,
    ) -> None:
        self._ledger = ledger
        self._recent = recent
        self._reader = reader
        self._histories = histories
        self._runner = runner
        self._dispatcher = dispatcher
        self._slots = slots
        self._limits = limits

    def advance(self, tenant: str, execution_id: str, stage: int) -> None:
        """Open ``stage`` where its time has come, and go on as long as stages have one shard."""
        if stage == 0:
            plan = self.execute_pipeline(tenant, execution_id)
        else:
            plan = self._opened(tenant, execution_id, stage)
        while plan is not None and stage < len(plan.stages):
            shards = range(len(plan.stages[stage]))
            if len(shards) > 1:
                self._dispatcher.shards(tenant, execution_id, stage, shards)
                return
            self._runner.run(tenant, execution_id, stage, 0)
            stage += 1
            if not self._moved(execution_id, stage):
                return

    def execute_pipeline(self, tenant: str, execution_id: str) -> Plan | None:
        """Plan an execution and start it; None where it is started or over already.

        An execution that cannot be planned ends as FAILED with the reason, whatever it is: sent
        again, it would meet the same for ever.

        Raises:
            Unavailable: A server is away; the execution stays PENDING and is sent again.
        """
        execution = self._ledger.get(tenant, execution_id)
        if execution.state is not ExecutionState.PENDING:
            return None
        try:
            plan = self._plan(execution)
            return plan if self._ledger.start(execution_id, plan) else None
        except Unavailable:
            raise
        except QmtlError as error:
            reason = ErrorRecord(code=error.code, message=str(error))
        except Exception as error:
            log.exception("Execution %s could not be planned.", execution_id)
            message = f"It could not be planned ({type(error).__name__}); the log tells more."
            reason = ErrorRecord(code=ExecutionFailed.code, message=message)
        self._ledger.fail(execution_id, reason)
        return None

    def _plan(self, execution: Execution) -> Plan:
        version = self._recent.version(execution)
        nodes = required(version.spec, execution.targets)
        keys = window_keys(nodes, execution.as_of_ns)
        pins = self._reader.pins(execution, sources_of(nodes), version.spec)
        windows = self._reader.read(execution, keys, pins, version.spec)
        lookups = self._histories.lookups(execution, nodes, version.spec)
        return plan_execution(
            nodes,
            as_of_ns=execution.as_of_ns,
            windows={key: digest(data) for key, data in windows.items()},
            pins=pins,
            slots=self._slots,
            limits=self._limits,
            lookups=lookups,
        )

    def _opened(self, tenant: str, execution_id: str, stage: int) -> Plan | None:
        if not self._moved(execution_id, stage):
            return None
        plan = self._recent.plan(self._ledger.get(tenant, execution_id))
        if plan is None:
            raise ExecutionFailed(f"Execution {execution_id} moved to stage {stage} with no plan.")
        return plan

    def _moved(self, execution_id: str, stage: int) -> bool:
        return self._ledger.advance(execution_id, stage) is AdvanceStatus.MOVED
