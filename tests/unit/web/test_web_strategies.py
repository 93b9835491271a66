from __future__ import annotations

import pytest

from tests.support.registry import make_node, make_spec
from tests.support.web import AUTH, Web, make_web

SUBMIT = "/v1/strategies"


def test_a_submission_is_accepted_at_once_and_tells_where_to_ask(web: Web):
    web.orchestrator.held = True
    answer = web.client.post(SUBMIT, json={"source": "# v1"}, headers=AUTH)
    assert answer.status_code == 202
    assert answer.get_json()["operation"] == "submit_strategy"
    place = answer.headers["Location"]
    assert web.client.get(place, headers=AUTH).get_json()["id"] == answer.get_json()["id"]


def test_a_wait_holds_the_answer_until_the_version_is_registered(web: Web):
    answer = web.client.post(f"{SUBMIT}?wait=1", json={"source": "# v1"}, headers=AUTH)
    assert answer.status_code == 201
    submission = answer.get_json()
    assert submission["state"] == "DONE"
    assert submission["created_at"] == "2025-11-24T16:00:00Z"
    assert submission["result"]["nodes"].keys() == {"fast", "signal"}
    version = web.client.get(answer.headers["Location"], headers=AUTH).get_json()
    assert version["source_text"] == "# v1"


def test_a_version_that_was_there_before_is_answered_with_200(web: Web):
    first = web.submit()
    answer = web.client.post(f"{SUBMIT}?wait=1", json={"source": "# v1"}, headers=AUTH)
    assert answer.status_code == 200
    assert answer.get_json()["result"]["version"] == first["version"]


def test_a_file_can_be_sent_as_it_is(web: Web):
    answer = web.client.post(
        f"{SUBMIT}?wait=1", data="# grün\n".encode(), content_type="text/x-python", headers=AUTH
    )
    assert answer.status_code == 201
    assert web.client.get(answer.headers["Location"]).get_json()["source_text"] == "# grün\n"


