"""Ask the graph what a node rests on, and what rests on it."""

from __future__ import annotations

from qmtl.common.errors import InvalidRequest
from qmtl.models.strategy import Lineage
from qmtl.registry.db.graph_store import Direction, GraphStore

LONGEST = 1_000


def read_lineage(
    graph: GraphStore, tenant: str, node_id: str, *, direction: Direction, depth: int
) -> Lineage:
    """Return a lineage of a bounded depth.

    Raises:
        InvalidRequest: The depth is not between 1 and the longest that is walked.
        UnknownNode: No binding of the tenant names the node.
    """
    if not 1 <= depth <= LONGEST:
        message = f"The depth must be between 1 and {LONGEST}."
        raise InvalidRequest(message, fields={"depth": [message]})
    return graph.lineage(tenant, node_id, direction=direction, depth=depth)
