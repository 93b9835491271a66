"""How executions come into a ledger, start, advance and end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from qmtl.common.errors import UnknownExecution
from qmtl.models.execution import (
    ExecutionState,
)
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import (
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Started,
    StartStatus,
)
from tests.support.ledgers import (
    ERROR,
    LONG_S,
    LedgerUnderTest,
    claimed,
    failed,
    new_execution,
    plan_of,
    run_shard,
    started,
    succeeded,
    waited_for,
)


def test_a_ledger_answers_a_ping(ledger: Ledger) -> None:
    ledger.ping()


def test_an_execution_comes_back_as_it_was_created(ledger: Ledger) -> None:
    execution = new_execution(as_of_ns=2**62 + 1, targets=("a", "b"), environment=None)
    assert ledger.create(execution, {}) == (execution, True)
    assert ledger.get("acme", execution.id) == execution


def test_creating_twice_answers_with_the_execution_that_exists(ledger: Ledger) -> None:
    first = new_execution(by="first")
    ledger.create(first, {"prices": b"1"})
    second = new_execution(id=first.id, by="second")
    assert ledger.create(second, {"prices": b"2"}) == (first, False)
    assert ledger.inputs(first.id) == {"prices": b"1"}


def test_creating_again_shows_how_far_the_execution_is(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    ledger.start(execution.id, plan_of([["a"]]))
    found, new = ledger.create(execution, {})
    assert (found.state, found.nodes_total, new) == (ExecutionState.RUNNING, 1, False)


def test_one_of_many_that_create_at_once_makes_the_execution(ledger: Ledger) -> None:
    execution = new_execution()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ledger.create(execution, {}), range(8)))
    assert [new for _, new in answers].count(True) == 1


def test_an_unknown_execution_is_said_to_be_unknown(ledger: Ledger) -> None:
    with pytest.raises(UnknownExecution):
        ledger.get("acme", "nothing")


def test_an_execution_of_another_tenant_is_unknown(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    with pytest.raises(UnknownExecution):
        ledger.get("other", execution.id)


def test_inline_inputs_are_kept(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {"prices": b"\x00\xff", "rates": b""})
    assert ledger.inputs(execution.id) == {"prices": b"\x00\xff", "rates": b""}


def test_without_inline_inputs_there_are_none(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.inputs(execution.id) == {}


def test_starting_stores_the_plan_and_runs_the_first_stage(ledger: Ledger) -> None:
    plan = plan_of([["a"], ["b"]], [["c"]])
    execution_id = started(ledger, plan)
    execution = ledger.get("acme", execution_id)
    assert ledger.plan(execution_id) == plan
    assert execution.state is ExecutionState.RUNNING
    assert (execution.stage, execution.stages) == (0, 2)
    assert (execution.nodes_done, execution.nodes_total) == (0, 3)
    assert execution.started_ms is not None
    assert ledger.records(execution_id) == {}


def test_an_execution_starts_once(ledger: Ledger) -> None:
    plan = plan_of([["a"]])
    execution_id = started(ledger, plan)
    assert ledger.start(execution_id, plan_of([["b"]])) == Started(StartStatus.STALE)
    assert ledger.plan(execution_id) == plan


def test_a_start_tells_when_it_was(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    found = ledger.start(execution.id, plan_of([["a"]]))
    assert found.started_ms == ledger.get("acme", execution.id).started_ms
    assert found.token == 0


def test_a_start_with_a_lease_claims_the_only_shard(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    token = ledger.start(execution.id, plan_of([["a"]], [["b"], ["c"]]), lease_s=LONG_S).token
    assert ledger.claim(execution.id, 0, 0, lease_s=LONG_S) == Claim(ClaimStatus.BUSY)
    status = ledger.commit(execution.id, 0, 0, token, [succeeded("a")], done=True)
    assert status is CommitStatus.STAGE_DONE


def test_a_start_with_a_lease_claims_none_of_two_shards(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.start(execution.id, plan_of([["a"], ["b"]]), lease_s=LONG_S).token == 0
    assert [shard.claims for shard in ledger.shards(execution.id)] == [0, 0]


def test_plans_of_one_shape_share_its_nodes(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    plans = [plan_of([["a", "b"]]), plan_of([["a"], ["b"]]), plan_of([["a"]], [["b"]])]
    assert len({plan.shape for plan in plans}) == 1
    ids = [started(ledger, plan) for plan in plans]
    assert [ledger.plan(id_) for id_ in ids] == plans
    assert subject.other().plan(ids[2]) == plans[2], "also for who has not seen the shape"


def test_one_of_many_that_start_at_once_starts_it(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    plan = plan_of([["a"]])
    with ThreadPoolExecutor(8) as pool:
        answers = [s.status for s in pool.map(lambda _: ledger.start(execution.id, plan), range(8))]
    assert sorted(answers) == [StartStatus.STALE] * 7 + [StartStatus.STARTED]


def test_what_was_never_created_cannot_start(ledger: Ledger) -> None:
    assert ledger.start("nothing", plan_of([["a"]])) == Started(StartStatus.STALE)
    assert ledger.plan("nothing") is None


def test_a_plan_without_stages_ends_the_execution(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.start(execution.id, plan_of()).status is StartStatus.ENDED
    execution = ledger.get("acme", execution.id)
    assert execution.state is ExecutionState.SUCCEEDED
    assert execution.ended_ms is not None
    assert ledger.due(limit=10, again_s=LONG_S, unclaimed_s=0.0) == []


def test_before_the_plan_there_are_no_records(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.plan(execution.id) is None
    assert ledger.records(execution.id) == {}
    assert ledger.outcome("acme", execution.id) == (execution, None, {}, {})


def test_an_outcome_is_the_execution_and_its_plan_with_the_records_so_far(ledger: Ledger) -> None:
    plan = plan_of([["a"], ["b"]])
    execution_id = started(ledger, plan)
    assert ledger.outcome("acme", execution_id) == (ledger.get("acme", execution_id), plan, {}, {})
    run_shard(ledger, execution_id, 0, 0, "a")
    execution, found, records, values = ledger.outcome("acme", execution_id)
    assert execution == ledger.get("acme", execution_id)
    assert (found, records, values) == (plan, {"a": succeeded("a").record}, {})


def test_an_outcome_gives_the_values_of_its_records_where_they_are_asked_for(
    ledger: Ledger,
) -> None:
    execution_id = started(ledger, plan_of([["a", "b", "c"]]))
    large = b"x" * 1_000_000
    token = claimed(ledger, execution_id)
    nodes = [succeeded("a", b"1"), succeeded("b", large), failed("c")]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    assert ledger.outcome("acme", execution_id, values=True)[3] == {"a": b"1", "b": large}


def test_another_tenant_sees_no_outcome(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    with pytest.raises(UnknownExecution):
        ledger.outcome("other", execution_id)


def test_an_execution_advances_only_when_every_shard_is_done(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"]], [["c"]]))
    run_shard(ledger, execution_id, 0, 0, "a")
    assert ledger.advance(execution_id, 1) is AdvanceStatus.WAIT
    run_shard(ledger, execution_id, 0, 1, "b")
    assert ledger.advance(execution_id, 2) is AdvanceStatus.WAIT
    assert ledger.advance(execution_id, 1) is AdvanceStatus.MOVED
    assert ledger.get("acme", execution_id).stage == 1


def test_one_of_many_that_advance_at_once_moves_it(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    run_shard(ledger, execution_id, 0, 0, "a")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ledger.advance(execution_id, 1), range(8)))
    assert sorted(answers) == [AdvanceStatus.MOVED] + [AdvanceStatus.STALE] * 7


def test_the_last_commit_of_the_last_stage_ends_the_execution(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"], ["c"]]))
    assert run_shard(ledger, execution_id, 0, 0, "a") is CommitStatus.STAGE_DONE
    assert ledger.advance(execution_id, 1) is AdvanceStatus.MOVED
    assert run_shard(ledger, execution_id, 1, 1, "c") is CommitStatus.ACCEPTED
    assert run_shard(ledger, execution_id, 1, 0, "b") is CommitStatus.ENDED
    assert ledger.advance(execution_id, 2) is AdvanceStatus.STALE
    execution = ledger.get("acme", execution_id)
    assert execution.state is ExecutionState.SUCCEEDED
    assert execution.ended_ms is not None
    assert execution.nodes_done == execution.nodes_total == 3


def test_a_stage_without_shards_is_left_by_an_advance(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([], [["a"]], []))
    assert ledger.advance(execution_id, 1) is AdvanceStatus.MOVED
    assert run_shard(ledger, execution_id, 1, 0, "a") is CommitStatus.STAGE_DONE
    assert ledger.advance(execution_id, 2) is AdvanceStatus.MOVED
    assert ledger.advance(execution_id, 3) is AdvanceStatus.ENDED
    assert ledger.get("acme", execution_id).state is ExecutionState.SUCCEEDED


def test_a_reused_result_counts_as_a_result(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = claimed(ledger, execution_id)
    ledger.commit(execution_id, 0, 0, token, [waited_for("a")], done=True)
    assert ledger.get("acme", execution_id).state is ExecutionState.SUCCEEDED


def test_an_execution_with_a_failed_node_failed(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = claimed(ledger, execution_id)
    nodes = [succeeded("a"), failed("b")]
    assert ledger.commit(execution_id, 0, 0, token, nodes, done=True) is CommitStatus.ENDED
    assert ledger.get("acme", execution_id).state is ExecutionState.FAILED


def test_what_does_not_run_does_not_advance(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.advance(execution.id, 0) is AdvanceStatus.STALE
    assert ledger.advance("nothing", 1) is AdvanceStatus.STALE


def test_failing_ends_an_execution_and_keeps_what_is_committed(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = claimed(ledger, execution_id)
    ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=False)
    assert ledger.fail(execution_id, ERROR)
    execution = ledger.get("acme", execution_id)
    assert (execution.state, execution.error) == (ExecutionState.FAILED, ERROR)
    assert execution.nodes_done == 2
    assert set(ledger.records(execution_id)) == {"a"}


def test_an_execution_that_was_not_planned_can_fail(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.fail(execution.id, ERROR)
    assert ledger.start(execution.id, plan_of([["a"]])).status is StartStatus.STALE


def test_what_ended_or_is_unknown_cannot_fail(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of())
    assert not ledger.fail(execution_id, ERROR)
    assert not ledger.fail("nothing", ERROR)
    assert ledger.get("acme", execution_id).state is ExecutionState.SUCCEEDED


def test_counts_tell_what_has_not_ended(ledger: Ledger) -> None:
    ledger.create(new_execution(), {})
    running = started(ledger, plan_of([["a"]]))
    assert ledger.counts() == {ExecutionState.PENDING: 1, ExecutionState.RUNNING: 1}
    run_shard(ledger, running, 0, 0, "a")
    assert ledger.counts() == {ExecutionState.PENDING: 1, ExecutionState.RUNNING: 0}
