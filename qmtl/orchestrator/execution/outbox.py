"""Port of the outbox: what was committed, and whether Kafka has got it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

RETENTION_S = 86_400.0
MOST_ENTRIES = 1_000_000
MOST_PUT_ASIDE = 10_000


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One commit: ``entry_id`` is the outbox's own, ``node_ids`` are what it wrote, in ``attempt``.

    ``rewinds`` says how often the outbox had been rewound when the entry was read.
    """

    entry_id: str
    tenant: str
    execution_id: str
    node_ids: tuple[str, ...]
    rewinds: int = 0
    attempt: int = 1


class Outbox(Protocol):
    """A queue of commits, read by any number of mirrors, each entry until it is acknowledged.

    An entry that a reader took and did not acknowledge (it was killed) is given again to the next
    one after ``idle_s``. So every entry is seen at least once.

    Acknowledged entries are retained for a time after their commit, up to a number, so that they
    can be read again when Kafka lost its topics: the outbox knows the id of each topic, and where
    another takes its place, it is rewound to the oldest retained entry. May raise ``Unavailable``.
    """

    def read(self, reader: str, *, limit: int, wait_s: float, idle_s: float) -> list[OutboxEntry]:
        """Return entries that nobody holds, oldest first; wait up to ``wait_s`` for the first.

        Entries that are given again take at most half of what is returned while there are others.
        """

    def acknowledge(self, entries: list[OutboxEntry]) -> None:
        """Count entries as mirrored. Idempotent; without effect on entries that were read before
        a rewind, since what they were sent to may be gone."""

    def trim(self) -> None:
        """Let go of what was acknowledged and need not be retained any more; ``acknowledge`` does
        so too."""

    def reject(self, entries: list[OutboxEntry], *, reason: str, tries: int) -> int:
        """Note that entries cannot be mirrored: they are given again, and put aside after so many
        ``tries``. Returns how many were put aside now."""

    def backlog(self) -> int:
        """Return how many entries are neither acknowledged nor put aside."""

    def put_aside(self) -> int:
        """Return how many entries were put aside; the oldest are forgotten past a bound."""

    def known_topics(self) -> dict[str, str]:
        """Return the id of each topic that results were sent to."""

    def learn_topics(self, known: Mapping[str, str], found: Mapping[str, str]) -> bool:
        """Note the ids of topics, and rewind where one is not the one that was known.

        Args:
            known: The ids that ``known_topics`` returned. A topic whose id is another by now is
                passed over: another mirror saw the same.
            found: The ids that the broker tells; an empty one tells nothing.

        Returns:
            Whether the outbox was rewound. A topic that was not known is noted without it.
        """

    def forget_readers(self, *, idle_s: float) -> int:
        """Forget readers that hold nothing and read nothing for so long; return how many."""
