"""Write a version into the graph: one ``UNWIND`` statement for each kind of thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from neo4j import Record, Result, Transaction

from qmtl.common.db.connection import Collision
from qmtl.models.datanode import NodeSpec, SourceSpec
from qmtl.models.strategy import StrategyVersion
from qmtl.registry.db.content import bound_nodes, check_source, declared_sources, edges

# Setting ``touched`` takes the write lock of the strategy before anything of it is read.
LOCK_STRATEGY = """
MERGE (s:Strategy {tenant: $tenant, name: $strategy})
SET s.touched = $token
RETURN s.latest_ms AS latest_ms
"""

IS_THERE = """
MATCH (v:StrategyVersion {tenant: $tenant, strategy: $strategy, version: $version})
OPTIONAL MATCH (v)-[b:BINDS]->(:DataNode)
RETURN v.complete AS complete, collect(b.name) AS names
"""

MERGE_SOURCES = """
UNWIND $rows AS row
MERGE (s:Source {tenant: $tenant, name: row.name})
ON CREATE SET s.interval_ns = row.interval_ns, s.stamp = row.stamp
RETURN s.name AS name, s.interval_ns AS interval_ns, s.stamp AS stamp
"""

MERGE_VERSION = """
MATCH (s:Strategy {tenant: $tenant, name: $strategy})
MERGE (v:StrategyVersion {tenant: $tenant, strategy: $strategy, version: $version})
ON CREATE SET
    v.token = $token,
    v.source_digest = $source_digest,
    v.source_text = $source_text,
    v.spec = $spec,
    v.description = $description,
    v.created_at_ms = $created_at_ms,
    v.created_by = $created_by,
    v.complete = $complete,
    s.latest_ms = $created_at_ms
MERGE (s)-[:HAS_VERSION]->(v)
SET v.complete = v.complete OR $complete
RETURN v.token AS token
"""

MERGE_NODES = """
UNWIND $rows AS row
MERGE (n:DataNode {tenant: $tenant, node_id: row.node_id})
ON CREATE SET n.code = row.code, n.params = row.params, n.interval_ns = row.interval_ns
RETURN count(*) AS done
"""

# Strategy and version stand on the relationship too: who reads a node's bindings need not load
# the versions, each of which carries its whole source text.
MERGE_BINDINGS = """
MATCH (v:StrategyVersion {tenant: $tenant, strategy: $strategy, version: $version})
UNWIND $rows AS row
MATCH (n:DataNode {tenant: $tenant, node_id: row.node_id})
MERGE (v)-[b:BINDS {name: row.name}]->(n)
SET b.strategy = $strategy, b.version = $version, b.tags = row.tags,
    b.retries = row.retries, b.timeout_s = row.timeout_s, b.publish = row.publish
RETURN count(*) AS done
"""

MERGE_NODE_EDGES = """
UNWIND $rows AS row
MATCH (n:DataNode {tenant: $tenant, node_id: row.reader})
MATCH (m:DataNode {tenant: $tenant, node_id: row.read})
MERGE (n)-[:DEPENDS_ON {argument: row.argument}]->(m)
RETURN count(*) AS done
"""

MERGE_SOURCE_EDGES = """
UNWIND $rows AS row
MATCH (n:DataNode {tenant: $tenant, node_id: row.reader})
MATCH (s:Source {tenant: $tenant, name: row.read})
MERGE (n)-[:DEPENDS_ON {argument: row.argument}]->(s)
RETURN count(*) AS done
"""

MERGE_DECLARATIONS = """
MATCH (v:StrategyVersion {tenant: $tenant, strategy: $strategy, version: $version})
UNWIND $rows AS row
MATCH (s:Source {tenant: $tenant, name: row.name})
MERGE (v)-[d:DECLARES {variable: row.variable}]->(s)
SET d.strategy = $strategy, d.since_ms = v.created_at_ms, d.columns = row.columns,
    d.period = row.period
