"""Ordered executions of a memory ledger: one at a time in a line, the earliest bucket first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from qmtl.common.timeline import MILLISECOND
from qmtl.models.execution import Execution, ExecutionState, Line
from qmtl.orchestrator.execution.asked import asked_for
from qmtl.orchestrator.execution.ledger_types import Landed
from qmtl.orchestrator.execution.memory.execution import LiveExecution

Asked = tuple[int, str]  # a bucket, and what names a version and its targets


@dataclass(slots=True)
class _Line:
    """Those that have to run or to be settled by bucket; all that was asked, and what ran last; the
    buckets of repairs that were broken off."""

    standing: dict[str, int] = field(default_factory=dict)
    running: str | None = None
    ran: dict[Asked, str] = field(default_factory=dict)
    unrepaired: dict[str, int] = field(default_factory=dict)
    left: int = 0

    def next(self) -> str | None:
        """Return the execution whose turn it is."""
        if not self.standing or self.running is not None:
            return None
        return min(self.standing, key=lambda id_: (self.standing[id_], id_))


class Lines:
    """The executions of each line, and which of them runs.

    Args:
        live: Every execution by id.
    """

    def __init__(self, live: Mapping[str, LiveExecution]) -> None:
        self._live = live
        self._lines: dict[Line, _Line] = defaultdict(_Line)

    def join(self, execution: Execution) -> None:
        """Let an execution stand in its line, where it is ordered."""
        if stands_in(execution):
            line = self._lines[execution.line]
            line.standing[execution.id] = bucket_ms(execution)
            line.unrepaired.pop(execution.id, None)
            line.ran.setdefault(_asked(execution), "")

    def run(self, execution: Execution) -> None:
        """Note that it runs."""
        if stands_in(execution):
            self._lines[execution.line].running = execution.id

    def note_start(self, execution: Execution) -> None:
        """Note that it was started, whether or not it ended at once."""
        if stands_in(execution):
            self._lines[execution.line].ran[_asked(execution)] = execution.id

    def end(self, known: LiveExecution, now_ms: int) -> None:
        """Let one that ended go out of its line, unless it must be settled before."""
        execution = known.execution
        if not stands_in(execution):
            return
        self._note_unrepaired(known)
        line = self._lines[execution.line]
        if line.running == execution.id:
            line.running = None
        first = self._first_later(execution)
        if known.changed_ms is not None and first is not None:
            heir = self._heir(execution)
            if heir is None or heir[0] > first:
                known.landed = True
                known.look_ms = now_ms
                known.returned = 0
                self._wake_next(line, now_ms)
                return
            self._tell_heir(heir[1], known.changed_ms)
        self._leave(known, now_ms)

    def _tell_heir(self, heir: str, changed_ms: int) -> None:
        """Let another one of the line compare in the place of one that ended.

        It repairs what was run before it, if the same was.
        """
        known = self._live[heir]
        known.note_change(changed_ms)
        ran = self._lines[known.execution.line].ran
        known.repairs = known.repairs or bool(ran[_asked(known.execution)])

    def _note_unrepaired(self, known: LiveExecution) -> None:
        """Keep account of what an end leaves out of date: of a repair broken off, its bucket.

        A later attempt that ran out may have read what was there before the repair was due.
        """
        execution = known.execution
        broken_off = execution.state is ExecutionState.CANCELLED or execution.error is not None
        if not known.repairs if broken_off else execution.attempt > 1:
            return
        line, own = self._lines[execution.line], bucket_ms(execution)
        for id_, at in list(line.unrepaired.items()):
            if at == own and _covers(execution, self._live[id_].execution):
                del line.unrepaired[id_]
        if broken_off:
            line.unrepaired[execution.id] = own

    def unrepaired(self, line: Line) -> list[Execution]:
        """Return the repairs that were broken off, by bucket."""
        found = sorted((at, id_) for id_, at in self._lines[line].unrepaired.items())
        return [self._live[id_].execution for _, id_ in found]

    def keeps_on(self, known: LiveExecution) -> bool:
        """Return whether the line waits until one that ended is settled, or lacks what it was.

        The latter counts once an attempt: a repair may be one that nobody can ever do.
        """
        if known.landed or known.kept_on:
            return known.landed
        known.kept_on = known.execution.id in self._lines[known.execution.line].unrepaired
        return known.kept_on

    def forget(self, execution: Execution) -> None:
        """Let go of one whose retention is over."""
        self._lines[execution.line].unrepaired.pop(execution.id, None)

    def _leave(self, known: LiveExecution, now_ms: int) -> None:
        known.changed_ms = None
        known.landed = False
        line = self._lines[known.execution.line]
        line.standing.pop(known.execution.id, None)
        line.left += 1
        self._wake_next(line, now_ms)

    def _wake_next(self, line: _Line, now_ms: int) -> None:
        next_id = line.next()
        if next_id is not None:
            waiting = self._live[next_id]
            waiting.ready_ms = waiting.look_ms = now_ms
            waiting.returned = 0

    def turn(self, execution: Execution) -> int | None:
        """Return how many have left its line; None where it is another one's turn."""
        if not stands_in(execution):
            return 0
        line = self._lines[execution.line]
        return line.left if line.next() == execution.id else None

    def may_start(self, execution: Execution, turn: int | None) -> bool:
        """Return whether it is its turn, and still the one that it was planned in, if any."""
        return not stands_in(execution) or (
            (now := self.turn(execution)) is not None and turn in (None, now)
        )

    def landed(self, known: LiveExecution, *, skip: int, limit: int) -> Landed | None:
        """Return what one that ended left to compare."""
        if not known.landed or known.changed_ms is None:
            return None
        heir = self._heir(known.execution)
        ran = [id_ for (at, _), id_ in self._later(known.execution) if heir is None or at < heir[0]]
        return Landed(
            changed_ms=known.changed_ms,
            ran=tuple(ran[skip : skip + limit]),
            heir=None if heir is None else heir[1],
        )

    def settle(self, known: LiveExecution, heir: str | None, now_ms: int) -> bool:
        """Let the line of one that ended go on; False where the heir has left it."""
        if not known.landed or known.changed_ms is None:
            return True
        if heir is not None:
            if heir not in self._lines[known.execution.line].standing:
                return False
            self._tell_heir(heir, known.changed_ms)
        known.look_ms = None
        self._leave(known, now_ms)
        return True

    def _heir(self, execution: Execution) -> tuple[int, str] | None:
        """Return bucket and id of the next other one of its line, at its bucket or later."""
        standing = self._lines[execution.line].standing.items()
        own = bucket_ms(execution)
        return min(
            ((at, id_) for id_, at in standing if at >= own and id_ != execution.id), default=None
        )

    def _first_later(self, execution: Execution) -> int | None:
        """Return the first bucket, not before its own, at which something else was asked.

        To a later attempt its own counts too: it may have read what was repaired meanwhile.
        """
        own = None if execution.attempt > 1 else _asked(execution)
        return next((asked[0] for asked, _ in self._later(execution) if asked != own), None)

    def _later(self, execution: Execution) -> Iterator[tuple[Asked, str]]:
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


def _covers(execution: Execution, other: Execution) -> bool:
    """Return whether it runs all that another of its bucket was to run."""
    mine, wanted = set(execution.targets), set(other.targets)
    return not mine or (bool(wanted) and wanted <= mine)


def stands_in(execution: Execution) -> bool:
    """Return whether an execution stands in a line."""
    return execution.ordered and not execution.adhoc


def bucket_ms(execution: Execution) -> int:
    """Return its bucket."""
    return execution.bucket_ns // MILLISECOND


def _asked(execution: Execution) -> Asked:
    return bucket_ms(execution), asked_for(execution.version, execution.targets)
