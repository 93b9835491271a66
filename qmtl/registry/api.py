"""The registry as the rest of the system sees it: every operation, none of the stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qmtl.common.errors import Unavailable
from qmtl.models.strategy import (
    Deployment,
    Lineage,
    NodeView,
    SourceView,
    StrategySpec,
    StrategySummary,
    StrategyVersion,
    VersionSummary,
)
from qmtl.registry.db.graph_store import Direction, GraphStore
from qmtl.registry.db.point_store import Appended, PointStore, PointSummary
from qmtl.registry.db.state_store import StateStore
from qmtl.registry.services import activation, lineage, registration, sources


class Registry:
    """Strategies, nodes, sources and deployments of every tenant.

    What a method may raise stands at the function it calls; each may raise ``Unavailable``.
    """

    def __init__(self, graph: GraphStore, state: StateStore, points: PointStore) -> None:
        self._graph = graph
        self._state = state
        self._points = points

    def prepare(self) -> None:
        """Make the graph's constraints. Idempotent."""
        self._graph.prepare()

    def ping(self) -> dict[str, str | None]:
        """Return what is wrong with each store, None where nothing is."""
        return {"graph": _trouble(self._graph.ping), "state": _trouble(self._state.ping)}

    # --- registration --------------------------------------------------------------------------

    def register_strategy(
        self, tenant: str, *, by: str, source_text: str, spec: StrategySpec, at_ms: int
    ) -> tuple[StrategyVersion, bool]:
        """Register a whole version; return it as it is kept, and whether it is new."""
        return registration.register_strategy(
            self._graph,
            self._state,
            tenant,
            by=by,
            source_text=source_text,
            spec=spec,
            at_ms=at_ms,
        )

    def register_node(
        self,
        tenant: str,
        *,
        by: str,
        source_text: str,
        spec: StrategySpec,
        binding: str,
        at_ms: int,
    ) -> NodeView:
        """Register one node with all that it rests on; its version stays incomplete."""
        return registration.register_node(
            self._graph,
            self._state,
            tenant,
            by=by,
            source_text=source_text,
            spec=spec,
            binding=binding,
            at_ms=at_ms,
        )

    def get_nodes(self, tenant: str, strategy: str, version: str) -> StrategyVersion:
        """Return a version with its nodes, from the copy where there is one."""
        return registration.read_version(self._graph, self._state, tenant, strategy, version)

    # --- activation ----------------------------------------------------------------------------

    def activate_strategy(
        self,
        tenant: str,
        strategy: str,
        environment: str,
        *,
        version: str | None,
        expected: str | None = None,
        by: str,
        at_ms: int,
        start_ns: int | None = None,
        operation: str | None = None,
    ) -> Deployment:
        """Make a version (None: the newest complete one) active where ``expected`` is."""
        return activation.activate_strategy(
            self._graph,
            self._state,
            tenant,
            strategy,
            environment,
            version=version,
            expected=expected,
            by=by,
            at_ms=at_ms,
            start_ns=start_ns,
            operation=operation,
        )

    def deactivate_strategy(
        self,
        tenant: str,
        strategy: str,
        environment: str,
        *,
        expected: str | None = None,
        by: str,
        at_ms: int,
        operation: str | None = None,
    ) -> Deployment:
        """Leave the strategy without an active version there."""
        return activation.deactivate_strategy(
            self._graph,
            self._state,
            tenant,
            strategy,
            environment,
            expected=expected,
            by=by,
            at_ms=at_ms,
            operation=operation,
        )

    def active_version(self, tenant: str, strategy: str, environment: str) -> StrategyVersion:
        """Return the version that is active there."""
        return activation.active_version(self._graph, self._state, tenant, strategy, environment)

    def active_versions(self, tenant: str, environment: str) -> list[StrategyVersion]:
        """Return every version that is active in an environment, by strategy."""
        return activation.active_versions(self._graph, self._state, tenant, environment)

    def deployment(self, tenant: str, strategy: str, environment: str) -> Deployment | None:
        """Return the active deployment, None where nothing is active."""
        return activation.read_deployment(self._graph, self._state, tenant, strategy, environment)

    def deployments(self, tenant: str, strategy: str) -> list[Deployment]:
        """Return the strategy's active deployments by environment."""
        return self._graph.deployments(tenant, strategy)

    def activations(self, tenant: str, strategy: str, environment: str) -> list[Deployment]:
        """Return the history of a deployment, newest first."""
        activation.require_environment(environment)
        return self._graph.activations(tenant, strategy, environment)

    def repair_copies(self) -> int:
        """Copy every deployment from the graph to the state; return how many there are."""
        return activation.repair_copies(self._graph, self._state)

    # --- reading -------------------------------------------------------------------------------

    def list_strategies(self, tenant: str, *, after: str, limit: int) -> list[StrategySummary]:
        """Return strategies by name, behind ``after``."""
        return self._graph.list_strategies(tenant, after=after, limit=limit)

    def list_versions(
        self, tenant: str, strategy: str, *, before_ms: int | None, limit: int
    ) -> list[VersionSummary]:
        """Return versions, newest first."""
        return self._graph.list_versions(tenant, strategy, before_ms=before_ms, limit=limit)

    def get_version(self, tenant: str, strategy: str, version: str) -> StrategyVersion:
        """Return a version from the graph."""
        return self._graph.get_version(tenant, strategy, version)

    def get_node(self, tenant: str, node_id: str) -> NodeView:
        """Return a node and its bindings."""
        return self._graph.get_node(tenant, node_id)

    def list_nodes(
        self, tenant: str, *, after: str, limit: int, tag: str | None = None
    ) -> list[NodeView]:
        """Return nodes by id, all or those that bear a tag (upper case)."""
        return self._graph.list_nodes(tenant, after=after, limit=limit, tag=tag)

    def lineage(self, tenant: str, node_id: str, *, direction: Direction, depth: int) -> Lineage:
        """Return what a node rests on, or what rests on it."""
        return lineage.read_lineage(self._graph, tenant, node_id, direction=direction, depth=depth)

    # --- sources -------------------------------------------------------------------------------

    def get_source(self, tenant: str, name: str) -> tuple[SourceView, PointSummary]:
        """Return a source and how much is stored of it."""
        return sources.get_source(self._graph, self._points, tenant, name)

    def list_sources(
        self, tenant: str, *, after: str, limit: int
    ) -> list[tuple[SourceView, PointSummary]]:
        """Return sources by name, behind ``after``."""
        return sources.list_sources(self._graph, self._points, tenant, after=after, limit=limit)

    def append_rows(self, tenant: str, source: str, rows: Sequence[Mapping[str, Any]]) -> Appended:
        """Add points given as rows."""
        return sources.append_rows(self._graph, self._points, tenant, source, rows)

    def append_csv(self, tenant: str, source: str, text: str) -> Appended:
        """Add points given as CSV."""
        return sources.append_csv(self._graph, self._points, tenant, source, text)


def _trouble(ping: Callable[[], None]) -> str | None:
    try:
        ping()
    except Unavailable as error:
        return str(error)
    return None
