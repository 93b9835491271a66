"""How executions end before their time, go on again, wait for their turn, and are refused."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from qmtl.common.codec import digest
from qmtl.common.errors import DEADLINE_PASSED, Overloaded
from qmtl.models.execution import ExecutionState, NodeState
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import (
    AdvanceStatus,
    Claim,
    ClaimStatus,
    CommitStatus,
    Due,
    Following,
    MostOpen,
    Started,
    StartStatus,
)
from tests.support.ledgers import (
    DAY_NS,
    ERROR,
    LedgerUnderTest,
    attempted,
    claimed,
    failed,
    new_execution,
    place_at,
    plan_of,
    reuse,
    started,
    succeeded,
)

SHORT_S = 0.2
LONG_S = 60.0
NOBODY = {ExecutionState.PENDING: 0, ExecutionState.RUNNING: 0}


def due(ledger: Ledger, *, unclaimed_s: float = LONG_S) -> list[Due]:
    return ledger.due(limit=10, again_s=LONG_S, unclaimed_s=unclaimed_s)


def broken(ledger: Ledger, **fields: object) -> str:
    """Run an execution of which node a succeeded and b failed; return its id."""
    execution_id = started(ledger, plan_of([["a", "b"]]), **fields)
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    nodes = [succeeded("a", b"first"), failed("b")]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    return execution_id


# --- planning that ends its process ------------------------------------------------------------


def test_processes_that_died_of_planning_are_counted_while_it_has_not_begun(
    ledger: Ledger,
) -> None:
    execution = new_execution()
    assert ledger.note_death(execution.id, attempt=1) == 0
    ledger.create(execution, {})
    assert [ledger.note_death(execution.id, attempt=1) for _ in "123"] == [1, 2, 3]
    ledger.start(execution.id, plan_of([["a"]]))
    assert ledger.note_death(execution.id, attempt=1) == 0
    ledger.cancel(execution.id)
    assert ledger.note_death(execution.id, attempt=1) == 0


def test_each_attempt_counts_the_processes_that_died_of_planning_it(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    ledger.note_death(execution.id, attempt=1)
    ledger.fail(execution.id, ERROR)
    ledger.reopen(execution.id, attempt=1, clear=(), fresh=False)
    assert ledger.note_death(execution.id, attempt=1) == 0
    assert ledger.note_death(execution.id, attempt=2) == 1


# --- cancel ------------------------------------------------------------------------------------


def test_a_cancelled_execution_takes_nothing_any_more(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    assert ledger.cancel(execution_id)
    execution = ledger.get("acme", execution_id)
    assert (execution.state, execution.error) == (ExecutionState.CANCELLED, None)
    assert execution.nodes_done == 1
    assert not ledger.renew(execution_id, 0, 0, token, lease_s=LONG_S)
    status = ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
    assert status is CommitStatus.REFUSED
    assert ledger.advance(execution_id, 1) is AdvanceStatus.STALE
    assert ledger.counts() == NOBODY
    assert due(ledger, unclaimed_s=0.0) == []


def test_an_execution_is_cancelled_before_its_plan(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.cancel(execution.id)
    assert ledger.start(execution.id, plan_of([["a"]])) == Started(StartStatus.STALE)


def test_what_ended_or_is_unknown_cannot_be_cancelled(ledger: Ledger) -> None:
    execution_id = broken(ledger)
    assert not ledger.cancel(execution_id)
    assert not ledger.cancel("nothing")
    assert ledger.get("acme", execution_id).state is ExecutionState.FAILED


# --- reopen ------------------------------------------------------------------------------------


def test_a_reopened_execution_is_pending_and_keeps_what_is_not_cleared(ledger: Ledger) -> None:
    execution_id = broken(ledger)
    plan = ledger.plan(execution_id)
    assert ledger.reopen(execution_id, attempt=1, clear=["b"], fresh=False)
    execution = ledger.get("acme", execution_id)
    assert (execution.state, execution.attempt) == (ExecutionState.PENDING, 2)
    assert (execution.stage, execution.nodes_done, execution.fresh) == (-1, 1, False)
    assert (execution.started_ms, execution.ended_ms, execution.error) == (None, None, None)
    assert set(ledger.records(execution_id)) == {"a"}
    assert ledger.values(execution_id, ["a", "b"]) == {"a": b"first"}
    assert ledger.plan(execution_id) == plan
    assert ledger.shards(execution_id) == []
    assert ledger.counts()[ExecutionState.PENDING] == 1


def test_what_an_earlier_attempt_did_counts_in_the_next(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = broken(ledger)
    ledger.reopen(execution_id, attempt=1, clear=["b"], fresh=False)
    assert ledger.start(execution_id, plan_of([["b"]], done=["a"])).status is StartStatus.STARTED
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    status = ledger.commit(execution_id, 0, 0, token, [succeeded("b")], done=True)
    assert status is CommitStatus.ENDED
    assert ledger.get("acme", execution_id).state is ExecutionState.SUCCEEDED
    entries = subject.outbox.read("mirror", limit=9, wait_s=0.0, idle_s=LONG_S)
    assert [entry.node_ids for entry in entries] == [("a", "b"), ("b",)]


def test_what_is_cleared_is_kept_by_its_attempt(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = broken(ledger)
    first = ledger.records(execution_id)
    wanted = [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    assert ledger.cleared(execution_id, wanted) == {}
    ledger.reopen(execution_id, attempt=1, clear=["b", "nothing"], fresh=False)
    assert ledger.cleared(execution_id, wanted) == {(1, "b"): first["b"]}
    assert ledger.cleared(execution_id, [(1, "a")]) == {}
    assert ledger.cleared(execution_id, []) == {}
    ledger.start(execution_id, plan_of([["b"]], done=["a"]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    second = attempted(failed("b"), 2)
    ledger.commit(execution_id, 0, 0, token, [second], done=True)
    ledger.reopen(execution_id, attempt=2, clear=["a", "b"], fresh=False)
    kept = {(1, "a"): first["a"], (1, "b"): first["b"], (2, "b"): second.record}
    assert ledger.cleared(execution_id, wanted) == kept
    entries = subject.outbox.read("mirror", limit=9, wait_s=0.0, idle_s=LONG_S)
    assert [(entry.node_ids, entry.attempt) for entry in entries] == [(("a", "b"), 1), (("b",), 2)]
    assert ledger.cleared("nothing", wanted) == {}


@pytest.mark.parametrize("length", [0, 1, 31, 32, 255, 256, 65_535, 65_536])
def test_what_is_cleared_is_kept_without_its_logs(subject: LedgerUnderTest, length: int) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    bare = succeeded("a")
    record = msgspec.structs.replace(bare.record, logs="x" * length)
    ledger.commit(
        execution_id, 0, 0, claimed(ledger, execution_id), [replace(bare, record=record)], done=True
    )
    ledger.cancel(execution_id)
    assert ledger.records(execution_id) == {"a": record}
    ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=False)
    assert ledger.cleared(execution_id, [(1, "a")]) == {(1, "a"): bare.record}


def test_a_start_that_reuses_what_is_there_keeps_what_is_there(ledger: Ledger) -> None:
    source = broken(ledger)
    execution_id = broken(ledger)
    ledger.reopen(execution_id, attempt=1, clear=["b"], fresh=False)
    plan = plan_of([["b"]], done=["a"])
    ledger.start(execution_id, plan, [reuse("a", source)])
    assert ledger.records(execution_id)["a"].state is NodeState.SUCCEEDED
    assert ledger.get("acme", execution_id).nodes_done == 1


def test_a_failed_node_that_was_not_cleared_fails_the_next_attempt_too(ledger: Ledger) -> None:
    execution_id = broken(ledger)
    ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=False)
    ledger.start(execution_id, plan_of([["a"]], done=["b"]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
    assert ledger.get("acme", execution_id).state is ExecutionState.FAILED


def test_a_value_stays_until_a_later_attempt_commits_its_node(ledger: Ledger) -> None:
    execution_id = broken(ledger)
    ledger.reopen(execution_id, attempt=1, clear=["a", "b"], fresh=True)
    assert ledger.records(execution_id) == {}
    first, second = [(execution_id, "a", digest(value)) for value in (b"first", b"second")]
    assert ledger.values_of([first]) == [b"first"]
    ledger.start(execution_id, plan_of([["a", "b"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    ledger.commit(execution_id, 0, 0, token, [succeeded("a", b"second")], done=False)
    assert ledger.values_of([first, second]) == [None, b"second"]


def test_a_node_that_fails_in_a_later_attempt_has_neither_value_nor_point(ledger: Ledger) -> None:
    place = place_at(20)
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    ledger.commit(execution_id, 0, 0, token, [succeeded("a", place=place)], done=True)
    ledger.reopen(execution_id, attempt=1, clear=["a", "b"], fresh=True)
    line = new_execution().line
    assert len(ledger.history(line, "a", interval_ms=place.interval_ms, count=1)) == 1
    ledger.start(execution_id, plan_of([["a", "b"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    ledger.commit(execution_id, 0, 0, token, [failed("a", place=place)], done=True)
    assert ledger.values_of([(execution_id, "a", digest(b"1"))]) == [None]
    assert ledger.history(line, "a", interval_ms=place.interval_ms, count=1) == []


def test_a_worker_of_the_attempt_before_can_change_nothing(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    old = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    ledger.fail(execution_id, ERROR)
    ledger.reopen(execution_id, attempt=1, clear=[], fresh=True)
    ledger.start(execution_id, plan_of([["a"]]))
    new = ledger.claim(execution_id, 0, 0, lease_s=LONG_S)
    assert new.status is ClaimStatus.RUN
    assert new.token > old
    assert not new.again
    status = ledger.commit(execution_id, 0, 0, old, [succeeded("a")], done=True)
    assert status is CommitStatus.REFUSED
    assert ledger.get("acme", execution_id).fresh


def test_a_plan_of_the_attempt_before_starts_nothing(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    ledger.fail(execution.id, ERROR)
    ledger.reopen(execution.id, attempt=1, clear=[], fresh=True)
    stale = ledger.start(execution.id, plan_of([["a"]]), lease_s=LONG_S, attempt=1)
    assert stale == Started(StartStatus.STALE)
    assert ledger.plan(execution.id) is None
    found = ledger.start(execution.id, plan_of([["a"]]), lease_s=LONG_S, attempt=2)
    assert found.status is StartStatus.STARTED


def test_a_shard_of_the_plan_before_is_not_there_to_claim(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a", "b"], ["c"]]))
    first = ledger.get("acme", execution_id).started_ms
    ledger.cancel(execution_id)
    ledger.reopen(execution_id, attempt=1, clear=[], fresh=False)
    subject.pass_time(SHORT_S)
    ledger.start(execution_id, plan_of([["a"], ["b", "c"]]))
    late = ledger.claim(execution_id, 0, 0, lease_s=LONG_S, started_ms=first)
    assert late == Claim(ClaimStatus.GONE)
    second = ledger.get("acme", execution_id).started_ms
    found = ledger.claim(execution_id, 0, 0, lease_s=LONG_S, started_ms=second)
    assert found.status is ClaimStatus.RUN


def test_what_an_attempt_failed_of_does_not_end_the_next(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    ledger.cancel(execution.id)
    ledger.reopen(execution.id, attempt=1, clear=[], fresh=False)
    assert not ledger.fail(execution.id, ERROR, attempt=1)
    assert ledger.get("acme", execution.id).state is ExecutionState.PENDING
    assert ledger.fail(execution.id, ERROR, attempt=2)


def test_what_could_not_be_planned_is_left_alone_where_another_has_started_it(
    ledger: Ledger,
) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    ledger.start(execution.id, plan_of([["a"]]))
    assert not ledger.fail(execution.id, ERROR, attempt=1, begun=False)
    assert ledger.get("acme", execution.id).state is ExecutionState.RUNNING
    assert ledger.fail(execution.id, ERROR, attempt=1)


def test_tokens_are_no_less_than_the_clock_so_that_lost_writes_bring_none_again(
    ledger: Ledger,
) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    started_ms = ledger.get("acme", execution_id).started_ms
    token = ledger.claim(execution_id, 0, 0, lease_s=0.0).token
    assert started_ms is not None
    assert token >= started_ms > 0
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token > token


def test_only_what_ended_is_reopened_and_only_from_the_attempt_that_was_seen(
    ledger: Ledger,
) -> None:
    running = started(ledger, plan_of([["a"]]))
    ended = broken(ledger)
    assert not ledger.reopen(running, attempt=1, clear=[], fresh=False)
    assert not ledger.reopen(ended, attempt=2, clear=["a"], fresh=False)
    assert not ledger.reopen("nothing", attempt=1, clear=[], fresh=False)
    assert set(ledger.records(ended)) == {"a", "b"}
    assert ledger.reopen(ended, attempt=1, clear=[], fresh=False)
    assert not ledger.reopen(ended, attempt=1, clear=[], fresh=False)


def test_a_reopened_execution_is_due_after_the_deadline(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = broken(ledger)
    subject.pass_time(SHORT_S)
    ledger.reopen(execution_id, attempt=1, clear=["b"], fresh=False)
    assert due(ledger, unclaimed_s=SHORT_S) == []
    subject.pass_time(SHORT_S + 0.05)
    assert due(ledger, unclaimed_s=SHORT_S) == [Due("acme", execution_id, -1, ())]


def test_thousands_of_nodes_are_cleared_at_once(ledger: Ledger) -> None:
    ids = [f"n{i}" for i in range(5_000)]
    execution_id = started(ledger, plan_of([ids]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    ledger.commit(execution_id, 0, 0, token, [succeeded(n) for n in ids], done=True)
    assert ledger.reopen(execution_id, attempt=1, clear=ids[1:], fresh=False)
    assert set(ledger.records(execution_id)) == {"n0"}


# --- executions that workers of several runtimes computed ------------------------------------


def test_an_execution_is_mixed_until_an_attempt_keeps_no_results(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S, runtime="newer").token
    ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
    ledger.fail(execution_id, ERROR)
    for attempt, (clear, mixed) in enumerate([(["b"], True), (["a"], False)], start=1):
        assert ledger.reopen(execution_id, attempt=attempt, clear=clear, fresh=False)
        assert ledger.get("acme", execution_id).mixed is mixed
        ledger.fail(execution_id, ERROR)


# --- expiry ------------------------------------------------------------------------------------


def test_an_execution_whose_time_is_over_is_due_and_takes_no_claims(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"], ["b"]]), expires_s=SHORT_S)
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    assert due(ledger) == []
    subject.pass_time(SHORT_S + 0.05)
    assert due(ledger) == [Due("acme", execution_id, 0, (), expired=True)]
    assert ledger.claim(execution_id, 0, 1, lease_s=LONG_S) == Claim(ClaimStatus.GONE)
    assert not ledger.renew(execution_id, 0, 0, token, lease_s=LONG_S)
    assert ledger.fail(execution_id, ERROR)


def test_an_execution_that_was_not_planned_in_time_is_due_as_expired(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution = new_execution(expires_s=SHORT_S)
    ledger.create(execution, {})
    assert due(ledger) == []
    subject.pass_time(SHORT_S + 0.05)
    assert due(ledger) == [Due("acme", execution.id, -1, (), expired=True)]


def test_being_returned_does_not_put_the_end_of_its_time_away(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]), expires_s=SHORT_S)
    assert due(ledger, unclaimed_s=0.0) == [Due("acme", execution_id, 0, (0,))]
    subject.pass_time(SHORT_S + 0.05)
    assert due(ledger) == [Due("acme", execution_id, 0, (), expired=True)]


def test_a_reopened_execution_has_its_time_anew(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    execution_id = broken(ledger, expires_s=SHORT_S)
    subject.pass_time(SHORT_S + 0.05)
    ledger.reopen(execution_id, attempt=1, clear=["b"], fresh=False)
    assert due(ledger) == []
    subject.pass_time(SHORT_S + 0.05)
    assert due(ledger) == [Due("acme", execution_id, -1, (), expired=True)]


def test_only_an_execution_whose_time_is_over_is_expired(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    running = started(ledger, plan_of([["a"]]), expires_s=SHORT_S)
    waiting = ledger.create(new_execution(expires_s=SHORT_S), {})[0].id
    timeless = started(ledger, plan_of([["a"]]))
    for execution_id in (running, waiting):
        assert not ledger.expire(execution_id)
    subject.pass_time(SHORT_S + 0.05)
    for execution_id in (running, waiting):
        assert ledger.expire(execution_id)
        ended = ledger.get("acme", execution_id)
        assert ended.state is ExecutionState.FAILED
        assert ended.error is not None
        assert ended.error.code == DEADLINE_PASSED
        assert not ledger.expire(execution_id)
    assert not ledger.expire(timeless)
    assert not ledger.expire("nothing")


def test_one_that_was_reopened_is_not_expired_for_what_its_former_attempt_took(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a"]]), expires_s=SHORT_S)
    subject.pass_time(SHORT_S + 0.05)
    assert due(ledger) == [Due("acme", execution_id, 0, (), expired=True)]
    ledger.cancel(execution_id)
    ledger.reopen(execution_id, attempt=1, clear=[], fresh=False)
    assert not ledger.expire(execution_id), "whoever looked before is late"
    assert ledger.get("acme", execution_id).state is ExecutionState.PENDING


@pytest.mark.parametrize("lease_s", [None, LONG_S])
@pytest.mark.parametrize("stages", [[[["a"]]], []])
def test_an_execution_whose_time_is_over_is_not_started(
    subject: LedgerUnderTest, lease_s: float | None, stages: list[list[list[str]]]
) -> None:
    ledger = subject.ledger
    execution = ledger.create(new_execution(expires_s=SHORT_S), {})[0]
    subject.pass_time(SHORT_S + 0.05)
    found = ledger.start(execution.id, plan_of(*stages), lease_s=lease_s)
    assert found == Started(StartStatus.OVER)
    assert ledger.get("acme", execution.id).state is ExecutionState.PENDING
    assert ledger.plan(execution.id) is None
    assert due(ledger) == [Due("acme", execution.id, -1, (), expired=True)]


# --- overload ----------------------------------------------------------------------------------


def test_beyond_the_bound_a_new_execution_is_refused(ledger: Ledger) -> None:
    first = new_execution()
    ledger.create(first, {}, most_open=MostOpen(2))
    running = started(ledger, plan_of([["a"]]))
    third = new_execution()
    with pytest.raises(Overloaded) as refused:
        ledger.create(third, {}, most_open=MostOpen(2))
    assert refused.value.retry_after_s > 0
    assert refused.value.bound == "system"
    assert ledger.create(first, {}, most_open=MostOpen(2)) == (first, False), (
        "one that is there is no load"
    )
    ledger.cancel(running)
    assert ledger.create(third, {}, most_open=MostOpen(2)) == (third, True)


def test_a_tenant_that_waits_with_as_many_as_it_may_have_shuts_nobody_else_out(
    ledger: Ledger,
) -> None:
    bounds = MostOpen(in_all=3, of_tenant=2)
    for _ in range(2):
        ledger.create(new_execution(), {}, most_open=bounds)
    with pytest.raises(Overloaded, match=r"'acme'.*QMTL_MOST_OPEN_PER_TENANT") as refused:
        ledger.create(new_execution(), {}, most_open=bounds)
    assert (refused.value.bound, refused.value.retry_after_s > 0) == ("tenant", True)
    assert ledger.create(new_execution(tenant="other"), {}, most_open=bounds)[1]
    with pytest.raises(Overloaded, match="QMTL_MOST_OPEN") as refused:
        ledger.create(new_execution(tenant="other"), {}, most_open=bounds)
    assert refused.value.bound == "system"


@pytest.mark.parametrize("how", ["commit", "start", "fail", "cancel"])
def test_whatever_ends_an_execution_makes_room_for_another_of_its_tenant(
    ledger: Ledger, how: str
) -> None:
    one = MostOpen(of_tenant=1)
    first = ledger.create(new_execution(), {}, most_open=one)[0].id
    if how == "commit":
        begins(ledger, first)
        with pytest.raises(Overloaded):
            ledger.create(new_execution(), {}, most_open=one)
        run(ledger, first)
    elif how == "start":
        ledger.start(first, plan_of())
    else:
        assert ledger.fail(first, ERROR) if how == "fail" else ledger.cancel(first)
    second = ledger.create(new_execution(), {}, most_open=one)[0].id
    ledger.cancel(second)
    assert ledger.reopen(first, attempt=1, clear=[], fresh=False)
    with pytest.raises(Overloaded):
        ledger.create(new_execution(), {}, most_open=one)


# --- lines -------------------------------------------------------------------------------------


def ordered(ledger: Ledger, day: int, execution_id: str = "", **fields: object) -> str:
    """Create an ordered execution of a day; return its id."""
    given = {"bucket_ns": day * DAY_NS, "ordered": True, "id": execution_id or f"day{day}"}
    execution = new_execution(**(given | fields))
    ledger.create(execution, {})
    return execution.id


def begins(ledger: Ledger, execution_id: str) -> StartStatus:
    return ledger.start(execution_id, plan_of([["a"]])).status


def run(ledger: Ledger, execution_id: str) -> None:
    token = ledger.claim(execution_id, 0, 0, lease_s=LONG_S).token
    status = ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
    assert status is CommitStatus.ENDED


def test_executions_of_a_line_start_in_the_order_of_their_buckets(ledger: Ledger) -> None:
    third, first, second = (ordered(ledger, day) for day in (3, 1, 2))
    assert begins(ledger, third) is begins(ledger, second) is StartStatus.WAIT
    assert ledger.plan(third) is None
    for one, others in ((first, (second, third)), (second, (third,)), (third, ())):
        assert begins(ledger, one) is StartStatus.STARTED
        assert [begins(ledger, other) for other in others] == [StartStatus.WAIT] * len(others)
        run(ledger, one)


def test_buckets_before_the_epoch_and_in_far_years_are_in_order_too(ledger: Ledger) -> None:
    late, early = ordered(ledger, 50_000), ordered(ledger, -3)
    assert begins(ledger, late) is StartStatus.WAIT
    assert begins(ledger, early) is StartStatus.STARTED


def test_equal_buckets_go_by_id(ledger: Ledger) -> None:
    ordered(ledger, 1, "b")
    ordered(ledger, 1, "a")
    assert begins(ledger, "b") is StartStatus.WAIT
    assert begins(ledger, "a") is StartStatus.STARTED


def test_an_earlier_bucket_that_comes_late_waits_for_the_one_that_runs(ledger: Ledger) -> None:
    assert begins(ledger, ordered(ledger, 2)) is StartStatus.STARTED
    assert begins(ledger, ordered(ledger, 1)) is StartStatus.WAIT
    run(ledger, "day2")
    assert begins(ledger, "day1") is StartStatus.STARTED


def test_lines_and_what_is_not_ordered_wait_for_nobody(ledger: Ledger) -> None:
    ordered(ledger, 1)
    for fields in ({"environment": "staging"}, {"adhoc": True}, {"ordered": False}):
        assert begins(ledger, ordered(ledger, 2, str(fields), **fields)) is StartStatus.STARTED


@pytest.mark.parametrize("how", ["commit", "start", "fail", "cancel"])
def test_whatever_ends_an_execution_makes_the_next_of_its_line_due_a_deadline_later(
    subject: LedgerUnderTest, how: str
) -> None:
    ledger = subject.ledger
    first, second = ordered(ledger, 1), ordered(ledger, 2)
    assert due(ledger) == []
    subject.pass_time(SHORT_S + 0.05)
    assert ledger.next_of_line(first) == Following("acme", first)
    if how == "commit":
        begins(ledger, first)
        assert ledger.next_of_line(first) is None, "it runs"
        run(ledger, first)
    elif how == "start":
        ledger.start(first, plan_of())
    else:
        assert ledger.fail(first, ERROR) if how == "fail" else ledger.cancel(first)
    assert ledger.next_of_line(first) == Following("acme", second)
    assert due(ledger, unclaimed_s=SHORT_S) == [], "whoever ended the first sends it"
    subject.pass_time(SHORT_S + 0.05)
    assert due(ledger, unclaimed_s=SHORT_S) == [Due("acme", second, -1, ())]
    assert begins(ledger, second) is StartStatus.STARTED


def test_an_execution_whose_turn_has_not_come_is_not_due(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    ordered(ledger, 1)
    ordered(ledger, 2)
    assert due(ledger, unclaimed_s=0.0) == [Due("acme", "day1", -1, ())]


def test_one_that_waits_for_its_turn_expires(subject: LedgerUnderTest) -> None:
    ledger = subject.ledger
    ordered(ledger, 1)
    ordered(ledger, 2, expires_s=SHORT_S)
    due(ledger, unclaimed_s=0.0)
    subject.pass_time(SHORT_S + 0.05)
    assert due(ledger) == [Due("acme", "day2", -1, (), expired=True)]


def test_a_reopened_execution_stands_in_its_line_again(ledger: Ledger) -> None:
    first, second = ordered(ledger, 1), ordered(ledger, 2)
    begins(ledger, first)
    run(ledger, first)
    ledger.reopen(first, attempt=1, clear=["a"], fresh=False)
    assert begins(ledger, second) is StartStatus.WAIT
    assert begins(ledger, first) is StartStatus.STARTED
    run(ledger, first)
    assert ledger.next_of_line(second) == Following("acme", second)


def test_what_stands_in_no_line_has_nothing_next(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    assert ledger.next_of_line(execution.id) is None
    assert ledger.next_of_line("nothing") is None
