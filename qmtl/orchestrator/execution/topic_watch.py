"""Whether the topics are still those that results were sent to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from qmtl.orchestrator.execution.outbox import Outbox
from qmtl.orchestrator.execution.result_topic import ResultTopic

EVERY_S = 5.0
log = logging.getLogger("qmtl.mirror")


class TopicWatch:
    """Compares the topics' ids with those that the outbox knows.

    A broker that lost its data has other ids, or none: the topics are made again and the outbox
    is rewound. An id is noted before anything is sent to its topic, so that no record can be
    acknowledged whose loss would not show.
    """

    def __init__(
        self,
        outbox: Outbox,
        topic: ResultTopic,
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._topic = topic
        self._every_s = every_s
        self._clock = clock
        self._next: float | None = None
        self._noted: set[str] = set()

    def look(self) -> bool:
        """Compare every known topic, if the last look is long enough ago.

        Returns:
            Whether it did.

        Raises:
            Unavailable: Redis or Kafka is away.
        """
        if self._next is not None and self._clock() < self._next:
            return False
        known = self._outbox.known_topics()
        self._compare(known, known.keys())
        self._next = self._clock() + self._every_s
        return True

    def note(self, topics: Collection[str]) -> None:
        """Compare topics that this watch has not seen yet; to be called before sending to them.

        Raises:
            Unavailable: Redis or Kafka is away.
        """
        new = set(topics) - self._noted
        if new:
            self._compare(self._outbox.known_topics(), new)

    def _compare(self, known: dict[str, str], topics: Collection[str]) -> None:
        if not topics:
            return
        found = self._topic.identify(sorted(topics))
        if self._outbox.learn_topics(known, found):
            lost = sorted(t for t in found if t in known and found[t] != known[t])
            log.warning("Kafka lost %s: what is retained is mirrored anew.", ", ".join(lost))
        self._noted |= found.keys()
