"""The registry's graph in this process: versions are kept, everything else is derived from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from threading import RLock

from msgspec.structs import replace

from qmtl.common.errors import UnknownNode, UnknownSource, UnknownStrategy, UnknownVersion
from qmtl.models.datanode import NodeSpec, SourceSpec
from qmtl.models.strategy import (
    Deployment,
    Lineage,
    LineageEdge,
    NodeBinding,
    NodeView,
    SourceView,
    StrategySummary,
    StrategyVersion,
    VersionSummary,
)
from qmtl.registry.db.content import (
    bound_nodes,
    check_source,
    conflict,
    declared_sources,
    edges,
    union,
)
from qmtl.registry.db.graph_store import Direction
from qmtl.registry.db.walk import walk

LineKey = tuple[str, str, str]  # tenant, strategy, environment


class MemoryGraphStore:
    """``GraphStore`` for tests and local runs; one lock makes every method atomic."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._versions: dict[tuple[str, str, str], StrategyVersion] = {}  # oldest first
        self._bindings: dict[tuple[str, str, str], set[str]] = {}
        self._history: dict[LineKey, list[Deployment]] = {}  # oldest first

    def prepare(self) -> None:
        """Do nothing: dictionaries need no constraints."""

    def ping(self) -> None:
        """Return at once."""

    def add_version(self, version: StrategyVersion, bindings: Sequence[str]) -> bool:
        key = (version.tenant, version.strategy, version.version)
        with self._lock:
            self._check_sources(version, bindings)
            known = self._versions.get(key)
            if known is None:
                latest = max((v.created_at_ms for v in self._of(*key[:2])), default=0)
                created = max(version.created_at_ms, latest + 1)
                self._versions[key] = replace(version, created_at_ms=created)
            elif version.complete:
                self._versions[key] = replace(known, complete=True)
            self._bindings.setdefault(key, set()).update(bindings)
            return known is None

    def _check_sources(self, version: StrategyVersion, bindings: Sequence[str]) -> None:
        known: dict[str, SourceSpec] = {}
        declared = [s for _, s in self._declared(version.tenant)]
        for each in (*declared, *declared_sources(version, bindings)):
            first = known.setdefault(each.name, each)
            check_source(each, first.interval_ns, first.stamp)

    def _of(self, tenant: str, strategy: str) -> list[StrategyVersion]:
        """Return the versions of a strategy, oldest first."""
        return [v for v in self._versions.values() if (v.tenant, v.strategy) == (tenant, strategy)]

    def _require(self, tenant: str, strategy: str) -> list[StrategyVersion]:
        found = self._of(tenant, strategy)
        if not found:
            raise UnknownStrategy(f"There is no strategy {strategy!r}.")
        return found

    def _declared(self, tenant: str) -> Iterator[tuple[StrategyVersion, SourceSpec]]:
        for key, version in self._versions.items():
            if version.tenant == tenant:
                for source in declared_sources(version, self._bindings[key]):
                    yield version, source

    def _bound(self, tenant: str) -> Iterator[tuple[StrategyVersion, NodeSpec]]:
        for key, version in self._versions.items():
            if version.tenant == tenant:
                for node in bound_nodes(version.spec, self._bindings[key]):
                    yield version, node

    def get_version(self, tenant: str, strategy: str, version: str) -> StrategyVersion:
        with self._lock:
            self._require(tenant, strategy)
            found = self._versions.get((tenant, strategy, version))
            if found is None:
                raise UnknownVersion(f"The strategy {strategy!r} has no version {version!r}.")
            return found

    def list_strategies(self, tenant: str, *, after: str, limit: int) -> list[StrategySummary]:
        with self._lock:
            names = sorted({v.strategy for v in self._versions.values() if v.tenant == tenant})
            page = islice((n for n in names if n > after), limit)
            return [self._summary(tenant, name) for name in page]

    def _summary(self, tenant: str, name: str) -> StrategySummary:
        found = self._of(tenant, name)
        return StrategySummary(
            name=name,
            description=found[-1].spec.description,
            versions=len(found),
            latest_version=found[-1].version,
            active={d.environment: d.version for d in self.deployments(tenant, name) if d.version},
        )

    def list_versions(
        self, tenant: str, strategy: str, *, before_ms: int | None, limit: int
    ) -> list[VersionSummary]:
        with self._lock:
            found = reversed(self._require(tenant, strategy))
            page = (v for v in found if before_ms is None or v.created_at_ms < before_ms)
            return [self._version_summary(v) for v in islice(page, limit)]

    def _version_summary(self, version: StrategyVersion) -> VersionSummary:
        key = (version.tenant, version.strategy, version.version)
        return VersionSummary(
            strategy=version.strategy,
            version=version.version,
            source_digest=version.source_digest,
            created_at_ms=version.created_at_ms,
            created_by=version.created_by,
            description=version.spec.description,
            complete=version.complete,
            nodes=len(self._bindings[key]),
        )

    def deployments(self, tenant: str, strategy: str) -> list[Deployment]:
        return [
            d
            for d in self.all_deployments()
            if (d.tenant, d.strategy) == (tenant, strategy) and d.version is not None
        ]

    def active_in(self, tenant: str, environment: str) -> list[Deployment]:
        return [
            d
            for d in self.all_deployments()
            if (d.tenant, d.environment) == (tenant, environment) and d.version is not None
        ]

    def all_deployments(self) -> list[Deployment]:
        with self._lock:
            return [self._history[key][-1] for key in sorted(self._history)]

    def set_deployment(self, change: Deployment, *, expected: str | None) -> Deployment:
        with self._lock:
            self._require(change.tenant, change.strategy)
            if change.version is not None:
                self.get_version(change.tenant, change.strategy, change.version)
            key = (change.tenant, change.strategy, change.environment)
            history = self._history.get(key, [])
            for earlier in history:
                if change.operation is not None and earlier.operation == change.operation:
                    return earlier
            never = replace(change, version=None, operation=None)
            last = history[-1] if history else never
            if last.version == change.version and change.start_ns in (None, last.start_ns):
                return last
            if last.version != expected:
                raise conflict(change, last.version)
            earliest = last.since_ms + 1 if history else 0
            made = replace(change, since_ms=max(change.since_ms, earliest))
            self._history[key] = [*history, made]
            return made

    def activations(self, tenant: str, strategy: str, environment: str) -> list[Deployment]:
        with self._lock:
            return self._history.get((tenant, strategy, environment), [])[::-1]

    def get_node(self, tenant: str, node_id: str) -> NodeView:
        with self._lock:
            found = [(v, n) for v, n in self._bound(tenant) if n.node_id == node_id]
        if not found:
            raise UnknownNode(f"There is no node {node_id!r}.")
        return _view(found)

    def list_nodes(
        self, tenant: str, *, after: str, limit: int, tag: str | None = None
    ) -> list[NodeView]:
        with self._lock:
            bound = list(self._bound(tenant))
        chosen = sorted(
            {n.node_id for _, n in bound if n.node_id > after and (tag is None or tag in n.tags)}
        )[:limit]
        return [_view([(v, n) for v, n in bound if n.node_id == each]) for each in chosen]

    def lineage(self, tenant: str, node_id: str, *, direction: Direction, depth: int) -> Lineage:
        self.get_node(tenant, node_id)
        with self._lock:
            bound = list(self._bound(tenant))
        known = {
            (LineageEdge(reader=n.node_id, read=read, argument=argument), kind)
            for v, n in bound
            for kind, read, argument in edges(v.spec, n)
        }

        def edges_of(frontier: Sequence[str]) -> Iterator[tuple[LineageEdge, str]]:
            for edge, kind in known:
                if direction == "upstream" and edge.reader in frontier:
                    yield edge, kind
                elif direction == "downstream" and kind == "node" and edge.read in frontier:
                    yield edge, "node"

        def names_of(ids: Sequence[str]) -> dict[str, set[str]]:
            return {i: {f"{v.strategy}.{n.name}" for v, n in bound if n.node_id == i} for i in ids}

        return walk(node_id, direction=direction, depth=depth, edges_of=edges_of, names_of=names_of)

    def get_source(self, tenant: str, name: str) -> SourceView:
        with self._lock:
            return self._source(tenant, name)

    def list_sources(self, tenant: str, *, after: str, limit: int) -> list[SourceView]:
        with self._lock:
            names = sorted({s.name for _, s in self._declared(tenant) if s.name > after})
            return [self._source(tenant, name) for name in names[:limit]]

    def _source(self, tenant: str, name: str) -> SourceView:
        found = [(v, s) for v, s in self._declared(tenant) if s.name == name]
        if not found:
            raise UnknownSource(f"No registered strategy declares a source {name!r}.")
        found.sort(key=lambda pair: (pair[0].created_at_ms, pair[0].strategy, pair[1].columns))
        first = found[0][1]
        return SourceView(
            name=name,
            columns=union([s.columns for _, s in found]),
            interval_ns=first.interval_ns,
            stamp=first.stamp,
            strategies=tuple(sorted({v.strategy for v, _ in found})),
        )


def _view(bound: Sequence[tuple[StrategyVersion, NodeSpec]]) -> NodeView:
    first = bound[0][1]
    bindings = [
        NodeBinding(strategy=v.strategy, version=v.version, name=n.name, tags=n.tags)
        for v, n in bound
    ]
    return NodeView(
        node_id=first.node_id,
        code=first.code,
        params=first.params,
        interval_ns=first.interval_ns,
        bindings=tuple(sorted(bindings, key=lambda b: (b.strategy, b.version, b.name))),
    )
