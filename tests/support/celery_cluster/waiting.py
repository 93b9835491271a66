"""Waiting for conditions: a test says what must come true, never how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_S = 0.05


def eventually(condition: Callable[[], T | None], *, what: str, within_s: float = 30.0) -> T:
    """Return the condition's first true value; fail, saying what was awaited, past the bound."""
    until = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < until, f"It never came true that {what}."
        time.sleep(LOOK_S)
    return value
