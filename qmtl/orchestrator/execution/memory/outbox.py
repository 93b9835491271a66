"""The outbox of a memory ledger."""

from __future__ import annotations

from collections.abc import Mapping

from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.outbox import MOST_ENTRIES, RETENTION_S, OutboxEntry


class MemoryOutbox:
    """Reads what a memory ledger committed."""

    def __init__(
        self,
        ledger: MemoryLedger,
        *,
        retention_s: float = RETENTION_S,
        most_entries: int = MOST_ENTRIES,
    ) -> None:
        self._commits = ledger.commits
        self._retention_s = retention_s
        self._most_entries = most_entries

    def read(self, reader: str, *, limit: int, wait_s: float, idle_s: float) -> list[OutboxEntry]:  # noqa: ARG002 - nobody asks who holds an entry
        return self._commits.take(limit=limit, wait_s=wait_s, idle_s=idle_s)

    def acknowledge(self, entries: list[OutboxEntry]) -> None:
        self._commits.acknowledge(
            entries, retention_s=self._retention_s, most_entries=self._most_entries
        )

    def trim(self) -> None:
        self._commits.trim(retention_s=self._retention_s, most_entries=self._most_entries)

    def reject(self, entries: list[OutboxEntry], *, reason: str, tries: int) -> int:
        return self._commits.reject(entries, reason=reason, tries=tries)

    def backlog(self) -> int:
        return len(self._commits)

    def put_aside(self) -> int:
        return self._commits.put_aside()

    def known_topics(self) -> dict[str, str]:
        return self._commits.known_topics()

    def learn_topics(self, known: Mapping[str, str], found: Mapping[str, str]) -> bool:
        return self._commits.learn_topics(known, found)

    def forget_readers(self, *, idle_s: float) -> int:  # noqa: ARG002 - readers are not kept
        return 0