RETURN count(*) AS done
"""

MERGE_TAGS = """
UNWIND $rows AS row
MERGE (:Tag {tenant: $tenant, name: row})
RETURN count(*) AS done
"""

MERGE_TAGGED = """
UNWIND $rows AS row
MATCH (n:DataNode {tenant: $tenant, node_id: row.node_id})
MATCH (t:Tag {tenant: $tenant, name: row.tag})
MERGE (n)-[:TAGGED]->(t)
RETURN count(*) AS done
"""

Rows = list[dict[str, Any]]


def add_version(
    tx: Transaction, version: StrategyVersion, bindings: Sequence[str], token: str
) -> bool:
    """Do ``GraphStore.add_version`` inside one transaction.

    Args:
        tx: Rolled back by the caller where this raises.
        version: What to register.
        bindings: Which of its nodes.
        token: Drawn once a call, so that a second run after a lost answer knows its own work.
    """
    key = {"tenant": version.tenant, "strategy": version.strategy, "version": version.version}
    latest_ms = _lock_strategy(tx, key, token)
    if _is_there(tx, key, version.complete, bindings):
        return False
    _merge_sources(tx, version.tenant, declared_sources(version, bindings))
    new = _merge_version(tx, key, version, latest_ms, token)
    _merge_content(tx, key, version, bound_nodes(version.spec, bindings))
    _merge_declarations(tx, key, declared_sources(version, bindings))
    return new


def _lock_strategy(tx: Transaction, key: dict[str, str], token: str) -> int:
    locked = tx.run(LOCK_STRATEGY, tenant=key["tenant"], strategy=key["strategy"], token=token)
    return _one(locked)["latest_ms"] or 0


def _is_there(
    tx: Transaction, key: dict[str, str], complete: bool, bindings: Sequence[str]
) -> bool:
    record = tx.run(IS_THERE, key).single()
    if record is None or (complete and not record["complete"]):
        return False
    return set(bindings) <= set(record["names"])


def _merge_sources(tx: Transaction, tenant: str, sources: Sequence[SourceSpec]) -> None:
    # Sorted, here and below: transactions that lock in one order do not lock each other out.
    rows = sorted(
        ({"name": s.name, "interval_ns": s.interval_ns, "stamp": s.stamp} for s in sources),
        key=lambda row: str(row["name"]),
    )
    if not rows:
        return
    stored = {r["name"]: r for r in tx.run(MERGE_SOURCES, tenant=tenant, rows=rows)}
    if stored.keys() != {s.name for s in sources}:
        raise Collision
    for source in sources:
        known = stored[source.name]
        check_source(source, known["interval_ns"], known["stamp"])


def _merge_version(
    tx: Transaction, key: dict[str, str], version: StrategyVersion, latest_ms: int, token: str
) -> bool:
    merged = tx.run(
        MERGE_VERSION,
        key,
        token=token,
        source_digest=version.source_digest,
        source_text=version.source_text,
        spec=msgspec.json.encode(version.spec).decode(),
        description=version.spec.description,
        created_at_ms=max(version.created_at_ms, latest_ms + 1),
        created_by=version.created_by,
        complete=version.complete,
    )
    return bool(_one(merged)["token"] == token)


def _merge_content(
    tx: Transaction, key: dict[str, str], version: StrategyVersion, nodes: Sequence[NodeSpec]
) -> None:
    ordered = sorted(nodes, key=lambda n: n.node_id)
    _batch(tx, MERGE_NODES, key, [_node_row(n) for n in ordered])
    _batch(tx, MERGE_BINDINGS, key, [_binding_row(n) for n in ordered])
    read = [
        (kind, {"reader": n.node_id, "read": other, "argument": argument})
        for n in ordered
        for kind, other, argument in edges(version.spec, n)
    ]
    _batch(tx, MERGE_NODE_EDGES, key, [row for kind, row in read if kind == "node"])
    _batch(tx, MERGE_SOURCE_EDGES, key, [row for kind, row in read if kind == "source"])
    tagged = [{"node_id": n.node_id, "tag": tag} for n in ordered for tag in n.tags]
    _batch(tx, MERGE_TAGS, key, sorted({row["tag"] for row in tagged}))
    _batch(tx, MERGE_TAGGED, key, tagged)


def _merge_declarations(
    tx: Transaction, key: dict[str, str], sources: Sequence[SourceSpec]
) -> None:
    rows: Rows = [
        {"name": s.name, "variable": s.variable, "columns": list(s.columns), "period": s.period}
        for s in sorted(sources, key=lambda s: s.name)
    ]
    _batch(tx, MERGE_DECLARATIONS, key, rows)


def _batch(tx: Transaction, statement: str, key: dict[str, str], rows: Rows | list[str]) -> None:
    if rows and _one(tx.run(statement, key, rows=rows))["done"] != len(rows):
        raise Collision


def _one(result: Result) -> Record:
    """Return the one record that a statement after a ``MERGE`` gives."""
    record = result.single()
    if record is None:
        raise Collision
    return record


def _node_row(node: NodeSpec) -> dict[str, Any]:
    return {
        "node_id": node.node_id,
        "code": node.code,
        "params": msgspec.json.encode(node.params).decode(),
        "interval_ns": node.interval_ns,
    }


def _binding_row(node: NodeSpec) -> dict[str, Any]:
    return {
        "node_id": node.node_id,
        "name": node.name,
        "tags": list(node.tags),
        "retries": node.retries,
        "timeout_s": node.timeout_s,
        "publish": node.publish,
    }
