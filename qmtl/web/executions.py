"""Executions: trigger, follow, read results."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, jsonify, request
from marshmallow import fields, validate
from webargs.flaskparser import abort

from qmtl.common.codec import decode
from qmtl.common.errors import Unavailable, UnknownTarget
from qmtl.models import api_orchestrator as wire
from qmtl.models.api_fields import NAME, Wire
from qmtl.models.execution import Execution, NodeResult
from qmtl.web import bodies, paging
from qmtl.web.context import caller, services
from qmtl.web.rendering import MOST_ROWS, ROWS, Renderer, TooLong, type_name
from qmtl.web.resource import Answer, IdempotencyHeader, Resource, WaitQuery

executions = Resource("executions", "Runs of a version, and their results")
_error_view = wire.ErrorView()
VALUE = "application/vnd.qmtl.value"
_COMMA = re.compile(r",(?![^\[]*\])")  # a comma inside brackets belongs to a name


class ExecutionsQuery(paging.BackwardsQuery):
    """A page of executions, all or of one strategy."""

    strategy = fields.String(load_default=None, validate=NAME)


class RowsQuery(Wire):
    """How much of a table is shown."""

    rows = fields.Integer(
        load_default=ROWS,
        validate=validate.Range(0, MOST_ROWS),
        metadata={"description": "How many of the last rows of a table or array are shown."},
    )


class ResultsQuery(RowsQuery):
    """Which bindings, and how much of a table is shown."""

    bindings = fields.String(
        load_default="",
        validate=validate.Length(max=100_000),
        metadata={"description": "Names with commas; all bindings when left out."},
    )


@executions.route(
    "POST",
    "/v1/executions",
    {202: wire.ExecutionView, 201: wire.ExecutionView, 200: wire.ExecutionView},
    query=WaitQuery,
    headers=IdempotencyHeader,
    problems=(404, 409, 413, 415),
    doc={"requestBody": bodies.body_doc({bodies.JSON: wire.TriggerBody})},
)
def trigger_pipeline(query: dict[str, Any], headers: dict[str, Any]) -> Answer:
    """Run a version; 201 where it ended within the wait, 200 where it was triggered before."""
    wanted, who = bodies.load_json(wire.TriggerBody), caller()
    execution, created = services().orchestrator.trigger_pipeline(
        who.tenant,
        strategy=wanted["strategy"],
        environment=wanted.get("environment"),
        version=wanted.get("version"),
        as_of_ns=wanted.get("as_of"),
        targets=tuple(wanted.get("targets", ())),
        inputs=wanted.get("inputs"),
        by=who.name,
        idempotency_key=headers["idempotency_key"],
        priority=wanted["priority"],
        expires_s=wanted.get("deadline"),
    )
    execution = wait_for(execution, query["wait"])
    status = 200 if not created else 201 if execution.state.ended else 202
    return Answer(execution, status, {"Location": f"/v1/executions/{execution.id}"})


@executions.route(
    "GET",
    "/v1/executions",
    {200: paging.page_of(wire.ExecutionView)},
    query=ExecutionsQuery,
)
def list_executions(query: dict[str, Any]) -> Answer:
    """List executions, newest first."""
    found, cursor = services().orchestrator.list_executions(
        caller().tenant, strategy=query["strategy"], before=query["before"], limit=query["limit"]
    )
    return paging.page_with_cursor(found, cursor, parameter="before")


@executions.route(
    "GET",
    "/v1/executions/<execution_id>",
    {200: wire.ExecutionView},
    query=WaitQuery,
    problems=(404,),
)
def get_status(query: dict[str, Any], execution_id: str) -> Execution:
    """Tell how far an execution is."""
    found = services().orchestrator.get_status(caller().tenant, execution_id)
    return wait_for(found, query["wait"])


@executions.route(
    "GET",
    "/v1/executions/<execution_id>/nodes",
    {200: wire.NodeRecordsView},
    problems=(404,),
)
def get_execution_nodes(execution_id: str) -> dict[str, Any]:
    """Show every binding of an execution: its state, its error, what it printed."""
    return {"items": services().orchestrator.get_execution_nodes(caller().tenant, execution_id)}


@executions.route(
    "GET",
    "/v1/executions/<execution_id>/results",
    {200: wire.ResultsView},
    query=ResultsQuery,
    problems=(404,),
)
def get_results(query: dict[str, Any], execution_id: str) -> Response:
    """Show the results of an execution, by binding."""
    # Written as they are: the schema would look at every field of what may be thousands.
    names = tuple(n.strip() for n in _COMMA.split(query["bindings"]) if n.strip())
    execution, results = services().orchestrator.get_outcome(
        caller().tenant, execution_id, names=names
    )
    return jsonify(
        execution_id=execution.id,
        state=execution.state,
        items=[result_view(r, rows=query["rows"]) for r in results],
    )


@executions.route(
    "GET",
    "/v1/executions/<execution_id>/results/<binding>",
    {200: wire.ResultView},
    query=RowsQuery,
    problems=(404, 406),
    doc={
        "responses": {
            200: {"content": {VALUE: {"schema": {"type": "string", "format": "binary"}}}},
            304: {"description": "The value is the one that If-None-Match names."},
        }
    },
)
def get_result(query: dict[str, Any], execution_id: str, binding: str) -> Any:
    """Show one result; its encoded bytes where the Accept header asks for them."""
    wanted = request.accept_mimetypes.best_match([bodies.JSON, VALUE])
    if wanted is None and request.accept_mimetypes:
        abort(406, message=f"A result is served as {bodies.JSON} or {VALUE}.")
    found = services().orchestrator.get_results(caller().tenant, execution_id, names=(binding,))
    if not found:
        raise UnknownTarget(f"The execution has no binding {binding!r}.")
    return _encoded(found[0]) if wanted == VALUE else result_view(found[0], rows=query["rows"])


def _encoded(result: NodeResult) -> Response:
    if result.value is None:
        raise UnknownTarget(
            f"{result.name!r} has no value: it is {result.record.state}.",
            hint="Ask for application/json to see its error.",
        )
    response = Response(result.value, mimetype=VALUE)
    response.set_etag(result.record.digest or "")
    response.headers["Vary"] = "Accept, Authorization"
    response.cache_control.private = True
    response.cache_control.no_cache = True
    response.make_conditional(request)
    return response


def result_view(result: NodeResult, *, rows: int) -> dict[str, Any]:
    """Return a result as ``ResultView`` would write it, its value rendered."""
    record = result.record
    view = {
        "binding": result.name,
        "node_id": record.node_id,
        "state": record.state,
        "digest": record.digest,
        "size": record.size,
        "duration_ms": wire.duration_ms(record.duration_ns),
        "value_type": None,
        "value": None,
        "omitted": False,
        "error": None if record.error is None else _error_view.dump(record.error),
    }
    if result.value is None:
        return view
    value = decode(result.value)
    view["value_type"] = type_name(value)
    try:
        view["value"] = Renderer(rows=rows).render(value)
    except TooLong:
        view["omitted"] = True
    return view


def wait_for(execution: Execution, wait_s: float) -> Execution:
    """Return the execution once it ended, or as it stands when the time is up.

    One that was accepted is so where a server goes away meanwhile: it is returned as it stood.
    """
    if execution.state.ended:
        return execution
    found = services()
    with found.waiting.enter(wait_s) as allowed_s:
        if allowed_s <= 0:
            return execution
        try:
            return found.orchestrator.wait_for_execution(
                execution.tenant, execution.id, timeout_s=allowed_s
            )
        except Unavailable:
            return execution
