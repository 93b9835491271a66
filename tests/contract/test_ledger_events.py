"""What an execution tells of itself while it goes on, on every ledger."""

from __future__ import annotations

import threading
from itertools import pairwise

import msgspec
import pytest

from qmtl.common.errors import InvalidRequest, UnknownExecution
from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.execution import Event, EventKind, Execution, ExecutionState, NodeRecord, NodeState
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import CommitStatus, NodeCommit, StartStatus
from tests.support.ledgers import (
    ERROR,
    HandClock,
    LedgerUnderTest,
    claimed,
    failed,
    memory_ledger,
    new_execution,
    plan_of,
    redis_ledger,
    reuse,
    run_shard,
    started,
    succeeded,
)

LONG_S = 30.0
KEPT_S = 60.0  # after the end


def told(ledger: Ledger, execution_id: str, after: str = "") -> list[Event]:
    return ledger.events("acme", execution_id, after=after)[1]


def kinds(events: list[Event]) -> str:
    return " ".join(event.kind for event in events)


def ended(ledger: Ledger) -> str:
    """Run an execution of one node to its end."""
    execution_id = started(ledger, plan_of([["a"]]))
    run_shard(ledger, execution_id, 0, 0, "a")
    return execution_id


def test_an_execution_tells_of_its_start_its_nodes_its_stages_and_its_end(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"], ["c"]], [["d"]]))
    assert run_shard(ledger, execution_id, 0, 0, "a", "b") is CommitStatus.ACCEPTED
    assert run_shard(ledger, execution_id, 0, 1, "c") is CommitStatus.STAGE_DONE
    ledger.advance(execution_id, 1)
    assert run_shard(ledger, execution_id, 1, 0, "d") is CommitStatus.ENDED
    start, two, one, stage, last, end = told(ledger, execution_id)
    assert (start.kind, start.attempt, start.stages) == (EventKind.STARTED, 1, 2)
    assert (two.kind, two.nodes, two.counts) == (
        EventKind.NODES,
        ("a", "b"),
        {NodeState.SUCCEEDED: 2},
    )
    assert (one.nodes, last.nodes) == (("c",), ("d",))
    assert (stage.kind, stage.stage, stage.stages) == (EventKind.STAGE, 1, 2)
    assert (end.kind, end.state, end.error) == (EventKind.ENDED, ExecutionState.SUCCEEDED, None)
    how_far = [(e.done, e.total) for e in (start, two, one, stage, last, end)]
    assert how_far == [(0, 4), (2, 4), (3, 4), (3, 4), (4, 4), (4, 4)]


def test_nodes_are_counted_by_how_they_ended(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b", "c", "d", "e"]]))
    token = claimed(ledger, execution_id)
    late, never = (
        NodeCommit(NodeRecord(node_id=n, state=state, error=ERROR))
        for n, state in (("c", NodeState.TIMED_OUT), ("d", NodeState.SKIPPED))
    )
    nodes = [succeeded("a"), failed("b"), late, never, succeeded("e")]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    _, commit, end = told(ledger, execution_id)
    assert commit.counts == {
        NodeState.SUCCEEDED: 2,
        NodeState.FAILED: 1,
        NodeState.TIMED_OUT: 1,
        NodeState.SKIPPED: 1,
    }
    assert (end.state, end.error) == (ExecutionState.FAILED, None)
    assert ledger.tallies("acme")["computed"] == 4


def test_a_commit_that_brings_nothing_new_tells_nothing(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = claimed(ledger, execution_id)
    for _ in range(2):
        ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=False)
    ledger.commit(execution_id, 0, 0, token - 1, [succeeded("b")], done=False)
    assert [e.nodes for e in told(ledger, execution_id)] == [(), ("a",)]
    ledger.commit(execution_id, 0, 0, token, [succeeded("a"), succeeded("b")], done=False)
    assert told(ledger, execution_id)[-1].nodes == ("b",)


def test_what_a_start_reuses_is_told_behind_the_start(ledger: Ledger) -> None:
    source = ended(ledger)
    execution = new_execution()
    ledger.create(execution, {})
    found = ledger.start(execution.id, plan_of(done=["a"]), [reuse("a", source)])
    assert found.status is StartStatus.ENDED
    start, reused, end = told(ledger, execution.id)
    assert (start.kind, start.stages, start.done) == (EventKind.STARTED, 0, 1)
    assert (reused.kind, reused.counts) == (EventKind.NODES, {NodeState.REUSED: 1})
    assert (reused.nodes, end.state) == (("a",), ExecutionState.SUCCEEDED)


def test_of_very_many_nodes_all_are_counted_and_some_are_named(ledger: Ledger) -> None:
    ids = [f"{n:032x}" for n in range(2_000)]
    source = started(ledger, plan_of([ids]))
    run_shard(ledger, source, 0, 0, *ids)
    execution = new_execution()
    ledger.create(execution, {})
    ledger.start(execution.id, plan_of(done=ids), [reuse(n, source) for n in ids])
    for execution_id, state in ((source, NodeState.SUCCEEDED), (execution.id, NodeState.REUSED)):
        _, nodes, _ = told(ledger, execution_id)
        assert nodes.counts == {state: 2_000}
        assert (list(nodes.nodes), nodes.done) == (ids[:500], 2_000)


def test_a_cancel_and_a_failure_of_the_whole_are_told(ledger: Ledger) -> None:
    waiting, running = new_execution(), started(ledger, plan_of([["a"]]))
    ledger.create(waiting, {})
    assert told(ledger, waiting.id) == []
    ledger.cancel(waiting.id)
    ledger.fail(running, ERROR)
    (cancelled,), (_, broken) = told(ledger, waiting.id), told(ledger, running)
    assert (cancelled.kind, cancelled.state, cancelled.total) == (
        EventKind.ENDED,
        ExecutionState.CANCELLED,
        0,
    )
    assert (broken.state, broken.error) == (ExecutionState.FAILED, ERROR.code)


def test_a_further_attempt_goes_on_behind_the_end_of_the_one_before(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = claimed(ledger, execution_id)
    ledger.commit(execution_id, 0, 0, token, [succeeded("a"), failed("b")], done=True)
    last = told(ledger, execution_id)[-1]
    ledger.reopen(execution_id, attempt=1, clear=["b"], fresh=False)
    ledger.start(execution_id, plan_of([["b"]], done=["a"]))
    run_shard(ledger, execution_id, 0, 0, "b")
    found = told(ledger, execution_id, last.id)
    assert kinds(found) == "reopened started nodes ended"
    assert {event.attempt for event in found} == {2}
    assert [event.done for event in found] == [1, 1, 2, 2]
    assert kinds(told(ledger, execution_id)) == f"started nodes ended {kinds(found)}"


def test_repeated_steps_tell_nothing_more(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]], [["b"]]))
    ledger.start(execution_id, plan_of([["a"]], [["b"]]))
    token = claimed(ledger, execution_id)
    for _ in range(2):
        ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
        ledger.advance(execution_id, 1)
    for _ in range(2):
        ledger.cancel(execution_id)
    for _ in range(2):
        ledger.reopen(execution_id, attempt=1, clear=[], fresh=False)
    assert kinds(told(ledger, execution_id)) == "started nodes stage ended reopened"


