"""Read and change in the graph which versions are active."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict, replace
from neo4j import Transaction

from qmtl.common.db.connection import Collision
from qmtl.models.strategy import Deployment
from qmtl.registry.db.content import conflict
from qmtl.registry.db.neo4j.versions import require_strategy, unknown_version

# A compare-and-set must hold the write lock before it reads: setting ``touched`` takes it. With a
# bare ``MATCH … WHERE d.version = $expected SET …`` two callers win the same version.
LOCK_DEPLOYMENT = """
MERGE (d:Deployment {tenant: $tenant, strategy: $strategy, environment: $environment})
SET d.touched = coalesce(d.touched, 0) + 1
WITH d
RETURN d.version AS version, d.since_ms AS since_ms, d.by AS by, d.operation AS operation,
       d.start_ns AS start_ns
"""

VERSION_IS_THERE = """
MATCH (v:StrategyVersion {tenant: $tenant, strategy: $strategy, version: $version})
RETURN v.version AS version
"""

CHANGE = """
MATCH (d:Deployment {tenant: $tenant, strategy: $strategy, environment: $environment})
SET d.version = $version, d.since_ms = $since_ms, d.by = $by, d.operation = $operation,
    d.start_ns = $start_ns
CREATE (:Activation {tenant: $tenant, strategy: $strategy, environment: $environment,
                     version: $version, since_ms: $since_ms, by: $by, operation: $operation,
                     start_ns: $start_ns})
RETURN d.version AS version
"""

_FIELDS = """
RETURN d.tenant AS tenant, d.strategy AS strategy, d.environment AS environment,
       d.version AS version, d.since_ms AS since_ms, d.by AS by, d.operation AS operation,
       d.start_ns AS start_ns
"""

MADE_BY = (
    """
MATCH (d:Activation {tenant: $tenant, strategy: $strategy, environment: $environment,
                     operation: $operation})
"""
    + _FIELDS
)

ACTIVE = (
    """
MATCH (d:Deployment {tenant: $tenant, strategy: $strategy})
WHERE d.version IS NOT NULL
"""
    + _FIELDS
    + "ORDER BY environment"
)

ACTIVE_IN = (
    """
MATCH (d:Deployment {tenant: $tenant, environment: $environment})
WHERE d.version IS NOT NULL
"""
    + _FIELDS
    + "ORDER BY strategy"
)

ALL = (
    """
MATCH (d:Deployment)
WHERE d.since_ms IS NOT NULL
"""
    + _FIELDS
    + "ORDER BY tenant, strategy, environment"
)

HISTORY = (
    """
MATCH (d:Activation {tenant: $tenant, strategy: $strategy, environment: $environment})
"""
    + _FIELDS
    + "ORDER BY since_ms DESC"
)


def set_deployment(tx: Transaction, change: Deployment, *, expected: str | None) -> Deployment:
    """Do ``GraphStore.set_deployment`` inside one transaction."""
    key = {
        "tenant": change.tenant,
        "strategy": change.strategy,
        "environment": change.environment,
    }
    _require_version(tx, change)
    current = tx.run(LOCK_DEPLOYMENT, key).single()
    if current is None:
        raise Collision
    if change.operation is not None:
        earlier = tx.run(MADE_BY, key, operation=change.operation).single()
        if earlier is not None:
            return _deployment(earlier)
    same_start = change.start_ns in (None, current["start_ns"])
    if current["version"] == change.version and same_start:
        return _deployment({**key, **current.data()}, change)
    if current["version"] != expected:
        raise conflict(change, current["version"])
    since_ms = max(change.since_ms, (current["since_ms"] or 0) + 1)
    made = replace(change, since_ms=since_ms)
    if tx.run(CHANGE, asdict(made)).single() is None:
        raise Collision
    return made


def _require_version(tx: Transaction, change: Deployment) -> None:
    if change.version is not None:
        key = {
            "tenant": change.tenant,
            "strategy": change.strategy,
            "version": change.version,
        }
        if tx.run(VERSION_IS_THERE, key).single() is not None:
            return
    require_strategy(tx, change.tenant, change.strategy)
    if change.version is not None:
        raise unknown_version(change.strategy, change.version)


def _deployment(fields: Mapping[str, Any], change: Deployment | None = None) -> Deployment:
    """Read a deployment; where none was ever made, ``change`` says since when it is known."""
    return Deployment(
        tenant=fields["tenant"],
        strategy=fields["strategy"],
        environment=fields["environment"],
        version=fields["version"],
        since_ms=fields["since_ms"] or (change.since_ms if change else 0),
        by=fields["by"] or (change.by if change else ""),
        operation=fields["operation"],
        start_ns=fields["start_ns"],
    )


def deployments(tx: Transaction, tenant: str, strategy: str) -> list[Deployment]:
    """Do ``GraphStore.deployments``."""
    return [_deployment(r) for r in tx.run(ACTIVE, tenant=tenant, strategy=strategy)]


def active_in(tx: Transaction, tenant: str, environment: str) -> list[Deployment]:
    """Do ``GraphStore.active_in``."""
    return [_deployment(r) for r in tx.run(ACTIVE_IN, tenant=tenant, environment=environment)]


def all_deployments(tx: Transaction) -> list[Deployment]:
    """Do ``GraphStore.all_deployments``."""
    return [_deployment(r) for r in tx.run(ALL)]


def activations(tx: Transaction, tenant: str, strategy: str, environment: str) -> list[Deployment]:
    """Do ``GraphStore.activations``."""
    records = tx.run(HISTORY, tenant=tenant, strategy=strategy, environment=environment)
    return [_deployment(r) for r in records]
