"""Histories: the results of a node from bucket to bucket."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from qmtl.models import api_history as wire
from qmtl.web.context import caller, services
from qmtl.web.resource import Resource

histories = Resource("histories", "Results of nodes from bucket to bucket")


@histories.route(
    "GET",
    "/v1/strategies/<name>/history",
    {200: wire.HistoryView},
    query=wire.HistoryQuery,
    problems=(404, 409),
)
def get_history(query: dict[str, Any], name: str) -> dict[str, Any]:
    """Show the latest results of a binding, when its history began, and what was replaced."""
    found = services().orchestrator.get_history(
        caller().tenant,
        name,
        query["environment"],
        query["binding"],
        count=query["count"],
        start_ns=query["start"],
        end_ns=query["end"],
    )
    return {
        "binding": found.binding,
        "node_id": found.node_id,
        "interval_ns": found.interval_ns,
        "origin_ns": found.origin_ns,
        "points": [
            {**asdict(point), "replaced": replaced, "stale": stale}
            for point, replaced, stale in zip(
                found.points, found.replaced, found.stale, strict=True
            )
        ],
    }