def test_events_are_read_behind_a_cursor_and_as_often_as_one_likes(ledger: Ledger) -> None:
    execution_id = ended(ledger)
    everything = told(ledger, execution_id)
    assert told(ledger, execution_id) == everything
    for at, event in enumerate(everything):
        assert told(ledger, execution_id, event.id) == everything[at + 1 :]
    assert all(one.at_ms <= two.at_ms for one, two in pairwise(everything))


def test_many_events_come_some_at_a_time(ledger: Ledger) -> None:
    ids = [f"{n:03}" for n in range(250)]
    execution_id = started(ledger, plan_of([ids]))
    token = claimed(ledger, execution_id)
    for node_id in ids:
        ledger.commit(execution_id, 0, 0, token, [succeeded(node_id)], done=False)
    ledger.cancel(execution_id)
    found: list[Event] = []
    while more := told(ledger, execution_id, found[-1].id if found else ""):
        assert len(more) < 250
        found += more
    assert [e.nodes[0] for e in found if e.nodes] == ids
    assert (found[0].kind, found[-1].kind) == (EventKind.STARTED, EventKind.ENDED)


def test_whoever_waits_is_told_at_once(ledger: Ledger) -> None:
    execution = new_execution()
    ledger.create(execution, {})
    found: list[tuple[Execution, list[Event]]] = []

    def wait() -> None:
        found.append(ledger.events("acme", execution.id, timeout_s=LONG_S))

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    ledger.start(execution.id, plan_of([["a"]]))
    for thread in waiting:
        thread.join(LONG_S)
    assert [kinds(events) for _, events in found] == ["started"] * 3


