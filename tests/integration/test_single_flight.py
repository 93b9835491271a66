"""What two executions share is computed once: before, by the memo; meanwhile, by waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from qmtl.bootstrap import System, build
from qmtl.common.settings import Settings
from qmtl.models.execution import Execution, ExecutionState, NodeState
from qmtl.orchestrator.execution.flights import Flights
from tests.support.fabric import Fabric
from tests.support.pipeline import deploy, memory, trigger, values

TENANT = "acme"

# `slow` is one computation in both; `quick` and `after` are each strategy's own.
SHARED = """
from qmtl.sdk import node, source, strategy

strategy("{name}", interval="1d")
prices = source(name="shop.prices", columns=["close"], interval="1d", period=3)

def spin(turns):
    total = 0
    for i in range(turns):
        total = (total * 31 + i) % 1_000_003
    return total

@node
def slow(prices):
    return spin({turns})

@node
def quick(prices, *, own: str = "{name}"):
    return own

@node
def after(slow, quick):
    return [slow, quick]
"""
TURNS = 20_000_000  # a second or two


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(fabric: Fabric) -> Iterator[System]:
    made = build(Settings(), fabric, stores=memory())
    made.registry.prepare()
    yield made
    made.close()


def deployed(system: System, fabric: Fabric, *, turns: int) -> None:
    for name in ("one", "two"):
        deploy(system, fabric, TENANT, SHARED.format(name=name, turns=turns))


def side_by_side(system: System, fabric: Fabric) -> list[Execution]:
    """Trigger both strategies, and carry the second out while the first computes."""
    executions = [trigger(system, TENANT, name) for name in ("one", "two")]
    fabric.waiting.clear()

    def carry_out(execution: Execution) -> threading.Thread:
        thread = threading.Thread(target=system.advancer.advance, args=(TENANT, execution.id, 0))
        thread.start()
        return thread

    first = carry_out(executions[0])
    while system.orchestrator.get_status(TENANT, executions[0].id).state is ExecutionState.PENDING:
        first.join(0.01)
    second = carry_out(executions[1])
    first.join()
    second.join()
    return executions


def states(system: System, execution: Execution) -> dict[str, NodeState]:
    found = system.orchestrator.get_execution_nodes(TENANT, execution.id)
    return {result.name: result.record.state for result in found}


def test_what_another_execution_computes_is_waited_for(system: System, fabric: Fabric) -> None:
    deployed(system, fabric, turns=TURNS)
    one, two = side_by_side(system, fabric)
    assert set(states(system, one).values()) == {NodeState.SUCCEEDED}
    assert states(system, two) == {
        "slow": NodeState.REUSED,
        "quick": NodeState.SUCCEEDED,
        "after": NodeState.SUCCEEDED,
    }
    ledger = system.orchestrator._ledger
    assert ledger.tallies(TENANT) == {"computed": 5, "reused": 0, "waited": 1}
    slow = values(system, TENANT, one)["slow"]
    assert values(system, TENANT, two) == {"slow": slow, "quick": "two", "after": [slow, "two"]}


def test_a_wait_that_takes_too_long_ends_in_computing(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(system, fabric, turns=TURNS)
    monkeypatch.setattr(Flights, "_bound_s", lambda _: 0.05)
    one, two = side_by_side(system, fabric)
    assert set(states(system, two).values()) == {NodeState.SUCCEEDED}
    assert values(system, TENANT, one)["slow"] == values(system, TENANT, two)["slow"]


def test_what_was_computed_before_is_not_computed_again(system: System, fabric: Fabric) -> None:
    deployed(system, fabric, turns=10)
    one = trigger(system, TENANT, "one")
    fabric.deliver(system)
    two, again = trigger(system, TENANT, "two"), trigger(system, TENANT, "one")
    fabric.deliver(system)
    assert states(system, two)["slow"] is NodeState.REUSED
    assert set(states(system, again).values()) == {NodeState.REUSED}
    assert values(system, TENANT, again) == values(system, TENANT, one)
    assert system.orchestrator._ledger.tallies(TENANT) == {
        "computed": 5,
        "reused": 4,
        "waited": 0,
    }


def test_another_tenant_reuses_nothing(system: System, fabric: Fabric) -> None:
    deployed(system, fabric, turns=10)
    trigger(system, TENANT, "one")
    fabric.deliver(system)
    deploy(system, fabric, "other", SHARED.format(name="one", turns=10))
    theirs = trigger(system, "other", "one")
    fabric.deliver(system)
    found = system.orchestrator.get_execution_nodes("other", theirs.id)
    assert {result.record.state for result in found} == {NodeState.SUCCEEDED}
