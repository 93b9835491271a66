from __future__ import annotations

from qmtl.common.errors import Unavailable
from tests.support.web import Web


def test_a_process_that_lives_says_so_whatever_is_away(web: Web):
    web.orchestrator.trouble = Unavailable("redis", "away")
    assert web.client.get("/healthz").get_json() == {"status": "ok"}


def test_ready_names_every_server(web: Web):
    answer = web.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.get_json()["checks"].keys() == {"graph", "state", "ledger", "kafka"}
    assert (answer.get_json()["backlog"], answer.get_json()["put_aside"]) == (3, 1)


def test_kafka_may_be_away(web: Web):
    web.orchestrator.pings["kafka"] = "no broker at kafka://user:secret@host"
    answer = web.client.get("/readyz")
    assert answer.status_code == 200
    kafka = answer.get_json()["checks"]["kafka"]
    assert (kafka["ok"], kafka["needed"]) == (False, False)
    assert "secret" not in kafka["reason"]


def test_the_ledger_may_not(web: Web):
    web.orchestrator.pings["ledger"] = "connection refused"
    answer = web.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["status"] == "not ready"
    assert answer.get_json()["checks"]["ledger"]["reason"] == "connection refused"
    assert answer.get_json()["backlog"] is None
    assert answer.get_json()["put_aside"] is None


def test_a_ping_that_raises_is_a_server_that_is_away(web: Web):
    web.orchestrator.trouble = Unavailable("redis", "away")
    answer = web.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["checks"]["ledger"]["reason"] == "away"
