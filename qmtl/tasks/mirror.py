"""Tasks of the queue ``mirror``: from the outbox to Kafka."""

from __future__ import annotations

import os
import socket
import time

from qmtl.tasks.app import app
from qmtl.tasks.context import system
from qmtl.tasks.guard import never_raises

DRAIN_S = 30.0
WAIT_S = 0.9


@app.task(name="qmtl.mirror.store_results")
@never_raises
def store_results() -> None:
    """Mirror what is in the outbox, and what comes while it does, for up to half a minute.

    Beat sends this task every second and a message older than that is dropped, so that one of them
    runs at any time. It ends early where nothing came, which keeps a stop short.
    """
    reader = f"{socket.gethostname()}:{os.getpid()}"
    end = time.monotonic() + DRAIN_S
    while time.monotonic() < end:
        if not system().mirror.carry(reader, wait_s=WAIT_S):
            return
