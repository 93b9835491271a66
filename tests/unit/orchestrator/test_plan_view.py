"""Plans as they are shown: estimates, and beside them what it took."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmtl.bootstrap import System, build
from qmtl.common.errors import ExecutionFailed, MissingData, UnknownStrategy
from qmtl.common.settings import Settings
from qmtl.common.timeline import parse_time
from qmtl.models.execution import (
    Execution,
    ExecutionState,
    NodeRecord,
    NodeState,
    Plan,
    PlannedNode,
    ShardRecord,
    Spent,
)
from qmtl.orchestrator.execution.planning import NODE_US
from qmtl.orchestrator.services.plan_view import Totals, view
from tests.support.fabric import Fabric
from tests.support.pipeline import deploy, memory, trigger
from tests.support.strategies import AFTER_THE_LAST
from tests.support.web import make_execution

TENANT = "acme"


def node(name: str) -> PlannedNode:
    return PlannedNode(
        node_id=name,
        names=(name,),
        function=name,
        inputs=(),
        params=(),
        interval_ns=None,
        timeout_s=1.0,
        retries=0,
        memory_bytes=1,
        max_history=0,
        seeded=False,
    )


# a and b side by side, then c; d is reused
PLAN = Plan(
    nodes=(node("a"), node("b"), node("c"), node("d")),
    shape="",
    as_of_ns=0,
    stages=(((0,), (1,)), ((2,),)),
    pins=(),
    cost_us=(4_000, 8_000, 2_000, 0),
    crossing_us=1_000,
)
A_US, B_US, C_US = PLAN.cost_us[:3]
EXECUTION = make_execution(created_ms=100, started_ms=103, state=ExecutionState.SUCCEEDED)
SHARDS = [
    ShardRecord(
        stage=0, shard=0, claims=1, claimed_ms=104, done_ms=110, spent=Spent(execute_us=5_000)
    ),
    ShardRecord(
        stage=0, shard=1, claims=1, claimed_ms=105, done_ms=115,
        spent=Spent(fetch_us=1_000, execute_us=7_000, commit_us=500),
    ),
    ShardRecord(
        stage=1, shard=0, claims=2, claimed_ms=117, done_ms=120, spent=Spent(execute_us=2_000)
    ),
]  # fmt: skip


def shown(execution: Execution = EXECUTION, shards: list[ShardRecord] = SHARDS):
    records = {
        "a": NodeRecord(node_id="a", state=NodeState.SUCCEEDED, duration_ns=4_500_000),
        "d": NodeRecord(node_id="d", state=NodeState.REUSED, duration_ns=9_000_000),
    }
    return view(execution, PLAN, created=True, records=records, shards=shards)


def test_a_stage_is_estimated_by_its_longest_shard_and_the_writing_of_all_its_nodes():
    first, second = shown().stages
    assert [shard.estimated_us for shard in first.shards] == [A_US, B_US]
    assert (first.estimated_us, second.estimated_us) == (B_US + 2 * NODE_US, C_US + NODE_US)


def test_a_stage_took_until_its_last_shard_was_done():
    assert [stage.took_us for stage in shown().stages] == [12_000, 5_000]


def test_the_whole_is_the_stages_with_what_lies_between_and_serial_is_one_shard():
    found = shown()
    assert found.estimated_us == B_US + 1_000 + C_US + 1_000 + 3 * NODE_US
    assert found.serial_us == A_US + B_US + C_US + 1_000 + 3 * NODE_US


def test_a_reused_node_stands_in_no_stage_and_took_nothing_here():
    nodes = {each.node_id: each for each in shown().nodes}
    assert (nodes["a"].stage, nodes["a"].shard, nodes["a"].took_us) == (0, 0, 4_500)
    assert (nodes["d"].stage, nodes["d"].took_us, nodes["d"].cost_us) == (None, None, None)
    assert shown().reused == 1


def test_the_totals_follow_the_shards_that_ended_last():
    assert shown().totals == Totals(
        plan_us=3_000,
        queue_us=2_000 + 2_000,
        fetch_us=1_000,
        execute_us=9_000,
        commit_us=500,
        other_us=2_500,
    )


def test_what_has_not_run_took_no_time():
    found = shown(shards=[])
    assert found.totals is None
    assert [stage.took_us for stage in found.stages] == [None, None]


def test_a_later_attempt_does_not_say_how_long_it_was_planned():
    later = make_execution(created_ms=100, started_ms=103, attempt=2)
    totals = shown(later).totals
    assert totals is not None
    assert totals.plan_us is None


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(fabric: Fabric) -> Iterator[System]:
    made = build(Settings(), fabric, stores=memory())
    yield made
    made.close()


def asked(**changes: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "strategy": "diamond",
        "environment": "development",
        "version": None,
        "as_of_ns": parse_time(AFTER_THE_LAST),
        "targets": (),
        "inputs": None,
        "by": "me",
    }
    return usual | changes


def test_a_plan_can_be_seen_before_anything_is_created(system, fabric):
    deploy(system, fabric, TENANT)
    found = system.orchestrator.plan_pipeline(TENANT, **asked())
    assert not found.created
    assert [each.bindings for each in found.nodes] == [("mean",), ("spread",), ("score",)]
    assert system.orchestrator.list_executions(TENANT, strategy=None, before="", limit=9)[0] == []


def test_a_plan_tells_what_a_trigger_would_reuse(system, fabric):
    deploy(system, fabric, TENANT)
    trigger(system, TENANT)
    fabric.deliver(system)
    found = system.orchestrator.plan_pipeline(TENANT, **asked())
    assert (found.reused, found.stages, found.serial_us) == (3, (), 0)
    assert {each.state for each in found.nodes} == {NodeState.REUSED}


def test_a_plan_takes_inline_inputs_and_targets(system, fabric):
    deploy(system, fabric, TENANT)
    rows = {"prices": [{"ts": "2026-11-18", "close": 5.0}]}
    found = system.orchestrator.plan_pipeline(TENANT, **asked(inputs=rows, targets=("mean",)))
    assert [each.bindings for each in found.nodes] == [("mean",)]


def test_a_plan_is_refused_as_its_trigger_would_be(system, fabric):
    deploy(system, fabric, TENANT)
    with pytest.raises(UnknownStrategy):
        system.orchestrator.plan_pipeline(TENANT, **asked(strategy="none", environment="staging"))
    with pytest.raises(MissingData):
        system.orchestrator.plan_pipeline(TENANT, **asked(as_of_ns=0))


def test_an_execution_that_is_not_planned_has_no_plan_to_show(system, fabric):
    deploy(system, fabric, TENANT)
    execution = trigger(system, TENANT)
    with pytest.raises(ExecutionFailed, match="PENDING"):
        system.orchestrator.get_plan(TENANT, execution.id)


def test_an_execution_shows_what_its_nodes_and_shards_took(system, fabric):
    deploy(system, fabric, TENANT)
    execution = trigger(system, TENANT)
    fabric.deliver(system)
    found = system.orchestrator.get_plan(TENANT, execution.id)
    assert found.created
    assert {each.state for each in found.nodes} == {NodeState.SUCCEEDED}
    assert all(each.took_us is not None for each in found.nodes)
    records = [shard.record for stage in found.stages for shard in stage.shards]
    assert all(record is not None and record.done_ms for record in records)
    assert found.totals is not None


CARRIED = """\
from qmtl.sdk import node, source, strategy, window

strategy("carried", interval="1d")

prices = source(name="shop.prices", columns=["close"], interval="1d", period=1)


@node(inputs={"past": window("self", 1)})
def total(prices, past):
    return float(prices.iloc[-1]) + (past[-1] if past else 0.0)
"""


def test_a_plan_counts_the_earlier_buckets_that_come_first(system, fabric):
    deploy(system, fabric, TENANT, CARRIED)
    trigger(system, TENANT, "carried", as_of_ns=parse_time("2026-11-17"))
    fabric.deliver(system)
    found = system.orchestrator.plan_pipeline(TENANT, **asked(strategy="carried"))
    assert found.before == 2  # the 18th and the 19th
