"""While an execution runs, any one process or server is killed: it still ends with every result."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import pytest

from qmtl.common.errors import Unavailable
from qmtl.common.settings import Settings
from qmtl.orchestrator.execution.kafka.result_topic import KafkaResultTopic
from qmtl.sdk import Client, Pipeline
from qmtl.stack.system import System
from tests.support.strategies import AFTER_THE_LAST, rows

PATIENCE_S = 60.0
PRICES = count(1_000)
T = TypeVar("T")
Digests = dict[str, str | None]

# prices -> four slow nodes side by side -> total -> four slow nodes again -> end
SLOW = """\
from qmtl.sdk import node, source, strategy

strategy("slow", interval="1d")

prices = source(name="slow.prices", columns=["close"], interval="1d", period=3)


def work(rounds, start):
    x = start
    for i in range(rounds):
        x = (x * 31 + i) % 1_000_003
    return x
"""
for letter in "abcd":
    SLOW += f"""

@node
def {letter}(prices, *, rounds: int = 4_000_000):
    return work(rounds, len(prices) + {ord(letter)})


@node(inputs={{"total": "total"}})
def {letter}_again(total, *, rounds: int = 4_000_000):
    return work(rounds, total + {ord(letter)})
"""
SLOW += """

@node
def total(a, b, c, d):
    return a + b + c + d


@node
def end(a_again, b_again, c_again, d_again):
    return a_again + b_again + c_again + d_again
"""


@pytest.fixture(scope="module")
def expected() -> Digests:
    """The digests of a local run."""
    local = Pipeline.from_source(SLOW).execute({"prices": rows()}, as_of=AFTER_THE_LAST)
    return {name: result.digest for name, result in local.items()}


@pytest.fixture(scope="module")
def deployed(system: System) -> None:
    with Client(system.url, system.api_key) as client:
        client.submit_strategy(SLOW)
        client.activate_strategy("slow", "development")
        client.append_points("slow.prices", rows())


def patiently(ask: Callable[[], T]) -> T:
    """Ask again while the API is away: it may be what was killed."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def run_and_kill(client: Client, kill: Callable[[], None]) -> tuple[str, Digests]:
    """Kill something once the first node is done; return id and digests of the execution.

    A corrected price makes it compute everything, although nothing that it computes depends on it.
    """
    client.append_points("slow.prices", [{**rows()[-1], "close": float(next(PRICES))}])
    execution = client.trigger_pipeline("slow", environment="development", as_of=AFTER_THE_LAST)
    end = time.monotonic() + PATIENCE_S
    while not client.get_status(execution["id"])["nodes_done"]:
        assert time.monotonic() < end, "no node was done before anything was killed"
        time.sleep(0.02)
    assert client.get_status(execution["id"])["state"] == "RUNNING"
    kill()
    while (found := patiently(lambda: client.get_status(execution["id"])))["state"] == "RUNNING":
        assert time.monotonic() < end, f"not ended: {found}"
        time.sleep(0.1)
    assert found["state"] == "SUCCEEDED"
    results = patiently(lambda: client.get_results(execution["id"]))
    return execution["id"], {name: result.digest for name, result in results.items()}


def mirrored(system: System, execution_id: str, count: int) -> Digests:
    """Wait until so many bindings of an execution are in Kafka, and return their digests."""
    settings = Settings.from_env(system.environ)
    topic = KafkaResultTopic(settings.kafka_servers, timeout_s=5.0)
    end = time.monotonic() + PATIENCE_S
    while True:
        records = topic.read_all(settings.results_topic, idle_s=0.5, limit=10_000)
        documents = [json.loads(record.value) for record in records]
        found = {d["binding"]: d["digest"] for d in documents if d["execution_id"] == execution_id}
        if len(found) == count:
            topic.close()
            return found
        assert time.monotonic() < end, f"{len(found)} of {count} results reached Kafka"
        time.sleep(0.2)


@pytest.mark.parametrize(
    "name", ["web", "worker_control", "worker_nodes", "mirror", "beat", "flower"]
)
def test_a_killed_process_is_started_again_and_the_execution_ends(
    system: System, client: Client, deployed: None, expected: Digests, name: str
) -> None:
    before = {n: p.pid for n, p in system.processes().items()}
    execution_id, found = run_and_kill(client, lambda: os.kill(before[name], signal.SIGKILL))
    assert found == expected
    assert mirrored(system, execution_id, len(expected)) == expected
    end = time.monotonic() + PATIENCE_S
    while system.processes()[name].pid in {0, before[name]}:
        assert time.monotonic() < end, f"{name} was not started again"
        time.sleep(0.1)
    others = {n: p.pid for n, p in system.processes().items() if n != name}
    assert others == {n: pid for n, pid in before.items() if n != name}


@pytest.mark.parametrize("name", ["redis", "graph", "kafka"])
def test_a_killed_server_is_restarted_and_the_execution_ends(
    system: System, client: Client, deployed: None, expected: Digests, name: str
) -> None:
    def kill() -> None:
        system.stack.kill(name)
        system.stack.restart(name)

    _, found = run_and_kill(client, kill)
    assert found == expected
    assert "slow" in [s["name"] for s in patiently(client.list_strategies)]
