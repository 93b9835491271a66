"""Single flight: what another execution computes right now is waited for, not computed twice."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from qmtl.models.execution import Execution, NodeState, Plan, PlannedNode
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import Held
from qmtl.orchestrator.execution.shape import upstream_of

if TYPE_CHECKING:
    from qmtl.orchestrator.execution.commits import Commits
    from qmtl.orchestrator.execution.computation import Job

WORTH_US = 1_000  # a node below costs less than finding out whether somebody computes it
FIRST_LOOK_S, LAST_LOOK_S = 0.02, 0.2  # between two looks at what is waited for
MOST_WAIT_S = 60.0


def worthwhile(execution: Execution, plan: Plan, places: Iterable[int]) -> tuple[str, ...]:
    """Return the call keys of a shard's nodes that are worth a mark: costly ones, and new ones."""
    if not plan.keys or execution.fresh or execution.replays:
        return ()
    return tuple(
        plan.keys[place]
        for place in places
        if plan.keys[place] and (plan.cost_us[place] or WORTH_US) >= WORTH_US
    )


class Flights:
    """What a shard takes from other executions, and waits for.

    A shard first runs and commits all that waits for nothing, so that of two shards that wait for
    each other's nodes one always goes on; and it waits only as long as a node may take, a minute
    at most: it holds a slot meanwhile.
    """

    def __init__(
        self, ledger: Ledger, job: Job, commits: Commits, values: dict[str, bytes]
    ) -> None:
        self._ledger = ledger
        self._job = job
        self._commits = commits
        self._values = values
        plan = job.plan
        self._node_ids = {
            key: node.node_id for node, key in zip(plan.nodes, plan.keys, strict=False) if key
        }
        self._elsewhere: frozenset[str] = frozenset()

    def take(self, held: Held) -> None:
        """Take over the results that are known by now, and note what others compute.

        A record of another attempt is not the one that was noted under the key.
        """
        self._elsewhere = held.elsewhere
        found = [(source.execution_id, self._node_ids[k]) for k, source in held.known.items()]
        if not found:
            return
        noted = zip(held.known.values(), self._ledger.records_of(found), strict=True)
        records = [r if r is not None and r.attempt == s.attempt else None for s, r in noted]
        values = self._ledger.values_of(
            [
                (*place, record.digest or "" if record is not None else "")
                for place, record in zip(found, records, strict=True)
            ]
        )
        for (_, node_id), record, value in zip(found, records, values, strict=True):
            if record is not None and record.state.has_result and value is not None:
                self._values[node_id] = value
                self._commits.add(
                    replace(
                        record,
                        state=NodeState.REUSED,
                        attempt=self._job.execution.attempt,
                        logs="",
                    ),
                    value,
                )

    def blocked(self, nodes: Sequence[PlannedNode]) -> frozenset[str]:
        """Return the ids of the nodes that others compute, and of those that read them."""
        found = {self._node_ids[key] for key in self._elsewhere}
        if not found:
            return frozenset()
        for node in nodes:
            if not found.isdisjoint(upstream_of(node)):
                found.add(node.node_id)
        return frozenset(found)

    def wait(self) -> None:
        """Return when what others compute is known, free to be computed, or took too long."""
        job = self._job
        ends = time.monotonic() + self._bound_s()
        pause_s = FIRST_LOOK_S
        while self._elsewhere and time.monotonic() < ends and not self._commits.lease.lost:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LAST_LOOK_S)
            self.take(
                self._ledger.hold(
                    job.execution.id,
                    job.stage,
                    job.shard,
                    job.claim.token,
                    sorted(self._elsewhere),
                )
            )

    def _bound_s(self) -> float:
        limits: Mapping[str, float] = {n.node_id: n.timeout_s for n in self._job.nodes}
        longest = max((limits.get(self._node_ids[key], 0.0) for key in self._elsewhere), default=0)
        return min(longest, MOST_WAIT_S)
