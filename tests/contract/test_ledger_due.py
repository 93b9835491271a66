"""When work that nobody does is found."""

from __future__ import annotations

import pytest

from qmtl.models.execution import Priority
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import Due
from tests.support.ledgers import (
    ERROR,
    LONG_S,
    SHORT_S,
    HandClock,
    LedgerUnderTest,
    claimed,
    hand_timed_redis_ledger,
    memory_ledger,
    new_execution,
    plan_of,
    run_shard,
    started,
)


def due_at_once(ledger: Ledger, *, again_s: float = LONG_S) -> list[Due]:
    return ledger.due(limit=10, again_s=again_s, unclaimed_s=0.0)


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


@pytest.mark.parametrize("planned", [False, True])
def test_what_is_due_has_the_priority_of_its_execution(ledger: Ledger, planned: bool) -> None:
    execution = new_execution(priority=Priority.HIGH)
    ledger.create(execution, {})
    if planned:
        ledger.start(execution.id, plan_of([["a"]]))
    assert [due.priority for due in due_at_once(ledger)] == [Priority.HIGH]


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


def test_a_crowd_whose_time_is_over_hides_nothing_else_that_is_due(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    over = {ledger.create(new_execution(expires_s=SHORT_S), {})[0].id for _ in range(5)}
    subject.pass_time(SHORT_S)
    waiting = [ledger.create(new_execution(), {})[0].id for _ in range(3)]
    found = ledger.due(limit=2, again_s=LONG_S, unclaimed_s=0.0)
    assert {due.execution_id for due in found if due.expired} == over
    rest = ledger.due(limit=2, again_s=LONG_S, unclaimed_s=0.0)
    others = [due.execution_id for due in found + rest if not due.expired]
    assert (len(others), set(others)) == (3, set(waiting))


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


@pytest.fixture(params=["memory", "redis"])
def under(request: pytest.FixtureRequest) -> LedgerUnderTest:
    """A ledger for which time passes only by hand."""
    if request.param == "memory":
        return memory_ledger()
    return hand_timed_redis_ledger(request.getfixturevalue("settings"), HandClock())


def test_a_line_whose_every_sender_died_goes_on_a_deadline_after_each_bucket(
    under: LedgerUnderTest,
) -> None:
    ledger = under.ledger
    ids = [f"bucket{n:02}" for n in range(20)]
    for bucket, execution_id in enumerate(ids):
        ledger.create(new_execution(id=execution_id, ordered=True, bucket_ns=bucket * 10**6), {})
    for execution_id in ids:
        found: list[Due] = []
        for _ in range(4):  # looks, two seconds apart
            under.pass_time(2.0)
            assert found == []
            found = ledger.due(limit=9, again_s=5.0, unclaimed_s=8.0)
        assert found == [Due("acme", execution_id, -1, ())]
        ledger.start(execution_id, plan_of())


def test_a_lease_that_ran_out_is_found_at_once_however_many_are_held_back(
    under: LedgerUnderTest,
) -> None:
    ledger = under.ledger
    running = started(ledger, plan_of([["a"]]))
    ledger.claim(running, 0, 0, lease_s=1.0)
    for _ in range(2_100):  # more than one call looks at
        ledger.create(new_execution(), {})
    for _ in range(2):
        assert ledger.due(limit=9, again_s=0.5, unclaimed_s=0.0, hold_back=True) == []
    under.pass_time(1.0)
    found = ledger.due(limit=9, again_s=0.5, unclaimed_s=0.0, hold_back=True)
    assert found == [Due("acme", running, 0, (0,))]


def test_what_is_held_back_is_looked_at_less_often_the_more_it_is_but_ends_in_time(
    under: LedgerUnderTest,
) -> None:
    ledger = under.ledger
    ids = [ledger.create(new_execution(), {})[0].id for _ in range(3)]
    brief = ledger.create(new_execution(expires_s=0.002), {})[0].id
    assert ledger.due(limit=9, again_s=0.0, unclaimed_s=0.0, hold_back=True) == []
    under.pass_time(0.002)
    found = ledger.due(limit=9, again_s=LONG_S, unclaimed_s=0.0)
    assert found == [Due("acme", brief, -1, (), expired=True)]
    under.pass_time(0.005)
    assert ledger.due(limit=9, again_s=0.0, unclaimed_s=0.0) == []
    under.pass_time(0.001)
    found = ledger.due(limit=9, again_s=0.0, unclaimed_s=0.0)
    assert {due.execution_id for due in found} == set(ids)


def test_of_many_that_wait_behind_a_long_queue_hardly_any_is_returned_however_long_that_lasts(
    under: LedgerUnderTest,
) -> None:
    for _ in range(400):
        under.ledger.create(new_execution(), {})
    under.pass_time(600.0)
    found: list[str] = []
    for _ in range(60):
        under.pass_time(20.0)
        due = under.ledger.due(limit=100, again_s=5.0, unclaimed_s=8.0, hold_back=True)
        found += [each.execution_id for each in due]
    assert 0 < len(found) <= 20
    assert len(set(found)) == len(found), "the same one is no help to the others"


def test_what_is_held_back_for_long_is_returned_from_the_oldest_on(under: LedgerUnderTest) -> None:
    ledger, ids, token = under.ledger, [], 0
    for planned in (False, True, False):
        ids.append(ledger.create(new_execution(), {})[0].id)
        if planned:
            ledger.start(ids[-1], plan_of([["a"], ["b"]]))
            token = claimed(ledger, ids[-1], shard=0)
        under.pass_time(1.0)
    found: list[Due] = []
    for _ in range(200):
        under.pass_time(10.0)
        ledger.renew(ids[1], 0, 0, token, lease_s=LONG_S)
        found += ledger.due(limit=9, again_s=5.0, unclaimed_s=8.0, hold_back=True)
    assert [(due.execution_id, due.shards) for due in found] == [
        (ids[0], ()),
        (ids[1], (1,)),
        (ids[2], ()),
    ]


def test_nothing_is_held_back_for_ever(under: LedgerUnderTest) -> None:
    execution = new_execution()
    under.ledger.create(execution, {})
    for _ in range(60):
        under.pass_time(9.0)
        assert under.ledger.due(limit=10, again_s=5.0, unclaimed_s=8.0, hold_back=True) == []
    under.pass_time(120.0)
    (due,) = under.ledger.due(limit=10, again_s=5.0, unclaimed_s=8.0, hold_back=True)
    assert due.execution_id == execution.id
