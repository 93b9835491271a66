"""Requests that wait: for a submission, for an execution, for what happens to one.

They are never so many that nothing else runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qmtl.common.errors import Crowded

RETRY_AFTER_S = 2


class WaitingRoom:
    """Bounds how many threads of a process wait at once.

    Whoever finds it full does not wait at all: the answer is then the one that a wait of zero
    seconds gives, which every caller must understand anyway.
    """

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def enter(self, wait_s: float) -> Iterator[float]:
        """Give the seconds that the caller may wait: ``wait_s``, or 0 where the room is full."""
        if wait_s <= 0 or not self.take():
            yield 0.0
            return
        try:
            yield wait_s
        finally:
            self.give_back()

    def take(self) -> bool:
        """Take a place, if one is free."""
        return self._places.acquire(blocking=False)

    def give_back(self) -> None:
        """Free a place that was taken."""
        self._places.release()


class StreamRoom:
    """Bounds how many event streams a process serves at once.

    Each has a place in the waiting room too, where streams leave some to others: they last longer
    than any request that waits.
    """

    def __init__(self, places: int, room: WaitingRoom) -> None:
        self._free = places
        self._room = room
        self._lock = threading.Lock()

    def enter(self) -> Callable[[], None]:
        """Take a place, and return what gives it back; calling that twice does no harm.

        Raises:
            Crowded: None is free.
        """
        with self._lock:
            if self._free == 0 or not self._room.take():
                raise Crowded(
                    "As many event streams are open as this process serves.",
                    retry_after_s=RETRY_AFTER_S,
                    hint="Ask for the execution with ?wait= instead.",
                )
            self._free -= 1
        left = False

        def leave() -> None:
            nonlocal left
            with self._lock:
                if not left:
                    left = True
                    self._free += 1
                    self._room.give_back()

        return leave
