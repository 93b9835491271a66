"""Keys of the graph: one uniqueness constraint for every kind of vertex.

::

    (:Strategy)-[:HAS_VERSION]->(:StrategyVersion)-[:BINDS {name, tags, …}]->(:DataNode)
    (:StrategyVersion)-[:DECLARES {variable, columns, period}]->(:Source)
    (:DataNode)-[:DEPENDS_ON {argument}]->(:DataNode | :Source)
    (:DataNode)-[:TAGGED]->(:Tag)
    (:Deployment) and its history (:Activation)
"""

from __future__ import annotations

from neo4j import Transaction

CONSTRAINTS = (
    """
    CREATE CONSTRAINT qmtl_strategy IF NOT EXISTS
    FOR (s:Strategy) REQUIRE (s.tenant, s.name) IS UNIQUE
    """,
    """
    CREATE CONSTRAINT qmtl_version IF NOT EXISTS
    FOR (v:StrategyVersion) REQUIRE (v.tenant, v.strategy, v.version) IS UNIQUE
    """,
    """
    CREATE CONSTRAINT qmtl_node IF NOT EXISTS
    FOR (n:DataNode) REQUIRE (n.tenant, n.node_id) IS UNIQUE
    """,
    """
    CREATE CONSTRAINT qmtl_source IF NOT EXISTS
    FOR (s:Source) REQUIRE (s.tenant, s.name) IS UNIQUE
    """,
    """
    CREATE CONSTRAINT qmtl_tag IF NOT EXISTS
    FOR (t:Tag) REQUIRE (t.tenant, t.name) IS UNIQUE
    """,
    """
    CREATE CONSTRAINT qmtl_deployment IF NOT EXISTS
    FOR (d:Deployment) REQUIRE (d.tenant, d.strategy, d.environment) IS UNIQUE
    """,
    """
    CREATE CONSTRAINT qmtl_activation IF NOT EXISTS
    FOR (a:Activation) REQUIRE (a.tenant, a.strategy, a.environment, a.since_ms) IS UNIQUE
    """,
)


def create_constraint(tx: Transaction, statement: str) -> None:
    """Make one constraint; each wants a transaction of its own, apart from any data."""
    tx.run(statement).consume()
