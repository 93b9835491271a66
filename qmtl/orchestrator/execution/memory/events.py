"""The events of an execution in a memory ledger."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from qmtl.models.execution import Event, EventKind, Execution
from qmtl.orchestrator.execution.event_cursors import parts
from qmtl.orchestrator.execution.ledger_types import NodeCommit

MOST_EVENTS = 1_000
MOST_LISTED = 500  # nodes of one event
LAST_MS = 60_000  # after the end


class Events:
    """What happened to one execution, the latest of it; gone some time after its end."""

    def __init__(self) -> None:
        self._told: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._last = (0, -1)  # the latest id
        self._gone_ms: int | None = None

    def tell(self, kind: EventKind, execution: Execution, now_ms: int, **facts: Any) -> None:
        """Add an event of an execution as it stands."""
        self._drop(now_ms)
        ms, number = self._last
        self._last = (now_ms, 0) if now_ms > ms else (ms, number + 1)
        self._gone_ms = now_ms + LAST_MS if kind is EventKind.ENDED else None
        event = Event(
            id="-".join(map(str, self._last)),
            at_ms=self._last[0],
            kind=kind,
            attempt=execution.attempt,
            done=execution.nodes_done,
            total=execution.nodes_total,
            **facts,
        )
        self._told.append(event)

    def tell_nodes(self, new: Sequence[NodeCommit], execution: Execution, now_ms: int) -> None:
        """Add the event of nodes that were committed."""
        counts = Counter(node.record.state for node in new)
        listed = tuple(node.record.node_id for node in new[:MOST_LISTED])
        self.tell(EventKind.NODES, execution, now_ms, counts=dict(counts), nodes=listed)

    def behind(self, after: str, now_ms: int, limit: int) -> list[Event]:
        """Return the first events behind a cursor."""
        self._drop(now_ms)
        cursor = parts(after)
        return [event for event in self._told if parts(event.id) > cursor][:limit]

    def _drop(self, now_ms: int) -> None:
        if self._gone_ms is not None and now_ms >= self._gone_ms:
            self._told.clear()
