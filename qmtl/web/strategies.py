"""Strategies: submit, list, read, activate, deactivate."""

from __future__ import annotations

from typing import Any

from flask import Response

from qmtl.common.errors import InvalidRequest
from qmtl.models import api_registry as wire
from qmtl.models.strategy import Submission
from qmtl.web import bodies, paging
from qmtl.web.context import caller, services
from qmtl.web.resource import Answer, IdempotencyHeader, LongWaitQuery, Resource, WaitQuery
from qmtl.web.submissions import deployment_of
from qmtl.web.submitting import carry_out, source_from_body

strategies = Resource("strategies", "Named modules, their versions, and where they are active")


@strategies.route(
    "POST",
    "/v1/strategies",
    {202: wire.SubmissionView, 201: wire.SubmissionView, 200: wire.SubmissionView},
    query=WaitQuery,
    headers=IdempotencyHeader,
    problems=(409, 413, 415),
    doc={
        "requestBody": bodies.body_doc(
            {bodies.JSON: wire.SubmitStrategyBody, bodies.PYTHON: {"type": "string"}}
        )
    },
)
def submit_strategy(query: dict[str, Any], headers: dict[str, Any]) -> Answer | Response:
    """Submit a module; 201 once its version is registered, 200 where it was there before."""
    return carry_out(
        "submit_strategy",
        source_from_body(),
        wait_s=query["wait"],
        idempotency_key=headers["idempotency_key"],
        done=_registered,
    )


def _registered(submission: Submission, result: dict[str, Any]) -> Answer:
    place = f"/v1/strategies/{result['strategy']}/versions/{result['version']}"
    return Answer(submission, 201 if result["created"] else 200, {"Location": place})


@strategies.route(
    "GET", "/v1/strategies", {200: paging.page_of(wire.StrategyItem)}, query=paging.PageQuery
)
def list_strategies(query: dict[str, Any]) -> Answer:
    """List strategies by name."""
    limit = query["limit"]
    found = services().registry.list_strategies(
        caller().tenant, after=query["after"], limit=limit + 1
    )
    return paging.page(found, limit, lambda item: item.name)


@strategies.route("GET", "/v1/strategies/<name>", {200: wire.StrategyView}, problems=(404,))
def get_strategy(name: str) -> dict[str, Any]:
    """Show a strategy and where it is active."""
    registry, tenant = services().registry, caller().tenant
    latest = registry.list_versions(tenant, name, before_ms=None, limit=1)[0]
    deployments = registry.deployments(tenant, name)
    return {
        "name": name,
        "description": latest.description,
        "latest_version": latest.version,
        "active": {d.environment: d.version for d in deployments},
        "deployments": deployments,
    }


@strategies.route(
    "GET",
    "/v1/strategies/<name>/versions",
    {200: paging.page_of(wire.VersionItem)},
    query=paging.BackwardsQuery,
    problems=(404,),
)
def list_versions(query: dict[str, Any], name: str) -> Answer:
    """List a strategy's versions, newest first."""
    limit = query["limit"]
    found = services().registry.list_versions(
        caller().tenant, name, before_ms=_millisecond(query["before"]), limit=limit + 1
    )
    return paging.page(found, limit, lambda item: str(item.created_at_ms), parameter="before")


def _millisecond(cursor: str) -> int | None:
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 16):
        raise InvalidRequest(
            "The cursor is none of this list.",
            hint="Follow 'next' as it was given.",
            fields={"before": ["Not a cursor."]},
        )
    return int(cursor)


@strategies.route(
    "GET", "/v1/strategies/<name>/versions/<version>", {200: wire.VersionView}, problems=(404,)
)
def get_version(name: str, version: str) -> Any:
    """Show a version: its text, and everything that it declares."""
    return services().registry.get_version(caller().tenant, name, version)


@strategies.route(
    "POST",
    "/v1/strategies/<name>/activate",
    {200: wire.DeploymentView, 202: wire.SubmissionView},
    query=LongWaitQuery,
    headers=IdempotencyHeader,
    problems=(404, 409, 413, 415),
    doc={"requestBody": bodies.body_doc({bodies.JSON: wire.ActivateBody})},
)
def activate_strategy(
    query: dict[str, Any], headers: dict[str, Any], name: str
) -> Answer | Response:
    """Make a version the active one of an environment."""
    return _deploy("activate_strategy", wire.ActivateBody, name, query, headers)


@strategies.route(
    "POST",
    "/v1/strategies/<name>/deactivate",
    {200: wire.DeploymentView, 202: wire.SubmissionView},
    query=LongWaitQuery,
    headers=IdempotencyHeader,
    problems=(404, 409, 413, 415),
    doc={"requestBody": bodies.body_doc({bodies.JSON: wire.DeactivateBody})},
)
def deactivate_strategy(
    query: dict[str, Any], headers: dict[str, Any], name: str
) -> Answer | Response:
    """Leave an environment without an active version."""
    return _deploy("deactivate_strategy", wire.DeactivateBody, name, query, headers)


def _deploy(
    operation: str,
    schema: type[wire.DeactivateBody],
    name: str,
    query: dict[str, Any],
    headers: dict[str, Any],
) -> Answer | Response:
    return carry_out(
        operation,
        {"strategy": name, **bodies.load_json(schema)},
        wait_s=query["wait"],
        idempotency_key=headers["idempotency_key"],
        done=lambda _, result: Answer(deployment_of(result)),
    )
