"""Requests that wait: for a submission, for an execution; never so many that nothing else runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.002, 0.5
SHARE = 0.1  # of the time that passed is the next pause, so an answer is late by a tenth at most
T = TypeVar("T")


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


def poll(read: Callable[[], T], ended: Callable[[T], bool], *, wait_s: float) -> T:
    """Read with growing pauses until what is read has ended or the time is up."""
    began = time.monotonic()
    while True:
        value = read()
        passed = time.monotonic() - began
        if ended(value) or passed >= wait_s:
            return value
        pause = min(max(SHARE * passed, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
        time.sleep(min(pause, wait_s - passed))
