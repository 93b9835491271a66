"""What nobody foresaw ends what met it, instead of being sent again for ever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from qmtl.bootstrap import System, build
from qmtl.common.errors import NODE_DIED, CorruptValue, MissingData, SandboxFailure, Unavailable
from qmtl.common.settings import Settings
from qmtl.models.execution import ErrorRecord, ExecutionState, NodeState
from qmtl.models.strategy import SubmissionState
from qmtl.orchestrator.execution.advance import GIVEN_UP, MOST_DEATHS
from qmtl.orchestrator.execution.inputs import InputReader
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.preparation import Preparation
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.shard import MOST_CLAIMS
from qmtl.orchestrator.services import submission as submissions
from qmtl.sandbox.executor import Executor
from tests.support.fabric import Fabric
from tests.support.pipeline import FINE, deploy, memory, trigger
from tests.support.process_watch import eventually
from tests.support.strategies import DIAMOND

TENANT = "acme"
LOOKS_AROUND = """\
from qmtl.sdk import node, query, source, strategy

strategy("looks_around", interval="1d")
prices = source(name="shop.prices", columns=["close"], interval="1d", period=3)


@node(inputs={"signals": query(tags=["signal"])})
def others(signals):
    return len(signals)


@node
def behind(others):
    return others


@node
def alone(prices):
    return len(prices)
