"""Cutting a DAG into stages that run one after the other, each a set of parallel shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from qmtl.graph.dag import Dag

Stages = tuple[tuple[tuple[int, ...], ...], ...]


def stages(order: Sequence[str], upstream: Mapping[str, Iterable[str]], slots: int) -> Stages:
    """Make each longest-path level a stage, cut into at most ``slots`` shards of like count.

    Every node stands in exactly one shard, and each of its inputs in an earlier stage. Which
    nodes share a shard depends on names and edges alone.

    Args:
        order: The nodes that must run, each once.
        upstream: What each of them reads; names outside ``order`` are there already.
        slots: How many shards can run at once, at least 1.

    Returns:
        Indexes into ``order``: ``stages[s][k]`` is the k-th shard of stage s.
    """
    index = {name: i for i, name in enumerate(order)}
    dag = Dag.of({name: [u for u in upstream.get(name, ()) if u in index] for name in order})
    return tuple(
        tuple(tuple(index[name] for name in shard) for shard in _cut(level, slots))
        for level in dag.levels()
    )


def _cut(names: Sequence[str], slots: int) -> list[Sequence[str]]:
    count = min(slots, len(names))
    size, longer = divmod(len(names), count)
    starts = [i * size + min(i, longer) for i in range(count + 1)]
    return [names[a:b] for a, b in pairwise(starts)]
