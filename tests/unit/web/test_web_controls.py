from __future__ import annotations

from typing import Any

import pytest

from qmtl.common.errors import HasEnded, NotEnded, Overloaded, UnknownTarget
from qmtl.models.execution import ExecutionState
from tests.support.registry import id_of
from tests.support.web import AUTH, OTHER_AUTH, Web, make_execution

ID = id_of("execution")
AT = f"/v1/executions/{ID}"


@pytest.fixture(autouse=True)
def _ended(web: Web) -> None:
    web.orchestrator.executions[ID] = make_execution(state=ExecutionState.FAILED)


def asked(web: Web) -> tuple[str, dict[str, Any]]:
    assert len(web.orchestrator.controls) == 1
    return web.orchestrator.controls[0]


def test_a_cancelled_execution_is_the_answer(web: Web):
    answer = web.client.post(f"{AT}/cancel", headers=AUTH)
    assert (answer.status_code, answer.get_json()["id"]) == (200, ID)
    assert asked(web) == ("cancel", {})


def test_resume_takes_no_body_or_the_attempt_that_was_seen(web: Web):
    assert web.client.post(f"{AT}/resume", headers=AUTH).status_code == 200
    assert asked(web) == ("resume", {"attempt": None})
    web.client.post(f"{AT}/resume", json={"attempt": 1}, headers=AUTH)
    assert web.orchestrator.controls[1] == ("resume", {"attempt": 1})


def test_an_attempt_that_goes_on_is_202_with_its_address(web: Web):
    web.orchestrator.executions[ID] = make_execution(state=ExecutionState.PENDING)
    answer = web.client.post(f"{AT}/resume?wait=0.05", headers=AUTH)
    assert (answer.status_code, answer.headers["Location"]) == (202, AT)


def test_retry_names_its_nodes(web: Web):
    body = {"nodes": ["fast", "sma[10]"], "attempt": 2}
    assert web.client.post(f"{AT}/retry", json=body, headers=AUTH).status_code == 200
    assert asked(web) == ("retry", {"bindings": ("fast", "sma[10]"), "attempt": 2})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("retry", {}),
        ("retry", {"nodes": []}),
        ("retry", {"nodes": "fast"}),
        ("retry", {"nodes": [1]}),
        ("retry", {"nodes": ["fast"], "attempt": 0}),
        ("resume", {"attempt": "1"}),
        ("resume", {"attempt": 2**40}),
        ("resume", {"nodes": ["fast"]}),
        ("resume", [1]),
    ],
)
def test_a_further_attempt_that_makes_no_sense_is_refused(web: Web, path: str, body: object):
    answer = web.client.post(f"{AT}/{path}", json=body, headers=AUTH)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "QMTL-500")
    assert web.orchestrator.controls == []


def test_retry_without_a_body_is_refused(web: Web):
    assert web.client.post(f"{AT}/retry", headers=AUTH).status_code == 415


def test_a_replay_is_another_execution(web: Web):
    answer = web.client.post(f"{AT}/replay", headers={**AUTH, "Idempotency-Key": "k"})
    assert (answer.status_code, answer.get_json()["replays"]) == (202, ID)
    assert answer.headers["Location"] == f"/v1/executions/{answer.get_json()['id']}"
    assert asked(web) == ("replay", {"by": "tests", "idempotency_key": "k"})
    assert web.client.post(f"{AT}/replay", headers=AUTH).status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotEnded("It runs."), 409, "QMTL-405"),
        (HasEnded("It has ended."), 409, "QMTL-406"),
        (UnknownTarget("It has no such binding."), 404, "QMTL-402"),
    ],
)
def test_what_cannot_be_done_is_told_by_its_code(
    web: Web, error: Exception, status: int, code: str
):
    web.orchestrator.trouble = error
    answer = web.client.post(f"{AT}/retry", json={"nodes": ["fast"]}, headers=AUTH)
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_an_overloaded_system_says_when_to_come_again(web: Web):
    web.orchestrator.trouble = Overloaded("Too many wait.", retry_after_s=7)
    body = {"strategy": "momentum", "environment": "staging"}
    answer = web.client.post("/v1/executions", json=body, headers=AUTH)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    told = answer.get_json()
    assert (told["code"], told["retry_after_s"]) == ("QMTL-504", 7)


@pytest.mark.parametrize("what", ["cancel", "resume", "retry", "replay"])
def test_without_a_key_nothing_is_done_and_other_tenants_see_nothing(web: Web, what: str):
    body = {"nodes": ["fast"]} if what == "retry" else {}
    assert web.client.post(f"{AT}/{what}", json=body).status_code == 401
    answer = web.client.post(f"{AT}/{what}", json=body, headers=OTHER_AUTH)
    assert answer.get_json()["code"] == "QMTL-401"
    assert web.orchestrator.controls == []
