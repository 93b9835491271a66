"""Improving a plan by moving single nodes out of the shards that stages wait for.

This is hill climbing over the plan's cost. It matters where costs are skewed: a long node moves to
a stage that waits for another long one anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        self.least = [each.index(min(each)) for each in self.load_s]

    def _measure(self, stage: int) -> None:
        loads = self.load_s[stage]
        self.top_s[stage] = max(loads)
        self.least[stage] = loads.index(min(loads))

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
        t, j = self._best(v, s, k)
        if (t, j) == (s, k):
            return False
        self.load_s[s][k] -= cost
        self.load_s[t][j] += cost
        self.stage[v], self.slot[v] = t, j
        self._measure(s)
        self._measure(t)
        return True

    def _best(self, v: int, s: int, k: int) -> tuple[int, int]:
        """Return the shard near by where a node saves the most: one of each stage is looked at.

        A move that only takes work from one of several longest shards counts as a trifle: when all
        of them have lost some, the stage is shorter.
        """
        cost, loads = self.work.cost_s[v], self.load_s[s]
        rest_s = max([loads[k] - cost, *loads[:k], *loads[k + 1 :]])
        saved_s = self.top_s[s] - rest_s  # by leaving, which no place can exceed
        low, low_slot = self._earliest(v)
        high, high_slot = self._latest(v)
        most, place = _NOISE_S, (s, k)
        for t in range(max(low, s - self.reach), min(high, s + self.reach) + 1):
            j = low_slot if t == low and low_slot >= 0 else self.least[t]
            if t == high and high_slot >= 0:
                if t == low and low_slot >= 0 and low_slot != high_slot:
                    continue
                j = high_slot
            there_s = self.load_s[t][j] + cost
            if t == s:
                gain = self.top_s[s] - max(rest_s, there_s) if j != k else 0.0
            else:
                over = there_s - self.top_s[t]
                gain = saved_s - over if over > 0.0 else saved_s
                if over < -_NOISE_S and gain > -_NOISE_S and place == (s, k):
                    gain = max(gain, 2 * _NOISE_S)
            if gain > most:
                most, place = gain, (t, j)
                if most >= saved_s:
                    break
        return place

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
