"""Events of an execution: how a stream is read, and how a client follows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qmtl.common.errors import (
    Crowded,
    ExecutionFailed,
    QmtlError,
    Unavailable,
    UnknownExecution,
)
from qmtl.sdk import client_executions
from qmtl.sdk.client import Client
from qmtl.sdk.event_stream import Message, messages
from qmtl.sdk.transport import Request
from qmtl.web import events
from tests.support.shell import STRATEGY
from tests.unit.sdk.served import Served, serving

AS_OF = "2026-01-04"
ROWS = [{"ts": f"2026-01-0{day}", "close": day} for day in (1, 2, 3)]
SLOW = STRATEGY.replace("    return prices\n", "    return len([n for n in range(9_000_000)])\n")
SLOW = SLOW.replace("float(table.mean())", "float(table)").replace('"tiny"', '"slow"')
ENDLESS = STRATEGY.replace('"tiny"', '"endless"').replace(
    "@node()\ndef table(prices):", '@node(timeout="2s")\ndef table(prices):\n    while True: pass'
)


def read(text: str) -> list[Message]:
    return list(messages(line.encode() for line in text.splitlines(keepends=True)))


def test_messages_are_told_apart_by_empty_lines() -> None:
    text = "id: 1-0\nevent: a\ndata: {}\n\nid: 2-0\r\nevent: b\r\ndata: 1\r\ndata: 2\r\n\r\n"
    assert read(text) == [Message("a", "{}", "1-0"), Message("b", "1\n2", "2-0")]


def test_comments_times_and_what_has_no_data_are_passed_over() -> None:
    assert read("retry: 1000\n\n:\n\n: still here\n\nevent: a\n\ndata:x\n\n") == [
        Message("message", "x")
    ]


def test_a_message_without_an_id_has_the_latest() -> None:
    assert read("id: 1-0\ndata: a\n\ndata: b\n\n")[1] == Message("message", "b", "1-0")


def test_a_message_that_is_cut_off_is_none() -> None:
    assert read("data: a\n\nevent: b\ndata: {") == [Message("message", "a")]


# --- a client ----------------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.key, timeout_s=10) as connected:
        for source in (STRATEGY, SLOW, ENDLESS):
            connected.submit_strategy(source)
        connected.append_points("px", ROWS)
        yield connected


def started(client: Client, strategy: str = "tiny") -> str:
    version = client._items(f"/v1/strategies/{strategy}/versions")[0]["version"]
    execution = client.trigger_pipeline(strategy, version=version, as_of=AS_OF)
    return str(execution["id"])


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in found]


def test_an_execution_is_followed_to_its_end(client: Client) -> None:
    found = list(client.events(started(client, "slow")))
    assert kinds(found) == ["started", *["nodes"] * (len(found) - 2), "ended"]
    assert sum(event["counts"]["SUCCEEDED"] for event in found[1:-1]) == 2
    assert found[-1]["nodes_done"] == found[-1]["nodes_total"] == 2


def test_a_stream_that_breaks_off_is_taken_up_behind_the_last_event(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LONGEST_STREAM_S", 0.01)
    monkeypatch.setattr(client_executions, "PAUSE_S", 0.01)
    execution_id = started(client, "slow")
    served.faults.seen.clear()
    found = list(client.events(execution_id))
    assert len(served.faults.seen) > 1
    assert (kinds(found)[0], kinds(found)[-1]) == ("started", "ended")
    assert len({event["id"] for event in found}) == len(found), "none comes twice"


def test_events_behind_one_may_be_asked_for(client: Client) -> None:
    execution_id = started(client)
    everything = list(client.events(execution_id))
    assert list(client.events(execution_id, after=everything[0]["id"])) == everything[1:]


def test_the_end_is_told_also_to_whoever_knows_it(client: Client) -> None:
    execution_id = started(client)
    end = list(client.events(execution_id))[-1]
    assert list(client.events(execution_id, after=end["id"])) == [end]


def test_other_requests_may_be_made_between_two_events(client: Client) -> None:
    execution_id = started(client, "slow")
    states = [client.get_status(execution_id)["state"] for _ in client.events(execution_id)]
    assert states[-1] == "SUCCEEDED"


def test_what_does_not_end_in_time_is_followed_no_longer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    execution_id = started(client, "endless")
    with pytest.raises(ExecutionFailed, match=r"has not ended within 0\.2 s"):
        list(client.events(execution_id, timeout_s=0.2))
    client.cancel_execution(execution_id)


def test_where_no_place_is_free_it_is_asked_for_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = started(client, "slow")
    asked, stream = [], client._transport.stream

    def crowded_once(request: Request) -> Any:
        asked.append(request)
        if len(asked) == 1:
            raise Crowded("As many event streams are open.", retry_after_s=0)
        return stream(request)

    monkeypatch.setattr(client._transport, "stream", crowded_once)
    assert kinds(list(client.events(execution_id)))[-1] == "ended"
    assert len(asked) > 1


def test_a_server_that_goes_away_meanwhile_is_asked_again_once_it_is_back(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LONGEST_STREAM_S", 0.01)
    monkeypatch.setattr(client_executions, "PAUSE_S", 0.01)
    execution_id = started(client, "slow")
    asked, stream = [], client._transport.stream

    def away_at_times(request: Request) -> Any:
        asked.append(request)
        if len(asked) in {2, 3}:
            raise Unavailable("api", "The server cannot be reached.")
        return stream(request)

    monkeypatch.setattr(client._transport, "stream", away_at_times)
    found = list(client.events(execution_id))
    assert (kinds(found)[0], kinds(found)[-1]) == ("started", "ended")
    assert len(asked) > 3


def test_a_server_that_is_not_there_is_told_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Request) -> Any:
        raise Unavailable("api", "The server cannot be reached.")

    monkeypatch.setattr(client._transport, "stream", away)
    with pytest.raises(Unavailable):
        next(client.events("any"))


def test_what_is_unknown_or_no_id_is_refused(client: Client) -> None:
    with pytest.raises(UnknownExecution):
        next(client.events("none"))
    with pytest.raises(QmtlError, match="not the id of an event"):
        next(client.events(started(client), after="x"))


def test_an_answer_that_is_no_stream_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_executions, "_path", lambda *_: "/healthz")
    with pytest.raises(QmtlError, match="no event stream"):
        next(client.events("any"))
