"""Read nodes and their lineage from the graph.

The vertex that a key names is matched on its own before anything is followed from it: the embedded
server then starts at its index, where for one longer pattern it may start at the other end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from neo4j import Record, Transaction

from qmtl.common.errors import UnknownNode
from qmtl.models.strategy import Lineage, LineageEdge, NodeBinding, NodeView
from qmtl.registry.db.graph_store import Direction
from qmtl.registry.db.walk import walk

_VIEW = """
MATCH (n)<-[b:BINDS]-(:StrategyVersion)
RETURN n.node_id AS node_id, n.code AS code, n.params AS params, n.interval_ns AS interval_ns,
       collect({strategy: b.strategy, version: b.version, name: b.name, tags: b.tags}) AS bindings
ORDER BY node_id
"""

NODE = (
    """
MATCH (n:DataNode {tenant: $tenant, node_id: $node_id})
"""
    + _VIEW
)

NODES = (
    """
MATCH (n:DataNode {tenant: $tenant})
WHERE n.node_id > $after
WITH n ORDER BY n.node_id LIMIT $limit
"""
    + _VIEW
)

TAGGED_NODES = (
    """
MATCH (t:Tag {tenant: $tenant, name: $tag})
MATCH (t)<-[:TAGGED]-(n:DataNode)
WHERE n.node_id > $after
WITH n ORDER BY n.node_id LIMIT $limit
"""
    + _VIEW
)

UPSTREAM = """
UNWIND $frontier AS node_id
MATCH (n:DataNode {tenant: $tenant, node_id: node_id})
MATCH (n)-[d:DEPENDS_ON]->(m)
RETURN n.node_id AS reader, d.argument AS argument, m.node_id AS read, m.name AS source
"""

DOWNSTREAM = """
UNWIND $frontier AS node_id
MATCH (m:DataNode {tenant: $tenant, node_id: node_id})
MATCH (m)<-[d:DEPENDS_ON]-(n:DataNode)
RETURN n.node_id AS reader, d.argument AS argument, m.node_id AS read, m.name AS source
"""

NAMES = """
UNWIND $ids AS node_id
MATCH (n:DataNode {tenant: $tenant, node_id: node_id})
MATCH (n)<-[b:BINDS]-(:StrategyVersion)
RETURN DISTINCT n.node_id AS node_id, b.strategy AS strategy, b.name AS name
"""


def get_node(tx: Transaction, tenant: str, node_id: str) -> NodeView:
    """Do ``GraphStore.get_node``."""
    record = tx.run(NODE, tenant=tenant, node_id=node_id).single()
    if record is None:
        raise unknown_node(node_id)
    return _view(record)


def unknown_node(node_id: str) -> UnknownNode:
    """Return the error that names what was looked for."""
    return UnknownNode(f"There is no node {node_id!r}.")


def list_nodes(
    tx: Transaction, tenant: str, *, after: str, limit: int, tag: str | None
) -> list[NodeView]:
    """Do ``GraphStore.list_nodes``."""
    statement = NODES if tag is None else TAGGED_NODES
    records = tx.run(statement, tenant=tenant, after=after, limit=limit, tag=tag)
    return [_view(r) for r in records]


def _view(record: Record) -> NodeView:
    bindings = [
        NodeBinding(
            strategy=b["strategy"], version=b["version"], name=b["name"], tags=tuple(b["tags"])
        )
        for b in record["bindings"]
    ]
    return NodeView(
        node_id=record["node_id"],
        code=record["code"],
        params=msgspec.json.decode(record["params"], type=tuple[tuple[str, str], ...]),
        interval_ns=record["interval_ns"],
        bindings=tuple(sorted(bindings, key=lambda b: (b.strategy, b.version, b.name))),
    )


def lineage(
    tx: Transaction, tenant: str, node_id: str, *, direction: Direction, depth: int
) -> Lineage:
    """Do ``GraphStore.lineage``."""
    if tx.run(NODE, tenant=tenant, node_id=node_id).single() is None:
        raise unknown_node(node_id)
    statement = UPSTREAM if direction == "upstream" else DOWNSTREAM

    def edges_of(frontier: Sequence[str]) -> Iterator[tuple[LineageEdge, str]]:
        for r in tx.run(statement, tenant=tenant, frontier=frontier):
            to_source = r["read"] is None
            read = r["source"] if to_source else r["read"]
            edge = LineageEdge(reader=r["reader"], read=read, argument=r["argument"])
            yield edge, "source" if to_source else "node"

    def names_of(ids: Sequence[str]) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {each: [] for each in ids}
        for r in tx.run(NAMES, tenant=tenant, ids=ids):
            names[r["node_id"]].append(f"{r['strategy']}.{r['name']}")
        return names

    return walk(node_id, direction=direction, depth=depth, edges_of=edges_of, names_of=names_of)
