"""Read sources from the graph: the union of what the versions of a tenant declare."""

from __future__ import annotations

from itertools import groupby

from neo4j import Record, Transaction

from qmtl.common.errors import UnknownSource
from qmtl.models.strategy import SourceView
from qmtl.registry.db.content import union

SOURCES = """
MATCH (s:Source {tenant: $tenant})
WHERE s.name > $after
WITH s ORDER BY s.name LIMIT $limit
MATCH (s)<-[d:DECLARES]-(:StrategyVersion)
WITH s.name AS name, s.interval_ns AS interval_ns, s.stamp AS stamp,
     d.strategy AS strategy, d.columns AS columns, min(d.since_ms) AS first_ms
RETURN name, interval_ns, stamp, strategy, columns, first_ms
ORDER BY name
"""

SOURCE = """
MATCH (s:Source {tenant: $tenant, name: $name})
MATCH (s)<-[d:DECLARES]-(:StrategyVersion)
WITH s.name AS name, s.interval_ns AS interval_ns, s.stamp AS stamp,
     d.strategy AS strategy, d.columns AS columns, min(d.since_ms) AS first_ms
RETURN name, interval_ns, stamp, strategy, columns, first_ms
"""


def get_source(tx: Transaction, tenant: str, name: str) -> SourceView:
    """Do ``GraphStore.get_source``."""
    records = list(tx.run(SOURCE, tenant=tenant, name=name))
    if not records:
        raise UnknownSource(f"No registered strategy declares a source {name!r}.")
    return _source(records)


def list_sources(tx: Transaction, tenant: str, *, after: str, limit: int) -> list[SourceView]:
    """Do ``GraphStore.list_sources``."""
    records = tx.run(SOURCES, tenant=tenant, after=after, limit=limit)
    return [_source(list(group)) for _, group in groupby(records, key=lambda r: r["name"])]


def _source(records: list[Record]) -> SourceView:
    """Fold the rows of one source: its columns stand in the order in which they came."""
    records = sorted(records, key=lambda r: (r["first_ms"], r["strategy"], r["columns"]))
    first = records[0]
    return SourceView(
        name=first["name"],
        columns=union([r["columns"] for r in records]),
        interval_ns=first["interval_ns"],
        stamp=first["stamp"],
        strategies=tuple(sorted({r["strategy"] for r in records})),
    )
