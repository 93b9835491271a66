"""When the reaper sends what nobody did."""

from __future__ import annotations

from qmtl.models.strategy import Submission, SubmissionState
from qmtl.orchestrator.execution.reaper import Reaper
from qmtl.registry.api import Registry
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from tests.support.fabric import Fabric
from tests.support.ledgers import memory_ledger

DEADLINE_MS = 15_000


def test_a_submission_that_waits_is_sent_once_in_each_deadline() -> None:
    state, fabric = MemoryStateStore(), Fabric()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        memory_ledger().ledger,
        state,
        registry,
        fabric,
        lease_s=10.0,
        unclaimed_s=DEADLINE_MS / 1_000,
    )
    submission = Submission(
        id="s",
        tenant="acme",
        operation="submit_strategy",
        state=SubmissionState.QUEUED,
        by="me",
        created_ms=0,
        request={},
    )
    state.create_submission(submission, idempotency_key=None, ttl_s=60)
    looks = [1_000, DEADLINE_MS + 1, DEADLINE_MS + 2_001, 2 * DEADLINE_MS, 2 * DEADLINE_MS + 1]
    assert [reaper.look(now_ms=at).submissions for at in looks] == [0, 1, 0, 0, 1]
    state.move_submission("acme", "s", SubmissionState.DONE, at_ms=2 * DEADLINE_MS + 2)
    assert reaper.look(now_ms=9 * DEADLINE_MS).submissions == 0
