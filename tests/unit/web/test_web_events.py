"""The stream of what happens to an execution."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from qmtl.common.errors import Unavailable
from qmtl.models.execution import ExecutionState
from qmtl.orchestrator.execution.memory import reads
from qmtl.web import app, events
from qmtl.web.waiting import StreamRoom, WaitingRoom
from tests.support.ledgers import ERROR, plan_of, run_shard
from tests.support.web import AUTH, OTHER_AUTH, Web, make_execution, make_web

ID = make_execution().id
AT = f"/v1/executions/{ID}/events"
Told = dict[str, Any]


@pytest.fixture
def web() -> Web:
    """A web whose ledger has an execution that nobody planned yet."""
    made = make_web()
    made.orchestrator.ledger.create(make_execution(state=ExecutionState.PENDING), {})
    return made


def start(web: Web) -> None:
    web.orchestrator.ledger.start(ID, plan_of([["a", "b"]]))


def run(web: Web) -> None:
    """Run the execution to its end."""
    start(web)
    run_shard(web.orchestrator.ledger, ID, 0, 0, "a", "b")


def opened(web: Web, **headers: str) -> TestResponse:
    return web.client.get(AT, headers={**AUTH, **headers})


def told(text: str) -> list[Told]:
    """Return the events of a stream: id and event, and the data as it is."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines()]
        fields = {name: value for name, _, value in lines if name}
        if "data" in fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


def kinds(text: str) -> list[str]:
    return [event["event"] for event in told(text)]


def blocks(answer: TestResponse) -> Iterator[str]:
    return (part.decode() if isinstance(part, bytes) else part for part in answer.response)


def test_an_execution_that_has_ended_is_told_whole_and_the_stream_ends(web: Web):
    run(web)
    answer = opened(web)
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    begin, nodes, end = told(answer.text)
    assert answer.text.startswith("retry: 1000\n\n")
    assert (begin["event"], begin["data"]["stages"]) == ("started", 1)
    assert nodes["event"] == nodes["data"]["kind"] == "nodes"
    assert (nodes["data"]["counts"], nodes["data"]["node_ids"]) == ({"SUCCEEDED": 2}, ["a", "b"])
    assert (nodes["data"]["nodes_done"], nodes["data"]["nodes_total"]) == (2, 2)
    assert end["data"].keys() == {"kind", "at", "attempt", "nodes_done", "nodes_total", "state"}
    assert (end["event"], end["data"]["state"]) == ("ended", "SUCCEEDED")
    assert len({event["id"] for event in (begin, nodes, end)}) == 3


def test_a_stream_goes_on_behind_the_last_event_that_was_received(web: Web):
    run(web)
    first = told(opened(web).text)[0]["id"]
    assert kinds(opened(web, **{"Last-Event-ID": first}).text) == ["nodes", "ended"]


def test_events_come_as_they_happen(web: Web):
    parts = blocks(opened(web))
    assert (next(parts), next(parts)) == ("retry: 1000\n\n", ":\n\n")
    threading.Timer(0.05, start, [web]).start()
    assert kinds(next(parts)) == ["started"]
    web.orchestrator.ledger.cancel(ID)
    assert kinds("".join(parts)) == ["ended"]


def test_while_nothing_happens_a_comment_keeps_the_stream_open(
    web: Web, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.01)
    answer = opened(web)
    parts = blocks(answer)
    assert [next(parts) for _ in range(4)][1:] == [":\n\n"] * 3
    answer.close()


def test_a_stream_ends_after_a_while_and_the_next_one_goes_on(
    web: Web, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "LONGEST_STREAM_S", 0.05)
    start(web)
    (begin,) = told(opened(web).text)
    web.orchestrator.ledger.cancel(ID)
    assert kinds(opened(web, **{"Last-Event-ID": begin["id"]}).text) == ["ended"]


def test_where_the_events_are_gone_the_end_is_told_from_the_execution(web: Web):
    web.orchestrator.ledger.fail(ID, ERROR)
    (end,) = told(opened(web).text)
    (again,) = told(opened(web, **{"Last-Event-ID": end["id"]}).text)
    assert end["data"]["error_code"] == ERROR.code
    assert again["data"] == end["data"]
    assert "id" not in again, "what was the last one stays the last one"


