"""Clients of a Kafka broker, and the translation of their errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import (
    AuthorizationError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    SaslAuthenticationFailedError,
)

from qmtl.common.errors import Refused, Unavailable
from qmtl.common.kafka.ping import ping

CLIENT_ID = "qmtl"
DELIVERY_FACTOR = 3  # a batch is waited for so many times the bound of one request
DELIVERY_S = 300.0  # a producer tries to deliver a batch; whoever sends it anew may double it
RECONNECT_S = 1.0  # at most between two tries to reach a broker that is away
LINGER_MS = 5
LARGEST_RECORD_BYTES = 8 * 1024 * 1024
REFUSALS = (
    AuthorizationError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
)
CREDENTIALS_HINT = "Where the broker asks for credentials, wrong ones look the same: check them."


def new_producer(servers: str, *, timeout_s: float) -> KafkaProducer:
    """Return an idempotent producer that waits for all replicas.

    Raises:
        Unavailable: No broker answers.
    """
    ping(servers, timeout_s)
    return KafkaProducer(
        bootstrap_servers=servers.split(","),
        bootstrap_timeout_ms=_milliseconds(timeout_s),
        client_id=CLIENT_ID,
        enable_idempotence=True,
        acks="all",
        linger_ms=LINGER_MS,
        max_request_size=LARGEST_RECORD_BYTES,
        max_block_ms=_milliseconds(timeout_s),
        reconnect_backoff_max_ms=_milliseconds(RECONNECT_S),
        request_timeout_ms=_milliseconds(timeout_s),
        delivery_timeout_ms=_milliseconds(max(DELIVERY_S, DELIVERY_FACTOR * timeout_s)),
    )


def give_up(producer: KafkaProducer, *, timeout_s: float) -> None:
    """End a producer and what it has not delivered.

    Its own close() waits for what is undelivered and, where that does not come, raises and leaves
    its thread sending for ever; so the thread is ended first.
    """
    sender = producer._sender  # noqa: SLF001 - no public call ends it
    sender.force_close()
    sender.join(timeout_s)
    with suppress(KafkaError):  # an answer that is still awaited: nobody asks for it any more
        producer.close(timeout=0)


def new_admin(servers: str, *, timeout_s: float) -> KafkaAdminClient:
    """Return a client that makes topics.

    Raises:
        Unavailable: No broker answers.
    """
    ping(servers, timeout_s)
    return KafkaAdminClient(
        bootstrap_servers=servers.split(","),
        bootstrap_timeout_ms=_milliseconds(timeout_s),
        client_id=CLIENT_ID,
        request_timeout_ms=_milliseconds(timeout_s),
    )


def new_consumer(servers: str, *, timeout_s: float) -> KafkaConsumer:
    """Return a consumer of no group, which starts at the beginning of what it is assigned.

    Raises:
        Unavailable: No broker answers.
    """
    ping(servers, timeout_s)
    return KafkaConsumer(
        bootstrap_servers=servers.split(","),
        bootstrap_timeout_ms=_milliseconds(timeout_s),
        client_id=CLIENT_ID,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        fetch_max_wait_ms=100,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn the client's errors into those of QMTL; works as a decorator too.

    A broker that refuses credentials is known to the caller only as one that never answers, so
    the hint says that they may be the cause.

    Raises:
        Unavailable: The broker cannot be reached, does not answer in time, or refuses the
            credentials.
        Refused: The broker takes no such record, or has no such topic for this user.
    """
    try:
        yield
    except SaslAuthenticationFailedError as error:
        raise Unavailable(
            "kafka", "Kafka refuses the credentials.", hint="Check user and password."
        ) from error
    except REFUSALS as error:
        raise Refused(
            "kafka", f"Kafka refuses what was asked: {error}.", hint="Check the topic and its ACLs."
        ) from error
    except KafkaError as error:
        raise Unavailable(
            "kafka", f"Kafka does not do what was asked: {error}.", hint=CREDENTIALS_HINT
        ) from error


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
