"""What the dispatcher sends to the broker's queues and knows of them; nobody takes it."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
import redis
from celery import signature

from qmtl.common.settings import Settings
from qmtl.models.execution import Priority
from qmtl.tasks.app import CONTROL, make_app
from qmtl.tasks.canvas import ADVANCE, CARRY_OUT, CeleryDispatcher


@pytest.fixture
def dispatcher(settings: Settings) -> CeleryDispatcher:
    return CeleryDispatcher(make_app(settings))


def test_messages_that_wait_are_counted_over_all_priorities(dispatcher: CeleryDispatcher) -> None:
    assert dispatcher.queued() == 0
    for priority in Priority:
        dispatcher.advance("acme", "new", 0, priority=priority)
        dispatcher.advance("acme", "begun", 1, priority=priority)
    dispatcher.shards("acme", "begun", 1, range(3))
    assert dispatcher.queued() == 9


def test_what_waits_for_the_control_worker_does_not_count(dispatcher: CeleryDispatcher) -> None:
    dispatcher.submission("acme", "s")
    assert dispatcher.queued() == 0


def test_a_look_of_the_reaper_is_taken_before_submissions_that_wait(settings: Settings) -> None:
    app = make_app(settings)
    for number in range(3):
        CeleryDispatcher(app).submission("acme", f"s{number}")
    beat = app.conf.beat_schedule["reap"]
    app.send_task(beat["task"], **beat["options"])
    with app.connection_for_read() as connection:
        taken = [connection.default_channel.basic_get(CONTROL) for _ in range(4)]
    assert [message.headers["task"] for message in taken] == [beat["task"], *[CARRY_OUT] * 3]


def sent(settings: Settings, send: Callable[[], object]) -> dict[str, Any]:
    """Return the message that appears in the queues, and where, without what differs each time."""
    client = redis.Redis.from_url(settings.broker_url)
    pattern = f"{{{settings.cell}}}:nodes*"
    known = {key: client.llen(key) for key in client.scan_iter(pattern)}
    send()
    (key,) = [k for k in client.scan_iter(pattern) if client.llen(k) > known.get(k, 0)]
    message: dict[str, Any] = json.loads(client.lindex(key, 0))
    client.close()
    headers, properties = message["headers"], message["properties"]
    assert headers.pop("id") == headers.pop("root_id") == properties.pop("correlation_id")
    for each in ("delivery_tag", "reply_to"):
        properties.pop(each)
    message["body"] = json.loads(b64decode(message["body"]))
    return message | {"key": key}


@pytest.mark.parametrize("stage", [0, 1])
def test_an_advance_is_the_message_that_celery_would_send(settings: Settings, stage: int) -> None:
    app = make_app(settings)
    ours = sent(settings, lambda: CeleryDispatcher(app).advance("acme", "e", stage))
    arguments = {"args": ("acme", "e", stage), "immutable": True, "app": app}
    level = 3 if stage == 0 else 2
    usual = signature(ADVANCE, priority=level, **arguments)
    assert ours == sent(settings, lambda: usual.apply_async(ignore_result=True))


def test_a_channel_that_was_closed_asks_for_another_connection(settings: Settings) -> None:
    with make_app(settings).connection_for_write() as connection:
        channel = connection.channel()
        channel.close()
        with pytest.raises(connection.recoverable_connection_errors):  # kombu then makes another
            channel._put("nodes", {"properties": {"priority": 0}})
