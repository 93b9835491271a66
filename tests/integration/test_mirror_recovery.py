"""A broker that loses its topics gets again what the outbox retains."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from qmtl.common.codec import encode
from qmtl.common.errors import QmtlError
from qmtl.common.kafka import connection
from qmtl.common.settings import Settings
from qmtl.orchestrator.execution.kafka.result_topic import KafkaResultTopic
from qmtl.orchestrator.execution.mirror import Mirror
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.shape import Limits
from qmtl.registry.api import Registry
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from qmtl.stack.api import Stack
from tests.support.ledgers import LedgerUnderTest, plan_of, redis_ledger, started, succeeded
from tests.support.servers import profile, settings_of, start_stack, unique

CARRY_FOR_S = 60.0
LIMITS = Limits(60.0, 1024)


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers of this module, whose broker may be stopped."""
    with start_stack(Path(tmp_path_factory.mktemp("mirror"))) as running:
        yield running


@pytest.fixture
def here(own_stack: Stack) -> Settings:
    return settings_of(own_stack)


def commit(subject: LedgerUnderTest, node_id: str) -> str:
    ledger = subject.ledger
    execution_id = started(ledger, plan_of([[node_id]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    ledger.commit(execution_id, 0, 0, token, [succeeded(node_id, encode(1))], done=True)
    return execution_id


class MirrorProcess:
    """A mirror with connections of its own, as each process has."""

    def __init__(self, settings: Settings, reader: str = "mirror") -> None:
        self.subject = redis_ledger(settings)
        self.topic = KafkaResultTopic(settings.kafka_servers, timeout_s=settings.connect_timeout_s)
        self.reader = reader
        registry = Registry(MemoryGraphStore(), MemoryStateStore(), MemoryPointStore())
        recent = Recents(self.subject.ledger, registry, LIMITS)
        self.mirror = Mirror(
            self.subject.ledger, self.subject.outbox, self.topic, recent, settings.results_topic
        )

    def carry(self) -> None:
        """Mirror until nothing is left."""
        while self.mirror.carry(self.reader, wait_s=0.0):
            pass

    def close(self) -> None:
        self.topic.close()


def lose_topics(stack: Stack, *topics: str) -> None:
    """Restart a broker that keeps nothing; of one that keeps its data, delete the topics."""
    if profile() == "embedded":
        stack.kill("kafka")
        stack.restart("kafka")
        return
    settings = settings_of(stack)
    with closing(connection.new_admin(settings.kafka_servers, timeout_s=5.0)) as admin:
        admin.delete_topics(list(topics))


def consumed(settings: Settings) -> Counter[str]:
    """Return how often each execution stands on the topic."""
    with closing(KafkaResultTopic(settings.kafka_servers, timeout_s=5.0)) as topic:
        records = topic.read_all(settings.results_topic, idle_s=0.5, limit=10_000)
    return Counter(json.loads(record.value)["execution_id"] for record in records)


def distinct(settings: Settings) -> set[str]:
    """Return the dedupe ids, of which a consumer takes each once."""
    with closing(KafkaResultTopic(settings.kafka_servers, timeout_s=5.0)) as topic:
        records = topic.read_all(settings.results_topic, idle_s=0.5, limit=10_000)
    return {record.headers["dedupe-id"] for record in records}


def test_what_is_retained_comes_again_after_the_broker_lost_everything(
    own_stack: Stack, here: Settings
) -> None:
    mirror = MirrorProcess(here)
    ids = {commit(mirror.subject, "a") for _ in range(5)}
    mirror.carry()
    before = distinct(here)
    assert consumed(here).keys() == ids
    lose_topics(own_stack, here.results_topic)
    mirror.close()  # the next process sees it, too: what is known stands beside the outbox
    after = MirrorProcess(here, "next")
    after.carry()
    assert consumed(here) == dict.fromkeys(ids, 1)
    assert distinct(here) == before
    ids.add(commit(after.subject, "b"))
    after.carry()
    assert consumed(here) == dict.fromkeys(ids, 1)
    assert after.subject.outbox.backlog() == 0
    after.close()


def test_two_mirrors_that_race_lose_nothing_while_the_broker_is_restarted(
    own_stack: Stack, here: Settings
) -> None:
    done = threading.Event()

    def run(process: MirrorProcess) -> None:
        while not done.is_set():
            try:
                process.mirror.carry(process.reader, wait_s=0.1)
            except QmtlError:
                done.wait(0.1)

    mirrors = [MirrorProcess(here, f"mirror-{number}") for number in range(2)]
    threads = [threading.Thread(target=run, args=(mirror,)) for mirror in mirrors]
    for thread in threads:
        thread.start()
    writer = redis_ledger(here)
    ids = {commit(writer, "a") for _ in range(150)}
    lose_topics(own_stack, here.results_topic)
    ids |= {commit(writer, "b") for _ in range(50)}
    found: Counter[str] = Counter()
    for _ in range(round(CARRY_FOR_S)):
        found = consumed(here)
        if found.keys() == ids and not writer.outbox.backlog():
            break
        done.wait(1.0)
    done.set()
    for thread in threads:
        thread.join()
    for mirror in mirrors:
        mirror.close()
    assert found.keys() == ids
    assert writer.outbox.backlog() == 0
    assert len(distinct(here)) == len(ids)


def test_a_producer_that_is_given_up_sends_nothing_later(own_stack: Stack, here: Settings) -> None:
    others = set(threading.enumerate())
    name = unique("qmtl.results")
    with closing(KafkaResultTopic(here.kafka_servers, timeout_s=5.0)) as topic:
        topic.identify([name])
    producer = connection.new_producer(here.kafka_servers, timeout_s=5.0)
    producer.send(name, b"{}").get(timeout=5.0)
    own_stack.kill("kafka")
    undelivered = producer.send(name, b"{}")
    connection.give_up(producer, timeout_s=5.0)
    assert undelivered.failed()
    assert set(threading.enumerate()) <= others  # its thread would try on
    own_stack.restart("kafka")
