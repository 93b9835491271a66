"""The guarantee behind the fabric: whatever lost its message or its worker is sent again."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from qmtl.common.errors import DEADLINE_PASSED, Unavailable
from qmtl.models.execution import ErrorRecord
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import Due
from qmtl.orchestrator.execution.succession import send_next
from qmtl.registry.api import Registry
from qmtl.registry.db.state_store import StateStore

BATCH = 100
FORGET_S = 1.0  # of a worker's time for what is forgotten at once
LONG_QUEUE = 20  # messages: while so many wait, what nobody claimed is one of them
log = logging.getLogger("qmtl.execution")
EXPIRED = ErrorRecord(
    code=DEADLINE_PASSED, message="It had not ended when the time that its trigger gave was over."
)


@dataclass(frozen=True, slots=True)
class Reaped:
    """What one look found."""

    executions: int
    submissions: int


class Reaper:
    """Looks for work that nobody does although its time has come."""

    def __init__(
        self,
        ledger: Ledger,
        state: StateStore,
        registry: Registry,
        dispatcher: Dispatcher,
        *,
        lease_s: float,
        unclaimed_s: float,
        retention_s: float,
    ) -> None:
        self._ledger = ledger
        self._state = state
        self._registry = registry
        self._dispatcher = dispatcher
        self._lease_s = lease_s
        self._unclaimed_s = unclaimed_s
        self._retention_s = retention_s
        self._sent_ms: dict[tuple[str, str], int] = {}  # submissions that were waiting last time

    def look(self, *, now_ms: int) -> Reaped:
        """Send again what is due, once; a burst larger than a batch waits for the next look.

        What was sent has the time of a first message before it is sent once more: otherwise each
        look would lengthen a queue that is only slow. While the queue is long, only shards whose
        lease ran out are sent again.
        """
        found = self._ledger.due(
            limit=BATCH,
            again_s=self._lease_s / 2,
            unclaimed_s=self._unclaimed_s,
            hold_back=self._queue_is_long(),
        )
        for due in found:
            self._send(due)
        submissions = self._waiting_submissions(now_ms)
        for tenant, submission_id in submissions:
            self._dispatcher.submission(tenant, submission_id)
        return Reaped(executions=len(found), submissions=len(submissions))

    def _queue_is_long(self) -> bool:
        """Whether what nobody claimed may just wait its turn; sent again, it would be in the way.

        A message that was lost meanwhile is sent again once the queue is short.
        """
        try:
            return self._dispatcher.queued() >= LONG_QUEUE
        except Unavailable:
            return True

    def _waiting_submissions(self, now_ms: int) -> list[tuple[str, str]]:
        old_ms = now_ms - int(self._unclaimed_s * 1_000)
        waiting = self._state.unfinished_submissions(older_than_ms=old_ms, limit=BATCH)
        due = [each for each in waiting if self._sent_ms.get(each, old_ms) <= old_ms]
        self._sent_ms = {each: self._sent_ms.get(each, now_ms) for each in waiting}
        self._sent_ms |= dict.fromkeys(due, now_ms)
        return due

    def repair(self) -> int:
        """Write the copies of all deployments anew from the graph; return how many."""
        return self._registry.repair_copies()

    def forget(self) -> int:
        """Forget executions that ended longer ago than they are kept; return how many.

        It works for about a second; what is left then waits for the next time.
        """
        forgotten, ends = 0, time.monotonic() + FORGET_S
        while found := self._ledger.forget(retention_s=self._retention_s, limit=BATCH):
            forgotten += found
            if time.monotonic() >= ends:
                break
        if forgotten:
            log.info(
                "Executions that ended %d s ago were forgotten: %d.", self._retention_s, forgotten
            )
        return forgotten

    def _send(self, due: Due) -> None:
        if due.expired:
            self._ledger.fail(due.execution_id, EXPIRED, attempt=due.attempt)
            send_next(self._ledger, self._dispatcher, due.execution_id)
        elif due.shards:
            self._dispatcher.shards(
                due.tenant, due.execution_id, due.stage, due.shards, priority=due.priority
            )
        else:
            self._dispatcher.advance(
                due.tenant, due.execution_id, due.stage + 1, priority=due.priority
            )
