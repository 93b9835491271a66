"""The way of a strategy over HTTP, from its text to its results; the test plays the workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from qmtl.bootstrap import Stores, System, build, connect
from qmtl.common.codec import decode
from qmtl.common.settings import Settings
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.memory.outbox import MemoryOutbox
from qmtl.orchestrator.execution.memory.result_topic import MemoryResultTopic
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from qmtl.web.app import create_app
from tests.support.fabric import Fabric
from tests.support.servers import unique
from tests.support.strategies import AFTER_THE_LAST, DIAMOND, HALF_BROKEN, rows
from tests.support.web import AUTH, KEY, sha256

TRIGGER = {"strategy": "diamond", "environment": "staging", "as_of": AFTER_THE_LAST}


class Service:
    """An application whose workers run when ``work`` is called."""

    def __init__(self, system: System, fabric: Fabric) -> None:
        app = create_app(system.settings, system.registry, system.orchestrator)
        self._client: FlaskClient = app.test_client()
        self._system = system
        self._fabric = fabric

    def work(self) -> None:
        self._fabric.deliver(self._system)

    def get(self, path: str, **options: Any) -> Any:
        return self._client.get(path, headers={**AUTH, **options.pop("headers", {})}, **options)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Post, have the workers do what follows, and look at it if it was only accepted."""
        answer = self._client.post(path, query_string={"wait": 0}, json=body, headers=AUTH)
        self.work()
        return self.get(answer.headers["Location"]) if answer.status_code == 202 else answer

    def ready(self, text: str, name: str) -> None:
        """Register and activate a strategy, and append points for it."""
        assert self.post("/v1/strategies", {"source": text}).get_json()["state"] == "DONE"
        activated = self.post(f"/v1/strategies/{name}/activate", {"environment": "staging"})
        assert activated.get_json()["state"] == "DONE"
        points = "/v1/sources/shop.prices/points"
        appended = self._client.post(points, json={"points": rows()}, headers=AUTH)
        assert appended.get_json()["added"] == len(rows())


def memory() -> Stores:
    ledger = MemoryLedger()
    return Stores(
        graph=MemoryGraphStore(),
        state=MemoryStateStore(),
        points=MemoryPointStore(),
        ledger=ledger,
        outbox=MemoryOutbox(ledger),
        topic=MemoryResultTopic(),
    )


@pytest.fixture(params=["memory", "servers"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    in_memory = request.param == "memory"
    settings = Settings() if in_memory else request.getfixturevalue("settings")
    settings = replace(settings, api_keys=f"tests:{unique('tenant')}:{sha256(KEY)}")
    fabric = Fabric()
    system = build(settings, fabric, stores=memory() if in_memory else connect(settings))
    system.registry.prepare()
    try:
        yield Service(system, fabric)
    finally:
        system.close()


def test_a_strategy_goes_in_and_its_results_come_out(service: Service):
    service.ready(DIAMOND, "diamond")
    execution = service.post("/v1/executions", TRIGGER).get_json()
    assert (execution["state"], execution["nodes_done"]) == ("SUCCEEDED", 3)

    path = f"/v1/executions/{execution['id']}/results"
    shown = {r["binding"]: r for r in service.get(path).get_json()["items"]}
    assert shown.keys() == {"mean", "spread", "score"}
    exact = service.get(f"{path}/score", headers={"Accept": "application/vnd.qmtl.value"})
    assert decode(exact.data) == shown["score"]["value"]
    assert exact.get_etag()[0] == shown["score"]["digest"]


def test_the_lineage_of_a_result_leads_to_its_source(service: Service):
    service.ready(DIAMOND, "diamond")
    execution = service.post("/v1/executions", TRIGGER).get_json()
    nodes = service.get(f"/v1/executions/{execution['id']}/nodes").get_json()["items"]
    score = next(n["node_id"] for n in nodes if n["binding"] == "score")
    lineage = service.get(f"/v1/nodes/{score}/lineage").get_json()
    assert "shop.prices" in {i["id"] for i in lineage["items"]}


def test_inline_inputs_need_no_stored_points(service: Service):
    version = service.post("/v1/strategies", {"source": DIAMOND}).get_json()["result"]["version"]
    body = {
        "strategy": "diamond",
        "version": version,
        "as_of": AFTER_THE_LAST,
        "inputs": {"prices": rows()},
    }
    assert service.post("/v1/executions", body).get_json()["state"] == "SUCCEEDED"


def test_a_node_that_raises_shows_the_users_own_lines(service: Service):
    service.ready(HALF_BROKEN, "half_broken")
    execution = service.post("/v1/executions", {**TRIGGER, "strategy": "half_broken"}).get_json()
    assert execution["state"] == "FAILED"
    nodes = service.get(f"/v1/executions/{execution['id']}/nodes").get_json()["items"]
    states = {n["binding"]: n["state"] for n in nodes}
    assert states == {"good": "SUCCEEDED", "bad": "FAILED", "behind_bad": "SKIPPED"}
    bad = next(n for n in nodes if n["binding"] == "bad")
    assert "the shop is closed" in bad["error"]["message"]
    assert "helper(prices)" in bad["error"]["traceback"]


def test_a_source_that_is_no_strategy_is_rejected_with_every_problem(service: Service):
    bad = 'import os\nfrom qmtl.sdk import strategy\nstrategy("bad", interval="often")\n'
    submission = service.post("/v1/strategies", {"source": bad}).get_json()
    assert submission["state"] == "REJECTED"
    problems = submission["problem"]["problems"]
    assert len(problems) >= 2
    assert all(p["line"] >= 1 and p["code"].startswith("QMTL-") for p in problems)
    assert service.get("/v1/strategies").get_json()["items"] == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"strategy": "none"}, 404, "QMTL-201"),
        ({"environment": "production"}, 409, "QMTL-403"),
        ({"environment": None, "version": "0" * 32}, 404, "QMTL-202"),
        ({"targets": ["none"]}, 404, "QMTL-402"),
        ({"as_of": "2001-01-01"}, 409, "QMTL-302"),
        ({"inputs": {"none": []}}, 422, "QMTL-500"),
        ({"inputs": {"prices": [{"ts": "2026-11-16"}]}}, 422, "QMTL-301"),
    ],
)
def test_a_trigger_that_cannot_run_says_why(
    service: Service, change: dict[str, Any], status: int, code: str
):
    service.ready(DIAMOND, "diamond")
    answer = service.post("/v1/executions", {**TRIGGER, **change})
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert service.get("/v1/executions").get_json()["items"] == []


def test_what_is_not_active_is_answered_with_how_to_go_on(service: Service):
    service.post("/v1/strategies", {"source": DIAMOND})
    answer = service.post("/v1/executions", TRIGGER)
    assert answer.status_code == 409
    assert "activate" in answer.get_json()["hint"]
