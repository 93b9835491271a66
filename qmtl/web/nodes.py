"""Nodes: computations, whoever binds them, and what they rest on."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields, validate

from qmtl.models import api_registry as wire
from qmtl.models.api_fields import Wire
from qmtl.models.strategy import Submission
from qmtl.web import bodies, paging
from qmtl.web.context import caller, services
from qmtl.web.resource import Answer, IdempotencyHeader, LongWaitQuery, Resource
from qmtl.web.submitting import carry_out, check_source_size

nodes = Resource("nodes", "Computations, shared by every strategy that binds them")
MOST_DISTANCE = 1_000


class NodesQuery(paging.PageQuery):
    """A page of nodes, all or those with a tag."""

    tag = fields.String(load_default=None, validate=validate.Length(min=1, max=128))


class LineageQuery(Wire):
    """Which way to go, and how far."""

    direction = fields.String(
        load_default="upstream", validate=validate.OneOf(["upstream", "downstream"])
    )
    depth = fields.Integer(load_default=100, validate=validate.Range(1, MOST_DISTANCE))


@nodes.route(
    "POST",
    "/v1/nodes",
    {201: wire.SubmissionView, 202: wire.SubmissionView},
    query=LongWaitQuery,
    headers=IdempotencyHeader,
    problems=(404, 409, 413, 415),
    doc={"requestBody": bodies.body_doc({bodies.JSON: wire.RegisterNodeBody})},
)
def register_node(query: dict[str, Any], headers: dict[str, Any]) -> Answer | Response:
    """Register one binding of a module, with what it rests on."""
    wanted = bodies.load_json(wire.RegisterNodeBody)
    check_source_size(wanted["source"])
    return carry_out(
        "register_node",
        wanted,
        wait_s=query["wait"],
        idempotency_key=headers["idempotency_key"],
        done=_registered,
    )


def _registered(submission: Submission, result: dict[str, Any]) -> Answer:
    return Answer(submission, 201, {"Location": f"/v1/nodes/{result['node_id']}"})


@nodes.route("GET", "/v1/nodes", {200: paging.page_of(wire.NodeItem)}, query=NodesQuery)
def list_nodes(query: dict[str, Any]) -> Answer:
    """List nodes by id."""
    limit, tag = query["limit"], query["tag"]
    found = services().registry.list_nodes(
        caller().tenant,
        after=query["after"],
        limit=limit + 1,
        tag=None if tag is None else tag.upper(),
    )
    return paging.page(found, limit, lambda item: item.node_id)


@nodes.route("GET", "/v1/nodes/<node_id>", {200: wire.NodeItem}, problems=(404,))
def get_node(node_id: str) -> Any:
    """Show a node and who binds it."""
    return services().registry.get_node(caller().tenant, node_id)


@nodes.route(
    "GET",
    "/v1/nodes/<node_id>/lineage",
    {200: wire.LineageView},
    query=LineageQuery,
    problems=(404,),
)
def get_lineage(query: dict[str, Any], node_id: str) -> Any:
    """Show what a node rests on, or what rests on it."""
    return services().registry.lineage(
        caller().tenant, node_id, direction=query["direction"], depth=query["depth"]
    )
