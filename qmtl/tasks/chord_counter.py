"""The result backend of an application whose results nobody awaits: it counts chords' headers.

Celery's own subscribes whoever sends a chord to each of its results, and unsubscribes when they
are garbage-collected: while the server is away, that holds a process for twenty seconds.
"""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend


class ChordCounter(RedisBackend):
    """Keeps the counters of chords in Redis, and listens to nothing."""

    def add_pending_result(self, result: Any, *_: Any, **__: Any) -> Any:
        """Return the result, unawaited."""
        return result

    def remove_pending_result(self, result: Any) -> Any:
        """Return the result; nothing waits for it."""
        return result
