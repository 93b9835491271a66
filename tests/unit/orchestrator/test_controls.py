"""Cancel, resume, retry and replay, with messages that the test delivers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmtl.bootstrap import System, build
from qmtl.common.errors import (
    Conflict,
    ExecutionFailed,
    HasEnded,
    NotEnded,
    Overloaded,
    UnknownExecution,
    UnknownTarget,
)
from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, ExecutionState, NodeState
from tests.support.fabric import Fabric
from tests.support.pipeline import deploy, memory, trigger, values
from tests.support.strategies import CLOSES, HALF_BROKEN, rows

TENANT = "acme"


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(fabric: Fabric) -> Iterator[System]:
    made = build(Settings(most_open=2), fabric, stores=memory())
    yield made
    made.close()


def run(system: System, fabric: Fabric, strategy: str = "diamond") -> Execution:
    """Return an execution that has ended."""
    execution = trigger(system, TENANT, strategy)
    fabric.deliver(system)
    return status(system, execution.id)


def status(system: System, execution_id: str) -> Execution:
    return system.orchestrator.get_status(TENANT, execution_id)


def attempts(system: System, execution_id: str) -> dict[str, tuple[NodeState, int]]:
    found = system.orchestrator.get_execution_nodes(TENANT, execution_id)
    return {r.name: (r.record.state, r.record.attempt) for r in found}


def test_cancelling_ends_what_waits_and_cancelling_again_changes_nothing(system, fabric):
    deploy(system, fabric, TENANT)
    execution = trigger(system, TENANT)
    cancelled = system.orchestrator.cancel_execution(TENANT, execution.id)
    assert cancelled.state is ExecutionState.CANCELLED
    assert system.orchestrator.cancel_execution(TENANT, execution.id) == cancelled
    fabric.deliver(system)
    assert status(system, execution.id) == cancelled


def test_what_has_succeeded_can_be_neither_cancelled_nor_resumed(system, fabric):
    deploy(system, fabric, TENANT)
    execution = run(system, fabric)
    with pytest.raises(HasEnded):
        system.orchestrator.cancel_execution(TENANT, execution.id)
    with pytest.raises(HasEnded, match="nothing to resume"):
        system.orchestrator.resume_execution(TENANT, execution.id)


def test_what_runs_can_be_neither_resumed_nor_retried_nor_replayed(system, fabric):
    deploy(system, fabric, TENANT)
    execution = trigger(system, TENANT)
    with pytest.raises(NotEnded):
        system.orchestrator.resume_execution(TENANT, execution.id)
    with pytest.raises(NotEnded):
        system.orchestrator.retry_execution(TENANT, execution.id, ("mean",))
    with pytest.raises(NotEnded):
        system.orchestrator.replay_execution(TENANT, execution.id, by="me")


def test_an_execution_of_another_tenant_does_not_exist_here(system, fabric):
    deploy(system, fabric, TENANT)
    execution = run(system, fabric)
    for ask in (
        lambda: system.orchestrator.cancel_execution("others", execution.id),
        lambda: system.orchestrator.resume_execution("others", execution.id),
        lambda: system.orchestrator.retry_execution("others", execution.id, ("mean",)),
        lambda: system.orchestrator.replay_execution("others", execution.id, by="me"),
        lambda: system.orchestrator.compare_executions("others", execution.id, execution.id),
        lambda: system.orchestrator.get_plan("others", execution.id),
    ):
        with pytest.raises(UnknownExecution):
            ask()


def test_resume_runs_only_what_has_no_result(system, fabric):
    deploy(system, fabric, TENANT, HALF_BROKEN)
    execution = run(system, fabric, "half_broken")
    assert execution.state is ExecutionState.FAILED
    resumed = system.orchestrator.resume_execution(TENANT, execution.id)
    assert (resumed.state, resumed.attempt) == (ExecutionState.PENDING, 2)
    fabric.deliver(system)
    assert status(system, execution.id).state is ExecutionState.FAILED
    assert attempts(system, execution.id) == {
        "good": (NodeState.SUCCEEDED, 1),
        "bad": (NodeState.FAILED, 2),
        "behind_bad": (NodeState.SKIPPED, 2),
    }


def test_a_cancelled_execution_that_was_never_planned_is_resumed_whole(system, fabric):
    deploy(system, fabric, TENANT)
    execution = trigger(system, TENANT)
    system.orchestrator.cancel_execution(TENANT, execution.id)
    system.orchestrator.resume_execution(TENANT, execution.id)
    fabric.deliver(system)
    assert status(system, execution.id).state is ExecutionState.SUCCEEDED


def test_a_resume_that_is_sent_twice_makes_one_attempt(system, fabric):
    deploy(system, fabric, TENANT, HALF_BROKEN)
    execution = run(system, fabric, "half_broken")
    for _ in range(2):
        resumed = system.orchestrator.resume_execution(TENANT, execution.id, attempt=1)
        assert resumed.attempt == 2
    with pytest.raises(Conflict, match="attempt 2"):
        system.orchestrator.resume_execution(TENANT, execution.id, attempt=9)


def test_retry_computes_a_node_and_what_rests_on_it_again(system, fabric):
    deploy(system, fabric, TENANT)
    execution = run(system, fabric)
    before = values(system, TENANT, execution)
    again = system.orchestrator.retry_execution(TENANT, execution.id, ("mean",))
    assert again.state is ExecutionState.PENDING
    fabric.deliver(system)
    assert attempts(system, execution.id) == {
        "mean": (NodeState.SUCCEEDED, 2),
        "spread": (NodeState.SUCCEEDED, 1),
        "score": (NodeState.SUCCEEDED, 2),
    }
    assert values(system, TENANT, execution) == before


def test_retry_names_the_bindings_where_one_is_unknown(system, fabric):
    deploy(system, fabric, TENANT)
    execution = run(system, fabric)
    with pytest.raises(UnknownTarget, match="'maen'") as raised:
        system.orchestrator.retry_execution(TENANT, execution.id, ("mean", "maen"))
    assert raised.value.hint == "It has mean, score, spread."


def test_what_was_never_planned_has_nothing_to_retry_or_replay(system, fabric):
    deploy(system, fabric, TENANT)
    execution = trigger(system, TENANT)
    system.orchestrator.cancel_execution(TENANT, execution.id)
    with pytest.raises(ExecutionFailed, match="never planned"):
        system.orchestrator.retry_execution(TENANT, execution.id, ("mean",))
    with pytest.raises(ExecutionFailed, match="never planned"):
        system.orchestrator.replay_execution(TENANT, execution.id, by="me")


def test_a_replay_reads_what_the_first_run_read_and_reuses_nothing(system, fabric):
    deploy(system, fabric, TENANT)
    execution = run(system, fabric)
    system.registry.append_rows(TENANT, "shop.prices", rows(CLOSES | {"2026-11-19": 99.0}))
    replay, created = system.orchestrator.replay_execution(TENANT, execution.id, by="me")
    assert created
    assert (replay.replays, replay.adhoc) == (execution.id, True)
    assert replay.cause.startswith(f"replay:{execution.id}:")
    fabric.deliver(system)
    assert {state for state, _ in attempts(system, replay.id).values()} == {NodeState.SUCCEEDED}
    found = system.orchestrator.compare_executions(TENANT, execution.id, replay.id)
    assert (found.compared, found.equal, found.causes) == (3, 3, ())


def test_a_replay_takes_the_inline_inputs_along(system, fabric):
    deploy(system, fabric, TENANT)
    execution = trigger(system, TENANT, inputs={"prices": [{"ts": "2026-11-18", "close": 5.0}]})
    fabric.deliver(system)
    replay, _ = system.orchestrator.replay_execution(TENANT, execution.id, by="me")
    fabric.deliver(system)
    assert values(system, TENANT, replay)["mean"] == 5.0


def test_the_same_key_asks_for_one_replay(system, fabric):
    deploy(system, fabric, TENANT)
    execution = run(system, fabric)
    first, created = system.orchestrator.replay_execution(
        TENANT, execution.id, by="me", idempotency_key="k"
    )
    again = system.orchestrator.replay_execution(TENANT, execution.id, by="me", idempotency_key="k")
    assert (created, again[1]) == (True, False)
    assert again[0].id == first.id


def test_past_the_bound_of_open_executions_a_trigger_is_told_to_come_later(system, fabric):
    deploy(system, fabric, TENANT)
    trigger(system, TENANT)
    trigger(system, TENANT)
    with pytest.raises(Overloaded) as raised:
        trigger(system, TENANT)
    assert raised.value.retry_after_s > 0
    fabric.deliver(system)
    assert trigger(system, TENANT).state is ExecutionState.PENDING


def test_other_rows_are_told_as_the_cause_with_their_values(system, fabric):
    deploy(system, fabric, TENANT)
    first = run(system, fabric)
    system.registry.append_rows(TENANT, "shop.prices", rows({"2026-11-19": 15.0}))
    second = run(system, fabric)
    found = system.orchestrator.compare_executions(TENANT, first.id, second.id)
    assert found.first is not None
    assert found.first.binding == "mean"
    (cause,) = found.causes
    assert cause.message == "source shop.prices shows other rows: 1 of 3 differ"
    assert cause.reaches == ("mean", "spread", "score")
    assert cause.data is not None
    (row,) = cause.data.first
    assert (row.left, row.right) == ({"close": 14.0}, {"close": 15.0})
