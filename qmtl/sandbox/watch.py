"""How long the call that a child runs has left."""

from __future__ import annotations

import time
from collections.abc import Sequence

from qmtl.common.errors import SandboxFailure
from qmtl.sandbox.calls import Call
from qmtl.sandbox.progress import attempt_of, position_of

GRACE_S = 30.0  # for what is no call: taking a request in, the pause before another attempt


class Watch:
    """Follows what a child says that it runs, and for how long it has said so.

    Each attempt of a call has the call's whole limit. Only progress restarts the clock, so that a
    child cannot win time by saying otherwise.

    Args:
        calls: What the child was asked to make, by position.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self._mark = 0
        self._since = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the last progress."""
        return time.monotonic() - self._since

    @property
    def position(self) -> int:
        """Of the call that was last seen to run; -1 before."""
        return position_of(self._mark)

    @property
    def call(self) -> Call | None:
        """The call that was last seen to run."""
        return self._calls[self.position] if 0 <= self.position < len(self._calls) else None

    def left_s(self, mark: int) -> float:
        """Return the seconds that a child which shows this mark has left; none if negative.

        Raises:
            SandboxFailure: The child says what cannot be.
        """
        if mark > self._mark:
            self._mark, self._since = mark, time.monotonic()
            call = self.call
            if call is None or attempt_of(mark) > call.retries:
                raise SandboxFailure("An executor says that it runs what it was not asked to.")
        call = self.call
        limit = 0.0 if call is None else call.timeout_s
        return limit + (0.0 if mark and mark == self._mark else GRACE_S) - self.elapsed_s

    def heard(self, mark: int) -> None:
        """Give a child that runs nothing its grace anew: it may have waited to be listened to."""
        if mark == 0:
            self._since = time.monotonic()

    def see(self, mark: int) -> None:
        """Take the last mark of a child that is gone."""
        self._mark = max(mark, self._mark)
