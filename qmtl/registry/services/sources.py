"""What the registry declares of sources, joined with what is stored of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qmtl.models.points import points_from_csv, points_from_rows
from qmtl.models.strategy import SourceView
from qmtl.registry.db.graph_store import GraphStore
from qmtl.registry.db.point_store import Appended, PointStore, PointSummary


def get_source(
    graph: GraphStore, points: PointStore, tenant: str, name: str
) -> tuple[SourceView, PointSummary]:
    """Return a source and how much is stored of it.

    Raises:
        UnknownSource: No registered version of the tenant declares it.
    """
    return graph.get_source(tenant, name), points.summaries(tenant, [name])[0]


def list_sources(
    graph: GraphStore, points: PointStore, tenant: str, *, after: str, limit: int
) -> list[tuple[SourceView, PointSummary]]:
    """Return sources by name, each with how much is stored of it."""
    views = graph.list_sources(tenant, after=after, limit=limit)
    summaries = points.summaries(tenant, [v.name for v in views])
    return list(zip(views, summaries, strict=True))


def append_rows(
    graph: GraphStore,
    points: PointStore,
    tenant: str,
    source: str,
    rows: Sequence[Mapping[str, Any]],
) -> Appended:
    """Add points given as rows with ``ts`` and every column that any strategy declares.

    Raises:
        UnknownSource: No registered version of the tenant declares the source.
        InvalidPoint: Names the first row and column that cannot be used; nothing is added.
    """
    columns = graph.get_source(tenant, source).columns
    return points.append(tenant, source, points_from_rows(rows, columns))


def append_csv(
    graph: GraphStore, points: PointStore, tenant: str, source: str, text: str
) -> Appended:
    """Add points given as CSV; as ``append_rows``."""
    columns = graph.get_source(tenant, source).columns
    return points.append(tenant, source, points_from_csv(text, columns))
