"""The events of an execution: written by real workers, read over HTTP while it runs."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_celery import CeleryWorkerCluster

from qmtl.bootstrap import System
from qmtl.common.errors import Crowded
from qmtl.common.settings import Settings
from qmtl.sdk.client import Client
from qmtl.sdk.event_stream import messages
from qmtl.sdk.transport import EVENT_STREAM, Request, Transport
from qmtl.web.app import STREAMS
from tests.support.celery_cluster.pipeline import VALUES, activate, activate_here, trigger
from tests.support.web import KEY
from tests.support.web_process import Server, served
from workers.web import PROCESSES


@pytest.fixture
def server(cluster_settings: Settings, tenant: str, tmp_path: Path) -> Iterator[Server]:
    with served(cluster_settings, tenant, home=tmp_path, log=tmp_path / "web.log") as started:
        yield started


def test_an_execution_is_followed_from_its_start_to_its_end(
    celery_worker_cluster: CeleryWorkerCluster, system: System, server: Server, tenant: str
) -> None:
    activate(system, tenant)
    with Client(server.url, KEY) as client:
        execution_id = trigger(system, tenant)
        events = list(client.events(execution_id, timeout_s=60))
        again = list(client.events(execution_id, after=events[0]["id"]))
        nodes = client.get_execution_nodes(execution_id)
    kinds = Counter(event["kind"] for event in events)
    assert (events[0]["kind"], events[-1]["kind"]) == ("started", "ended")
    assert (kinds["started"], kinds["ended"]) == (1, 1)
    assert kinds["stage"] == events[0]["stages"] - 1 > 0, "several stages"
    told = [node_id for event in events for node_id in event.get("node_ids", ())]
    assert sorted(told) == sorted(node["node_id"] for node in nodes)
    assert [e["nodes_done"] for e in events] == sorted(e["nodes_done"] for e in events)
    assert events[-1]["nodes_done"] == events[-1]["nodes_total"] == len(VALUES)
    assert events[-1]["state"] == "SUCCEEDED"
    assert again == events[1:]


@pytest.mark.workers("nodes")
def test_events_come_while_nodes_are_computed(
    celery_worker_cluster: CeleryWorkerCluster, system: System, server: Server, tenant: str
) -> None:
    activate_here(system, tenant, rounds=10_000_000)
    with Client(server.url, KEY) as client:
        execution_id = trigger(system, tenant)
        seen = {}
        for event in client.events(execution_id, timeout_s=60):
            seen[event["kind"]] = client.get_status(execution_id)["state"]
            if event["kind"] == "started":
                assert event["nodes_done"] < event["nodes_total"]
    assert (seen["started"], seen["ended"]) == ("RUNNING", "SUCCEEDED")


def test_streams_of_what_does_not_end_keep_no_other_request_from_being_served(
    system: System, server: Server, tenant: str
) -> None:
    activate_here(system, tenant, rounds=1)
    execution_id = trigger(system, tenant)  # no worker plans it
    transport = Transport(server.url, KEY, timeout_s=10, sleep=lambda _: None)
    request = Request("GET", f"/v1/executions/{execution_id}/events", {}, {"Accept": EVENT_STREAM})
    opened, refused = [], 0
    for _ in range(10 * PROCESSES * STREAMS):  # whichever process accepts them
        stream = transport.stream(request)
        try:
            lines = stream.__enter__()
        except Crowded:
            refused += 1
        else:
            opened.append((stream, messages(lines)))
    assert STREAMS <= len(opened) <= PROCESSES * STREAMS
    assert refused
    for _ in range(20):
        assert server.ask("GET", "/healthz")[0] == 200
        with Client(server.url, KEY) as client:
            assert client.get_status(execution_id)["state"] == "PENDING"
    with Client(server.url, KEY) as client:
        client.cancel_execution(execution_id)
    for stream, told in opened:
        assert [message.event for message in told] == ["ended"]
        stream.__exit__(None, None, None)


def test_a_stream_keeps_no_process_from_stopping(
    system: System, server: Server, tenant: str
) -> None:
    activate_here(system, tenant, rounds=1)
    execution_id = trigger(system, tenant)
    request = Request("GET", f"/v1/executions/{execution_id}/events", {}, {"Accept": EVENT_STREAM})
    with Transport(server.url, KEY, timeout_s=10).stream(request) as lines:
        assert next(lines).startswith(b"retry:")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 0
        assert list(messages(lines)) == []
