"""The commits of a memory ledger that no mirror acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from qmtl.orchestrator.execution.outbox import OutboxEntry


@dataclass(slots=True)
class _Held:
    """An entry and since when a reader has had it, None for nobody."""

    entry: OutboxEntry
    since_ms: int | None = None


class CommitQueue:
    """Entries in the order of their commits, each until it is dropped."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._count = 0
        self._changed = threading.Condition()

    def append(self, tenant: str, execution_id: str, node_ids: tuple[str, ...]) -> None:
        """Add an entry and wake who waits for one."""
        with self._changed:
            self._count += 1
            entry = OutboxEntry(f"{self._count}-0", tenant, execution_id, node_ids)
            self._held[entry.entry_id] = _Held(entry)
            self._changed.notify_all()

    def take(self, *, limit: int, wait_s: float, idle_s: float) -> list[OutboxEntry]:
        """Hold up to ``limit`` entries that nobody holds, or held for longer than ``idle_s``."""
        ends = time.monotonic() + wait_s
        with self._changed:
            while not (free := self._free(round(idle_s * 1000))[:limit]):
                left = ends - time.monotonic()
                if left <= 0 or limit < 1:
                    return []
                self._changed.wait(left)
            for held in free:
                held.since_ms = self._clock()
            return [held.entry for held in free]

    def _free(self, idle_ms: int) -> list[_Held]:
        latest = self._clock() - idle_ms
        return [h for h in self._held.values() if h.since_ms is None or h.since_ms <= latest]

    def drop(self, entries: list[OutboxEntry]) -> None:
        """Forget entries."""
        with self._changed:
            for entry in entries:
                self._held.pop(entry.entry_id, None)

    def __len__(self) -> int:
        with self._changed:
            return len(self._held)
