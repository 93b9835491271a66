"""A page of memory shared by an executor and its child: which call is running right now.

The child cannot be asked while it computes: C code may hold the interpreter for as long as it
likes, and a child that died says nothing. So it writes the number of the running call into memory
that the parent reads; this costs a fraction of a microsecond a call.
"""

from __future__ import annotations

import mmap
import os

SIZE = mmap.PAGESIZE
_ATTEMPT_BITS = 16
_LAST_ATTEMPT = (1 << _ATTEMPT_BITS) - 1


class Progress:
    """The shared number: 0 between calls, or the position of a call and its attempt.

    Attributes:
        position: Of the call that runs next; set it before ``start``.
    """

    def __init__(self, fd: int) -> None:
        self.position = 0
        self._page = mmap.mmap(fd, SIZE)
        self._cells = memoryview(self._page).cast("Q")

    @classmethod
    def inherited(cls, fd: int) -> Progress:
        """Map the page of an inherited descriptor, which is then closed."""
        progress = cls(fd)
        os.close(fd)
        return progress

    def start(self, attempt: int) -> None:
        self._cells[0] = (self.position + 1) << _ATTEMPT_BITS | min(attempt, _LAST_ATTEMPT)

    def stop(self) -> None:
        self._cells[0] = 0

    def read(self) -> int:
        """Return a number that grows with position and attempt; 0 between calls."""
        return self._cells[0]

    def close(self) -> None:
        self._cells.release()
        self._page.close()


def position_of(mark: int) -> int:
    """Return the position of the call that a number stands for."""
    return (mark >> _ATTEMPT_BITS) - 1


def attempt_of(mark: int) -> int:
    return mark & _LAST_ATTEMPT
