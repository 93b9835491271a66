"""What a local run warns of, told as of the line that called it."""

from __future__ import annotations

import sys
import warnings

_INSIDE = frozenset({"qmtl", "contextlib"})


class LocalRunWarning(UserWarning):
    """Something comes out otherwise than the author may think, here or on a server."""


def warn(message: str) -> None:
    """Warn the first caller outside this package."""
    warnings.warn(message, LocalRunWarning, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Return how far above the function that asks its first caller outside this package is."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 - warnings count frames, and so must this
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    return level
