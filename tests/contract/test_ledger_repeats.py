"""A script that is sent again, because its reply was lost, answers its caller as it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.execution import ExecutionState
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import (
    AdvanceStatus,
    ClaimStatus,
    CommitStatus,
    Held,
    StartStatus,
)
from qmtl.orchestrator.execution.redis.ledger import RedisLedger
from tests.support.ledgers import (
    ERROR,
    failed,
    new_execution,
    plan_of,
    redis_ledger,
    reuse,
    started,
    succeeded,
)

LONG_S = 60.0


class ForgetfulRedis(redis.Redis):
    """A client that loses the first reply of every script and sends it again."""

    def evalsha(self, *arguments: Any) -> Any:
        super().evalsha(*arguments)
        return super().evalsha(*arguments)


@pytest.fixture
def calm(settings: Settings) -> Ledger:
    """A ledger that loses nothing, on the keys of the other."""
    return redis_ledger(settings).ledger


@pytest.fixture
def ledger(settings: Settings) -> Ledger:
    pool = connect(settings.state_url, timeout_s=5.0).connection_pool
    return RedisLedger(ForgetfulRedis(connection_pool=pool), Keys(settings.cell))


def ended(calm: Ledger) -> str:
    execution_id = started(calm, plan_of([["a", "b"]]))
    token = calm.claim(execution_id, 0, 0, lease_s=LONG_S).token
    calm.commit(execution_id, 0, 0, token, [succeeded("a"), failed("b")], done=True)
    return execution_id


def test_a_repeated_create_is_the_one_that_made_it(ledger: Ledger) -> None:
    execution = new_execution()
    assert ledger.create(execution, {}) == (execution, True)
    assert ledger.create(execution, {}) == (execution, False)


def test_a_repeated_death_counts_once(ledger: Ledger, calm: Ledger) -> None:
    execution = new_execution()
    calm.create(execution, {})
    assert [ledger.note_death(execution.id, attempt=1) for _ in "12"] == [1, 2]


def test_a_repeated_start_started_it(ledger: Ledger, calm: Ledger) -> None:
    execution = new_execution()
    calm.create(execution, {})
    found = ledger.start(execution.id, plan_of([["a"]]), lease_s=LONG_S, keys=["key-a"])
    assert found.status is StartStatus.STARTED
    assert found.held == Held()
    status = calm.commit(execution.id, 0, 0, found.token, [succeeded("a")], done=True)
    assert status is CommitStatus.ENDED
    assert ledger.start(execution.id, plan_of([["a"]])).status is StartStatus.STALE


def test_a_repeated_start_that_reuses_all_ended_it(ledger: Ledger, calm: Ledger) -> None:
    source, execution = ended(calm), new_execution()
    calm.create(execution, {})
    found = ledger.start(execution.id, plan_of(done=["a"]), [reuse("a", source)])
    assert found.status is StartStatus.ENDED
    assert calm.tallies("acme")["reused"] == 1


def test_a_repeated_claim_has_the_same_token(ledger: Ledger, calm: Ledger) -> None:
    execution_id = started(calm, plan_of([["a"]]))
    claim = ledger.claim(execution_id, 0, 0, lease_s=LONG_S, keys=["k"])
    assert (claim.status, claim.attempt) == (ClaimStatus.RUN, 1)
    assert calm.renew(execution_id, 0, 0, claim.token, lease_s=LONG_S)
    assert not claim.again
    assert claim.held == Held({}, frozenset())
    assert ledger.claim(execution_id, 0, 0, lease_s=LONG_S).status is ClaimStatus.BUSY


@pytest.mark.parametrize(
    ("plan", "status"),
    [
        (plan_of([["a"], ["b"]]), CommitStatus.ACCEPTED),
        (plan_of([["a"]], [["b"]]), CommitStatus.STAGE_DONE),
        (plan_of([["a"]]), CommitStatus.ENDED),
    ],
)
def test_a_repeated_commit_is_answered_alike(
    ledger: Ledger, calm: Ledger, plan: Any, status: CommitStatus
) -> None:
    execution_id = started(calm, plan)
    token = calm.claim(execution_id, 0, 0, lease_s=LONG_S).token
    commit = ledger.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
    assert commit is status
    assert calm.tallies("acme")["computed"] == 1


def test_a_repeated_advance_moved_it(ledger: Ledger, calm: Ledger) -> None:
    execution_id = started(calm, plan_of([["a"]], [["b"]], []))
    token = calm.claim(execution_id, 0, 0, lease_s=LONG_S).token
    calm.commit(execution_id, 0, 0, token, [succeeded("a")], done=True)
    assert ledger.advance(execution_id, 1) is AdvanceStatus.MOVED
    assert ledger.advance(execution_id, 1) is AdvanceStatus.STALE


def test_a_repeated_advance_ended_it(ledger: Ledger, calm: Ledger) -> None:
    execution_id = started(calm, plan_of([]))
    assert ledger.advance(execution_id, 1) is AdvanceStatus.ENDED
    assert ledger.advance(execution_id, 1) is AdvanceStatus.STALE


@pytest.mark.parametrize(
    "end", [lambda ledger, id_: ledger.cancel(id_), lambda ledger, id_: ledger.fail(id_, ERROR)]
)
def test_a_repeated_end_ended_it(
    ledger: Ledger, calm: Ledger, end: Callable[[Ledger, str], bool]
) -> None:
    execution_id = started(calm, plan_of([["a"]]))
    assert end(ledger, execution_id)
    assert not end(ledger, execution_id)
    assert calm.counts()[ExecutionState.RUNNING] == 0


def test_a_repeated_expiry_ended_it(ledger: Ledger, calm: Ledger) -> None:
    execution = calm.create(new_execution(expires_s=0.0), {})[0]
    assert ledger.expire(execution.id)
    assert not ledger.expire(execution.id)
    assert calm.counts()[ExecutionState.PENDING] == 0


def test_a_repeated_reopening_reopened_it(ledger: Ledger, calm: Ledger) -> None:
    execution_id = ended(calm)
    assert ledger.reopen(execution_id, attempt=1, clear=["b"], fresh=False)
    assert calm.get("acme", execution_id).attempt == 2
    assert calm.counts()[ExecutionState.PENDING] == 1
    assert not ledger.reopen(execution_id, attempt=1, clear=["b"], fresh=False)
