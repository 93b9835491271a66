"""When the reaper sends what nobody did."""

from __future__ import annotations

import pytest

from qmtl.models.execution import ExecutionState, Priority
from qmtl.models.strategy import Submission, SubmissionState
from qmtl.orchestrator.execution.reaper import BATCH, LONG_QUEUE, Reaper
from qmtl.registry.api import Registry
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from tests.support.fabric import Fabric
from tests.support.ledgers import (
    LedgerUnderTest,
    memory_ledger,
    new_execution,
    plan_of,
    started,
)

DEADLINE_MS = 15_000
KEPT_S = 100.0


def test_an_execution_that_waits_behind_a_long_queue_is_not_sent_again() -> None:
    under, fabric, state = memory_ledger(), Fabric(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, fabric, lease_s=10.0, unclaimed_s=1.0, retention_s=KEPT_S
    )
    execution = new_execution()
    under.ledger.create(execution, {})
    for _ in range(LONG_QUEUE):
        fabric.advance("acme", "another", 0)
    under.pass_time(100.0)
    assert reaper.look(now_ms=0).executions == 0
    fabric.waiting.clear()
    under.pass_time(100.0)
    assert reaper.look(now_ms=0).executions == 1
    assert fabric.waiting == [("advance", ("acme", execution.id, 0))]


