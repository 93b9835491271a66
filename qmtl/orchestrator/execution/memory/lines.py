"""Ordered executions of a memory ledger: one at a time in a line, the earliest bucket first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from qmtl.models.execution import Execution, Line
from qmtl.orchestrator.execution.planned import NANOSECONDS_PER_MS, asked_for

Asked = tuple[int, str]  # a bucket, and what names a version and its targets


@dataclass(slots=True)
class _Line:
    """Those that have to run or to be settled by bucket; all that was asked, and what ran last."""

    standing: dict[str, int] = field(default_factory=dict)
    running: str | None = None
    ran: dict[Asked, str] = field(default_factory=dict)
    left: int = 0

    def next(self) -> str | None:
        """Return the execution whose turn it is."""
        if not self.standing or self.running is not None:
            return None
        return min(self.standing, key=lambda id_: (self.standing[id_], id_))


class Lines:
    """The executions of each line, and which of them runs."""

    def __init__(self) -> None:
        self._lines: dict[Line, _Line] = defaultdict(_Line)

    def join(self, execution: Execution) -> None:
        """Let an execution stand in its line, where it is ordered."""
        if stands_in(execution):
            line = self._lines[execution.line]
            line.standing[execution.id] = bucket_ms(execution)
            line.ran.setdefault(_asked(execution), "")

    def run(self, execution: Execution) -> None:
        """Note that it runs."""
        if stands_in(execution):
            self._lines[execution.line].running = execution.id

    def note_start(self, execution: Execution) -> None:
        """Note that it was started, whether or not it ended at once."""
        if stands_in(execution):
            self._lines[execution.line].ran[_asked(execution)] = execution.id

    def stop(self, execution: Execution) -> None:
        """Note that it does not run any more."""
        line = self._lines[execution.line]
        if line.running == execution.id:
            line.running = None

    def leave(self, execution: Execution) -> None:
        """Take it out of its line."""
        line = self._lines[execution.line]
        line.standing.pop(execution.id, None)
        line.left += 1

    def left(self, line: Line) -> int:
        """Return how many have left a line."""
        return self._lines[line].left

    def stands(self, line: Line, execution_id: str) -> bool:
        """Return whether an execution stands in a line."""
        return execution_id in self._lines[line].standing

    def heir(self, execution: Execution) -> tuple[int, str] | None:
        """Return bucket and id of the next other one of its line, at its bucket or later."""
        standing = self._lines[execution.line].standing.items()
        own = bucket_ms(execution)
        return min(
            ((at, id_) for id_, at in standing if at >= own and id_ != execution.id), default=None
        )

    def later(self, execution: Execution) -> Iterator[tuple[Asked, str]]:
        """Return what was asked at its bucket or later and what ran last for it, by bucket."""
        own = bucket_ms(execution)
        ran = self._lines[execution.line].ran
        return ((asked, ran[asked]) for asked in sorted(ran) if asked[0] >= own)

    def asked(self, execution: Execution) -> list[int]:
        """Return the buckets at which its version was asked for its targets, or for all."""
        if not stands_in(execution):
            return []
        whats = {asked_for(execution.version, targets) for targets in ((), execution.targets)}
        return sorted({at for at, what in self._lines[execution.line].ran if what in whats})

    def next_behind(self, execution: Execution) -> str | None:
        """Return whose turn it is in the line of an execution."""
        return self._lines[execution.line].next() if stands_in(execution) else None

    def has_turn(self, execution: Execution) -> bool:
        """Return whether it may start."""
        return not stands_in(execution) or self._lines[execution.line].next() == execution.id


def stands_in(execution: Execution) -> bool:
    """Return whether an execution stands in a line."""
    return execution.ordered and not execution.adhoc


def bucket_ms(execution: Execution) -> int:
    """Return its bucket."""
    return execution.bucket_ns // NANOSECONDS_PER_MS


def _asked(execution: Execution) -> Asked:
    return bucket_ms(execution), asked_for(execution.version, execution.targets)
