"""What is done to an execution after its trigger."""

from __future__ import annotations

from typing import Any

from qmtl.models import api_orchestrator as wire
from qmtl.models.execution import Execution
from qmtl.web import bodies
from qmtl.web.context import caller, services
from qmtl.web.executions import wait_for
from qmtl.web.resource import Answer, IdempotencyHeader, Resource, WaitQuery

controls = Resource("controls", "Stopping executions, and running them again")


@controls.route(
    "POST",
    "/v1/executions/<execution_id>/cancel",
    {200: wire.ExecutionView},
    problems=(404, 409),
)
def cancel_execution(execution_id: str) -> Execution:
    """Stop an execution; one that is cancelled already is answered as it stands."""
    return services().orchestrator.cancel_execution(caller().tenant, execution_id)


@controls.route(
    "POST",
    "/v1/executions/<execution_id>/resume",
    {202: wire.ExecutionView, 200: wire.ExecutionView},
    query=WaitQuery,
    problems=(404, 409, 413, 415),
    doc={"requestBody": bodies.body_doc({bodies.JSON: wire.AttemptBody}, required=False)},
)
def resume_execution(query: dict[str, Any], execution_id: str) -> Answer:
    """Run what has no result yet; 200 where it ended within the wait."""
    wanted = bodies.load_optional_json(wire.AttemptBody)
    execution = services().orchestrator.resume_execution(
        caller().tenant, execution_id, attempt=wanted.get("attempt")
    )
    return _running(execution, query["wait"])


@controls.route(
    "POST",
    "/v1/executions/<execution_id>/retry",
    {202: wire.ExecutionView, 200: wire.ExecutionView},
    query=WaitQuery,
    problems=(404, 409, 413, 415),
    doc={"requestBody": bodies.body_doc({bodies.JSON: wire.RetryBody})},
)
def retry_execution(query: dict[str, Any], execution_id: str) -> Answer:
    """Compute nodes and what rests on them again; 200 where it ended within the wait."""
    wanted = bodies.load_json(wire.RetryBody)
    execution = services().orchestrator.retry_execution(
        caller().tenant, execution_id, tuple(wanted["nodes"]), attempt=wanted.get("attempt")
    )
    return _running(execution, query["wait"])


@controls.route(
    "POST",
    "/v1/executions/<execution_id>/replay",
    {202: wire.ExecutionView, 201: wire.ExecutionView, 200: wire.ExecutionView},
    query=WaitQuery,
    headers=IdempotencyHeader,
    problems=(404, 409),
)
def replay_execution(query: dict[str, Any], headers: dict[str, Any], execution_id: str) -> Answer:
    """Run an execution again on the data it read, as a new one that reuses nothing.

    201 where it ended within the wait, 200 where the same key asked for it before.
    """
    who = caller()
    execution, created = services().orchestrator.replay_execution(
        who.tenant, execution_id, by=who.name, idempotency_key=headers["idempotency_key"]
    )
    execution = wait_for(execution, query["wait"])
    status = 200 if not created else 201 if execution.state.ended else 202
    return Answer(execution, status, {"Location": f"/v1/executions/{execution.id}"})


def _running(execution: Execution, wait_s: float) -> Answer:
    execution = wait_for(execution, wait_s)
    location = {"Location": f"/v1/executions/{execution.id}"}
    return Answer(execution, 200 if execution.state.ended else 202, location)
