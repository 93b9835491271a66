"""What nobody foresaw ends what met it, instead of being sent again for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qmtl.bootstrap import System, build
from qmtl.common.errors import CorruptValue, MissingData, Unavailable
from qmtl.common.settings import Settings
from qmtl.models.execution import ExecutionState, NodeState
from qmtl.models.strategy import SubmissionState
from qmtl.orchestrator.execution.inputs import InputReader
from qmtl.orchestrator.services import submission as submissions
from tests.support.fabric import Fabric
from tests.support.pipeline import deploy, memory, trigger
from tests.support.strategies import DIAMOND

TENANT = "acme"


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(fabric: Fabric) -> Iterator[System]:
    made = build(Settings(), fabric, stores=memory())
    deploy(made, fabric, TENANT)
    yield made
    made.close()


def breaks(error: Exception) -> Any:
    def broken(*_: object, **__: object) -> None:
        raise error

    return broken


def test_an_execution_that_breaks_the_planner_ends(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = trigger(system, TENANT)
    monkeypatch.setattr(InputReader, "pins", breaks(ZeroDivisionError("private")))
    fabric.deliver(system)
    ended = system.orchestrator.get_status(TENANT, execution.id)
    assert ended.state is ExecutionState.FAILED
    assert ended.error is not None
    assert "ZeroDivisionError" in ended.error.message
    assert "private" not in ended.error.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ZeroDivisionError(), "QMTL-900"),
        (CorruptValue("Bytes are missing."), "QMTL-305"),
        (MissingData("Points are missing."), "QMTL-302"),
    ],
)
def test_a_shard_that_cannot_be_run_fails_its_nodes(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    execution = trigger(system, TENANT)
    fabric.waiting.clear()
    assert system.advancer.execute_pipeline(TENANT, execution.id) is not None
    monkeypatch.setattr(InputReader, "read", breaks(error))
    plan = system.orchestrator._ledger.plan(execution.id)
    assert plan is not None
    for stage, shards in enumerate(plan.stages):
        for shard in range(len(shards)):
            system.runner.run(TENANT, execution.id, stage, shard)
        system.advancer.advance(TENANT, execution.id, stage + 1)
    fabric.deliver(system)
    assert system.orchestrator.get_status(TENANT, execution.id).state is ExecutionState.FAILED
    nodes = system.orchestrator.get_execution_nodes(TENANT, execution.id)
    failed = [n.record for n in nodes if n.record.state is NodeState.FAILED]
    assert {r.error.code for r in failed if r.error} == {code}


def test_a_shard_stays_open_while_a_server_is_away(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = trigger(system, TENANT)
    with monkeypatch.context() as patch:
        patch.setattr(InputReader, "read", breaks(Unavailable("redis", "It is away.")))
        with pytest.raises(Unavailable):
            fabric.deliver(system)
    assert system.orchestrator.get_status(TENANT, execution.id).state is ExecutionState.PENDING


def test_a_submission_that_breaks_the_parser_is_rejected(
    system: System, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "parse_strategy", breaks(ZeroDivisionError("private")))
    submission, _ = system.orchestrator.submit(
        TENANT, operation="submit_strategy", request={"source": DIAMOND}, by="me"
    )
    fabric.deliver(system)
    ended = system.orchestrator.get_submission(TENANT, submission.id)
    assert ended.state is SubmissionState.REJECTED
    assert ended.problem is not None
    assert "private" not in str(ended.problem)


def test_a_keyed_trigger_is_answered_alike_after_its_strategy_was_deactivated(
    system: System, fabric: Fabric
) -> None:
    first = trigger(system, TENANT, idempotency_key="k")
    system.orchestrator.submit(
        TENANT,
        operation="deactivate_strategy",
        request={"strategy": "diamond", "environment": "development"},
        by="me",
    )
    fabric.deliver(system)
    assert trigger(system, TENANT, idempotency_key="k").id == first.id