"""


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(fabric: Fabric) -> Iterator[System]:
    made = build(Settings(**FINE), fabric, stores=memory())
    deploy(made, fabric, TENANT)
    yield made
    made.close()


def breaks(error: Exception) -> Any:
    def broken(*_: object, **__: object) -> None:
        raise error

    return broken


def test_an_execution_that_breaks_the_planner_ends(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = trigger(system, TENANT)
    monkeypatch.setattr(InputReader, "pin", breaks(ZeroDivisionError("private")))
    fabric.deliver(system)
    ended = system.orchestrator.get_status(TENANT, execution.id)
    assert ended.state is ExecutionState.FAILED
    assert ended.error is not None
    assert "ZeroDivisionError" in ended.error.message
    assert "private" not in ended.error.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ZeroDivisionError(), "QMTL-900"),
        (CorruptValue("Bytes are missing."), "QMTL-305"),
        (MissingData("Points are missing."), "QMTL-302"),
    ],
)
def test_a_shard_that_cannot_be_run_fails_its_nodes(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    execution_id = plan_by_hand(system, fabric)
    monkeypatch.setattr(InputReader, "read", breaks(error))
    for shard in range(2):
        system.advancer.run_shard(TENANT, execution_id, 0, shard)
    fabric.deliver(system)
    assert system.orchestrator.get_status(TENANT, execution_id).state is ExecutionState.FAILED
    nodes = system.orchestrator.get_execution_nodes(TENANT, execution_id)
    failed = [n.record for n in nodes if n.record.state is NodeState.FAILED]
    assert {r.error.code for r in failed if r.error} == {code}


def test_a_shard_stays_open_while_a_server_is_away(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = trigger(system, TENANT)
    with monkeypatch.context() as patch:
        patch.setattr(InputReader, "pin", breaks(Unavailable("redis", "It is away.")))
        with pytest.raises(Unavailable):
            fabric.deliver(system)
    assert system.orchestrator.get_status(TENANT, execution.id).state is ExecutionState.PENDING


def test_an_execution_whose_planning_ends_its_process_again_and_again_is_given_up(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = trigger(system, TENANT)
    monkeypatch.setattr(Preparation, "prepare", breaks(SystemExit()))
    for died in [False] + [True] * (MOST_DEATHS - 1):
        with pytest.raises(SystemExit):
            system.advancer.advance(TENANT, execution.id, 0, died=died)
    system.advancer.advance(TENANT, execution.id, 0, died=True)
    ended = system.orchestrator.get_status(TENANT, execution.id)
    assert (ended.state, ended.error) == (ExecutionState.FAILED, GIVEN_UP)


def test_outages_while_an_execution_is_planned_do_not_count(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = trigger(system, TENANT)
    with monkeypatch.context() as patch:
        patch.setattr(InputReader, "pin", breaks(Unavailable("redis", "It is away.")))
        for _ in range(2 * MOST_DEATHS):
            with pytest.raises(Unavailable):
                system.advancer.advance(TENANT, execution.id, 0)
    system.advancer.advance(TENANT, execution.id, 0, died=True)
    fabric.deliver(system)
    state = system.orchestrator.get_status(TENANT, execution.id).state
    assert state is ExecutionState.SUCCEEDED


def plan_by_hand(system: System, fabric: Fabric) -> str:
    """Plan an execution whose shards nobody was sent, and return its id."""
    execution = trigger(system, TENANT)
    system.advancer.execute_pipeline(TENANT, execution.id)
    fabric.waiting.clear()
    plan = system.orchestrator._ledger.plan(execution.id)
    assert plan is not None
    assert len(plan.stages[0]) == 2
    return execution.id


def errors_of_the_first_stage(system: System, execution_id: str) -> set[tuple[str, str]]:
    plan = system.orchestrator._ledger.plan(execution_id)
    assert plan is not None
    first = {n.node_id for n in plan.shard(0, 0)}
    records = system.orchestrator._ledger.records(execution_id)
    errors = {records[node_id].error for node_id in first if node_id in records}
    return {(error.code, error.message) for error in errors if error is not None}


def test_a_shard_that_ends_its_workers_again_and_again_is_given_up(
    system: System, fabric: Fabric
) -> None:
    execution_id = plan_by_hand(system, fabric)
    for _ in range(MOST_CLAIMS):
        system.orchestrator._ledger.claim(execution_id, 0, 0, lease_s=0.0)  # and the worker died
    system.runner.run(TENANT, execution_id, 0, 0)
    ((code, message),) = errors_of_the_first_stage(system, execution_id)
    assert (code, "begun 5 times" in message) == (NODE_DIED, True)
    assert system.orchestrator._ledger.claim(execution_id, 0, 0, lease_s=1.0).status == "DONE"


def test_a_shard_whose_worker_died_once_less_is_run(system: System, fabric: Fabric) -> None:
    execution_id = plan_by_hand(system, fabric)
    for _ in range(MOST_CLAIMS - 1):
        system.orchestrator._ledger.claim(execution_id, 0, 0, lease_s=0.0)
    system.runner.run(TENANT, execution_id, 0, 0)
    assert errors_of_the_first_stage(system, execution_id) == set()


def test_a_graph_that_is_away_uses_no_claim_up(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = plan_by_hand(system, fabric)
    with monkeypatch.context() as patch:
        patch.setattr(Recents, "work", breaks(Unavailable("graph", "It is away.")))
        with pytest.raises(Unavailable):
            system.runner.run(TENANT, execution_id, 0, 0)
    assert system.orchestrator._ledger.claim(execution_id, 0, 0, lease_s=0.0).attempt == 1


def test_an_outage_after_the_claim_uses_none_up(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = plan_by_hand(system, fabric)
    ledger = system.orchestrator._ledger
    monkeypatch.setattr(system.runner._leases, "lease_s", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(InputReader, "read", breaks(Unavailable("redis", "It is away.")))
        for _ in range(2 * MOST_CLAIMS):
            assert eventually(lambda: not ledger.shards(execution_id)[0].alive)
            with pytest.raises(Unavailable):
                system.runner.run(TENANT, execution_id, 0, 0)
            assert eventually(lambda: ledger.shards(execution_id)[0].claims == 0)
    assert eventually(lambda: not ledger.shards(execution_id)[0].alive)
    system.runner.run(TENANT, execution_id, 0, 0)
    assert errors_of_the_first_stage(system, execution_id) == set()


def test_a_ledger_that_is_away_after_the_start_uses_no_claim_up(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = trigger(system, TENANT, targets=("mean",))
    ledger = system.orchestrator._ledger
    with monkeypatch.context() as patch:
        patch.setattr(MemoryLedger, "commit", breaks(Unavailable("redis", "It is away.")))
        with pytest.raises(Unavailable):
            fabric.deliver(system)
        assert eventually(lambda: ledger.shards(execution.id)[0].claims == 0)


def test_a_commit_that_breaks_once_loses_none_of_the_nodes_that_it_was_given(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = plan_by_hand(system, fabric)
    ledger = system.orchestrator._ledger
    plan = ledger.plan(execution_id)
    assert plan is not None
    monkeypatch.setattr("qmtl.orchestrator.execution.commits.COMMIT_NODES", 1)

    def broken(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise PermissionError("A script was killed.")

    monkeypatch.setattr(MemoryLedger, "commit", broken)
    system.runner.run(TENANT, execution_id, 0, 0)
    records = ledger.records(execution_id)
    states = [records[node.node_id].state for node in plan.shard(0, 0)]
    assert NodeState.SUCCEEDED in states, "it was computed, and only its commit broke"
    assert ledger.claim(execution_id, 0, 0, lease_s=1.0).status == "DONE"


def test_a_shard_whose_commits_always_break_stays_open(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = plan_by_hand(system, fabric)
    ledger = system.orchestrator._ledger
    monkeypatch.setattr(system.runner._leases, "lease_s", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr("qmtl.orchestrator.execution.commits.COMMIT_NODES", 1)
        patch.setattr(MemoryLedger, "commit", breaks(PermissionError("Not for you.")))
        with pytest.raises(PermissionError):
            system.runner.run(TENANT, execution_id, 0, 0)
    assert ledger.records(execution_id) == {}
    assert ledger.claim(execution_id, 0, 0, lease_s=1.0).status == "RUN"


def test_a_shard_waits_where_no_executor_can_be_started_but_not_for_ever(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = plan_by_hand(system, fabric)
    monkeypatch.setattr(system.runner._leases, "lease_s", 0.0)
    monkeypatch.setattr(Executor, "start", breaks(SandboxFailure("No more processes.")))
    for _ in range(MOST_CLAIMS - 1):
        with pytest.raises(SandboxFailure):
            system.runner.run(TENANT, execution_id, 0, 0)
    assert errors_of_the_first_stage(system, execution_id) == set()
    system.runner.run(TENANT, execution_id, 0, 0)
    assert errors_of_the_first_stage(system, execution_id) == {("QMTL-902", "No more processes.")}


def test_costs_that_cannot_be_noted_hold_up_no_stage(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryLedger, "learn", breaks(Unavailable("redis", "It is away.")))
    execution = trigger(system, TENANT)
    fabric.deliver(system)
    state = system.orchestrator.get_status(TENANT, execution.id).state
    assert state is ExecutionState.SUCCEEDED


def test_a_result_that_the_ledger_lost_is_not_taken_for_a_failure_upstream(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = plan_by_hand(system, fabric)
    ledger = system.orchestrator._ledger
    plan = ledger.plan(execution_id)
    assert plan is not None
    for shard in range(len(plan.stages[0])):
        system.runner.run(TENANT, execution_id, 0, shard)
    ids = dict(plan.bindings())
    kept = ledger.values

    def values(id_: str, node_ids: Sequence[str]) -> dict[str, bytes]:
        return kept(id_, [n for n in node_ids if n != ids["mean"].node_id])

    monkeypatch.setattr(ledger, "values", values)
    system.advancer.advance(TENANT, execution_id, 1)
    fabric.deliver(system)
    reader = ledger.records(execution_id)[ids["score"].node_id]
    assert (reader.state, reader.error) == (
        NodeState.FAILED,
        ErrorRecord(
            code="QMTL-305", message="It reads 'mean', whose value is no longer in the ledger."
        ),
    )


def test_a_result_that_a_history_lost_fails_only_the_nodes_that_look_back_at_it(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(system, fabric, TENANT, LOOKS_AROUND)
    trigger(system, TENANT)
    fabric.deliver(system)
    monkeypatch.setattr(MemoryLedger, "values_of", lambda _, results: [None for _ in results])
    execution = trigger(system, TENANT, "looks_around")
    fabric.deliver(system)
    found = system.orchestrator.get_results(TENANT, execution.id)
    assert {result.name: result.record.state for result in found} == {
        "others": NodeState.FAILED,
        "behind": NodeState.SKIPPED,
        "alone": NodeState.SUCCEEDED,
    }
    errors = {result.name: result.record.error for result in found}
    assert errors["others"] == ErrorRecord(
        code="QMTL-404", message="A result that the plan reads is no longer kept."
    )


def test_a_submission_that_breaks_the_parser_is_rejected(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "parse_strategy", breaks(ZeroDivisionError("private")))
    submission, _ = system.orchestrator.submit(
        TENANT, operation="submit_strategy", request={"source": DIAMOND}, by="me"
    )
    fabric.deliver(system)
    ended = system.orchestrator.get_submission(TENANT, submission.id)
    assert ended.state is SubmissionState.REJECTED
    assert ended.problem is not None
    assert "private" not in str(ended.problem)


def test_a_keyed_trigger_is_answered_alike_after_its_strategy_was_deactivated(
    system: System, fabric: Fabric
) -> None:
    first = trigger(system, TENANT, idempotency_key="k")
    system.orchestrator.submit(
        TENANT,
        operation="deactivate_strategy",
        request={"strategy": "diamond", "environment": "development"},
        by="me",
    )
    fabric.deliver(system)
    assert trigger(system, TENANT, idempotency_key="k").id == first.id
