"""The guarantee behind the fabric: whatever lost its message or its worker is sent again."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from qmtl.common.errors import Unavailable
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import Due
from qmtl.registry.api import Registry
from qmtl.registry.db.state_store import StateStore

BATCH = 100
LOOK_S = 1.0  # of a worker's time for executions whose time is over
FORGET_S = 1.0  # of a worker's time for what is forgotten at once
LONG_QUEUE = 20  # messages: while so many wait, what nobody claimed is one of them
log = logging.getLogger("qmtl.execution")


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
        self._expired: set[str] = set()  # executions that are still to be ended
        self._sent_ms: dict[tuple[str, str], int] = {}  # submissions that were waiting last time

    def look(self, *, now_ms: int) -> Reaped:
        """Send again what is due, once; a burst larger than a batch waits for the next look.

        What was sent has the time of a first message before it is sent once more: otherwise each
        look would lengthen a queue that is only slow. While the queue is long, only shards whose
        lease ran out are sent again, and now and then one of those that wait for very long.

        Thousands may have the same deadline. All whose time is over are found before any is ended,
        so that no shard waits behind them; they are ended for about a second, the rest by later
        looks.
        """
        ends = time.monotonic() + LOOK_S
        found = self._send_due(ends)
        self._end_expired(ends)
        submissions = self._waiting_submissions(now_ms)
        for tenant, submission_id in submissions:
            self._dispatcher.submission(tenant, submission_id)
        return Reaped(executions=found, submissions=len(submissions))

    def _send_due(self, ends: float) -> int:
        """Send what is due, and note what is to be ended; return how many were found."""
        hold_back, found, sent = self._queue_is_long(), 0, 0
        while True:
            batch = self._ledger.due(
                limit=BATCH - sent,
                again_s=self._lease_s / 2,
                unclaimed_s=self._unclaimed_s,
                hold_back=hold_back,
            )
            expired = {each.execution_id for each in batch if each.expired}
            self._expired |= expired
            for each in batch:
                if not each.expired:
                    self._send(each)
            found += len(batch)
            sent += len(batch) - len(expired)
            if not expired or sent >= BATCH or time.monotonic() >= ends:
                return found

    def _end_expired(self, ends: float) -> None:
        """End a batch at least; where this process dies, the ledger names the rest again.

        Many may be of one line: whose turn it is then is sent once, when all of them have left.
        """
        ended: list[str] = []
        while self._expired and (len(ended) < BATCH or time.monotonic() < ends):
            execution_id = self._expired.pop()
            if self._ledger.expire(execution_id):
                ended.append(execution_id)
        following = filter(None, map(self._ledger.next_of_line, ended))
        for each in {found.execution_id: found for found in following}.values():
            if each.execution_id not in self._expired:
                self._dispatcher.advance(each.tenant, each.execution_id, 0, priority=each.priority)

    def _queue_is_long(self) -> bool:
        """Whether what nobody claimed may just wait its turn; sent again, it would be in the way.

        A message that was lost meanwhile is sent again once the queue is short, or the ledger lets
        the oldest go.
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
        if due.shards:
            self._dispatcher.shards(
                due.tenant, due.execution_id, due.stage, due.shards, priority=due.priority
            )
        else:
            self._dispatcher.advance(
                due.tenant, due.execution_id, due.stage + 1, priority=due.priority
            )
