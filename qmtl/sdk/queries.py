"""A word about queries that match nothing in a local run, since they give ``{}`` in silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qmtl.models.datanode import NodeSpec, QueryInput
from qmtl.sdk.notices import warn

if TYPE_CHECKING:
    from qmtl.sdk.execution import LocalEngine
    from qmtl.sdk.line import Peer


def warn_of_empty_queries(
    engine: LocalEngine, nodes: Sequence[NodeSpec], peers: Sequence[Peer]
) -> None:
    """Warn, once for an engine, of each query of its nodes that matches no other strategy's."""
    for node in nodes:
        for given in node.inputs:
            name = f"{node.name}.{given.argument}"
            if not isinstance(given, QueryInput) or name in engine.warned:
                continue
            others = [p.spec for p in peers if p.spec.name != engine.spec.name]
            if not any(given.query.matches(s.name, n) for s in others for n in s.nodes):
                engine.warned.add(name)
                warn(_told(engine, name, given))


def _told(engine: LocalEngine, name: str, given: QueryInput) -> str:
    spec = engine.spec
    told = f"{spec.name}: the query {name} matches no node of another strategy, so it reads {{}}."
    own = [n.name for n in spec.nodes if given.query.matches(spec.name, n)]
    if own:
        return (
            f"{told} It would match {', '.join(own)}, but a query never reads its own strategy: "
            "name these as inputs."
        )
    return f"{told} Run it beside those that it shall read with qmtl.sdk.Analyzer."
