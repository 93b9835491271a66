"""One strategy, and what a client does with it: submit, activate, append, trigger, look."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

from qmtl.bootstrap import System, connect
from qmtl.common.clock import now_ms
from qmtl.common.codec import decode
from qmtl.common.errors import Unavailable
from qmtl.models.execution import Execution, ExecutionState, NodeState
from qmtl.models.strategy import SubmissionState
from tests.support.celery_cluster.waiting import eventually

# Three levels of two nodes: with two slots each level is a chord of two shards. The middle level
# takes as long as its rounds say, so that a test can strike while it runs.
SOURCE = """
import pandas as pd
from qmtl.sdk import node, source, strategy

strategy("two_lanes", interval="1d")
prices = source("prices", columns=["close"], interval="1d", period=2)
ROUNDS = {rounds}

def busy(value: float) -> float:
    for _ in range(ROUNDS):
        value = value + 1.0 - 1.0
    return value

@node
def highest(prices: pd.Series) -> float:
    return float(prices.max())

@node
def lowest(prices: pd.Series) -> float:
    return float(prices.min())

@node
def spread(highest: float, lowest: float) -> float:
    return busy(highest - lowest)

@node
def middle(highest: float, lowest: float) -> float:
    return busy((highest + lowest) / 2)

@node
def relative(spread: float, middle: float) -> float:
    return spread / middle

@node
def total(spread: float, middle: float) -> float:
    return spread + middle
"""
ROWS = [{"ts": "2024-01-01T00:00:00Z", "close": 2.0}, {"ts": "2024-01-02T00:00:00Z", "close": 6.0}]
VALUES = {
    "highest": 6.0,
    "lowest": 2.0,
    "spread": 4.0,
    "middle": 4.0,
    "relative": 1.0,
    "total": 8.0,
}
MIDDLE = {"spread", "middle"}
BY = "test"


def activate(system: System, tenant: str) -> None:
    """Have the control worker register and activate the strategy, then append its points."""
    for operation, request in _requests(rounds=1):
        submitted = submit(system, tenant, operation, request)
        ended = system.orchestrator.wait_for_submission(tenant, submitted, timeout_s=20.0)
        assert ended.state is SubmissionState.DONE, ended.problem
    system.registry.append_rows(tenant, "prices", ROWS)


def activate_here(system: System, tenant: str, *, rounds: int) -> None:
    """Do what ``activate`` does, in this process: for tests that need no control worker."""
    for operation, request in _requests(rounds=rounds):
        submitted = submit(system, tenant, operation, request)
        ended = system.submissions.carry_out(tenant, submitted, at_ms=now_ms())
        assert ended.state is SubmissionState.DONE, ended.problem
    system.registry.append_rows(tenant, "prices", ROWS)


def submit(system: System, tenant: str, operation: str, request: dict[str, Any]) -> str:
    """Keep a request and send it; return the submission's id."""
    submission, _ = system.orchestrator.submit(tenant, operation=operation, request=request, by=BY)
    return submission.id


def _requests(*, rounds: int) -> list[tuple[str, dict[str, Any]]]:
    activation = {"strategy": "two_lanes", "environment": "development"}
    return [
        ("submit_strategy", {"source": SOURCE.format(rounds=rounds)}),
        ("activate_strategy", activation),
    ]


def trigger(system: System, tenant: str) -> str:
    """Trigger the whole strategy, now; return the execution's id."""
    execution, _ = system.orchestrator.trigger_pipeline(
        tenant,
        strategy="two_lanes",
        environment="development",
        version=None,
        as_of_ns=None,
        targets=(),
        inputs=None,
        by=BY,
    )
    return execution.id


def trigger_and_await_middle(system: System, tenant: str) -> str:
    """Trigger, and return the execution's id once both nodes of its middle level run."""
    execution_id = trigger(system, tenant)

    def middle_runs() -> bool:
        nodes = system.orchestrator.get_execution_nodes(tenant, execution_id)
        return {n.name for n in nodes if n.record.state is NodeState.RUNNING} == MIDDLE

    eventually(middle_runs, what="the middle level runs")
    return execution_id


def await_end(system: System, tenant: str, execution_id: str) -> Execution:
    """Let the reaper look until the execution ended, as beat does in production."""

    def ended() -> Execution | None:
        with suppress(Unavailable):  # a broker that is away: the next look sends it
            system.reaper.look(now_ms=now_ms())
        execution = system.orchestrator.get_status(tenant, execution_id)
        return execution if execution.state.ended else None

    return eventually(ended, what=f"execution {execution_id} ends", within_s=60.0)


def values_of(system: System, tenant: str, execution_id: str) -> dict[str, object]:
    """Return every binding's decoded value."""
    results = system.orchestrator.get_results(tenant, execution_id)
    return {r.name: decode(r.value) for r in results if r.value is not None}


def commits_by_node(system: System, execution_id: str) -> Counter[str]:
    """Count, in the outbox, how often each node of an execution was committed.

    It takes the entries, so that it can be asked once; no mirror runs in these tests.
    """
    outbox = connect(system.settings).outbox
    entries = outbox.read("test", limit=1_000, wait_s=0.1, idle_s=60.0)
    return Counter(n for e in entries if e.execution_id == execution_id for n in e.node_ids)


def assert_complete(system: System, tenant: str, execution_id: str) -> None:
    """Assert that an execution succeeded, with the right values, each committed exactly once."""
    execution = system.orchestrator.get_status(tenant, execution_id)
    nodes = system.orchestrator.get_execution_nodes(tenant, execution_id)
    errors = {n.name: n.record.error for n in nodes if n.record.error}
    assert execution.state is ExecutionState.SUCCEEDED, execution.error or errors
    assert values_of(system, tenant, execution_id) == VALUES
    assert commits_by_node(system, execution_id) == {n.record.node_id: 1 for n in nodes}
