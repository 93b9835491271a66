"""What every ledger promises its callers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from qmtl.common.errors import InvalidRequest, UnknownExecution
from qmtl.models.execution import (
    ExecutionState,
    HistoryPoint,
    NodeRecord,
    NodeState,
    ShardRecord,
    Spent,
)
from qmtl.orchestrator.execution.ledger import (
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Due,
    HistoryPlace,
    Ledger,
    NodeCommit,
    Started,
    StartStatus,
)
from qmtl.orchestrator.execution.pinned import Pinned
from tests.support.ledgers import (
    DAY_MS,
    ERROR,
    LedgerUnderTest,
    failed,
    memory_ledger,
    new_execution,
    place_at,
    plan_of,
    redis_ledger,
    started,
    succeeded,
    waited_for,
)

SHORT_S = 0.2  # a lease that a test waits out
LONG_S = 60.0  # a lease that never runs out in a test


@pytest.fixture(params=["memory", "redis"])
def subject(request: pytest.FixtureRequest) -> LedgerUnderTest:
    if request.param == "memory":
        return memory_ledger()
    return redis_ledger(request.getfixturevalue("settings"))


@pytest.fixture
def ledger(subject: LedgerUnderTest) -> Ledger:
    return subject.ledger


def claimed(ledger: Ledger, execution_id: str, stage: int = 0, shard: int = 0) -> int:
    claim = ledger.claim(execution_id, stage, shard, lease_s=LONG_S)
    assert claim.status is ClaimStatus.RUN
    return claim.token


def run_shard(
    ledger: Ledger, execution_id: str, stage: int, shard: int, *node_ids: str
) -> CommitStatus:
    token = claimed(ledger, execution_id, stage, shard)
    nodes = [succeeded(node_id) for node_id in node_ids]
    return ledger.commit(execution_id, stage, shard, token, nodes, done=True)


def due_at_once(ledger: Ledger, *, again_s: float = LONG_S) -> list[Due]:
    return ledger.due(limit=10, again_s=again_s, unclaimed_s=0.0)


# --- create and get ----------------------------------------------------------------------------


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


# --- start -------------------------------------------------------------------------------------


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
    assert claimed(ledger, execution.id) == 1


def test_a_shard_that_was_claimed_with_the_start_is_due_when_its_lease_ran_out(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution = new_execution()
    ledger.create(execution, {})
    ledger.start(execution.id, plan_of([["a"]]), lease_s=SHORT_S)
    assert due_at_once(ledger) == []
    subject.pass_time(SHORT_S + 0.05)
    assert due_at_once(ledger) == [Due("acme", execution.id, 0, (0,))]
    assert ledger.claim(execution.id, 0, 0, lease_s=LONG_S).again


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
    assert due_at_once(ledger) == []


def test_before_the_plan_there_are_no_records(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.plan(execution.id) is None
    assert ledger.records(execution.id) == {}


# --- claim and renew ---------------------------------------------------------------------------


def test_a_claimed_shard_is_busy_for_others(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    claimed(ledger, execution_id)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S) == Claim(ClaimStatus.BUSY)


def test_one_of_many_that_claim_at_once_gets_the_shard(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    with ThreadPoolExecutor(8) as pool:
        claims = list(
            pool.map(lambda _: ledger.claim(execution_id, 0, 0, lease_s=LONG_S), "12345678")
        )
    assert [claim.status for claim in claims].count(ClaimStatus.RUN) == 1


def test_a_shard_whose_lease_ran_out_is_claimed_under_a_greater_token(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    first = ledger.claim(execution_id, 0, 0, lease_s=SHORT_S)
    subject.pass_time(SHORT_S + 0.05)
    second = ledger.claim(execution_id, 0, 0, lease_s=LONG_S)
    assert second.status is ClaimStatus.RUN
    assert second.token > first.token


def test_tokens_grow_over_all_shards_of_an_execution(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    assert claimed(ledger, execution_id, shard=1) < claimed(ledger, execution_id, shard=0)


def test_a_claim_says_whether_the_shard_was_claimed_before(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"], ["c"]]))
    assert not ledger.claim(execution_id, 0, 0, lease_s=0.0).again
    assert not ledger.claim(execution_id, 0, 1, lease_s=0.0).again
    token = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=False)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).again


def test_a_claim_tells_how_often_the_shard_was_claimed_and_got_no_further(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"], ["c"]]))

    def claim(shard: int) -> Claim:
        return ledger.claim(execution_id, 0, shard, lease_s=0.0)

    assert [claim(0).attempt for _ in range(3)] == [1, 2, 3]
    assert claim(1).attempt == 1, "each shard has a count of its own"
    fourth = claim(0)
    assert fourth.attempt == 4
    ledger.commit(execution_id, 0, 0, fourth.token, [], done=False)
    assert claim(0).attempt == 5, "a commit of no node gets it no further"
    ledger.commit(execution_id, 0, 0, claim(0).token, [succeeded("a")], done=False)
    assert claim(0).attempt == 1


def test_a_done_shard_is_done_for_whoever_claims_it(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    run_shard(ledger, execution_id, 0, 0, "a")
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S) == Claim(ClaimStatus.DONE)


@pytest.mark.parametrize(("stage", "shard"), [(1, 0), (0, 7), (-1, 0)])
def test_a_shard_that_is_not_of_the_running_stage_is_gone(
    ledger: Ledger, stage: int, shard: int
) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    assert ledger.claim(execution_id, stage, shard, lease_s=LONG_S) == Claim(ClaimStatus.GONE)


def test_a_stage_that_was_left_behind_is_gone(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    run_shard(ledger, execution_id, 0, 0, "a")
    ledger.advance(execution_id, 1)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).status is ClaimStatus.GONE


def test_shards_of_what_is_not_running_are_gone(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.claim(execution.id, 0, 0, lease_s=LONG_S).status is ClaimStatus.GONE
    assert ledger.claim("nothing", 0, 0, lease_s=LONG_S).status is ClaimStatus.GONE


def test_a_renewed_lease_keeps_the_shard(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=SHORT_S).token
    assert ledger.renew(execution_id, 0, 0, token, lease_s=LONG_S)
    subject.pass_time(SHORT_S + 0.05)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).status is ClaimStatus.BUSY


def test_a_lease_that_ran_out_is_renewed_where_nobody_took_the_shard(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    assert ledger.renew(execution_id, 0, 0, token, lease_s=LONG_S)
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).status is ClaimStatus.BUSY


def test_a_lease_that_somebody_else_took_is_not_renewed(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    old = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    claimed(ledger, execution_id)
    assert not ledger.renew(execution_id, 0, 0, old, lease_s=LONG_S)


def test_no_lease_is_renewed_once_the_execution_ended(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = claimed(ledger, execution_id)
    ledger.fail(execution_id, ERROR)
    assert not ledger.renew(execution_id, 0, 0, token, lease_s=LONG_S)


# --- commit ------------------------------------------------------------------------------------


def test_a_commit_keeps_records_and_values(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"]]))
    nodes = [succeeded("a", b"\x00\xff"), failed("b")]
    token = claimed(ledger, execution_id)
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    assert ledger.records(execution_id) == {"a": nodes[0].record, "b": nodes[1].record}
    assert ledger.values(execution_id, ["a", "b", "c"]) == {"a": b"\x00\xff"}
    assert ledger.get("acme", execution_id).nodes_done == 2


@pytest.mark.parametrize("size", [0, 64 * 1024, 64 * 1024 + 1, 1_000_000])
def test_a_value_of_any_size_comes_back(ledger: Ledger, size: int) -> None:
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = claimed(ledger, execution_id)
    nodes = [succeeded("a", b"x" * size), succeeded("b", b"small")]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    assert ledger.values(execution_id, ["a", "b"]) == {"a": b"x" * size, "b": b"small"}


def test_two_nodes_may_have_the_same_large_value(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = claimed(ledger, execution_id)
    big = b"y" * 100_000
    ledger.commit(execution_id, 0, 0, token, [succeeded("a", big)], done=False)
    ledger.commit(execution_id, 0, 0, token, [succeeded("b", big)], done=True)
    assert ledger.values(execution_id, ["a", "b"]) == {"a": big, "b": big}


def test_no_values_are_asked_for_none(ledger: Ledger) -> None:
    assert ledger.values("nothing", []) == {}
    assert ledger.values("nothing", ["a"]) == {}


def test_thousands_of_nodes_are_one_commit(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    ids = [f"n{i}" for i in range(5_000)]
    execution_id = started(ledger, plan_of([ids]))
    assert run_shard(ledger, execution_id, 0, 0, *ids) is CommitStatus.ENDED
    assert ledger.get("acme", execution_id).state is ExecutionState.SUCCEEDED
    assert len(ledger.values(execution_id, ids)) == len(ledger.records(execution_id)) == 5_000
    (entry,) = subject.outbox.read("mirror", limit=10, wait_s=0.0, idle_s=LONG_S)
    assert entry.node_ids == tuple(ids)


def test_thousands_of_nodes_may_be_committed_already(ledger: Ledger) -> None:
    ids = [f"n{i}" for i in range(5_000)]
    execution_id = started(ledger, plan_of([ids]))
    token = claimed(ledger, execution_id)
    nodes = [succeeded(n, place=place_at(1), key=f"key-{n}") for n in ids]
    ledger.commit(execution_id, 0, 0, token, nodes[::2], done=False)
    assert ledger.commit(execution_id, 0, 0, token, nodes, done=True) is CommitStatus.ENDED
    assert ledger.get("acme", execution_id).nodes_done == 5_000
    assert set(ledger.outlook("acme", "s", [], [f"key-{n}" for n in ids]).sources) == {execution_id}
    assert len(history_of(ledger, "n0")) == len(history_of(ledger, "n1")) == 1


def test_a_commit_under_an_older_token_is_refused_whole(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    old = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    claimed(ledger, execution_id)
    refused = ledger.commit(execution_id, 0, 0, old, [succeeded("a", b"z" * 100_000)], done=True)
    assert refused is CommitStatus.REFUSED
    assert ledger.values(execution_id, ["a"]) == {}
    assert ledger.get("acme", execution_id).nodes_done == 0
    assert ledger.advance(execution_id, 1) is AdvanceStatus.WAIT
    assert subject.outbox.backlog() == 0


def test_a_commit_under_the_token_of_another_shard_is_refused(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    token = claimed(ledger, execution_id, shard=0)
    status = ledger.commit(execution_id, 0, 1, token, [succeeded("b")], done=True)
    assert status is CommitStatus.REFUSED


@pytest.mark.parametrize("token", [0, 1])
def test_a_commit_to_a_shard_that_nobody_claimed_is_refused(ledger: Ledger, token: int) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    status = ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
    assert status is CommitStatus.REFUSED


def test_a_commit_after_the_lease_ran_out_counts_while_nobody_took_the_shard(
    ledger: Ledger,
) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    status = ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
    assert status is CommitStatus.ENDED


def test_a_commit_to_an_ended_execution_is_refused(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    token = claimed(ledger, execution_id)
    ledger.fail(execution_id, ERROR)
    status = ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
    assert status is CommitStatus.REFUSED
    assert ledger.records(execution_id) == {}
    assert subject.outbox.backlog() == 0


def test_a_node_keeps_its_first_record_and_value(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = claimed(ledger, execution_id)
    first = succeeded("a", b"first")
    ledger.commit(execution_id, 0, 0, token, [first], done=False)
    late = [failed("a"), succeeded("b"), succeeded("b", b"twice in one commit")]
    ledger.commit(execution_id, 0, 0, token, late, done=True)
    assert ledger.records(execution_id)["a"] == first.record
    assert ledger.values(execution_id, ["a", "b"]) == {"a": b"first", "b": b"1"}
    assert ledger.get("acme", execution_id).nodes_done == 2


def test_repeating_a_commit_changes_nothing(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    token = claimed(ledger, execution_id)
    for _ in range(2):
        status = ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
        assert status is CommitStatus.ACCEPTED
    assert ledger.get("acme", execution_id).nodes_done == 1
    assert subject.outbox.backlog() == 1
    assert ledger.advance(execution_id, 1) is AdvanceStatus.WAIT  # shard 1 is still open


def test_a_commit_without_new_nodes_makes_no_outbox_entry(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    token = claimed(ledger, execution_id)
    assert ledger.commit(execution_id, 0, 0, token, [], done=True) is CommitStatus.ACCEPTED
    assert subject.outbox.backlog() == 0


# --- advance, fail and the end -----------------------------------------------------------------


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


# --- records and shards ------------------------------------------------------------------------


def test_records_of_several_executions_come_in_the_order_asked_for(ledger: Ledger) -> None:
    first, second = (started(ledger, plan_of([["a", "b"], ["c"]])) for _ in range(2))
    run_shard(ledger, first, 0, 0, "a")
    run_shard(ledger, second, 0, 0, "b")
    asked = [(second, "b"), (first, "b"), ("nothing", "a"), (first, "a"), (second, "b")]
    found = ledger.records_of(asked)
    names = [None if record is None else record.node_id for record in found]
    assert names == ["b", None, None, "a", "b"]
    assert ledger.records_of([]) == []


def test_shards_tell_how_they_went(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"], ["b"], ["c"]], [["d"]]))
    ledger.claim(execution_id, 0, 0, lease_s=0.0)
    claimed(ledger, execution_id, shard=0)
    token = claimed(ledger, execution_id, shard=1)
    spent = Spent(fetch_us=1, execute_us=2, commit_us=3)
    ledger.commit(execution_id, 0, 1, token, [succeeded("b")], done=True, spent=spent)
    twice, done, untouched, later = ledger.shards(execution_id)
    assert (twice.stage, twice.shard, twice.claims, twice.alive) == (0, 0, 2, True)
    assert (done.claims, done.alive, done.spent) == (0, False, spent)
    assert done.claimed_ms is not None
    assert done.done_ms is not None
    assert untouched == ShardRecord(stage=0, shard=2)
    assert later == ShardRecord(stage=1, shard=0)


def test_a_shard_whose_lease_ran_out_is_not_alive(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    ledger.claim(execution_id, 0, 0, lease_s=0.0)
    (shard,) = ledger.shards(execution_id)
    assert shard.claimed_ms is not None
    assert not shard.alive


def test_before_the_start_there_are_no_shards(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.shards(execution.id) == ledger.shards("nothing") == []


def test_tallies_tell_what_was_computed_and_what_was_waited_for(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b", "c", "d"]]))
    token = claimed(ledger, execution_id)
    skipped = NodeCommit(NodeRecord(node_id="d", state=NodeState.SKIPPED))
    nodes = [succeeded("a"), failed("b"), waited_for("c"), skipped]
    for _ in range(2):
        ledger.commit(execution_id, 0, 0, token, nodes, done=False)
    assert ledger.tallies("acme") == {"computed": 2, "reused": 0, "waited": 1}
    assert ledger.tallies("other") == {"computed": 0, "reused": 0, "waited": 0}


# --- history -----------------------------------------------------------------------------------


def history_of(ledger: Ledger, node_id: str, count: int = 10) -> list[HistoryPoint]:
    return ledger.history(new_execution().line, node_id, interval_ms=DAY_MS, count=count)


def commit_day(ledger: Ledger, day: int, digest: str, *, keep: int = 9, adhoc: bool = False) -> str:
    execution_id = started(ledger, plan_of([["a"]]), adhoc=adhoc)
    token = claimed(ledger, execution_id)
    node = succeeded("a", digest=digest, place=place_at(day, keep=keep))
    ledger.commit(execution_id, 0, 0, token, [node], done=True)
    return execution_id


def test_results_stand_in_the_history_of_their_line_newest_first(ledger: Ledger) -> None:
    second = commit_day(ledger, 2, "d2")
    first = commit_day(ledger, 1, "d1")
    assert history_of(ledger, "a") == [
        HistoryPoint(bucket_ms=2 * DAY_MS, execution_id=second, digest="d2"),
        HistoryPoint(bucket_ms=1 * DAY_MS, execution_id=first, digest="d1"),
    ]
    assert [p.digest for p in history_of(ledger, "a", count=1)] == ["d2"]
    assert history_of(ledger, "a", count=0) == []


def test_lines_and_intervals_share_no_history(ledger: Ledger) -> None:
    commit_day(ledger, 1, "d1")
    other = new_execution(environment="staging").line
    assert ledger.history(other, "a", interval_ms=DAY_MS, count=10) == []
    assert ledger.history(new_execution().line, "a", interval_ms=DAY_MS // 24, count=10) == []


def test_a_bucket_has_one_point_the_latest_one(ledger: Ledger) -> None:
    commit_day(ledger, 1, "before")
    again = commit_day(ledger, 1, "after")
    (point,) = history_of(ledger, "a")
    assert (point.digest, point.execution_id) == ("after", again)


def test_a_history_keeps_the_latest_buckets(ledger: Ledger) -> None:
    for day in (1, 4, 2, 3):
        commit_day(ledger, day, f"d{day}", keep=2)
    assert [p.digest for p in history_of(ledger, "a")] == ["d4", "d3"]


def test_a_plan_that_keeps_less_drops_nothing_that_another_keeps(ledger: Ledger) -> None:
    for day, keep in ((1, 3), (2, 1), (3, 1), (4, 1)):
        commit_day(ledger, day, f"d{day}", keep=keep)
    assert [p.digest for p in history_of(ledger, "a")] == ["d4", "d3", "d2"]


def test_buckets_before_the_epoch_have_a_history(ledger: Ledger) -> None:
    commit_day(ledger, -3, "long ago")
    assert [p.bucket_ms for p in history_of(ledger, "a")] == [-3 * DAY_MS]


def test_an_adhoc_execution_writes_no_history(ledger: Ledger) -> None:
    execution_id = commit_day(ledger, 1, "d1", adhoc=True)
    assert history_of(ledger, "a") == []
    own = ledger.get("acme", execution_id).line
    assert ledger.history(own, "a", interval_ms=DAY_MS, count=10) == []


def test_a_node_without_a_place_has_no_history(ledger: Ledger) -> None:
    run_shard(ledger, started(ledger, plan_of([["a"]])), 0, 0, "a")
    assert history_of(ledger, "a") == []


def test_a_failed_node_leaves_no_point(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = claimed(ledger, execution_id)
    ledger.commit(execution_id, 0, 0, token, [failed("a", place=place_at(1))], done=True)
    assert history_of(ledger, "a") == []


def test_one_commit_may_write_places_of_several_intervals(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b", "c"]]))
    token = claimed(ledger, execution_id)
    hourly = HistoryPlace(DAY_MS // 24, 5 * DAY_MS, 9, Pinned())
    places = [place_at(5), hourly, place_at(5)]
    nodes = [succeeded(n, place=p) for n, p in zip("abc", places, strict=True)]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    line = new_execution().line
    assert len(history_of(ledger, "a")) == len(history_of(ledger, "c")) == 1
    assert history_of(ledger, "b") == []
    assert len(ledger.history(line, "b", interval_ms=DAY_MS // 24, count=9)) == 1


# --- due ---------------------------------------------------------------------------------------


def test_an_execution_that_was_never_planned_is_due_after_the_deadline(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.due(limit=10, again_s=LONG_S, unclaimed_s=SHORT_S) == []
    subject.pass_time(SHORT_S + 0.05)
    found = ledger.due(limit=10, again_s=LONG_S, unclaimed_s=SHORT_S)
    assert found == [Due("acme", execution.id, -1, ())]


def test_shards_that_were_never_claimed_are_due_after_the_deadline(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"], ["b"], ["c"]]))
    claimed(ledger, execution_id, shard=1)
    assert ledger.due(limit=10, again_s=LONG_S, unclaimed_s=SHORT_S) == []
    subject.pass_time(SHORT_S + 0.05)
    found = ledger.due(limit=10, again_s=LONG_S, unclaimed_s=SHORT_S)
    assert found == [Due("acme", execution_id, 0, (0, 2))]


def test_what_nobody_claimed_is_held_back_while_it_may_just_wait_in_a_queue(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    never_planned = new_execution()
    ledger.create(never_planned, {})
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    ledger.claim(execution_id, 0, 1, lease_s=SHORT_S)
    subject.pass_time(SHORT_S + 0.05)
    found = ledger.due(limit=10, again_s=SHORT_S, unclaimed_s=SHORT_S, hold_back=True)
    assert found == [Due("acme", execution_id, 0, (1,))]
    subject.pass_time(SHORT_S + 0.05)
    found = ledger.due(limit=10, again_s=SHORT_S, unclaimed_s=SHORT_S)
    assert {(due.execution_id, due.shards) for due in found} == {
        (never_planned.id, ()),
        (execution_id, (0, 1)),
    }


def test_a_shard_is_due_when_its_lease_ran_out(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    ledger.due(limit=10, again_s=LONG_S, unclaimed_s=LONG_S)
    ledger.claim(execution_id, 0, 1, lease_s=SHORT_S)
    assert ledger.due(limit=10, again_s=LONG_S, unclaimed_s=LONG_S) == []
    subject.pass_time(SHORT_S + 0.05)
    found = ledger.due(limit=10, again_s=LONG_S, unclaimed_s=LONG_S)
    assert found == [Due("acme", execution_id, 0, (1,))]


def test_a_shard_whose_lease_is_renewed_is_not_due(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=SHORT_S).token
    ledger.renew(execution_id, 0, 0, token, lease_s=LONG_S)
    subject.pass_time(SHORT_S + 0.05)
    assert due_at_once(ledger) == []


def test_the_next_stage_is_due_when_all_shards_are_done(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    ledger.due(limit=10, again_s=LONG_S, unclaimed_s=LONG_S)
    run_shard(ledger, execution_id, 0, 0, "a")
    found = ledger.due(limit=10, again_s=LONG_S, unclaimed_s=LONG_S)
    assert found == [Due("acme", execution_id, 0, ())]


def test_shards_of_a_new_stage_have_a_deadline_of_their_own(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    run_shard(ledger, execution_id, 0, 0, "a")
    subject.pass_time(SHORT_S + 0.05)
    ledger.advance(execution_id, 1)
    assert ledger.due(limit=10, again_s=LONG_S, unclaimed_s=SHORT_S) == []
    subject.pass_time(SHORT_S + 0.05)
    found = ledger.due(limit=10, again_s=LONG_S, unclaimed_s=SHORT_S)
    assert found == [Due("acme", execution_id, 1, (0,))]


def test_what_was_returned_comes_again_after_a_while(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution = new_execution()
    ledger.create(execution, {})
    assert len(due_at_once(ledger, again_s=SHORT_S)) == 1
    assert due_at_once(ledger, again_s=SHORT_S) == []
    subject.pass_time(SHORT_S + 0.05)
    assert len(due_at_once(ledger, again_s=SHORT_S)) == 1


def test_work_that_nobody_takes_is_returned_less_often(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    for _ in range(2):
        assert len(due_at_once(ledger, again_s=SHORT_S)) == 1
        subject.pass_time(SHORT_S * 1.2)
    assert due_at_once(ledger, again_s=SHORT_S) == [], "the second time it is put away for longer"

    ledger.claim(execution_id, 0, 0, lease_s=LONG_S)
    subject.pass_time(SHORT_S)
    assert len(due_at_once(ledger, again_s=SHORT_S)) == 1
    subject.pass_time(SHORT_S * 1.2)
    assert len(due_at_once(ledger, again_s=SHORT_S)) == 1, "a claim begins anew"


def test_what_ended_is_never_due(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    ended = started(ledger, plan_of([["a"]]))
    run_shard(ledger, ended, 0, 0, "a")
    broken = started(ledger, plan_of([["a"]]))
    claimed(ledger, broken)
    ledger.fail(broken, ERROR)
    subject.pass_time(SHORT_S)
    assert due_at_once(ledger) == []


def test_what_is_not_due_does_not_hide_what_is(ledger: Ledger) -> None:
    for _ in range(5):
        claimed(ledger, started(ledger, plan_of([["a"]])))
    waiting = new_execution()
    ledger.create(waiting, {})
    found = ledger.due(limit=1, again_s=LONG_S, unclaimed_s=0.0)
    assert [due.execution_id for due in found] == [waiting.id]


def test_no_more_is_returned_than_asked_for_and_the_rest_comes_next(ledger: Ledger) -> None:
    ids = {new_execution().id for _ in range(5)}
    for execution_id in ids:
        ledger.create(new_execution(id=execution_id), {})
    found = [ledger.due(limit=2, again_s=LONG_S, unclaimed_s=0.0) for _ in range(4)]
    assert [len(batch) for batch in found] == [2, 2, 1, 0]
    assert {due.execution_id for batch in found for due in batch} == ids


# --- pages -------------------------------------------------------------------------------------


def create_at(ledger: Ledger, created_ms: int, execution_id: str, **fields: object) -> None:
    ledger.create(new_execution(id=execution_id, created_ms=created_ms, **fields), {})


def test_pages_are_newest_first_and_equal_times_lose_nothing(ledger: Ledger) -> None:
    for created_ms, execution_id in [(1, "a"), (2, "b"), (2, "c"), (2, "d"), (3, "e")]:
        create_at(ledger, created_ms, execution_id)
    seen, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page, cursor = ledger.page("acme", strategy=None, before=cursor, limit=2)
        seen += [execution.id for execution in page]
        pages += 1
    assert seen == ["e", "d", "c", "b", "a"]
    assert pages == 3


def test_a_page_that_ends_the_list_has_no_cursor(ledger: Ledger) -> None:
    create_at(ledger, 1, "a")
    create_at(ledger, 2, "b")
    assert ledger.page("acme", strategy=None, before="", limit=2)[1] == ""
    assert ledger.page("nobody", strategy=None, before="", limit=2) == ([], "")


def test_an_execution_made_meanwhile_does_not_shift_the_pages(ledger: Ledger) -> None:
    for created_ms, execution_id in [(1, "a"), (2, "b")]:
        create_at(ledger, created_ms, execution_id)
    _, cursor = ledger.page("acme", strategy=None, before="", limit=1)
    create_at(ledger, 9, "z")
    page, _ = ledger.page("acme", strategy=None, before=cursor, limit=1)
    assert [execution.id for execution in page] == ["a"]


def test_pages_can_be_of_one_strategy_and_are_of_one_tenant(ledger: Ledger) -> None:
    create_at(ledger, 1, "a")
    create_at(ledger, 2, "b", strategy="other")
    create_at(ledger, 3, "c", tenant="stranger")
    page, _ = ledger.page("acme", strategy="golden_cross", before="", limit=10)
    assert [execution.id for execution in page] == ["a"]


def test_pages_show_executions_as_they_stand(ledger: Ledger) -> None:
    started(ledger, plan_of([["a"]]))
    (found,), _ = ledger.page("acme", strategy=None, before="", limit=10)
    assert found.state is ExecutionState.RUNNING


def test_a_cursor_that_no_page_gave_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest):
        ledger.page("acme", strategy=None, before="yesterday", limit=10)
