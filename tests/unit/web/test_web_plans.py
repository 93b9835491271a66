from __future__ import annotations

from qmtl.models.execution import NodeRecord, NodeState, Plan, PlannedNode, ShardRecord, Spent
from qmtl.orchestrator.services.comparison.model import (
    Cause,
    CauseKind,
    Comparison,
    DataChange,
    Difference,
    RowChange,
)
from qmtl.orchestrator.services.plan_view import view
from tests.support.registry import DAY_NS, id_of, make_node
from tests.support.web import AUTH, Web, make_execution

ID, OTHER = id_of("execution"), id_of("another")
AT = f"/v1/executions/{ID}"
FAST = make_node("fast")
PLAN = Plan(
    nodes=(
        PlannedNode(
            node_id=FAST.node_id,
            names=("fast", "quick"),
            function="fast",
            inputs=(),
            params=(),
            interval_ns=DAY_NS,
            timeout_s=1.0,
            retries=0,
            memory_bytes=1,
            max_history=0,
            seeded=False,
        ),
    ),
    shape="",
    as_of_ns=0,
    stages=(((0,),),),
    pins=(),
    cost_us=(1_500,),
    crossing_us=6_000,
)


def test_the_plan_of_an_execution_shows_estimates_and_times_in_milliseconds(web: Web):
    record = NodeRecord(node_id=FAST.node_id, state=NodeState.SUCCEEDED, duration_ns=2_000_000)
    shard = ShardRecord(
        stage=0, shard=0, claims=1, claimed_ms=110, done_ms=115, spent=Spent(execute_us=2_500)
    )
    web.orchestrator.plans[ID] = view(
        make_execution(created_ms=100, started_ms=108),
        PLAN,
        created=True,
        records={FAST.node_id: record},
        shards=[shard],
    )
    shown = web.client.get(f"{AT}/plan").get_json()
    (node,) = shown["nodes"]
    assert (node["bindings"], node["cost_ms"], node["took_ms"]) == (["fast", "quick"], 1.5, 2.0)
    assert (shown["execution_id"], shown["state"], shown["crossing_ms"]) == (ID, "RUNNING", 6.0)
    (stage,) = shown["stages"]
    assert stage["took_ms"] == 7.0
    assert stage["shards"][0]["nodes"] == [FAST.node_id]
    assert stage["shards"][0]["done_at"] == "1970-01-01T00:00:00.115Z"
    assert shown["totals"] == {
        "plan_ms": 8.0,
        "queue_ms": 2.0,
        "fetch_ms": 0.0,
        "execute_ms": 2.5,
        "commit_ms": 0.0,
        "other_ms": 2.5,
    }


def test_a_plan_of_nothing_that_was_created_has_no_id_and_no_times(web: Web):
    web.orchestrator.plans["momentum"] = view(make_execution(), PLAN, created=False, records={})
    body = {"strategy": "momentum", "environment": "staging", "targets": ["fast"]}
    answer = web.client.post("/v1/plans", json=body, headers=AUTH)
    assert answer.status_code == 200
    shown = answer.get_json()
    assert (shown["execution_id"], shown["state"], shown["totals"]) == (None, None, None)
    assert shown["nodes"][0]["took_ms"] is None
    assert shown["stages"][0]["shards"][0]["done_at"] is None


def test_a_plan_is_asked_for_as_a_trigger_is(web: Web):
    answer = web.client.post("/v1/plans", json={"strategy": "momentum"}, headers=AUTH)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "QMTL-500")
    assert web.client.post("/v1/plans", json={"strategy": "momentum"}).status_code == 401


def test_a_comparison_tells_causes_with_rows(web: Web):
    row = RowChange(86_400_000, {"close": 1.0, "volume": None}, None)
    cause = Cause(
        CauseKind.DATA,
        "prices",
        "source prices shows other rows: 1 of 3 differ",
        interval_ns=DAY_NS,
        reaches=("fast",),
        data=DataChange(1, 3, (row,)),
    )
    web.orchestrator.comparisons[ID, OTHER] = Comparison(
        left=ID,
        right=OTHER,
        compared=2,
        equal=1,
        first=Difference("fast", "1", "2"),
        only_left=("slow",),
        only_right=(),
        causes=(cause,),
    )
    shown = web.client.get(f"{AT}/comparison?with={OTHER}").get_json()
    assert (shown["compared"], shown["equal"], shown["only_left"]) == (2, 1, ["slow"])
    assert shown["first"] == {"binding": "fast", "left": "1", "right": "2"}
    assert shown["causes"] == [
        {
            "kind": "data",
            "subject": "prices",
            "message": "source prices shows other rows: 1 of 3 differ",
            "interval": "1d",
            "reaches": ["fast"],
            "data": {
                "differing": 1,
                "rows": 3,
                "first": [
                    {
                        "ts": "1970-01-02T00:00:00Z",
                        "left": {"close": 1.0, "volume": None},
                        "right": None,
                    }
                ],
            },
        }
    ]


def test_a_comparison_needs_the_id_of_another_execution(web: Web):
    for query in ("", "?with=", "?with=none", "?with=../x", f"?other={OTHER}"):
        answer = web.client.get(f"{AT}/comparison{query}")
        assert (answer.status_code, answer.get_json()["code"]) == (422, "QMTL-500"), query


def test_unknown_executions_have_no_plan_and_nothing_to_compare(web: Web):
    for path in ("plan", f"comparison?with={OTHER}"):
        assert web.client.get(f"/v1/executions/none/{path}").get_json()["code"] == "QMTL-401"


def test_tallies_are_counted_by_tenant(web: Web):
    assert web.client.get("/v1/tallies").get_json() == {"computed": 5, "reused": 3, "waited": 1}
