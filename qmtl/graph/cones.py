"""Growing stages slot by slot: a bulk-synchronous greedy that cuts across levels.

A slot that has run two nodes can run what reads just these two without a crossing: it grows a cone
into the DAG, whose base are nodes that were ready when the stage began. What reads from two cones
waits for the next stage, whose cones begin there. The idea of scheduling in supersteps with one
ready list a processor is known as BSPg (Papp, Anegg, Karanasiou and Yzelman, 2024); here a stage
has a fixed price, and values that cross it are free.
"""

from __future__ import annotations

from enum import Enum
from heapq import heapify, heappop, heappush, heapreplace

from qmtl.graph.workload import Stage, Workload

_FAN_IN = 8  # a reader of more inputs than this attracts none of them: it would take too long


class Order(Enum):
    """Which of the nodes that a slot could take goes first."""

    LONGEST_PATH = "what begins the longest path"
    LEVEL = "what lies least deep"


def cones(work: Workload, patience: float, order: Order) -> list[Stage]:
    """Cut the whole into stages; O((nodes + edges) log nodes).

    Args:
        work: What has to run.
        patience: How many crossings of idle time, as a mean over the slots, end a stage. With 0 it
            ends as soon as a slot is idle while others have more than one node to do.
        order: Which node goes first, other things being equal.
    """
    grower = _Grower(work, patience, order)
    stages = []
    while grower.ready:
        stages.append(grower.stage())
    return stages


class _Grower:
    """The nodes taken so far, and the stage that grows."""

    def __init__(self, work: Workload, patience: float, order: Order) -> None:
        self.work = work
        self.idle_limit_s = patience * work.crossing_s * work.slots
        self.rank = [-s for s in work.tail_s] if order is Order.LONGEST_PATH else work.level
        self.waiting = [len(inputs) for inputs in work.upstream]
        self.owner = [-1] * len(work)  # see _take
        self.base = 0
        self.ready = [v for v, inputs in enumerate(work.upstream) if not inputs]

    def stage(self) -> Stage:
        """Grow one stage, and leave in ``ready`` what can begin the next."""
        slots = range(self.work.slots)
        self.base += len(slots) + 1
        self.free = set(self.ready)
        self.queue = [(self.rank[v], v) for v in self.ready]
        heapify(self.queue)
        self.own: list[list[tuple[float, int]]] = [[] for _ in slots]
        self.near: list[list[tuple[int, float, int]]] = [[] for _ in slots]
        self.pull: list[dict[int, int]] = [{} for _ in slots]
        self.own_s = 0.0
        self.split: list[int] = []
        shards: Stage = [[] for _ in slots]
        self._trim(shards, self._fill(shards))
        left = [v for heap in self.own for _, v in heap] + self.split + list(self.free)
        self.ready = sorted(v for v in left if not self.waiting[v])
        return [shard for shard in shards if shard]

    def _fill(self, shards: Stage) -> list[float]:
        """Let the least loaded slot take a node, again and again, until it no longer pays.

        First what only this slot can run; of all that it can take, what the order says.

        Returns:
            The load of every slot.
        """
        cost, filled = self.work.cost_s, [0.0] * len(shards)
        loads = [(0.0, k) for k in range(len(shards))]
        dry, dry_s, longest = 0, 0.0, 0.0
        while loads:
            load, k = loads[0]
            if dry and load >= longest and self._wasteful(dry, dry * load - dry_s):
                break
            if self.own[k]:
                v = heappop(self.own[k])[1]
                self.own_s -= cost[v]
            else:
                v = self._choose(k)
            if v < 0:  # for good: only its own nodes could make another one ready for it
                heappop(loads)
                dry, dry_s = dry + 1, dry_s + load
                continue
            shards[k].append(v)
            self._take(k, v)
            load += cost[v]
            filled[k] = load
            longest = max(longest, load)
            heapreplace(loads, (load, k))
        return filled

    def _wasteful(self, dry: int, idle_s: float) -> bool:
        """Tell whether idling costs more than a crossing, or is about to.

        As with renting skis, nobody knows how long the idling will go on; to end the stage when it
        has cost as much as a crossing is never more than twice as bad as to know. What is known
        is the work ready now that all slots could share after a crossing.
        """
        slots = self.work.slots
        gain_s = self.own_s * (1 / (slots - dry) - 1 / slots)
        shareable = self.split or sum(map(len, self.own)) > 1
        return (idle_s > self.idle_limit_s and bool(shareable)) or gain_s > self.work.crossing_s

    def _choose(self, k: int) -> int:
        """Return the next node of a slot that has none of its own, -1 for none.

        First what its nodes' readers miss, then anything.
        """
        near, queue, free = self.near[k], self.queue, self.free
        while near:
            v = heappop(near)[2]
            if v in free:
                return v
        while queue:
            v = heappop(queue)[1]
            if v in free:
                return v
        return -1

    def _take(self, k: int, v: int) -> None:
        """Give a node to a slot and tell its readers.

        ``owner[r]`` is ``base + k`` where all that r reads of this stage is in slot k, ``base +
        slots`` where it is in several, and less than ``base`` where it reads nothing of it yet.
        """
        owner, waiting, base, upstream = self.owner, self.waiting, self.base, self.work.upstream
        mine = base + k
        self.free.discard(v)
        for r in self.work.readers[v]:
            waiting[r] = missing = waiting[r] - 1
            if owner[r] < base:
                owner[r] = mine
            elif owner[r] != mine:
                owner[r] = base + self.work.slots
                if not missing:
                    self.split.append(r)
                continue
            if not missing:
                heappush(self.own[k], (self.rank[r], r))
                self.own_s += self.work.cost_s[r]
            elif len(upstream[r]) <= _FAN_IN:
                self._attract(k, upstream[r])

    def _attract(self, k: int, inputs: list[int]) -> None:
        """Count one more reader of slot k that misses these; an older entry is passed over."""
        pull, near, free, rank = self.pull[k], self.near[k], self.free, self.rank
        for u in inputs:
            if u in free:
                pull[u] = count = pull.get(u, 0) + 1
                heappush(near, (-count, rank[u], u))

    def _trim(self, shards: Stage, loads: list[float]) -> None:
        """Give back last nodes of the fullest shard while that raises the work done a second."""
        cost, crossing = self.work.cost_s, self.work.crossing_s
        done = sum(loads)
        while True:
            k = max(range(len(loads)), key=loads.__getitem__)
            if len(shards[k]) < 2:
                return
            v = shards[k][-1]
            longest = max([loads[k] - cost[v], *loads[:k], *loads[k + 1 :]])
            if (done - cost[v]) * (loads[k] + crossing) <= done * (longest + crossing):
                return
            shards[k].pop()
            loads[k] -= cost[v]
            done -= cost[v]
            self._give_back(v)

    def _give_back(self, v: int) -> None:
        self.split.append(v)
        for r in self.work.readers[v]:
            self.waiting[r] += 1
