"""The web process itself: gunicorn on real servers, asked from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from qmtl.common.settings import Settings
from tests.support.process_watch import all_end, descendants, eventually
from tests.support.servers import unique
from tests.support.strategies import DIAMOND
from tests.support.web import AUTH, KEY, sha256
from tests.support.web_process import ROOT, Server, served


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home and working folder of the process, empty at first."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def server(settings: Settings, home: Path, tmp_path: Path) -> Iterator[Server]:
    with served(settings, unique("tenant"), home=home, log=tmp_path / "web.log") as started:
        yield started


def test_it_serves_and_names_what_it_stands_on(server: Server):
    status, body = server.ask("GET", "/readyz")
    assert (status, body["status"]) == (200, "ready"), body
    assert body["checks"]["kafka"]["ok"], body


def test_a_submission_is_kept_though_no_worker_runs(server: Server):
    headers = {**AUTH, "Content-Type": "text/x-python"}
    status, submission = server.ask("POST", "/v1/strategies?wait=0.1", DIAMOND, headers)
    assert (status, submission["state"]) == (202, "QUEUED")
    again = server.ask("GET", f"/v1/submissions/{submission['id']}", headers=AUTH)
    assert again == (200, submission)


def test_a_chunked_body_is_bounded_like_any_other(server: Server):
    def chunks() -> Iterator[bytes]:
        for _ in range(33):
            yield b"#" * 2**20

    headers = {**AUTH, "Content-Type": "text/x-python", "Transfer-Encoding": "chunked"}
    status, problem = server.ask("POST", "/v1/strategies", chunks(), headers)
    assert (status, problem["title"]) == (413, "Request Entity Too Large")


def test_chunks_that_contradict_themselves_are_the_callers_mistake(server: Server):
    head = (
        "POST /v1/strategies HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Type: text/x-python\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"no size\r\nabc\r\n0\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 400
        assert "chunks" in json.load(answer)["detail"]


STALLED = {
    "a connection that sends nothing": b"",
    "half a request line": b"GET /heal",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: here\r\nX-Slow: ",
    "half a body": (
        "POST /v1/strategies HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n"
        f"Content-Type: text/x-python\r\nAuthorization: Bearer {KEY}\r\n\r\nstrategy("
    ).encode(),
}


@pytest.mark.parametrize("sent", STALLED.values(), ids=STALLED)
def test_connections_that_stall_do_not_keep_others_out(server: Server, sent: bytes):
    with ExitStack() as stalled:
        for _ in range(60):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            stalled.enter_context(connection).sendall(sent)
        assert server.ask("GET", "/healthz")[0] == 200


def test_a_body_that_never_comes_is_answered_with_408(server: Server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(STALLED["half a body"])
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 408
        assert json.load(answer)["detail"] == "The body did not come in time."


def test_a_body_that_is_cut_off_is_not_taken_for_the_whole(server: Server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(STALLED["half a body"])
        connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 400
        assert json.load(answer)["detail"] == "The body ended after 9 of 1000 bytes."


def test_a_slow_body_that_goes_on_coming_is_read(server: Server):
    text = DIAMOND.encode()
    head = (
        f"POST /v1/strategies HTTP/1.1\r\nHost: here\r\nContent-Length: {len(text)}\r\n"
        f"Content-Type: text/x-python\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        for start in range(0, len(text), 100):
            time.sleep(0.2)
            connection.sendall(text[start : start + 100])
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 202, answer.read()


def test_sigterm_ends_all_of_it_and_nothing_is_left_behind(server: Server, home: Path):
    workers = descendants(server.process.pid)
    assert len(workers) == 2
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=30) == 0
    assert all_end(workers)
    assert list(home.iterdir()) == []


def test_the_log_is_json_without_keys(server: Server):
    server.ask("GET", "/v1/strategies?limit=3", headers={**AUTH, "X-Request-Id": "seen-1"})
    assert eventually(lambda: "seen-1" in server.log.read_text())  # after the answer
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    request = next(line for line in lines if line.get("request_id") == "seen-1")
    assert (request["path"], request["status"], request["caller"]) == (
        "/v1/strategies",
        200,
        "tests",
    )
    assert KEY not in server.log.read_text()
    assert sha256(KEY) not in server.log.read_text()


def test_malformed_keys_end_it_at_once_with_the_variable_and_no_secret(home: Path):
    done = subprocess.run(
        [sys.executable, "-m", "workers.web"],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT), "QMTL_API_KEYS": "tests:default:hush"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "QMTL_API_KEYS" in done.stderr
    assert "hush" not in done.stderr
