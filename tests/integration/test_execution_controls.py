"""Cancel, resume, retry, replay, compare and deadlines on real servers and in real executors."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from qmtl.bootstrap import System, build
from qmtl.common.errors import DEADLINE_PASSED
from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, ExecutionState, NodeState
from qmtl.orchestrator.services.comparison.model import CauseKind
from tests.support.fabric import Fabric
from tests.support.pipeline import deploy, submit, trigger, values
from tests.support.process_watch import descendants, eventually
from tests.support.strategies import DIAMOND, HALF_BROKEN, rows

# prices -> quick, busy, which never ends
BUSY = """\
from qmtl.sdk import node, source, strategy

strategy("busy", interval="1d")

prices = source(name="shop.prices", columns=["close"], interval="1d", period=3)


@node
def quick(prices):
    return len(prices)


@node
def busy(prices, quick):
    total = 0
    while True:
        total += quick
"""
ENDS_WITHIN_S = 2.0  # of a cancel


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(settings: Settings, fabric: Fabric) -> Iterator[System]:
    made = build(replace(settings, dispatch_deadline_s=0.5), fabric)
    made.registry.prepare()
    yield made
    made.close()


@contextmanager
def running(system: System, fabric: Fabric, execution: Execution) -> Iterator[threading.Thread]:
    """Run an execution in a thread, as a worker would, from the moment that its node is busy."""
    worker = threading.Thread(target=fabric.deliver, args=(system,))
    worker.start()
    try:
        assert eventually(lambda: states(system, execution).get("quick") is NodeState.SUCCEEDED)
        yield worker
    finally:
        system.orchestrator._ledger.cancel(execution.id)
        worker.join(timeout=30)


def states(system: System, execution: Execution) -> dict[str, NodeState]:
    found = system.orchestrator.get_execution_nodes(execution.tenant, execution.id)
    return {r.name: r.record.state for r in found}


def status(system: System, execution: Execution) -> Execution:
    return system.orchestrator.get_status(execution.tenant, execution.id)


def test_a_cancel_ends_a_busy_node_and_its_executor(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant, BUSY)
    before = set(descendants(os.getpid()))
    execution = trigger(system, tenant, "busy")
    with running(system, fabric, execution) as worker:
        executors = set(descendants(os.getpid())) - before
        assert executors
        cancelled = system.orchestrator.cancel_execution(tenant, execution.id)
        assert cancelled.state is ExecutionState.CANCELLED
        worker.join(timeout=ENDS_WITHIN_S)
        assert not worker.is_alive()
    assert states(system, execution) == {
        "quick": NodeState.SUCCEEDED,
        "busy": NodeState.CANCELLED,
    }
    assert not executors <= set(descendants(os.getpid()))  # the busy one is killed


def test_an_execution_whose_time_is_over_fails_with_the_reason(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant, BUSY)
    execution = trigger(system, tenant, "busy", expires_s=1.5)
    with running(system, fabric, execution):

        def expired() -> bool:
            system.reaper.look(now_ms=0)
            return status(system, execution).state is ExecutionState.FAILED

        assert eventually(expired)
    error = status(system, execution).error
    assert error is not None
    assert error.code == DEADLINE_PASSED


def test_resume_runs_only_what_has_no_result(system: System, fabric: Fabric, tenant: str) -> None:
    deploy(system, fabric, tenant, HALF_BROKEN)
    execution = trigger(system, tenant, "half_broken")
    fabric.deliver(system)
    system.orchestrator.resume_execution(tenant, execution.id)
    fabric.deliver(system)
    found = system.orchestrator.get_execution_nodes(tenant, execution.id)
    assert {r.name: (r.record.state, r.record.attempt) for r in found} == {
        "good": (NodeState.SUCCEEDED, 1),
        "bad": (NodeState.FAILED, 2),
        "behind_bad": (NodeState.SKIPPED, 2),
    }


def test_a_cancelled_execution_goes_on_where_it_was(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    execution = trigger(system, tenant)
    system.orchestrator.cancel_execution(tenant, execution.id)
    fabric.deliver(system)
    system.orchestrator.resume_execution(tenant, execution.id)
    fabric.deliver(system)
    ended = status(system, execution)
    assert (ended.state, ended.attempt) == (ExecutionState.SUCCEEDED, 2)


def test_retry_computes_a_node_and_what_rests_on_it_again(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    execution = trigger(system, tenant)
    fabric.deliver(system)
    before = values(system, tenant, execution)
    system.orchestrator.retry_execution(tenant, execution.id, ("mean",))
    fabric.deliver(system)
    found = system.orchestrator.get_execution_nodes(tenant, execution.id)
    assert {r.name: (r.record.state, r.record.attempt) for r in found} == {
        "mean": (NodeState.SUCCEEDED, 2),
        "spread": (NodeState.SUCCEEDED, 1),
        "score": (NodeState.SUCCEEDED, 2),
    }
    assert values(system, tenant, execution) == before


def test_a_replay_gives_equal_digests_though_the_data_was_corrected_since(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    execution = trigger(system, tenant)
    fabric.deliver(system)
    system.registry.append_rows(tenant, "shop.prices", rows({"2026-11-19": 20.0}))
    replay, _ = system.orchestrator.replay_execution(tenant, execution.id, by="me")
    fabric.deliver(system)
    assert set(states(system, replay).values()) == {NodeState.SUCCEEDED}
    found = system.orchestrator.compare_executions(tenant, execution.id, replay.id)
    assert (found.compared, found.equal, found.first) == (3, 3, None)


def test_a_comparison_names_the_parameter_that_changed(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    first = trigger(system, tenant)
    edited = submit(system, fabric, tenant, DIAMOND.replace("scale: float = 10.0", "scale=20.0"))
    assert edited.result is not None
    second = trigger(system, tenant, environment=None, version=edited.result["version"])
    fabric.deliver(system)
    found = system.orchestrator.compare_executions(tenant, first.id, second.id)
    assert (found.compared, found.equal) == (3, 2)
    assert [(c.kind, c.message, c.reaches) for c in found.causes] == [
        (CauseKind.PARAMETER, "parameter scale of score: 10.0 became 20.0", ("score",))
    ]


def test_a_comparison_names_the_row_that_changed(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    first = trigger(system, tenant)
    fabric.deliver(system)
    system.registry.append_rows(tenant, "shop.prices", rows({"2026-11-19": 20.0}))
    second = trigger(system, tenant)
    fabric.deliver(system)
    (cause,) = system.orchestrator.compare_executions(tenant, first.id, second.id).causes
    assert cause.data is not None
    (row,) = cause.data.first
    assert (row.left, row.right) == ({"close": 14.0}, {"close": 20.0})


def test_a_plan_shows_what_an_execution_took(system: System, fabric: Fabric, tenant: str) -> None:
    deploy(system, fabric, tenant)
    execution = trigger(system, tenant)
    fabric.deliver(system)
    found = system.orchestrator.get_plan(tenant, execution.id)
    assert found.stages
    assert all(node.took_us is not None for node in found.nodes)
    assert found.totals is not None
    assert found.totals.execute_us > 0


def test_tallies_count_what_was_computed_and_reused(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    for _ in range(2):
        trigger(system, tenant)
        fabric.deliver(system)
    assert system.orchestrator.tallies(tenant) == {"computed": 3, "reused": 3, "waited": 0}
