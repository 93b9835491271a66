"""Workers of two runtimes, as while a release is rolled out: all is computed, little is reused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmtl.bootstrap import Stores, System, build
from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, ExecutionState, NodeState
from qmtl.orchestrator.execution import recent
from qmtl.orchestrator.services.plan_view import PlanView
from qmtl.sandbox.runtime import fingerprint
from tests.support.fabric import Fabric
from tests.support.pipeline import FINE, deploy, memory, trigger, values

TENANT = "acme"
NEWER = "f" * 32


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def stores() -> Stores:
    return memory()


@pytest.fixture
def older(fabric: Fabric, stores: Stores) -> Iterator[System]:
    made = build(Settings(**FINE), fabric, stores=stores)
    deploy(made, fabric, TENANT)
    yield made
    made.close()


@pytest.fixture
def newer(
    fabric: Fabric, stores: Stores, monkeypatch: pytest.MonkeyPatch, older: System
) -> Iterator[System]:
    with monkeypatch.context() as patch:
        patch.setattr(recent, "fingerprint", lambda: NEWER)
        made = build(older.settings, fabric, stores=stores)
    yield made
    made.close()


def planned(system: System, fabric: Fabric) -> Execution:
    """Plan an execution of a stage of two shards and one of one; nobody was sent them."""
    execution = trigger(system, TENANT)
    system.advancer.execute_pipeline(TENANT, execution.id)
    fabric.waiting.clear()
    return execution


def run(execution: Execution, *workers: System) -> None:
    """Run the first stage, each shard by its worker; the last of them goes on with the second."""
    for shard, system in enumerate(workers):
        system.advancer.run_shard(TENANT, execution.id, 0, shard)


def states(system: System, execution: Execution) -> dict[str, NodeState]:
    found = system.orchestrator.get_execution_nodes(TENANT, execution.id)
    return {r.name: r.record.state for r in found}


def again(system: System, fabric: Fabric) -> set[str]:
    """Run an equal execution, and return the bindings that it reused."""
    execution = trigger(system, TENANT, idempotency_key=f"again {system}")
    fabric.deliver(system)
    found = states(system, execution)
    return {name for name, state in found.items() if state is NodeState.REUSED}


def plan_of(system: System, execution: Execution) -> PlanView:
    return system.orchestrator.get_plan(TENANT, execution.id)


def first_binding(view: PlanView, shard: int) -> str:
    (node,) = [n for n in view.nodes if (n.stage, n.shard) == (0, shard)]
    return node.bindings[0]


def test_a_shard_of_another_runtime_and_what_follows_it_are_not_reused(
    older: System, newer: System, fabric: Fabric
) -> None:
    execution = planned(older, fabric)
    run(execution, older, newer)
    assert set(states(older, execution).values()) == {NodeState.SUCCEEDED}
    view = plan_of(older, execution)
    told = [[shard.runtime for shard in stage.shards] for stage in view.stages]
    assert (view.mixed, told) == (True, [[None, NEWER], [NEWER]])
    assert again(newer, fabric) == set()
    assert again(older, fabric) == {first_binding(view, 0)}


def test_what_reads_results_of_another_runtime_is_not_reused(
    older: System, newer: System, fabric: Fabric
) -> None:
    execution = planned(older, fabric)
    run(execution, newer, older)  # the second stage too is run by the one that planned
    view = plan_of(older, execution)
    told = [[shard.runtime for shard in stage.shards] for stage in view.stages]
    assert (view.mixed, told) == (True, [[NEWER, None], [None]])
    assert older.orchestrator.get_status(TENANT, execution.id).state is ExecutionState.SUCCEEDED
    assert again(older, fabric) == set()


def test_a_worker_of_another_runtime_takes_no_results(
    older: System, newer: System, fabric: Fabric
) -> None:
    execution = planned(older, fabric)
    assert again(older, fabric) == set()  # all is known from here on
    run(execution, newer, newer)
    assert set(states(older, execution).values()) == {NodeState.SUCCEEDED}


def test_alike_workers_reuse_all(older: System, fabric: Fabric) -> None:
    execution = planned(older, fabric)
    run(execution, older, older)
    view = plan_of(older, execution)
    assert (view.mixed, view.runtime) == (False, fingerprint())
    assert again(older, fabric) == {"mean", "spread", "score"}


def test_an_execution_that_another_runtime_resumes_gives_nothing_to_others(
    older: System, newer: System, fabric: Fabric
) -> None:
    execution = planned(older, fabric)
    older.runner.run(TENANT, execution.id, 0, 0)
    older.orchestrator.cancel_execution(TENANT, execution.id)
    newer.orchestrator.resume_execution(TENANT, execution.id)
    fabric.deliver(newer)
    second = plan_of(newer, execution)
    newer.orchestrator.retry_execution(TENANT, execution.id, ["score"])
    fabric.deliver(newer)
    third = plan_of(newer, execution)  # which knows no better than the second
    assert [(view.mixed, view.runtime) for view in (second, third)] == [(True, None)] * 2
    assert set(states(newer, execution).values()) == {NodeState.SUCCEEDED}
    assert again(newer, fabric) == set()


def test_a_retry_of_all_by_one_runtime_is_not_mixed(
    older: System, newer: System, fabric: Fabric
) -> None:
    execution = planned(older, fabric)
    run(execution, older, newer)
    before = values(older, TENANT, execution)
    newer.orchestrator.retry_execution(TENANT, execution.id, ["mean", "spread"])
    fabric.deliver(newer)
    view = plan_of(newer, execution)
    assert (view.mixed, view.runtime) == (False, NEWER)
    assert values(older, TENANT, execution) == before
    assert again(newer, fabric) == {"mean", "spread", "score"}


def retried_by(newer: System, older: System, fabric: Fabric) -> None:
    """Have an execution computed by the one, and its last node again by the other."""
    execution = trigger(older, TENANT, idempotency_key="retried")
    fabric.deliver(older)
    newer.orchestrator.retry_execution(TENANT, execution.id, ["score"])
    fabric.deliver(newer)
    assert set(states(newer, execution).values()) == {NodeState.SUCCEEDED}


def test_a_plan_does_not_find_what_another_runtime_retried_by_the_key_of_before(
    older: System, newer: System, fabric: Fabric
) -> None:
    retried_by(newer, older, fabric)
    assert again(older, fabric) == {"mean", "spread"}


def test_a_shard_does_not_find_what_another_runtime_retried_by_the_key_of_before(
    older: System, newer: System, fabric: Fabric
) -> None:
    waiting = planned(older, fabric)
    retried_by(newer, older, fabric)
    run(waiting, older, older)
    assert states(older, waiting) == {
        "mean": NodeState.REUSED,
        "spread": NodeState.REUSED,
        "score": NodeState.SUCCEEDED,
    }
