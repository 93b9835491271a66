"""Dividing stages whose work does not go up evenly on the slots: three equal chains on two.

McNaughton's wrap-around rule (1959) evens any work that may be interrupted. Laid out one after the
other and cut where a slot is full, what a cut parts is begun by the next slot and ended by the one
before. Here an interruption is a crossing, at which all slots meet; one often serves for several
parts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from qmtl.graph.intervals import Blocks, roots
from qmtl.graph.workload import Stage, Workload


def pieces(work: Workload) -> list[Stage]:
    """Return a plan that parts nothing, or little, of what hangs together.

    It is none where a piece takes longer than any plan has to.
    """
    loads_s = [0.0] * len(work)
    for root, cost in zip(roots(work.upstream, [0] * len(work)), work.cost_s, strict=True):
        loads_s[root] += cost
    if max(loads_s) > work.least_s() + work.crossing_s:
        return []
    blocks = Blocks.of(work, [list(range(len(work)))])
    return evened(work, [blocks.stage(work.slots, 0, 1)])


def evened(work: Workload, stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages, those divided for which that is faster."""
    loads_s = [list(map(work.load_s, stage)) for stage in stages]
    uneven = [max(each) - sum(each) / work.slots > work.crossing_s for each in loads_s]
    if not any(uneven):
        return list(stages)
    blocks = Blocks.of(work, [[v for shard in stage for v in shard] for stage in stages])
    found: list[Stage] = []
    for row, stage in enumerate(stages):
        divided = _divided(work, blocks, row) if uneven[row] else []
        better = divided and work.plan_s(divided) < work.stage_s(stage)
        found += divided if better else [stage]
    return found


def _divided(work: Workload, blocks: Blocks, row: int) -> list[Stage]:
    """Return one stage as several; none where these would be slower for certain."""
    own = range(blocks.starts[row], blocks.starts[row + 1])
    costs_s = [blocks.cost_s[b] for b in own]
    full_s = max(*costs_s, sum(costs_s) / work.slots)
    slots = _wrapped(work, [blocks.nodes[b] for b in own], full_s)
    meetings = _meetings(work, slots)
    if meetings is None:
        return []
    stages: list[Stage] = [[[] for _ in slots] for _ in range(len(meetings) + 1)]
    for k, slot in enumerate(slots):
        elapsed_s = 0.0
        for part, side in ((slot.begun, bisect_left), (slot.ended, bisect_right)):
            for v in part:
                middle_s = elapsed_s + work.cost_s[v] / 2
                stages[side(meetings, middle_s)][k].append(v)
                elapsed_s += work.cost_s[v]
    return [shards for stage in stages if (shards := [sorted(each) for each in stage if each])]


class _Slot:
    """What one slot runs.

    Attributes:
        first: Begins what the slot before ends.
        begun: Its nodes in order, ``first`` among them, up to
        ended: the nodes that end what the next slot begins.
    """

    def __init__(self, first: Sequence[int] = ()) -> None:
        self.first = list(first)
        self.begun = list(first)
        self.ended: list[int] = []


def _wrapped(work: Workload, parts: Sequence[list[int]], full_s: float) -> list[_Slot]:
    """Lay parts out on slots, the longest first, each slot up to what is full."""
    slots = [_Slot()]
    room_s = full_s * (1 + 1e-9)
    for part in sorted(parts, key=work.load_s, reverse=True):
        took_s = work.load_s(part)
        if took_s <= room_s or len(slots) == work.slots:
            slots[-1].begun += part
            room_s -= took_s
            continue
        at, tail_s = len(part), 0.0
        while at and tail_s + work.cost_s[part[at - 1]] <= room_s:
            at -= 1
            tail_s += work.cost_s[part[at]]
        slots[-1].ended = part[at:]
        slots.append(_Slot(part[:at]))
        room_s = full_s * (1 + 1e-9) - (took_s - tail_s)
    return slots


def _meetings(work: Workload, slots: Sequence[_Slot]) -> list[float] | None:
    """Return the fewest times at which all slots meet such that every part ends after it began."""
    windows = []
    for slot, after in pairwise(slots):
        if slot.ended:
            begun_s, free_s = work.load_s(after.first), work.load_s(slot.begun)
            if begun_s > free_s:
                return None
            windows.append((free_s, begun_s))
    meetings: list[float] = []
    for free_s, begun_s in sorted(windows):
        if not meetings or meetings[-1] < begun_s:
            meetings.append(free_s)
    return meetings
