"""Topics of results in Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from secrets import token_hex
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from qmtl.common.errors import Refused, Unavailable
from qmtl.common.kafka import connection
from qmtl.common.kafka.ping import ping
from qmtl.orchestrator.execution.kafka import topics as kafka_topics
from qmtl.orchestrator.execution.result_topic import DEDUPE_HEADER, TopicRecord

POLL_MS = 100
IDLE_S = 10.0  # after so long without a record a producer is let go
AWAITED_S = 600.0  # the same while it knows of records that somebody may ask for again
MOST_AWAITED = 20_000  # more are forgotten once they have arrived

_Key = tuple[str, str, str]  # topic, node, dedupe id


class KafkaResultTopic:
    """Sends records with an idempotent producer, made when first needed.

    A broker that is away is waited for by the same producer: it alone can repeat a batch so that
    the broker knows it again. What it was given is not given to it twice: whoever sends a record
    once more waits for the first one. So what arrived beside a record that was refused does not
    arrive again with it.

    A broker that lost its data never accepts the old producer again, and has lost the topics too.
    Then, and where a batch has failed for good, both are made anew. A producer that is idle is let
    go: where the broker goes away meanwhile, its thread would keep a core busy until the next
    record.
    """

    def __init__(
        self, servers: str, *, timeout_s: float, partitions: int = 1, idle_s: float = IDLE_S
    ) -> None:
        self._servers = servers
        self._timeout_s = timeout_s
        self._partitions = partitions
        self._idle_s = idle_s
        self._sent_at = 0.0
        self._producer: KafkaProducer | None = None
        self._awaited: dict[_Key, Any] = {}  # what a call did not see arrive, with its future
        self._known: set[str] = set()
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()

    def ping(self) -> None:
        ping(self._servers, self._timeout_s)

    def identify(self, topics: Sequence[str]) -> dict[str, str]:
        if not topics:
            return {}
        with self._lock:
            idle_s = AWAITED_S if self._awaited else self._idle_s
            if time.monotonic() - self._sent_at > idle_s:
                self._discard()
            found = self._identify(sorted(topics))
            if self._are_new(found):
                self._discard()  # it would number its records for topics that are gone
            self._ids |= found
            self._known |= found.keys()
            return found

    @connection.translated()
    def _identify(self, topics: Sequence[str]) -> dict[str, str]:
        with closing(connection.new_admin(self._servers, timeout_s=self._timeout_s)) as admin:
            return kafka_topics.identify(admin, topics, partitions=self._partitions)

    def send(self, records: Sequence[TopicRecord]) -> None:
        if not records:
            return
        with self._lock:
            try:
                self._send_or_retry(records)
            except Refused:
                self._discard_all_but_arrived()
                raise

    def _send_or_retry(self, records: Sequence[TopicRecord]) -> None:
        try:
            self._send(records)
        except Unavailable:
            if self._producer is None or not self._is_useless(records):
                raise
            self._discard()
            self._send(records)

    def _is_useless(self, records: Sequence[TopicRecord]) -> bool:
        """Tell whether the producer will not deliver them, however long one waits."""
        if any(future.failed() for future in self._awaited.values()):
            return True
        topics = sorted({record.topic for record in records})
        try:
            with closing(connection.new_admin(self._servers, timeout_s=self._timeout_s)) as admin:
                found = kafka_topics.find(admin, topics)
        except (Unavailable, KafkaError):
            return False
        return bool(found.missing) or self._are_new(found.ids)

    def _are_new(self, ids: Mapping[str, str]) -> bool:
        """Tell whether a topic was made again since it was identified."""
        return any(self._ids.get(topic, topic_id) != topic_id for topic, topic_id in ids.items())

    @connection.translated()
    def _send(self, records: Sequence[TopicRecord]) -> None:
        if self._producer is None:
            self._producer = connection.new_producer(self._servers, timeout_s=self._timeout_s)
        self._make_topics({record.topic for record in records} - self._known)
        ends = time.monotonic() + connection.DELIVERY_FACTOR * self._timeout_s
        if len(self._awaited) > MOST_AWAITED:
            self._awaited = {k: f for k, f in self._awaited.items() if not f.succeeded()}
        keys = [_key(record) for record in records]
        for key, record in zip(keys, records, strict=True):
            future = self._awaited.get(key)
            if future is None or future.failed():
                self._awaited[key] = self._producer.send(
                    record.topic,
                    key=record.key.encode(),
                    value=record.value,
                    headers=[(name, text.encode()) for name, text in record.headers.items()],
                )
        self._sent_at = time.monotonic()
        self._producer.flush(timeout=max(0.0, ends - time.monotonic()))
        for key in keys:
            self._awaited[key].get(timeout=max(0.0, ends - time.monotonic()))
        for key in keys:
            self._awaited.pop(key, None)

    def _make_topics(self, topics: set[str]) -> None:
        if not topics:
            return
        with closing(connection.new_admin(self._servers, timeout_s=self._timeout_s)) as admin:
            for topic in sorted(topics):
                kafka_topics.make(admin, topic, partitions=self._partitions)
                self._known.add(topic)

    def _discard(self) -> None:
        """Let go of the producer and of what it knew; what it still holds is given up."""
        producer, self._producer = self._producer, None
        self._known.clear()
        self._awaited.clear()
        if producer is not None:
            connection.give_up(producer, timeout_s=self._timeout_s)

    def _discard_all_but_arrived(self) -> None:
        """Let go of the producer once it delivered what it can; that may be asked for again."""
        if self._producer is not None:
            with suppress(KafkaError):
                self._producer.flush(timeout=self._timeout_s)
        arrived = {key: future for key, future in self._awaited.items() if future.succeeded()}
        self._discard()
        self._awaited = arrived

    @connection.translated()
    def read_all(self, topic: str, *, idle_s: float, limit: int) -> list[TopicRecord]:
        found: list[TopicRecord] = []
        consumer = connection.new_consumer(self._servers, timeout_s=self._timeout_s)
        with closing(consumer):
            partitions = [TopicPartition(topic, p) for p in _partitions(consumer, topic)]
            if not partitions:
                return []
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            for partition in partitions:  # else idle time would run while the broker is asked
                consumer.position(partition, timeout_ms=round(self._timeout_s * 1000))
            ends = time.monotonic() + idle_s
            # A broker's end offset is not to be trusted; that nothing comes any more is.
            while len(found) < limit and time.monotonic() < ends:
                batches = consumer.poll(timeout_ms=POLL_MS, max_records=limit - len(found))
                for batch in batches.values():
                    found += (_record(each) for each in batch)
                    ends = time.monotonic() + idle_s
        return found

    def close(self) -> None:
        with self._lock:
            self._discard()


def _key(record: TopicRecord) -> _Key:
    """Return what equal records have in common; one without a dedupe id is like no other."""
    return record.topic, record.key, record.headers.get(DEDUPE_HEADER) or token_hex(8)


def _partitions(consumer: Any, topic: str) -> list[int]:
    """Return a topic's partitions, none where it does not exist."""
    if topic not in consumer.topics():
        return []
    return sorted(consumer.partitions_for_topic(topic) or ())


def _record(message: Any) -> TopicRecord:
    return TopicRecord(
        topic=message.topic,
        key=(message.key or b"").decode(),
        value=message.value or b"",
        headers={name: value.decode() for name, value in message.headers},
    )
