from __future__ import annotations

import math

import pytest

from qmtl.common.codec import decode, digest
from qmtl.common.errors import Unavailable
from qmtl.models.api_orchestrator import ResultsView, ResultView
from qmtl.models.execution import ExecutionState, Priority
from tests.support.registry import id_of
from tests.support.web import (
    AUTH,
    NOON_MS,
    OTHER_AUTH,
    Web,
    make_execution,
    make_failure,
    make_result,
)

TRIGGER = "/v1/executions"
ID = id_of("execution")


@pytest.fixture(autouse=True)
def _registered(web: Web) -> None:
    web.submit()


def ended(web: Web, *, state: ExecutionState = ExecutionState.SUCCEEDED) -> None:
    web.orchestrator.executions[ID] = make_execution(
        state=state, stage=1, stages=1, nodes_total=2, nodes_done=2
    )


def test_a_trigger_starts_an_execution_and_tells_where_it_is(web: Web):
    answer = web.client.post(
        TRIGGER, json={"strategy": "momentum", "environment": "staging"}, headers=AUTH
    )
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/executions/{ID}"
    assert answer.get_json()["state"] == "RUNNING"


def test_everything_that_a_trigger_says_reaches_the_orchestrator(web: Web):
    rows = [{"ts": "2026-11-20", "close": 1.5}]
    web.client.post(
        TRIGGER,
        json={
            "strategy": "momentum",
            "version": "0" * 32,
            "as_of": "2026-11-23T01:00:00.5+01:00",
            "targets": ["signal", "sma[10]"],
            "inputs": {"prices": rows},
            "priority": "high",
            "deadline": "5m",
        },
        headers={**AUTH, "Idempotency-Key": "once"},
    )
    assert web.orchestrator.triggers == [
        {
            "tenant": "default",
            "idempotency_key": "once",
            "strategy": "momentum",
            "environment": None,
            "version": "0" * 32,
            "as_of_ns": 1_795_392_000_500_000_000,
            "targets": ("signal", "sma[10]"),
            "inputs": {"prices": rows},
            "by": "tests",
            "priority": Priority.HIGH,
            "expires_s": 300.0,
        }
    ]


def test_an_execution_that_was_there_before_is_answered_with_200(web: Web):
    body = {"strategy": "momentum", "environment": "staging"}
    web.client.post(TRIGGER, json=body, headers=AUTH)
    assert web.client.post(TRIGGER, json=body, headers=AUTH).status_code == 200


def test_a_wait_that_is_too_short_shows_the_execution_as_it_stands(web: Web):
    body = {"strategy": "momentum", "environment": "staging"}
    answer = web.client.post(f"{TRIGGER}?wait=0.05", json=body, headers=AUTH)
    assert (answer.status_code, answer.get_json()["state"]) == (202, "RUNNING")


def test_what_was_accepted_is_told_although_a_server_went_away_while_it_was_waited_for(web: Web):
    web.orchestrator.trouble_waiting = Unavailable("redis", "away")
    body = {"strategy": "momentum", "environment": "staging"}
    triggered = web.client.post(f"{TRIGGER}?wait=1", json=body, headers=AUTH)
    web.orchestrator.held = True
    submitted = web.client.post("/v1/strategies?wait=1", json={"source": "# v2"}, headers=AUTH)
    for answer, collection in ((triggered, "executions"), (submitted, "submissions")):
        assert answer.status_code == 202
        assert answer.headers["Location"] == f"/v1/{collection}/{answer.get_json()['id']}"


@pytest.mark.parametrize(
    "body",
    [
        {"environment": "staging"},
        {"strategy": "momentum"},
        {"strategy": "momentum", "environment": "moon", "version": "0" * 32},
        {"strategy": "momentum", "environment": "moon"},
        {"strategy": "momentum", "version": "latest"},
        {"strategy": "two words", "environment": "staging"},
        {"strategy": "momentum", "environment": "staging", "as_of": "yesterday"},
        {"strategy": "momentum", "environment": "staging", "as_of": "2026-11-23T00:00:00"},
        {"strategy": "momentum", "environment": "staging", "as_of": 1},
        {"strategy": "momentum", "environment": "staging", "targets": "signal"},
        {"strategy": "momentum", "environment": "staging", "targets": ["a\u0000b"]},
        {"strategy": "momentum", "environment": "staging", "inputs": {"prices": 1}},
        {"strategy": "momentum", "environment": "staging", "inputs": [1]},
        {"strategy": "momentum", "environment": "staging", "when": "now"},
        {"strategy": "momentum", "environment": "staging", "priority": "urgent"},
        {"strategy": "momentum", "environment": "staging", "deadline": "soon"},
        {"strategy": "momentum", "environment": "staging", "deadline": 0},
        {"strategy": "momentum", "environment": "staging", "deadline": True},
        {"strategy": "momentum", "environment": "staging", "deadline": "9999999999w"},
    ],
)
def test_a_trigger_that_makes_no_sense_is_refused(web: Web, body: dict[str, object]):
    answer = web.client.post(TRIGGER, json=body, headers=AUTH)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "QMTL-500")
    assert web.orchestrator.triggers == []


def test_a_trigger_of_an_unknown_strategy_is_404(web: Web):
    body = {"strategy": "none", "environment": "staging"}
    answer = web.client.post(TRIGGER, json=body, headers=AUTH)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "QMTL-201")


