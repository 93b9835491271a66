"""Topics of results in memory."""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Sequence

from qmtl.orchestrator.execution.result_topic import TopicRecord


class MemoryResultTopic:
    """Keeps what was sent, by topic, in order."""

    def __init__(self) -> None:
        self._records: dict[str, list[TopicRecord]] = defaultdict(list)
        self._ids: dict[str, str] = defaultdict(lambda: str(uuid.uuid4()))
        self._lock = threading.Lock()

    def ping(self) -> None:
        return None

    def identify(self, topics: Sequence[str]) -> dict[str, str]:
        with self._lock:
            return {topic: self._ids[topic] for topic in topics}

    def lose(self, *topics: str) -> None:
        """Forget topics, all of them as a broker without durable storage does by a restart."""
        with self._lock:
            for topic in topics or list(self._ids):
                self._records.pop(topic, None)
                self._ids.pop(topic, None)

    def send(self, records: Sequence[TopicRecord]) -> None:
        with self._lock:
            for record in records:
                self._records[record.topic].append(record)

    def read_all(self, topic: str, *, idle_s: float, limit: int) -> list[TopicRecord]:  # noqa: ARG002 - everything is here already
        with self._lock:
            return list(self._records.get(topic, ()))[:limit]

    def close(self) -> None:
        return None
