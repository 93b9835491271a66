"""Where the boxes of a picture stand: a layered layout, levels from left to right.

The steps are those of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical
system structures" (1981): levels of bounded height, places for edges that pass a level, an order
in each level by barycentres, and heights by isotonic regression. All edges out of one box share
one place in each level that they pass, so that a source with a hundred readers is one line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from qmtl.graph.dag import Dag

SWEEPS = 12
MOST_IN_A_LEVEL = 26
PASSING = "\0"  # begins the name of a place where edges pass; no key of a box does


@dataclass(frozen=True, slots=True)
class Layout:
    """Levels from left to right, each with its members from top to bottom.

    Attributes:
        columns: Members of each level: boxes, and places where edges pass.
        centres: Height of each member's centre.
        segments: Pairs of members in neighbouring levels that a line joins.
        ends: For each pair (read, reader), the segment that ends at the reader.
    """

    columns: tuple[tuple[str, ...], ...]
    centres: Mapping[str, float]
    segments: tuple[tuple[str, str], ...]
    ends: Mapping[tuple[str, str], tuple[str, str]]


def lay_out(upstream: Mapping[str, Iterable[str]], heights: Mapping[str, float]) -> Layout:
    """Place the vertices of a graph.

    Args:
        upstream: What each vertex reads; without cycles.
        heights: Of each vertex, with the space around it.
    """
    dag = Dag.of(upstream)
    levels = _bounded_levels(dag)
    columns, segments, ends = _with_passages(dag, levels)
    neighbours = _neighbours(segments)
    _order(columns, neighbours)
    sizes = {name: heights.get(name, _PASSAGE_HEIGHT) for column in columns for name in column}
    centres = _heights(columns, neighbours, sizes)
    return Layout(tuple(map(tuple, columns)), centres, tuple(segments), ends)


_PASSAGE_HEIGHT = 10.0


def _bounded_levels(dag: Dag) -> dict[str, int]:
    """Return each vertex's level: after all it reads, none with too many members."""
    levels: dict[str, int] = {}
    members: dict[int, int] = defaultdict(int)
    for name in dag.order:
        level = 1 + max((levels[u] for u in dag.upstreams[name]), default=-1)
        while members[level] >= MOST_IN_A_LEVEL:
            level += 1
        levels[name] = level
        members[level] += 1
    for name in dag.order:  # what reads nothing stands just before its first reader
        readers = dag.downstreams[name]
        if not dag.upstreams[name] and readers:
            levels[name] = min(levels[r] for r in readers) - 1
    return levels


def _with_passages(
    dag: Dag, levels: Mapping[str, int]
) -> tuple[list[list[str]], list[tuple[str, str]], dict[tuple[str, str], tuple[str, str]]]:
    columns: list[list[str]] = [[] for _ in range(1 + max(levels.values(), default=-1))]
    for name in dag.order:
        columns[levels[name]].append(name)
    segments: dict[tuple[str, str], None] = {}
    ends: dict[tuple[str, str], tuple[str, str]] = {}
    for read in dag.order:
        passed = {levels[read]: read}
        for reader in sorted(dag.downstreams[read], key=lambda r: levels[r]):
            for level in range(levels[read] + 1, levels[reader]):
                if level not in passed:
                    passed[level] = f"{PASSING}{level}:{read}"
                    columns[level].append(passed[level])
                    segments[passed[level - 1], passed[level]] = None
            last = (passed[levels[reader] - 1], reader)
            segments[last] = None
            ends[read, reader] = last
    return columns, list(segments), ends


def _neighbours(segments: Iterable[tuple[str, str]]) -> dict[str, tuple[list[str], list[str]]]:
    """Return the members to the left and to the right of each member."""
    found: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for left, right in segments:
        found[right][0].append(left)
        found[left][1].append(right)
    return found


def _order(columns: list[list[str]], neighbours: Mapping[str, tuple[list[str], list[str]]]) -> None:
    """Sort each level by the mean place of its neighbours, left to right and back."""
    place = {name: float(i) for column in columns for i, name in enumerate(column)}
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            side = 0 if forward else 1
            ranks = {name: _mean(neighbours[name][side], place, name) for name in column}
            column.sort(key=ranks.__getitem__)
            place |= {name: float(i) for i, name in enumerate(column)}


def _heights(
    columns: Sequence[Sequence[str]],
    neighbours: Mapping[str, tuple[list[str], list[str]]],
    sizes: Mapping[str, float],
) -> dict[str, float]:
    centres: dict[str, float] = {}
    for column in columns:
        y = -sum(sizes[name] for name in column) / 2
        for name in column:
            centres[name] = y + sizes[name] / 2
            y += sizes[name]
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = [_mean([*neighbours[n][0], *neighbours[n][1]], centres, n) for n in column]
            placed = _spread(wanted, [sizes[name] for name in column])
            centres |= dict(zip(column, placed, strict=True))
    top = min((centres[name] - sizes[name] / 2 for name in centres), default=0.0)
    return {name: y - top for name, y in centres.items()}


def _mean(names: Sequence[str], of: Mapping[str, float], own: str) -> float:
    return sum(of[name] for name in names) / len(names) if names else of[own]


def _spread(wanted: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Return the centres nearest to those wanted, in their order, that keep boxes apart.

    Least squares under ``y[i+1] - y[i] >= (sizes[i] + sizes[i+1]) / 2``: isotonic regression by
    pooling adjacent violators, after the distances are taken out.
    """
    offsets = [0.0]
    for i in range(1, len(sizes)):
        offsets.append(offsets[-1] + (sizes[i - 1] + sizes[i]) / 2)
    pools: list[tuple[float, int]] = []  # mean, count
    for each, offset in zip(wanted, offsets, strict=False):
        pools.append((each - offset, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, m), (b, n) = pools[-2:]
            pools[-2:] = [((a * m + b * n) / (m + n), m + n)]
    levels = [mean for mean, count in pools for _ in range(count)]
    return [level + offset for level, offset in zip(levels, offsets, strict=False)]
