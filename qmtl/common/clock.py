"""The one place where the wall clock is read; everything else takes the time as an argument."""

from __future__ import annotations

import time


def now_ns() -> int:
    """Return the time since the Unix epoch in nanoseconds, UTC."""
    return time.time_ns()


def now_ms() -> int:
    """Return the time since the Unix epoch in milliseconds, UTC."""
    return time.time_ns() // 1_000_000
