"""Topics of a Kafka broker: making them, and the ids by which a lost one is told from a new one.

A topic that is made again under its name gets another id. Apache Kafka (2.8 and newer) keeps the
id with the topic; the embedded broker keeps nothing, so there a restart changes every id.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from qmtl.common.kafka import connection

TOPIC_CONFIGS = {"max.message.bytes": str(connection.LARGEST_RECORD_BYTES)}
NO_ID = str(uuid.UUID(int=0))  # of a broker that is older than topic ids
log = logging.getLogger("qmtl.mirror")


@dataclass(frozen=True, slots=True)
class Found:
    """What a broker tells of topics: ids of those it has ("" for none told), and the missing."""

    ids: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def find(admin: KafkaAdminClient, topics: Sequence[str]) -> Found:
    """Return ids and what is missing; a topic that this user may not see is in neither."""
    found = Found()
    if not topics:
        return found
    for told in admin.describe_topics(list(topics)):
        error = for_code(told["error_code"])
        if issubclass(error, UnknownTopicOrPartitionError):
            found.missing.append(told["name"])
        elif issubclass(error, connection.REFUSALS):
            log.warning("Topic %s is refused: %s", told["name"], error.__name__)
        else:
            found.ids[told["name"]] = _id(told.get("topic_id"))
    return found


def make(admin: KafkaAdminClient, topic: str, *, partitions: int) -> None:
    """Make a topic where it is missing, and return once every partition has a leader."""
    wanted = {
        "num_partitions": partitions,
        "replication_factor": 1,
        "configs": TOPIC_CONFIGS,
    }
    with suppress(TopicAlreadyExistsError):
        admin.create_topics({topic: wanted}, wait_for_metadata=True)


def identify(admin: KafkaAdminClient, topics: Sequence[str], *, partitions: int) -> dict[str, str]:
    """Make what is missing and return all ids; what is refused is logged and left out."""
    found = find(admin, topics)
    made = list(_make_each(admin, found.missing, partitions))
    return found.ids | find(admin, made).ids


def _make_each(admin: KafkaAdminClient, topics: Sequence[str], partitions: int) -> Iterator[str]:
    for topic in topics:
        try:
            make(admin, topic, partitions=partitions)
        except connection.REFUSALS as error:
            log.warning("Topic %s is refused: %s", topic, error)
        else:
            yield topic


def _id(told: Any) -> str:
    text = "" if told is None else str(told)
    return "" if text == NO_ID else text
