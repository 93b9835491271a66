"""Messages of which only ids and arguments differ: Celery makes one, the others are copies.

To make and send a message, Celery and kombu run some thousand lines: half a millisecond, and twice
that in a process that has rested. A copy is what they would send, for a third of that.
"""

from __future__ import annotations

import uuid
from base64 import b64encode
from typing import Any

from celery import Celery
from msgspec import json

from qmtl.tasks.transport import Channel

Argument = str | int


class MessageTemplate:
    """What messages of one task at one priority have in common.

    Args:
        app: Whose routes and wire format they have.
        task: Name of the task; it gives no result.
        level: Priority in the broker.

    Attributes:
        place: The list in Redis that the messages stand in; new ones are pushed to its head.
    """

    def __init__(self, app: Celery, task: str, level: int) -> None:
        amqp: Any = app.amqp
        made = amqp.as_task_v2("", task, ignore_result=True)
        queue: str = amqp.router.route({}, task)["queue"].name
        prefix = app.conf.broker_transport_options["global_keyprefix"]
        self.place = f"{prefix}{queue}{Channel.sep}{level}" if level else f"{prefix}{queue}"
        self._headers: dict[str, Any] = made.headers
        self._embedded: dict[str, Any] = made.body[2]
        self._properties = {
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": level,
            "body_encoding": "base64",
        }

    def message(self, *arguments: Argument) -> bytes:
        """Return a message with an id of its own: Celery's second protocol in kombu's envelope."""
        name = str(uuid.uuid4())
        headers = {"id": name, "root_id": name, "argsrepr": repr(arguments)}
        properties = {"correlation_id": name, "delivery_tag": str(uuid.uuid4())}
        return json.encode(
            {
                "body": b64encode(json.encode((arguments, {}, self._embedded))).decode(),
                "content-encoding": "utf-8",
                "content-type": "application/json",
                "headers": self._headers | headers,
                "properties": self._properties | properties,
            }
        )
