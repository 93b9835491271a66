"""Messages that come twice: a share of what a Celery application sends is sent once more.

It is the same message under the same id, as a broker would deliver it twice, whoever sends it: a
client, a chord, a callback or the reaper. Which messages are doubled follows from the seed and the
message alone, so that a run can be repeated.
"""

from __future__ import annotations

import hashlib
from typing import Any

from celery import Celery

from tests.chaos.journal import Journal

SHARES = 10_000


def is_doubled(seed: int, share: float, name: str, args: str) -> bool:
    """Tell whether a message is among the ``share`` that is sent twice."""
    mark = hashlib.blake2b(f"{seed}\n{name}\n{args}".encode(), digest_size=8).digest()
    return int.from_bytes(mark) % SHARES < share * SHARES


def install(app: Celery, *, seed: int, share: float, journal: Journal, sender: str) -> None:
    """Have an application double messages, and write down everything it sends."""
    send_once = app.amqp.send_task_message

    def send(producer: Any, name: str, message: Any, **options: Any) -> Any:
        args = list(message.body[0])
        doubled = is_doubled(seed, share, name, repr(args))
        journal.write("sent", task=name, args=args, doubled=doubled, sender=sender)
        if doubled:
            send_once(producer, name, message, **options)
        return send_once(producer, name, message, **options)

    vars(app.amqp)["send_task_message"] = send  # where its cached property keeps it