def test_a_wait_without_events_ends_with_its_time(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a"]]))
    (event,) = told(ledger, execution_id)
    execution, found = ledger.events("acme", execution_id, after=event.id, timeout_s=0.05)
    assert (execution.state, found) == (ExecutionState.RUNNING, [])


def test_nobody_waits_behind_the_end(ledger: Ledger) -> None:
    execution_id = ended(ledger)
    last = told(ledger, execution_id)[-1]
    execution, found = ledger.events("acme", execution_id, after=last.id, timeout_s=LONG_S)
    assert (execution.state, found) == (ExecutionState.SUCCEEDED, [])


@pytest.mark.parametrize("after", ["x", "1", "1-", "-1", "1-2-3", "$", "9" * 20 + "-0", "1-1\n"])
def test_what_is_no_id_of_an_event_is_refused(ledger: Ledger, after: str) -> None:
    with pytest.raises(InvalidRequest, match="not the id of an event"):
        ledger.events("acme", ended(ledger), after=after)


def test_events_belong_to_a_tenant_and_to_an_execution_that_is_there(ledger: Ledger) -> None:
    execution_id = ended(ledger)
    with pytest.raises(UnknownExecution):
        ledger.events("other", execution_id, timeout_s=LONG_S)
    with pytest.raises(UnknownExecution):
        ledger.events("acme", "none", timeout_s=LONG_S)


def test_nothing_of_a_forgotten_execution_is_told_of_one_that_is_made_anew(
    subject: LedgerUnderTest,
) -> None:
    ledger = subject.ledger
    execution = new_execution()
    ledger.create(execution, {})
    ledger.cancel(execution.id)
    assert ledger.forget(retention_s=-1.0, limit=9) == 1
    ledger.create(execution, {})
    assert told(ledger, execution.id) == []


# --- how long they are there -------------------------------------------------------------------


def test_in_memory_events_are_gone_a_minute_after_the_end() -> None:
    subject = memory_ledger()
    ledger, execution_id = subject.ledger, ended(subject.ledger)
    subject.pass_time(KEPT_S - 1)
    assert len(told(ledger, execution_id)) == 3
    subject.pass_time(1)
    execution, found = ledger.events("acme", execution_id, timeout_s=LONG_S)
    assert (execution.state, found) == (ExecutionState.SUCCEEDED, [])
    ledger.reopen(execution_id, attempt=1, clear=["a"], fresh=False)
    assert kinds(told(ledger, execution_id)) == "reopened"


@pytest.mark.parametrize("how", ["commit", "cancel", "fail", "advance"])
def test_in_redis_they_have_an_expiry_from_the_end_to_the_next_attempt(
    settings: Settings, how: str
) -> None:
    ledger = redis_ledger(settings).ledger
    client = connect(settings.state_url, timeout_s=5.0)
    execution_id = started(ledger, plan_of([["a"]], [] if how == "advance" else [["b"]]))
    stream = Keys(settings.cell)("exec", execution_id, "events")
    run_shard(ledger, execution_id, 0, 0, "a")
    assert client.ttl(stream) == -1
    match how:
        case "cancel":
            ledger.cancel(execution_id)
        case "fail":
            ledger.fail(execution_id, ERROR)
        case _:
            ledger.advance(execution_id, 1)
    if how == "commit":
        run_shard(ledger, execution_id, 1, 0, "b")
    if how == "advance":
        ledger.advance(execution_id, 2)
    assert KEPT_S - 30 < client.ttl(stream) <= KEPT_S
    ledger.reopen(execution_id, attempt=1, clear=[], fresh=False)
    assert client.ttl(stream) == -1
    client.close()


def test_a_stream_that_redis_lost_is_nobodys_error(settings: Settings) -> None:
    ledger = redis_ledger(settings).ledger
    client = connect(settings.state_url, timeout_s=5.0)
    execution_id = ended(ledger)
    client.delete(Keys(settings.cell)("exec", execution_id, "events"))
    execution, found = ledger.events("acme", execution_id, timeout_s=LONG_S)
    assert (execution.state, found) == (ExecutionState.SUCCEEDED, [])
    client.close()


def test_in_redis_they_stay_small_however_many_there_are(settings: Settings) -> None:
    ledger = redis_ledger(settings).ledger
    client = connect(settings.state_url, timeout_s=5.0)
    ids = [f"{n:032x}" for n in range(10_000)]
    execution_id = started(ledger, plan_of([ids]))
    token = claimed(ledger, execution_id)
    for at in range(0, len(ids), 250):
        nodes = [succeeded(node_id) for node_id in ids[at : at + 250]]
        ledger.commit(execution_id, 0, 0, token, nodes, done=at + 250 == len(ids))
    stream = Keys(settings.cell)("exec", execution_id, "events")
    assert client.memory_usage(stream, samples=0) < 500_000
    assert client.xlen(stream) == 42
    client.close()


def test_only_the_latest_thousand_or_so_are_kept(settings: Settings) -> None:
    for ledger in (redis_ledger(settings).ledger, memory_ledger().ledger):
        execution_id = started(ledger, plan_of(*[[[]]] * 1_500))
        for stage in range(1_500):
            run_shard(ledger, execution_id, stage, 0)
            ledger.advance(execution_id, stage + 1)
        ledger.cancel(execution_id)
        found: list[Event] = []
        while more := told(ledger, execution_id, found[-1].id if found else ""):
            found += more
        assert 1_000 <= len(found) < 1_200
        assert found[-1].kind is EventKind.ENDED


def test_ids_grow_in_memory_also_where_the_clock_stands_or_goes_back() -> None:
    clock = HandClock()
    subject = memory_ledger()
    subject.pass_time(-1.0)
    execution_id = started(subject.ledger, plan_of([["a"]], [["b"]]))
    run_shard(subject.ledger, execution_id, 0, 0, "a")
    subject.pass_time(-5.0)
    subject.ledger.advance(execution_id, 1)
    subject.pass_time(9.0)
    subject.ledger.cancel(execution_id)
    ms = clock.at_ms - 1_000
    ids = [event.id for event in told(subject.ledger, execution_id)]
    assert ids == [f"{ms}-0", f"{ms}-1", f"{ms}-2", f"{ms + 4_000}-0"]


def test_an_event_is_one_plain_document() -> None:
    subject = memory_ledger()
    for event in told(subject.ledger, ended(subject.ledger)):
        assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
