"""A costed DAG, renumbered so that neither names nor insertion order matter from here on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Stage = list[list[int]]  # shards of one stage, each a list of nodes


@dataclass(frozen=True, slots=True)
class Workload:
    """What has to run, and on what; make one with ``Workload.of``.

    Nodes are numbered by level, then by id. So the order of numbers is a topological order, and
    "the smaller number" breaks every tie the same way whatever order the nodes came in.

    Attributes:
        places: Where each node stood in what was given.
        upstream: What each node reads, ascending and distinct.
        readers: Who reads each node, ascending.
        cost_s: Seconds each node takes.
        tail_s: Seconds of the longest path that begins with each node, itself included.
        level: Length of the longest path that leads to each node; 0 for a root.
        slots: How many shards run at once.
        crossing_s: Seconds a stage takes beyond its longest shard.
    """

    places: list[int]
    upstream: list[list[int]]
    readers: list[list[int]]
    cost_s: list[float]
    tail_s: list[float]
    level: list[int]
    slots: int
    crossing_s: float

    @classmethod
    def of(
        cls,
        nodes: Sequence[str],
        upstream: Sequence[Sequence[int]],
        cost_s: Sequence[float],
        slots: int,
        crossing_s: float,
    ) -> Workload:
        """Renumber the nodes, in O(n log n + edges).

        Raises:
            ValueError: A node stands before one that it reads.
        """
        depth = _depths(upstream)
        places = sorted(range(len(nodes)), key=nodes.__getitem__)
        places.sort(key=depth.__getitem__)
        number = [0] * len(places)
        for new, old in enumerate(places):
            number[old] = new
        inputs = [sorted(set(map(number.__getitem__, upstream[old]))) for old in places]
        readers = _readers(inputs)
        cost = list(map(float, map(cost_s.__getitem__, places)))
        return cls(
            places=places,
            upstream=inputs,
            readers=readers,
            cost_s=cost,
            tail_s=_tails(readers, cost),
            level=list(map(depth.__getitem__, places)),
            slots=slots,
            crossing_s=crossing_s,
        )

    def __len__(self) -> int:
        return len(self.places)

    def size(self) -> int:
        """Return the number of nodes and edges."""
        return len(self.places) + sum(map(len, self.upstream))

    def total_s(self) -> float:
        """Return the seconds of all nodes."""
        return sum(self.cost_s)

    def least_s(self) -> float:
        """Return the time that no schedule on these slots can beat, crossings left out."""
        return max(max(self.tail_s, default=0.0), self.total_s() / self.slots)

    def load_s(self, shard: Sequence[int]) -> float:
        """Return the seconds of one shard."""
        return sum(map(self.cost_s.__getitem__, shard))

    def stage_s(self, stage: Sequence[Sequence[int]]) -> float:
        """Return the seconds of one stage, its crossing included."""
        return self.crossing_s + max(map(self.load_s, stage))

    def plan_s(self, stages: Sequence[Stage]) -> float:
        """Return the seconds of stages that run one after the other."""
        return sum(map(self.stage_s, stages))


def _depths(upstream: Sequence[Sequence[int]]) -> list[int]:
    depth: list[int] = []
    of = depth.__getitem__  # knows the nodes so far, and those alone
    try:
        for inputs in upstream:
            found = 1 + max(map(of, inputs)) if inputs else 0
            depth.append(found)
    except IndexError:
        raise ValueError(f"node {len(depth)} stands before one that it reads") from None
    return depth


def _readers(inputs: Sequence[Sequence[int]]) -> list[list[int]]:
    readers: list[list[int]] = [[] for _ in inputs]
    for node, read in enumerate(inputs):
        for each in read:
            readers[each].append(node)
    return readers


def _tails(readers: Sequence[Sequence[int]], cost: Sequence[float]) -> list[float]:
    tails = list(cost)
    of = tails.__getitem__
    for node in range(len(cost) - 1, -1, -1):
        if readers[node]:
            tails[node] += max(map(of, readers[node]))
    return tails
