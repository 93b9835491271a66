"""Messages that come twice: a share of what a Celery application sends is sent once more.

It is the same message under the same id, as a broker would deliver it twice, whoever sends it: a
client, a chord, a callback or the reaper. Which messages are doubled follows from the seed and the
message alone, so that a run can be repeated.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from celery import Celery

from qmtl.tasks.canvas import CeleryDispatcher
from tests.chaos.journal import Journal

SHARES = 10_000


def is_doubled(seed: int, share: float, name: str, args: str) -> bool:
    """Tell whether a message is among the ``share`` that is sent twice."""
    mark = hashlib.blake2b(f"{seed}\n{name}\n{args}".encode(), digest_size=8).digest()
    return int.from_bytes(mark) % SHARES < share * SHARES


def install(app: Celery, *, seed: int, share: float, journal: Journal, sender: str) -> None:
    """Have an application double messages, and write down everything it sends."""
    send_once = app.amqp.send_task_message

    def times(name: str, args: list[Any]) -> int:
        doubled = is_doubled(seed, share, name, repr(args))
        journal.write("sent", task=name, args=args, doubled=doubled, sender=sender)
        return 2 if doubled else 1

    def send(producer: Any, name: str, message: Any, **options: Any) -> Any:
        for _ in range(times(name, list(message.body[0]))):
            sent = send_once(producer, name, message, **options)
        return sent

    vars(app.amqp)["send_task_message"] = send  # where its cached property keeps it
    _install_for_copies(app, times)


def _install_for_copies(app: Celery, times: Callable[[str, list[Any]], int]) -> None:
    """Do the same for messages that a dispatcher of this application sends without Celery."""
    push_once = CeleryDispatcher._push

    def push(self: CeleryDispatcher, place: str, message: bytes) -> None:
        count = 1
        if self._app is app:
            document = json.loads(message)
            args = json.loads(b64decode(document["body"]))[0]
            count = times(document["headers"]["task"], args)
        for _ in range(count):
            push_once(self, place, message)

    CeleryDispatcher._push = push  # type: ignore[method-assign]