def test_a_status_shows_progress_and_times(web: Web):
    ended(web)
    shown = web.client.get(f"{TRIGGER}/{ID}?wait=1").get_json()
    assert (shown["state"], shown["nodes_done"], shown["nodes_total"]) == ("SUCCEEDED", 2, 2)
    assert shown["as_of"] == shown["created_at"] == "2025-11-24T16:00:00Z"
    assert shown["ended_at"] is None


def test_an_execution_of_another_tenant_does_not_exist(web: Web):
    ended(web)
    answer = web.client.get(f"{TRIGGER}/{ID}", headers=OTHER_AUTH)
    assert answer.get_json()["code"] == "QMTL-401"


def test_executions_are_read_page_by_page(web: Web):
    for name in "abc":
        web.orchestrator.executions[name] = make_execution(id=name)
    first = web.client.get(f"{TRIGGER}?limit=2&strategy=momentum").get_json()
    assert [e["id"] for e in first["items"]] == ["a", "b"]
    last = web.client.get(first["next_url"]).get_json()
    assert [e["id"] for e in last["items"]] == ["c"]


def test_results_show_values_by_binding(web: Web):
    ended(web)
    web.orchestrator.results[ID] = [make_result("fast", 1.5), make_failure("signal")]
    shown = web.client.get(f"{TRIGGER}/{ID}/results").get_json()
    fast, signal = shown["items"]
    assert (fast["binding"], fast["value"], fast["value_type"]) == ("fast", 1.5, "float")
    assert fast["duration_ms"] == 1.235
    assert (signal["state"], signal["value"], signal["digest"]) == ("FAILED", None, None)
    assert signal["error"]["traceback"] == "line 7"


def test_results_are_written_as_their_schema_says(web: Web):
    ended(web)
    web.orchestrator.results[ID] = [make_result("fast", {"v": [1.5, None]}), make_failure("signal")]
    shown = web.client.get(f"{TRIGGER}/{ID}/results").get_json()
    assert ResultsView().validate(shown) == {}
    assert shown.keys() == ResultsView().fields.keys()
    for item in shown["items"]:
        assert item.keys() == ResultView().fields.keys()


def test_results_can_be_asked_for_by_name(web: Web):
    ended(web)
    web.orchestrator.results[ID] = [make_result(n, 1) for n in ("a", "b", "sma[1,2]")]
    shown = web.client.get(f"{TRIGGER}/{ID}/results?bindings=a,sma[1,2]").get_json()
    assert [r["binding"] for r in shown["items"]] == ["a", "sma[1,2]"]


def test_what_json_cannot_say_stands_under_a_marker(web: Web):
    ended(web)
    web.orchestrator.results[ID] = [make_result("fast", math.nan)]
    shown = web.client.get(f"{TRIGGER}/{ID}/results/fast").get_json()
    assert shown["value"] == {"$float": "NaN"}


def test_a_value_too_long_to_show_is_left_out(web: Web):
    ended(web)
    web.orchestrator.results[ID] = [make_result("fast", [0] * 300_000)]
    shown = web.client.get(f"{TRIGGER}/{ID}/results/fast").get_json()
    assert (shown["omitted"], shown["value"]) == (True, None)


def test_the_bytes_of_a_value_are_served_with_their_digest(web: Web):
    ended(web)
    web.orchestrator.results[ID] = [make_result("sma[10]", {"side": "long"})]
    path = f"{TRIGGER}/{ID}/results/sma%5B10%5D"
    accept = {"Accept": "application/vnd.qmtl.value, application/problem+json"}
    answer = web.client.get(path, headers=accept)
    assert answer.mimetype == "application/vnd.qmtl.value"
    assert decode(answer.data) == {"side": "long"}
    assert answer.get_etag() == (digest(answer.data), False)
    again = web.client.get(path, headers={**accept, "If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("results/none", "application/json", 404),
        ("results/signal", "application/vnd.qmtl.value", 404),
        ("results/fast", "image/png", 406),
        ("results/fast", "*/*", 200),
        ("results?rows=-1", "*/*", 422),
    ],
)
def test_a_result_that_cannot_be_served_is_refused(web: Web, path: str, accept: str, status: int):
    ended(web)
    web.orchestrator.results[ID] = [make_result("fast", 1), make_failure("signal")]
    answer = web.client.get(f"{TRIGGER}/{ID}/{path}", headers={"Accept": accept})
    assert answer.status_code == status


def test_nodes_show_logs_and_errors_without_values(web: Web):
    ended(web)
    web.orchestrator.results[ID] = [make_result("fast", 1), make_failure("signal")]
    fast, signal = web.client.get(f"{TRIGGER}/{ID}/nodes").get_json()["items"]
    assert fast["logs"] == "hello\n"
    assert "value" not in fast
    assert signal["error"]["code"] == "QMTL-410"


def test_an_unknown_execution_is_404(web: Web):
    for path in ("", "/results", "/nodes", "/results/fast"):
        assert web.client.get(f"{TRIGGER}/none{path}").get_json()["code"] == "QMTL-401"


def test_times_are_written_in_rfc_3339(web: Web):
    assert NOON_MS == 1_764_000_000_000
    ended(web)
    assert web.client.get(f"{TRIGGER}/{ID}").get_json()["bucket"] == "2025-11-24T16:00:00Z"
