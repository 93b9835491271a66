"""A ledger in Redis goes on where it was after its server was killed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from qmtl.common.errors import Unavailable
from qmtl.models.execution import ExecutionState
from qmtl.orchestrator.execution.ledger_types import ClaimStatus, CommitStatus
from tests.support.ledgers import plan_of, redis_ledger, started, succeeded
from tests.support.servers import settings_of, start_stack

FSYNC_S = 1.5  # the server writes through every second
LARGE = b"x" * 100_000


def test_an_execution_survives_a_killed_server(tmp_path: Path) -> None:
    with start_stack(tmp_path) as stack:
        subject = redis_ledger(settings_of(stack))
        ledger = subject.ledger
        execution_id = started(ledger, plan_of([["a", "b"]]))
        token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
        ledger.commit(execution_id, 0, 0, token, [succeeded("a", LARGE)], done=False)
        time.sleep(FSYNC_S)

        stack.kill("redis")
        with pytest.raises(Unavailable):
            ledger.commit(execution_id, 0, 0, token, [succeeded("b")], done=True)
        with pytest.raises(Unavailable):
            subject.outbox.read("mirror", limit=10, wait_s=0.0, idle_s=60.0)
        stack.restart("redis")

        assert ledger.claim(execution_id, 0, 0, lease_s=60.0).status is ClaimStatus.BUSY
        status = ledger.commit(execution_id, 0, 0, token, [succeeded("b")], done=True)
        assert status is CommitStatus.ENDED
        assert ledger.get("acme", execution_id).state is ExecutionState.SUCCEEDED
        assert ledger.values(execution_id, ["a", "b"]) == {"a": LARGE, "b": b"1"}
        entries = subject.outbox.read("mirror", limit=10, wait_s=0.0, idle_s=60.0)
        assert [entry.node_ids for entry in entries] == [("a",), ("b",)]
