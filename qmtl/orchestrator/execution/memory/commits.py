"""The commits of a memory ledger: what no mirror acknowledged, and what is retained after it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from qmtl.orchestrator.execution.outbox import MOST_PUT_ASIDE, OutboxEntry


@dataclass(slots=True)
class _Held:
    """An entry, when it was committed, since when a reader has had it, None for nobody, and how
    often it could not be mirrored."""

    entry: OutboxEntry
    committed_ms: int
    since_ms: int | None = None
    failures: int = 0


class CommitQueue:
    """Entries in the order of their commits, each open until it is acknowledged or put aside."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._open: dict[str, _Held] = {}
        self._done: dict[str, _Held] = {}
        self._dead: deque[tuple[OutboxEntry, str]] = deque(maxlen=MOST_PUT_ASIDE)
        self._topics: dict[str, str] = {}
        self._count = 0
        self._rewinds = 0
        self._changed = threading.Condition()

    def append(
        self, tenant: str, execution_id: str, node_ids: tuple[str, ...], attempt: int
    ) -> None:
        """Add an entry and wake who waits for one."""
        with self._changed:
            self._count += 1
            entry = OutboxEntry(
                f"{self._count}-0", tenant, execution_id, node_ids, self._rewinds, attempt
            )
            self._open[entry.entry_id] = _Held(entry, self._clock())
            self._changed.notify_all()

    def take(self, *, limit: int, wait_s: float, idle_s: float) -> list[OutboxEntry]:
        """Hold up to ``limit`` entries that nobody holds, or held for longer than ``idle_s``; of
        the latter at most half while there are others."""
        ends = time.monotonic() + wait_s
        with self._changed:
            while not (free := self._free(round(idle_s * 1000), limit)):
                left = ends - time.monotonic()
                if left <= 0 or limit < 1:
                    return []
                self._changed.wait(left)
            for held in free:
                held.since_ms = self._clock()
            return [held.entry for held in free]

    def _free(self, idle_ms: int, limit: int) -> list[_Held]:
        latest = self._clock() - idle_ms
        new = [h for h in self._open.values() if h.since_ms is None]
        left = [h for h in self._open.values() if h.since_ms is not None and h.since_ms <= latest]
        room = max((limit + 1) // 2, limit - len(new))
        chosen = left[:room]
        return sorted(chosen + new[: limit - len(chosen)], key=_order)

    def acknowledge(
        self, entries: list[OutboxEntry], *, retention_s: float, most_entries: int
    ) -> None:
        """Close entries of the latest rewind; let go of closed ones that are old or too many."""
        with self._changed:
            for entry in entries:
                held = self._current(entry)
                if held is not None:
                    self._done[entry.entry_id] = self._open.pop(entry.entry_id)
            self._trim(self._clock() - round(retention_s * 1000), most_entries)

    def trim(self, *, retention_s: float, most_entries: int) -> None:
        """Let go of closed entries that are old or too many."""
        with self._changed:
            self._trim(self._clock() - round(retention_s * 1000), most_entries)

    def _trim(self, oldest_ms: int, most_entries: int) -> None:
        """Let go of closed entries, those first that were closed first."""
        while self._done:
            entry_id, held = next(iter(self._done.items()))
            excess = len(self._open) + len(self._done) - most_entries
            if excess <= 0 and held.committed_ms >= oldest_ms:
                return
            del self._done[entry_id]

    def _current(self, entry: OutboxEntry) -> _Held | None:
        """Return what is open under an entry's id and was not rewound since it was read."""
        held = self._open.get(entry.entry_id)
        return held if held is not None and held.entry.rewinds == entry.rewinds else None

    def reject(self, entries: list[OutboxEntry], *, reason: str, tries: int) -> int:
        """Count a failure of each; return how many were put aside because it was the last try."""
        put_aside = 0
        with self._changed:
            for entry in entries:
                held = self._current(entry)
                if held is None:
                    continue
                held.failures += 1
                if held.failures >= tries:
                    self._done[entry.entry_id] = self._open.pop(entry.entry_id)
                    self._dead.append((entry, reason))
                    put_aside += 1
        return put_aside

    def put_aside(self) -> int:
        """Return how many entries were put aside."""
        with self._changed:
            return len(self._dead)

    def known_topics(self) -> dict[str, str]:
        """Return the id of each topic."""
        with self._changed:
            return dict(self._topics)

    def learn_topics(self, known: Mapping[str, str], found: Mapping[str, str]) -> bool:
        """Note the ids of topics; open everything again where one replaces another."""
        lost = False
        with self._changed:
            for topic, topic_id in found.items():
                before = self._topics.get(topic)
                if before != known.get(topic) or topic_id in ("", before):
                    continue
                self._topics[topic] = topic_id
                lost = lost or before is not None
            if lost:
                self._rewind()
        return lost

    def _rewind(self) -> None:
        self._rewinds += 1
        everything = sorted([*self._done.values(), *self._open.values()], key=_order)
        self._done = {}
        self._open = {
            held.entry.entry_id: _Held(
                replace(held.entry, rewinds=self._rewinds), held.committed_ms
            )
            for held in everything
        }
        self._changed.notify_all()

    def tells_of(self, execution_id: str) -> bool:
        """Return whether an entry of an execution is open or retained."""
        with self._changed:
            held = (*self._open.values(), *self._done.values())
            return any(each.entry.execution_id == execution_id for each in held)

    def __len__(self) -> int:
        with self._changed:
            return len(self._open)


def _order(held: _Held) -> int:
    return int(held.entry.entry_id.partition("-")[0])
