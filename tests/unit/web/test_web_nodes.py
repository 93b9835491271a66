from __future__ import annotations

import pytest

from tests.support.registry import id_of
from tests.support.web import AUTH, Web

FAST, SIGNAL = id_of("fast"), id_of("signal")


def test_one_node_of_a_module_is_registered_with_what_it_rests_on(web: Web):
    answer = web.client.post(
        "/v1/nodes", json={"source": "# v1", "binding": "signal"}, headers=AUTH
    )
    assert answer.status_code == 201
    assert answer.get_json()["result"]["node_id"] == SIGNAL
    assert answer.headers["Location"] == f"/v1/nodes/{SIGNAL}"
    listed = web.client.get("/v1/nodes").get_json()["items"]
    assert {n["node_id"] for n in listed} == {FAST, SIGNAL}


def test_a_version_of_single_nodes_cannot_be_activated(web: Web):
    web.client.post("/v1/nodes", json={"source": "# v1", "binding": "fast"}, headers=AUTH)
    answer = web.client.post(
        "/v1/strategies/momentum/activate",
        json={"environment": "staging", "version": None},
        headers=AUTH,
    )
    assert answer.status_code in {404, 409}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"source": "# v1", "binding": "none"}, 404),
        ({"source": "# v1"}, 422),
        ({"source": "# v1", "binding": "two words"}, 422),
        ({"source": "# v1", "binding": "fast", "node_id": FAST}, 422),
    ],
)
def test_a_node_that_cannot_be_registered_is_refused(web: Web, body: dict[str, str], status: int):
    assert web.client.post("/v1/nodes", json=body, headers=AUTH).status_code == status


def test_a_node_shows_its_code_and_who_binds_it(web: Web):
    version = web.submit()["version"]
    node = web.client.get(f"/v1/nodes/{FAST}").get_json()
    assert node["code"] == "def fast(): ..."
    assert node["bindings"] == [
        {"strategy": "momentum", "version": version, "name": "fast", "tags": ["TREND"]}
    ]


def test_nodes_are_found_by_tag_in_any_case(web: Web):
    web.submit()
    found = web.client.get("/v1/nodes?tag=trend").get_json()["items"]
    assert [n["node_id"] for n in found] == [FAST]


def test_a_lineage_goes_upstream_to_the_sources(web: Web):
    web.submit()
    lineage = web.client.get(f"/v1/nodes/{SIGNAL}/lineage").get_json()
    assert {(i["id"], i["distance"]) for i in lineage["items"]} >= {(FAST, 1), ("prices", 2)}
    assert {"reader": SIGNAL, "read": FAST, "argument": "fast"} in lineage["edges"]


def test_a_lineage_goes_downstream_as_far_as_asked(web: Web):
    web.submit()
    path = f"/v1/nodes/{FAST}/lineage?direction=downstream&depth=1"
    lineage = web.client.get(path).get_json()
    assert SIGNAL in {i["id"] for i in lineage["items"]}


@pytest.mark.parametrize("query", ["direction=sideways", "depth=0", "depth=1001"])
def test_a_lineage_has_two_directions_and_a_bound(web: Web, query: str):
    assert web.client.get(f"/v1/nodes/{FAST}/lineage?{query}").status_code == 422


def test_an_unknown_node_is_404(web: Web):
    for path in ("/v1/nodes/none", "/v1/nodes/none/lineage"):
        assert web.client.get(path).get_json()["code"] == "QMTL-203"
