"""Register strategies and single nodes: the graph first, then the copy for the hot path.

Where the graph took a registration and the copy could not be written, the registration stands:
a copy that is not there is an absence, which ``read_version`` repairs from the graph.
"""

from __future__ import annotations

from contextlib import suppress

from qmtl.common.errors import Unavailable, UnknownTarget
from qmtl.graph.identity import source_digest, strategy_version
from qmtl.models.strategy import NodeView, StrategySpec, StrategyVersion
from qmtl.registry.db.graph_store import GraphStore
from qmtl.registry.db.state_store import StateStore


def register_strategy(
    graph: GraphStore,
    state: StateStore,
    tenant: str,
    *,
    by: str,
    source_text: str,
    spec: StrategySpec,
    at_ms: int,
) -> tuple[StrategyVersion, bool]:
    """Register a whole version.

    Returns:
        The version as it is kept, and whether it is new.

    Raises:
        SourceConflict: A source is known to the tenant with another interval or stamp.
    """
    version = _version(tenant, by, source_text, spec, at_ms, complete=True)
    created = graph.add_version(version, [n.name for n in spec.nodes])
    kept = graph.get_version(tenant, spec.name, version.version)
    _keep_copy(state, kept)
    return kept, created


def register_node(
    graph: GraphStore,
    state: StateStore,
    tenant: str,
    *,
    by: str,
    source_text: str,
    spec: StrategySpec,
    binding: str,
    at_ms: int,
) -> NodeView:
    """Register one node of a version with everything it rests on.

    Raises:
        UnknownTarget: The specification binds no node of that name.
        SourceConflict: A source is known to the tenant with another interval or stamp.
    """
    node = spec.node(binding)
    if node is None:
        raise UnknownTarget(
            f"The strategy {spec.name!r} binds no node {binding!r}.",
            hint=f"It binds {', '.join(n.name for n in spec.nodes)}.",
        )
    version = _version(tenant, by, source_text, spec, at_ms, complete=False)
    graph.add_version(version, with_ancestors(spec, binding))
    _keep_copy(state, graph.get_version(tenant, spec.name, version.version))
    return graph.get_node(tenant, node.node_id)


def with_ancestors(spec: StrategySpec, binding: str) -> list[str]:
    """Return a binding and all that it rests on, in the specification's order."""
    found = {binding}
    for node in reversed(spec.nodes):  # readers before what they read
        if node.name in found:
            found.update(node.upstream())
    return [n.name for n in spec.nodes if n.name in found]


def read_version(
    graph: GraphStore, state: StateStore, tenant: str, strategy: str, version: str
) -> StrategyVersion:
    """Return a version from its copy, or from the graph, repairing the copy.

    Raises:
        UnknownStrategy: No version of the strategy was ever registered.
        UnknownVersion: The strategy has no such version.
    """
    copy = state.get_version(tenant, strategy, version)
    if copy is not None and copy.complete:  # an incomplete one may have been completed since
        return copy
    kept = graph.get_version(tenant, strategy, version)
    _keep_copy(state, kept)
    return kept


def _keep_copy(state: StateStore, version: StrategyVersion) -> None:
    with suppress(Unavailable):
        state.put_version(version)


def _version(
    tenant: str, by: str, source_text: str, spec: StrategySpec, at_ms: int, *, complete: bool
) -> StrategyVersion:
    return StrategyVersion(
        tenant=tenant,
        version=strategy_version(spec.name, source_text),
        source_digest=source_digest(source_text),
        source_text=source_text,
        spec=spec,
        created_at_ms=at_ms,
        created_by=by,
        complete=complete,
    )
