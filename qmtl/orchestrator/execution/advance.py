"""Moving an execution from stage to stage; ``advance`` acts once however often it is called."""

from __future__ import annotations

from qmtl.common.codec import digest
from qmtl.common.errors import ExecutionFailed, QmtlError, Unavailable
from qmtl.models.execution import ErrorRecord, Execution, ExecutionState, Plan
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.inputs import InputReader, sources_of
from qmtl.orchestrator.execution.ledger import AdvanceStatus, Ledger
from qmtl.orchestrator.execution.planning import Limits, plan_execution, required, window_keys
from qmtl.orchestrator.execution.shard import ShardRunner
from qmtl.registry.api import Registry


class Advancer:
    """Plans executions and opens their stages.

    A stage of one shard runs in place, with no message; a wider one goes to the dispatcher.
    """

    def __init__(
        self,
        ledger: Ledger,
        registry: Registry,
        reader: InputReader,
        runner: ShardRunner,
        dispatcher: Dispatcher,
        *,
        slots: int,
        limits: Limits,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._reader = reader
        self._runner = runner
        self._dispatcher = dispatcher
        self._slots = slots
        self._limits = limits

    def advance(self, tenant: str, execution_id: str, stage: int) -> None:
        """Open ``stage`` where its time has come, and go on as long as stages have one shard."""
        if stage == 0:
            plan = self.execute_pipeline(tenant, execution_id)
        else:
            plan = self._moved(execution_id, stage)
        while plan is not None:
            if stage >= len(plan.stages):
                return
            shards = range(len(plan.stages[stage]))
            if len(shards) > 1:
                self._dispatcher.shards(tenant, execution_id, stage, shards)
                return
            self._runner.run(tenant, execution_id, stage, 0)
            stage += 1
            plan = self._moved(execution_id, stage)

    def execute_pipeline(self, tenant: str, execution_id: str) -> Plan | None:
        """Plan an execution and start it; None where it is started or over already.

        An execution that cannot be planned ends as FAILED with the reason.
        """
        execution = self._ledger.get(tenant, execution_id)
        if execution.state is not ExecutionState.PENDING:
            return None
        try:
            plan = self._plan(execution)
        except Unavailable:
            raise
        except QmtlError as error:
            self._ledger.fail(execution_id, ErrorRecord(code=error.code, message=str(error)))
            return None
        return plan if self._ledger.start(execution_id, plan) else None

    def _plan(self, execution: Execution) -> Plan:
        version = self._registry.get_nodes(execution.tenant, execution.strategy, execution.version)
        nodes = required(version.spec, execution.targets)
        keys = window_keys(nodes, execution.as_of_ns)
        pins = self._reader.pins(execution, sources_of(nodes), version.spec)
        windows = self._reader.read(execution, keys, pins, version.spec)
        return plan_execution(
            nodes,
            as_of_ns=execution.as_of_ns,
            windows={key: digest(data) for key, data in windows.items()},
            pins=pins,
            slots=self._slots,
            limits=self._limits,
        )

    def _moved(self, execution_id: str, stage: int) -> Plan | None:
        if self._ledger.advance(execution_id, stage) is not AdvanceStatus.MOVED:
            return None
        plan = self._ledger.plan(execution_id)
        if plan is None:
            raise ExecutionFailed(f"Execution {execution_id} moved to stage {stage} with no plan.")
        return plan
