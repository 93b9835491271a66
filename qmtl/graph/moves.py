"""Improving a plan by moving single nodes out of the shards that stages wait for."""

from __future__ import annotations

from collections.abc import Sequence

from qmtl.graph.workload import Stage, Workload

_REACH = 24  # how many stages away a node may move
_NOISE_S = 1e-12


def moved(work: Workload, stages: Sequence[Stage], passes: int) -> list[Stage]:
    """Return the stages after hill climbing; never a slower plan, and possibly fewer stages.

    O(passes * (edges + nodes * reach)) in all; only nodes of the longest shards are looked at.
    """
    climb = _Climb(work, stages)
    for _ in range(passes):
        if not climb.once():
            break
    return climb.stages()


class _Climb:
    """Where every node stands, and what every shard of every stage carries."""

    def __init__(self, work: Workload, stages: Sequence[Stage]) -> None:
        self.work = work
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
        return [[k for k in each if k] for each in found if any(each)]

    def once(self) -> bool:
        """Offer every node of a longest shard to other stages; tell whether one moved."""
        changed = False
        cost = self.work.cost_s
        for v in range(len(self.work)-1,-1,-1):
            s = self.stage[v]
            if cost[v] and self.load_s[s][self.slot[v]] >= self.top_s[s] - _NOISE_S:
                changed |= self._move(v)
        return changed

    def _move(self, v: int) -> bool:
        s, k, cost = self.stage[v], self.slot[v], self.work.cost_s[v]
        loads = self.load_s[s]
        without = max([loads[k] - cost, *loads[:k], *loads[k + 1 :]])
        fall = self.top_s[s] - without
        low, low_slot = self._earliest(v)
        high, high_slot = self._latest(v)
        best, place = _NOISE_S, None
        for t in range(max(low, s - _REACH), min(high, s + _REACH) + 1):
            given = self.load_s[t]
            j = low_slot if t == low else -1
            if t == high and high_slot >= 0:
                if j >= 0 and j != high_slot:
                    continue
                j = high_slot
            if t == s and j >= 0:
                continue
            if j < 0:
                j = min(range(len(given)), key=given.__getitem__)
            if t == s:
                if j == k:
                    continue
                gain = self.top_s[s] - max(without, given[j] + cost)
            else:
                over = given[j] + cost - self.top_s[t]
                gain = fall - max(over, 0.0)
                if over < -_NOISE_S and gain >= 0:
                    gain += 2*_NOISE_S
            if gain > best:
                best, place = gain, (t, j)
        if place is None:
            return False
        t, j = place
        loads[k] -= cost
        self.load_s[t][j] += cost
        self.top_s[s] = max(loads)
        self.top_s[t] = max(self.load_s[t])
        self.stage[v], self.slot[v] = t, j
        return True

    def _earliest(self, v: int) -> tuple[int, int]:
        low, slot = 0, -1
        for u in self.work.upstream[v]:
            t = self.stage[u]
            if t > low or slot == -1 and t == low:
                low, slot = t, self.slot[u]
            elif t == low and slot != self.slot[u]:
                slot = -2
        return (low + 1, -1) if slot == -2 else (low, slot)

    def _latest(self, v: int) -> tuple[int, int]:
        high, slot = len(self.top_s) - 1, -1
        for r in self.work.readers[v]:
            t = self.stage[r]
            if t < high or slot == -1 and t == high:
                high, slot = t, self.slot[r]
            elif t == high and slot != self.slot[r]:
                slot = -2
        return (high - 1, -1) if slot == -2 else (high, slot)
