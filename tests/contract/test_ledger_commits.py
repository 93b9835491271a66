"""What a commit writes, what it leaves, and who may make one."""

from __future__ import annotations

import pytest

from qmtl.models.execution import (
    ExecutionState,
    NodeRecord,
    NodeState,
)
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import AdvanceStatus, CommitStatus, NodeCommit, Source
from tests.support.ledgers import (
    DAY_MS,
    ERROR,
    LONG_S,
    LedgerUnderTest,
    claimed,
    failed,
    new_execution,
    place_at,
    plan_of,
    run_shard,
    started,
    succeeded,
    waited_for,
)


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
    found = ledger.outlook("acme", "s", [], [f"key-{n}" for n in ids]).sources
    assert set(found) == {Source(execution_id)}
    for node_id in ("n0", "n1"):
        assert len(ledger.history(new_execution().line, node_id, interval_ms=DAY_MS, count=9)) == 1


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


def test_records_of_several_executions_come_in_the_order_asked_for(ledger: Ledger) -> None:
    first, second = (started(ledger, plan_of([["a", "b"], ["c"]])) for _ in range(2))
    run_shard(ledger, first, 0, 0, "a")
    run_shard(ledger, second, 0, 0, "b")
    asked = [(second, "b"), (first, "b"), ("nothing", "a"), (first, "a"), (second, "b")]
    found = ledger.records_of(asked)
    names = [None if record is None else record.node_id for record in found]
    assert names == ["b", None, None, "a", "b"]
    assert ledger.records_of([]) == []


def test_tallies_tell_what_was_computed_and_what_was_waited_for(ledger: Ledger) -> None:
    execution_id = started(ledger, plan_of([["a", "b", "c", "d"]]))
    token = claimed(ledger, execution_id)
    skipped = NodeCommit(NodeRecord(node_id="d", state=NodeState.SKIPPED))
    nodes = [succeeded("a"), failed("b"), waited_for("c"), skipped]
    for _ in range(2):
        ledger.commit(execution_id, 0, 0, token, nodes, done=False)
    assert ledger.tallies("acme") == {"computed": 2, "reused": 0, "waited": 1}
    assert ledger.tallies("other") == {"computed": 0, "reused": 0, "waited": 0}