class PriorityFabric(Fabric):
    """Keeps the priority of each advance."""

    def advance(
        self,
        tenant: str,
        execution_id: str,
        stage: int,
        *,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        self._send("advance", execution_id, priority)


def test_what_is_sent_again_keeps_its_priority() -> None:
    under, fabric, state = memory_ledger(), PriorityFabric(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, fabric, lease_s=10.0, unclaimed_s=1.0, retention_s=KEPT_S
    )
    execution = new_execution(priority=Priority.HIGH)
    under.ledger.create(execution, {})
    under.pass_time(2.0)
    reaper.look(now_ms=0)
    assert fabric.waiting == [("advance", (execution.id, Priority.HIGH))]


def test_what_follows_one_whose_time_is_over_is_sent_with_its_own_priority() -> None:
    under, fabric, state = memory_ledger(), PriorityFabric(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, fabric, lease_s=10.0, unclaimed_s=60.0, retention_s=KEPT_S
    )
    late = new_execution(ordered=True, priority=Priority.LOW, expires_s=1.0)
    following = new_execution(ordered=True, priority=Priority.HIGH, bucket_ns=late.bucket_ns + 1)
    for each in (late, following):
        under.ledger.create(each, {})
    under.pass_time(2.0)
    reaper.look(now_ms=0)
    assert fabric.waiting == [("advance", (following.id, Priority.HIGH))]


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
        retention_s=KEPT_S,
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


def test_what_stood_behind_an_execution_whose_time_is_over_is_sent_at_once() -> None:
    under, fabric, state = memory_ledger(), Fabric(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, fabric, lease_s=10.0, unclaimed_s=60.0, retention_s=KEPT_S
    )
    first, second = (
        new_execution(bucket_ns=bucket, ordered=True, expires_s=expires_s)
        for bucket, expires_s in ((1, 5.0), (2, None))
    )
    for execution in (first, second):
        under.ledger.create(execution, {})
    under.pass_time(6.0)
    reaper.look(now_ms=0)
    assert under.ledger.get("acme", first.id).state is ExecutionState.FAILED
    assert fabric.waiting == [("advance", ("acme", second.id, 0))]


def test_what_stands_behind_a_crowd_of_one_line_is_sent_once() -> None:
    under, fabric, state = memory_ledger(), Fabric(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, fabric, lease_s=10.0, unclaimed_s=60.0, retention_s=KEPT_S
    )
    crowd = [new_execution(bucket_ns=n, ordered=True, expires_s=5.0) for n in range(50)]
    behind = new_execution(bucket_ns=50, ordered=True)
    for execution in (*crowd, behind):
        under.ledger.create(execution, {})
    under.pass_time(6.0)
    reaper.look(now_ms=0)
    assert {under.ledger.get("acme", e.id).state for e in crowd} == {ExecutionState.FAILED}
    assert fabric.waiting == [("advance", ("acme", behind.id, 0))]


def test_the_next_of_a_line_is_not_sent_again_before_a_message_may_be_taken_for_lost() -> None:
    under, fabric, state = memory_ledger(), Fabric(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, fabric, lease_s=10.0, unclaimed_s=8.0, retention_s=KEPT_S
    )
    first, second = (new_execution(bucket_ns=bucket, ordered=True) for bucket in (1, 2))
    for execution in (first, second):
        under.ledger.create(execution, {})
    under.pass_time(100.0)
    under.ledger.cancel(first.id)
    for _ in range(3):
        under.pass_time(2.0)
        assert reaper.look(now_ms=0).executions == 0
    under.pass_time(2.0)
    reaper.look(now_ms=0)
    assert fabric.waiting == [("advance", ("acme", second.id, 0))]


def crowd_whose_time_is_over(under: LedgerUnderTest) -> str:
    """Return an execution whose shard's lease ran out after the time of many others was over."""
    for _ in range(2 * BATCH):
        under.ledger.create(new_execution(expires_s=5.0), {})
    running = started(under.ledger, plan_of([["a"]]))
    under.ledger.claim(running, 0, 0, lease_s=6.0)
    under.pass_time(7.0)
    return running


def test_a_crowd_whose_time_is_over_ends_at_once_and_no_shard_waits_behind_it() -> None:
    under, fabric, state = memory_ledger(), Fabric(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, fabric, lease_s=10.0, unclaimed_s=1.0, retention_s=KEPT_S
    )
    running = crowd_whose_time_is_over(under)
    assert reaper.look(now_ms=0).executions == 2 * BATCH + 1
    assert fabric.waiting == [("shard", ("acme", running, 0, 0)), ("advance", ("acme", running, 1))]
    assert sum(under.ledger.counts().values()) == 1


def test_what_a_look_has_no_time_to_end_is_ended_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under, fabric, state = memory_ledger(), Fabric(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, fabric, lease_s=10.0, unclaimed_s=1.0, retention_s=KEPT_S
    )
    monkeypatch.setattr("qmtl.orchestrator.execution.reaper.LOOK_S", 0.0)
    running = crowd_whose_time_is_over(under)
    reaper.look(now_ms=0)
    assert ("shard", ("acme", running, 0, 0)) in fabric.waiting
    assert under.ledger.counts()[ExecutionState.PENDING] == BATCH
    reaper.look(now_ms=0)
    assert under.ledger.counts()[ExecutionState.PENDING] == 0


def test_one_that_was_resumed_before_its_end_came_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    under, state = memory_ledger(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, Fabric(), lease_s=10.0, unclaimed_s=1.0, retention_s=KEPT_S
    )
    monkeypatch.setattr("qmtl.orchestrator.execution.reaper.LOOK_S", 0.0)
    ids = [new_execution(expires_s=5.0).id for _ in range(BATCH + 1)]
    for execution_id in ids:
        under.ledger.create(new_execution(id=execution_id, expires_s=5.0), {})
    under.pass_time(6.0)
    reaper.look(now_ms=0)
    (left,) = [i for i in ids if not under.ledger.get("acme", i).state.ended]
    under.ledger.cancel(left)
    under.ledger.reopen(left, attempt=1, clear=(), fresh=False)
    reaper.look(now_ms=0)
    assert under.ledger.get("acme", left).state is ExecutionState.PENDING


def test_what_ended_longer_ago_than_it_is_kept_is_forgotten_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    under, state = memory_ledger(), MemoryStateStore()
    registry = Registry(MemoryGraphStore(), state, MemoryPointStore())
    reaper = Reaper(
        under.ledger, state, registry, Fabric(), lease_s=10.0, unclaimed_s=1.0, retention_s=KEPT_S
    )
    for _ in range(BATCH + 1):
        execution = new_execution()
        under.ledger.create(execution, {})
        under.ledger.cancel(execution.id)
    under.pass_time(KEPT_S - 1.0)
    assert reaper.forget() == 0
    under.pass_time(1.0)
    with caplog.at_level("INFO", "qmtl.execution"):
        assert reaper.forget() == BATCH + 1
    assert "forgotten: 101" in caplog.text
    assert under.ledger.page("acme", strategy=None, before="", limit=9) == ([], "")
