"""DAGs of many shapes, each of about as many nodes as it is asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

NODE_S = 0.005  # what a node takes where costs are equal
SEED = 1


@dataclass(frozen=True, slots=True)
class Graph:
    """What each node reads, and how long it takes."""

    upstream: list[list[int]]
    cost_s: list[float]

    @property
    def names(self) -> list[str]:
        """Ids in an order that is not the one the nodes stand in."""
        return [f"{i * 7_919 % 100_003:06}" for i in range(len(self.upstream))]

    def longest_path_s(self) -> float:
        """Return what no number of slots can beat."""
        ends: list[float] = []
        for inputs, cost in zip(self.upstream, self.cost_s, strict=True):
            ends.append(cost + max([ends[u] for u in inputs], default=0.0))
        return max(ends)


def alike(upstream: list[list[int]]) -> Graph:
    """Return a graph whose nodes all cost the same."""
    return Graph(upstream, [NODE_S] * len(upstream))


def skewed(graph: Graph) -> Graph:
    """Return the graph with costs of which a few are most of the sum."""
    draw = random.Random(SEED)
    return Graph(graph.upstream, [min(2.0, 0.001 * draw.paretovariate(0.8)) for _ in graph.cost_s])


def chain(nodes: int) -> Graph:
    """Each reads the one before."""
    return alike([[i - 1] if i else [] for i in range(nodes)])


def apart(nodes: int) -> Graph:
    """None reads another."""
    return alike([[] for _ in range(nodes)])


def layered(nodes: int, width: int, parents: int) -> Graph:
    """Each reads some of the layer before, drawn at random."""
    draw = random.Random(SEED)
    upstream: list[list[int]] = []
    for i in range(nodes):
        above = range(max(0, i // width - 1) * width, i // width * width)
        upstream.append(sorted(draw.sample(above, min(parents, len(above)))))
    return alike(upstream)


def drawn(nodes: int, most: int, *, near: int | None = None) -> Graph:
    """Each reads up to ``most`` of those before it, or of the ``near`` last of them."""
    draw = random.Random(SEED)
    upstream: list[list[int]] = [[]]
    for i in range(1, nodes):
        first = max(0, i - near) if near else 0
        upstream.append(sorted({draw.randrange(first, i) for _ in range(draw.randint(0, most))}))
    return alike(upstream)


def fan_in(nodes: int) -> Graph:
    """One reads all others."""
    return alike([*([] for _ in range(nodes - 1)), list(range(nodes - 1))])


def fan_out(nodes: int) -> Graph:
    """All others read one."""
    return alike([[], *([0] for _ in range(nodes - 1))])


def fork_join(nodes: int, width: int) -> Graph:
    """One, then ``width`` that read it, then one that reads these, again and again."""
    upstream: list[list[int]] = []
    while len(upstream) + width + 2 <= nodes:
        fork = len(upstream)
        upstream.append([fork - 1] if fork else [])
        upstream += [[fork] for _ in range(width)]
        upstream.append(list(range(fork + 1, fork + 1 + width)))
    return alike(upstream)


def tree_in(nodes: int) -> Graph:
    """Each of the upper half of a binary tree reads two, down to one that is read by nobody."""
    leaves = (nodes + 1) // 2
    return alike(
        [
            [2 * (i - leaves), 2 * (i - leaves) + 1] if i >= leaves else []
            for i in range(2 * leaves - 1)
        ]
    )


def tree_out(nodes: int) -> Graph:
    """Two read each, from one that reads nothing."""
    return alike([[(i - 1) // 2] if i else [] for i in range(nodes)])


def bipartite(nodes: int, parents: int) -> Graph:
    """Half of them read some of the other half."""
    return layered(nodes, nodes // 2, parents)


def grid(nodes: int, width: int) -> Graph:
    """Each reads the one above and the one to its left."""
    return alike(
        [
            [*([i - width] if i >= width else []), *([i - 1] if i % width else [])]
            for i in range(nodes // width * width)
        ]
    )


def lanes(nodes: int, count: int) -> Graph:
    """Chains that do not touch."""
    return alike([[i - count] if i >= count else [] for i in range(nodes // count * count)])


SHAPES: dict[str, Callable[[int], Graph]] = {
    "chain": chain,
    "nothing in common": apart,
    "nothing in common, skewed": lambda n: skewed(apart(n)),
    "20 layers, 3 parents": lambda n: layered(n, n // 20, 3),
    "20 layers, skewed": lambda n: skewed(layered(n, n // 20, 3)),
    "20 layers, 20 parents": lambda n: layered(n, n // 20, 20),
    "100 layers, 3 parents": lambda n: layered(n, max(1, n // 100), 3),
    "10 wide, 2 parents": lambda n: layered(n, 10, 2),
    "random, few edges": lambda n: drawn(n, 1),
    "random, 3 parents": lambda n: drawn(n, 3),
    "random, skewed": lambda n: skewed(drawn(n, 3)),
    "random, 20 parents": lambda n: drawn(n, 20),
    "near, 3 parents": lambda n: drawn(n, 3, near=40),
    "near, skewed": lambda n: skewed(drawn(n, 2, near=100)),
    "fan in": fan_in,
    "fan out": fan_out,
    "fork and join": lambda n: fork_join(n, 50),
    "tree in": tree_in,
    "tree out": tree_out,
    "bipartite, 4 parents": lambda n: bipartite(n, 4),
    "square grid": lambda n: grid(n, round(n**0.5)),
    "narrow grid": lambda n: grid(n, 10),
    "7 lanes": lambda n: lanes(n, 7),
    "7 lanes, skewed": lambda n: skewed(lanes(n, 7)),
    "100 lanes": lambda n: lanes(n, 100),
}
