"""Change and read which version of a strategy is active where.

The graph changes first, by compare-and-set, then the copy. A copy that could not be written would
go on naming another version, which no reader could tell; so ``Unavailable`` reaches the caller
there. The same call may then be made again: it finds the change made and writes the copy (a
deactivation that names no operation does so too, and then says that nothing is active).
"""

from __future__ import annotations

from qmtl.common.errors import IncompleteVersion, InvalidRequest, NotActive
from qmtl.models.strategy import ENVIRONMENTS, Deployment, StrategyVersion, VersionSummary
from qmtl.registry.db.graph_store import GraphStore
from qmtl.registry.db.state_store import StateStore
from qmtl.registry.services.registration import read_version

PAGE = 50


def activate_strategy(
    graph: GraphStore,
    state: StateStore,
    tenant: str,
    strategy: str,
    environment: str,
    *,
    version: str | None,
    expected: str | None,
    by: str,
    at_ms: int,
    start_ns: int | None = None,
    operation: str | None = None,
) -> Deployment:
    """Make a version the active one.

    Args:
        graph: Truth of deployments.
        state: Keeps their copies.
        tenant: Whose strategy.
        strategy: Its name.
        environment: Where.
        version: Which version; None for the newest complete one.
        expected: The version that the caller believes active, empty for none; None to take what
            is active now.
        by: Name of the caller's key.
        at_ms: When.
        start_ns: Where histories begin of nodes that the line does not know; None for the first
            bucket that is triggered.
        operation: Names this very request, which is then carried out once, however often it
            comes: a repeat returns what was made at first, whatever was changed since.

    Raises:
        InvalidRequest: There is no such environment.
        UnknownStrategy: No version of the strategy was ever registered.
        UnknownVersion: The strategy has no such version.
        IncompleteVersion: Only single nodes of it were registered.
        DeploymentConflict: Another version is active than ``expected``.
    """
    require_environment(environment)
    done = _made_before(graph, state, tenant, strategy, environment, operation)
    if done is not None:
        return done
    chosen = version or _newest_complete(graph, tenant, strategy)
    if not read_version(graph, state, tenant, strategy, chosen).complete:
        raise _incomplete(strategy, chosen)
    active = _active(graph, tenant, strategy, environment)
    change = Deployment(
        tenant=tenant,
        strategy=strategy,
        environment=environment,
        version=chosen,
        since_ms=at_ms,
        by=by,
        operation=operation,
        start_ns=start_ns,
    )
    return _changed(graph, state, change, active if expected is None else expected or None)


def deactivate_strategy(
    graph: GraphStore,
    state: StateStore,
    tenant: str,
    strategy: str,
    environment: str,
    *,
    expected: str | None,
    by: str,
    at_ms: int,
    operation: str | None = None,
) -> Deployment:
    """Leave the strategy without an active version there; arguments as for activation.

    Raises:
        InvalidRequest: There is no such environment.
        UnknownStrategy: No version of the strategy was ever registered.
        NotActive: No version is active there.
        DeploymentConflict: Another version is active than ``expected``.
    """
    require_environment(environment)
    done = _made_before(graph, state, tenant, strategy, environment, operation)
    if done is not None:
        return done
    active = _active(graph, tenant, strategy, environment)
    if active is None:
        _repair_ended(graph, state, tenant, strategy, environment)
        raise not_active(graph, tenant, strategy, environment)
    change = Deployment(
        tenant=tenant,
        strategy=strategy,
        environment=environment,
        version=None,
        since_ms=at_ms,
        by=by,
        operation=operation,
    )
    return _changed(graph, state, change, active if expected is None else expected or None)


def _changed(
    graph: GraphStore, state: StateStore, change: Deployment, expected: str | None
) -> Deployment:
    """Change the deployment where ``expected`` is active: the graph first, then its copy."""
    made = graph.set_deployment(change, expected=expected)
    state.put_deployment(made)
    return made


