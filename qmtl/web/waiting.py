"""Requests that wait: for a submission, for an execution; never so many that nothing else runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


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
        if wait_s <= 0 or not self._places.acquire(blocking=False):
            yield 0.0
            return
        try:
            yield wait_s
        finally:
            self._places.release()
