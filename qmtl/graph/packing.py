"""Packing weights on slots: the multiprocessor scheduling problem, by the longest first (LPT)."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heapreplace
from math import ceil

_EXACT_BELOW = 16  # weights a slot; with more of them LPT is as good as its lower bound


def makespan(weights: Sequence[float], slots: int) -> float:
    """Estimate the load of the fullest slot; O(n log n), or O(n) where the bound suffices.

    LPT exceeds the lower bound by less than the weight that is placed last. Where the weights are
    many and none is large this is nothing, and the bound is returned without sorting.
    """
    largest, mean = max(weights), sum(weights) / slots
    if len(weights) <= slots:
        return largest
    if len(weights) > _EXACT_BELOW * slots and largest * _EXACT_BELOW <= mean:
        return mean
    loads = [0.0] * slots
    for weight in sorted(weights, reverse=True):
        heapreplace(loads, loads[0] + weight)
    return max(loads)


def pack(weights: Sequence[float], slots: int) -> list[list[int]]:
    """Return the indexes of the weights in at most ``slots`` bins, none of them empty.

    The longest goes first, each to the emptiest bin. Bins that a makespan no longer would save are
    saved: a bin is a message, a claim and a commit.
    """
    bins, span = _longest_first(weights, slots)
    fewest = max(1, ceil(sum(weights) / span * (1 - 1e-9))) if span else 1
    for count in range(fewest, len(bins)):
        fewer, longest = _longest_first(weights, count)
        if longest <= span * (1 + 1e-9):
            return fewer
    return bins


def _longest_first(weights: Sequence[float], slots: int) -> tuple[list[list[int]], float]:
    count = min(slots, len(weights))
    bins: list[list[int]] = [[] for _ in range(count)]
    loads = [(0.0, k) for k in range(count)]
    heapify(loads)
    for each in sorted(range(len(weights)), key=weights.__getitem__, reverse=True):
        load, emptiest = loads[0]
        bins[emptiest].append(each)
        heapreplace(loads, (load + weights[each], emptiest))
    return [each for each in bins if each], max(loads)[0]
