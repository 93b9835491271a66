"""What becomes of nodes that wait to be committed."""

from __future__ import annotations

from typing import Any

import pytest

from qmtl.common.errors import Unavailable
from qmtl.models.execution import ExecutionState, NodeState, Spent
from qmtl.orchestrator.execution.commits import Addresses, Commits
from qmtl.orchestrator.execution.lease import Leases
from qmtl.orchestrator.execution.ledger_types import CommitStatus
from tests.support.ledgers import memory_ledger, plan_of, planned_node, started, succeeded


@pytest.mark.parametrize("error", [Unavailable("redis", "It is away."), PermissionError()])
def test_what_a_commit_that_raised_was_given_goes_first_with_the_next_one(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    subject = memory_ledger()
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([["a", "b", "c"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    commits = Commits(ledger, Leases(ledger, 60.0).of(execution_id, 0, 0, token), Addresses(), 1)

    def broken(*_: object, **__: object) -> None:
        raise error

    commits.add(succeeded("a").record, b"1")
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "commit", broken)
        with pytest.raises(type(error)):
            commits.flush()
        commits.add(succeeded("b").record, b"1")
        with pytest.raises(type(error)):
            commits.flush()
    commits.finish([planned_node(name) for name in "abc"], Spent())
    (entry,) = subject.outbox.read("mirror", limit=10, wait_s=0.0, idle_s=60.0)
    assert entry.node_ids == ("a", "b", "c")
    states = [ledger.records(execution_id)[name].state for name in "abc"]
    assert states == [NodeState.SUCCEEDED, NodeState.SUCCEEDED, NodeState.SKIPPED]
    assert ledger.get("acme", execution_id).state is ExecutionState.FAILED  # so it has ended


def test_what_was_sent_is_not_sent_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = memory_ledger().ledger
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    commits = Commits(ledger, Leases(ledger, 60.0).of(execution_id, 0, 0, token), Addresses(), 1)
    sent: list[list[str]] = []
    commit = ledger.commit

    def noted(*args: Any, **fields: Any) -> CommitStatus:
        sent.append([node.record.node_id for node in args[4]])
        return commit(*args, **fields)

    monkeypatch.setattr(ledger, "commit", noted)
    commits.add(succeeded("a").record, b"1")
    commits.flush()
    commits.add(succeeded("b").record, b"1")
    commits.finish([planned_node(name) for name in "ab"], Spent())
    assert sent == [["a"], ["b"]]
