"""What follows the end of an ordered execution: later buckets that read what changed, and the next.

The ledger says what is to be compared (``Ledger.landed``) and holds the line up until it is
settled; whoever ended the execution does it, and where that process dies, the reaper sends it to
another one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgspec.structs import replace

from qmtl.common.errors import QmtlError, Unavailable, UnknownExecution
from qmtl.common.timeline import MILLISECOND
from qmtl.models.datanode import WindowInput
from qmtl.models.execution import Execution, Lookup, lookup_key
from qmtl.models.strategy import StrategyVersion
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.creation import REPAIR, cause_of_repairs, repair_of
from qmtl.orchestrator.execution.histories import HistoryReader
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import Landed
from qmtl.orchestrator.execution.lookups import lookup_digest
from qmtl.orchestrator.execution.shape import required
from qmtl.registry.api import Registry

PAGE = 100
log = logging.getLogger("qmtl.execution")


@dataclass(frozen=True, slots=True)
class _Seen:
    """How a later bucket stands to what changed.

    Attributes:
        differs: Whether it would read other results now than it has read.
        beyond: Whether neither it nor any later one looks back as far.
    """

    differs: bool
    beyond: bool


class Succession:
    """Keeps lines going: repairs what landed behind later buckets, and sends the next execution."""

    def __init__(
        self,
        ledger: Ledger,
        histories: HistoryReader,
        registry: Registry,
        dispatcher: Dispatcher,
        *,
        clock_ms: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._histories = histories
        self._registry = registry
        self._dispatcher = dispatcher
        self._clock_ms = clock_ms

    def ended(self, execution: Execution) -> None:
        """Settle an execution that has ended, and send the next one of its line.

        It may be called any number of times. Nothing happens where the execution is not ordered;
        where a server is away, the line goes on with the reaper.
        """
        if not execution.ordered or execution.adhoc:
            return
        with suppress(Unavailable):
            try:
                self._settle(execution)
            except Unavailable:
                raise
            except Exception:
                log.exception("What execution %s changed was compared with nothing.", execution.id)
                self._ledger.settle(execution.id)
            send_next(self._ledger, self._dispatcher, execution.id)

    def _settle(self, execution: Execution) -> None:
        """Let the first later bucket that would read something else now be computed again.

        That one goes on when it ends, and so on, until nothing differs.
        """
        skip, settled = 0, False
        while not settled:
            landed = self._ledger.landed(execution.id, skip=skip, limit=PAGE)
            if landed is None:
                return
            version = self._active(execution)
            if version is None:
                settled = self._ledger.settle(execution.id)
                continue
            done, heir = self._first_to_repair(execution, version, landed)
            if done or len(landed.ran) < PAGE:
                settled = self._ledger.settle(execution.id, heir=heir if done else landed.heir)
                skip = 0
            else:
                skip += PAGE

    def _first_to_repair(
        self, execution: Execution, version: StrategyVersion, landed: Landed
    ) -> tuple[bool, str | None]:
        """Return whether the end was found, and the repair that goes on from there, if any."""
        for ran in landed.ran:
            earlier = self._kept(execution.tenant, ran)
            if earlier is None:
                continue
            repair = self._repair_of(earlier, execution, version, landed.changed_ms)
            seen = self._seen(earlier, repair, version, landed.changed_ms)
            if seen.differs:
                kept, _ = self._ledger.create(repair, {})
                if not kept.state.ended:
                    return True, kept.id
            elif seen.beyond:
                return True, None
        return False, None

    def _kept(self, tenant: str, execution_id: str) -> Execution | None:
        """Return what ran at a bucket; None where nothing did, or it is not kept any more."""
        if not execution_id:
            return None
        try:
            return self._ledger.get(tenant, execution_id)
        except UnknownExecution:
            return None

    def _active(self, execution: Execution) -> StrategyVersion | None:
        """Return the version that runs in the line now; there may be none."""
        try:
            return self._registry.active_version(
                execution.tenant, execution.strategy, str(execution.environment)
            )
        except Unavailable:
            raise
        except QmtlError:
            return None

    def _repair_of(
        self, earlier: Execution, landed: Execution, version: StrategyVersion, changed_ms: int
    ) -> Execution:
        """Return what computes a bucket again; the same bucket once for whatever landed."""
        repair = repair_of(
            version,
            earlier,
            repairs_ns=changed_ms * MILLISECOND,
            cause=_cause(landed),
            by=landed.by,
            at_ms=self._clock_ms(),
        )
        return replace(repair, priority=landed.priority)

    def _seen(
        self, earlier: Execution, repair: Execution, version: StrategyVersion, changed_ms: int
    ) -> _Seen:
        plan = self._ledger.plan(earlier.id)
        now = {x.key: x for x in self._histories.windows(repair, version.spec.nodes, version.spec)}
        counts = _counts(version)
        if plan is None or not now:
            return _Seen(differs=False, beyond=not now)
        then = {x.key: lookup_digest(x) for x in plan.lookups}
        nodes = required(version.spec, repair.targets)
        wanted = {key for node in nodes for key in counts.get(node.node_id, {})}
        return _Seen(
            differs=any(then.get(key) != lookup_digest(now[key]) for key in wanted),
            beyond=all(
                _is_beyond(now[key], count, changed_ms)
                for each in counts.values()
                for key, count in each.items()
            ),
        )


def send_next(ledger: Ledger, dispatcher: Dispatcher, execution_id: str) -> None:
    """Send the execution whose turn it is in the line of one that ended, by its own priority."""
    found = ledger.next_of_line(execution_id)
    if found is not None:
        dispatcher.advance(found.tenant, found.execution_id, 0, priority=found.priority)


def _cause(landed: Execution) -> str:
    """Return the cause of repairs: what landed first; a repair hands on its own."""
    handed_on = landed.attempt == 1 and landed.cause.startswith(REPAIR)
    return landed.cause if handed_on else cause_of_repairs(landed)


def _counts(version: StrategyVersion) -> Mapping[str, Mapping[str, int]]:
    """Return by node id how many results each of its windows wants, by the window's key."""
    return {
        node.node_id: {
            lookup_key("window", node.node_id, given.argument): given.count
            for given in node.inputs
            if isinstance(given, WindowInput)
        }
        for node in version.spec.nodes
        if node.looks_back_at()
    }


def _is_beyond(lookup: Lookup, count: int, changed_ms: int) -> bool:
    """Return whether a window is full of results later than what changed.

    No window of a later bucket then reaches further back.
    """
    found: Sequence[int] = [each.bucket_ns for each in lookup.found]
    return len(found) >= count and found[0] > changed_ms * MILLISECOND
