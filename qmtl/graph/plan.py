"""Cutting a DAG into stages that run one after the other, each a set of parallel shards.

A stage costs one crossing and its longest shard, a plan the sum of its stages. The best cut is
hard to find (two slots and no edges are the partition problem already), so ``cut`` estimates a few
good ones and takes the best:

- everything as one shard;
- what hangs together side by side;
- cones: a greedy that grows stages slot by slot across levels (``graph.cones``);
- runs of levels, cut into intervals by dynamic programming (``graph.intervals``).

Intervals of stages are merged where that is not slower, and single nodes move out of the shards
that a stage waits for (``graph.moves``). At the end stages are divided whose work does not go up
evenly on the slots (``graph.wrapping``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qmtl.graph.cones import Order, cones
from qmtl.graph.intervals import levels_merged, stages_merged
from qmtl.graph.moves import moved
from qmtl.graph.packing import pack
from qmtl.graph.workload import Stage, Workload
from qmtl.graph.wrapping import evened, pieces

Stages = tuple[tuple[tuple[int, ...], ...], ...]

_NEAR = 1.01  # a plan this close to the lower bound is good enough
_SEARCH_S = 1e-6  # what another candidate costs a node and edge: a plan may lose as much
_NOISE_S = 1e-9  # estimates this close are equal
_CLOSE = 1.05  # a plan this close to it is, where nodes are many
_HOPEFUL = 1.1  # a plan this much worse may still turn out the better one when it is refined
_SMALL = 1_000  # nodes and edges up to which there is time for many candidates
_LARGE = 100_000  # nodes and edges beyond which there is time for one
_DENSE = 8  # edges a node beyond which there is time for one as well, ...
_MANY = 10_000  # ... where nodes and edges are so many
_FEW = 30  # levels up to which a little patience may save many of the stages
_TIGHT = 0.95  # of the levels: where there are more, and as many stages, it hardly saves any
_SHALLOW = 12  # levels up to which intervals of them are often better than cones


@dataclass(frozen=True, slots=True)
class Cut:
    """A plan and what it is estimated to take.

    Attributes:
        stages: ``stages[s][k]`` is the k-th shard of stage s, as indexes into the nodes given, in
            topological order. The longest shard of a stage comes first.
        stage_s: Seconds of each stage, its crossing included.
        estimate_s: Seconds of the whole.
        serial_s: Seconds of everything as one shard, its one crossing included.
    """

    stages: Stages
    stage_s: tuple[float, ...]
    estimate_s: float
    serial_s: float


def cut(
    nodes: Sequence[str],
    upstream: Sequence[Sequence[int]],
    cost_s: Sequence[float],
    *,
    slots: int,
    crossing_s: float,
) -> Cut:
    """Cut a DAG so that it ends soon: a node's inputs are in earlier stages or its own shard.

    Which nodes share a shard depends on ids, edges and costs alone, not on the order given.

    Args:
        nodes: Distinct ids, each after what it reads.
        upstream: For each node, the indexes of what it reads.
        cost_s: Seconds of each node, none negative.
        slots: How many shards run at once, at least 1.
        crossing_s: Seconds that a stage takes beyond its longest shard.

    Raises:
        ValueError: A node stands before one that it reads, or there is no slot.
    """
    if slots < 1:
        raise ValueError(f"a plan needs at least one slot, not {slots}")
    if not nodes:
        return Cut((), (), 0.0, 0.0)
    work = Workload.of(nodes, upstream, cost_s, min(slots, _paths(upstream)), crossing_s)
    serial = [[list(range(len(work)))]]
    stages = [_tidy(work, stage) for stage in _best(work, serial)]
    return Cut(
        stages=tuple(tuple(tuple(work.places[v] for v in k) for k in each) for each in stages),
        stage_s=tuple(map(work.stage_s, stages)),
        estimate_s=work.plan_s(stages),
        serial_s=work.plan_s(serial),
    )


def _paths(upstream: Sequence[Sequence[int]]) -> int:
    """Return how many paths a greedy cover of the DAG needs.

    Shards of one stage do not read each other, so a stage has no more of them than the cover has
    paths: more slots are of no use, and searching for what to do with them takes long.
    """
    ends = [True] * len(upstream)
    paths = len(upstream)
    for inputs in upstream:
        for u in inputs:
            if ends[u]:
                ends[u] = False
                paths -= 1
                break
    return paths


@dataclass(frozen=True, slots=True)
class _Candidate:
    stages: list[Stage]
    took_s: float

    @classmethod
    def of(cls, work: Workload, stages: list[Stage]) -> _Candidate:
        return cls(stages, work.plan_s(stages))

    def parts(self) -> tuple[int, int]:
        return len(self.stages), sum(map(len, self.stages))


def _best(work: Workload, serial: list[Stage]) -> list[Stage]:
    """Return the first good enough candidate, else the best; of equals the simplest."""
    first = best = _Candidate.of(work, serial)
    bound_s = _bound_s(work)
    enough_s = max(_NEAR * bound_s, bound_s + _SEARCH_S * work.size())
    if best.took_s <= max(enough_s, 2 * work.crossing_s):
        return serial
    for found in _candidates(work):
        simpler = best is not first and found.parts() < best.parts()
        if found.took_s < best.took_s + (_NOISE_S if simpler else -_NOISE_S):
            best = found
        if best.took_s <= enough_s:
            break
    return evened(work, best.stages)


def _bound_s(work: Workload) -> float:
    """Return what no plan can beat."""
    return work.least_s() + work.crossing_s


def _candidates(work: Workload) -> Iterator[_Candidate]:
    if not _many(work) and (found := pieces(work)):
        yield _Candidate.of(work, found)
    yield from _thorough(work) if work.size() <= _SMALL else _quick(work)


def _thorough(work: Workload) -> Iterator[_Candidate]:
    """Make and refine many candidates: where nodes are few, which is best is much of an accident.

    Fewer slots than there are make larger cones, and so fewer stages.
    """
    half = replace(work, slots=(work.slots + 1) // 2)

    def merged_first(stages: list[Stage]) -> _Candidate:
        return _Candidate.of(work, moved(work, stages_merged(work, stages)))

    yield merged_first(cones(work, 0, Order.LONGEST_PATH))
    yield _Candidate.of(work, moved(work, levels_merged(work)))
    yield merged_first(cones(work, 1, Order.LEVEL))
    yield merged_first(cones(work, 1, Order.LONGEST_PATH))
    yield merged_first(cones(half, 0, Order.LONGEST_PATH))


def _quick(work: Workload) -> Iterator[_Candidate]:
    """Make candidates by cones and by levels while that promises something; refine the better ones.

    Where the edges are many, there is time for one.
    """
    rough = _Candidate.of(work, cones(work, 0, Order.LONGEST_PATH))
    yield rough
    levels = 1 + max(work.level)
    tight = levels > _FEW and len(rough.stages) > _TIGHT * levels
    if not tight and not _many(work):
        patient = _Candidate.of(work, cones(work, 1, Order.LEVEL))
        rough = min(rough, patient, key=lambda each: each.took_s)
    refined = _Candidate.of(work, stages_merged(work, moved(work, rough.stages)))
    yield refined
    close = refined.took_s <= _CLOSE * _bound_s(work)
    if levels <= _SHALLOW and not close and not _many(work):
        by_levels = _Candidate.of(work, levels_merged(work))
        if by_levels.took_s <= _HOPEFUL * refined.took_s:
            yield _Candidate.of(work, moved(work, by_levels.stages))


def _many(work: Workload) -> bool:
    """Tell whether the edges are so many that there is time for one candidate."""
    return work.size() > min(_LARGE, max(_MANY, (1 + _DENSE) * len(work)))


def _tidy(work: Workload, stage: Stage) -> Stage:
    """Join shards that together are no longer than the longest, and put the longest first."""
    if len(stage) == 1:
        return stage
    loads_s = [work.load_s(shard) for shard in stage]
    joined = [
        (-sum([loads_s[k] for k in each]), sorted([v for k in each for v in stage[k]]))
        for each in pack(loads_s, work.slots)
    ]
    return [shard for _, shard in sorted(joined)]
