"""Sources: append points, list, read."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from qmtl.models import api_registry as wire
from qmtl.models.strategy import SourceView
from qmtl.registry.db.point_store import PointSummary
from qmtl.web import bodies, paging
from qmtl.web.context import caller, services
from qmtl.web.resource import Resource

sources = Resource("sources", "External time series, and the points stored of them")


@sources.route(
    "POST",
    "/v1/sources/<name>/points",
    {200: wire.AppendedView},
    problems=(404, 413, 415),
    doc={
        "requestBody": bodies.body_doc(
            {
                bodies.JSON: wire.PointsBody,
                bodies.CSV: {"type": "string", "examples": ["ts,close\n2026-11-23,101.5\n"]},
            }
        )
    },
)
def append_points(name: str) -> Any:
    """Append points; those that are there already with equal values change nothing."""
    registry, tenant = services().registry, caller().tenant
    if bodies.require_content_type(bodies.JSON, bodies.CSV) == bodies.CSV:
        return registry.append_csv(tenant, name, bodies.load_text("CSV"))
    return registry.append_rows(tenant, name, bodies.load_json(wire.PointsBody)["points"])


@sources.route("GET", "/v1/sources", {200: paging.page_of(wire.SourceItem)}, query=paging.PageQuery)
def list_sources(query: dict[str, Any]) -> Any:
    """List sources by name."""
    limit = query["limit"]
    found = services().registry.list_sources(caller().tenant, after=query["after"], limit=limit + 1)
    return paging.page([_item(*pair) for pair in found], limit, lambda item: str(item["name"]))


@sources.route("GET", "/v1/sources/<name>", {200: wire.SourceItem}, problems=(404,))
def get_source(name: str) -> Any:
    """Show a source and how much of it is stored."""
    return _item(*services().registry.get_source(caller().tenant, name))


def _item(source: SourceView, stored: PointSummary) -> dict[str, Any]:
    return {**msgspec.structs.asdict(source), **dataclasses.asdict(stored)}
