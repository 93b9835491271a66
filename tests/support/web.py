"""An application on memory adapters, and an orchestrator that answers as it is told to."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from flask.testing import FlaskClient

from qmtl.common.codec import digest, encode
from qmtl.common.errors import (
    QmtlError,
    Unavailable,
    UnknownExecution,
    UnknownTarget,
    to_document,
)
from qmtl.common.settings import Settings
from qmtl.models.execution import (
    ErrorRecord,
    Event,
    Execution,
    ExecutionState,
    NodeRecord,
    NodeResult,
    NodeState,
)
from qmtl.models.strategy import StrategySpec, Submission, SubmissionState
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.services.comparison.model import Comparison
from qmtl.orchestrator.services.events import EventService
from qmtl.orchestrator.services.plan_view import PlanView
from qmtl.registry.api import Registry
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from qmtl.web.app import create_app
from tests.support.registry import id_of, make_node, make_source, make_spec

KEY = "a-key-of-the-tests"
OTHER_KEY = "a-key-of-another-tenant"
AUTH = {"Authorization": f"Bearer {KEY}"}
OTHER_AUTH = {"Authorization": f"Bearer {OTHER_KEY}"}
SPEC = make_spec(
    "momentum",
    [make_node("fast", sources=["prices"], tags=["TREND"]), make_node("signal", reads=["fast"])],
    [make_source("prices")],
)
NOON_MS = 1_764_000_000_000  # 2025-11-24T16:00:00Z


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class ToldOrchestrator:
    """Carries submissions out at once, with specs by source text; runs nothing.

    ``held`` leaves submissions queued; ``trouble`` is raised by every method, and
    ``trouble_waiting`` by those that wait; ``executions``,
    ``results``, ``plans`` (by execution or strategy) and ``comparisons`` are what it tells of;
    ``ledger`` tells of events; ``controls`` is what it was asked to do to executions.
    """

    registry: Registry
    state: MemoryStateStore
    specs: dict[str, StrategySpec] = field(default_factory=dict)
    rejections: dict[str, QmtlError] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    results: dict[str, list[NodeResult]] = field(default_factory=dict)
    triggers: list[dict[str, Any]] = field(default_factory=list)
    controls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    plans: dict[str, PlanView] = field(default_factory=dict)
    comparisons: dict[tuple[str, str], Comparison] = field(default_factory=dict)
    pings: dict[str, str | None] = field(default_factory=lambda: {"ledger": None, "kafka": None})
    numbers: Iterator[int] = field(default_factory=itertools.count)
    held: bool = False
    trouble: Exception | None = None
    trouble_waiting: Exception | None = None
    ledger: MemoryLedger = field(default_factory=MemoryLedger)

    def submit(
        self,
        tenant: str,
        *,
        operation: str,
        request: dict[str, Any],
        by: str,
        idempotency_key: str | None = None,
    ) -> tuple[Submission, bool]:
        self._raise_trouble()
        new = Submission(
            id=id_of(f"submission {next(self.numbers)}"),
            tenant=tenant,
            operation=operation,
            state=SubmissionState.QUEUED,
            by=by,
            created_ms=NOON_MS,
            request=request,
        )
        kept, created = self.state.create_submission(new, idempotency_key=idempotency_key, ttl_s=60)
        if not self.held:
            self.carry_out(kept)
        return kept, created

    def carry_out(self, submission: Submission) -> None:
        """Do what the control worker would."""
        try:
            result = self._result(submission)
        except QmtlError as error:
            self._end(submission, SubmissionState.REJECTED, problem=to_document(error))
        else:
            self._end(submission, SubmissionState.DONE, result=result)

    def get_submission(self, tenant: str, submission_id: str) -> Submission:
        return self.state.get_submission(tenant, submission_id)

    def wait_for_submission(
        self, tenant: str, submission_id: str, *, timeout_s: float
    ) -> Submission:
        self._raise(self.trouble_waiting)
        return self.state.get_submission(tenant, submission_id)

    def trigger_pipeline(
        self, tenant: str, *, idempotency_key: str | None = None, **asked: Any
    ) -> tuple[Execution, bool]:
        self._raise_trouble()
        self.triggers.append({"tenant": tenant, "idempotency_key": idempotency_key, **asked})
        version = self.registry.list_versions(tenant, asked["strategy"], before_ms=None, limit=1)
        execution = make_execution(tenant=tenant, version=version[0].version, by=asked["by"])
        created = execution.id not in self.executions
        return self.executions.setdefault(execution.id, execution), created

    def get_status(self, tenant: str, execution_id: str) -> Execution:
        execution = self.executions.get(execution_id)
        if execution is None or execution.tenant != tenant:
            raise UnknownExecution(f"There is no execution {execution_id}.")
        return execution

    def wait_for_execution(self, tenant: str, execution_id: str, *, timeout_s: float) -> Execution:
        self._raise(self.trouble_waiting)
        ends = time.monotonic() + timeout_s
        while True:
            execution = self.get_status(tenant, execution_id)
            if execution.state.ended or time.monotonic() >= ends:
                return execution
            time.sleep(0.001)

    def get_events(
        self, tenant: str, execution_id: str, *, after: str = "", timeout_s: float = 0.0
    ) -> tuple[Sequence[Event], bool]:
        if timeout_s:
            self._raise(self.trouble_waiting)
        return EventService(self.ledger).get(tenant, execution_id, after=after, timeout_s=timeout_s)

    def list_executions(
        self, tenant: str, *, strategy: str | None, before: str, limit: int
    ) -> tuple[list[Execution], str]:
        mine = [
            e
            for e in sorted(self.executions.values(), key=lambda e: e.id)
            if e.tenant == tenant and strategy in {None, e.strategy} and e.id > before
        ]
        return mine[:limit], mine[limit - 1].id if len(mine) > limit else ""

    def cancel_execution(self, tenant: str, execution_id: str) -> Execution:
        return self._controlled("cancel", tenant, execution_id)

    def resume_execution(
        self, tenant: str, execution_id: str, *, attempt: int | None = None
    ) -> Execution:
        return self._controlled("resume", tenant, execution_id, attempt=attempt)

    def retry_execution(
        self,
        tenant: str,
        execution_id: str,
        bindings: tuple[str, ...],
        *,
        attempt: int | None = None,
    ) -> Execution:
        return self._controlled("retry", tenant, execution_id, bindings=bindings, attempt=attempt)

    def replay_execution(
        self, tenant: str, execution_id: str, *, by: str, idempotency_key: str | None = None
    ) -> tuple[Execution, bool]:
        asked = {"by": by, "idempotency_key": idempotency_key}
        self._controlled("replay", tenant, execution_id, **asked)
        replay = make_execution(id=id_of("replay"), tenant=tenant, replays=execution_id)
        created = replay.id not in self.executions
        return self.executions.setdefault(replay.id, replay), created

    def get_plan(self, tenant: str, execution_id: str) -> PlanView:
        if execution_id not in self.plans:
            self.get_status(tenant, execution_id)
        return self.plans[execution_id]

    def plan_pipeline(self, tenant: str, *, strategy: str, **_: Any) -> PlanView:
        return self.plans[strategy]

    def compare_executions(self, tenant: str, left_id: str, right_id: str) -> Comparison:
        if (left_id, right_id) not in self.comparisons:
            self.get_status(tenant, left_id)
        return self.comparisons[left_id, right_id]

    def tallies(self, tenant: str) -> dict[str, int]:
        return {"computed": 5, "reused": 3, "waited": 1} if tenant == "default" else {}

    def _controlled(self, what: str, tenant: str, execution_id: str, **asked: Any) -> Execution:
        self._raise_trouble()
        execution = self.get_status(tenant, execution_id)
        self.controls.append((what, asked))
        return execution

    def get_results(
        self, tenant: str, execution_id: str, *, names: tuple[str, ...] = ()
    ) -> list[NodeResult]:
        return self.get_outcome(tenant, execution_id, names=names)[1]

    def get_outcome(
        self, tenant: str, execution_id: str, *, names: tuple[str, ...] = ()
    ) -> tuple[Execution, list[NodeResult]]:
        execution = self.get_status(tenant, execution_id)
        found = [r for r in self.results.get(execution.id, []) if not names or r.name in names]
        if names and not found:
            raise UnknownTarget(f"The execution has no binding {names[0]!r}.")
        return execution, found

    def get_execution_nodes(self, tenant: str, execution_id: str) -> list[NodeResult]:
        found = self.get_results(tenant, execution_id)
        return [msgspec.structs.replace(r, value=None) for r in found]

    def ping(self) -> dict[str, str | None]:
        self._raise_trouble()
        return self.pings

    def backlog(self) -> int:
        if self.pings["ledger"]:
            raise Unavailable("redis", "away")
        return 3

    def put_aside(self) -> int:
        return self.backlog() - 2

    def _raise_trouble(self) -> None:
        self._raise(self.trouble)

    @staticmethod
    def _raise(trouble: Exception | None) -> None:
        if trouble is not None:
            raise trouble

    def _result(self, submission: Submission) -> dict[str, Any]:
        asked = submission.request
        if asked.get("source") in self.rejections:
            raise self.rejections[asked["source"]]
        who: dict[str, Any] = {"by": submission.by, "at_ms": NOON_MS}
        if submission.operation == "submit_strategy":
            spec = self.specs.get(asked["source"], SPEC)
            version, created = self.registry.register_strategy(
                submission.tenant, source_text=asked["source"], spec=spec, **who
            )
            nodes = {n.name: n.node_id for n in spec.nodes}
            return {
                "strategy": version.strategy,
                "version": version.version,
                "created": created,
                "nodes": nodes,
            }
        if submission.operation == "register_node":
            view = self.registry.register_node(
                submission.tenant,
                source_text=asked["source"],
                spec=self.specs.get(asked["source"], SPEC),
                binding=asked["binding"],
                **who,
            )
            bound = view.bindings[0]
            return {
                "node_id": view.node_id,
                "binding": asked["binding"],
                "strategy": bound.strategy,
                "version": bound.version,
            }
        return self._deploy(submission, who)

    def _deploy(self, submission: Submission, who: dict[str, Any]) -> dict[str, Any]:
        asked = submission.request
        who |= {"expected": asked.get("expected")}
        if submission.operation == "activate_strategy":
            deployment = self.registry.activate_strategy(
                submission.tenant,
                asked["strategy"],
                asked["environment"],
                version=asked.get("version"),
                **who,
            )
        else:
            deployment = self.registry.deactivate_strategy(
                submission.tenant, asked["strategy"], asked["environment"], **who
            )
        document: dict[str, Any] = msgspec.to_builtins(deployment)
        return document

    def _end(self, submission: Submission, state: SubmissionState, **what: Any) -> None:
        self.state.move_submission(
            submission.tenant, submission.id, state, at_ms=NOON_MS + 5, **what
        )


@dataclass
class Web:
    """An application, what stands behind it, and a client of it."""

    client: FlaskClient
    registry: Registry
    orchestrator: ToldOrchestrator

    def submit(self, source: str = "# v1") -> dict[str, Any]:
        """Submit a strategy and return its submission's result."""
        answer = self.client.post("/v1/strategies?wait=1", json={"source": source}, headers=AUTH)
        assert answer.status_code in {200, 201}, answer.text
        result: dict[str, Any] = answer.get_json()["result"]
        return result