def test_a_file_that_is_not_utf_8_is_refused(web: Web):
    answer = web.client.post(SUBMIT, data=b"# gr\xfcn", content_type="text/x-python", headers=AUTH)
    assert answer.status_code == 422
    assert "byte 4" in answer.get_json()["detail"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_source_over_its_limit_is_refused_before_anything_is_enqueued(as_json: bool):
    web = make_web(source_limit_bytes=10)
    body = (
        {"json": {"source": "é" * 6}}
        if as_json
        else {"data": "é" * 6, "content_type": "text/x-python"}
    )
    answer = web.client.post(f"{SUBMIT}?wait=1", headers=AUTH, **body)
    assert answer.status_code == 413
    assert "10 bytes" in answer.get_json()["detail"]
    assert web.orchestrator.state.unfinished_submissions(older_than_ms=2**60, limit=1) == []
    assert web.client.get(SUBMIT).get_json()["items"] == []


def test_an_idempotency_key_makes_a_repeat_the_same_submission(web: Web):
    headers = {**AUTH, "Idempotency-Key": "once"}
    first, second = (
        web.client.post(SUBMIT, json={"source": "# v1"}, headers=headers).get_json()
        for _ in range(2)
    )
    assert first["id"] == second["id"]


def test_an_idempotency_key_with_another_request_is_a_conflict(web: Web):
    headers = {**AUTH, "Idempotency-Key": "once"}
    web.client.post(SUBMIT, json={"source": "# v1"}, headers=headers)
    answer = web.client.post(SUBMIT, json={"source": "# v2"}, headers=headers)
    assert answer.status_code == 409
    assert answer.get_json()["code"] == "QMTL-502"


@pytest.mark.parametrize("key", ["", "x" * 129, "grün"])
def test_an_idempotency_key_is_1_to_128_printable_characters(web: Web, key: str):
    headers = {**AUTH, "Idempotency-Key": key}
    assert web.client.post(SUBMIT, json={"source": "x"}, headers=headers).status_code == 422


def test_an_unknown_submission_is_404(web: Web):
    assert web.client.get("/v1/submissions/none").get_json()["code"] == "QMTL-205"


def test_a_strategy_shows_where_it_is_active(web: Web):
    version = web.submit()["version"]
    activated = web.client.post(
        f"{SUBMIT}/momentum/activate", json={"environment": "staging"}, headers=AUTH
    )
    assert activated.status_code == 200
    assert activated.get_json() == {
        "strategy": "momentum",
        "environment": "staging",
        "version": version,
        "since": "2025-11-24T16:00:00Z",
        "by": "tests",
        "start": None,
    }
    shown = web.client.get(f"{SUBMIT}/momentum").get_json()
    assert shown["active"] == {"staging": version}
    assert shown["latest_version"] == version
    assert shown["deployments"][0]["by"] == "tests"


def test_the_submission_of_an_activation_shows_the_deployment_alike(web: Web):
    web.submit()
    web.orchestrator.held = True
    answer = web.client.post(
        f"{SUBMIT}/momentum/activate?wait=0", json={"environment": "staging"}, headers=AUTH
    )
    assert answer.status_code == 202
    submission = web.orchestrator.get_submission("default", answer.get_json()["id"])
    web.orchestrator.carry_out(submission)
    shown = web.client.get(answer.headers["Location"]).get_json()
    assert shown["result"]["since"] == "2025-11-24T16:00:00Z"


def test_deactivating_leaves_no_active_version(web: Web):
    web.submit()
    for operation in ("activate", "deactivate"):
        answer = web.client.post(
            f"{SUBMIT}/momentum/{operation}", json={"environment": "staging"}, headers=AUTH
        )
        assert answer.status_code == 200, answer.text
    assert answer.get_json()["version"] is None
    assert web.client.get(f"{SUBMIT}/momentum").get_json()["active"] == {}


def test_an_activation_that_expects_another_version_is_a_conflict(web: Web):
    web.submit()
    answer = web.client.post(
        f"{SUBMIT}/momentum/activate",
        json={"environment": "staging", "expected": "0" * 32},
        headers=AUTH,
    )
    assert answer.status_code == 409
    assert answer.get_json()["code"] == "QMTL-211"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("none/activate", {"environment": "staging"}, 404, "QMTL-201"),
        ("momentum/activate", {"environment": "staging", "version": "0" * 32}, 404, "QMTL-202"),
        ("momentum/deactivate", {"environment": "staging"}, 409, "QMTL-403"),
        ("momentum/activate", {"environment": "moon"}, 422, "QMTL-500"),
        ("momentum/activate", {}, 422, "QMTL-500"),
        ("momentum/activate", {"environment": "staging", "version": "v1"}, 422, "QMTL-500"),
        ("momentum/activate", {"environment": "staging", "start": "soon"}, 422, "QMTL-500"),
        ("momentum/activate", {"environment": "staging", "start": 1}, 422, "QMTL-500"),
        ("momentum/deactivate", {"environment": "staging", "version": None}, 422, "QMTL-500"),
    ],
)
def test_an_activation_that_cannot_be_is_refused(
    web: Web, path: str, body: dict[str, object], status: int, code: str
):
    web.submit()
    answer = web.client.post(f"{SUBMIT}/{path}", json=body, headers=AUTH)
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_a_version_shows_everything_that_it_declares(web: Web):
    version = web.submit()["version"]
    shown = web.client.get(f"{SUBMIT}/momentum/versions/{version}").get_json()
    assert shown["interval"] == "1d"
    assert shown["sources"][0]["columns"] == ["close"]
    fast, signal = shown["nodes"]
    assert fast["inputs"] == [{"argument": "prices", "kind": "source", "reads": "prices"}]
    assert signal["inputs"] == [{"argument": "fast", "kind": "node", "reads": "fast"}]
    assert fast["tags"] == ["TREND"]


def test_versions_are_listed_newest_first(web: Web):
    web.submit("# v1")
    items = web.client.get(f"{SUBMIT}/momentum/versions").get_json()["items"]
    assert [(v["nodes"], v["created_by"]) for v in items] == [(2, "tests")]


def test_a_cursor_of_another_list_is_refused(web: Web):
    web.submit()
    assert web.client.get(f"{SUBMIT}/momentum/versions?before=zzz").status_code == 422


def test_a_list_is_read_page_by_page(web: Web):
    for name in ("a", "b", "c"):
        web.orchestrator.specs[name] = make_spec(name, [make_node("n")])
        web.submit(name)
    first = web.client.get(f"{SUBMIT}?limit=2")
    assert [s["name"] for s in first.get_json()["items"]] == ["a", "b"]
    assert first.get_json()["next"] == "b"
    following = first.get_json()["next_url"]
    assert first.headers["Link"] == f'<{following}>; rel="next"'
    last = web.client.get(following).get_json()
    assert [s["name"] for s in last["items"]] == ["c"]
    assert (last["next"], last["next_url"]) == (None, None)


@pytest.mark.parametrize("limit", ["0", "201", "-1", "many"])
def test_a_page_holds_1_to_200_items(web: Web, limit: str):
    assert web.client.get(f"{SUBMIT}?limit={limit}").status_code == 422
