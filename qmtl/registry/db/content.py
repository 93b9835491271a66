"""What a registration consists of: the part of a version that a set of bindings names."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from qmtl.common.errors import DeploymentConflict, SourceConflict
from qmtl.common.timeline import format_interval
from qmtl.models.datanode import NodeInput, NodeSpec, SourceInput, SourceSpec
from qmtl.models.strategy import Deployment, StrategySpec, StrategyVersion


def bound_nodes(spec: StrategySpec, bindings: Collection[str]) -> list[NodeSpec]:
    """Return the nodes of these bindings, in the specification's order."""
    wanted = set(bindings)
    return [n for n in spec.nodes if n.name in wanted]


def declared_sources(version: StrategyVersion, bindings: Collection[str]) -> list[SourceSpec]:
    """Return every source of a complete version, else those that the bindings read."""
    if version.complete:
        return list(version.spec.sources)
    read = {v for n in bound_nodes(version.spec, bindings) for v in n.sources()}
    return [s for s in version.spec.sources if s.variable in read]


def edges(spec: StrategySpec, node: NodeSpec) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, id, argument) of what a node reads: a node id or a source's name."""
    for each in node.inputs:
        if isinstance(each, NodeInput):
            upstream = spec.node(each.binding)
            if upstream is not None:
                yield "node", upstream.node_id, each.argument
        elif isinstance(each, SourceInput):
            yield "source", spec.source(each.variable).name, each.argument


def union(columns: Collection[Collection[str]]) -> tuple[str, ...]:
    """Return every column once, in the order in which they first stand."""
    return tuple(dict.fromkeys(c for group in columns for c in group))


def check_source(source: SourceSpec, interval_ns: int | None, stamp: str) -> None:
    """Compare a declaration with what is known of the source.

    Raises:
        SourceConflict: Interval or stamp differ.
    """
    if source.interval_ns == interval_ns and source.stamp == stamp:
        return
    known = "no interval" if interval_ns is None else f"interval {format_interval(interval_ns)!r}"
    raise SourceConflict(
        f"The source {source.name!r} is known with {known} and stamp {stamp!r}.",
        hint="Declare it so, or read another source.",
    )


def conflict(change: Deployment, active: str | None) -> DeploymentConflict:
    """Return the error that names what is active instead."""
    what = "nothing" if active is None else f"version {active}"
    return DeploymentConflict(
        f"{change.strategy!r} in {change.environment} was changed meanwhile: {what} is active.",
        hint="Read the deployment again and decide anew.",
    )
