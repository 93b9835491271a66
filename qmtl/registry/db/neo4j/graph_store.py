"""The registry's graph over Bolt: Neo4j, or another server that speaks Bolt and openCypher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar
from uuid import uuid4

from neo4j import Driver, Transaction

from qmtl.common.db.connection import run_read, run_write
from qmtl.models.strategy import (
    Deployment,
    Lineage,
    NodeView,
    SourceView,
    StrategySummary,
    StrategyVersion,
    VersionSummary,
)
from qmtl.registry.db.graph_store import Direction
from qmtl.registry.db.neo4j import deployments, nodes, registration, schema, sources, versions

T = TypeVar("T")


class Neo4jGraphStore:
    """``GraphStore`` whose every method is one transaction of the graph server."""

    def __init__(self, driver: Driver, database: str) -> None:
        self._driver = driver
        self._database = database

    def _read(self, work: Callable[[Transaction], T]) -> T:
        return run_read(self._driver, self._database, work)

    def _write(self, work: Callable[[Transaction], T]) -> T:
        return run_write(self._driver, self._database, work)

    def prepare(self) -> None:
        for statement in schema.CONSTRAINTS:
            self._write(partial(schema.create_constraint, statement=statement))

    def ping(self) -> None:
        self._read(lambda tx: tx.run("RETURN 1").consume())

    def add_version(self, version: StrategyVersion, bindings: Sequence[str]) -> bool:
        token = uuid4().hex
        return self._write(lambda tx: registration.add_version(tx, version, bindings, token))

    def get_version(self, tenant: str, strategy: str, version: str) -> StrategyVersion:
        return self._read(lambda tx: versions.get_version(tx, tenant, strategy, version))

    def list_strategies(self, tenant: str, *, after: str, limit: int) -> list[StrategySummary]:
        return self._read(lambda tx: versions.list_strategies(tx, tenant, after=after, limit=limit))

    def list_versions(
        self, tenant: str, strategy: str, *, before_ms: int | None, limit: int
    ) -> list[VersionSummary]:
        return self._read(
            lambda tx: versions.list_versions(
                tx, tenant, strategy, before_ms=before_ms, limit=limit
            )
        )

    def deployments(self, tenant: str, strategy: str) -> list[Deployment]:
        return self._read(lambda tx: deployments.deployments(tx, tenant, strategy))

    def active_in(self, tenant: str, environment: str) -> list[Deployment]:
        return self._read(lambda tx: deployments.active_in(tx, tenant, environment))

    def all_deployments(self) -> list[Deployment]:
        return self._read(deployments.all_deployments)

    def set_deployment(self, change: Deployment, *, expected: str | None) -> Deployment:
        return self._write(lambda tx: deployments.set_deployment(tx, change, expected=expected))

    def activations(self, tenant: str, strategy: str, environment: str) -> list[Deployment]:
        return self._read(lambda tx: deployments.activations(tx, tenant, strategy, environment))

    def get_node(self, tenant: str, node_id: str) -> NodeView:
        return self._read(lambda tx: nodes.get_node(tx, tenant, node_id))

    def list_nodes(
        self, tenant: str, *, after: str, limit: int, tag: str | None = None
    ) -> list[NodeView]:
        return self._read(
            lambda tx: nodes.list_nodes(tx, tenant, after=after, limit=limit, tag=tag)
        )

    def lineage(self, tenant: str, node_id: str, *, direction: Direction, depth: int) -> Lineage:
        return self._read(
            lambda tx: nodes.lineage(tx, tenant, node_id, direction=direction, depth=depth)
        )

    def get_source(self, tenant: str, name: str) -> SourceView:
        return self._read(lambda tx: sources.get_source(tx, tenant, name))

    def list_sources(self, tenant: str, *, after: str, limit: int) -> list[SourceView]:
        return self._read(lambda tx: sources.list_sources(tx, tenant, after=after, limit=limit))