def _made_before(
    graph: GraphStore,
    state: StateStore,
    tenant: str,
    strategy: str,
    environment: str,
    operation: str | None,
) -> Deployment | None:
    """Return what an operation made when it was carried out before; its copy may be missing."""
    if operation is None:
        return None
    history = graph.activations(tenant, strategy, environment)
    made = next((d for d in history if d.operation == operation), None)
    if made is not None:
        state.put_deployments(history[:1])
    return made


def _repair_ended(
    graph: GraphStore, state: StateStore, tenant: str, strategy: str, environment: str
) -> None:
    """Write the copy that an earlier deactivation may have left unwritten."""
    state.put_deployments(graph.activations(tenant, strategy, environment)[:1])


def read_deployment(
    graph: GraphStore, state: StateStore, tenant: str, strategy: str, environment: str
) -> Deployment | None:
    """Return the active deployment from its copy, or from the graph, repairing the copy."""
    require_environment(environment)
    found = state.get_deployment(tenant, strategy, environment)
    if found is None:
        kept = graph.deployments(tenant, strategy)
        found = next((d for d in kept if d.environment == environment), None)
        if found is not None:
            state.put_deployment(found)
    return None if found is None or found.version is None else found


def active_version(
    graph: GraphStore, state: StateStore, tenant: str, strategy: str, environment: str
) -> StrategyVersion:
    """Return the version that is active there.

    Raises:
        InvalidRequest: There is no such environment.
        UnknownStrategy: No version of the strategy was ever registered.
        NotActive: No version is active there.
    """
    found = read_deployment(graph, state, tenant, strategy, environment)
    if found is None or found.version is None:
        raise not_active(graph, tenant, strategy, environment)
    return read_version(graph, state, tenant, strategy, found.version)


def active_versions(
    graph: GraphStore, state: StateStore, tenant: str, environment: str
) -> list[StrategyVersion]:
    """Return every version that is active in an environment, by strategy.

    Raises:
        InvalidRequest: There is no such environment.
    """
    require_environment(environment)
    return [
        read_version(graph, state, tenant, d.strategy, d.version)
        for d in graph.active_in(tenant, environment)
        if d.version is not None
    ]


def repair_copies(graph: GraphStore, state: StateStore) -> int:
    """Copy every deployment from the graph; return how many there are."""
    known = graph.all_deployments()
    state.put_deployments(known)
    return len(known)


def require_environment(environment: str) -> None:
    """Make sure that an environment exists.

    Raises:
        InvalidRequest: It does not.
    """
    if environment not in ENVIRONMENTS:
        hint = f"Name one of {', '.join(ENVIRONMENTS)}."
        raise InvalidRequest(
            f"There is no environment {environment!r}.", hint=hint, fields={"environment": [hint]}
        )


def not_active(graph: GraphStore, tenant: str, strategy: str, environment: str) -> NotActive:
    """Return the error that says how to go on.

    Raises:
        UnknownStrategy: There is not even such a strategy.
    """
    graph.list_versions(tenant, strategy, before_ms=None, limit=1)
    return NotActive(
        f"No version of {strategy!r} is active in {environment}.",
        hint=f"Activate one (qmtl activate {strategy} --environment {environment}), "
        "or name a version.",
    )


def _active(graph: GraphStore, tenant: str, strategy: str, environment: str) -> str | None:
    known = graph.deployments(tenant, strategy)
    return next((d.version for d in known if d.environment == environment), None)


def _newest_complete(graph: GraphStore, tenant: str, strategy: str) -> str:
    before_ms: int | None = None
    page: list[VersionSummary] = graph.list_versions(
        tenant, strategy, before_ms=before_ms, limit=PAGE
    )
    last = page[0].version
    while page:
        for each in page:
            if each.complete:
                return each.version
        before_ms = page[-1].created_at_ms
        page = graph.list_versions(tenant, strategy, before_ms=before_ms, limit=PAGE)
    raise _incomplete(strategy, last)


def _incomplete(strategy: str, version: str) -> IncompleteVersion:
    return IncompleteVersion(
        f"Only single nodes of version {version} of {strategy!r} were registered.",
        hint="Submit the whole strategy first.",
    )
