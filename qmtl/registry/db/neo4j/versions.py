"""Read strategies and their versions from the graph."""

from __future__ import annotations

from typing import Any

import msgspec
from neo4j import Record, Transaction

from qmtl.common.errors import UnknownStrategy, UnknownVersion
from qmtl.models.strategy import StrategySpec, StrategySummary, StrategyVersion, VersionSummary

STRATEGY = """
MATCH (s:Strategy {tenant: $tenant, name: $strategy}) RETURN s.name AS name
"""

VERSION = """
MATCH (v:StrategyVersion {tenant: $tenant, strategy: $strategy, version: $version})
RETURN v.version AS version, v.source_digest AS source_digest, v.source_text AS source_text,
       v.spec AS spec, v.complete AS complete, v.created_at_ms AS created_at_ms,
       v.created_by AS created_by
"""

STRATEGIES = """
MATCH (s:Strategy {tenant: $tenant})
WHERE s.name > $after
WITH s ORDER BY s.name LIMIT $limit
MATCH (s)-[:HAS_VERSION]->(v:StrategyVersion)
WITH s, count(v) AS versions
MATCH (last:StrategyVersion {tenant: $tenant, strategy: s.name})
WHERE last.created_at_ms = s.latest_ms
OPTIONAL MATCH (d:Deployment {tenant: $tenant, strategy: s.name})
WHERE d.version IS NOT NULL
RETURN s.name AS name, versions, last.version AS latest_version,
       last.description AS description,
       collect({environment: d.environment, version: d.version}) AS active
ORDER BY name
"""

VERSIONS = """
MATCH (v:StrategyVersion {tenant: $tenant, strategy: $strategy})
WHERE v.created_at_ms < $before_ms
WITH v ORDER BY v.created_at_ms DESC LIMIT $limit
OPTIONAL MATCH (v)-[b:BINDS]->(:DataNode)
RETURN v.version AS version, v.source_digest AS source_digest, v.complete AS complete,
       v.created_at_ms AS created_at_ms, v.created_by AS created_by,
       v.description AS description, count(b) AS nodes
ORDER BY created_at_ms DESC
"""

END_OF_TIME_MS = 2**62


def get_version(tx: Transaction, tenant: str, strategy: str, version: str) -> StrategyVersion:
    """Do ``GraphStore.get_version``."""
    record = tx.run(VERSION, tenant=tenant, strategy=strategy, version=version).single()
    if record is None:
        require_strategy(tx, tenant, strategy)
        raise unknown_version(strategy, version)
    return StrategyVersion(
        tenant=tenant,
        version=record["version"],
        source_digest=record["source_digest"],
        source_text=record["source_text"],
        spec=msgspec.json.decode(record["spec"], type=StrategySpec),
        created_at_ms=record["created_at_ms"],
        created_by=record["created_by"],
        complete=record["complete"],
    )


def require_strategy(tx: Transaction, tenant: str, strategy: str) -> None:
    """Make sure that a version of the strategy was registered.

    Raises:
        UnknownStrategy: None was.
    """
    if tx.run(STRATEGY, tenant=tenant, strategy=strategy).single() is None:
        raise UnknownStrategy(f"There is no strategy {strategy!r}.")


def unknown_version(strategy: str, version: str) -> UnknownVersion:
    """Return the error that names what was looked for."""
    return UnknownVersion(f"The strategy {strategy!r} has no version {version!r}.")


def list_strategies(
    tx: Transaction, tenant: str, *, after: str, limit: int
) -> list[StrategySummary]:
    """Do ``GraphStore.list_strategies``."""
    records = tx.run(STRATEGIES, tenant=tenant, after=after, limit=limit)
    return [_strategy(r) for r in records]


def _strategy(record: Record) -> StrategySummary:
    active: list[dict[str, Any]] = record["active"]
    return StrategySummary(
        name=record["name"],
        description=record["description"],
        versions=record["versions"],
        latest_version=record["latest_version"],
        # A strategy with no deployment gives one map of nulls.
        active={
            each["environment"]: each["version"]
            for each in sorted(active, key=lambda e: e["environment"] or "")
            if each["version"] is not None
        },
    )


def list_versions(
    tx: Transaction, tenant: str, strategy: str, *, before_ms: int | None, limit: int
) -> list[VersionSummary]:
    """Do ``GraphStore.list_versions``."""
    require_strategy(tx, tenant, strategy)
    before = END_OF_TIME_MS if before_ms is None else before_ms
    records = tx.run(VERSIONS, tenant=tenant, strategy=strategy, before_ms=before, limit=limit)
    return [
        VersionSummary(
            strategy=strategy,
            version=r["version"],
            source_digest=r["source_digest"],
            created_at_ms=r["created_at_ms"],
            created_by=r["created_by"],
            description=r["description"],
            complete=r["complete"],
            nodes=r["nodes"],
        )
        for r in records
    ]
