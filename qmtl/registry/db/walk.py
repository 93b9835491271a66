"""Walk a lineage level by level, whoever knows the edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from qmtl.models.strategy import Lineage, LineageEdge, LineageItem
from qmtl.registry.db.graph_store import Direction

EdgesOf = Callable[[Sequence[str]], Iterable[tuple[LineageEdge, str]]]
NamesOf = Callable[[Sequence[str]], Mapping[str, Iterable[str]]]


def walk(
    node_id: str, *, direction: Direction, depth: int, edges_of: EdgesOf, names_of: NamesOf
) -> Lineage:
    """Follow edges up to ``depth`` levels; each vertex and each edge is met once.

    Where paths fork and join again their number grows as a power of their length, so a server
    that walks ``[:DEPENDS_ON*1..n]`` path by path may never end; a walk by levels costs what the
    subgraph has edges, and gives distances on the way.

    Args:
        node_id: Where to start; no part of the items.
        direction: Which end of the edges the given ids are.
        depth: How many levels.
        edges_of: Gives the edges of one level's nodes, with the kind (node, source) of what the
            edge leads to.
        names_of: Gives the names of nodes.
    """
    distances: dict[tuple[str, str], int] = {("node", node_id): 0}
    edges: list[LineageEdge] = []
    frontier = [node_id]
    for distance in range(1, depth + 1):
        if not frontier:
            break
        met: list[tuple[str, str]] = []
        for edge, kind in edges_of(frontier):
            edges.append(edge)
            met.append((kind, edge.read if direction == "upstream" else edge.reader))
        fresh = [each for each in dict.fromkeys(met) if each not in distances]
        distances.update(dict.fromkeys(fresh, distance))
        frontier = [each for kind, each in fresh if kind == "node"]
    del distances["node", node_id]
    return Lineage(
        node_id=node_id,
        direction=direction,
        items=_items(distances, names_of),
        edges=tuple(sorted(edges, key=lambda e: (e.reader, e.read, e.argument))),
    )


def _items(distances: Mapping[tuple[str, str], int], names_of: NamesOf) -> tuple[LineageItem, ...]:
    names = names_of([each for kind, each in distances if kind == "node"])
    items = [
        LineageItem(
            id=each,
            kind=kind,
            names=tuple(sorted(names[each])) if kind == "node" else (each,),
            distance=distance,
        )
        for (kind, each), distance in distances.items()
    ]
    return tuple(sorted(items, key=lambda i: (i.distance, i.kind, i.id)))
