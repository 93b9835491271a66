"""What a worker does with an execution whose time is over, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from qmtl.bootstrap import System, build
from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, ExecutionState
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.memory.outbox import MemoryOutbox
from qmtl.orchestrator.execution.preparation import Preparation, Prepared
from qmtl.orchestrator.execution.refusals import EXPIRED
from tests.support.fabric import Fabric
from tests.support.ledgers import HandClock
from tests.support.pipeline import FINE, deploy, memory, trigger, values

TENANT = "acme"
prepare = Preparation.prepare


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(fabric: Fabric, clock: HandClock) -> Iterator[System]:
    ledger = MemoryLedger(clock)
    stores = replace(memory(), ledger=ledger, outbox=MemoryOutbox(ledger))
    made = build(Settings(**FINE), fabric, stores=stores)
    deploy(made, fabric, TENANT)
    yield made
    made.close()


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of executions that were planned, as they come."""
    found: list[str] = []

    def noted(self: Preparation, execution: Execution, **options: Any) -> Prepared:
        found.append(execution.id)
        return prepare(self, execution, **options)

    monkeypatch.setattr(Preparation, "prepare", noted)
    return found


def status(system: System, execution: Execution) -> Execution:
    return system.orchestrator.get_status(TENANT, execution.id)


def test_nothing_is_planned_for_an_execution_whose_time_is_over(
    system: System, fabric: Fabric, clock: HandClock, planned: list[str]
) -> None:
    execution = trigger(system, TENANT, expires_s=30.0)
    clock.pass_time(30.0)
    fabric.deliver(system)
    found = status(system, execution)
    assert (found.state, found.error) == (ExecutionState.FAILED, EXPIRED)
    assert planned == []


def test_an_execution_whose_time_is_over_when_it_is_planned_ends_with_no_message(
    system: System, fabric: Fabric, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(self: Preparation, execution: Execution, **options: Any) -> Prepared:
        clock.pass_time(30.0)
        return prepare(self, execution, **options)

    monkeypatch.setattr(Preparation, "prepare", slow)
    execution = trigger(system, TENANT, expires_s=30.0)
    system.advancer.advance(TENANT, execution.id, 0)
    found = status(system, execution)
    assert (found.state, found.error) == (ExecutionState.FAILED, EXPIRED)
    assert fabric.waiting == [("advance", (TENANT, execution.id, 0))], "only the trigger's own"


def test_what_is_resumed_runs_although_the_time_of_its_first_attempt_was_over(
    system: System, fabric: Fabric, clock: HandClock, planned: list[str]
) -> None:
    execution = trigger(system, TENANT, expires_s=30.0)
    clock.pass_time(30.0)
    fabric.deliver(system)
    system.orchestrator.resume_execution(TENANT, execution.id)
    clock.pass_time(29.0)
    fabric.deliver(system)
    assert status(system, execution).state is ExecutionState.SUCCEEDED
    assert set(values(system, TENANT, execution)) == {"mean", "spread", "score"}
    assert planned == [execution.id]
