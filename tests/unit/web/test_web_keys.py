from __future__ import annotations

import pytest

from qmtl.common.errors import InvalidSetting, Unauthorized
from qmtl.web.auth import identify, parse_keys
from tests.support.web import AUTH, KEY, OTHER_AUTH, Web, sha256

KEYS = f"alice:acme:{sha256('one')}, bob:acme:{sha256('two')}"


def test_a_key_names_its_holder_and_tenant():
    caller = identify(parse_keys(KEYS), "Bearer two", "POST")
    assert (caller.name, caller.tenant) == ("bob", "acme")


def test_the_scheme_may_be_written_in_any_case():
    assert identify(parse_keys(KEYS), "bearer one", "POST").name == "alice"


def test_a_reader_without_a_key_is_the_default_tenant():
    assert identify((), None, "GET").tenant == "default"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer three", "Basic one", "one"])
def test_whoever_writes_needs_a_valid_key(header: str | None):
    with pytest.raises(Unauthorized):
        identify(parse_keys(KEYS), header, "POST")


def test_no_settings_let_nobody_write():
    with pytest.raises(Unauthorized):
        identify(parse_keys(""), "Bearer ", "POST")


@pytest.mark.parametrize(
    "text",
    [
        "alice:acme",
        "alice:acme:secret-in-the-clear",
        f"alice:acme:{sha256('one').upper()}",
        f"{KEYS},",
        f"alice:acme:{sha256('one')},alice:other:{sha256('two')}",
    ],
)
def test_malformed_keys_are_refused_without_being_repeated(text: str):
    with pytest.raises(InvalidSetting) as refused:
        parse_keys(text)
    assert "QMTL_API_KEYS" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert sha256("one") not in str(refused.value)


def test_keys_do_not_show_their_hash():
    assert sha256("one") not in repr(parse_keys(KEYS))


def test_a_write_without_a_key_is_answered_with_how_to_send_one(web: Web):
    answer = web.client.post("/v1/strategies", json={"source": "x"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "Authorization" in answer.get_json()["hint"]


def test_a_wrong_key_is_refused_on_reads_too(web: Web):
    answer = web.client.get("/v1/strategies", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert answer.get_json()["code"] == "QMTL-501"


def test_nobody_sees_what_another_tenant_registered(web: Web):
    web.submit()
    mine = web.client.get("/v1/strategies", headers=AUTH).get_json()
    theirs = web.client.get("/v1/strategies", headers=OTHER_AUTH).get_json()
    assert [s["name"] for s in mine["items"]] == ["momentum"]
    assert theirs["items"] == []
    assert web.client.get("/v1/strategies/momentum", headers=OTHER_AUTH).status_code == 404


def test_health_and_documentation_ask_for_no_key(web: Web):
    wrong = {"Authorization": "Bearer nonsense"}
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        assert web.client.get(path, headers=wrong).status_code == 200, path


def test_the_key_never_comes_back(web: Web):
    answer = web.client.post("/v1/strategies", json={"sauce": "x"}, headers=AUTH)
    assert KEY not in answer.text + str(answer.headers)
