from __future__ import annotations

import io

import pytest
from structlog.testing import capture_logs

from qmtl.common import errors
from qmtl.common.errors import Problem, StrategyRejected, Unavailable
from qmtl.web.errors import STATUS, status_of
from tests.support.web import AUTH, Web, make_web

SUBMIT = "/v1/strategies"
MEMBERS = {"type", "title", "status", "code", "detail", "instance"}


def test_every_class_of_errors_has_a_status_of_its_own_or_of_its_family():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert {status_of(kind) for kind in kinds} <= {401, 404, 409, 413, 422, 500, 503}
    assert status_of(errors.UnknownStrategy) == STATUS[errors.NotFound] == 404
    assert status_of(errors.NotActive) == 409


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/strategies/none", 404),
        ("GET", "/v1/strategies/a%00b", 404),
        ("DELETE", "/v1/strategies", 405),
        ("POST", "/healthz", 405),
        ("GET", "/v1/strategies?limit=0", 422),
    ],
)
def test_every_refusal_is_a_problem_document(web: Web, method: str, path: str, status: int):
    answer = web.client.open(path, method=method, headers=AUTH)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    problem = answer.get_json()
    assert problem.keys() >= MEMBERS
    assert problem["status"] == status
    assert problem["instance"].endswith(answer.headers["X-Request-Id"])


def test_a_method_that_is_not_served_is_answered_with_those_that_are(web: Web):
    allowed = web.client.delete("/v1/strategies", headers=AUTH).headers["Allow"]
    assert {"GET", "POST"} <= {m.strip() for m in allowed.split(",")}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"source": NaN}', 400),
        (b"[" * 100_000, 400),
        (b'{"source": "\xff"}', 400),
        (b'{"source": "\\ud800 alone"}', 422),
        (b"[]", 422),
        (b"7", 422),
        (b'"text"', 422),
        (b"{}", 422),
        (b'{"source": 7}', 422),
        (b'{"source": null}', 422),
        (b'{"source": ""}', 422),
        (b'{"source": "x", "sauce": 1}', 422),
    ],
)
def test_a_body_that_cannot_be_used_is_refused(web: Web, body: bytes, status: int):
    answer = web.client.post(SUBMIT, data=body, content_type="application/json", headers=AUTH)
    assert answer.status_code == status, answer.text
    assert answer.get_json()["code"] == "QMTL-500"


def test_an_unknown_field_is_named(web: Web):
    answer = web.client.post(SUBMIT, json={"source": "x", "sauce": 1}, headers=AUTH)
    assert answer.get_json()["errors"] == {"sauce": ["Unknown field."]}


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
def test_the_content_type_is_looked_at_first(web: Web, content_type: str | None):
    answer = web.client.post(SUBMIT, data=b"{", content_type=content_type, headers=AUTH)
    assert answer.status_code == 415


def test_a_compressed_body_is_refused_rather_than_misread(web: Web):
    headers = {**AUTH, "Content-Encoding": "gzip"}
    answer = web.client.post(SUBMIT, data=b"x", content_type="text/x-python", headers=headers)
    assert answer.status_code == 415


def test_an_unknown_query_parameter_is_refused_and_the_known_ones_are_named(web: Web):
    answer = web.client.get("/v1/strategies?limits=3")
    assert answer.status_code == 422
    assert answer.get_json()["errors"] == {"limits": ["Unknown parameter."]}
    assert "after, limit" in answer.get_json()["hint"]


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "inf", "soon"])
def test_a_wait_is_between_0_and_30_seconds(web: Web, wait: str):
    answer = web.client.post(f"{SUBMIT}?wait={wait}", json={"source": "x"}, headers=AUTH)
    assert answer.status_code == 422
    assert "wait" in answer.get_json()["errors"]


@pytest.mark.parametrize("content_type", ["application/json", "text/x-python"])
def test_a_body_over_the_limit_is_refused_with_the_limit(content_type: str):
    web = make_web(request_limit_bytes=1_000)
    answer = web.client.post(SUBMIT, data=b"x" * 1_001, content_type=content_type, headers=AUTH)
    assert answer.status_code == 413
    assert "1000 bytes" in answer.get_json()["detail"]


def test_a_chunked_body_over_the_limit_is_refused_rather_than_cut_off():
    web = make_web(request_limit_bytes=1_000)
    answer = web.client.post(
        SUBMIT,
        input_stream=io.BytesIO(b"#" * 1_500),
        content_type="text/x-python",
        headers=AUTH,
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413


def test_a_server_that_is_away_is_503_with_when_to_try_again(web: Web):
    web.orchestrator.trouble = Unavailable("redis", "redis://user:secret@host is away.")
    answer = web.client.post(SUBMIT, json={"source": "x"}, headers=AUTH)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.get_json()["service"] == "redis"
    assert "secret" not in answer.text


def test_an_error_of_our_own_shows_an_id_while_the_log_has_the_traceback(web: Web):
    web.orchestrator.trouble = trouble = RuntimeError("the inner workings")
    with capture_logs() as lines:
        answer = web.client.post(SUBMIT, json={"source": "x"}, headers=AUTH)
    assert [line["exc_info"] for line in lines if line["event"] == "unexpected_error"] == [trouble]
    assert answer.status_code == 500
    assert "inner workings" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.get_json()["hint"]


def test_what_the_parser_refuses_is_listed_with_its_places(web: Web):
    problem = Problem("QMTL-110", "The name 'x' is bound twice.", 3, 1, "Rename one.")
    web.orchestrator.rejections["bad"] = StrategyRejected([problem])
    answer = web.client.post(f"{SUBMIT}?wait=1", json={"source": "bad"}, headers=AUTH)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["problems"] == [
        {
            "code": "QMTL-110",
            "message": "The name 'x' is bound twice.",
            "line": 3,
            "column": 1,
            "hint": "Rename one.",
        }
    ]


def test_a_request_id_is_taken_over_where_it_is_harmless(web: Web):
    sent = web.client.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"})
    assert sent.headers["X-Request-Id"] == "abc-1.2_3"
    strange = web.client.get("/healthz", headers={"X-Request-Id": 'a"; drop'})
    assert strange.headers["X-Request-Id"].isalnum()


@pytest.mark.parametrize(
    "path", ["/healthz", "/nowhere", "/v1/strategies", "/docs", "/openapi.json"]
)
def test_every_answer_has_the_headers_that_keep_browsers_safe(web: Web, path: str):
    headers = web.client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_an_address_with_doubled_slashes_leads_to_the_right_one(web: Web):
    answer = web.client.get("/v1//strategies")
    assert answer.status_code == 308
    assert answer.headers["Location"].endswith("/v1/strategies")
