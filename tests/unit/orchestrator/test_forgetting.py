"""What clients meet where an execution was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from qmtl.bootstrap import System, build
from qmtl.common.errors import UnknownExecution
from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, ExecutionState
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.memory.outbox import MemoryOutbox
from tests.support.fabric import Fabric
from tests.support.ledgers import NOT_RETAINED_S, HandClock
from tests.support.pipeline import deploy, memory, trigger

TENANT = "acme"
KEPT_S = 100.0


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(fabric: Fabric, clock: HandClock) -> Iterator[System]:
    ledger = MemoryLedger(clock)
    outbox = MemoryOutbox(ledger, retention_s=NOT_RETAINED_S)
    stores = replace(memory(), ledger=ledger, outbox=outbox)
    made = build(Settings(execution_retention_s=KEPT_S), fabric, stores=stores)
    deploy(made, fabric, TENANT)
    yield made
    made.close()


def forgotten(system: System, fabric: Fabric, clock: HandClock) -> Execution:
    """Return an execution of key ``k`` that has ended and was forgotten."""
    execution = trigger(system, TENANT, idempotency_key="k")
    fabric.deliver(system)
    assert system.orchestrator.get_status(TENANT, execution.id).state is ExecutionState.SUCCEEDED
    while system.mirror.carry("m", wait_s=0.0):
        pass
    clock.pass_time(KEPT_S)
    assert system.reaper.forget() == 1
    return execution


def test_whatever_is_asked_of_a_forgotten_execution_says_that_it_may_be_forgotten(
    system: System, fabric: Fabric, clock: HandClock
) -> None:
    execution, api = forgotten(system, fabric, clock), system.orchestrator
    for ask in (
        lambda: api.get_status(TENANT, execution.id),
        lambda: api.get_execution_nodes(TENANT, execution.id),
        lambda: api.get_plan(TENANT, execution.id),
        lambda: api.cancel_execution(TENANT, execution.id),
        lambda: api.resume_execution(TENANT, execution.id),
        lambda: api.retry_execution(TENANT, execution.id, ("mean",)),
        lambda: api.replay_execution(TENANT, execution.id, by="me"),
        lambda: api.compare_executions(TENANT, execution.id, execution.id),
    ):
        with pytest.raises(UnknownExecution, match="forgotten"):
            ask()


def test_a_key_whose_execution_was_forgotten_triggers_anew(
    system: System, fabric: Fabric, clock: HandClock
) -> None:
    first = forgotten(system, fabric, clock)
    again = trigger(system, TENANT, idempotency_key="k")
    assert (again.id, again.state) == (first.id, ExecutionState.PENDING)
    fabric.deliver(system)
    assert system.orchestrator.get_status(TENANT, first.id).state is ExecutionState.SUCCEEDED


def test_messages_of_a_forgotten_execution_do_no_harm(
    system: System, fabric: Fabric, clock: HandClock
) -> None:
    execution = forgotten(system, fabric, clock)
    with pytest.raises(UnknownExecution):
        system.advancer.advance(TENANT, execution.id, 0)
    system.advancer.advance(TENANT, execution.id, 1)
