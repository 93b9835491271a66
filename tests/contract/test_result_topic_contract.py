"""What every result topic promises its callers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.errors import TopicAuthorizationFailedError
from kafka.producer.future import FutureProduceResult, FutureRecordMetadata

from qmtl.common.errors import Refused, Unavailable
from qmtl.common.kafka.connection import new_admin
from qmtl.common.settings import Settings
from qmtl.orchestrator.execution.kafka.result_topic import KafkaResultTopic
from qmtl.orchestrator.execution.memory.result_topic import MemoryResultTopic
from qmtl.orchestrator.execution.result_topic import ResultTopic, TopicRecord
from tests.support.servers import settings_of, start_stack, unique

IDLE_S = 0.5
TRIES = 10


@pytest.fixture(params=["memory", "kafka"])
def topics(request: pytest.FixtureRequest) -> Iterator[ResultTopic]:
    subject: ResultTopic
    if request.param == "memory":
        subject = MemoryResultTopic()
    else:
        settings = request.getfixturevalue("settings")
        subject = KafkaResultTopic(settings.kafka_servers, timeout_s=settings.connect_timeout_s)
    yield subject
    subject.close()


@pytest.fixture
def name() -> str:
    return unique("qmtl.results")


def record(topic: str, number: int, key: str = "node") -> TopicRecord:
    headers = {"content-type": "application/json", "dedupe-id": f"é{number}"}
    return TopicRecord(topic=topic, key=key, value=b'{"n":%d}' % number, headers=headers)


def pause(process: psutil.Process) -> None:
    """Suspend a process; on a busy machine it goes on for some milliseconds after the signal."""
    process.suspend()
    while process.status() != psutil.STATUS_STOPPED:
        time.sleep(0.001)


def read(topics: ResultTopic, name: str, limit: int = 10_000) -> list[TopicRecord]:
    return topics.read_all(name, idle_s=IDLE_S, limit=limit)


def test_a_broker_answers_a_ping(topics: ResultTopic) -> None:
    topics.ping()


def test_records_come_back_in_order_with_key_and_headers(topics: ResultTopic, name: str) -> None:
    records = [record(name, number) for number in range(3)]
    topics.send(records)
    assert read(topics, name) == records


def test_topics_are_apart(topics: ResultTopic, name: str) -> None:
    topics.send([record(name, 1), record(f"{name}.adhoc", 2)])
    assert read(topics, f"{name}.adhoc") == [record(f"{name}.adhoc", 2)]


def test_a_topic_that_nobody_sent_to_is_empty(topics: ResultTopic, name: str) -> None:
    assert read(topics, name) == []
    assert read(topics, name) == []  # reading did not make it either


def test_what_is_sent_later_stands_behind(topics: ResultTopic, name: str) -> None:
    topics.send([record(name, 1)])
    topics.send([record(name, 1)])
    topics.send([record(name, 2)])
    assert read(topics, name) == [record(name, 1), record(name, 1), record(name, 2)]


def test_a_topic_is_made_when_it_is_identified_and_keeps_its_id(
    topics: ResultTopic, name: str
) -> None:
    first = topics.identify([name, f"{name}.adhoc"])
    assert first.keys() == {name, f"{name}.adhoc"}
    assert all(first.values())
    assert first[name] != first[f"{name}.adhoc"]
    topics.send([record(name, 1)])
    assert topics.identify([name]) == {name: first[name]}
    assert read(topics, name) == [record(name, 1)]


def test_identifying_nothing_is_allowed(topics: ResultTopic) -> None:
    assert topics.identify([]) == {}


def test_a_topic_whose_name_kafka_refuses_is_left_out(settings: Settings, name: str) -> None:
    topics = KafkaResultTopic(settings.kafka_servers, timeout_s=settings.connect_timeout_s)
    found = topics.identify([name, "no topic!"])
    topics.close()
    assert found.keys() - {"no topic!"} == {name}


def test_a_producer_that_is_idle_is_let_go_and_made_anew(settings: Settings, name: str) -> None:
    others = set(threading.enumerate())
    with closing(KafkaResultTopic(settings.kafka_servers, timeout_s=5.0, idle_s=0.0)) as topics:
        topics.send([record(name, 1)])
        assert set(threading.enumerate()) > others
        topics.identify([name])
        assert set(threading.enumerate()) <= others
        topics.send([record(name, 2)])
        assert read(topics, name) == [record(name, 1), record(name, 2)]


def test_two_clients_tell_the_same_id(settings: Settings, name: str) -> None:
    one, other = (
        KafkaResultTopic(settings.kafka_servers, timeout_s=settings.connect_timeout_s)
        for _ in range(2)
    )
    assert one.identify([name]) == other.identify([name])


def test_a_topic_that_was_deleted_and_made_again_has_another_id(
    settings: Settings, name: str
) -> None:
    topics = KafkaResultTopic(settings.kafka_servers, timeout_s=settings.connect_timeout_s)
    first = topics.identify([name])
    topics.send([record(name, 1)])
    with closing(new_admin(settings.kafka_servers, timeout_s=settings.connect_timeout_s)) as admin:
        admin.delete_topics([name])
    second = topics.identify([name])
    assert second.keys() == first.keys()
    assert second != first
    topics.send([record(name, 2)])
    assert read(topics, name) == [record(name, 2)]
    topics.close()


def test_a_memory_topic_that_was_lost_has_another_id(name: str) -> None:
    topics = MemoryResultTopic()
    first = topics.identify([name])
    topics.send([record(name, 1)])
    topics.lose()
    assert topics.identify([name]) != first
    assert read(topics, name) == []


def test_sending_nothing_is_allowed(topics: ResultTopic) -> None:
    topics.send([])


def test_no_more_is_read_than_asked_for(topics: ResultTopic, name: str) -> None:
    topics.send([record(name, number) for number in range(5)])
    assert read(topics, name, limit=2) == [record(name, 0), record(name, 1)]


def test_thousands_of_records_arrive(topics: ResultTopic, name: str) -> None:
    records = [record(name, number) for number in range(3_000)]
    topics.send(records)
    assert read(topics, name) == records


def test_a_record_of_megabytes_arrives(topics: ResultTopic, name: str) -> None:
    large = TopicRecord(topic=name, key="node", value=b"x" * 3_000_000, headers={})
    topics.send([large, record(name, 1)])
    assert read(topics, name) == [large, record(name, 1)]


def test_a_record_that_kafka_will_never_take_is_refused_and_the_next_one_arrives(
    settings: Settings, name: str
) -> None:
    refused = TopicRecord(topic=name, key="node", value=b"x" * 9_000_000, headers={})
    topics = KafkaResultTopic(settings.kafka_servers, timeout_s=settings.connect_timeout_s)
    for _ in range(2):  # with a producer that never served, and with one that did
        with pytest.raises(Refused) as caught:
            topics.send([refused])
        assert caught.value.service == "kafka"
        topics.send([record(name, 1)])
    assert read(topics, name) == [record(name, 1)] * 2
    topics.close()


def refuse(patch: pytest.MonkeyPatch, name: str) -> None:
    """Answer for a topic as the client does where the broker lets this user not write to it."""
    send = KafkaProducer.send

    def answer(producer: KafkaProducer, topic: str, **fields: Any) -> Any:
        if topic != name:
            return send(producer, topic, **fields)
        future = FutureRecordMetadata(
            FutureProduceResult(TopicPartition(topic, 0)), -1, None, None, -1, -1, -1
        )
        return future.failure(TopicAuthorizationFailedError(topic))

    patch.setattr(KafkaProducer, "send", answer)


def test_what_arrived_beside_a_refused_record_does_not_arrive_again_with_it(
    settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = KafkaResultTopic(settings.kafka_servers, timeout_s=settings.connect_timeout_s)
    both = [record(name, 1), record(f"{name}.adhoc", 2)]
    with monkeypatch.context() as patch:
        refuse(patch, f"{name}.adhoc")
        for _ in range(2):
            with pytest.raises(Refused):
                topics.send(both)
    topics.send(both)
    topics.send([record(name, 3)])
    assert read(topics, name) == [record(name, 1), record(name, 3)]
    assert read(topics, f"{name}.adhoc") == [record(f"{name}.adhoc", 2)]
    topics.close()


def test_a_closed_topic_is_reached_again(topics: ResultTopic, name: str) -> None:
    topics.send([record(name, 1)])
    topics.close()
    if isinstance(topics, KafkaResultTopic):
        topics.send([record(name, 2)])
        assert read(topics, name) == [record(name, 1), record(name, 2)]


def test_a_broker_that_is_away_is_unavailable(name: str) -> None:
    topics = KafkaResultTopic("127.0.0.1:1", timeout_s=0.3)
    for attempt in (
        topics.ping,
        lambda: topics.send([record(name, 1)]),
        lambda: read(topics, name),
        lambda: topics.identify([name]),
    ):
        with pytest.raises(Unavailable) as caught:
            attempt()
        assert caught.value.service == "kafka"


def send_in_the_end(topics: ResultTopic, wanted: TopicRecord) -> None:
    """Send a record as a mirror does: again and again while no broker answers."""
    for _ in range(TRIES):
        try:
            topics.send([wanted])
        except Unavailable:
            continue
        return
    pytest.fail("It was never sent.")


def test_sending_goes_on_whether_a_broker_is_back_at_once_or_later(
    tmp_path: Path, name: str
) -> None:
    with start_stack(tmp_path) as stack:
        topics = KafkaResultTopic(settings_of(stack).kafka_servers, timeout_s=1.0)
        topics.send([record(name, 1)])
        stack.restart("kafka")
        send_in_the_end(topics, record(name, 2))
        assert read(topics, name)[-1] == record(name, 2)
        stack.kill("kafka")
        with pytest.raises(Unavailable):
            topics.send([record(name, 3)])
        stack.restart("kafka")
        send_in_the_end(topics, record(name, 3))
        assert read(topics, name)[-1] == record(name, 3)
        topics.close()


@pytest.mark.parametrize("later", [False, True], ids=["sent again", "and others before"])
def test_what_a_broker_took_while_it_answered_nobody_is_there_once(
    tmp_path: Path, name: str, *, later: bool
) -> None:
    with start_stack(tmp_path) as stack:
        broker = psutil.Process(stack.servers["kafka"].pid)
        topics = KafkaResultTopic(settings_of(stack).kafka_servers, timeout_s=0.5, idle_s=0.0)
        topics.identify([name])
        topics.send([record(name, 1)])
        pause(broker)
        with pytest.raises(Unavailable):
            topics.send([record(name, 2), record(name, 3)])
        broker.resume()
        topics.identify([name])
        if later:
            topics.send([record(name, 4)])
        topics.send([record(name, 2), record(name, 3)])
        wanted = [1, 2, 3, 4] if later else [1, 2, 3]
        assert read(topics, name) == [record(name, n) for n in wanted]
        topics.close()
