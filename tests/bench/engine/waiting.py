"""Waiting for what cannot be waited on, without rounding a figure up."""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.02  # of the time that passed: how long the next pause is
SHORTEST_S, LONGEST_S = 0.0003, 0.02


def pause_until(
    ended: Callable[[], bool],
    *,
    timeout_s: float,
    what: str,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look again and again, after pauses that are a small share of the time that passed.

    A figure is therefore late by that share at most, and a long wait costs little.

    Raises:
        TimeoutError: It did not happen.
    """
    began = clock()
    while not ended():
        passed = clock() - began
        if passed > timeout_s:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        sleep(min(max(passed * SHARE, SHORTEST_S), LONGEST_S))
