"""What becomes of messages that a worker has taken and not done."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from kombu import Connection

from qmtl.common.settings import Settings
from qmtl.tasks import transport
from qmtl.tasks.app import NODES, make_app
from qmtl.tasks.canvas import CeleryDispatcher


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    app = make_app(settings)
    CeleryDispatcher(app).advance("acme", "x", 0)
    with app.connection_for_write() as opened:
        yield opened


def taken(connection: Connection) -> transport.Channel:
    """Take the message, and return the channel that has it."""
    channel = connection.default_channel
    assert isinstance(channel, transport.Channel)
    channel.basic_consume(NODES, no_ack=False, callback=lambda _: None, consumer_tag="t")
    connection.drain_events(timeout=10)
    assert channel._size(NODES) == 0
    return channel


def marked(channel: transport.Channel) -> list[bool]:
    """Tell of each message that a channel has whether its task would hear that it came back."""
    return [bool(m.delivery_info.get(transport.MARK)) for m in channel.qos._delivered.values()]


def taken_again(channel: transport.Channel, connection: Connection) -> list[bool]:
    """Take what was put back, and tell of each message whether it is marked."""
    channel.qos._flush()
    connection.drain_events(timeout=10)
    return marked(channel)


def test_one_is_marked_when_its_child_died_and_no_longer_when_its_channel_is_closed(
    connection: Connection,
) -> None:
    channel = taken(connection)
    assert marked(channel) == [False]
    for _ in range(2):
        (tag,) = channel.qos._delivered
        channel.basic_reject(tag, requeue=True)
        assert taken_again(channel, connection) == [True]
    channel.qos.restore_unacked()
    assert taken_again(channel, connection) == [False]


def test_they_are_put_back_when_the_channel_is_closed(connection: Connection) -> None:
    channel = taken(connection)
    channel.qos.restore_unacked_once()
    assert channel._size(NODES) == 1


def test_those_that_cannot_be_put_back_are_told_of_and_left_to_the_reaper(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    channel = taken(connection)

    def refused(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(channel, "_restore", refused)
    with caplog.at_level(logging.INFO):
        channel.qos.restore_unacked_once()
    assert [(r.levelname, r.message) for r in caplog.records if "put back" in r.message] == [
        ("WARNING", "messages that could not be put back: 1; the reaper sends them")
    ]
    assert all(record.levelno < logging.ERROR for record in caplog.records)


def test_a_channel_makes_its_client_once(connection: Connection) -> None:
    channel = connection.default_channel
    assert channel._create_client() is channel._create_client()
    channel._disconnect_pools()
    assert channel._create_client().connection_pool is channel.pool
