"""Keeping a shard's lease alive while it is computed."""

from __future__ import annotations

import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

from qmtl.common.errors import Unavailable
from qmtl.orchestrator.execution.ledger import Ledger


class Lease:
    """Renews a claimed shard every third of its lease, in a thread of its own.

    ``lost`` turns True once the ledger refused a renewal, or could not be reached for as long as
    the lease lasts: whoever computes the shard must then stop.
    """

    def __init__(
        self,
        ledger: Ledger,
        execution_id: str,
        stage: int,
        shard: int,
        token: int,
        lease_s: float,
    ) -> None:
        self._ledger = ledger
        self.execution_id = execution_id
        self.stage = stage
        self.shard = shard
        self.token = token
        self._lease_s = lease_s
        self._lost = Event()
        self._stop = Event()
        self._thread = Thread(target=self._renew, name=f"lease-{execution_id[:8]}", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether the shard is somebody else's by now."""
        return self._lost.is_set()

    def lose(self) -> None:
        """Note that the ledger refused what this lease's holder sent."""
        self._lost.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _renew(self) -> None:
        until = time.monotonic() + self._lease_s
        while not self._stop.wait(self._lease_s / 3):
            asked = time.monotonic()
            try:
                held = self._ledger.renew(
                    self.execution_id, self.stage, self.shard, self.token, lease_s=self._lease_s
                )
            except Unavailable:
                held = asked < until
            else:
                until = asked + self._lease_s
            if not held:
                self._lost.set()
                return
