"""Values that a process used last, so that what never changes is read once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """The values used last, up to a total weight; threads may share it.

    One value alone is kept whatever it weighs.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int]) -> None:
        self._limit = limit
        self._weigh = weigh
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, V] = OrderedDict()
        self._weight = 0

    @property
    def weight(self) -> int:
        """Of all that is kept."""
        return self._weight

    def get(self, key: Hashable) -> V | None:
        """Return what is kept, and count it as used."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Hashable, value: V) -> None:
        """Keep a value, and let go of those that were not used for longest."""
        with self._lock:
            if key in self._kept:
                self._weight -= self._weigh(self._kept.pop(key))
            self._kept[key] = value
            self._weight += self._weigh(value)
            while self._weight > self._limit and len(self._kept) > 1:
                self._weight -= self._weigh(self._kept.popitem(last=False)[1])
