"""A retry that comes to another result changes nothing of what others recorded of the first one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from qmtl.bootstrap import System, build
from qmtl.common.codec import digest, encode
from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, NodeRecord, NodeResult, NodeState
from qmtl.orchestrator.execution.ledger_types import NodeCommit
from qmtl.orchestrator.execution.preparation import Preparation
from tests.support.fabric import Fabric
from tests.support.pipeline import deploy, memory, trigger

TENANT = "acme"
ANOTHER = 99.0
READS_SCORES = """\
from qmtl.sdk import node, query, source, strategy

strategy("reads_scores", interval="1d")
prices = source(name="shop.prices", columns=["close"], interval="1d", period=3)


@node(inputs={"signals": query(tags=["signal"])})
def others(signals):
    return len(signals)


@node
def alone(prices):
    return len(prices)
"""


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(fabric: Fabric) -> Iterator[System]:
    made = build(Settings(), fabric, stores=memory())
    deploy(made, fabric, TENANT)
    yield made
    made.close()


def comes_to_another(system: System, execution_id: str, binding: str) -> None:
    """Let an execution that has ended compute a binding again, and come to another result."""
    ledger = system.orchestrator._ledger
    plan, attempt = ledger.plan(execution_id), ledger.get(TENANT, execution_id).attempt
    assert plan is not None
    (place,) = [at for at, node in enumerate(plan.nodes) if binding in node.names]
    node_id, value = plan.nodes[place].node_id, encode(ANOTHER)
    assert ledger.reopen(execution_id, attempt=attempt, clear=[node_id], fresh=True)
    token = ledger.start(execution_id, replace(plan, stages=(((place,),),)), lease_s=60.0).token
    record = NodeRecord(
        node_id=node_id, state=NodeState.SUCCEEDED, attempt=attempt + 1, digest=digest(value)
    )
    ledger.commit(execution_id, 0, 0, token, [NodeCommit(record, value)], done=True)


def once_after(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, then: Callable[[], None]
) -> None:
    """Let something happen between the first call of a method and what its caller does next."""
    keep, times = getattr(where, name), [0]

    def called(*arguments: Any, **options: Any) -> Any:
        found = keep(*arguments, **options)
        times[0] += 1
        if times[0] == 1:
            then()
        return found

    monkeypatch.setattr(where, name, called)


def found(system: System, execution: Execution) -> dict[str, NodeResult]:
    return {r.name: r for r in system.orchestrator.get_results(TENANT, execution.id)}


def each_value_has_its_digest(results: dict[str, NodeResult]) -> bool:
    return all(
        r.value is not None and digest(r.value) == r.record.digest
        for r in results.values()
        if r.record.state.has_result
    )


def test_what_changes_before_it_is_taken_over_is_not_taken_for_what_it_was(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = trigger(system, TENANT)
    fabric.deliver(system)
    execution = trigger(system, TENANT, idempotency_key="again")
    change = lambda: comes_to_another(system, origin.id, "mean")  # noqa: E731 - said in place
    once_after(monkeypatch, Preparation, "prepare", change)
    fabric.deliver(system)
    results = found(system, execution)
    assert all(r.record.state.has_result for r in results.values())
    assert each_value_has_its_digest(results)


def test_what_changes_while_a_shard_takes_it_over_is_computed(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution, origin = (trigger(system, TENANT, idempotency_key=k) for k in ("one", "two"))
    fabric.waiting.clear()

    def run_origin() -> None:  # once the other one is planned
        system.advancer.advance(TENANT, origin.id, 0)
        change = lambda: comes_to_another(system, origin.id, "mean")  # noqa: E731 - said in place
        once_after(monkeypatch, system.orchestrator._ledger, "records_of", change)

    once_after(monkeypatch, Preparation, "prepare", run_origin)
    system.advancer.advance(TENANT, execution.id, 0)
    results = found(system, execution)
    assert {name: r.record.state for name, r in results.items()} == {
        "mean": NodeState.SUCCEEDED,
        "spread": NodeState.REUSED,
        "score": NodeState.REUSED,
    }
    assert each_value_has_its_digest(results)


def test_a_history_gives_no_other_result_than_the_plan_found_there(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(system, fabric, TENANT, READS_SCORES)
    origin = trigger(system, TENANT)
    fabric.deliver(system)
    execution = trigger(system, TENANT, "reads_scores")
    change = lambda: comes_to_another(system, origin.id, "score")  # noqa: E731 - said in place
    once_after(monkeypatch, Preparation, "prepare", change)
    fabric.deliver(system)
    results = found(system, execution)
    assert results["alone"].record.state is NodeState.SUCCEEDED
    error = results["others"].record.error
    assert error is not None
    assert error.message == "A result that the plan reads is no longer kept."


def test_who_reads_results_meanwhile_gets_each_value_with_its_digest(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = trigger(system, TENANT)
    fabric.deliver(system)
    change = lambda: comes_to_another(system, execution.id, "mean")  # noqa: E731 - said in place
    once_after(monkeypatch, system.orchestrator._ledger, "records", change)
    results = found(system, execution)
    assert results["mean"].value == encode(ANOTHER)
    assert each_value_has_its_digest(results)
