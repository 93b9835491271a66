"""Waiting for the end of an execution, on every ledger."""

from __future__ import annotations

import threading

import pytest

from qmtl.common.errors import UnknownExecution
from qmtl.common.redis import connection as redis_connection
from qmtl.common.redis.keys import Keys
from qmtl.models.execution import Execution, ExecutionState
from qmtl.orchestrator.execution.ledger import Ledger
from tests.support.ledgers import LedgerUnderTest, memory_ledger, new_execution, redis_ledger

LONG_S = 30.0

WAIT_LONG = {"timeout_s": LONG_S}


@pytest.fixture(params=["memory", "redis"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    under: LedgerUnderTest = (
        memory_ledger()
        if request.param == "memory"
        else redis_ledger(request.getfixturevalue("settings"))
    )
    return under.ledger


def created(ledger: Ledger) -> Execution:
    execution = new_execution()
    ledger.create(execution, {})
    return execution


def test_whoever_waits_is_told_of_the_end(ledger: Ledger) -> None:
    execution, found = created(ledger), list[Execution]()

    def wait() -> None:
        found.append(ledger.wait("acme", execution.id, timeout_s=LONG_S))

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    ledger.cancel(execution.id)
    for thread in waiting:
        thread.join(LONG_S)
    assert [each.state for each in found] == [ExecutionState.CANCELLED] * 3


def test_a_wait_ends_with_its_time(ledger: Ledger) -> None:
    execution = created(ledger)
    assert ledger.wait("acme", execution.id, timeout_s=0.05).state is ExecutionState.PENDING
    assert ledger.wait("acme", execution.id, timeout_s=0.0).state is ExecutionState.PENDING


def test_nobody_waits_for_what_has_ended(ledger: Ledger) -> None:
    execution = created(ledger)
    ledger.cancel(execution.id)
    for _ in range(3):
        assert ledger.wait("acme", execution.id, timeout_s=LONG_S).state.ended


def test_an_execution_that_was_reopened_is_waited_for_again(ledger: Ledger) -> None:
    execution = created(ledger)
    ledger.cancel(execution.id)
    ledger.reopen(execution.id, attempt=1, clear=[], fresh=False)
    assert ledger.wait("acme", execution.id, timeout_s=0.1).state is ExecutionState.PENDING


def test_another_tenants_execution_is_not_waited_for(ledger: Ledger) -> None:
    execution = created(ledger)
    with pytest.raises(UnknownExecution):
        ledger.wait("other", execution.id, timeout_s=LONG_S)


def test_the_bell_of_an_attempt_is_there_for_all_and_gone_with_the_next_attempt(
    request: pytest.FixtureRequest,
) -> None:
    settings = request.getfixturevalue("settings")
    ledger = redis_ledger(settings).ledger
    execution = created(ledger)
    client = redis_connection.connect(settings.state_url, timeout_s=5.0)
    bell = Keys(settings.cell)("exec", execution.id, "bell")
    waiting = threading.Thread(target=ledger.wait, args=("acme", execution.id), kwargs=WAIT_LONG)
    waiting.start()
    ledger.cancel(execution.id)
    waiting.join(LONG_S)
    assert client.llen(bell) == 1
    assert client.pttl(bell) > 0
    ledger.reopen(execution.id, attempt=1, clear=[], fresh=False)
    assert client.llen(bell) == 0  # else whoever waits would be kept awake
    client.close()
