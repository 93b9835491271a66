"""Ordered executions of a memory ledger: one at a time in a line, the earliest bucket first."""

from __future__ import annotations

from collections import defaultdict

from qmtl.models.execution import Execution, Line


class Lines:
    """The executions of each line that have not ended, and which of them runs."""

    def __init__(self) -> None:
        self._waiting: dict[Line, dict[str, int]] = defaultdict(dict)
        self._running: dict[Line, str] = {}

    def join(self, execution: Execution) -> None:
        """Let an execution stand in its line, where it is ordered."""
        if _stands_in(execution):
            self._waiting[execution.line][execution.id] = execution.bucket_ns

    def run(self, execution: Execution) -> None:
        """Note that it runs."""
        if _stands_in(execution):
            self._running[execution.line] = execution.id

    def leave(self, execution: Execution) -> str | None:
        """Take it out of its line; return whose turn it is then."""
        if not _stands_in(execution):
            return None
        self._waiting[execution.line].pop(execution.id, None)
        if self._running.get(execution.line) == execution.id:
            del self._running[execution.line]
        return self.next(execution.line)

    def next(self, line: Line) -> str | None:
        """Return the execution of a line whose turn it is, if there is one."""
        waiting = self._waiting.get(line)
        if not waiting or line in self._running:
            return None
        return min(waiting, key=lambda id_: (waiting[id_], id_))

    def next_behind(self, execution: Execution) -> str | None:
        """Return whose turn it is in the line of an execution."""
        return self.next(execution.line) if _stands_in(execution) else None

    def has_turn(self, execution: Execution) -> bool:
        """Return whether it may start."""
        return not _stands_in(execution) or self.next(execution.line) == execution.id

    def held(self) -> list[str]:
        """Return the executions that stand in any line."""
        return [id_ for waiting in self._waiting.values() for id_ in waiting]


def _stands_in(execution: Execution) -> bool:
    return execution.ordered and not execution.adhoc