def test_the_end_of_an_attempt_is_not_the_end_where_another_one_goes_on(web: Web):
    web.orchestrator.ledger.cancel(ID)
    web.orchestrator.ledger.reopen(ID, attempt=1, clear=[], fresh=False)
    answer = opened(web)
    parts = blocks(answer)
    next(parts)
    assert kinds(next(parts)) == ["ended", "reopened"]
    run(web)
    assert kinds("".join(parts))[-1] == "ended"


@pytest.mark.parametrize("bad", ["x", "1-", "0", "'; --", "9" * 30 + "-1", "\xff", "1-1 "])
def test_what_is_no_id_of_an_event_is_refused_with_a_hint(web: Web, bad: str):
    answer = opened(web, **{"Last-Event-ID": bad}) if bad.strip() == bad else None
    answer = answer or web.client.get(AT, environ_overrides={"HTTP_LAST_EVENT_ID": bad})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert "id of the last event" in answer.get_json()["hint"]


def test_an_empty_last_event_id_begins_anew(web: Web):
    run(web)
    assert len(told(opened(web, **{"Last-Event-ID": ""}).text)) == 3


def test_what_is_not_there_or_another_tenants_is_a_problem(web: Web):
    for answer in (
        web.client.get("/v1/executions/none/events"),
        web.client.get(AT, headers=OTHER_AUTH),
    ):
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
        assert answer.get_json()["code"] == "QMTL-401"


def test_reading_needs_no_key(web: Web):
    run(web)
    assert len(told(web.client.get(AT).text)) == 3


def test_streams_are_bounded_and_leave_places_to_requests_that_wait(web: Web):
    open_ = [opened(web) for _ in range(app.STREAMS)]
    refused = opened(web)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert refused.mimetype == "application/problem+json"
    told_of = refused.get_json()
    assert (told_of["code"], told_of["retry_after_s"]) == ("QMTL-505", 2)
    assert app.STREAMS < app.WAITING < app.THREADS
    open_.pop().close()
    assert opened(web).status_code == 200


def test_what_has_ended_is_told_also_where_no_place_is_free(web: Web):
    waiting = [opened(web) for _ in range(app.STREAMS)]
    web.orchestrator.ledger.cancel(ID)
    assert kinds(opened(web).text) == ["ended"]
    assert kinds(waiting[0].text) == ["ended"]


def test_many_events_of_what_has_ended_are_told_whole_where_no_place_is_free(
    web: Web, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reads, "MOST_READ", 1)
    waiting = [opened(web) for _ in range(app.STREAMS)]
    run(web)
    assert kinds(opened(web).text) == ["started", "nodes", "ended"]
    assert len(waiting) == app.STREAMS


def test_whoever_goes_away_before_the_first_event_gives_its_place_back(web: Web):
    for _ in range(app.STREAMS + 1):
        answer = web.client.head(AT, headers=AUTH)
        assert answer.status_code == 200
        answer.close()


def test_a_server_that_goes_away_ends_the_stream_and_refuses_the_next(web: Web):
    parts = blocks(opened(web))
    web.orchestrator.trouble_waiting = Unavailable("redis", "away")
    assert list(parts) == ["retry: 1000\n\n", ":\n\n"]


def test_the_document_tells_of_the_stream(web: Web):
    document = json.loads(web.client.get("/openapi.json").data)
    operation = document["paths"]["/v1/executions/{execution_id}/events"]["get"]
    assert operation["operationId"] == "get_events"
    schema = operation["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert schema == {"$ref": "#/components/schemas/EventView"}
    assert [p["name"] for p in operation["parameters"] if p["in"] == "header"] == ["Last-Event-ID"]
    assert {"404", "422", "503"} <= operation["responses"].keys()


# --- places ------------------------------------------------------------------------------------


def test_a_stream_has_a_place_among_those_who_wait_until_it_gives_it_back():
    room = WaitingRoom(1)
    leave = StreamRoom(1, room).enter()
    with room.enter(5.0) as allowed:
        assert allowed == 0.0
    leave()
    leave()
    with room.enter(5.0) as allowed, room.enter(5.0) as second:
        assert (allowed, second) == (5.0, 0.0)
