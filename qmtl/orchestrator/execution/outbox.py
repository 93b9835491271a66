"""Port of the outbox: commits that Kafka has not got yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One commit: ``entry_id`` is the outbox's own, ``node_ids`` are what it wrote."""

    entry_id: str
    tenant: str
    execution_id: str
    node_ids: tuple[str, ...]


class Outbox(Protocol):
    """A queue of commits, read by any number of mirrors, each entry until it is acknowledged.

    An entry that a reader took and did not acknowledge (it was killed) is given again to the next
    one after ``idle_s``. So every entry is seen at least once. May raise ``Unavailable``.
    """

    def read(self, reader: str, *, limit: int, wait_s: float, idle_s: float) -> list[OutboxEntry]:
        """Return entries that nobody holds, oldest first; wait up to ``wait_s`` for the first."""

    def acknowledge(self, entries: list[OutboxEntry]) -> None:
        """Drop entries. Idempotent."""

    def backlog(self) -> int:
        """Return how many entries are not acknowledged."""
