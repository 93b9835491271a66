from __future__ import annotations

import pytest

from tests.support.web import AUTH, Web

POINTS = "/v1/sources/prices/points"
TWO = [{"ts": "2026-11-20", "close": 1.5}, {"ts": "2026-11-21", "close": None}]


@pytest.fixture(autouse=True)
def _declared(web: Web) -> None:
    web.submit()


def test_points_are_appended_as_json(web: Web):
    answer = web.client.post(POINTS, json={"points": TWO}, headers=AUTH)
    assert answer.status_code == 200
    assert answer.get_json() == {"revision": 1, "added": 2, "corrected": 0, "unchanged": 0}


def test_points_are_appended_as_csv(web: Web):
    text = "ts,close\n2026-11-20,1.5\n2026-11-21,\n"
    answer = web.client.post(POINTS, data=text, content_type="text/csv", headers=AUTH)
    assert answer.get_json()["added"] == 2


def test_csv_of_a_spreadsheet_begins_with_a_mark_that_is_dropped(web: Web):
    data = b"\xef\xbb\xbfts,close\n2026-11-20,1.5\n"
    answer = web.client.post(POINTS, data=data, content_type="text/csv", headers=AUTH)
    assert answer.get_json()["added"] == 1


def test_points_sent_twice_change_nothing(web: Web):
    for _ in range(2):
        answer = web.client.post(POINTS, json={"points": TWO}, headers=AUTH)
    assert answer.get_json() == {"revision": 1, "added": 0, "corrected": 0, "unchanged": 2}


def test_a_source_shows_how_much_is_stored(web: Web):
    web.client.post(POINTS, json={"points": TWO}, headers=AUTH)
    shown = web.client.get("/v1/sources/prices").get_json()
    assert shown == {
        "name": "prices",
        "columns": ["close"],
        "interval": "1d",
        "stamp": "start",
        "strategies": ["momentum"],
        "revision": 1,
        "count": 2,
        "first_at": "2026-11-20T00:00:00Z",
        "last_at": "2026-11-21T00:00:00Z",
    }
    assert web.client.get("/v1/sources").get_json()["items"] == [shown]


def test_a_source_without_points_has_no_times(web: Web):
    shown = web.client.get("/v1/sources/prices").get_json()
    assert (shown["count"], shown["first_at"], shown["last_at"]) == (0, None, None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "QMTL-500"),
        ({"points": "many"}, "QMTL-500"),
        ({"points": [1]}, "QMTL-500"),
        ({"points": [{"ts": "2026-11-20"}]}, "QMTL-301"),
        ({"points": [{"ts": "yesterday", "close": 1}]}, "QMTL-301"),
        ({"points": [{"ts": "2026-11-20", "close": "1"}]}, "QMTL-301"),
        ({"points": [{"ts": "2026-11-20", "close": True}]}, "QMTL-301"),
        ({"points": [{"ts": "2026-11-20", "close": 1, "open": 1}]}, "QMTL-301"),
        ({"points": [TWO[0], TWO[0]]}, "QMTL-301"),
    ],
)
def test_points_that_cannot_be_used_are_refused_whole(web: Web, body: object, code: str):
    answer = web.client.post(POINTS, json=body, headers=AUTH)
    assert (answer.status_code, answer.get_json()["code"]) == (422, code)
    assert web.client.get("/v1/sources/prices").get_json()["count"] == 0


def test_csv_that_is_not_utf_8_is_refused(web: Web):
    answer = web.client.post(POINTS, data=b"ts,\xff", content_type="text/csv", headers=AUTH)
    assert answer.status_code == 422


def test_a_source_that_nobody_declares_is_404(web: Web):
    answer = web.client.post("/v1/sources/none/points", json={"points": TWO}, headers=AUTH)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "QMTL-204")
    assert web.client.get("/v1/sources/none").status_code == 404


@pytest.mark.parametrize("depth", [1, 100, 900])
def test_a_value_that_is_nested_is_refused_however_deep(web: Web, depth: int):
    value = "[" * depth + "]" * depth
    body = '{"points": [{"ts": "2026-11-20", "close": ' + value + "}]}"
    answer = web.client.post(POINTS, data=body, headers=AUTH, content_type="application/json")
    assert answer.status_code == 422
    (told,) = answer.get_json()["errors"]["points"]
    assert told.startswith("Row 1, column 'close'")
