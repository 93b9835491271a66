"""Plans of executions: of one that was planned, and of one that a trigger would make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qmtl.common.errors import ExecutionFailed
from qmtl.orchestrator.execution.histories import HistoryReader
from qmtl.orchestrator.execution.inputs import InputReader
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.planning import Planner
from qmtl.orchestrator.execution.preparation import Preparation
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.services.plan_view import PlanView, view
from qmtl.orchestrator.services.triggering import Draft, TriggerService
from qmtl.registry.db.point_store import PointStore


class PlanService:
    """Shows plans; nothing here creates or changes an execution."""

    def __init__(
        self,
        ledger: Ledger,
        recent: Recents,
        points: PointStore,
        histories: HistoryReader,
        planner: Planner,
        triggers: TriggerService,
    ) -> None:
        self._ledger = ledger
        self._recent = recent
        self._points = points
        self._histories = histories
        self._planner = planner
        self._triggers = triggers

    def get(self, tenant: str, execution_id: str) -> PlanView:
        """Return the present plan of an execution, with what its nodes and shards took.

        Raises:
            UnknownExecution: There is none, or it is another tenant's.
            ExecutionFailed: It is not planned.
        """
        execution = self._ledger.get(tenant, execution_id)
        plan = self._ledger.plan(execution_id)
        if plan is None:
            raise ExecutionFailed(
                f"Execution {execution_id} is not planned: it is {execution.state}."
            )
        return view(
            execution,
            plan,
            created=True,
            records=self._ledger.records(execution_id),
            shards=self._ledger.shards(execution_id),
        )

    def plan(
        self,
        tenant: str,
        *,
        strategy: str,
        environment: str | None,
        version: str | None,
        as_of_ns: int,
        targets: Sequence[str],
        inputs: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        by: str,
        at_ns: int,
    ) -> PlanView:
        """Return the plan that a trigger would get now; it may raise as ``TriggerService.trigger``.

        What is reused is what the memo names; a result that has gone meanwhile is computed. Where
        earlier buckets of the line come first, histories are those before them.
        """
        draft = self._triggers.draft(
            tenant,
            strategy=strategy,
            environment=environment,
            version=version,
            as_of_ns=as_of_ns,
            targets=targets,
            inputs=inputs,
            by=by,
            cause="plan",
            at_ns=at_ns,
        )
        prepared = self._preparation(draft).prepare(draft.execution)
        return view(
            draft.execution,
            prepared.plan,
            created=False,
            records={},
            reused={each.record.node_id for each in prepared.reused},
            before=len(draft.before),
        )

    def _preparation(self, draft: Draft) -> Preparation:
        """Return what makes a plan for an execution whose inputs are in no ledger."""
        reader = InputReader(self._points, _Given(draft.inputs))
        return Preparation(self._ledger, self._recent, reader, self._histories, self._planner)


class _Given:
    """The inline inputs of a draft, as the ledger would give them."""

    def __init__(self, inputs: Mapping[str, bytes]) -> None:
        self._inputs = inputs

    def inputs(self, execution_id: str) -> dict[str, bytes]:  # noqa: ARG002 - of the draft alone
        return dict(self._inputs)
