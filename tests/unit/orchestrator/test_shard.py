"""How a shard's outcomes reach the ledger."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from qmtl.models.execution import Execution, NodeState, Plan
from qmtl.orchestrator.execution.commits import (
    COMMIT_EVERY_S,
    MESSAGE_LIMIT,
    TEXT_LIMIT,
    Addresses,
    Commits,
    record_of,
)
from qmtl.orchestrator.execution.lease import Leases
from qmtl.orchestrator.execution.shard import ShardRunner
from qmtl.sandbox.calls import NodeError, Outcome
from tests.support.ledgers import ERROR, memory_ledger, plan_of, started, succeeded


def test_an_outcome_is_committed_while_the_node_after_it_still_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    ledger = memory_ledger().ledger
    execution_id = started(ledger, plan_of([["quick", "slow"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    commits = Commits(ledger, Leases(ledger, 60.0).of(execution_id, 0, 0, token), Addresses(), 1)
    commits.add(succeeded("quick").record, b"1")
    assert ledger.records(execution_id) == {}
    clock[0] += COMMIT_EVERY_S
    assert commits.look() is False
    assert ledger.records(execution_id)["quick"].state is NodeState.SUCCEEDED


def test_what_an_executor_says_is_cut() -> None:
    long = "x" * 1_000_000
    outcome = Outcome(
        node_id="a", state="FAILED", error=NodeError("QMTL-410", long, long), logs=long
    )
    record = record_of(outcome, 1)
    assert record.error is not None
    texts = (record.error.message, record.error.traceback, record.logs)
    assert tuple(map(len, texts)) == (MESSAGE_LIMIT, TEXT_LIMIT, TEXT_LIMIT)


def test_many_bytes_are_committed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qmtl.orchestrator.execution.commits.COMMIT_BYTES", 10)
    ledger = memory_ledger().ledger
    execution_id = started(ledger, plan_of([["small", "large", "last"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    commits = Commits(ledger, Leases(ledger, 60.0).of(execution_id, 0, 0, token), Addresses(), 1)
    commits.add(succeeded("small").record, b"1")
    assert ledger.records(execution_id) == {}
    commits.add(succeeded("large").record, b"1234567890")
    assert set(ledger.records(execution_id)) == {"small", "large"}
    commits.add(succeeded("last").record, b"1")
    assert "last" not in ledger.records(execution_id)


def test_a_late_message_runs_nothing_of_the_plan_of_a_later_attempt() -> None:
    """It meets the next attempt before that has a plan, and would go by the one before."""
    ledger = memory_ledger().ledger
    execution_id = started(ledger, before := plan_of([["a", "b"], ["c"]]))
    ledger.fail(execution_id, ERROR)
    ledger.reopen(execution_id, attempt=1, clear=[], fresh=False)

    def plan(_: Execution) -> Plan:
        ledger.start(execution_id, plan_of([["a"], ["b", "c"]]))  # by another worker
        return before

    recent: Any = SimpleNamespace(plan=plan, work=lambda _: None, runtime="")
    means: Any = SimpleNamespace(ledger=ledger, recent=recent)
    assert ShardRunner(means, lease_s=60.0).run("acme", execution_id, 0, 0) is None
    assert [shard.claims for shard in ledger.shards(execution_id)] == []