def make_web(**settings: Any) -> Web:
    state = MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    orchestrator = ToldOrchestrator(registry, state)
    keys = f"tests:default:{sha256(KEY)},others:elsewhere:{sha256(OTHER_KEY)}"
    app = create_app(
        Settings(api_keys=keys, **settings),
        registry,
        orchestrator,  # type: ignore[arg-type]  # the part of it that the web calls
    )
    return Web(app.test_client(), registry, orchestrator)


def make_execution(**changes: Any) -> Execution:
    usual: dict[str, Any] = {
        "id": id_of("execution"),
        "tenant": "default",
        "strategy": "momentum",
        "environment": "staging",
        "version": id_of("momentum/# v1"),
        "adhoc": False,
        "as_of_ns": NOON_MS * 1_000_000,
        "bucket_ns": NOON_MS * 1_000_000,
        "targets": (),
        "cause": "manual:1",
        "by": "tests",
        "created_ms": NOON_MS,
        "state": ExecutionState.RUNNING,
    }
    return Execution(**usual | changes)


def make_result(name: str, value: object) -> NodeResult:
    data = encode(value)
    return NodeResult(
        name=name,
        record=NodeRecord(
            node_id=id_of(name),
            state=NodeState.SUCCEEDED,
            digest=digest(data),
            size=len(data),
            started_ms=NOON_MS,
            duration_ns=1_234_567,
            logs="hello\n",
        ),
        value=data,
    )


def make_failure(name: str) -> NodeResult:
    return NodeResult(
        name=name,
        record=NodeRecord(
            node_id=id_of(name),
            state=NodeState.FAILED,
            error=ErrorRecord(
                code="QMTL-410", message="ZeroDivisionError: division by zero", traceback="line 7"
            ),
        ),
    )
