"""Improving a plan by moving single nodes out of the shards that stages wait for.

This is hill climbing over the plan's cost. It matters where costs are skewed: a long node moves to
a stage that waits for another long one anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qmtl.graph.workload import Stage, Workload

_SHARDS = 128  # how many shards a node may look at ...
_REACH = 24  # ... and how many stages away
_PASSES = 8
_OFFERS = 500  # after which no further pass begins, where nodes are few
_NOISE_S = 1e-9


def moved(work: Workload, stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages after hill climbing: never a slower plan, and possibly fewer stages.

    O(nodes + edges): only nodes of longest shards are offered, each to a bounded number of places,
    and no pass begins after half as many offers as there are nodes. Skewed costs make few such
    nodes, so that several passes are possible just where they pay.
    """
    climb = _Climb(work, stages)
    for _ in range(_PASSES):
        if not climb.once() or climb.offers > max(_OFFERS, len(work) // 2):
            break
    return climb.stages()


class _Climb:
    """Where every node stands, and what every shard of every stage carries."""

    def __init__(self, work: Workload, stages: Sequence[Stage]) -> None:
        self.work = work
        self.offers = 0
        self.reach = min(_REACH, max(1, _SHARDS // (2 * work.slots)))
        self.stage = [0] * len(work)
        self.slot = [0] * len(work)
        self.load_s = [[0.0] * work.slots for _ in stages]
        for s, shards in enumerate(stages):
            for k, shard in enumerate(shards):
                self.load_s[s][k] = work.load_s(shard)
                for v in shard:
                    self.stage[v], self.slot[v] = s, k
        self.top_s = [max(each) for each in self.load_s]

    def stages(self) -> list[Stage]:
        """Return the stages that are not empty, every shard in topological order."""
        found: list[Stage] = [[[] for _ in loads] for loads in self.load_s]
        for v in range(len(self.work)):
            found[self.stage[v]][self.slot[v]].append(v)
        shards = [[shard for shard in stage if shard] for stage in found]
        return [stage for stage in shards if stage]

    def once(self) -> bool:
        """Offer every node of a longest shard to other places; tell whether one moved."""
        changed = False
        for v in range(len(self.work) - 1, -1, -1):
            s = self.stage[v]
            longest = self.load_s[s][self.slot[v]] >= self.top_s[s] - _NOISE_S
            if longest and self.work.cost_s[v]:
                changed |= self._move(v)
        return changed

    def _move(self, v: int) -> bool:
        self.offers += 1
        s, k, cost = self.stage[v], self.slot[v], self.work.cost_s[v]
        loads = self.load_s[s]
        rest_s = max([loads[k] - cost, *loads[:k], *loads[k + 1 :]])
        most, place = 0.0, (s, k)
        for t, j in self._places(v):
            gain = self._gain_s(v, t, j, rest_s)
            if gain > most:
                most, place = gain, (t, j)
        t, j = place
        if place == (s, k):
            return False
        loads[k] -= cost
        self.load_s[t][j] += cost
        self.top_s[s], self.top_s[t] = max(loads), max(self.load_s[t])
        self.stage[v], self.slot[v] = place
        return True

    def _gain_s(self, v: int, t: int, j: int, rest_s: float) -> float:
        """Return the seconds that a move saves.

        A move that only takes work from one of several longest shards counts as a trifle: when all
        of them have lost some, the stage is shorter.
        """
        s, there_s = self.stage[v], self.load_s[t][j] + self.work.cost_s[v]
        if t == s:
            gain = self.top_s[s] - max(rest_s, there_s)
            return gain if gain > _NOISE_S else 0.0
        over = there_s - self.top_s[t]
        gain = self.top_s[s] - rest_s - max(over, 0.0)
        if over < -_NOISE_S and gain > -_NOISE_S:
            return max(gain, _NOISE_S)
        return gain if gain > _NOISE_S else 0.0

    def _places(self, v: int) -> Iterator[tuple[int, int]]:
        """Give one shard of every stage near by that a node may stand in, other than its own."""
        s, reach = self.stage[v], self.reach
        low, low_slot = self._earliest(v)
        high, high_slot = self._latest(v)
        for t in range(max(low, s - reach), min(high, s + reach) + 1):
            j = low_slot if t == low else -1
            if t == high and high_slot >= 0:
                if j >= 0 and j != high_slot:
                    continue
                j = high_slot
            if j < 0:
                loads = self.load_s[t]
                j = loads.index(min(loads))
            if t != s or j != self.slot[v]:
                yield t, j

    def _earliest(self, v: int) -> tuple[int, int]:
        """Return the first stage that a node may stand in and its one shard there, -1 for any."""
        low, slot = -1, -1
        for u in self.work.upstream[v]:
            if self.stage[u] > low:
                low, slot = self.stage[u], self.slot[u]
            elif self.stage[u] == low and self.slot[u] != slot:
                slot = -1
        return (low, slot) if slot >= 0 else (low + 1, -1)

    def _latest(self, v: int) -> tuple[int, int]:
        high, slot = len(self.top_s), -1
        for r in self.work.readers[v]:
            if self.stage[r] < high:
                high, slot = self.stage[r], self.slot[r]
            elif self.stage[r] == high and self.slot[r] != slot:
                slot = -1
        return (high, slot) if slot >= 0 else (high - 1, -1)
