"""The Orchestrator as the rest of the system sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qmtl.common.errors import Unavailable
from qmtl.models.execution import Event, Execution, NodeResult, Priority
from qmtl.models.strategy import Submission
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.outbox import Outbox
from qmtl.orchestrator.execution.result_topic import ResultTopic
from qmtl.orchestrator.services.comparison.model import Comparison
from qmtl.orchestrator.services.comparison.service import ComparisonService
from qmtl.orchestrator.services.controls import ControlService
from qmtl.orchestrator.services.events import EventService
from qmtl.orchestrator.services.history import HistoryService, NodeHistory
from qmtl.orchestrator.services.plan_view import PlanView
from qmtl.orchestrator.services.plans import PlanService
from qmtl.orchestrator.services.results import ResultService
from qmtl.orchestrator.services.submission import SubmissionService
from qmtl.orchestrator.services.triggering import TriggerService
from qmtl.registry.db.state_store import StateStore


class Orchestrator:
    """Takes requests, runs pipelines, answers with their results. It holds no state of its own."""

    def __init__(
        self,
        *,
        submissions: SubmissionService,
        triggers: TriggerService,
        controls: ControlService,
        plans: PlanService,
        comparisons: ComparisonService,
        results: ResultService,
        events: EventService,
        histories: HistoryService,
        state: StateStore,
        ledger: Ledger,
        outbox: Outbox,
        topic: ResultTopic,
        clock: Callable[[], int],
    ) -> None:
        self._submissions = submissions
        self._triggers = triggers
        self._controls = controls
        self._plans = plans
        self._comparisons = comparisons
        self._results = results
        self._events = events
        self._histories = histories
        self._state = state
        self._ledger = ledger
        self._outbox = outbox
        self._topic = topic
        self._clock = clock

    def submit(
        self,
        tenant: str,
        *,
        operation: str,
        request: dict[str, Any],
        by: str,
        idempotency_key: str | None = None,
    ) -> tuple[Submission, bool]:
        """Keep a request to the registry and send it to the control worker."""
        return self._submissions.submit(
            tenant,
            operation=operation,
            request=request,
            by=by,
            idempotency_key=idempotency_key,
            at_ms=self._now_ms(),
        )

    def get_submission(self, tenant: str, submission_id: str) -> Submission:
        """Return a request as it stands."""
        return self._state.get_submission(tenant, submission_id)

    def wait_for_submission(
        self, tenant: str, submission_id: str, *, timeout_s: float
    ) -> Submission:
        """Return a request once it ended, or as it stands when the time is up."""
        return self._state.wait_for_submission(tenant, submission_id, timeout_s=timeout_s)

    def trigger_pipeline(
        self,
        tenant: str,
        *,
        strategy: str,
        environment: str | None,
        version: str | None,
        as_of_ns: int | None,
        targets: Sequence[str],
        inputs: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        by: str,
        idempotency_key: str | None = None,
        priority: Priority = Priority.NORMAL,
        expires_s: float | None = None,
    ) -> tuple[Execution, bool]:
        """Create an execution, now where no time is given; see ``TriggerService.trigger``."""
        return self._triggers.trigger(
            tenant,
            strategy=strategy,
            environment=environment,
            version=version,
            requested_as_of_ns=as_of_ns,
            targets=targets,
            inputs=inputs,
            by=by,
            idempotency_key=idempotency_key,
            at_ns=self._clock(),
            priority=priority,
            expires_s=expires_s,
        )

    def plan_pipeline(
        self,
        tenant: str,
        *,
        strategy: str,
        environment: str | None,
        version: str | None,
        as_of_ns: int | None,
        targets: Sequence[str],
        inputs: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        by: str,
    ) -> PlanView:
        """Return the plan that the same trigger would get now; nothing is created."""
        at_ns = self._clock()
        return self._plans.plan(
            tenant,
            strategy=strategy,
            environment=environment,
            version=version,
            as_of_ns=at_ns if as_of_ns is None else as_of_ns,
            targets=targets,
            inputs=inputs,
            by=by,
            at_ns=at_ns,
        )

    def get_plan(self, tenant: str, execution_id: str) -> PlanView:
        """Return the plan of an execution, with what it took."""
        return self._plans.get(tenant, execution_id)

    def cancel_execution(self, tenant: str, execution_id: str) -> Execution:
        """End an execution as CANCELLED; see ``ControlService.cancel``."""
        return self._controls.cancel(tenant, execution_id)

    def resume_execution(
        self, tenant: str, execution_id: str, *, attempt: int | None = None
    ) -> Execution:
        """Run what has no result yet; see ``ControlService.resume``."""
        return self._controls.resume(tenant, execution_id, attempt=attempt)

    def retry_execution(
        self,
        tenant: str,
        execution_id: str,
        bindings: Sequence[str],
        *,
        attempt: int | None = None,
    ) -> Execution:
        """Compute bindings and what rests on them again; see ``ControlService.retry``."""
        return self._controls.retry(tenant, execution_id, bindings, attempt=attempt)

    def replay_execution(
        self, tenant: str, execution_id: str, *, by: str, idempotency_key: str | None = None
    ) -> tuple[Execution, bool]:
        """Start an execution that reads what this one read; see ``ControlService.replay``."""
        return self._controls.replay(
            tenant, execution_id, by=by, idempotency_key=idempotency_key, at_ms=self._now_ms()
        )

    def compare_executions(self, tenant: str, left_id: str, right_id: str) -> Comparison:
        """Return what two executions have in common, and why their results differ."""
        return self._comparisons.compare(tenant, left_id, right_id)

    def tallies(self, tenant: str) -> dict[str, int]:
        """Return how many results of a tenant were ``computed``, ``reused`` and ``waited`` for."""
        return self._ledger.tallies(tenant)

    def get_status(self, tenant: str, execution_id: str) -> Execution:
        """Return an execution as it stands."""
        return self._results.get_status(tenant, execution_id)

    def wait_for_execution(self, tenant: str, execution_id: str, *, timeout_s: float) -> Execution:
        """Return an execution once it ended, or as it stands when the time is up."""
        return self._results.wait(tenant, execution_id, timeout_s=timeout_s)

    def get_events(
        self, tenant: str, execution_id: str, *, after: str = "", timeout_s: float = 0.0
    ) -> tuple[Sequence[Event], bool]:
        """Return what happened to an execution since, and whether that is all."""
        return self._events.get(tenant, execution_id, after=after, timeout_s=timeout_s)

    def list_executions(
        self, tenant: str, *, strategy: str | None, before: str, limit: int
    ) -> tuple[list[Execution], str]:
        """Return executions, newest first, and the cursor of the next page."""
        return self._results.page(tenant, strategy=strategy, before=before, limit=limit)

    def get_results(
        self, tenant: str, execution_id: str, *, names: Sequence[str] = ()
    ) -> list[NodeResult]:
        """Return every binding's record and encoded value."""
        return self._results.get_results(tenant, execution_id, names=names)

    def get_outcome(
        self, tenant: str, execution_id: str, *, names: Sequence[str] = ()
    ) -> tuple[Execution, list[NodeResult]]:
        """Return an execution as it stands, and every binding's record and encoded value."""
        return self._results.get_outcome(tenant, execution_id, names=names)

    def get_execution_nodes(self, tenant: str, execution_id: str) -> list[NodeResult]:
        """Return every binding's record without its value."""
        return self._results.get_results(tenant, execution_id, values=False)

    def get_history(
        self,
        tenant: str,
        strategy: str,
        environment: str,
        binding: str,
        *,
        count: int,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> NodeHistory:
        """Return the latest results of a binding of the active version, newest first."""
        return self._histories.get(
            tenant,
            strategy,
            environment,
            binding,
            count=count,
            start_ns=start_ns,
            end_ns=end_ns,
        )

    def ping(self) -> dict[str, str | None]:
        """Return what is wrong with each server this part stands on; None where nothing is."""
        return {"ledger": _trouble(self._ledger.ping), "kafka": _trouble(self._topic.ping)}

    def backlog(self) -> int:
        """Return how many commits wait to be mirrored."""
        return self._outbox.backlog()

    def put_aside(self) -> int:
        """Return how many commits could not be mirrored and were put aside."""
        return self._outbox.put_aside()

    def _now_ms(self) -> int:
        return self._clock() // 1_000_000


def _trouble(ping: Callable[[], None]) -> str | None:
    try:
        ping()
    except Unavailable as error:
        return str(error)
    return None
