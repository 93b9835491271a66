"""What a memory ledger keeps of executions that are forgotten: values that may be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qmtl.models.execution import Execution
from qmtl.orchestrator.execution.memory.execution import LiveExecution
from qmtl.orchestrator.execution.memory.histories import Histories
from qmtl.orchestrator.execution.memory.lines import bucket_ms
from qmtl.orchestrator.execution.pages import place


@dataclass(slots=True)
class _Left:
    """Values of an execution with points, when to look at them again, and, once no point names
    them, the newest place in the pages at that time."""

    execution: Execution
    values: dict[str, bytes]
    places: set[tuple[int, int]]
    look_ms: int = 0
    mark: str | None = None


class Remains:
    """Values that outlive their executions, until no point names them, and then until every
    execution is forgotten that was there at that time.

    Args:
        live: Every execution by id.
        histories: Their points.
    """

    def __init__(self, live: Mapping[str, LiveExecution], histories: Histories) -> None:
        self._live = live
        self._histories = histories
        self._left: dict[str, _Left] = {}

    def values(self, execution_id: str) -> dict[str, bytes]:
        """Return the values of an execution, which may be forgotten."""
        known = self._live.get(execution_id) or self._left.get(execution_id)
        return {} if known is None else known.values

    def leave(self, known: LiveExecution, again_ms: int) -> None:
        """Keep what may be read of an execution that was just forgotten."""
        if known.places and known.values:
            execution = known.execution
            self._left[execution.id] = _Left(execution, known.values, known.places)
            self._look(execution.id, again_ms)

    def refuses(self, execution: Execution) -> bool:
        """Return whether values of another bucket or line stand under an execution's id."""
        left = self._left.get(execution.id)
        return left is not None and (
            left.execution.line != execution.line
            or bucket_ms(left.execution) != bucket_ms(execution)
        )

    def take_up(self, known: LiveExecution) -> None:
        """Give an execution that is made anew what is left of the forgotten one."""
        left = self._left.pop(known.execution.id, None)
        if left is not None:
            known.values, known.places = left.values, left.places

    def look(self, now_ms: int, again_ms: int, limit: int) -> None:
        """Let go of what nobody can read any more."""
        due = sorted((left.look_ms, id_) for id_, left in self._left.items())
        for _, execution_id in [each for each in due if each[0] <= now_ms][:limit]:
            self._look(execution_id, again_ms)

    def _look(self, execution_id: str, again_ms: int) -> None:
        left = self._left[execution_id]
        there = [k for k in self._live.values() if k.execution.tenant == left.execution.tenant]
        if left.mark is None and not self._is_named(left):
            left.mark = max((place(known.execution) for known in there), default="")
        if left.mark is not None and all(
            min(place(known.execution), known.base or "~") > left.mark for known in there
        ):
            del self._left[execution_id]
        else:
            left.look_ms = again_ms

    def _is_named(self, left: _Left) -> bool:
        execution = left.execution
        return any(
            self._histories.names(execution.line, interval, bucket, left.values, execution.id)
            for interval, bucket in left.places
        )
