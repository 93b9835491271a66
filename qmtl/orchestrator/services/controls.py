"""What is done to an execution after its trigger: cancel, resume, retry, replay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from qmtl.common.errors import (
    Conflict,
    ExecutionFailed,
    HasEnded,
    NotEnded,
    Unavailable,
    UnknownTarget,
)
from qmtl.graph.dag import Dag
from qmtl.models.execution import Execution, ExecutionState, Plan
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.creation import replay_of
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import MostOpen
from qmtl.orchestrator.execution.shape import upstream_of
from qmtl.orchestrator.execution.succession import send_next


class ControlService:
    """Stops executions, and runs them again. Every method may raise ``UnknownExecution``."""

    def __init__(self, ledger: Ledger, dispatcher: Dispatcher, *, most_open: MostOpen) -> None:
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._most_open = most_open

    def cancel(self, tenant: str, execution_id: str) -> Execution:
        """End an execution as CANCELLED; one that is cancelled already is answered as it stands.

        Whatever runs of it is stopped within about a second; what is committed stays.

        Raises:
            HasEnded: It succeeded or failed.
        """
        execution = self._ledger.get(tenant, execution_id)
        if not execution.state.ended and self._ledger.cancel(execution_id):
            with suppress(Unavailable):  # it is due: the reaper sends it
                send_next(self._ledger, self._dispatcher, execution_id)
        execution = self._ledger.get(tenant, execution_id)
        if execution.state is ExecutionState.CANCELLED:
            return execution
        raise HasEnded(
            f"Execution {execution_id} has ended as {execution.state}; there is nothing to cancel."
        )

    def resume(self, tenant: str, execution_id: str, *, attempt: int | None = None) -> Execution:
        """Run what has no result yet, in a further attempt that reads what the first one read.

        Args:
            tenant: Whose execution it is.
            execution_id: Which one.
            attempt: The attempt that the caller has seen; where a later one was made, nothing
                happens, so that a request may be sent twice.

        Raises:
            NotEnded: It runs, or waits to.
            HasEnded: It succeeded.
            Conflict: It has not come to that attempt.
        """
        execution = self._ledger.get(tenant, execution_id)
        if _is_repeat(execution, attempt):
            return execution
        if execution.state is ExecutionState.SUCCEEDED:
            raise HasEnded(
                f"Execution {execution_id} has succeeded; there is nothing to resume.",
                hint=f"Compute nodes again with `qmtl retry {execution_id} --from NODE`.",
            )
        _check_ended(execution)
        plan = self._ledger.plan(execution_id)
        clear = [] if plan is None else self._without_result(execution_id, plan)
        return self._reopen(execution, clear, fresh=execution.fresh)

    def retry(
        self,
        tenant: str,
        execution_id: str,
        bindings: Sequence[str],
        *,
        attempt: int | None = None,
    ) -> Execution:
        """Compute bindings, what rests on them and what has no result again, reusing nothing.

        Args:
            tenant: Whose execution it is.
            execution_id: Which one.
            bindings: Where to begin.
            attempt: As of ``resume``.

        Raises:
            NotEnded: It runs, or waits to.
            UnknownTarget: It has no such binding.
            ExecutionFailed: It was never planned.
            Conflict: It has not come to that attempt.
        """
        execution = self._ledger.get(tenant, execution_id)
        if _is_repeat(execution, attempt):
            return execution
        _check_ended(execution)
        plan = self._planned(execution)
        begun = _node_ids(execution, plan, bindings)
        clear = begun | _behind(plan, begun) | set(self._without_result(execution_id, plan))
        ordered = [node.node_id for node in plan.nodes if node.node_id in clear]
        return self._reopen(execution, ordered, fresh=True)

    def replay(
        self,
        tenant: str,
        execution_id: str,
        *,
        by: str,
        idempotency_key: str | None,
        at_ms: int,
    ) -> tuple[Execution, bool]:
        """Start an execution that reads the very data and history that this one read.

        It reuses nothing, so equal digests show that the computation is deterministic. Returns it,
        and whether it is new.

        Raises:
            NotEnded: It runs, or waits to.
            ExecutionFailed: It was never planned.
            Overloaded: Too many executions have not ended.
        """
        execution = self._ledger.get(tenant, execution_id)
        _check_ended(execution)
        self._planned(execution)
        new = replay_of(execution, by=by, idempotency_key=idempotency_key, at_ms=at_ms)
        inputs = self._ledger.inputs(execution_id) if execution.adhoc else {}
        kept, created = self._ledger.create(new, inputs, most_open=self._most_open)
        if created:
            self._send(kept)
        return kept, created

    def _planned(self, execution: Execution) -> Plan:
        plan = self._ledger.plan(execution.id)
        if plan is None:
            raise ExecutionFailed(
                f"Execution {execution.id} was never planned, so nothing of it was computed.",
                hint=f"Run it with `qmtl resume {execution.id}`.",
            )
        return plan

    def _without_result(self, execution_id: str, plan: Plan) -> list[str]:
        records = self._ledger.records(execution_id)
        done = {node_id for node_id, record in records.items() if record.state.has_result}
        return [node.node_id for node in plan.nodes if node.node_id not in done]

    def _reopen(self, execution: Execution, clear: Sequence[str], *, fresh: bool) -> Execution:
        reopened = self._ledger.reopen(
            execution.id, attempt=execution.attempt, clear=clear, fresh=fresh
        )
        if not reopened:
            raise NotEnded(f"Another request has opened execution {execution.id} again.")
        self._send(execution)
        return self._ledger.get(execution.tenant, execution.id)

    def _send(self, execution: Execution) -> None:
        with suppress(Unavailable):  # it is due: the reaper sends it
            self._dispatcher.advance(execution.tenant, execution.id, 0, priority=execution.priority)


def _is_repeat(execution: Execution, attempt: int | None) -> bool:
    """Whether the attempt that was asked for has been made already."""
    if attempt is None or attempt == execution.attempt:
        return False
    if attempt > execution.attempt:
        raise Conflict(f"Execution {execution.id} is in attempt {execution.attempt}.")
    return True


def _check_ended(execution: Execution) -> None:
    if not execution.state.ended:
        raise NotEnded(
            f"Execution {execution.id} has not ended: it is {execution.state}.",
            hint=f"Wait for it, or stop it with `qmtl cancel {execution.id}`.",
        )


def _node_ids(execution: Execution, plan: Plan, bindings: Iterable[str]) -> set[str]:
    known = {name: node.node_id for name, node in plan.bindings()}
    found = set()
    for name in bindings:
        if name not in known:
            raise UnknownTarget(
                f"Execution {execution.id} has no binding {name!r}.",
                hint=f"It has {', '.join(sorted(known))}.",
            )
        found.add(known[name])
    return found


def _behind(plan: Plan, node_ids: Iterable[str]) -> frozenset[str]:
    """Return the nodes that read these, directly or through others, in the same bucket."""
    return Dag.of({n.node_id: upstream_of(n) for n in plan.nodes}).descendants(node_ids)
