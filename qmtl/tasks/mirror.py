"""Tasks of the queue ``mirror``: from the outbox to Kafka."""

from __future__ import annotations

import os
import socket
import time

from qmtl.tasks.app import MIRROR_EVERY_S, app
from qmtl.tasks.context import system
from qmtl.tasks.guard import never_raises

WAIT_S = 1.0
DRAIN_S = MIRROR_EVERY_S - WAIT_S  # the last wait ends as beat sends the next task


@app.task(name="qmtl.mirror.store_results")
@never_raises
def store_results() -> None:
    """Mirror what is in the outbox, and what comes while it does.

    Beat sends this task every few seconds and a message that waited longer is dropped, so that one
    of them runs at any time and a record waits for a fraction of a second.
    """
    reader = f"{socket.gethostname()}:{os.getpid()}"
    end = time.monotonic() + DRAIN_S
    while time.monotonic() < end:
        system().mirror.carry(reader, wait_s=WAIT_S)
