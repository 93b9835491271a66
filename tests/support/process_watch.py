"""Processes of tests: owners to kill, and whether anything outlived them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

PATIENCE_S = 30.0


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def eventually(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> bool:
    """Return whether a condition comes true within a bound."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def all_end(pids: Iterable[int]) -> bool:
    """Return whether all of these processes end within a bound."""
    watched = list(pids)
    return eventually(lambda: not any(map(is_alive, watched)))


def descendants(pid: int) -> list[int]:
    """Return the processes below one, as they are now."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]
