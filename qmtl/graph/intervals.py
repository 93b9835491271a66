"""Cutting an ordered partition of a DAG into contiguous stages, by dynamic programming.

The rows are any ordered partition in which a node reads only from its own row and earlier ones:
levels, runs of levels, or the stages of another plan. An interval of rows is a stage; what hangs
together in it must share a shard, so its connected components are what is packed on the slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from qmtl.graph.packing import makespan, pack
from qmtl.graph.workload import Stage, Workload

_RUNS = 24  # the most runs of levels: each is the start of an interval ...
_WALK = 500_000  # ... that may walk the whole graph, so there are fewer where it is large
_HOPELESS = 4  # crossings by which an interval may be worse than what is known
_MERGE_WALKS = 8  # how often the whole graph may be walked to merge what is a plan already ...
_MERGE_WALK = 100_000  # ... and the most blocks and edges that this may take


def levels_merged(work: Workload) -> list[Stage]:
    """Return the best cut of runs of levels into intervals; O(runs * (nodes + edges)) unions."""
    return _merged(work, _runs_of_levels(work), None, work.size())


def stages_merged(work: Workload, stages: Sequence[Stage]) -> list[Stage]:
    """Merge adjacent stages of a plan where that is not slower.

    Where the stages are many an interval holds only a few of them: O(nodes + edges) unions.
    """
    rows = [[v for shard in stage for v in shard] for stage in stages]
    return _merged(work, rows, stages, min(_MERGE_WALK, _MERGE_WALKS * work.size()) // len(rows))


def _runs_of_levels(work: Workload) -> list[list[int]]:
    """Merge adjacent levels into runs of similar time; few where there are many edges."""
    levels: list[list[int]] = [[] for _ in range(1 + max(work.level))]
    for v, level in enumerate(work.level):
        levels[level].append(v)
    count = max(4, min(_RUNS, _WALK // work.size()))
    if len(levels) <= count:
        return levels
    spans = [makespan([work.cost_s[v] for v in row], work.slots) for row in levels]
    share_s = sum(spans) / count
    runs: list[list[int]] = []
    elapsed_s, until_s = 0.0, 0.0
    for row, span_s in zip(levels, spans, strict=True):
        if not runs or elapsed_s >= until_s:
            runs.append([])
            until_s = elapsed_s + share_s
        runs[-1].extend(row)
        elapsed_s += span_s
    return runs


def _merged(
    work: Workload, rows: Sequence[list[int]], own: Sequence[Stage] | None, reach: int
) -> list[Stage]:
    """Return the best cut of rows into intervals of at most ``reach`` blocks and edges or so.

    ``own`` are shards that each row may also have where it is a stage of its own.
    """
    search = _Search.of(work, Blocks.of(work, rows), own, reach)
    return [search.stage(first, end) for first, end in search.cuts()]


@dataclass(frozen=True, slots=True)
class Blocks:
    """The connected components of every row: what no cut between rows can part.

    Attributes:
        starts: The first block of each row, and the number of blocks.
        nodes: The nodes of each block.
        cost_s: The seconds of each block.
        upstream: The blocks of earlier rows that each reads.
    """

    starts: list[int]
    nodes: list[list[int]]
    cost_s: list[float]
    upstream: list[list[int]]

    @classmethod
    def of(cls, work: Workload, rows: Sequence[list[int]]) -> Blocks:
        row_of = [0] * len(work)
        for place, row in enumerate(rows):
            for v in row:
                row_of[v] = place
        root_of = roots(work.upstream, row_of)
        starts, nodes, block = [0], list[list[int]](), [-1] * len(work)
        for row in rows:
            for v in sorted(row):
                root = root_of[v]
                if block[root] < 0:
                    block[root] = len(nodes)
                    nodes.append([v])
                else:
                    nodes[block[root]].append(v)
                block[v] = block[root]
            starts.append(len(nodes))
        upstream: list[list[int]] = []
        for b, members in enumerate(nodes):
            read: set[int] = set()
            for v in members:
                read.update(map(block.__getitem__, work.upstream[v]))
            read.discard(b)
            upstream.append(sorted(read))
        return cls(starts, nodes, list(map(work.load_s, nodes)), upstream)

    def stage(self, slots: int, first: int, end: int) -> Stage:
        """Return an interval of rows as a stage: what hangs together, packed on the slots."""
        start = self.starts[first]
        forest = _Forest(self, start)
        forest.add(start, self.starts[end])
        parts: dict[int, list[int]] = {}
        for b, root in enumerate(forest.roots()):
            parts.setdefault(root, []).append(start + b)
        loads_s = [forest.load_s[root] for root in parts]
        members = list(parts.values())
        return [
            sorted([v for i in each for b in members[i] for v in self.nodes[b]])
            for each in pack(loads_s, slots)
        ]


def roots(upstream: Sequence[Sequence[int]], row_of: Sequence[int]) -> list[int]:
    """Return for each node the least one that it hangs together with in its row."""
    parent = list(range(len(row_of)))
    for v, inputs in enumerate(upstream):
        root, row = v, row_of[v]  # of what v has been joined to so far
        for u in inputs:  # loops in place, since this runs on all edges
            if row_of[u] != row:
                continue
            other = u
            while parent[other] != other:
                parent[other] = other = parent[parent[other]]
            if other != root:
                parent[max(other, root)] = root = min(other, root)
    for v, above in enumerate(parent):  # which is smaller, and so has found its root
        parent[v] = parent[above]
    return parent


@dataclass(frozen=True, slots=True)
class _Search:
    """The rows and what is known of them.

    Attributes:
        work: What has to run.
        blocks: What cannot be parted.
        own: Shards that each row may also have where it is a stage of its own.
        reach: How many blocks and edges an interval may have, more or less.
        row_s: The seconds of each row as a stage of its own.
        packed: Whether a row's blocks seem better packed anew than as its own shards.
    """

    work: Workload
    blocks: Blocks
    own: Sequence[Stage] | None
    reach: int
    row_s: list[float]
    packed: list[bool]

    @classmethod
    def of(cls, work: Workload, blocks: Blocks, own: Sequence[Stage] | None, reach: int) -> _Search:
        """Measure the rows."""
        row_s = [
            makespan(blocks.cost_s[start:end], work.slots) + work.crossing_s
            for start, end in pairwise(blocks.starts)
        ]
        if own is None:
            return cls(work, blocks, own, reach, row_s, [True] * len(row_s))
        own_s = list(map(work.stage_s, own))
        packed = [there < kept for there, kept in zip(row_s, own_s, strict=True)]
        return cls(work, blocks, own, reach, list(map(min, row_s, own_s)), packed)

    def stage(self, first: int, end: int) -> Stage:
        """Return an interval of rows as a stage."""
        kept = None if self.own is None or end > first + 1 else self.own[first]
        if kept is not None and not self.packed[first]:
            return kept
        found = self.blocks.stage(self.work.slots, first, end)
        worse = kept is not None and self.work.stage_s(kept) < self.work.stage_s(found)
        return kept if kept is not None and worse else found

    def cuts(self) -> list[tuple[int, int]]:
        """Return the intervals as pairs of a first row and one past the last."""
        best = [0.0, *accumulate(self.row_s)]
        came = list(range(-1, len(best) - 1))
        for first in range(len(best) - 1):
            alone_s = best[first] + self.row_s[first]
            if alone_s < best[first + 1]:
                best[first + 1], came[first + 1] = alone_s, first
            self._extend(first, best, came)
        ends = [len(best) - 1]
        while ends[-1]:
            ends.append(came[ends[-1]])
        ends.reverse()
        return list(pairwise(ends))

    def _extend(self, first: int, best: list[float], came: list[int]) -> None:
        """Let an interval grow from one row on, and keep what improves on ``best``.

        It ends where it is so much worse than what is known that later rows, which could run
        beside its largest component, hardly make up for it.
        """
        work, blocks = self.work, self.blocks
        forest = _Forest(blocks, blocks.starts[first])
        begin_s = best[first] + work.crossing_s
        hopeless_s = _HOPELESS * work.crossing_s
        for last in range(first, len(best) - 1):
            forest.add(blocks.starts[last], blocks.starts[last + 1])
            least_s = begin_s + max(forest.largest_s, forest.total_s / work.slots)
            if last > first and least_s < best[last + 1]:
                found_s = begin_s + makespan(forest.weights(), work.slots)
                if found_s < best[last + 1]:
                    best[last + 1], came[last + 1] = found_s, first
            if forest.walked > self.reach or least_s > best[last + 1] + hopeless_s:
                return


class _Forest:
    """The components of an interval that grows by rows: union-find with weights at the roots."""

    def __init__(self, blocks: Blocks, first: int) -> None:
        self.blocks = blocks
        self.first = first
        self.parent: list[int] = []
        self.load_s: list[float] = []
        self.largest_s = 0.0
        self.total_s = 0.0
        self.count = 0  # of components
        self.walked = 0

    def add(self, start: int, end: int) -> None:
        """Take in the next blocks with their edges to those already here."""
        first, parent, load = self.first, self.parent, self.load_s
        parent.extend(range(start - first, end - first))
        load.extend(self.blocks.cost_s[start:end])
        self.total_s += sum(load[start - first :])
        largest_s, count, walked = self.largest_s, self.count, self.walked + end - start
        for mine, inputs in enumerate(self.blocks.upstream[start:end], start - first):
            count += 1
            for u in reversed(inputs):
                root = u - first
                if root < 0:
                    break
                walked += 1
                while parent[root] != root:
                    parent[root] = root = parent[parent[root]]
                if root != mine:
                    parent[mine] = root
                    load[root] += load[mine]
                    mine = root  # noqa: PLW2901 - what the block has become part of
                    count -= 1
                    if count == 1:
                        break
            if load[mine] > largest_s:  # noqa: PLR1730 - max is slower, and this runs on all blocks
                largest_s = load[mine]
        self.largest_s, self.count, self.walked = largest_s, count, walked

    def weights(self) -> list[float]:
        """Return the seconds of every component."""
        return [load for v, load in enumerate(self.load_s) if self.parent[v] == v]

    def roots(self) -> list[int]:
        """Return for each block the one that stands for its component."""
        found = []
        for b in range(len(self.parent)):
            root = b
            while self.parent[root] != root:
                root = self.parent[root]
            found.append(root)
        return found
