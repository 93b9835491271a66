"""The outbox of a memory ledger."""

from __future__ import annotations

from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.outbox import OutboxEntry


class MemoryOutbox:
    """Reads what a memory ledger committed."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._commits = ledger.commits

    def read(self, reader: str, *, limit: int, wait_s: float, idle_s: float) -> list[OutboxEntry]:  # noqa: ARG002 - nobody asks who holds an entry
        return self._commits.take(limit=limit, wait_s=wait_s, idle_s=idle_s)

    def acknowledge(self, entries: list[OutboxEntry]) -> None:
        self._commits.drop(entries)

    def backlog(self) -> int:
        return len(self._commits)
