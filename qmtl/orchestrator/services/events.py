"""Following an execution: what happens to it, as it happens."""

from __future__ import annotations

from collections.abc import Sequence

from qmtl.models.execution import Event, EventKind, Execution
from qmtl.orchestrator.execution.ledger import Ledger


class EventService:
    """Gives the events of an execution, and an end also where they are gone."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(
        self, tenant: str, execution_id: str, *, after: str = "", timeout_s: float = 0.0
    ) -> tuple[Sequence[Event], bool]:
        """Return the events behind one, as soon as there are any, and whether that is all.

        Of an execution that has ended, all are read at once, and the last is always ENDED: where
        the ledger has none behind ``after``, one is made from the execution itself, without an id.
        It is no harm to be told of an end twice.

        Args:
            tenant: Whose.
            execution_id: Which one.
            after: The id of the last event that the caller has; "" for none.
            timeout_s: How long to wait where there is none; then none is returned.

        Raises:
            UnknownExecution: There is none, or it is another tenant's.
            InvalidRequest: ``after`` is no id of an event.
        """
        told: list[Event] = []
        while True:
            execution, found = self._ledger.events(
                tenant, execution_id, after=after, timeout_s=timeout_s
            )
            told += found
            if found and _is_last(found[-1], execution):
                return told, True
            if not execution.state.ended:
                return told, False
            if not found:
                return [*told, _end(execution)], True
            after = found[-1].id


def _is_last(event: Event, execution: Execution) -> bool:
    """Return whether an event ends the latest attempt: an earlier one was reopened since."""
    return event.kind is EventKind.ENDED and event.attempt >= execution.attempt


def _end(execution: Execution) -> Event:
    return Event(
        id="",
        at_ms=execution.ended_ms or execution.created_ms,
        kind=EventKind.ENDED,
        attempt=execution.attempt,
        done=execution.nodes_done,
        total=execution.nodes_total,
        state=execution.state,
        error=None if execution.error is None else execution.error.code,
    )
