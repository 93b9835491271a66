"""What follows the end of an ordered execution when something is amiss; else see test_lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from qmtl.bootstrap import Stores, System, build
from qmtl.common.errors import Unavailable
from qmtl.common.settings import Settings
from qmtl.common.timeline import parse_time
from qmtl.models.execution import Execution, ExecutionState, Priority
from qmtl.orchestrator.execution.succession import Succession
from tests.support.fabric import Fabric
from tests.support.pipeline import deploy, memory, trigger

COUNTED = """
from qmtl.sdk import node, source, strategy, window
strategy("counted", interval="1d")
prices = source(name="shop.prices", columns=["close"], interval="1d", period=3)

@node(inputs={"past": window("self", 1)}, cache=False)
def count(prices, past):
    return (past[-1] if past else 0) + 1
"""
DAYS = [f"2026-11-{day}" for day in (20, 21, 22, 23)]


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def stores() -> Stores:
    return memory()


@pytest.fixture
def system(fabric: Fabric, stores: Stores) -> Iterator[System]:
    made = build(Settings(), fabric, stores=stores)
    made.registry.prepare()
    yield made
    made.close()


def landed(system: System, stores: Stores, fabric: Fabric) -> tuple[Execution, Execution]:
    """Run days, and a day before them while nobody settles it; return it and one that waits."""
    deploy(system, fabric, "acme", COUNTED)
    for day in DAYS[1:3]:
        trigger(system, "acme", "counted", as_of_ns=parse_time(day))
        fabric.deliver(system)
    waiting = trigger(system, "acme", "counted", as_of_ns=parse_time(DAYS[3]))
    fabric.waiting.clear()
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(Succession, "ended", lambda *_: None)
        early = trigger(system, "acme", "counted", as_of_ns=parse_time(DAYS[0]))
        fabric.deliver(system)
    assert stores.ledger.landed(early.id, skip=0, limit=1) is not None
    return early, waiting


def states(system: System) -> set[ExecutionState]:
    found, _ = system.orchestrator.list_executions("acme", strategy=None, before="", limit=99)
    return {each.state for each in found}


class PriorityFabric(Fabric):
    """Notes the priority with which each execution was sent last."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, Priority] = {}

    def advance(
        self, tenant: str, execution_id: str, stage: int, *, priority: Priority = Priority.NORMAL
    ) -> None:
        self.sent[execution_id] = priority
        super().advance(tenant, execution_id, stage, priority=priority)


@pytest.mark.parametrize("how", ["run", "cancel"])
def test_what_follows_is_sent_with_its_own_priority(stores: Stores, how: str) -> None:
    fabric = PriorityFabric()
    system = build(Settings(), fabric, stores=stores)
    deploy(system, fabric, "acme", COUNTED)
    first, second = (
        trigger(system, "acme", "counted", as_of_ns=parse_time(day), priority=priority)
        for day, priority in ((DAYS[1], Priority.LOW), (DAYS[2], Priority.HIGH))
    )
    fabric.sent.clear()
    if how == "run":
        system.advancer.advance("acme", first.id, 0)
    else:
        system.orchestrator.cancel_execution("acme", first.id)
    assert fabric.sent == {second.id: Priority.HIGH}
    system.close()


def test_a_line_goes_on_where_nothing_can_be_compared(
    system: System,
    stores: Stores,
    fabric: Fabric,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    early, waiting = landed(system, stores, fabric)

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Succession, "_repair_of", broken)
    with caplog.at_level(logging.ERROR):
        system.advancer.advance("acme", early.id, 0)
    assert "was compared with nothing" in caplog.text
    fabric.deliver(system)
    assert system.orchestrator.get_status("acme", waiting.id).state is ExecutionState.SUCCEEDED
    assert states(system) == {ExecutionState.SUCCEEDED}


def test_a_server_that_is_away_leaves_it_to_the_reaper(
    system: System, stores: Stores, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, waiting = landed(system, stores, fabric)

    def away(*_: object) -> None:
        raise Unavailable("redis", "Redis is away.")

    with monkeypatch.context() as broken:
        broken.setattr(Succession, "_repair_of", away)
        system.advancer.advance("acme", early.id, 0)
    assert fabric.waiting == []
    assert stores.ledger.landed(early.id, skip=0, limit=1) is not None
    system.reaper.look(now_ms=0)
    fabric.deliver(system)
    assert states(system) == {ExecutionState.SUCCEEDED}
    assert stores.ledger.landed(early.id, skip=0, limit=1) is None
    found, _ = system.orchestrator.list_executions("acme", strategy=None, before="", limit=99)
    assert {f"repair:{early.id}"} == {e.cause for e in found if e.cause.startswith("repair")}
    assert system.orchestrator.get_status("acme", waiting.id).state is ExecutionState.SUCCEEDED


def test_where_nothing_is_active_any_more_nothing_is_repaired(
    system: System, stores: Stores, fabric: Fabric
) -> None:
    early, _ = landed(system, stores, fabric)
    asked = {"strategy": "counted", "environment": "development"}
    system.orchestrator.submit("acme", operation="deactivate_strategy", request=asked, by="me")
    fabric.deliver(system)
    system.advancer.advance("acme", early.id, 0)
    fabric.deliver(system)
    found, _ = system.orchestrator.list_executions("acme", strategy=None, before="", limit=99)
    assert not any(each.cause.startswith("repair") for each in found)
    assert states(system) == {ExecutionState.SUCCEEDED}
