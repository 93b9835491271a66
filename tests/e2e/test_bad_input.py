"""What hostile and clumsy callers send: each gets a problem of its own, nobody else suffers."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from qmtl.sdk import Client
from qmtl.stack.system import System

HEAD = """\
from qmtl.sdk import node, source, strategy

strategy("{name}", interval="1d")
prices = source(name="{name}.prices", columns=["close"], interval="1d", period=3)
"""
GOOD = """
@node()
def last(prices):
    return float(prices.iloc[-1])
"""
JSON, PYTHON, CSV = "application/json", "text/x-python", "text/csv"
STRATEGIES, EXECUTIONS = "/v1/strategies?wait=20", "/v1/executions?wait=20"
POINTS, ACTIVATE = "/v1/sources/sound.prices/points", "/v1/strategies/sound/activate"
NOBODY = "0" * 32
DEEP = "[" * 100_000 + "]" * 100_000


@dataclass(frozen=True)
class Caller:
    """Sends what no client of ours would; knows how much the logs held before."""

    system: System
    logged: Mapping[str, int]

    def send(
        self,
        method: str,
        path: str,
        body: str | bytes | Mapping[str, Any] | None = None,
        *,
        content_type: str = JSON,
        key: str | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON of the answer; a mapping is sent as JSON."""
        data = json.dumps(body) if isinstance(body, Mapping) else body
        headers = {"Authorization": f"Bearer {self.system.api_key if key is None else key}"}
        if data is not None:
            headers["Content-Type"] = content_type
        address = urlsplit(self.system.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def submit(self, text: str | bytes) -> tuple[int, dict[str, Any]]:
        return self.send("POST", STRATEGIES, text, content_type=PYTHON)


@pytest.fixture(scope="module")
def caller(system: System) -> Caller:
    """A caller of a system where ``sound`` is active and has points; ``bare`` has none."""
    made = Caller(system, {name: len(text) for name, text in logs(system).items()})
    with Client(system.url, system.api_key) as client:
        for name in ("sound", "bare"):
            client.submit_strategy(HEAD.format(name=name) + GOOD)
            client.activate_strategy(name, "staging")
        client.append_points("sound.prices", [{"ts": "2026-01-01", "close": 1.0}])
    return made


def logs(system: System) -> dict[str, str]:
    folder = system.stack.data_dir / "logs"
    return {p.name: p.read_text(errors="replace") for p in folder.glob("*.log")}


def told_secrets(system: System) -> list[str]:
    """Return the log files that hold a key or a password, and the processes whose line does."""
    settings = system.stack.settings_env()
    secrets = [
        system.api_key,
        system.flower_password,
        settings["QMTL_GRAPH_PASSWORD"],
        *(urlsplit(settings[f"QMTL_{name}_URL"]).password for name in ("BROKER", "STATE")),
    ]
    told = {**logs(system), **command_lines()}
    return [name for name, text in told.items() if any(s in text for s in secrets if s)]


def command_lines() -> dict[str, str]:
    """Return the command line of each process; none where there is no /proc."""
    lines = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines[str(path)] = path.read_text(errors="replace")
        except OSError:
            continue  # it ended meanwhile
    return lines


SOURCES = {
    "nothing": ("", "QMTL-105", "empty"),
    "a NUL": (HEAD.format(name="x") + "\0", "QMTL-102", "NUL"),
    "a syntax error": ("def (:\n", "QMTL-103", "not Python"),
    "deep brackets": ("x = " + "(" * 190 + "[" * 190, "QMTL-103", "nested"),
    "deep operators": ("x = " + "-" * 50_000 + "1", "QMTL-104", "nested too deep"),
    "deep attributes": ("x = a" + ".b" * 50_000, "QMTL-104", "nested too deep"),
    "a huge number": ("x = 1" + "0" * 5_000, "QMTL-103", "4300 digits"),
    "forbidden import": (HEAD.format(name="x") + "import os\n" + GOOD, "QMTL-111", "'os'"),
}


@pytest.mark.parametrize("what", SOURCES)
def test_a_source_that_cannot_be_read_is_refused_with_the_place(caller: Caller, what: str) -> None:
    text, code, message = SOURCES[what]
    status, problem = caller.submit(text)
    assert (status, problem["code"]) == (422, "QMTL-100")
    (first, *_) = (p for p in problem["problems"] if p["code"] == code)
    assert message in first["message"]
    assert min(first["line"], first["column"]) >= 1


def test_a_strategy_with_many_problems_is_told_all_of_them_and_nothing_is_registered(
    caller: Caller,
) -> None:
    text = (
        HEAD.format(name="ruined") + "@node()\ndef a(missing): return b\n@node()\ndef a(): yield\n"
    )
    status, problem = caller.submit(text)
    codes = {(p["line"], p["code"]) for p in problem["problems"]}
    assert status == 422
    assert {(6, "QMTL-123"), (6, "QMTL-150"), (8, "QMTL-113")} <= codes
    assert caller.send("GET", "/v1/strategies/ruined")[0] == 404
    assert caller.send("GET", "/v1/sources/ruined.prices")[0] == 404


def run(**changes: Any) -> dict[str, Any]:
    """Return the body of a trigger that would succeed but for the changes; None leaves out."""
    body = {"strategy": "sound", "environment": "staging", "as_of": "2026-02-01", **changes}
    return {name: value for name, value in body.items() if value is not None}


def point(**changes: Any) -> dict[str, Any]:
    return {"points": [{"ts": "2026-01-02", "close": 1.0, **changes}]}


# method, path, body, content type, status, code, what the answer must name
REQUESTS: dict[str, tuple[str, str, Any, str, int, str, str]] = {
    "large source": ("POST", STRATEGIES, "#" * 262_145, PYTHON, 413, "QMTL-500", "262144"),
    "not UTF-8": ("POST", STRATEGIES, b"# caf\xe9", PYTHON, 422, "QMTL-500", "byte 5"),
    "surrogate": ("POST", STRATEGIES, '{"source": "\\ud800"}', JSON, 422, "QMTL-500", "surrogate"),
    "no JSON": ("POST", STRATEGIES, "{", JSON, 400, "QMTL-500", "JSON"),
    "deep JSON": ("POST", STRATEGIES, DEEP, JSON, 400, "QMTL-500", "nested"),
    "huge JSON number": ("POST", EXECUTIONS, "9" * 100_000, JSON, 400, "QMTL-500", "range"),
    "no object": ("POST", EXECUTIONS, "[]", JSON, 422, "QMTL-500", "body"),
    "content type": ("POST", STRATEGIES, "x", "text/plain", 415, "QMTL-500", PYTHON),
    "method": ("DELETE", "/v1/strategies/sound", None, JSON, 405, "QMTL-500", "not allowed"),
    "path": ("GET", "/v1/strategies/..%2f..%2fetc", None, JSON, 404, "QMTL-200", "path"),
    "unknown field": ("POST", EXECUTIONS, run(colour=1), JSON, 422, "QMTL-500", "colour"),
    "wrong type": ("POST", EXECUTIONS, run(targets="last"), JSON, 422, "QMTL-500", "targets"),
    "limit": ("GET", "/v1/strategies?limit=-1", None, JSON, 422, "QMTL-500", "limit"),
    "cursor": ("GET", "/v1/executions?before=zzz", None, JSON, 422, "QMTL-500", "zzz"),
    "strategy": ("POST", EXECUTIONS, run(strategy="nobody"), JSON, 404, "QMTL-201", "nobody"),
    "version": (
        "POST", EXECUTIONS, run(environment=None, version=NOBODY), JSON, 404, "QMTL-202", NOBODY,
    ),
    "environment": ("POST", EXECUTIONS, run(environment="x"), JSON, 422, "QMTL-500", "staging"),
    "target": ("POST", EXECUTIONS, run(targets=["zzz"]), JSON, 404, "QMTL-402", "It binds last"),
    "not active": (
        "POST", EXECUTIONS, run(environment="production"), JSON, 409, "QMTL-403", "qmtl activate",
    ),
    "no data": (
        "POST", EXECUTIONS, run(strategy="bare"), JSON, 409, "QMTL-302",
        "/v1/sources/bare.prices/points",
    ),
    "before any data": ("POST", EXECUTIONS, run(as_of="1999-01-01"), JSON, 409, "QMTL-302", "1999"),
    "year 1": ("POST", EXECUTIONS, run(as_of="0001-01-01"), JSON, 422, "QMTL-500", "1678"),
    "no offset": (
        "POST", EXECUTIONS, run(as_of="2026-01-01T00:00:00"), JSON, 422, "QMTL-500", "offset",
    ),
    "inline column": (
        "POST", EXECUTIONS, run(inputs={"prices": [{"ts": "2026-01-01", "open": 1}]}), JSON,
        422, "QMTL-301", "inputs.prices: Row 1 has no column 'close'",
    ),
    "inline name": ("POST", EXECUTIONS, run(inputs={"x": []}), JSON, 422, "QMTL-500", "prices"),
    "activate unknown": (
        "POST", ACTIVATE, {"environment": "staging", "version": NOBODY}, JSON,
        404, "QMTL-202", NOBODY,
    ),
    "activate expected": (
        "POST", ACTIVATE, {"environment": "production", "expected": NOBODY}, JSON,
        409, "QMTL-211", "production",
    ),
    "point's type": ("POST", POINTS, point(close="1"), JSON, 422, "QMTL-301", "column 'close'"),
    "point's time": ("POST", POINTS, point(ts="soon"), JSON, 422, "QMTL-301", "'soon'"),
    "point's column": ("POST", POINTS, point(x=1), JSON, 422, "QMTL-301", "'x'"),
    "NaN": ("POST", POINTS, '{"points": [{"close": NaN}]}', JSON, 400, "QMTL-500", "JSON"),
    "CSV number": ("POST", POINTS, "ts,close\n2026-01-02,1e999\n", CSV, 422, "QMTL-301", "large"),
    "CSV column": ("POST", POINTS, "ts,open\n2026-01-02,1\n", CSV, 422, "QMTL-301", "'close'"),
    "unknown source": ("POST", "/v1/sources/no/points", point(), JSON, 404, "QMTL-204", "'no'"),
}  # fmt: skip


@pytest.mark.parametrize("what", REQUESTS)
def test_a_request_that_cannot_be_carried_out_is_told_why(caller: Caller, what: str) -> None:
    method, path, body, content_type, status, code, named = REQUESTS[what]
    answered, problem = caller.send(method, path, body, content_type=content_type)
    assert (answered, problem["code"]) == (status, code)
    assert named in json.dumps(problem, ensure_ascii=False)
    assert "Traceback" not in json.dumps(problem)


def test_points_that_were_refused_left_none_behind(caller: Caller) -> None:
    both = {"points": [point()["points"][0], {"ts": "2026-01-03", "close": "x"}]}
    assert caller.send("POST", POINTS, both)[0] == 422
    assert caller.send("GET", "/v1/sources/sound.prices")[1]["count"] == 1


@pytest.mark.parametrize("key", ["", "wrong", "x" * 4_000])
def test_a_wrong_key_opens_nothing(caller: Caller, key: str) -> None:
    for method, path in (("POST", ACTIVATE), ("GET", "/v1/strategies")):
        status, problem = caller.send(method, path, {"environment": "staging"}, key=key)
        assert (status, problem["code"]) == (401, "QMTL-501")


HOSTILE = """
@node()
def raises(prices):
    return prices.iloc[7]

@node()
def reads_it(raises):
    return 1

@node(timeout="1s")
def never_ends(prices):
    while True:
        pass

@node()
def generates(prices):
    return (x for x in [1])

@node()
def swells(prices):
    return "x" * (17 * 1024 * 1024)

@node(memory="64MB")
def devours(prices):
    return len([0] * 10**9)

@node()
def overflows(prices):
    iterator = iter([1])
    for _ in range(300_000):
        iterator = map(abs, iterator)
    return list(iterator)

@node()
def counts_far(prices):
    return 10**5000

@node()
def chatters(prices):
    print("x" * 10_000_000)
    return len(prices)
"""
ENDS = {
    "raises": ("FAILED", "QMTL-410"),
    "reads_it": ("SKIPPED", "QMTL-414"),
    "never_ends": ("TIMED_OUT", "QMTL-411"),
    "generates": ("FAILED", "QMTL-303"),
    "swells": ("FAILED", "QMTL-304"),
    "devours": ("FAILED", "QMTL-412"),
    "overflows": ("FAILED", "QMTL-413"),
    "counts_far": ("SUCCEEDED", None),
    "chatters": ("SUCCEEDED", None),
}


def test_nodes_that_misbehave_fail_alone_and_the_workers_go_on(caller: Caller) -> None:
    status, submission = caller.submit(HEAD.format(name="hostile") + HOSTILE)
    assert status == 201
    version = submission["result"]["version"]
    inputs = {"prices": [{"ts": "2026-01-01", "close": 1.0}]}
    body = run(strategy="hostile", environment=None, version=version, inputs=inputs)
    status, execution = caller.send("POST", "/v1/executions?wait=30", body)
    assert (status, execution["state"]) == (201, "FAILED")

    path = f"/v1/executions/{execution['id']}"
    nodes = {n["binding"]: n for n in caller.send("GET", f"{path}/nodes")[1]["items"]}
    assert {n: (r["state"], r["error"] and r["error"]["code"]) for n, r in nodes.items()} == ENDS
    assert len(nodes["chatters"]["logs"]) < 20_000
    traceback = nodes["raises"]["error"]["traceback"]
    assert "return prices.iloc[7]" in traceback
    assert "qmtl/" not in traceback, "the user's own lines alone"

    results = {r["binding"]: r for r in caller.send("GET", f"{path}/results")[1]["items"]}
    assert int(results["counts_far"]["value"]["$integer"], 0) == 10**5000
    status, execution = caller.send("POST", EXECUTIONS, run())
    assert (status, execution["state"]) == (201, "SUCCEEDED"), "the workers go on"


def test_afterwards_the_system_is_ready_and_its_logs_hold_no_traceback_and_no_secret(
    caller: Caller,
) -> None:
    assert caller.send("GET", "/readyz")[0] == 200
    written = {n: text[caller.logged.get(n, 0) :] for n, text in logs(caller.system).items()}
    assert [name for name, text in written.items() if "Traceback (most recent" in text] == []
    assert told_secrets(caller.system) == []
