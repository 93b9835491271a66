"""Reading executions: their state, their nodes, their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qmtl.common.errors import UnknownTarget
from qmtl.models.execution import (
    Execution,
    NodeRecord,
    NodeResult,
    NodeState,
    Plan,
    ShardRecord,
)
from qmtl.orchestrator.execution.ledger import Ledger


class ResultService:
    """What clients ask of an execution; nothing here changes it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get_status(self, tenant: str, execution_id: str) -> Execution:
        """Return an execution as it stands."""
        return self._ledger.get(tenant, execution_id)

    def wait(self, tenant: str, execution_id: str, *, timeout_s: float) -> Execution:
        """Return an execution once it ended, or as it stands when the time is up."""
        return self._ledger.wait(tenant, execution_id, timeout_s=timeout_s)

    def page(
        self, tenant: str, *, strategy: str | None, before: str, limit: int
    ) -> tuple[list[Execution], str]:
        """Return executions, newest first, and the cursor of the next page."""
        return self._ledger.page(tenant, strategy=strategy, before=before, limit=limit)

    def get_results(
        self, tenant: str, execution_id: str, *, names: Sequence[str] = (), values: bool = True
    ) -> list[NodeResult]:
        """Return the record, and the encoded value where there is one, of each binding.

        They stand in topological order; the list is empty before the execution is planned.

        Raises:
            UnknownExecution: There is none, or it is another tenant's.
            UnknownTarget: The execution has no such binding.
        """
        return self.get_outcome(tenant, execution_id, names=names, values=values)[1]

    def get_outcome(
        self, tenant: str, execution_id: str, *, names: Sequence[str] = (), values: bool = True
    ) -> tuple[Execution, list[NodeResult]]:
        """Return an execution and what ``get_results`` does.

        One round trip; one more for values of named bindings, and one for large values.
        """
        execution, plan, committed, known = self._ledger.outcome(
            tenant, execution_id, values=values and not names
        )
        if plan is None:
            return execution, []
        chosen = [(name, node) for name, node in plan.bindings() if not names or name in names]
        for name in names:
            if all(name != found for found, _ in chosen):
                raise UnknownTarget(
                    f"Execution {execution.id} has no binding {name!r}.",
                    hint=f"It has {', '.join(sorted(n for n, _ in plan.bindings()))}.",
                )
        node_ids = [node.node_id for _, node in chosen]
        records = self._with_open(execution, plan, committed)
        if values:
            found, complete = self._values(execution, [records[n] for n in node_ids], known)
            if not complete:  # a later attempt may have committed between the two reads
                committed = self._ledger.records(execution.id)
                records = self._with_open(execution, plan, committed)
                found, _ = self._values(execution, [records[n] for n in node_ids], {})
        else:
            found = [None] * len(node_ids)
        results = [
            NodeResult(name=name, record=records[n], value=value)
            for (name, _), n, value in zip(chosen, node_ids, found, strict=True)
        ]
        return execution, results

    def _values(
        self, execution: Execution, records: Sequence[NodeRecord], known: Mapping[str, bytes]
    ) -> tuple[list[bytes | None], bool]:
        """Return the value of each record that has one, and whether all of these were found."""
        digests = {r.node_id: r.digest or "" for r in records if r.state.has_result}
        asked = [(execution.id, id_, each) for id_, each in digests.items() if id_ not in known]
        found = self._ledger.values_of(asked) if asked else []
        values = {id_: value for (_, id_, _), value in zip(asked, found, strict=True)}
        each = [values.get(r.node_id, known.get(r.node_id)) for r in records]
        return each, None not in found

    def _with_open(
        self, execution: Execution, plan: Plan, committed: dict[str, NodeRecord]
    ) -> dict[str, NodeRecord]:
        """Return the record of every node; of one that is not committed, what its shard says.

        That is derived, so that a claim or a failure need not write one for each of a thousand
        nodes.
        """
        if len(committed) == len(plan.nodes):
            return committed
        shards = {(s.stage, s.shard): s for s in self._ledger.shards(execution.id)}
        found = {
            node.node_id: open_record(node.node_id, shards.get((s, k)), execution)
            for s, stage in enumerate(plan.stages)
            for k in range(len(stage))
            for node in plan.shard(s, k)
        }
        for node in plan.nodes:  # cleared by a later attempt, which is not planned yet
            found.setdefault(node.node_id, open_record(node.node_id, None, execution))
        return found | committed


def open_record(node_id: str, shard: ShardRecord | None, execution: Execution) -> NodeRecord:
    """Return the record of a node that was not committed."""
    state = NodeState.CANCELLED if execution.state.ended else NodeState.PENDING
    if shard is not None and shard.alive and not execution.state.ended:
        return NodeRecord(
            node_id=node_id,
            state=NodeState.RUNNING,
            attempt=execution.attempt,
            started_ms=shard.claimed_ms,
        )
    return NodeRecord(node_id=node_id, state=state, attempt=execution.attempt)
